"""A run's folder: who may write in it, what it says of itself, and whether a new command may go on with it."""

import contextlib
import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from scaling_lab.config.identity import differences
from scaling_lab.errors import CheckpointError, UsageError
from scaling_lab.files import clear_unfinished, leads_nowhere, not_written
from scaling_lab.tracking.journal import JOURNAL_NAME
from scaling_lab.tracking.results import (
    BEST_MODEL_NAME,
    BEST_WEIGHTS_NAME,
    CONFIG_NAME,
    LOCK_NAME,
    METRICS_NAME,
    RESULTS_NAME,
    read_results,
    write_json,
)

_FILES = (CONFIG_NAME, JOURNAL_NAME, METRICS_NAME, RESULTS_NAME, BEST_MODEL_NAME, BEST_WEIGHTS_NAME)


class RunFolder:
    """`outputs/<run>/`, held by one process at a time (use as a context)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.trunk = path / "trunk"
        self._lock: IO[str] | None = None

    def __enter__(self) -> "RunFolder":
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._require_places()
            self._lock = (self.path / LOCK_NAME).open("a+", encoding="utf-8")
        except OSError as error:
            raise not_written(self.path, error, "give another --output-dir") from None
        if not self._locked():
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise CheckpointError(
                f"{self.path}: process {holder} is training this run; wait for it, or give another --name"
            )
        self._lock.truncate(0)
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same, it only names nobody
            os.write(self._lock.fileno(), f"{os.getpid()}\n".encode())
        clear_unfinished(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._lock is not None
        self._lock.close()

    def _require_places(self) -> None:
        """Refuse what can't hold what a run writes, before it trains for hours. Raises UsageError."""
        for folder in (self.checkpoints, self.trunk):
            if leads_nowhere(folder) or (folder.exists() and not folder.is_dir()):
                what = "a link that leads nowhere" if leads_nowhere(folder) else "a file"
                raise UsageError(f"{folder}: is {what}, and the run keeps checkpoints in a folder there; move it away")
        for name in _FILES:
            if (self.path / name).is_dir():
                raise UsageError(f"{self.path / name}: is a folder, and the run has a file of that name; move it away")

    def _locked(self) -> bool:
        """Take the lock, within a second: a study that only looks whether it is held has it for a moment."""
        assert self._lock is not None
        for wait_seconds in (0.1, 0.3, 0.6, 0.0):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(wait_seconds)
            else:
                return True
        return False

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
