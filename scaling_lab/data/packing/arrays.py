"""Second half of packing: the documents of one split out of a spool and into the arrays that training reads."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from scaling_lab.data.packing.manifest import Ids, PackedCounts
from scaling_lab.data.packing.spool import NO_TEXT, Spool
from scaling_lab.files import written_whole

OFFSET = np.dtype("<i8")


def tokens_file(folder: Path, split: str) -> Path:
    """Where the ids of a split lie."""
    return folder / f"{split}.tokens.npy"


def offsets_file(folder: Path, split: str) -> Path:
    """Where the bounds of a split's documents lie."""
    return folder / f"{split}.offsets.npy"


def token_dtype(ids: Ids) -> np.dtype:
    """What a token takes: two bytes, or four in a large vocabulary."""
    assert ids.vocab_size is not None
    return np.dtype("<u2" if ids.vocab_size <= 2**16 else "<u4")


def is_as_written(path: Path, dtype: np.dtype, length: int, sha256: str) -> bool:
    """Whether a file holds the array that was written there: so many entries of that kind, and of that digest.

    Raises OSError, ValueError or EOFError where it can't be read.
    """
    with path.open("rb") as stream:  # not as a memory map: its pages would count as this process's memory
        np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0(stream)
        return header == ((length,), False, dtype) and hashlib.file_digest(stream, "sha256").hexdigest() == sha256


@dataclass
class Selection:
    """The documents of a spool that make up one split: those that `splits`, (documents,) uint8, gives its number."""

    spool: Spool
    splits: np.ndarray
    number: int
    unique_tokens: int = 0
    removed_duplicates: int = 0

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Facts and ids of the split's documents, some at a time, as `Spool.blocks` gives those of all."""
        begin = 0
        for facts, ids in self.spool.blocks():
            kept = self.splits[begin : begin + len(facts)] == self.number
            begin += len(facts)
            if kept.all():
                yield facts, ids
            elif kept.any():
                yield facts[kept], ids[np.repeat(kept, facts["length"])]

    @property
    def n_documents(self) -> int:
        """Documents of the split."""
        return int((self.splits == self.number).sum())


def write_split(folder: Path, split: str, selection: Selection, ids: Ids) -> PackedCounts:
    """Write the arrays of one split, reading its documents from the spool a block at a time."""
    dtype = token_dtype(ids)
    frame = np.array([ids.bos_id, ids.eos_id], dtype=dtype)
    n_documents = selection.n_documents
    n_tokens, texts = _measures(selection)
    with (
        written_whole(tokens_file(folder, split)) as tokens_stream,
        written_whole(offsets_file(folder, split)) as offsets_stream,
    ):
        tokens = _ArrayWriter(tokens_stream, dtype, n_tokens)
        offsets = _ArrayWriter(offsets_stream, OFFSET, n_documents + 1)
        offsets.append(np.zeros(1, dtype=OFFSET))
        begin = 0
        for facts, inner in selection.blocks():
            ends = np.cumsum(facts["length"], dtype=np.int64)
            places = np.column_stack([ends - facts["length"], ends]).ravel()
            tokens.append(np.insert(inner.astype(dtype), places, np.tile(frame, len(facts))))
            offsets.append(begin + ends + 2 * np.arange(1, len(facts) + 1))
            begin += int(ends[-1]) + 2 * len(facts)
    # A split that was drawn from the training file has no file of its own, and no records that it could lack.
    reader = selection.spool.reader if selection.spool.path.stem == split else None
    return PackedCounts(
        documents=n_documents,
        tokens=n_tokens,
        unique_tokens=selection.unique_tokens,
        characters=texts["characters"],
        bytes=texts["bytes"],
        notes=texts["notes"],
        skipped=dict(reader.skipped) if reader else {},
        first_skipped=reader.first_skipped if reader else [],
        removed_duplicates=selection.removed_duplicates,
        tokens_sha256=tokens.digest.hexdigest(),
        offsets_sha256=offsets.digest.hexdigest(),
    )


def _measures(selection: Selection) -> tuple[int, dict[str, int | None]]:
    """Tokens of a split, BOS and EOS included, and what its texts measure; None where that of a document is unknown."""
    n_tokens = 0
    sums = dict.fromkeys(("characters", "bytes", "notes"), 0)
    unknown = set()
    begin = 0
    for facts in selection.spool.facts():
        own = facts[selection.splits[begin : begin + len(facts)] == selection.number]
        begin += len(facts)
        n_tokens += int(own["length"].sum(dtype=np.int64)) + 2 * len(own)
        unknown |= {name for name in sums if (own[name] == NO_TEXT).any()}
        for name in sums:
            sums[name] += int(own[name].sum(dtype=np.int64))
    return n_tokens, {name: None if name in unknown else total for name, total in sums.items()}


class _ArrayWriter:
    """Writes a .npy file of a known length a piece at a time."""

    def __init__(self, stream: BinaryIO, dtype: np.dtype, length: int) -> None:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
        np.lib.format.write_array_header_1_0(stream, header)
        self.digest = hashlib.sha256()
        self._stream = stream
        self._dtype = dtype

    def append(self, part: np.ndarray) -> None:
        """Write the next entries."""
        raw = part.astype(self._dtype, copy=False).tobytes()
        self.digest.update(raw)
        self._stream.write(raw)
