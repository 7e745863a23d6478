"""How the tokens of one layer are mixed: rotary positions, then causal softmax attention inside each piece.

Decisions:
- On a CPU attention of long pieces is fp32 even where matrix products are bf16: softmax and rotation keep their
  precision, and `scaled_dot_product_attention` would compile its bf16 products anew for every length.
- Short pieces, which is what music mostly is, have their own attention on a CPU (`short_pieces.py`).
- On a GPU that multiplies in bf16 one kernel attends within all pieces at once (`packed.py`).

Legend of suffixes: M tokens of a micro-batch, L of a piece, H heads, K head width (K/2 of pairs); 3 is query, key and
value; P a pair's cosine and sine.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from scaling_lab.model.cost import SHORT_PIECE
from scaling_lab.model.rotary import rotary_angles, rotated
from scaling_lab.model.short_pieces import ShortPieces

SHORT_PIECE_FP32 = 704

# How one layer mixes what is read: qkv_M3HK, not yet rotated, to mixed_MHK.
Attend = Callable[[Tensor], Tensor]


def attention_within_pieces(lengths: Sequence[int], head_width: int, device: torch.device) -> Attend:
    """Causal softmax attention (Vaswani et al., 1706.03762), each piece by itself: work only where it counts.

    Args:
        lengths: tokens in each piece; their sum is M.
        head_width: K.
        device: where the tokens are.

    Returns:
        what takes queries, keys and values, not yet rotated, to mixed_MHK; of long pieces alone on a CPU in fp32 or
        better, otherwise in the given dtype.
    """
    if device.type == "cuda" and torch.is_autocast_enabled("cuda"):
        # It brings torch's compiler, which takes seconds to import.
        from scaling_lab.model.packed import packed_attention

        return packed_attention(lengths, head_width, device)
    return partial(_attend, rotation_M1KP=rotary_angles(lengths, head_width, device), lengths=lengths)


def _attend(qkv_M3HK: Tensor, rotation_M1KP: Tensor, lengths: Sequence[int]) -> Tensor:
    longest = _longest_short_piece(qkv_M3HK)
    runs = [(short, list(run)) for short, run in groupby(lengths, key=lambda length: length <= longest)]
    if len(runs) == 1:
        return _attend_alike(qkv_M3HK, rotation_M1KP, *runs[0])
    sizes = [sum(run) for _, run in runs]
    parts = zip(qkv_M3HK.split(sizes), rotation_M1KP.split(sizes), runs, strict=True)
    return torch.cat([_attend_alike(qkv, rotation, *run).to(qkv_M3HK.dtype) for qkv, rotation, run in parts])


def _longest_short_piece(qkv_M3HK: Tensor) -> int:
    """Up to which length our own attention is the faster one: torch's gains on it in fp32 sooner than in bf16."""
    if qkv_M3HK.device.type != "cpu":
        return 0
    return SHORT_PIECE if qkv_M3HK.dtype == torch.bfloat16 else SHORT_PIECE_FP32


def _attend_alike(qkv_M3HK: Tensor, rotation_M1KP: Tensor, short: bool, lengths: Sequence[int]) -> Tensor:
    if short:
        return ShortPieces.apply(qkv_M3HK, lengths)
    return _attend_one_by_one(rotated(qkv_M3HK, rotation_M1KP), lengths)


def _attend_one_by_one(qkv_M3HK: Tensor, lengths: Sequence[int]) -> Tensor:
    mixed = []
    for piece_L3HK in qkv_M3HK.split(lengths):
        q_1HLK, k_1HLK, v_1HLK = piece_L3HK.permute(1, 2, 0, 3)[:, None]
        # Autocast would turn fp32 into bf16 here.
        with torch.autocast(q_1HLK.device.type, enabled=False):
            mixed.append(F.scaled_dot_product_attention(q_1HLK, k_1HLK, v_1HLK, is_causal=True))
    return torch.cat([mixed_1HLK[0].transpose(0, 1) for mixed_1HLK in mixed])
