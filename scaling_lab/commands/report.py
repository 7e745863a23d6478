"""`scaling-lab report`: read a study's runs, fit the law, write one HTML file, or other formats of the same.

Runs are read from their folders (`--results-dir outputs/scaling_study`), or pulled from W&B or the local server
(`--project music-scaling`); of one study both give the same numbers, to the last digit. `--compare A B` puts studies
side by side (`comparison`).
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling_lab.commands.browser import open_page
from scaling_lab.commands.chosen_runs import ChosenRuns, choose_runs
from scaling_lab.commands.comparison import compare_studies
from scaling_lab.commands.output_paths import written_to
from scaling_lab.commands.pull_options import Entity, Filter, Group, Project, Store, Sweep, Tracking
from scaling_lab.commands.report_formats import Formats, chosen_formats, require_writable, targets_of
from scaling_lab.commands.scores import try_scores
from scaling_lab.errors import UsageError

if TYPE_CHECKING:
    from scaling_lab.history.remote import ReadingMode
    from scaling_lab.report.exports import Exported, Targets
    from scaling_lab.studies.analysis import StudyAnalysis

app = typer.Typer(add_completion=False, rich_markup_mode=None)

DEFAULT_FOLDER = Path("outputs/scaling_study")
EVERY_SECONDS, MOST_SECONDS = 10.0, 86_400.0


@app.command()
def report(
    context: typer.Context,
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LABEL=]DIR", help="With --compare: two to eight studies' folders, or any folders with runs."
        ),
    ] = None,
    results_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help=f"A study's folder, or any folder with runs in it. Absent: {DEFAULT_FOLDER}."),
    ] = None,
    project: Project = None,
    entity: Entity = None,
    sweep: Sweep = None,
    group: Group = None,
    filters: Filter = [],  # noqa: B006 - Typer's own way; nobody writes to it
    tracking: Tracking = "auto",
    store: Store = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Where to write; absent, report.html in the folder, or outputs/PROJECT.html, with what is selected "
            "in its name; with --compare outputs/comparison.html. Other formats lie beside it, under its name.",
        ),
    ] = None,
    formats: Formats = [],  # noqa: B006 - Typer's own way; nobody writes to it
    open_it: Annotated[bool, typer.Option("--open", help="Show the page in your browser.")] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Draw the page again while its runs train, until they end, or Ctrl-C."),
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0.1, max=MOST_SECONDS, help=f"How often --watch looks. Absent: {EVERY_SECONDS:g}."
        ),
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Make a W&B Report in the project too; wants scaling-lab[publish].")
    ] = False,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Put the studies named as arguments on one plot, and tell their alphas apart; "
            "--out and --json go with it.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the study's results as pure JSON.")] = False,
) -> None:
    """Draw the report of a study from its runs' folders, or from their rows in a project; nothing is trained.

    Rows of a project are cached: what is complete is never pulled again.
    """
    if compare or studies:
        compare_studies(context, studies or [], compare, out, as_json)
        return
    runs = choose_runs(results_dir, DEFAULT_FOLDER, project, entity, sweep, group, filters, tracking, store)
    if publish and not project:
        raise UsageError("command line --publish: a W&B Report is made in a project of W&B's; give --project too")
    if publish:
        _require_publishable(runs.mode)
    targets = targets_of(chosen_formats(formats, out), out, _usual_place(runs))
    _require_page(targets, watch=watch, open_it=open_it, every=every)
    if project or watch or runs.folder.is_dir():  # else that there is no such folder is what matters
        require_writable(targets)
    from scaling_lab.report.exports import write_report
    from scaling_lab.studies.analysis import analyse, study_results

    show = open_page if open_it else None
    if watch:
        from scaling_lab.commands.report_watch import watch_page

        analysis, exit_code = watch_page(runs, targets.files["html"], every or EVERY_SECONDS, show)
    else:
        analysis, exit_code = analyse(*runs.read()), 0
    scores = try_scores(runs.folder, analysis)
    with written_to(targets.paths()[0]):
        exported = write_report(analysis, targets, scores)
    if publish and project:
        _publish(analysis, project, entity, runs.mode, sweep or group)
    typer.echo(json.dumps(study_results(analysis), indent=2) if as_json else _told(analysis, exported))
    if exported.lacking:
        print(exported.lacking, file=sys.stderr)
    if show and not watch:
        show(targets.files["html"])
    if exit_code:
        raise typer.Exit(exit_code)


def _require_page(targets: "Targets", *, watch: bool, open_it: bool, every: float | None) -> None:
    """Refuse what says how to show or watch a page where there is none. Raises UsageError."""
    for option, given in (("--watch", watch), ("--open", open_it)):
        if given and "html" not in targets.files:
            raise UsageError(f"command line {option}: is for the page; name html in --format too")
    if every is not None and not watch:
        raise UsageError("command line --every: says how often --watch looks; give --watch too")


def _told(analysis: "StudyAnalysis", exported: "Exported") -> str:
    places = [f"report: {path}" for path in exported.files] + [f"figures: {path}" for path in exported.folders]
    return "\n".join([analysis.conclusion, *places])


def _usual_place(runs: ChosenRuns) -> Path:
    """A report of some runs never takes the place of the whole project's."""
    if runs.project is None:
        return runs.folder / "report.html"
    return Path("outputs") / f"{'.'.join(filter(None, (runs.project, runs.filters.file_stem)))}.html"


def _require_publishable(mode: "ReadingMode") -> None:
    """What a W&B Report needs, asked before anything is pulled. Raises UsageError."""
    from scaling_lab.studies.publish import workspaces_package
    from scaling_lab.tracking.wandb_run import has_api_key

    if mode == "local" or not has_api_key():
        raise UsageError("command line --publish: W&B Reports are W&B's; log in (`wandb login`), and read from there")
    workspaces_package()


def _publish(
    analysis: "StudyAnalysis", project: str, entity: str | None, mode: "ReadingMode", study: str | None
) -> None:
    from scaling_lab.history.remote import opened
    from scaling_lab.studies.publish import publish_report

    with opened(project, entity, mode) as source:
        address = publish_report(source, analysis, f"Scaling study: {study or project}")
    print(f"W&B Report: {address}", file=sys.stderr)
