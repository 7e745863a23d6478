"""What is in a dataset: lengths of its documents, keys and metres of its tunes, and three of them to look at."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scaling_lab.data.dataset import Dataset
from scaling_lab.data.packing.guide_format import SplitReader, find_splits

N_TUNES = 3
_LONGEST_SHOWN = 4000
_KEY = re.compile(r"^K:[ \t]*(\S*)", re.MULTILINE)
_METRE = re.compile(r"^M:[ \t]*(\S*)", re.MULTILINE)
_NONE = "none"


@dataclass(frozen=True)
class Bin:
    """So many documents have from `low` to `high` tokens, both included, BOS and EOS too."""

    low: int
    high: int
    documents: int


@dataclass(frozen=True)
class Tune:
    """One document: what it is called, its tokens, and its text, cut off after 4,000 characters."""

    place: str
    tokens: int
    text: str


@dataclass(frozen=True)
class Inspection:
    """What was found in the training split.

    Attributes:
        lengths: a histogram of lengths, steps of a quarter of an octave.
        keys: tunes by key, as their `K:` says, most frequent first.
        metres: tunes by metre, likewise.
        tunes: three documents, evenly apart.
    """

    lengths: list[Bin]
    keys: dict[str, int]
    metres: dict[str, int]
    tunes: list[Tune]


def inspect(dataset: Dataset) -> Inspection:
    """Look through the training split once. Keys, metres and tunes are empty where the data carry no text."""
    n_documents = dataset.train.n_documents
    wanted = {(2 * number + 1) * n_documents // (2 * N_TUNES) for number in range(N_TUNES)}
    keys: Counter[str] = Counter()
    metres: Counter[str] = Counter()
    tunes: list[Tune] = []
    for index, (place, tokens, text) in enumerate(_texts(dataset)):
        keys[_first(_KEY, text)] += 1
        metres[_first(_METRE, text)] += 1
        if index in wanted:
            tunes.append(Tune(place, tokens, text[:_LONGEST_SHOWN] + "…" * (len(text) > _LONGEST_SHOWN)))
    return Inspection(
        _histogram(np.diff(dataset.train.offsets)), dict(keys.most_common()), dict(metres.most_common()), tunes
    )


def _texts(dataset: Dataset) -> Iterator[tuple[str, int, str]]:
    """Place, tokens (BOS and EOS included) and text of each document of the training file that has a text."""
    for block in SplitReader(find_splits(dataset.dir)["train"], dataset.vocab_size, dataset.bos_id, dataset.eos_id):
        for place, tokens, text in zip(block.midi_path, np.diff(block.bounds), block.abc, strict=True):
            if text:
                yield place or "", int(tokens) + 2, text


def _first(field: re.Pattern[str], text: str) -> str:
    match = field.search(text)
    return (match[1] if match else "") or _NONE


def _histogram(lengths: np.ndarray) -> list[Bin]:
    """Bins whose edges are a quarter of an octave apart, from the shortest to the longest document."""
    steps = np.arange(np.floor(4 * np.log2(lengths.min())), np.ceil(4 * np.log2(lengths.max() + 1)) + 1)
    edges = np.unique(np.round(2 ** (steps / 4)).astype(np.int64))
    edges = np.append(edges, lengths.max() + 1) if edges[-1] <= lengths.max() else edges
    counts, _ = np.histogram(lengths, edges)
    bins = zip(edges[:-1], edges[1:] - 1, counts, strict=True)
    return [Bin(int(low), int(high), int(count)) for low, high, count in bins]
