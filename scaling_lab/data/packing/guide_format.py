"""The guide's layout: `{train,val,test}/data.json`, records of `{"midi_path": str, "abc": str, "tokens": [int, …]}`.

Reading trusts nothing: a record that can't serve is left out and counted by reason, and a file with more than 1 % of
such records is refused. `midi_path` and `abc` are optional.
"""

import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, compress
from pathlib import Path

import numpy as np
import orjson

from scaling_lab.data.packing.digits import read_ids
from scaling_lab.data.packing.json_stream import BROKEN, Record, parsed, read_records
from scaling_lab.errors import DataError
from scaling_lab.files import leads_nowhere, written_whole

SPLITS = ("train", "val", "test")
MAX_SKIPPED_FRACTION = 0.01
MAX_TOKEN_ID = 2**31 - 1
# Documents are handed on in blocks of about this much text of tokens, and of at most so many documents: with less the
# calls of numpy take longer than their work, with more the arrays of a block don't stay in the processor's cache.
BLOCK_BYTES = 1 << 19
BLOCK_DOCUMENTS = 4096
# Of the records that are left out the first few are remembered with their place.
LEFT_OUT_NAMED = 5
# Tunes from there may not be trained on; who brings them should know.
THESESSION = "thesession.org"

_THESESSION = THESESSION.encode()
_FOLDERS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_FILES = ("data.json", "data.jsonl", "data.json.gz", "data.jsonl.gz")
_TEXTS = ("abc", "midi_path")
_JSON_TYPES = {bool: "a boolean", float: "a fraction", str: "a string", list: "a list", dict: "an object"}

# A list of tokens with nothing in it but digits, commas and white space: left as text, for numpy to read.
_PLAIN_TOKENS = re.compile(rb'"tokens"\s*:\s*(\[\s*[0-9][0-9, \t\r\n]*+\])')
# What stands for that list while the rest of its record is parsed. Nobody can have written it into a file: so where the
# record's own tokens are this, the list was theirs, and none inside another value.
_STAND_IN = secrets.token_hex(8)
_STAND_IN_TEXT = b'"' + _STAND_IN.encode() + b'"'


@dataclass(frozen=True, slots=True)
class Document:
    """One document to be written. `tokens` are ids, at least one, each from 0 to 2^31 - 1."""

    tokens: list[int]
    abc: str | None = None
    midi_path: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Some documents of a file, in order.

    Attributes:
        ids: (n_ids,) uint32, those of all documents end to end, each from 0 to 2^31 - 1.
        bounds: (n_documents + 1,) int64: document i is ids[bounds[i]:bounds[i + 1]], one id at least.
        abc: the text of each, None where it has none.
        midi_path: where each came from, None where that is not said.
    """

    ids: np.ndarray
    bounds: np.ndarray
    abc: list[str | None]
    midi_path: list[str | None]

    def __len__(self) -> int:
        return len(self.abc)


@dataclass(frozen=True, slots=True)
class LeftOutRecord:
    """A record that can't serve: its number in the file from 1, the byte it begins at, and why."""

    number: int
    byte: int
    reason: str


