"""Batches of tokens for training and for evaluation; the only module of this stage that knows torch.

A training batch is a function of (seed, epoch, step) alone: every size of a ladder reads the same tokens in the same
order, and to resume takes one integer. An epoch is one shuffled pass over all documents, laid end to end; step s takes
the tokens [s·B, (s+1)·B) of that endless line. Where a document, a stretch of `sequence_length` or a batch ends, a
piece ends; attention stays inside a piece. Pieces are grouped whole into micro-batches, so their size changes no loss.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scaling_lab.data.dataset import PackedSplit

IGNORED_TARGET = -100
# oneDNN compiles a bf16 product for every shape that it has not met: left to any shapes, tiny took twice as long. With
# this, few shapes occur and each is soon met again; half of it, on average, is worked on in vain.
PADDED_TO = 64
# Micro-batches of a step differ by less where their pieces are many: then every step's are of one size, or of two.
EVEN_TO = 1024


@dataclass(frozen=True)
class Batch:
    """Some pieces, one after the other.

    Attributes:
        tokens_M: int64 ids.
        targets_M: int64 ids to predict: the next token of the same document, or `IGNORED_TARGET` after its last.
        lengths: tokens in each piece; their sum is M.
    """

    tokens_M: Tensor
    targets_M: Tensor
    lengths: list[int]

    @classmethod
    def without_targets(cls) -> "Batch":
        """One token that nothing is learned from: for a process that has to keep step with others."""
        return cls(torch.zeros(1, dtype=torch.int64), torch.full((1,), IGNORED_TARGET), [1])

    def padded(self, multiple: int = PADDED_TO) -> "Batch":
        """The same, filled up to a multiple of tokens with pieces that nothing is learned from, and no longer ones."""
        missing = -len(self.tokens_M) % multiple
        if not missing:
            return self
        longest = max(*self.lengths, PADDED_TO)
        return Batch(
            F.pad(self.tokens_M, (0, missing)),
            F.pad(self.targets_M, (0, missing), value=IGNORED_TARGET),
            [*self.lengths, *(min(longest, missing - done) for done in range(0, missing, longest))],
        )

    @property
    def n_targets(self) -> int:
        """Tokens that count in the loss."""
        return int((self.targets_M != IGNORED_TARGET).sum())

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        if device.type == "cpu":
            return self
        tokens_M, targets_M = self.tokens_M.pin_memory(), self.targets_M.pin_memory()
        return Batch(tokens_M.to(device, non_blocking=True), targets_M.to(device, non_blocking=True), self.lengths)

    def micro_batches(self, micro_batch_tokens: int) -> Iterator["Batch"]:
        """Whole pieces in order, at most `micro_batch_tokens` at a time (one piece at least)."""
        begin, size = 0, 0
        group: list[int] = []
        for length in self.lengths:
            if group and size + length > micro_batch_tokens:
                yield self._stretch(begin, group)
                begin, size, group = begin + size, 0, []
            group.append(length)
            size += length
        if group:
            yield self._stretch(begin, group)

    def share(self, rank: int, n_ranks: int, micro_batch_tokens: int) -> Iterator["Batch"]:
        """The micro-batches that fall to process `rank` of `n_ranks`: every n-th, small enough that each gets one.

        Those of all ranks together are the whole batch, each piece once. A rank may get none of a batch of few pieces.
        """
        at_most = min(micro_batch_tokens, -(-len(self.tokens_M) // n_ranks))
        return islice(self.micro_batches(at_most), rank, None, n_ranks)

    def even_micro_batches(self, count: int) -> list["Batch"]:
        """Whole pieces in `count` micro-batches of about as many tokens, each padded to one size: a GPU's few shapes.

        The longest piece first, each goes where there are fewest tokens by then (Graham, 1969).
        """
        begins = np.cumsum([0, *self.lengths])
        groups: list[list[int]] = [[] for _ in range(count)]
        sizes = [(0, number) for number in range(count)]
        for piece in np.argsort(self.lengths, kind="stable")[::-1].tolist():
            size, number = heapq.heappop(sizes)
            groups[number].append(piece)
            heapq.heappush(sizes, (size + self.lengths[piece], number))
        size = -(-max(sizes)[0] // EVEN_TO) * EVEN_TO
        return [self._pieces(group, begins).padded(size) for group in groups]

    def _pieces(self, numbers: list[int], begins: np.ndarray) -> "Batch":
        if not numbers:
            return Batch.without_targets()
        places = np.concatenate([np.arange(begins[number], begins[number + 1]) for number in numbers])
        chosen_M = torch.from_numpy(places)
        return Batch(self.tokens_M[chosen_M], self.targets_M[chosen_M], [self.lengths[number] for number in numbers])

    def _stretch(self, begin: int, lengths: list[int]) -> "Batch":
        end = begin + sum(lengths)
        return Batch(self.tokens_M[begin:end], self.targets_M[begin:end], lengths)


class TrainingStream:
    """The endless line of training tokens, cut into batches."""

    def __init__(self, split: PackedSplit, batch_size_tokens: int, sequence_length: int, seed: int) -> None:
        self.split = split
        self.batch_size_tokens = batch_size_tokens
        self.sequence_length = sequence_length
        self.seed = seed
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)
        self._begins = np.zeros(1, dtype=np.int64)

    def batch(self, step: int) -> Batch:
        """Batch of 0-based `step`: exactly `batch_size_tokens` tokens, continued into the next epoch where one ends."""
        pieces: list[tuple[int, int, int]] = []
        position, wanted = step * self.batch_size_tokens, self.batch_size_tokens
        while wanted:
            epoch, offset = divmod(position, self.split.n_tokens)
            self._shuffle(epoch)
            taken = min(wanted, self.split.n_tokens - offset)
            pieces += self._pieces(offset, offset + taken)
            position, wanted = position + taken, wanted - taken
        return _gather(self.split, pieces)

    def _shuffle(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        self._order = np.random.default_rng([self.seed, epoch]).permutation(self.split.n_documents)
        lengths = np.diff(self.split.offsets)[self._order]
        self._begins = np.concatenate([[0], np.cumsum(lengths)])
        self._epoch = epoch

    def _pieces(self, begin: int, end: int) -> list[tuple[int, int, int]]:
        """Pieces of [begin, end) on this epoch's line, each (first token, length, end of its document) in the split."""
        pieces = []
        place = int(np.searchsorted(self._begins, begin, side="right")) - 1
        while begin < end:
            document = self._order[place]
            shift = int(self.split.offsets[document]) - int(self._begins[place])
            document_end = int(self._begins[place + 1])
            # Cut at multiples of T from the document's own beginning: a piece never depends on where a batch began.
            within = begin - int(self._begins[place])
            stretch_end = begin - within % self.sequence_length + self.sequence_length
            piece_end = min(end, document_end, stretch_end)
            pieces.append((begin + shift, piece_end - begin, document_end + shift))
            begin = piece_end
            place += begin == document_end
        return pieces


