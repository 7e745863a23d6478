"""Rows that were pulled once, kept by server, entity, project and run: `~/.cache/scaling-lab/history/`.

A file holds what the server said of the run when its rows were read (`Facts`), the rows as float64 columns, and a
SHA-256 over all of it. It is written whole and renamed, and whoever writes holds the run's lock. A file that is
damaged, of another schema or of another run counts as none: its rows are pulled anew.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from scaling_lab.files import locked, user_cache, written_whole
from scaling_lab.history.columns import Columns
from scaling_lab.history.remote import RemoteRun, Source
from scaling_lab.history.scan import STEP, History

SCHEMA_VERSION = 1
# After these a run may still be resumed, but then it says so: its state, its last step or its number of rows changes.
ENDED = frozenset({"finished", "failed", "crashed", "killed", "preempted"})

_DIGEST_LENGTH = 64
_NUMBER = np.dtype("<f8")


@dataclass(frozen=True)
class Facts:
    """What the server said of a run when its rows were read."""

    created_at: str
    config_digest: str
    state: str
    last_step: int
    n_rows: int

    @classmethod
    def of(cls, run: RemoteRun) -> "Facts":
        config = json.dumps(run.config, sort_keys=True, default=str).encode()
        digest = hashlib.sha256(config).hexdigest()
        return cls(run.created_at, digest, run.state, run.last_step, run.n_rows)

    def is_same_run(self, now: "Facts") -> bool:
        """Whether `now` can be the same run further on: rows that were read then still stand."""
        return (
            self.created_at == now.created_at
            and self.config_digest == now.config_digest
            and self.last_step <= now.last_step
            and self.n_rows <= now.n_rows
        )

    def is_current(self, now: "Facts") -> bool:
        """Whether nothing can have been logged since: the run had ended then, and has not gone on."""
        return self == now and self.state in ENDED


@dataclass(frozen=True)
class Cached:
    """A run's rows as they were read once."""

    facts: Facts
    history: History


class Cache:
    """The cached runs of one project."""

    def __init__(self, source: Source, root: Path | None = None) -> None:
        """`root` is where all projects' caches are, the user's cache where absent."""
        self._project = {"server": source.server, "entity": source.entity, "project": source.project}
        name = hashlib.sha256(json.dumps(self._project).encode()).hexdigest()[:16]
        self.folder = (root or user_cache() / "history") / name

    def load(self, run_id: str) -> Cached | None:
        """The rows of a run, or None where there are none that can be trusted."""
        try:
            content = self._path(run_id).read_bytes()
        except FileNotFoundError:
            return None
        digest, body = content[:_DIGEST_LENGTH], memoryview(content)[_DIGEST_LENGTH:]
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        end = content.index(b"\n", _DIGEST_LENGTH)
        header = json.loads(content[_DIGEST_LENGTH:end])
        if header["schema_version"] != SCHEMA_VERSION or header["run"] != self._name(run_id):
            return None
        groups = _read_groups(header["groups"], np.frombuffer(content, _NUMBER, offset=end + 1))
        return Cached(Facts(**header["facts"]), History(*groups))

    def store(self, run_id: str, cached: Cached) -> None:
        """Keep the rows of a run; the caller holds its lock."""
        header = {
            "schema_version": SCHEMA_VERSION,
            "run": self._name(run_id),
            "facts": asdict(cached.facts),
            "groups": [{"rows": len(group[STEP]), "names": list(group)} for group in cached.history.groups],
        }
        columns = [column for group in cached.history.groups for column in group.values()]
        body = b"".join([_line(header), *(column.astype(_NUMBER, copy=False).tobytes() for column in columns)])
        with written_whole(self._path(run_id)) as stream:
            stream.write(hashlib.sha256(body).hexdigest().encode())
            stream.write(body)

    @contextmanager
    def locked(self, run_id: str) -> Iterator[None]:
        """Holds a run's lock: of two commands that want its rows one pulls them, and the other finds them here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self._path(run_id).with_suffix(".lock")):
            yield

    def _name(self, run_id: str) -> dict[str, str]:
        return {**self._project, "run": run_id}

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{quote(run_id, safe='')}.rows"


def joined(before: History, after: History) -> History | None:
    """Rows read before and, from their last step on, rows read after; None where the two disagree over that step."""
    groups = []
    for old, new in zip(before.groups, after.groups, strict=True):
        if len(old[STEP]) and old.keys() != new.keys():
            return None
        known = new[STEP] <= before.last_step
        tail = old[STEP] == before.last_step
        same = known.sum() >= tail.sum() and all(
            np.array_equal(old[name][tail], new[name][known][: tail.sum()], equal_nan=True) for name in old
        )
        if not same:
            return None
        groups.append({name: np.concatenate((old[name][~tail], new[name])) for name in new} if len(old[STEP]) else new)
    return History(*groups)


def _line(header: Mapping[str, Any]) -> bytes:
    """The header on a line, with blanks at its end so that the numbers begin at a multiple of their size."""
    text = json.dumps(header).encode()
    return text + b" " * (-(len(text) + 1) % _NUMBER.itemsize) + b"\n"


def _read_groups(described: list[dict[str, Any]], numbers: np.ndarray) -> list[Columns]:
    """The columns that the header describes, as views of the file's numbers."""
    groups, place = [], 0
    for group in described:
        columns = {}
        for name in group["names"]:
            columns[name] = numbers[place : place + group["rows"]]
            place += group["rows"]
        groups.append(columns)
    return groups
