"""Pieces of work: stretches of tunes out of tunebooks and records, and single files of other formats.

A tunebook or a file of records may be of any size; it is read once, in order, and cut into pieces of a few hundred
tunes, so that memory doesn't grow with it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scaling_lab.data.packing.guide_format import MAX_SKIPPED_FRACTION
from scaling_lab.data.packing.json_stream import BROKEN, read_records
from scaling_lab.data.sources.licences import refuse_record
from scaling_lab.data.sources.source import MusicFile
from scaling_lab.errors import DataError
from scaling_lab.music.abc import split_tunes

ITEM_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class Tune:
    """A tune as it was found: ABC, or the path of a file that becomes ABC. `place` is its name in the source."""

    place: str
    content: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """Tunes of one file, all of one format; `ends_file` of its last ones."""

    format: str
    split: str | None
    tunes: tuple[Tune, ...]
    ends_file: bool = True


def items(files: Iterable[MusicFile]) -> Iterator[Item]:
    """All work of a source, in its order. Raises `DataError` as `read_records` does, or where records can't serve."""
    for file in files:
        if file.format in ("midi", "musicxml"):
            yield Item(file.format, file.split, (Tune(file.place, str(file.path.resolve())),))
            continue
        yield from _stretches(file, _tunes(file) if file.format == "abc" else _records(file))


def decode_text(raw: bytes) -> str:
    """Bytes of a text file as text: UTF-8, with or without a byte order mark, else Latin-1, as old tunebooks are.

    Latin-1 has a character for every byte, so this never fails; line ends become newlines.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _stretches(file: MusicFile, tunes: Iterable[Tune]) -> Iterator[Item]:
    held: list[Tune] = []
    size = 0
    for tune in tunes:
        held.append(tune)
        size += len(tune.content)
        if size > ITEM_CHARACTERS:
            yield Item("abc", file.split, tuple(held), ends_file=False)
            held, size = [], 0
    yield Item("abc", file.split, tuple(held))


def _tunes(file: MusicFile) -> Iterator[Tune]:
    try:
        text = decode_text(file.path.read_bytes())
    except OSError as error:
        raise DataError(f"{file.path}: can't be read: {error.strerror}") from error
    for number, tune in enumerate(split_tunes(text), start=1):
        yield Tune(f"{file.place}#{number}", tune)


def _records(file: MusicFile) -> Iterator[Tune]:
    """The texts of records, each under `abc`."""
    number = faults = 0
    for record in read_records(file.path):
        number += 1
        refuse_record(file.path, record.value)
        text = record.value.get("abc") if isinstance(record.value, dict) else None
        fault = ""
        if not isinstance(text, str) or not text:
            fault = "not JSON" if record.value is BROKEN else "a record without abc"
            faults += 1
        yield Tune(f"{file.place}#{record.number}", text if isinstance(text, str) else "", fault)
    if faults > MAX_SKIPPED_FRACTION * number:
        raise DataError(
            f"{file.path}: {faults:,} of {number:,} records have no text under `abc`, which preparing reads; for "
            "tokens alone, train on the folder as it is (data.dir)"
        )
