"""Rotary positions (Su et al., 2104.09864): each pair of neighbours in a head of queries and keys turns with its place.

A pair is a complex number, and turning it a product. So on a CPU all heads of a token are turned in one pass, where
they lie.

Legend of suffixes: M tokens side by side, T positions, H heads, K head width (K/2 of pairs); 3 is query, key and value;
P a pair's cosine and sine.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

ROTARY_BASE = 10_000.0


def rotary_angles(lengths: Sequence[int], head_width: int, device: torch.device) -> Tensor:
    """Cosine and sine of every token's rotation, [M, 1, K/2, 2] in fp32; positions restart with every piece."""
    # Float64: at position 5,000 an angle of fp32 is off by as much as 0.0002.
    longest = torch.arange(max(lengths), dtype=torch.float64)
    frequency = ROTARY_BASE ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    angle_TK = torch.outer(longest, frequency)
    rotation_TKP = torch.stack((angle_TK.cos(), angle_TK.sin()), -1).float()
    return torch.cat([rotation_TKP[:length] for length in lengths])[:, None].to(device)


def rotated(qkv_M3HK: Tensor, rotation_M1KP: Tensor) -> Tensor:
    """Queries and keys turned in fp32 or better by their positions, and values as they are; on a CPU left in fp32."""
    if qkv_M3HK.device.type == "cpu":
        return _Rotated.apply(qkv_M3HK, rotation_M1KP)
    return rotated_by_parts(qkv_M3HK, rotation_M1KP)


def rotated_by_parts(qkv_M3HK: Tensor, rotation_M1KP: Tensor) -> Tensor:
    """The same in real arithmetic, which a compiler makes one pass of; in the given dtype."""
    first, second = qkv_M3HK[:, :2].unflatten(-1, (-1, 2)).unbind(-1)
    # Products of bf16 and fp32 are fp32.
    cos, sin = rotation_M1KP[:, None].unbind(-1)
    turned = torch.stack((first * cos - second * sin, first * sin + second * cos), -1).flatten(-2)
    return torch.cat((turned.to(qkv_M3HK.dtype), qkv_M3HK[:, 2:]), dim=1)


class _Rotated(torch.autograd.Function):
    """`rotated` on a CPU: a pass that copies and one that turns, and the same backward."""

    @staticmethod
    def forward(ctx: Any, qkv_M3HK: Tensor, rotation_M1KP: Tensor) -> Tensor:
        exact = torch.promote_types(qkv_M3HK.dtype, torch.float32)
        ctx.dtype, ctx.turn = qkv_M3HK.dtype, torch.view_as_complex(rotation_M1KP.to(exact))[:, None]
        qkv_M3HK = qkv_M3HK.to(exact, copy=True)
        pairs(qkv_M3HK[:, :2]).mul_(ctx.turn)
        return qkv_M3HK

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (grad_M3HK,) = grad_outputs
        grad_M3HK = grad_M3HK.clone()
        pairs(grad_M3HK[:, :2]).mul_(ctx.turn.conj())
        return grad_M3HK.to(ctx.dtype), None


def pairs(x_K: Tensor) -> Tensor:
    """Neighbours of a head as complex numbers, [..., K/2], in the same memory."""
    return torch.view_as_complex(x_K.unflatten(-1, (-1, 2)))
