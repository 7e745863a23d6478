"""Running a server until it is told to end, or, started for its users, until the last of them left."""

import contextlib
import fcntl
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import uvicorn

from scaling_lab.errors import UsageError
from scaling_lab.localserver.app import create_app
from scaling_lab.localserver.filters import CRASHED_AFTER_SECONDS
from scaling_lab.localserver.serving import ADDRESS_FILE, USERS_FILE
from scaling_lab.localserver.store import Store

PORT = 8620
LOOPBACK = ("127.0.0.1", "localhost", "::1")
UNUSED_POLL_SECONDS = 2.0


def run_server(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    crashed_after_seconds: float = CRASHED_AFTER_SECONDS,
    while_used: bool = False,
    ready: Callable[[str, str], None] = lambda url, api_key: None,
) -> None:
    """Serve the store in `folder` until SIGTERM, Ctrl-C, or, with `while_used`, until nobody uses it.

    Args:
        port: absent, one that this store was served at before, else 8620, else any that is free.
        crashed_after_seconds: how long a run or an agent may say nothing.
        ready: called with the address and the API key once requests are taken.

    Raises:
        UsageError: if the store is served already or can't be written, or the port is taken.
    """
    store = Store(folder)
    with contextlib.closing(store), _listening(folder, host, port) as listener:
        taken = listener.getsockname()[1]
        url = f"http://{_in_url(host)}:{taken}"
        # Nobody pasted the address of a server that comes and goes: it is no reason to leave the usual port for good.
        usual = _ports_before(folder)[0] if while_used else taken
        hosts = ("*",) if host in ("0.0.0.0", "::") else (*LOOPBACK, host)
        app = create_app(store, url, hosts, crashed_after_seconds)
        server = AnnouncedServer(
            uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
        )
        place = {"url": url, "pid": os.getpid(), "usual_port": usual, "while_used": while_used}
        server.announce = lambda: _announce(folder, place, lambda: ready(url, store.api_key))
        if while_used:
            threading.Thread(target=leave_when_unused, args=(folder, server), daemon=True).start()
        server.run(sockets=[listener])


class AnnouncedServer(uvicorn.Server):
    """Tells when it takes requests, and keeps the lock of its users to the end of the process once it leaves."""

    announce: Callable[[], None]
    left: IO[str] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.announce()


def _announce(folder: Path, place: dict[str, Any], ready: Callable[[], None]) -> None:
    aside = folder / f".{ADDRESS_FILE}"
    aside.write_text(json.dumps(place) + "\n")
    os.replace(aside, folder / ADDRESS_FILE)
    ready()


def _listening(folder: Path, host: str, port: int | None) -> socket.socket:
    """A socket at the port asked for, or at the first usual one that is free."""
    problem: Exception | None = None
    for candidate in [port] if port is not None else [*_ports_before(folder), 0]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Named as TCP: asyncio turns Nagle off only then, and each answer would wait 40 ms for an acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            # At once: of two that are only bound to a port, the system refuses the second no sooner than here.
            listener.listen()
        except (OSError, OverflowError) as error:
            listener.close()
            problem = error
            continue
        return listener
    raise UsageError(f"{host}:{port}: can't be listened at ({problem}); give another --host or --port")


def _ports_before(folder: Path) -> list[int]:
    """The port that the store was last served at by name, the usual one, and that of the last server.

    Addresses that were printed then are good again.
    """
    try:
        kept = json.loads((folder / ADDRESS_FILE).read_bytes())
        return [int(kept["usual_port"]), PORT, urlsplit(kept["url"]).port or PORT]
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return [PORT]


def leave_when_unused(folder: Path, server: AnnouncedServer) -> None:
    """End the server when nobody holds the lock of its users; a new user then waits until this process is gone."""
    users = (folder / USERS_FILE).open("a")
    while not threading.Event().wait(UNUSED_POLL_SECONDS):
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        # Not closed: who comes while requests are still answered must wait, and then start a server anew.
        server.left = users
        server.should_exit = True
        return


def _in_url(host: str) -> str:
    return "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host
