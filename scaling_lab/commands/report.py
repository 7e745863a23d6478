"""`scaling-lab report`: read a study's runs, fit the law, write one HTML file.

Runs are read from their folders (`--results-dir outputs/scaling_study`), or pulled from W&B or the local server
(`--project music-scaling`); of one study both give the same numbers, to the last digit.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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

if TYPE_CHECKING:
    from scaling_lab.history.remote import Filters, ReadingMode
    from scaling_lab.history.runs import LeftOut, RunRecord

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
            "--out", metavar="FILE", help="Where to write; absent, report.html in the folder, or outputs/PROJECT.html."
        ),
    ] = None,
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
    mode, equal = reading_mode(tracking), equal_values(filters)
    from scaling_lab.history.remote import where
    from scaling_lab.history.runs import read_runs
    from scaling_lab.report import build_report
    from scaling_lab.studies.analysis import analyse, study_results

    if project:
        analysis = analyse(*_pulled(project, entity, where(sweep, group, equal), mode, store))
        default_out = Path("outputs") / f"{project}.html"
    else:
        folder = results_dir or DEFAULT_FOLDER
        analysis = analyse(*read_runs(folder))
        default_out = folder / "report.html"
    path = build_report(analysis, out or default_out)
    if as_json:
        typer.echo(json.dumps(study_results(analysis), indent=2))
    else:
        typer.echo(f"{analysis.conclusion}\nreport: {path}")


def _pulled(
    project: str, entity: str | None, filters: "Filters", mode: "ReadingMode", store: Path | None
) -> "tuple[list[RunRecord], list[LeftOut]]":
    from scaling_lab.commands.progress import PullProgress
    from scaling_lab.history.pull import pull_runs

    with PullProgress(project) as progress:
        return pull_runs(project, entity=entity, filters=filters, mode=mode, store=store, watch=progress.watch)
