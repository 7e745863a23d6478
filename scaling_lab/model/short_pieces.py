"""Causal attention of pieces up to 1,024 tokens on a CPU, which is what music mostly is.

`scaled_dot_product_attention` is made for long ones: it works its probabilities out again in the backward pass, takes a
piece at a time, and compiles its bf16 products anew for each length. Here probabilities are kept, and pieces that are
about as long are worked on together, by products of few shapes.

Legend of suffixes: M tokens of a micro-batch, G pieces that are worked on together, L their length, H heads, B = G·H, K
head width (K/2 of pairs), C parts; 3 is query, key and value.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from scaling_lab.model.cost import SHORT_PIECE
from scaling_lab.model.rotary import pairs, rotary_angles

# A CPU's bf16 products are compiled for each shape, and made for such ones.
FILLED_TO = 32
# Pieces are taken together up to so many scores: fewer are all calls, and more leave the cache.
SCORES_AT_ONCE = 2**21


class ShortPieces(torch.autograd.Function):
    """Attention of short pieces on a CPU, of queries and keys that aren't rotated yet.

    Pieces that are about as long are worked on together, each filled with zeros to a length that they share. Queries
    that were filled in are given no gradient, and keys that were are in every real query's future: nothing depends on
    either. Rotation, scores and softmax are fp32 or better; what follows them is multiplied in the given dtype.
    """

    @staticmethod
    def forward(ctx: Any, qkv_M3HK: Tensor, lengths: Sequence[int]) -> Tensor:
        dtype, (_, _, n_heads, head_width) = qkv_M3HK.dtype, qkv_M3HK.shape
        mixed_MHK = torch.empty_like(qkv_M3HK[:, 0])
        ctx.turn_2LK = _turns(head_width, torch.promote_types(dtype, torch.float32))
        ctx.groups = _groups(lengths, n_heads)
        kept = []
        with torch.autocast("cpu", enabled=False):
            for length, pieces in ctx.groups:
                exact_3GHLK = _gathered(qkv_M3HK, pieces, length, ctx.turn_2LK.real.dtype)
                pairs(exact_3GHLK[:2]).mul_(ctx.turn_2LK[:, None, None, :length])
                qkv_3GHLK = exact_3GHLK.to(dtype)
                p_BLL = _probabilities(*exact_3GHLK[:2].flatten(1, 2)).to(dtype)
                mixed_BLK = torch.bmm(p_BLL, qkv_3GHLK[2].flatten(0, 1))
                _scatter(mixed_BLK.view_as(qkv_3GHLK[:1]), mixed_MHK[:, None], pieces)
                kept += [qkv_3GHLK, p_BLL]
        ctx.save_for_backward(*kept)
        return mixed_MHK

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (to_mixed_MHK,) = grad_outputs
        n_tokens, n_heads, head_width = to_mixed_MHK.shape
        grad_M3HK = to_mixed_MHK.new_empty(n_tokens, 3, n_heads, head_width)
        kept = zip(ctx.saved_tensors[::2], ctx.saved_tensors[1::2], strict=True)
        with torch.autocast("cpu", enabled=False):
            for (length, pieces), (qkv_3GHLK, p_BLL) in zip(ctx.groups, kept, strict=True):
                q_BLK, k_BLK, v_BLK = qkv_3GHLK.flatten(1, 2)
                to_mixed_BLK = _gathered(to_mixed_MHK[:, None], pieces, length, p_BLL.dtype).flatten(0, 2)
                to_p_BLL = torch.bmm(to_mixed_BLK, v_BLK.transpose(1, 2))
                to_score_BLL = torch.ops.aten._softmax_backward_data(to_p_BLL, p_BLL, -1, p_BLL.dtype)
                grad_3GHLK = torch.empty(qkv_3GHLK.shape, dtype=ctx.turn_2LK.real.dtype)
                to_q_BLK, to_k_BLK, to_v_BLK = grad_3GHLK.flatten(1, 2)
                to_q_BLK.copy_(torch.bmm(to_score_BLL, k_BLK))
                to_k_BLK.copy_(torch.bmm(to_score_BLL.transpose(1, 2), q_BLK))
                to_v_BLK.copy_(torch.bmm(p_BLL.transpose(1, 2), to_mixed_BLK))
                pairs(grad_3GHLK[:2]).mul_(ctx.turn_2LK[:, None, None, :length].conj())
                _scatter(grad_3GHLK, grad_M3HK, pieces)
        return grad_M3HK, None


def _probabilities(q_BLK: Tensor, k_BLK: Tensor) -> Tensor:
    """How much of each key a query takes, of those up to its own: 1 in all."""
    length = q_BLK.shape[1]
    score_BLL = torch.bmm(q_BLK, k_BLK.transpose(1, 2))
    score_BLL += _mask_of_future(q_BLK.dtype)[:length, :length]
    return torch.softmax(score_BLL, dim=-1, out=score_BLL)


def _gathered(x_MCHK: Tensor, pieces: Sequence[slice], length: int, dtype: torch.dtype) -> Tensor:
    """Pieces side by side, zeros after each, head by head: x_CGHLK."""
    _, n_parts, n_heads, head_width = x_MCHK.shape
    x_CGHLK = torch.zeros(n_parts, len(pieces), n_heads, length, head_width, dtype=dtype)
    for number, piece in enumerate(pieces):
        x_CGHLK[:, number, :, : piece.stop - piece.start] = x_MCHK[piece].permute(1, 2, 0, 3)
    return x_CGHLK


def _scatter(x_CGHLK: Tensor, out_MCHK: Tensor, pieces: Sequence[slice]) -> None:
    """Write pieces where they belong."""
    for number, piece in enumerate(pieces):
        out_MCHK[piece] = x_CGHLK[:, number, :, : piece.stop - piece.start].permute(2, 0, 1, 3)


def _groups(lengths: Sequence[int], n_heads: int) -> list[tuple[int, list[slice]]]:
    """Pieces that are worked on together: the length that each is filled to, and where they lie in M."""
    alike: dict[int, list[slice]] = {}
    begin = 0
    for length in lengths:
        alike.setdefault(length + -length % FILLED_TO, []).append(slice(begin, begin + length))
        begin += length
    groups = []
    for length, pieces in alike.items():
        at_once = max(1, SCORES_AT_ONCE // (n_heads * length**2))
        groups += [(length, pieces[first : first + at_once]) for first in range(0, len(pieces), at_once)]
    return groups


@lru_cache(maxsize=4)
def _turns(head_width: int, dtype: torch.dtype) -> Tensor:
    """What pairs of queries and of keys are multiplied by, at each place of a short piece, [2, L, K/2].

    Scores are divided by sqrt(K): by way of the queries, which are fewer.
    """
    turn_LK = torch.view_as_complex(rotary_angles([SHORT_PIECE], head_width, torch.device("cpu"))[:, 0].to(dtype))
    return torch.stack((turn_LK * head_width**-0.5, turn_LK))


@lru_cache(maxsize=2)
def _mask_of_future(dtype: torch.dtype) -> Tensor:
    """What is added to the scores of a short piece: -inf above the diagonal."""
    return torch.full((SHORT_PIECE, SHORT_PIECE), -math.inf, dtype=dtype).triu(1)