def evaluation_batches(split: PackedSplit, batch_tokens: int, sequence_length: int) -> Iterator[Batch]:
    """The whole split once, in its stored order: the same windows for every size, each token scored once."""
    pieces: list[tuple[int, int, int]] = []
    size = 0
    for begin, end in zip(split.offsets[:-1].tolist(), split.offsets[1:].tolist(), strict=True):
        for piece_begin in range(begin, end, sequence_length):
            length = min(sequence_length, end - piece_begin)
            if pieces and size + length > batch_tokens:
                yield _gather(split, pieces)
                pieces, size = [], 0
            pieces.append((piece_begin, length, end))
            size += length
    if pieces:
        yield _gather(split, pieces)


def _gather(split: PackedSplit, pieces: list[tuple[int, int, int]]) -> Batch:
    """Read the pieces and, one token further on, their targets."""
    lengths = [length for _, length, _ in pieces]
    tokens_M = np.empty(sum(lengths), dtype=np.int64)
    targets_M = np.full(len(tokens_M), IGNORED_TARGET, dtype=np.int64)
    # A slice of a memory map costs three times what one of a plain array does.
    tokens, place = np.asarray(split.tokens), 0
    for begin, length, document_end in pieces:
        tokens_M[place : place + length] = tokens[begin : begin + length]
        n_targets = min(length, document_end - begin - 1)
        targets_M[place : place + n_targets] = tokens[begin + 1 : begin + 1 + n_targets]
        place += length
    return Batch(torch.from_numpy(tokens_M), torch.from_numpy(targets_M), lengths)
