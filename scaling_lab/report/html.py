"""The report as one HTML file: nothing in it is loaded from elsewhere, and the same study gives the same bytes.

    build_report(analyse(*read_runs(Path("outputs/scaling_study"))), Path("report.html"))

Names come from outside. They are escaped by Jinja2 in the page and by `formats.in_figure` in figures; should both fail,
the page's Content-Security-Policy runs only the two scripts whose hashes it names, and loads nothing at all.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.io import to_json
from plotly.offline import get_plotlyjs

from scaling_lab.laws import CAVEATS
from scaling_lab.report import formats, story, tables, theme
from scaling_lab.report.figures import study_figures
from scaling_lab.studies.analysis import COUNTS, StudyAnalysis
from scaling_lab.studies.foretelling import Score
from scaling_lab.tracking.results import write_whole


def build_report(analysis: StudyAnalysis, path: Path, scores: Sequence[Score] = ()) -> Path:
    """Write the report of a study, and of what was foretold of it, to `path`, as a whole or not at all; return `path`.

    Folders on the way are made. Raises OSError if the file can't be written.
    """
    page = render_report(analysis, scores)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page)
    return path


def render_report(analysis: StudyAnalysis, scores: Sequence[Score] = ()) -> str:
    """The report as HTML."""
    scripts = {"plotly_js": get_plotlyjs(), "page_js": source_of("report.js")}
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            **_content(analysis, scores),
            **{name: Markup(source) for name, source in scripts.items()},
            css=Markup(source_of("report.css")),
            script_hashes=Markup(" ".join(_csp_hash(source) for source in scripts.values())),
        )
    )


def _content(analysis: StudyAnalysis, scores: Sequence[Score]) -> dict[str, Any]:
    """Everything that the template shows."""
    figures = study_figures(analysis)
    recipe = analysis.runs[0].results.get("config", {}).get("recipe", {}) if analysis.runs else {}
    return {
        "analysis": analysis,
        "caveats": CAVEATS,
        "captions": {count: story.scaling_caption(analysis, count) for count in COUNTS},
        "colours": _for_script(json.dumps(theme.DARK)),
        "commands": story.commands(analysis),
        "counts": COUNTS,
        "curves": story.curves_drawn(analysis),
        "figure_names": set(figures),
        "figures": _for_script(_figures_json(figures)),
        "foretold": tables.foretold_table(scores),
        "formats": formats,
        "forms": tables.forms_table(analysis),
        "foundations": story.foundations(analysis),
        "jackknife": tables.jackknife_table(analysis),
        "largest_foretold": story.largest_foretold(analysis),
        "laws": tables.laws_table(analysis),
        "left_out": tables.left_out_table(analysis),
        "lints": tables.lints_table(analysis),
        "next_runs": story.next_runs(analysis),
        "next_runs_table": tables.next_runs_table(analysis),
        "origins": story.origins(analysis),
        "recipe": tables.recipe_table(recipe),
        "summary": tables.summary_table(analysis),
        "title": story.title(analysis),
    }


@cache
def environment() -> Environment:
    """Where templates come from, and how what they are filled with is escaped."""
    return Environment(
        loader=PackageLoader("scaling_lab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def source_of(name: str) -> str:
    """The text of a file beside the templates."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name)[0]


def _figures_json(figures: dict[str, Any]) -> str:
    # The engine is named: with "auto" the bytes would depend on whether orjson is installed.
    return "{" + ",".join(f'"{name}":{to_json(figure, engine="json")}' for name, figure in figures.items()) + "}"


def _for_script(text: str) -> Markup:
    """JSON that can stand in a script element: no `<` can end the element or open a comment in it."""
    return Markup(text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026"))


def _csp_hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
