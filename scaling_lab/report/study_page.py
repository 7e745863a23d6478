"""The report of a study as one HTML file.

build_report(analyse(*read_runs(Path("outputs/scaling_study"))), Path("report.html"))
"""

from collections.abc import Sequence
from pathlib import Path

from scaling_lab.laws import CAVEATS
from scaling_lab.report import story, tables
from scaling_lab.report.figures import study_figures
from scaling_lab.report.music import heard, measures_table, music_by_size
from scaling_lab.report.page import render_page, write_page
from scaling_lab.report.unfinished import unfinished_caption, unfinished_table
from scaling_lab.studies.analysis import COUNTS, StudyAnalysis, count_name
from scaling_lab.studies.foretelling import Score

OUTPUTS = Path("outputs")


def build_report(
    analysis: StudyAnalysis,
    path: Path,
    scores: Sequence[Score] = (),
    outputs: Path = OUTPUTS,
    *,
    reload_seconds: float | None = None,
) -> Path:
    """Write the report of a study, and of what was foretold of it, to `path`, as a whole or not at all; return `path`.

    Folders on the way are made. `outputs`: where the folders are of runs that were pulled from a server, for the music
    they wrote. `reload_seconds`: for a page that will be written again. Raises OSError if the file can't be written.
    """
    return write_page(render_report(analysis, scores, outputs, reload_seconds=reload_seconds), path)


def render_report(
    analysis: StudyAnalysis,
    scores: Sequence[Score] = (),
    outputs: Path = OUTPUTS,
    *,
    reload_seconds: float | None = None,
) -> str:
    """The report as HTML."""
    music = music_by_size(analysis.runs, outputs)
    recipe = analysis.runs[0].results.get("config", {}).get("recipe", {}) if analysis.runs else {}
    return render_page(
        "study.html.j2",
        title=story.title(analysis),
        reload_seconds=reload_seconds,
        figures=study_figures(analysis),
        music=music and music.for_script(),
        analysis=analysis,
        badge=story.badge(analysis),
        sentence=story.sentence(analysis),
        captions={count: story.scaling_caption(analysis, count) for count in COUNTS},
        caveats=CAVEATS,
        choices={f"scaling-{count}": count_name(count) for count in COUNTS},
        commands=story.commands(analysis),
        counts=COUNTS,
        curves=story.curves_drawn(analysis),
        doubling=story.doubling(analysis.law),
        foretold=tables.foretold_table(scores),
        forms=tables.forms_table(analysis),
        foundations=story.foundations(analysis),
        jackknife=tables.jackknife_table(analysis),
        largest_foretold=story.largest_foretold(analysis),
        laws=tables.laws_table(analysis),
        left_out=tables.left_out_table(analysis),
        lints=tables.lints_table(analysis),
        heard=music and heard(music),
        measures=music and measures_table(music),
        music_by_size=music,
        next_runs=story.next_runs(analysis),
        next_step=story.next_step(analysis),
        how_to_add=story.how_to_add(analysis) if analysis.runs else None,
        meaning=story.meaning(analysis),
        next_runs_table=tables.next_runs_table(analysis),
        origins=story.origins(analysis),
        recipe=tables.recipe_table(recipe),
        summary=tables.summary_table(analysis),
        unfinished=unfinished_table(analysis),
        unfinished_caption=unfinished_caption(analysis),
    )
