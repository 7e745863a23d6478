"""Records of a JSON array or of JSONL, one by one, in memory that does not grow with the file.

`json.load` takes 875 MB of memory for an array of 146 MB. Here an object of an array ends at the first `}` before a
comma or the array's end, if it parses up to there, which is exact, since no proper beginning of an object is an object;
where that fails (a brace inside a string, an object in an object, broken JSON) the brackets are counted. No byte is
looked at more than a few times, whatever the file holds.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from scaling_lab.errors import DataError

CHUNK_BYTES = 1 << 20
MAX_RECORD_BYTES = 16 << 20

BROKEN = object()
"""Stands for a record whose extent is known, but which is not JSON."""

_BOM = b"\xef\xbb\xbf"
_OBJECT_END = re.compile(rb"\}(?=\s*[,\]])")
_NOT_SPACE = re.compile(rb"[^ \t\r\n]")
_SCALAR_END = re.compile(rb"[,\]\s]")
_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?P<closed>"?)|[\[{\]}]', re.DOTALL)


Parse = Callable[[bytes], object]
"""Makes of JSON text its value, or BROKEN."""


class Record(NamedTuple):
    """One record: its number in the file from 1, the byte it begins at (after unpacking), and its value or BROKEN."""

    number: int
    byte: int
    value: Any


def parsed(text: bytes) -> object:
    """The value of JSON text, or BROKEN."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return BROKEN


def read_records(path: Path, parse: Parse = parsed) -> Iterator[Record]:
    """Records of `path`: array or JSONL by its first byte that is not white space, whatever its name; gzip by content.

    `parse` makes the value of a record; it must give BROKEN for what is not one whole JSON value. Blank lines and a
    byte order mark are passed over. Raises `DataError`, naming the byte, where the file is neither, can't be read, is
    cut off, or holds a record of more than 16 MiB.
    """
    with _opened(path) as stream:
        window = _Window(path, stream)
        first = window.next_byte()
        if first == b"[":
            yield from _array(window, parse)
        elif first == b"{":
            yield from _lines(window, parse)
        elif first:
            raise DataError(
                f"{path}: byte {window.byte:,}: begins with {first!r}, so it is neither a JSON array nor JSONL in UTF-8"
            )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            try:
                yield gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[misc]
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise DataError(
                    f"{path}: broken gzip, at byte {raw.tell():,} or before ({error}); copy it again"
                ) from error
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from error


class _Window:
    """The part of a stream in sight: grows at its end as more is asked for, and forgets what lies behind `at`."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path = path
        self.data = stream.read(CHUNK_BYTES)
        self.at = len(_BOM) if self.data.startswith(_BOM) else 0
        self.ended = False
        self._stream = stream
        self._forgotten = 0

    @property
    def byte(self) -> int:
        """Where in the file `at` is."""
        return self._forgotten + self.at

    def grow(self) -> bool:
        """See further; False at the end of the file. Twice as far each time, so that rescanning stays linear."""
        rest = self.data[self.at :]
        if len(rest) > MAX_RECORD_BYTES:
            raise DataError(
                f"{self.path}: byte {self.byte:,}: a record of more than {MAX_RECORD_BYTES >> 20} MiB begins here; "
                "is there one document a record?"
            )
        more = self._stream.read(max(CHUNK_BYTES, len(rest)))
        self._forgotten += self.at
        self.data, self.at, self.ended = rest + more, 0, not more
        return bool(more)

    def next_byte(self) -> bytes:
        """Move to the next byte that is not white space and return it; empty at the end of the file."""
        while True:
            found = _NOT_SPACE.search(self.data, self.at)
            if found:
                self.at = found.start()
                return found[0]
            self.at = len(self.data)
            if not self.grow():
                return b""

    def cut_off(self, what: str) -> DataError:
        """The error of a file that ends inside `what`, which begins at `at`."""
        end = self._forgotten + len(self.data)
        return DataError(
            f"{self.path}: cut off at byte {end:,}, inside {what} that begins at byte {self.byte:,}; "
            "the file is not whole: copy or write it again"
        )


def _lines(window: _Window, parse: Parse) -> Iterator[Record]:
    number = 0
    while window.next_byte():
        number += 1
        end = window.data.find(b"\n", window.at)
        while end < 0 and window.grow():
            end = window.data.find(b"\n", window.at)
        line = window.data[window.at : end if end >= 0 else None]
        value = parse(line)
        if value is BROKEN and end < 0 and _value_end(line, 0) is None:
            raise window.cut_off(f"record {number:,}")
        yield Record(number, window.byte, value)
        window.at += len(line)


def _array(window: _Window, parse: Parse) -> Iterator[Record]:
    start = window.byte
    window.at += 1
    number = 0
    following = window.next_byte()
    while following != b"]":
        if not following:
            raise window.cut_off(f"the array (begun at byte {start:,}) after record {number:,}, in white space")
        number += 1
        byte = window.byte
        yield Record(number, byte, _element(window, number, parse))
        following = window.next_byte()
        if following == b",":
            window.at += 1
            following = window.next_byte()
        elif following not in (b"]", b""):
            raise DataError(f"{window.path}: byte {window.byte:,}: {following!r} after record {number:,} of an array")
    window.at += 1
    if window.next_byte():
        raise DataError(f"{window.path}: byte {window.byte:,}: something follows the end of the array")


def _element(window: _Window, number: int, parse: Parse) -> object:
    """The element of an array that begins at `window.at`, which is moved behind it."""
    if window.data[window.at] == ord("{"):
        found = _OBJECT_END.search(window.data, window.at)
        while found is None and window.grow():
            found = _OBJECT_END.search(window.data, window.at)
        value = parse(window.data[window.at : found.end()]) if found else BROKEN
        if found and value is not BROKEN:
            window.at = found.end()
            return value
    end = _value_end(window.data, window.at)
    while end is None:
        if not window.grow():
            raise window.cut_off(f"record {number:,}")
        end = _value_end(window.data, window.at)
    value = parse(window.data[window.at : end])
    window.at = end
    return value


def _value_end(data: bytes, start: int) -> int | None:
    """Where the JSON value that begins at `start` ends, by its brackets alone; None if `data` ends first."""
    if data[start] not in b'{["':
        found = _SCALAR_END.search(data, start)
        return found.start() if found else None
    depth = 0
    for symbol in _STRING_OR_BRACKET.finditer(data, start):
        kind = data[symbol.start()]
        if kind in b"{[":
            depth += 1
        elif kind in b"}]":
            depth -= 1
        elif not symbol["closed"]:
            return None
        if depth <= 0:
            return symbol.end()
    return None
