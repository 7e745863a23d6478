"""Attention inside pieces: short ones have a way of their own on a CPU, and both ways are the textbook's."""

import math

import pytest
import torch

from scaling_lab.model.attention import attention_within_pieces
from scaling_lab.model.cost import SHORT_PIECE as SHORT

HEADS, WIDTH = 2, 6
CPU = torch.device("cpu")
# About where a block ends, and where a piece is no longer short; then both kinds side by side.
LENGTHS = ([1], [2, 255], [256, 257], [SHORT - 1, 3, SHORT], [SHORT + 1], [5, SHORT + 40, 300, 7, SHORT + 1])


def random_qkv(n_tokens: int, dtype: torch.dtype) -> torch.Tensor:
    numbers = torch.randn(n_tokens, 3, HEADS, WIDTH, generator=torch.Generator().manual_seed(n_tokens))
    return numbers.to(dtype).requires_grad_()


def turned(x_HMK: torch.Tensor, position_M: torch.Tensor) -> torch.Tensor:
    """Rotary positions, pair by pair (Su et al., 2104.09864, equation 15), by a table that is kept in fp32."""
    out = x_HMK.clone()
    for first in range(0, WIDTH, 2):
        angle = position_M * 10_000.0 ** (-first / WIDTH)
        cos, sin = angle.cos().float(), angle.sin().float()
        a, b = x_HMK[..., first], x_HMK[..., first + 1]
        out[..., first] = a * cos - b * sin
        out[..., first + 1] = a * sin + b * cos
    return out


def textbook(qkv_M3HK: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """Float64, and nothing but a mask over all pieces at once."""
    n_tokens = len(qkv_M3HK)
    position = torch.cat([torch.arange(length) for length in lengths]).double()
    q, k, v = qkv_M3HK.double().permute(1, 2, 0, 3)
    q, k = (turned(part, position) for part in (q, k))
    piece = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    seen = (piece[:, None] == piece) & (torch.arange(n_tokens)[:, None] >= torch.arange(n_tokens))
    score = (q @ k.transpose(1, 2) / math.sqrt(WIDTH)).masked_fill(~seen, -math.inf)
    return (score.softmax(-1) @ v).transpose(0, 1)


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_attention_and_its_gradient_are_the_textbooks(dtype: torch.dtype, lengths: list[int]) -> None:
    qkv_M3HK = random_qkv(sum(lengths), dtype)
    expected = textbook(qkv_M3HK, lengths)
    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (expected * weight).sum().backward()
    expected_grad, qkv_M3HK.grad = qkv_M3HK.grad, None
    mixed = attention_within_pieces(lengths, WIDTH, CPU)(qkv_M3HK)
    (mixed * weight).sum().backward()
    # Of bf16 only what goes in and what comes out: rounded to 8 bits.
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2**-7}[dtype]
    torch.testing.assert_close(mixed.double(), expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(qkv_M3HK.grad, expected_grad, rtol=2 * tolerance, atol=2 * tolerance)


@pytest.mark.parametrize("lengths", [[300], [SHORT + 1]], ids=str)
def test_autocast_leaves_attention_as_exact_as_it_is(lengths: list[int]) -> None:
    qkv_M3HK = random_qkv(sum(lengths), torch.float32)
    exact = attention_within_pieces(lengths, WIDTH, CPU)(qkv_M3HK)
    (exact_grad,) = torch.autograd.grad(exact.sum(), qkv_M3HK)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = attention_within_pieces(lengths, WIDTH, CPU)(qkv_M3HK)
        (under_grad,) = torch.autograd.grad(under.sum(), qkv_M3HK)
    assert under.dtype == torch.float32
    assert torch.equal(under, exact)
    assert torch.equal(under_grad, exact_grad)
