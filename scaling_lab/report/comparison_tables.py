"""The tables of a comparison: the studies, the differences of their exponents, and what else differs between them."""

from collections.abc import Iterable

from scaling_lab.laws import AlphaDifference
from scaling_lab.laws.difference import confidence_in_words
from scaling_lab.report import formats
from scaling_lab.report.tables import (
    LEFT_OUT_COLUMNS,
    Cell,
    Column,
    Table,
    interval_cells,
    left_out_cells,
    parameter_cells,
    parameter_columns,
    text_cell,
)
from scaling_lab.studies.analysis import HEADLINE_COUNT, count_name
from scaling_lab.studies.comparison import Comparison, LabelledStudy


def studies_table(comparison: Comparison) -> Table:
    """One row a study: its runs, its law under the count of N that is told first, its data."""
    law = comparison.studies[0].analysis.law
    columns = (
        Column("label", "study", numeric=False),
        Column("verdict", "verdict", numeric=False),
        *parameter_columns(law),
        Column("runs", "runs"),
        Column("sizes", "sizes"),
        Column("n", "N"),
        Column("tokens", "tokens"),
        Column("data", "data", numeric=False),
        Column("fingerprint", "fingerprint", numeric=False),
    )
    return Table(columns, tuple(_study_row(study) for study in comparison.studies))


def _study_row(study: LabelledStudy) -> tuple[Cell, ...]:
    law = study.analysis.law
    verdict = "depends on the count" if study.analysis.flips() else law.verdict
    n = [run.parameters[HEADLINE_COUNT] for run in study.runs]
    tokens = [run.results["tokens"] for run in study.runs if isinstance(run.results.get("tokens"), int)]
    return (
        text_cell(study.label),
        text_cell(verdict),
        *parameter_cells(law),
        Cell(str(law.n_points), law.n_points),
        Cell(str(law.n_sizes), law.n_sizes),
        _range_cell(n),
        _range_cell(tokens),
        text_cell(study.data.get("name")),
        text_cell(study.data.get("fingerprint")),
    )


def _range_cell(numbers: list[int]) -> Cell:
    """15K to 1.19M; one number where all are the same."""
    if not numbers:
        return Cell(formats.ABSENT, None)
    ends = sorted({min(numbers), max(numbers)})
    return Cell(" to ".join(formats.count(end) for end in ends), " ".join(map(str, ends)))


def differences_table(comparison: Comparison, counts: Iterable[str] = (HEADLINE_COUNT,)) -> Table:
    """Every pair's difference in alpha under these counts of size."""
    first = comparison.headline[0]
    columns = (
        Column("pair", "alpha of", numeric=False),
        Column("count", "size as", numeric=False),
        Column("difference", "difference"),
        Column("interval", confidence_in_words(first.confidence, first.comparisons)),
        Column("verdict", "verdict", numeric=False),
        Column("larger", "larger", numeric=False),
        Column("reasons", "why not", numeric=False),
    )
    rows = [_difference_row(count, found) for count in counts for found in comparison.differences[count]]
    return Table(columns, tuple(rows))


def _difference_row(count: str, found: AlphaDifference) -> tuple[Cell, ...]:
    reasons = ", ".join(dict.fromkeys(reason.name for reason in found.reasons))
    return (
        text_cell(" less ".join(found.names)),
        Cell(count_name(count), count),
        *interval_cells(found.interval),
        text_cell(found.verdict),
        text_cell(found.larger),
        Cell(reasons.replace("-", " ") or formats.ABSENT, reasons),
    )


def differing_table(comparison: Comparison) -> Table:
    """The settings that are not the same in every study, a column a study."""
    labels = (
        Column(f"study-{place}", formats.plain(study.label), numeric=False)
        for place, study in enumerate(comparison.studies)
    )
    rows = [
        (text_cell(name), *(text_cell(value or None) for value in values))
        for name, values in comparison.differing.items()
    ]
    return Table((Column("setting", "setting", numeric=False), *labels), tuple(rows))


def left_out_of_studies_table(comparison: Comparison) -> Table:
    """Every run that was found and not fitted, by study."""
    columns = (Column("label", "study", numeric=False), *LEFT_OUT_COLUMNS)
    rows = [
        (text_cell(study.label), *left_out_cells(run))
        for study in comparison.studies
        for run in study.analysis.left_out
    ]
    return Table(columns, tuple(rows))
