"""The journal: `metrics.jsonl`, one JSON object a line, the truth of what a run did. W&B is its mirror.

The first line is a header with the schema version; every other line is a row of metrics, kept with the names of
`scaling_lab.tracking.metrics`. A row is written with one unbuffered write, so a killed process loses none; `sync` makes
them safe from a power cut, and is called with every checkpoint. What a full disk doesn't take waits in memory. NaN and
infinity are the bare tokens that Python's json reads and writes.

A run that was killed does the steps since its checkpoint again, to the same numbers. Their rows stand as they were
first written: W&B may hold them already, and takes no second one.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from scaling_lab.errors import CheckpointError
from scaling_lab.files import written_whole
from scaling_lab.tracking.metrics import TRAIN_STEP, VAL_LOSS
from scaling_lab.tracking.results import TRAIN_ANEW

JOURNAL_NAME = "metrics.jsonl"
SCHEMA_VERSION = 1

Row = dict[str, Any]


class Journal:
    """A run's journal, open for appending."""

    def __init__(self, path: Path, last_step: int = 0) -> None:
        """Open `path` to go on after `last_step`, that of the checkpoint.

        Raises:
            CheckpointError: if rows up to `last_step` should be there and are not.
        """
        self.path = path
        kept = list(read_journal(path)) if path.exists() else []
        if last_step and max((row[TRAIN_STEP] for row in kept), default=0) < last_step:
            raise CheckpointError(
                f"{path}: the checkpoint is at step {last_step}, and the journal's rows end before; "
                "give the run another --name, or remove its folder to begin again"
            )
        write_journal(path, kept)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        # Bytes that the disk has not taken yet.
        self._waiting = b""
        self._ahead = {_place(row) for row in kept if row[TRAIN_STEP] >= last_step}

    def append(self, row: Row) -> bool:
        """Write one row, unless it is there; True for one that wasn't.

        It is in the operating system's hands when this returns; what a full disk doesn't take goes before the next row.
        """
        if self._ahead and _place(row) in self._ahead:
            return False
        self._waiting += _line(row)
        with contextlib.suppress(OSError):  # `sync` tells of it, before anything is built on the rows
            self._write()
        return True

    def sync(self) -> None:
        """Make every row so far safe from a power cut.

        Raises:
            OSError: if the disk doesn't take them.
        """
        while self._waiting:
            self._write()
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Sync and close; nothing may be appended after.

        Raises:
            OSError: if the disk doesn't take the last rows.
        """
        try:
            self.sync()
        finally:
            os.close(self._descriptor)

    def _write(self) -> None:
        """Hand on what waits; of a disk that is nearly full, it may be that it takes only a part."""
        try:
            written = os.write(self._descriptor, self._waiting)
        except OSError as error:
            error.filename = str(self.path)
            raise
        self._waiting = self._waiting[written:]


def _place(row: Row) -> tuple[int, bool]:
    """A row's step, and whether it is an evaluation's; no two rows share both."""
    return row[TRAIN_STEP], VAL_LOSS in row


def _line(row: Row) -> bytes:
    line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    # A null may have been NaN or infinity, which JSON proper lacks. Python's json keeps them, in five times the time.
    return line if b"null" not in line else json.dumps(row).encode() + b"\n"


def _row(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:  # NaN and infinity are in it, or it is damaged, which Python's json says in words
        return json.loads(line)


def write_journal(path: Path, rows: Iterable[Row]) -> None:
    """Put a journal of these rows in place of what is there, whole or not at all."""
    header = {"schema_version": SCHEMA_VERSION}
    with written_whole(path) as stream:
        stream.writelines(_line(row) for row in [header, *rows])


def last_row(path: Path) -> Row:
    """What the last lines of a journal say together, read from its end; nothing while there are none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = file.read().splitlines()
    except OSError:
        return {}
    row: Row = {}
    for line in lines[-3:]:
        with contextlib.suppress(ValueError, TypeError, RecursionError):  # of one that is cut at either end
            row |= _row(line)
    return row


def ends_early(path: Path, n_steps: object) -> bool:
    """Whether a journal has rows, none of them of the last of `n_steps`: of a run that is complete, some are lost."""
    step = last_row(path).get(TRAIN_STEP)
    return isinstance(step, int) and isinstance(n_steps, int) and step < n_steps


def read_journal(path: Path) -> Iterator[Row]:
    """Rows of a journal in order. A last line cut short (a write that the machine's end interrupted) is left out.

    Raises:
        CheckpointError: if it can't be read, a line other than the last is damaged, or the schema is a later one.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read ({error.strerror}); put the run's journal there") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _row(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):  # no line break followed: the write never ended
                return
            raise CheckpointError(f"{path}:{number}: not a row of JSON ({error}); mend it, or {TRAIN_ANEW}") from error
        if not isinstance(row, dict) or not row.keys() & {TRAIN_STEP, "schema_version"}:
            raise CheckpointError(f"{path}:{number}: a line without {TRAIN_STEP}; mend it, or {TRAIN_ANEW}")
        if "schema_version" in row:
            if not isinstance(row["schema_version"], int):
                raise CheckpointError(f"{path}:{number}: schema_version is no whole number; mend it, or {TRAIN_ANEW}")
            if row["schema_version"] > SCHEMA_VERSION:
                raise CheckpointError(
                    f"{path}: written by a later scaling-lab (schema {row['schema_version']}); upgrade to read it"
                )
            continue
        yield row
