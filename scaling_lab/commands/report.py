"""`scaling-lab report`: read a study's runs, fit the law, write one HTML file.

Runs are read from their folders (`--results-dir outputs/scaling_study`), or pulled from W&B or the local server
(`--project music-scaling`); of one study both give the same numbers, to the last digit. `--compare A B` puts studies
side by side (`comparison`).
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling_lab.commands.chosen_runs import ChosenRuns, choose_runs
from scaling_lab.commands.comparison import compare_studies
from scaling_lab.commands.output_paths import require_file, written_to
from scaling_lab.commands.pull_options import Entity, Filter, Group, Project, Store, Sweep, Tracking
from scaling_lab.errors import UsageError

if TYPE_CHECKING:
    from scaling_lab.history.remote import ReadingMode
    from scaling_lab.studies.analysis import StudyAnalysis

app = typer.Typer(add_completion=False, rich_markup_mode=None)

DEFAULT_FOLDER = Path("outputs/scaling_study")


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
            "in its name; with --compare outputs/comparison.html.",
        ),
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Make a W&B Report in the project too; wants scaling-lab[publish].")
    ] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Put the studies named as arguments on one plot, and tell their alphas apart."),
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
    out = out or _usual_place(runs)
    if project or runs.folder.is_dir():  # else that there is no such folder is what matters
        require_file(out)
    from scaling_lab.report import build_report
    from scaling_lab.studies.analysis import analyse, study_results
    from scaling_lab.studies.foretelling import read_foretold, score

    analysis = analyse(*runs.read())
    with written_to(out):
        path = build_report(analysis, out, score(read_foretold(runs.folder), analysis))
    if publish and project:
        _publish(analysis, project, entity, runs.mode, sweep or group)
    if as_json:
        typer.echo(json.dumps(study_results(analysis), indent=2))
    else:
        typer.echo(f"{analysis.conclusion}\nreport: {path}")


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
