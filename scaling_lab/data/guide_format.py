"""The guide's layout: `{train,val,test}/data.json`, records of `{"midi_path": str, "abc": str, "tokens": [int, …]}`.

Reading trusts nothing: a record that can't serve is left out and counted by reason, and a file with more than 1 % of
such records is refused. `midi_path` and `abc` are optional.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from scaling_lab.data.json_stream import BROKEN, read_records
from scaling_lab.errors import DataError
from scaling_lab.files import written_whole

SPLITS = ("train", "val", "test")
MAX_SKIPPED_FRACTION = 0.01
MAX_TOKEN_ID = 2**31 - 1

_FOLDERS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_FILES = ("data.json", "data.jsonl", "data.json.gz", "data.jsonl.gz")
_JSON_TYPES = {bool: "a boolean", float: "a fraction", str: "a string", list: "a list", dict: "an object"}


@dataclass(frozen=True, slots=True)
class Document:
    """One document. `tokens` are ids, at least one, each from 0 to 2^31 - 1."""

    tokens: list[int]
    abc: str | None = None
    midi_path: str | None = None


@dataclass
class SplitReader:
    """The documents of one file, read once by iterating; afterwards the counts say what was left out.

    Raises `DataError` for an id at or above `vocab_size` (if that is known), naming file and record; at the end if
    there is no document, or if more than 1 % of records were left out; and what `read_records` raises.
    """

    path: Path
    vocab_size: int | None = None
    records: int = 0
    largest_id: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[Document]:
        for record in read_records(self.path):
            self.records += 1
            document = _document(record.value)
            if isinstance(document, str):
                self.skipped[document] += 1
                continue
            self._check_ids(document, record.number, record.byte)
            yield document
        self._check_counts()

    def _check_ids(self, document: Document, number: int, byte: int) -> None:
        largest = max(document.tokens)
        self.largest_id = max(self.largest_id, largest)
        if self.vocab_size is not None and largest >= self.vocab_size:
            named = f" ({document.midi_path})" if document.midi_path else ""
            raise DataError(
                f"{self.path}: record {number:,}{named} at byte {byte:,}: token id {largest:,} is not "
                f"below the vocabulary size {self.vocab_size:,}; give the vocab_size of the tokenizer that made it"
            )

    def _check_counts(self) -> None:
        skipped = self.skipped.total()
        if skipped > MAX_SKIPPED_FRACTION * self.records:
            reasons = ", ".join(f"{reason}: {count:,}" for reason, count in self.skipped.most_common())
            raise DataError(
                f"{self.path}: {skipped:,} of {self.records:,} records can't be used ({reasons}); "
                f"at most {MAX_SKIPPED_FRACTION:.0%} may be left out"
            )
        if not self.records:
            raise DataError(f"{self.path}: there is no document in it")


def find_splits(directory: Path) -> dict[str, Path]:
    """The file of each split in `directory`, keyed train, val, test, those that exist.

    Raises `DataError` without a training split, or where two files claim to be one split.
    """
    if not directory.is_dir():
        raise DataError(f"{directory}: there is no such folder; give the one that holds train/data.json")
    found = {
        split: [path for folder in folders for name in _FILES if (path := directory / folder / name).is_file()]
        for split, folders in _FOLDERS.items()
    }
    for split, paths in found.items():
        if len(paths) > 1:
            both = " and ".join(str(path.relative_to(directory)) for path in paths)
            raise DataError(f"{directory}: both {both} claim to be the {split} split; keep one")
    if not found["train"]:
        raise DataError(f"{directory}: there is no train/data.json (or .jsonl, or either with .gz)")
    return {split: paths[0] for split, paths in found.items() if paths}


def write_jsonl(path: Path, documents: Iterable[Document]) -> None:
    """Write documents as JSONL, whole or not at all; the same documents give the same bytes."""
    with written_whole(path) as stream:
        for document in documents:
            record = {"midi_path": document.midi_path, "abc": document.abc, "tokens": document.tokens}
            present = {name: value for name, value in record.items() if value is not None}
            stream.write(orjson.dumps(present, option=orjson.OPT_APPEND_NEWLINE))


def _document(value: object) -> Document | str:
    """The document in a parsed record, or the reason why there is none."""
    if value is BROKEN:
        return "not JSON"
    if not isinstance(value, dict):
        return "record is not an object"
    for name in ("abc", "midi_path"):
        if not isinstance(value.get(name), str | None):
            return f"{name} is not a string"
    reason = _fault_of_tokens(value.get("tokens"))
    # An empty text is no text: a loss over no characters has no bits a character.
    return reason or Document(value["tokens"], value.get("abc") or None, value.get("midi_path") or None)


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
