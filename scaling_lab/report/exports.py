"""A report in every format that can be asked for: HTML, its numbers as JSON and CSV, Markdown, and its figures.

`scaling-lab report --format html,md,svg` reaches it. The same study gives the same bytes.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scaling_lab.errors import UsageError
from scaling_lab.files import written_whole
from scaling_lab.report.figures import FIGURE_NAMES, study_figures
from scaling_lab.report.images import draw
from scaling_lab.report.markdown import render_markdown
from scaling_lab.report.page import write_page
from scaling_lab.report.study_page import render_report
from scaling_lab.report.tables import Cell, summary_table
from scaling_lab.studies.analysis import StudyAnalysis, study_results
from scaling_lab.studies.foretelling import Score

# What a spreadsheet takes for the beginning of a formula, East Asian forms included.
_FORMULA = tuple("=+-@＝＋－＠")


@dataclass(frozen=True)
class Targets:
    """Where a report goes: a file for each format of text, and a folder for figures in these formats."""

    files: Mapping[str, Path]
    image_formats: Sequence[str]
    figures: Path

    def paths(self) -> list[Path]:
        """Every file and folder."""
        return [*self.files.values(), *([self.figures] if self.image_formats else [])]


@dataclass(frozen=True)
class Exported:
    """What was written, and why figures were not, where they were asked for."""

    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    lacking: UsageError | None = None


def write_report(analysis: StudyAnalysis, targets: Targets, scores: Sequence[Score] = ()) -> Exported:
    """Write a report in every format of `targets`, each file as a whole or not at all, folders on the way made.

    Raises:
        UsageError: if only figures are asked for, and can't be drawn.
        OSError: if a file can't be written.
    """
    lacking, images = None, {}
    if targets.image_formats:
        try:
            images = _write_figures(analysis, targets)
        except UsageError as error:
            if not targets.files:
                raise
            lacking = error
    for file_format, path in targets.files.items():
        write_page(_text(file_format, analysis, scores, images), path)
    return Exported(tuple(targets.files.values()), (targets.figures,) if images else (), lacking)


def json_text(analysis: StudyAnalysis) -> str:
    """Every number of the report, to the digit: what scaling_study_results.json holds."""
    return json.dumps(study_results(analysis), indent=2) + "\n"


def csv_text(analysis: StudyAnalysis) -> str:
    """One row a run, with every digit, under the keys of the summary.

    Text that a spreadsheet would take for a formula begins with an apostrophe, and so is text; numbers are as they are.
    """
    table, stream = summary_table(analysis), io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(column.key for column in table.columns)
    rows.writerows(map(_inert, row) for row in table.rows)
    return stream.getvalue()


def _inert(cell: Cell) -> str:
    is_formula = isinstance(cell.value, str) and cell.data_value.startswith(_FORMULA)
    return f"'{cell.data_value}" if is_formula else cell.data_value


def _text(file_format: str, analysis: StudyAnalysis, scores: Sequence[Score], images: Mapping[str, str]) -> str:
    if file_format == "html":
        return render_report(analysis, scores)
    if file_format == "md":
        return render_markdown(analysis, scores, images)
    return {"json": json_text, "csv": csv_text}[file_format](analysis)


def _write_figures(analysis: StudyAnalysis, targets: Targets) -> dict[str, str]:
    """Write every figure; its address by name as a file beside the folder has it, of a PNG where there are both."""
    figures = study_figures(analysis)
    if not figures:
        raise UsageError("figures: no run has anything to draw; train some with `scaling-lab study`")
    images = draw(figures, targets.image_formats)
    targets.figures.mkdir(parents=True, exist_ok=True)
    # A figure that this study has no more would pass for one of it.
    for old in targets.figures.iterdir():
        if old.stem in FIGURE_NAMES and old.suffix[1:] in targets.image_formats and old.name not in images:
            old.unlink()
    for name, image in images.items():
        with written_whole(targets.figures / name) as stream:
            stream.write(image)
    shown = "png" if "png" in targets.image_formats else "svg"
    return {name: quote(f"{targets.figures.name}/{name}.{shown}") for name in figures}