@dataclass
class SplitReader:
    """The documents of one file, read once by iterating; afterwards the counts say what was left out.

    Documents come without the BOS and EOS that they may carry, if these ids are known.

    Raises `DataError` for an id at or above `vocab_size` (if that is known), naming file and record; at the end if
    there is no document, or if more than 1 % of records were left out; and what `read_records` raises.

    Attributes:
        frames: the pairs of first and last id seen, at most two of them: one pair alone looks like BOS and EOS.
        names_thesession: whether a record holds the name of thesession.org.
    """

    path: Path
    vocab_size: int | None = None
    bos_id: int | None = None
    eos_id: int | None = None
    records: int = 0
    largest_id: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    first_skipped: list[LeftOutRecord] = field(default_factory=list)
    frames: set[tuple[int, int]] = field(default_factory=set)
    names_thesession: bool = False

    def __iter__(self) -> Iterator[Block]:
        waiting: list[Record] = []
        n_bytes = 0
        for record in read_records(self.path, self._parsed):
            self.records += 1
            if reason := _fault(record.value):
                self._leave_out(record, reason)
                continue
            waiting.append(record)
            n_bytes += len(record.value["tokens"])
            if n_bytes >= BLOCK_BYTES or len(waiting) == BLOCK_DOCUMENTS:
                yield from self._blocks(waiting)
                waiting, n_bytes = [], 0
        if waiting:
            yield from self._blocks(waiting)
        self._check_counts()

    def _parsed(self, text: bytes) -> object:
        """The value of a record, its tokens left as text where they are a plain list."""
        plain = _PLAIN_TOKENS.search(text)
        rest = text[: plain.start(1)] + _STAND_IN_TEXT + text[plain.end(1) :] if plain else text
        # The end of the name first, which is looked for in hardly any time: names of sites are spelled in any case.
        if not self.names_thesession and _THESESSION[4:] in rest and _THESESSION in rest.lower():
            self.names_thesession = True
        value = parsed(rest)
        if not plain or value is BROKEN:
            return value
        if not isinstance(value, dict) or value.get("tokens") != _STAND_IN:
            return parsed(text)
        value["tokens"] = plain[1]
        return value

    def _leave_out(self, record: Record, reason: str) -> None:
        self.skipped[reason] += 1
        if len(self.first_skipped) < LEFT_OUT_NAMED:
            self.first_skipped.append(LeftOutRecord(number=record.number, byte=record.byte, reason=reason))

    def _blocks(self, records: list[Record]) -> Iterator[Block]:
        """The documents of some records: one block, or none if no record can serve."""
        tokens = [record.value["tokens"] for record in records]
        plain = all(isinstance(text, bytes) for text in tokens)
        read = read_ids([text[1:-1] for text in tokens]) if plain else None
        if read is None:
            records, read = self._read_singly(records)
        if records:
            self._check_ids(records, *read)
            records, ids, bounds = self._without_frames(records, *read)
            if records:
                # An empty text is no text: a loss over no characters has no bits a character.
                abc, midi_path = ([record.value.get(name) or None for record in records] for name in _TEXTS)
                yield Block(ids, bounds, abc, midi_path)

    def _read_singly(self, records: list[Record]) -> tuple[list[Record], tuple[np.ndarray, np.ndarray]]:
        """Those of the records whose tokens can serve, and their ids and bounds, by a parser: it knows the reasons."""
        served, lists = [], []
        for record in records:
            tokens = record.value["tokens"]
            tokens = parsed(tokens) if isinstance(tokens, bytes) else tokens
            if reason := "not JSON" if tokens is BROKEN else _fault_of_tokens(tokens):
                self._leave_out(record, reason)
            else:
                served.append(record)
                lists.append(tokens)
        bounds = np.cumsum([0, *map(len, lists)])
        return served, (np.fromiter(chain.from_iterable(lists), dtype=np.uint32, count=bounds[-1]), bounds)

    def _check_ids(self, records: list[Record], ids: np.ndarray, bounds: np.ndarray) -> None:
        largest = int(ids.max())
        self.largest_id = max(self.largest_id, largest)
        if self.vocab_size is not None and largest >= self.vocab_size:
            beyond = int(np.argmax(ids >= self.vocab_size))
            record = records[int(np.searchsorted(bounds, beyond, side="right")) - 1]
            path = record.value.get("midi_path")
            named = f" ({path})" if path else ""
            raise DataError(
                f"{self.path}: record {record.number:,}{named} at byte {record.byte:,}: token id {ids[beyond]:,} is "
                f"not below the vocabulary size {self.vocab_size:,}; give the vocab_size of the tokenizer that made it"
            )

    def _without_frames(
        self, records: list[Record], ids: np.ndarray, bounds: np.ndarray
    ) -> tuple[list[Record], np.ndarray, np.ndarray]:
        """Every document gets one pair of BOS and EOS when it is packed: so none is to bring one."""
        first, last = ids[bounds[:-1]], ids[bounds[1:] - 1]
        if len(self.frames) < 2:
            self.frames.update(list(dict.fromkeys(zip(first.tolist(), last.tolist(), strict=True)))[:2])
        inner = np.ones(len(ids), dtype=bool)
        if self.bos_id is not None:
            inner[bounds[:-1][first == self.bos_id]] = False
        if self.eos_id is not None:
            inner[bounds[1:][last == self.eos_id] - 1] = False
        lengths = np.add.reduceat(inner, bounds[:-1], dtype=np.int64)
        for index in np.flatnonzero(lengths == 0):
            self._leave_out(records[index], "nothing between BOS and EOS")
        records = list(compress(records, lengths))
        return records, ids[inner], np.concatenate([[0], np.cumsum(lengths[lengths > 0])])

    def _check_counts(self) -> None:
        skipped = self.skipped.total()
        if skipped > MAX_SKIPPED_FRACTION * self.records:
            reasons = ", ".join(f"{reason}: {count:,}" for reason, count in self.skipped.most_common())
            first = self.first_skipped[0]
            raise DataError(
                f"{self.path}: {skipped:,} of {self.records:,} records can't be used ({reasons}), the first of them "
                f"record {first.number:,} at byte {first.byte:,}; at most {MAX_SKIPPED_FRACTION:.0%} may be left out"
            )
        if not self.records:
            raise DataError(f"{self.path}: there is no document in it")


