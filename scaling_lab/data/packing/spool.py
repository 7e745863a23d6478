"""First half of packing: a split's documents copied out of JSON into flat files, and looked at on the way.

What ids mean is known only when all splits are read (a dataset without meta.json), and which documents stay only when
the others are (duplicates between splits). So ids go to one file and what is to be remembered of a document to another,
forty bytes each: a corpus of millions of short documents takes no more memory than one of a few long ones.
"""

from __future__ import annotations  # array[int] can be evaluated only from Python 3.12

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from scaling_lab.data.packing.guide_format import Block, SplitReader
from scaling_lab.data.packing.manifest import Ids
from scaling_lab.data.splits import VAL_SHARE, draw
from scaling_lab.music.abc import count_notes

NO_TEXT = -1

_ID = np.dtype("<u4")
# What is remembered of a document. digest: BLAKE2b of its ids, 16 bytes. draw: where it falls between 0 and 1, by its
# group. characters, bytes (UTF-8) and notes of its text, -1 where it has none, or where nobody will ask.
FACTS = np.dtype(
    [
        ("digest", "<u8", 2),
        ("draw", "<f8"),
        ("length", "<u4"),
        ("characters", "<i4"),
        ("bytes", "<i4"),
        ("notes", "<i4"),
    ]
)


class Role(Enum):
    """What a file's documents can become: training documents, held-out ones, or either, by their draw."""

    TRAIN = "train"
    HELD_OUT = "held out"
    EITHER = "either"


@dataclass
class Spool:
    """The documents of one split file, in order, without BOS and EOS.

    Attributes:
        path: the file of ids; that of facts lies beside it.
        role: decides what is remembered of a document.
        sizes: documents in each block.
        n_documents: documents in all.
        least_draw: the least draw of all, 1 before there is one.
        reader: what was read and left out.
    """

    path: Path
    role: Role
    reader: SplitReader
    sizes: array[int] = field(default_factory=lambda: array("q"))
    n_documents: int = 0
    least_draw: float = 1.0

    def facts(self) -> Iterator[np.ndarray]:
        """The facts of all documents, in blocks of (n,) FACTS, read from disk as they are asked for."""
        with self._facts_path.open("rb") as stream:
            for size in self.sizes:
                yield np.fromfile(stream, FACTS, size)

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The same blocks with their ids: (n,) FACTS, and (n_ids,) uint32, all documents end to end."""
        with self.path.open("rb") as stream:
            for facts in self.facts():
                yield facts, np.fromfile(stream, _ID, int(facts["length"].sum()))

    def remove(self) -> None:
        """Remove the files."""
        self.path.unlink()
        self._facts_path.unlink()

    def fill(self) -> None:
        """Read all documents into the files. Raises `DataError` as `SplitReader` does."""
        with self.path.open("wb") as ids, self._facts_path.open("wb") as facts:
            for block in self.reader:
                self._add(block, ids, facts)

    @property
    def _facts_path(self) -> Path:
        return self.path.with_suffix(".facts")

    def _add(self, block: Block, ids: BinaryIO, facts: BinaryIO) -> None:
        raw = memoryview(block.ids.astype(_ID, copy=False).tobytes())
        ends = (_ID.itemsize * block.bounds).tolist()
        digests = [hashlib.blake2b(raw[begin:end], digest_size=16).digest() for begin, end in pairwise(ends)]
        rows = np.empty(len(block), FACTS)
        rows["digest"] = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)
        rows["length"] = np.diff(block.bounds)
        rows["characters"] = [len(text) if text else NO_TEXT for text in block.abc]
        rows["draw"] = self._draws(block, digests)
        rows["bytes"], rows["notes"] = self._measured(block, rows["draw"])
        ids.write(raw)
        facts.write(rows.tobytes())
        self.sizes.append(len(block))
        self.n_documents += len(block)

    def _draws(self, block: Block, digests: list[bytes]) -> list[float] | float:
        """Where each document falls: the pieces of one MIDI file together."""
        if self.role is not Role.EITHER:
            return 1.0
        draws = [draw(path.encode() if path else digest) for path, digest in zip(block.midi_path, digests, strict=True)]
        self.least_draw = min(self.least_draw, *draws)
        return draws

    def _measured(self, block: Block, draws: np.ndarray) -> tuple[list[int], list[int]]:
        """UTF-8 bytes and notes of the texts that are held out, or may yet be: of all it would take too long."""
        match self.role:
            case Role.TRAIN:
                texts = [None] * len(block)
            case Role.HELD_OUT:
                texts = block.abc
            case Role.EITHER:
                held_out = draws <= max(VAL_SHARE, self.least_draw)
                texts = [text if held else None for text, held in zip(block.abc, held_out, strict=True)]
        return (
            [len(text.encode()) if text else NO_TEXT for text in texts],
            [count_notes(text) if text else NO_TEXT for text in texts],
        )


def spool_split(source: Path, target: Path, role: Role, known: Ids) -> Spool:
    """Copy the documents of the file `source` to `target`. Raises `DataError` as `SplitReader` does."""
    spool = Spool(target, role, SplitReader(source, known.vocab_size, known.bos_id, known.eos_id))
    spool.fill()
    return spool
