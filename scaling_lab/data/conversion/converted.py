"""The tunes of a source in canonical text, on disk: what was converted once is not converted again.

An interrupted conversion goes on after its last whole piece of work, if the source and this program are the same.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import orjson

from scaling_lab.data.conversion import tools
from scaling_lab.data.conversion.items import Item, items
from scaling_lab.data.conversion.pool import in_order
from scaling_lab.data.conversion.work import Outcome, work
from scaling_lab.data.packing.manifest import PIPELINE_VERSION
from scaling_lab.data.sources.source import Source

_FILE = "converted.jsonl"
# Of formats that are text already, so little is converted sooner than processes are started for it.
_ALONE_BYTES = 4 << 20


@dataclass
class ConversionStatus:
    """How far a conversion is."""

    n_files: int
    n_files_done: int = 0
    n_tunes: int = 0
    n_rejected: int = 0


class Converted:
    """The outcomes of all tunes of a source, in its order, read from disk as often as need be."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Outcome]:
        with self._path.open("rb") as stream:
            next(stream)
            for line in stream:
                yield from (Outcome(**outcome) for outcome in orjson.loads(line))


def convert(source: Source, folder: Path, workers: int, watch: Callable[[ConversionStatus], None]) -> Converted:
    """Convert a source by `workers` processes, keeping what is done in `folder`, where an earlier one goes on.

    Raises:
        DataError: if a program is missing that a format needs, or a file can't be read.
    """
    tools.require({file.format for file in source.files})
    path = folder / _FILE
    opening = _identity(source)
    status = ConversionStatus(len(source.files))
    done = _recovered(path, opening, status)
    with path.open("ab") as stream:
        if stream.tell() == 0:
            stream.write(opening)
        to_do = items(source.files)
        status.n_files_done += sum(item.ends_file for item in islice(to_do, done))
        for item, outcomes in _worked(to_do, source, workers):
            # One line a piece of work, written at once: a line is whole, or it is the last and cut off.
            stream.write(orjson.dumps([asdict(outcome) for outcome in outcomes], option=orjson.OPT_APPEND_NEWLINE))
            stream.flush()
            status.n_files_done += item.ends_file
            _count(outcomes, status)
            watch(status)
    return Converted(path)


def _identity(source: Source) -> bytes:
    """The first line of the file: what decides all that follows. Files are known by size and time of change."""
    digest = hashlib.sha256()
    for file in source.files:
        stat = file.path.stat()
        digest.update(
            f"{file.path} {file.place} {file.format} {file.split} {stat.st_size} {stat.st_mtime_ns}\n".encode()
        )
    content = {"pipeline_version": PIPELINE_VERSION, "files": digest.hexdigest()}
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def _recovered(path: Path, opening: bytes, status: ConversionStatus) -> int:
    """Pieces of work that `path` holds whole, counted into `status`; what else is in it is cut off."""
    done = 0
    with path.open("a+b") as stream:
        stream.seek(0)
        whole = 0
        if stream.readline() == opening:
            whole = stream.tell()
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                done += 1
                _count([Outcome(**outcome) for outcome in orjson.loads(line)], status)
        stream.truncate(whole)
    return done


def _count(outcomes: list[Outcome], status: ConversionStatus) -> None:
    status.n_tunes += len(outcomes)
    status.n_rejected += sum(bool(outcome.reason) for outcome in outcomes)


def _worked(to_do: Iterator[Item], source: Source, workers: int) -> Iterator[tuple[Item, list[Outcome]]]:
    is_text = {file.format for file in source.files} <= {"abc", "jsonl"}
    if is_text and source.bytes() < _ALONE_BYTES:
        return ((item, work(item)) for item in to_do)
    return in_order(to_do, workers)
