"""First half of packing: a split's documents copied out of JSON into one flat file of 32-bit ids, and looked at.

What ids mean is known only when all splits are read (a dataset without meta.json), and which documents stay only when
the others are (duplicates between splits). So tokens go to disk, and per document a few numbers stay in memory.
"""

from __future__ import annotations  # array[int] can be evaluated only from Python 3.12

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from scaling_lab.data.guide_format import Document, SplitReader
from scaling_lab.data.manifest import Ids
from scaling_lab.data.splits import draw

NO_TEXT = -1

_ID = np.dtype("<u4")


@dataclass
class Spool:
    """The documents of one split file, in order, without BOS and EOS.

    lengths     tokens of each document
    characters  characters of each document's text, -1 where it has none
    draws       where each document falls between 0 and 1, by its group: pieces of one MIDI file fall together
    digests     BLAKE2b of each document's ids, 16 bytes
    frames      the pairs of first and last id seen, at most two of them: one pair alone looks like BOS and EOS
    """

    path: Path
    lengths: array[int] = field(default_factory=lambda: array("q"))
    characters: array[int] = field(default_factory=lambda: array("q"))
    draws: array[float] = field(default_factory=lambda: array("d"))
    digests: list[bytes] = field(default_factory=list)
    frames: set[tuple[int, int]] = field(default_factory=set)
    largest_id: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.lengths)

    def documents(self) -> Iterator[np.ndarray]:
        """The ids of each document, (length,) uint32, read from disk as they are asked for."""
        with self.path.open("rb") as stream:
            for length in self.lengths:
                yield np.frombuffer(stream.read(length * _ID.itemsize), dtype=_ID)

    def add(self, document: Document, raw: bytes) -> None:
        """Note what is to be remembered of a document whose ids were written as `raw`."""
        digest = hashlib.blake2b(raw, digest_size=16).digest()
        self.lengths.append(len(raw) // _ID.itemsize)
        self.characters.append(len(document.abc) if document.abc else NO_TEXT)
        self.digests.append(digest)
        self.draws.append(draw(document.midi_path.encode() if document.midi_path else digest))
        if len(self.frames) < 2:
            self.frames.add((document.tokens[0], document.tokens[-1]))


def spool_split(source: Path, target: Path, known: Ids) -> Spool:
    """Copy the documents of the file `source` to `target`. Raises `DataError` as `SplitReader` does."""
    spool = Spool(target)
    reader = SplitReader(source, known.vocab_size)
    with target.open("wb") as stream:
        for document in reader:
            inner = _without_frame(document.tokens, known)
            if not inner:
                reader.skipped["nothing between BOS and EOS"] += 1
                continue
            raw = np.array(inner, dtype=_ID).tobytes()
            stream.write(raw)
            spool.add(document, raw)
    spool.skipped, spool.largest_id = reader.skipped, reader.largest_id
    return spool


def _without_frame(tokens: list[int], known: Ids) -> list[int]:
    """Tokens without the BOS and EOS they may carry: every document gets one pair, none gets a second."""
    start = int(tokens[0] == known.bos_id)
    end = len(tokens) - int(tokens[-1] == known.eos_id)
    return tokens[start:end]
