"""Validation: the whole split, each token scored once, the same windows for every size, cross-entropy in fp32."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch

from scaling_lab.data.batches import PADDED_TO, evaluation_batches
from scaling_lab.data.dataset import PackedSplit
from scaling_lab.model.transformer import Transformer
from scaling_lab.training.device import Machine
from scaling_lab.training.distributed import World

GPU_BATCH_TOKENS = 65_536


@dataclass(frozen=True)
class Evaluation:
    """Result of one pass.

    Attributes:
        loss: nats a token.
        bits_per_character: total bits over the characters of the texts; None where the data carry no text.
        bits_per_byte: the same over the texts' bytes in UTF-8: what other programs' figures are in.
        bits_per_note: the same over the notes in the texts, grace notes and each note of a chord counted.
        n_targets: tokens scored.
    """

    loss: float
    bits_per_character: float | None
    bits_per_byte: float | None
    bits_per_note: float | None
    n_targets: int


@torch.no_grad()
def evaluate(
    model: Transformer,
    split: PackedSplit,
    machine: Machine,
    sequence_length: int,
    batch_tokens: int,
    between_batches: Callable[[], None] = lambda: None,
    world: World | None = None,
) -> Evaluation:
    """Score the whole split, each process of a world every n-th batch of it; all get the result.

    `batch_tokens` bounds memory and changes nothing else beyond rounding. `between_batches` may raise, to leave it at
    that.
    """
    world = world or World.alone()
    model.eval()
    total_nats, n_targets = 0.0, 0
    # For a GPU all of one size, which its blocks are compiled for.
    batch_tokens = min(world.least(batch_tokens), GPU_BATCH_TOKENS) if machine.on_gpu else world.least(batch_tokens)
    padded_to = batch_tokens if machine.on_gpu else PADDED_TO
    batches = evaluation_batches(split, batch_tokens, sequence_length)
    for batch in world.evened(islice(batches, world.rank, None, world.size)):
        between_batches()
        batch = batch.padded(padded_to).to(machine.device)
        with machine.autocast():
            total_nats += model.loss(batch.tokens_M, batch.targets_M, batch.lengths).item()
        n_targets += batch.n_targets
    model.train()
    total_nats, n_targets = world.sum(total_nats), int(world.sum(n_targets))
    bits = total_nats / math.log(2)
    return Evaluation(
        loss=total_nats / n_targets,
        bits_per_character=bits / split.characters if split.characters else None,
        bits_per_byte=bits / split.text_bytes if split.text_bytes else None,
        bits_per_note=bits / split.notes if split.notes else None,
        n_targets=n_targets,
    )
