"""A run's folder: who may write in it, what it says of itself, and whether a new command may go on with it."""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from scaling_lab.config.identity import differences
from scaling_lab.errors import CheckpointError, UsageError
from scaling_lab.tracking.results import RESULTS_NAME, read_results, write_json


class RunFolder:
    """`outputs/<run>/`, held by one process at a time (use as a context)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self._lock: IO[str] | None = None

    def __enter__(self) -> "RunFolder":
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{self.path}: can't be written ({error.strerror}); give another --output-dir") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise CheckpointError(
                f"{self.path}: process {holder} is training this run; wait for it, or give another --name"
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._lock is not None
        self._lock.close()

    def results(self) -> dict[str, Any] | None:
        """What the run last wrote of itself, or None for a new one."""
        return read_results(self.path)

    def require_same(self, identity: Mapping[str, Any]) -> None:
        """Refuse to go on with a run that was another one.

        Raises:
            UsageError: naming the fields that differ.
        """
        before = (self.results() or {}).get("identity")
        if before is None:
            return
        differing = differences(before, dict(identity))
        if differing:
            raise UsageError(
                f"{self.path}: holds a run with other settings: {'; '.join(differing)}; "
                "give another --name or --output-dir, or remove the folder"
            )

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Replace training_results.json as a whole."""
        write_json(self.path / RESULTS_NAME, results)
