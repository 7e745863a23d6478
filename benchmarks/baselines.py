"""What a model must beat: bits a character of a 5-gram and of xz on a dataset's own splits.

    python benchmarks/baselines.py [DATA_DIR]

Both learn from train alone and are scored on val, in bits over the characters of the canonical text, as
`val/bits_per_character` is. The 5-gram is interpolated by Witten and Bell's estimate (1991, method C) and pays for each
tune's end, as the models do; xz (LZMA, preset 9e) is charged what val adds to a file that already holds train.
"""

import lzma
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from scaling_lab.data.configured import prepared_data_dir
from scaling_lab.data.dataset import Dataset, PackedSplit, open_dataset

ORDER = 5

Context = tuple[int, ...]


def documents(split: PackedSplit) -> Iterator[list[int]]:
    """Each document's tokens, BOS and EOS included."""
    for begin, end in zip(split.offsets[:-1], split.offsets[1:], strict=True):
        yield np.asarray(split.tokens[begin:end]).tolist()


class WittenBell:
    """An n-gram model of tokens: P(t | context) = (count + types · P(t | shorter context)) / (total + types)."""

    def __init__(self, train: Iterable[list[int]], vocab_size: int) -> None:
        self.uniform = 1 / vocab_size
        self.counts: dict[Context, Counter[int]] = defaultdict(Counter)
        for tokens in train:
            for place in range(1, len(tokens)):
                for length in range(min(ORDER, place + 1)):
                    self.counts[tuple(tokens[place - length : place])][tokens[place]] += 1
        self.totals = {context: counter.total() for context, counter in self.counts.items()}

    def probability(self, token: int, context: Context) -> float:
        """P(token | context), backing off to shorter contexts down to the uniform."""
        probability = self.uniform
        for length in range(len(context) + 1):
            counter = self.counts.get(context[len(context) - length :])
            if counter is None:
                break
            total = self.totals[context[len(context) - length :]]
            probability = (counter[token] + len(counter) * probability) / (total + len(counter))
        return probability

    def bits(self, tokens: list[int]) -> float:
        """Bits of a document after its BOS."""
        return -sum(
            math.log2(self.probability(tokens[place], tuple(tokens[max(0, place - ORDER + 1) : place])))
            for place in range(1, len(tokens))
        )


def five_gram_bits_per_character(dataset: Dataset) -> float:
    """Bits of val over its characters, under a 5-gram of train."""
    model = WittenBell(documents(dataset.train), dataset.vocab_size)
    assert dataset.val.characters
    return sum(map(model.bits, documents(dataset.val))) / dataset.val.characters


def xz_bits_per_character(dataset: Dataset) -> float:
    """Bits that val adds to xz's file of train, over val's characters."""
    assert dataset.tokenizer
    assert dataset.val.characters
    train, val = (
        "\n\n".join(dataset.tokenizer.decode(tokens[1:-1]) for tokens in documents(split)).encode()
        for split in (dataset.train, dataset.val)
    )
    added = len(_xz(train + b"\n\n" + val)) - len(_xz(train))
    return 8 * added / dataset.val.characters


def _xz(content: bytes) -> bytes:
    return lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)


def main() -> None:
    """Print both baselines of a dataset, the default corpus where none is named."""
    dataset = open_dataset(prepared_data_dir(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
    print(f"{dataset.name} ({dataset.fingerprint}), {dataset.val.characters:,} validation characters")
    print(f"5-gram, Witten-Bell  {five_gram_bits_per_character(dataset):.3f} bits a character")
    print(f"xz                   {xz_bits_per_character(dataset):.3f} bits a character")


if __name__ == "__main__":
    main()
