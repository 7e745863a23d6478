"""A textbook in the place of the GPU's kernel, so that all around the kernel runs on a CPU too.

torch has `varlen_attn` for CUDA alone. Importing this gives its two operators a CPU kernel, in fp32 inside.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import varlen


def _pieces(bounds_N: Tensor) -> Iterator[slice]:
    for begin, end in pairwise(bounds_N.tolist()):
        if end > begin:
            yield slice(begin, end)


def _score(q_MHK: Tensor, k_MHK: Tensor) -> Tensor:
    score_HMM = torch.einsum("qhk,nhk->hqn", q_MHK, k_MHK) / math.sqrt(q_MHK.shape[2])
    return score_HMM.masked_fill(torch.ones(score_HMM.shape[1:]).triu(1).bool(), -math.inf)


def _forward(q: Tensor, k: Tensor, v: Tensor, bounds: Tensor, *given: Any) -> tuple[Tensor, Tensor, Tensor]:
    assert bounds.dtype == torch.int32
    assert bounds[-1] == len(q)
    _, longest, _, is_causal = given[:4]
    assert is_causal
    mixed, lse = torch.empty_like(q), q.new_empty(q.shape[1], q.shape[0], dtype=torch.float32)
    for piece in _pieces(bounds):
        assert piece.stop - piece.start <= longest
        score = _score(q[piece].float(), k[piece].float())
        mixed[piece] = torch.einsum("hqn,nhk->qhk", score.softmax(-1), v[piece].float()).to(q.dtype)
        lse[:, piece] = score.logsumexp(-1)
    return mixed, lse, torch.zeros(2, dtype=torch.uint64)


def _backward(
    to_mixed: Tensor, q: Tensor, k: Tensor, v: Tensor, mixed: Tensor, lse: Tensor, bounds: Tensor, *given: Any
) -> tuple[Tensor, Tensor, Tensor]:
    to_q, to_k, to_v = (torch.empty_like(part) for part in (q, k, v))
    scale = 1 / math.sqrt(q.shape[2])
    for piece in _pieces(bounds):
        q_, k_, v_, mixed_, to_mixed_ = (part[piece].float() for part in (q, k, v, mixed, to_mixed))
        p = _score(q_, k_).softmax(-1)
        to_p = torch.einsum("qhk,nhk->hqn", to_mixed_, v_)
        to_score = p * (to_p - (to_mixed_ * mixed_).sum(-1).T[..., None]) * scale
        to_q[piece] = torch.einsum("hqn,nhk->qhk", to_score, k_).to(q.dtype)
        to_k[piece] = torch.einsum("hqn,qhk->nhk", to_score, q_).to(q.dtype)
        to_v[piece] = torch.einsum("hqn,qhk->nhk", p, to_mixed_).to(q.dtype)
    return to_q, to_k, to_v


varlen._varlen_attn.register_kernel("cpu")(_forward)
varlen._varlen_attn_backward.register_kernel("cpu")(_backward)
