"""Sweeps on a server, W&B's or our own, through the real SDK: created, found again, looked at, stopped.

with wandb_server("local", store) as server:
    sweep = server.create(content, "music-scaling", None)
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scaling_lab.errors import RemoteError, UsageError
from scaling_lab.history.remote import Source, check_answers, find_sweep, require_key, told_as_ours
from scaling_lab.tracking.wandb_run import base_url

ServerMode = Literal["online", "local"]
# What `wandb sweep` calls a change of state.
CHANGES = ("stop", "pause", "resume", "cancel")
# States of a sweep whose trials may still be handed out.
OPEN_STATES = ("PENDING", "RUNNING", "PAUSED")
# What Python, or the SDK, puts before the words of an error.
_EXCEPTION = re.compile(r"^(wandb: )?(ERROR )?(\w*(Error|Exception): )?")


@dataclass(frozen=True)
class SweepPath:
    """A sweep's full name."""

    entity: str
    project: str
    id: str

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.id}"


def split_path(text: str) -> tuple[str | None, str | None, str]:
    """Entity, project and id of `ID`, `PROJECT/ID` or `ENTITY/PROJECT/ID`; None for what is not said.

    Raises:
        UsageError: if it is none of these.
    """
    match text.strip("/").split("/"):
        case [id_] if id_:
            return None, None, id_
        case [project, id_]:
            return None, project, id_
        case [entity, project, id_]:
            return entity, project, id_
    raise UsageError(f"{text!r} is no sweep; give ID, PROJECT/ID or ENTITY/PROJECT/ID")


@dataclass(frozen=True)
class Server:
    """A server of sweeps.

    Attributes:
        name: what stays the same of it: its address, or the folder of a local one, whose port may change.
        variables: what other shells need in their environment to reach it; nothing for W&B, which is logged in to.
    """

    name: str
    variables: Mapping[str, str]
    api: Any = field(repr=False)

    def create(self, content: Mapping[str, Any], project: str, entity: str | None) -> SweepPath:
        """A new sweep. Raises RemoteError, UsageError."""
        import wandb

        with told_as_ours(self.name), _environment({}), _quiet():
            sweep_id = wandb.sweep(dict(content), project=project, entity=entity)
            return SweepPath(entity or str(self.api.default_entity), project, sweep_id)

    def state(self, path: SweepPath) -> str | None:
        """A sweep's state in W&B's words, or None if there is no such sweep. Raises RemoteError."""
        sweep = find_sweep(self.source(path), path.id)
        return None if sweep is None else str(sweep.state).upper()

    def address(self, path: SweepPath) -> str:
        """Where a browser finds a sweep."""
        with told_as_ours(self.name):
            return str(self.api.sweep(str(path)).url)

    def source(self, path: SweepPath) -> Source:
        """The sweep's project, open for reading."""
        return Source(self.name, path.entity, path.project, self.api)

    def change(self, path: SweepPath, change: str) -> None:
        """Stop, pause, resume or cancel a sweep, as the SDK's own command does. Raises RemoteError."""
        command = [sys.executable, "-m", "wandb", "sweep", f"--{change}", str(path)]
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            words = (ended.stderr or ended.stdout).strip().splitlines() or ["no answer"]
            said = _EXCEPTION.sub("", words[-1]).rstrip(".")
            raise RemoteError(f"{path}: {said}; see `scaling-lab sweep status {path}`")


@contextlib.contextmanager
def wandb_server(mode: ServerMode, store: Path) -> Iterator[Server]:
    """W&B, or the local server of `store`, running for as long as the block at least.

    Inside, this process's environment names a local server, for the SDK and for child processes.

    Raises:
        RemoteError: if it can't be reached, or refuses the key.
    """
    if mode == "online":
        require_key()
        check_answers(base_url())
        api = _api("W&B")
        yield Server(str(api.settings["base_url"]), {}, api)
        return
    from scaling_lab.localserver import serving

    with serving(store) as local, _environment(local.environment()):
        yield Server(str(store.resolve()), local.environment(), _api(str(store)))


def _api(place: str) -> Any:
    import wandb

    with told_as_ours(place):
        return wandb.Api()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the SDK's chat from the terminal; what goes wrong is raised."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """This process's environment for a while: the SDK reads addresses there, and leaves its own marks."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name not in before]:
            del os.environ[name]
        os.environ.update(before)
