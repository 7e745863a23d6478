"""How the tokens of one layer are mixed: rotary positions, then causal softmax attention inside each piece.

Decisions:
- On a CPU attention is fp32 even where matrix products are bf16: softmax and rotation keep their precision, heads are
  too narrow to gain from less, and oneDNN would compile its bf16 products anew for every length of a piece.
- Short pieces, which is what music mostly is, have their own attention on a CPU (`_ShortPieces`). All of a piece stays
  in the processor's cache from rotation to output, and the backward pass reads probabilities that were kept. That is
  1.5 times as fast as `scaled_dot_product_attention`, which is made for long ones and has those.

Legend of suffixes: M tokens of a micro-batch, N of a group of pieces, L of a piece, R of a block of queries, H heads,
K head width; 3 is query, key and value.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scaling_lab.model.cost import SHORT_PIECE

ROTARY_BASE = 10_000.0

# Cosine and sine of every token's rotation, each [M, 1, K/2].
Rotation = tuple[Tensor, Tensor]
# How one layer mixes what is read: qkv_M3HK, not yet rotated, and its rotation, to mixed_MHK.
Attend = Callable[[Tensor, Rotation], Tensor]

# Rows of scores at a time, so that they stay in the cache and little of the masked half is computed.
QUERIES_AT_ONCE = 256
# Queries of so many numbers are rotated at once: with keys, values and their gradients they stay in the cache.
GROUP_NUMBERS = 2**17


def rotary_angles(lengths: Sequence[int], head_width: int, device: torch.device) -> Rotation:
    """Cosine and sine of every token's rotation, each [M, 1, K/2] in fp32; positions restart with every piece."""
    longest = torch.arange(max(lengths), dtype=torch.float32)
    frequency = ROTARY_BASE ** (-torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
    angle_TK = torch.outer(longest, frequency)
    cos_TK, sin_TK = angle_TK.cos(), angle_TK.sin()
    cos_M1K = torch.cat([cos_TK[:length] for length in lengths])[:, None]
    sin_M1K = torch.cat([sin_TK[:length] for length in lengths])[:, None]
    return cos_M1K.to(device), sin_M1K.to(device)


def rotated(qkv_M3HK: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
    """Queries and keys turned by their positions, and values, each MHK; on a CPU in fp32 or better."""
    if qkv_M3HK.device.type == "cpu":
        qkv_M3HK = qkv_M3HK.to(_exact(qkv_M3HK.dtype))
    q_MHK, k_MHK, v_MHK = qkv_M3HK.unbind(1)
    return _rotate(q_MHK, rotation), _rotate(k_MHK, rotation), v_MHK


def attend_within_pieces(qkv_M3HK: Tensor, rotation: Rotation, lengths: Sequence[int]) -> Tensor:
    """Causal softmax attention (Vaswani et al., 1706.03762), each piece by itself: work only where it counts.

    Args:
        qkv_M3HK: queries, keys and values, not yet rotated.
        rotation: of every token, as `rotary_angles` gives it.
        lengths: tokens in each piece; their sum is M.

    Returns:
        mixed_MHK, of long pieces alone in the dtype that `rotated` gives, otherwise in the given one.
    """
    on_cpu = qkv_M3HK.device.type == "cpu"
    runs = [(short, list(run)) for short, run in groupby(lengths, key=lambda length: on_cpu and length <= SHORT_PIECE)]
    sizes = [sum(run) for _, run in runs]
    parts = zip(qkv_M3HK.split(sizes), *(part.split(sizes) for part in rotation), runs, strict=True)
    mixed = [
        _ShortPieces.apply(qkv, cos, sin, run) if short else _attend_one_by_one(qkv, (cos, sin), run)
        for qkv, cos, sin, (short, run) in parts
    ]
    return mixed[0] if len(mixed) == 1 else torch.cat([part.to(qkv_M3HK.dtype) for part in mixed])


def _exact(dtype: torch.dtype) -> torch.dtype:
    """Fp32, or float64 where that is given."""
    return torch.promote_types(dtype, torch.float32)


def _rotate(x_MHK: Tensor, rotation: Rotation) -> Tensor:
    """Turn each pair (i, i + K/2) of a head by its token's angle."""
    cos_M1K, sin_M1K = (part.to(x_MHK.dtype) for part in rotation)
    first, second = x_MHK.chunk(2, dim=-1)
    return torch.cat((first * cos_M1K - second * sin_M1K, second * cos_M1K + first * sin_M1K), dim=-1)


def _attend_one_by_one(qkv_M3HK: Tensor, rotation: Rotation, lengths: Sequence[int]) -> Tensor:
    pieces = zip(*(part_MHK.split(lengths) for part_MHK in rotated(qkv_M3HK, rotation)), strict=True)
    mixed = []
    for piece in pieces:
        q_1HLK, k_1HLK, v_1HLK = (part_LHK.transpose(0, 1)[None] for part_LHK in piece)
        # Autocast would turn fp32 into bf16 here.
        with torch.autocast(q_1HLK.device.type, enabled=q_1HLK.device.type != "cpu"):
            mixed.append(F.scaled_dot_product_attention(q_1HLK, k_1HLK, v_1HLK, is_causal=True))
    return torch.cat([mixed_1HLK[0].transpose(0, 1) for mixed_1HLK in mixed])


class _ShortPieces(torch.autograd.Function):
    """Attention of short pieces on a CPU; what is kept for the backward pass is 3·H·L·K + H·L² numbers a piece.

    Rotation, and the change between the layouts of tokens and of heads, is done for several pieces at once: as many as
    stay in the cache until they were attended to.
    """

    @staticmethod
    def forward(ctx: Any, qkv_M3HK: Tensor, cos_M1K: Tensor, sin_M1K: Tensor, lengths: Sequence[int]) -> Tensor:
        _, _, n_heads, head_width = qkv_M3HK.shape
        exact = _exact(qkv_M3HK.dtype)
        rotation = cos_M1K[:, None].to(exact), sin_M1K[:, None].to(exact)
        mixed_MHK = qkv_M3HK.new_empty(len(qkv_M3HK), n_heads, head_width)
        groups = _groups(lengths, n_heads * head_width)
        kept: list[Tensor] = []
        with torch.autocast("cpu", enabled=False):
            for stretch, pieces in groups:
                qkv_3HNK = torch.empty(3, n_heads, stretch.stop - stretch.start, head_width, dtype=exact)
                _rotate_into(qkv_3HNK.permute(2, 0, 1, 3), qkv_M3HK[stretch].to(exact), rotation, stretch)
                # Scores need it, and there are fewer queries than scores.
                qkv_3HNK[0] *= 1 / math.sqrt(head_width)
                mixed_HNK = torch.empty_like(qkv_3HNK[0])
                kept.append(qkv_3HNK)
                for piece in pieces:
                    kept += _attend_to_piece(qkv_3HNK[:, :, piece], mixed_HNK[:, piece])
                mixed_MHK[stretch] = mixed_HNK.transpose(0, 1)
        ctx.groups, ctx.dtype = groups, qkv_M3HK.dtype
        ctx.save_for_backward(*rotation, *kept)
        return mixed_MHK

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        (grad_MHK,) = grad_outputs
        cos, sin, *rest = ctx.saved_tensors
        n_tokens, n_heads, head_width = grad_MHK.shape
        grad_M3HK = torch.empty(n_tokens, 3, n_heads, head_width, dtype=ctx.dtype)
        back, kept = (cos, -sin), iter(rest)
        with torch.autocast("cpu", enabled=False):
            for stretch, pieces in ctx.groups:
                qkv_3HNK = next(kept)
                grad_3HNK = torch.empty_like(qkv_3HNK)
                mixed_HNK = torch.empty_like(qkv_3HNK[0])
                mixed_HNK.copy_(grad_MHK[stretch].transpose(0, 1))
                for piece in pieces:
                    p_blocks = list(islice(kept, len(_blocks(piece.stop - piece.start))))
                    _backward_of_piece(qkv_3HNK[:, :, piece], p_blocks, mixed_HNK[:, piece], grad_3HNK[:, :, piece])
                grad_3HNK[0] *= 1 / math.sqrt(head_width)
                grad_N3HK = torch.empty(len(grad_MHK[stretch]), 3, n_heads, head_width, dtype=cos.dtype)
                _rotate_into(grad_N3HK, grad_3HNK.permute(2, 0, 1, 3), back, stretch)
                grad_M3HK[stretch] = grad_N3HK
        return grad_M3HK, None, None, None


def _attend_to_piece(qkv_3HLK: Tensor, mixed_HLK: Tensor) -> Iterator[Tensor]:
    """Write what one piece's heads mix, of rotated and scaled queries; yields the probabilities, block by block."""
    q_HLK, k_HLK, v_HLK = qkv_3HLK
    for rows, seen in _blocks(mixed_HLK.shape[1]):
        score_HRL = torch.bmm(q_HLK[:, rows], k_HLK[:, seen].transpose(1, 2))
        n_rows = score_HRL.shape[1]
        score_HRL[:, :, rows] += _mask_of_future(score_HRL.dtype)[:n_rows, :n_rows]
        p_HRL = torch.softmax(score_HRL, dim=-1, out=score_HRL)
        torch.bmm(p_HRL, v_HLK[:, seen], out=mixed_HLK[:, rows])
        yield p_HRL


def _backward_of_piece(qkv_3HLK: Tensor, p_blocks: Sequence[Tensor], to_mixed_HLK: Tensor, grad_3HLK: Tensor) -> None:
    """Write the gradient of one piece's scaled queries, keys and values, of the gradient of what was mixed."""
    q_HLK, k_HLK, v_HLK = qkv_3HLK
    to_q_HLK, to_k_HLK, to_v_HLK = grad_3HLK
    blocks = _blocks(to_mixed_HLK.shape[1])
    # The last block sees every key: it writes what the others add to.
    for number, ((rows, seen), p_HRL) in enumerate(zip(reversed(blocks), reversed(p_blocks), strict=True)):
        to_mixed_HRK = to_mixed_HLK[:, rows]
        to_p_HRL = torch.bmm(to_mixed_HRK, v_HLK[:, seen].transpose(1, 2))
        to_score_HRL = torch.ops.aten._softmax_backward_data(to_p_HRL, p_HRL, -1, p_HRL.dtype)
        torch.bmm(to_score_HRL, k_HLK[:, seen], out=to_q_HLK[:, rows])
        for grad, left_HRL, right_HRK in ((to_v_HLK, p_HRL, to_mixed_HRK), (to_k_HLK, to_score_HRL, q_HLK[:, rows])):
            if number == 0:
                torch.bmm(left_HRL.transpose(1, 2), right_HRK, out=grad)
            else:
                grad[:, seen].baddbmm_(left_HRL.transpose(1, 2), right_HRK)


def _groups(lengths: Sequence[int], width: int) -> list[tuple[slice, list[slice]]]:
    """Pieces that are worked on together: where they lie in M, and each of them within that."""
    groups: list[tuple[slice, list[slice]]] = []
    begin, pieces, size = 0, [], 0
    for length in lengths:
        if pieces and (size + length) * width > GROUP_NUMBERS:
            groups.append((slice(begin, begin + size), pieces))
            begin, pieces, size = begin + size, [], 0
        pieces.append(slice(size, size + length))
        size += length
    return [*groups, (slice(begin, begin + size), pieces)]


def _blocks(length: int) -> list[tuple[slice, slice]]:
    """Queries of a piece that are scored together, and the keys that the last of them sees."""
    ends = [*range(QUERIES_AT_ONCE, length, QUERIES_AT_ONCE), length]
    return [(slice(begin, end), slice(0, end)) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def _rotate_into(out_N3HK: Tensor, x_N3HK: Tensor, rotation: Rotation, stretch: slice) -> None:
    """Turn queries and keys, copy values. `rotation` is of all M tokens, each [M, 1, 1, K/2]."""
    cos_N11K, sin_N11K = (part[stretch] for part in rotation)
    (first, second), (out_first, out_second) = x_N3HK[:, :2].chunk(2, -1), out_N3HK[:, :2].chunk(2, -1)
    torch.mul(first, cos_N11K, out=out_first).addcmul_(second, sin_N11K, value=-1)
    torch.mul(second, cos_N11K, out=out_second).addcmul_(first, sin_N11K)
    out_N3HK[:, 2] = x_N3HK[:, 2]


@lru_cache(maxsize=2)
def _mask_of_future(dtype: torch.dtype) -> Tensor:
    """What is added to the scores of a block's queries among their own keys: -inf above the diagonal."""
    return torch.full((QUERIES_AT_ONCE, QUERIES_AT_ONCE), -math.inf, dtype=dtype).triu(1)
