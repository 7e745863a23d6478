"""`scaling-lab report`: read a study's runs, fit the law, write one HTML file.

Runs are read from their folders (`--results-dir outputs/scaling_study`), or pulled from W&B or the local server
(`--project music-scaling`); of one study both give the same numbers, to the last digit.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling_lab.commands.output_paths import require_file, written_to
from scaling_lab.commands.pull_options import (
    Entity,
    Filter,
    Group,
    Project,
    Store,
    Sweep,
    Tracking,
    equal_values,
    reading_mode,
)
from scaling_lab.errors import UsageError
from scaling_lab.history.filters import RunFilters

if TYPE_CHECKING:
    from scaling_lab.history.remote import ReadingMode
    from scaling_lab.history.runs import LeftOut, RunRecord
    from scaling_lab.studies.analysis import StudyAnalysis

app = typer.Typer(add_completion=False, rich_markup_mode=None)

DEFAULT_FOLDER = Path("outputs/scaling_study")


@app.command()
def report(
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
            "in its name.",
        ),
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Make a W&B Report in the project too; wants scaling-lab[publish].")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the study's results as pure JSON.")] = False,
) -> None:
    """Draw the report of a study from its runs' folders, or from their rows in a project; nothing is trained.

    Rows of a project are cached: what is complete is never pulled again.
    """
    of_project = {"--entity": entity, "--sweep": sweep, "--group": group, "--filter": filters, "--store": store}
    if project and results_dir:
        raise UsageError("command line: --results-dir and --project both say where runs are; give one of them")
    for option, value in of_project.items():
        if value and not project:
            raise UsageError(f"command line {option}: says which runs of a project; give --project too")
    if publish and not project:
        raise UsageError("command line --publish: a W&B Report is made in a project of W&B's; give --project too")
    mode, equal = reading_mode(tracking), equal_values(filters)
    if publish:
        _require_publishable(mode)
    folder = results_dir or DEFAULT_FOLDER
    selected = RunFilters(sweep, group, equal)
    out = out or (_usual_place(project, selected) if project else folder / "report.html")
    if project or folder.is_dir():  # else that there is no such folder is what matters
        require_file(out)
    from scaling_lab.history.runs import read_runs
    from scaling_lab.report import build_report
    from scaling_lab.studies.analysis import analyse, study_results

    if project:
        records, left_out = _pulled(project, entity, selected, mode, store)
    else:
        records, left_out = read_runs(folder)
    analysis = analyse(records, left_out)
    with written_to(out):
        path = build_report(analysis, out)
    if publish and project:
        _publish(analysis, project, entity, mode, sweep or group)
    if as_json:
        typer.echo(json.dumps(study_results(analysis), indent=2))
    else:
        typer.echo(f"{analysis.conclusion}\nreport: {path}")


def _usual_place(project: str, filters: RunFilters) -> Path:
    """A report of some runs never takes the place of the whole project's."""
    return Path("outputs") / (f"{project}.{filters.file_stem}.html" if filters else f"{project}.html")


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


def _pulled(
    project: str, entity: str | None, filters: RunFilters, mode: "ReadingMode", store: Path | None
) -> "tuple[list[RunRecord], list[LeftOut]]":
    from scaling_lab.commands.progress import PullProgress
    from scaling_lab.history.pull import pull_runs

    with PullProgress(project) as progress:
        return pull_runs(project, entity=entity, filters=filters, mode=mode, store=store, watch=progress.watch)
