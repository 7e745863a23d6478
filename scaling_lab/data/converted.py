"""The tunes of a source in canonical text, on disk: what was converted once is not converted again.

An interrupted preparation goes on after its last whole piece of work, if the source and this program are the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import orjson

from scaling_lab.data.conversion import tools
from scaling_lab.data.conversion.items import items
from scaling_lab.data.conversion.work import Outcome
from scaling_lab.data.sources.source import Source

# Below this, starting processes takes longer than the work.
_ALONE_BYTES = 4 << 20


@dataclass(frozen=True)
class ConversionStatus:
    """How far a conversion is."""

    n_files: int
    n_files_done: int
    n_tunes: int
    n_rejected: int


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
    """Convert a source by `workers` processes, keeping what is done in `folder`.

    Raises:
        DataError: if a program is missing that a format needs, or a file can't be read.
    """
    tools.require({file.format for file in source.files})
    path = folder / "converted.jsonl"
    done = _done(path, source)
    n_tunes = n_rejected = n_files_done = 0
    with path.open("ab") as stream:
        if not done:
            stream.truncate(0)
            stream.write(_identity(source))
        work_items = iter(items(source.files))
        before = list(islice(work_items, done))
        n_files_done += sum(item.ends_file for item in before)
        for item, results in _worked(work_items, source, workers):
            # One line a piece of work, written at once: a line is whole, or it is the last and cut off.
            stream.write(orjson.dumps([asdict(outcome) for outcome in results], option=orjson.OPT_APPEND_NEWLINE))
            stream.flush()
            n_files_done += item.ends_file
            n_tunes += len(results)
            n_rejected += sum(bool(outcome.reason) for outcome in results)
            watch(ConversionStatus(len(source.files), n_files_done, n_tunes, n_rejected))
    return Converted(path)
