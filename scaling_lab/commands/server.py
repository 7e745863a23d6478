"""`scaling-lab server`: a W&B-compatible server of one's own, on this machine alone unless asked."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)

DEFAULT_STORE = Path("outputs/local-wandb")
LOOPBACK = "127.0.0.1"


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
    ] = LOOPBACK,
    crashed_after: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="How long a run or an agent may say nothing. Absent: 90."),
    ] = None,
    while_used: Annotated[bool, typer.Option("--while-used", hidden=True)] = False,
) -> None:
    """Serve W&B's protocol without an account: tracking, sweeps, artifacts, and a page to look at.

    Prints the two lines that another shell needs, then serves until Ctrl-C. Commands with `--tracking local` find it.
    """
    from scaling_lab.errors import UsageError
    from scaling_lab.localserver import find_server, leaves_when_unused
    from scaling_lab.localserver.filters import CRASHED_AFTER_SECONDS
    from scaling_lab.localserver.server import run_server
    from scaling_lab.localserver.store import ServedError

    def exports(url: str, api_key: str) -> None:
        typer.echo(f"export WANDB_BASE_URL={url}\nexport WANDB_API_KEY={api_key}")

    def say(url: str, api_key: str) -> None:
        exports(url, api_key)
        print(f"to look at it: {url}/login?key={api_key}\nstore: {store}; Ctrl-C ends the server", file=sys.stderr)
        sys.stdout.flush()

    if not while_used and (running := find_server(store)) is not None:
        as_asked = port is None and host == LOOPBACK and crashed_after is None
        if as_asked and leaves_when_unused(store):
            _keep(store, say)
            return
        exports(running.url, running.api_key)
        raise UsageError(f"{store}: is served already; the lines above are those of its server")
    silence = crashed_after or CRASHED_AFTER_SECONDS
    # uvicorn raises the signal that ended it once more; to be ended so is how a server ends well.
    with contextlib.suppress(KeyboardInterrupt):
        try:
            run_server(store, host=host, port=port, crashed_after_seconds=silence, while_used=while_used, ready=say)
        except ServedError:
            # Another command started one at the same moment: theirs is as good.
            if not while_used:
                raise


def _keep(store: Path, say: Callable[[str, str], None]) -> None:
    """Use the server of another command until told to end: so it stays when that command leaves."""
    from scaling_lab.localserver import serving

    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    with serving(store) as server:
        say(server.url, server.api_key)
        told.wait()
