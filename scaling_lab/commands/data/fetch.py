"""`scaling-lab data fetch`: collections under a free licence, by their public address."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def fetch(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Absent: list what there is.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Absent: data/sources/NAME.")] = None,
) -> None:
    """Fetch a collection of music under a free licence, check it, and keep its licence beside it.

    Broken off, the same command goes on where it was, if the server can.
    """
    from scaling_lab.commands.progress import DownloadProgress
    from scaling_lab.data.fetching import fetch as fetch_source
    from scaling_lab.data.sources.public import PUBLIC
    from scaling_lab.errors import UsageError

    if name is None:
        for source in PUBLIC.values():
            typer.echo(f"{source.name}\n  {source.about}\n  {source.licence}; {source.address}")
        return
    if name not in PUBLIC:
        raise UsageError(f"data fetch: {name}: is not among {', '.join(PUBLIC)}")
    source = PUBLIC[name]
    folder = out or Path("data/sources") / name
    print(f"{source.about}; licence: {source.licence}", file=sys.stderr)
    with DownloadProgress(name) as progress:
        n_files = fetch_source(source, folder, progress.watch)
    typer.echo(f"{n_files:,} files in {folder}; next: scaling-lab data prepare --input {folder} --out data/{name}")
