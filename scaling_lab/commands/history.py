"""`scaling-lab history pull --project P --out DIR`: rows of W&B as CSV or Parquet files, for other tools."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scaling_lab.commands.output_paths import require_folder, written_to
from scaling_lab.commands.pull_options import (
    Entity,
    Filter,
    Group,
    Store,
    Sweep,
    Tracking,
    equal_values,
    reading_mode,
)
from scaling_lab.errors import UsageError

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

FORMATS = ("csv", "parquet")


@app.callback()
def history() -> None:
    """Rows that runs logged to W&B, or to the local server."""


@app.command()
def pull(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the files; made if absent.")],
    project: Annotated[str, typer.Option(metavar="NAME", help="Project of W&B, or of the local server.")],
    entity: Entity = None,
    sweep: Sweep = None,
    group: Group = None,
    filters: Filter = [],  # noqa: B006 - Typer's own way; nobody writes to it
    tracking: Tracking = "auto",
    store: Store = None,
    file_format: Annotated[
        str, typer.Option("--format", metavar="|".join(FORMATS), help="Parquet wants pyarrow: scaling-lab[parquet].")
    ] = "csv",
) -> None:
    """Write three tables: runs, training (one row a run and step), and evaluations."""
    if file_format not in FORMATS:
        raise UsageError(f"command line --format: {file_format!r} is none of {', '.join(FORMATS)}")
    mode, equal = reading_mode(tracking), equal_values(filters)
    require_folder(out)
    from scaling_lab.commands.progress import PullProgress
    from scaling_lab.history import tables

    if file_format == "parquet":
        tables.require_parquet()
    with PullProgress(project) as progress:
        pulled = tables.pull(
            project,
            entity=entity,
            sweep=sweep,
            group=group,
            equal=equal,
            mode=mode,
            store=store,
            watch=progress.watch,
        )
    for run in pulled.left_out:
        print(f"left out: {run.name}: {run.reason}", file=sys.stderr)
    with written_to(out):
        paths = pulled.write(out, file_format)
    for path in paths:
        typer.echo(path)
