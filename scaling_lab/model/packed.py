"""Attention within many pieces by one kernel, on a GPU that multiplies in bf16.

Nothing here depends on a single micro-batch but by numbers in tensors of few shapes: a compiled block is compiled once.

Legend of suffixes: M tokens of a micro-batch, N bounds of pieces, T positions, H heads, K head width (K/2 of pairs); 3
is query, key and value; P a pair's cosine and sine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

from scaling_lab.model.rotary import rotary_angles, rotated_by_parts


@dataclass(frozen=True)
class Packing:
    """Where pieces lie and what rotates them, on the device.

    Attributes:
        place_M: int64, each token's position within its piece.
        bounds_N: int32, where the pieces begin and the last one ends; filled up with pieces of no tokens.
        longest: no piece has more tokens; a power of two.
        rotation_TKP: of every position below `longest`.
    """

    place_M: Tensor
    bounds_N: Tensor
    longest: int
    rotation_TKP: Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], head_width: int, device: torch.device) -> "Packing":
        """The packing of pieces of these lengths, one after the other."""
        longest = _power_of_two(max(lengths))
        ends = np.cumsum(lengths, dtype=np.int64)
        place = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
        bounds = np.full(1 + _power_of_two(len(lengths)), ends[-1], dtype=np.int32)
        bounds[0], bounds[1 : 1 + len(ends)] = 0, ends
        return cls(
            _to_device(torch.from_numpy(place), device),
            _to_device(torch.from_numpy(bounds), device),
            longest,
            _rotation(longest, head_width, device),
        )


@dataclass(frozen=True)
class PackedAttention:
    """Causal attention within each piece: takes qkv_M3HK, not yet rotated and in bf16, to mixed_MHK."""

    packing: Packing

    def __call__(self, qkv_M3HK: Tensor) -> Tensor:
        """mixed_MHK."""
        packing = self.packing
        rotation_M1KP = packing.rotation_TKP[packing.place_M][:, None]
        q_MHK, k_MHK, v_MHK = rotated_by_parts(qkv_M3HK, rotation_M1KP).unbind(1)
        bounds_N, longest = packing.bounds_N, packing.longest
        # (-1, 0): a token sees all before it and none after it.
        mixed_MHK = varlen_attn(q_MHK, k_MHK, v_MHK, bounds_N, bounds_N, longest, longest, window_size=(-1, 0))
        assert isinstance(mixed_MHK, Tensor)
        return mixed_MHK


def packed_attention(lengths: Sequence[int], head_width: int, device: torch.device) -> PackedAttention:
    """Attention within pieces of these lengths, one after the other."""
    return PackedAttention(Packing.of(lengths, head_width, device))


def _to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy that the device makes in its own time; nobody waits for it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@lru_cache(maxsize=16)
def _rotation(longest: int, head_width: int, device: torch.device) -> Tensor:
    return rotary_angles([longest], head_width, device)[:, 0]


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
