"""Having a server: the one that serves a store already, or one started for as long as a command needs it.

    with serving(Path("outputs/local-wandb")) as server:
        subprocess.run(command, env=os.environ | server.environment())

Whoever uses a store's server holds a shared lock on the file `users`; a server that was started for its users leaves
when it can take that lock for itself. The system lets a lock go when its process ends, however it ends.

A server that dies under its users is started again by one of them, at the address it had: others know it by that.
"""

import fcntl
import hmac
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from scaling_lab.errors import RemoteError, UsageError
from scaling_lab.localserver.store import api_key_of, proof_of_key

ADDRESS_FILE, USERS_FILE, LOG_FILE = "server.json", "users", "server.log"
START_SECONDS = 30.0
POLL_SECONDS = 0.05
# How soon a server that died is missed, and how soon one that could not be started is tried again.
WATCH_SECONDS, RETRY_SECONDS = 1.0, 10.0

# Servers that this process started. They may outlive their first user, and are kept so that Python takes leave of them.
_started: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class LocalServer:
    """A server that answers: where it is, and the key it wants."""

    url: str
    api_key: str

    def environment(self) -> dict[str, str]:
        """What a process must find in its environment to use this server; nothing is written anywhere."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": self.api_key}


@contextmanager
def serving(store: Path, url: str | None = None) -> Iterator[LocalServer]:
    """The server of a store, running for as long as the block does, or longer if others use it.

    Args:
        url: where to start it, if it doesn't answer; absent, where it was, or at another port.

    Raises:
        UsageError: if the store can't be written, or its key is none.
        RemoteError: if no server comes up.
    """
    with _using(store):
        server = find_server(store) or _start(store, urlsplit(url).port if url else None)
        ended = threading.Event()
        threading.Thread(target=_watch, args=(store, server, ended), name="local-server", daemon=True).start()
        try:
            yield server
        finally:
            ended.set()


def find_server(store: Path) -> LocalServer | None:
    """The server that serves a store at this moment, or None."""
    challenge = secrets.token_hex(16)
    try:
        url = json.loads((store / ADDRESS_FILE).read_bytes())["url"]
        with urllib.request.urlopen(f"{url}/healthz?challenge={challenge}", timeout=5) as answer:
            said = answer.read(1000).decode(errors="replace").strip()
        api_key = api_key_of(store)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # Another server may have taken the port since. It doesn't know this store's key, and is not told it.
    knows_key = hmac.compare_digest(said.encode(), proof_of_key(api_key, challenge).encode())
    return LocalServer(url, api_key) if knows_key else None


def was_served_at(store: Path, url: str) -> bool:
    """Whether this is the address of a store's server, the last time that it had one."""
    try:
        return json.loads((store / ADDRESS_FILE).read_bytes())["url"] == url
    except (OSError, ValueError, KeyError, TypeError):
        return False


def leaves_when_unused(store: Path) -> bool:
    """Whether the store's server, which answers, was started for a command and leaves with it."""
    return bool(json.loads((store / ADDRESS_FILE).read_bytes()).get("while_used"))


@contextmanager
def _using(store: Path) -> Iterator[IO[str]]:
    try:
        store.mkdir(parents=True, exist_ok=True)
        users = (store / USERS_FILE).open("a")
    except OSError as error:
        raise UsageError(f"{store}: can't be written ({error.strerror}); give another tracking.store") from None
    with users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield users


def _watch(store: Path, server: LocalServer, ended: threading.Event) -> None:
    """Start the server again whenever nothing listens where it was, until the block has ended."""
    pause, said = WATCH_SECONDS, False
    while not ended.wait(pause):
        if _is_listening(server.url):
            pause, said = WATCH_SECONDS, False
            continue
        try:
            _start(store, urlsplit(server.url).port)
        except RemoteError as error:
            if not said:
                _say(f"{error}; it is tried again")
            pause, said = RETRY_SECONDS, True
        else:
            _say(f"the local server of {store} was lost; another took its place")


def _is_listening(url: str) -> bool:
    """Whether the system takes connections for a server; one that is slow to answer is not gone."""
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname or "", place.port or 0), timeout=WATCH_SECONDS).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    return True


def _say(words: str) -> None:
    print(f"warning: {words}", file=sys.stderr, flush=True)


def _start(store: Path, port: int | None = None) -> LocalServer:
    """Start a server that leaves with its last user, and wait until it answers. `port`: absent, any that is free."""
    api_key_of(store)  # what is wrong with it is said here, and not in the server's log
    command = [sys.executable, "-m", "scaling_lab", "server", "--store", str(store), "--while-used"]
    command += [] if port is None else ["--port", str(port)]
    with (store / LOG_FILE).open("ab") as log:
        n_said = log.tell()
        # A session of its own: Ctrl-C is for the command, and the server still takes its last rows.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_environment()
        )
    _started[:] = [*(earlier for earlier in _started if earlier.poll() is None), process]
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        # Two commands may start one at once: the slower finds the store locked and ends, and both use the other's.
        if (server := find_server(store)) is not None:
            return server
        if process.poll() not in (None, 0):
            break
        time.sleep(POLL_SECONDS)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    words = (store / LOG_FILE).read_bytes()[n_said:].decode(errors="replace").strip().splitlines()
    raise RemoteError(f"{store}: the local server did not start: {words[-1] if words else 'it said nothing'}")


def _environment() -> dict[str, str]:
    """What a server has of its starter's environment: no setting of a run is meant for it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SCALING_LAB_", "WANDB_"))}