def find_splits(directory: Path) -> dict[str, Path]:
    """The file of each split in `directory`, keyed train, val, test, those that exist.

    Raises `DataError` without a training split, where two files claim to be one split, or where what bears a split's
    name leads nowhere.
    """
    if not directory.is_dir():
        raise DataError(f"{directory}: there is no such folder; give the one that holds train/data.json")
    found = {
        split: [
            path
            for folder in folders
            if not is_missing(directory / folder)
            for name in _FILES
            if is_file_there(path := directory / folder / name)
        ]
        for split, folders in _FOLDERS.items()
    }
    for split, paths in found.items():
        if len(paths) > 1:
            both = " and ".join(str(path.relative_to(directory)) for path in paths)
            raise DataError(f"{directory}: both {both} claim to be the {split} split; keep one")
    if not found["train"]:
        raise DataError(f"{directory}: there is no train/data.json (or .jsonl, or either with .gz)")
    return {split: paths[0] for split, paths in found.items() if paths}


def is_file_there(path: Path) -> bool:
    """Whether the data have such a file. Raises `DataError` where its name is there and no file: it isn't left out."""
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is no file, and the data would be others without it; put the file there")
    return not is_missing(path)


def is_missing(path: Path) -> bool:
    """Whether nothing is there. Raises `DataError` for a link that leads nowhere: of a disk that isn't mounted, say."""
    if leads_nowhere(path):
        raise DataError(
            f"{path}: is a link that leads nowhere, and the data would be others without it; mend it, or remove it"
        )
    return not path.exists()


def write_jsonl(path: Path, documents: Iterable[Document]) -> None:
    """Write documents as JSONL, whole or not at all; the same documents give the same bytes."""
    with written_whole(path) as stream:
        for document in documents:
            record = {"midi_path": document.midi_path, "abc": document.abc, "tokens": document.tokens}
            present = {name: value for name, value in record.items() if value is not None}
            stream.write(orjson.dumps(present, option=orjson.OPT_APPEND_NEWLINE))


def _fault(value: object) -> str:
    """What is wrong with a parsed record; empty if nothing is, but for what may be in tokens that are still text."""
    if value is BROKEN:
        return "not JSON"
    if not isinstance(value, dict):
        return "record is not an object"
    for name in _TEXTS:
        text = value.get(name)
        if text is not None and not isinstance(text, str):
            return f"{name} is not a string"
    tokens = value.get("tokens")
    return "" if isinstance(tokens, bytes) else _fault_of_tokens(tokens)


def _fault_of_tokens(tokens: object) -> str:
    """What is wrong with the tokens of a record; empty if nothing is."""
    if tokens is None:
        return "no tokens"
    if not isinstance(tokens, list):
        return "tokens is not a list"
    if not tokens:
        return "tokens is empty"
    # bool is an int to Python: only the exact type tells true from 1.
    types = set(map(type, tokens)) - {int}
    if types:
        return f"a token is {min(_JSON_TYPES.get(type_, 'null') for type_ in types)}"
    if min(tokens) < 0:
        return "a token is negative"
    return "a token is above 2^31 - 1" if max(tokens) > MAX_TOKEN_ID else ""
