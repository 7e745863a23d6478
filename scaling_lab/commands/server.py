"""`scaling-lab server`: a W&B-compatible server of one's own, on this machine alone unless asked."""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)

DEFAULT_STORE = Path("outputs/local-wandb")


@app.command()
def server(
    store: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that keeps runs, sweeps and files.")
    ] = DEFAULT_STORE,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Absent: the one of last time, else 8620, else any that is free."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; another than 127.0.0.1 lets other machines in, who need the key.")
    ] = "127.0.0.1",
    crashed_after: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="How long a run or an agent may say nothing.")
    ] = 90.0,
    while_used: Annotated[bool, typer.Option("--while-used", hidden=True)] = False,
) -> None:
    """Serve W&B's protocol without an account: tracking, sweeps, artifacts, and a page to look at.

    Prints the two lines that another shell needs, then serves until Ctrl-C. Commands with `--tracking local` find it.
    """
    from scaling_lab.errors import UsageError
    from scaling_lab.localserver import find_server
    from scaling_lab.localserver.server import run_server

    def exports(url: str, api_key: str) -> None:
        typer.echo(f"export WANDB_BASE_URL={url}\nexport WANDB_API_KEY={api_key}")

    if not while_used and (running := find_server(store)) is not None:
        exports(running.url, running.api_key)
        raise UsageError(f"{store}: is served already; the lines above are those of its server")

    def say(url: str, api_key: str) -> None:
        exports(url, api_key)
        print(f"to look at it: {url}/login?key={api_key}\nstore: {store}; Ctrl-C ends the server", file=sys.stderr)
        sys.stdout.flush()

    run_server(store, host=host, port=port, crashed_after_seconds=crashed_after, while_used=while_used, ready=say)
