"""The transformer: what it costs, what a token may see, and that it computes what the textbook says."""

import math

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from scaling_lab.config import LADDERS, SIZES, load_config
from scaling_lab.config.schema import ModelConfig
from scaling_lab.model.cost import count_parameters, flops_of_pieces, flops_per_token
from scaling_lab.model.rotary import ROTARY_BASE
from scaling_lab.model.transformer import Transformer

VOCAB = 29
SMALL = ModelConfig(d_model=16, n_layers=2, n_heads=2, d_ff=40, head_dim=6)


def random_tokens(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(VOCAB, (count,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("size", SIZES)
def test_the_formula_counts_every_tensor_of_every_preset(ladder: str, size: str) -> None:
    config = load_config(size=size, ladder=ladder, environ={}).model
    with torch.device("meta"):
        model = Transformer(config, VOCAB, seed=None)
    total = sum(parameter.numel() for parameter in model.parameters())
    counts = count_parameters(config, VOCAB)
    assert counts.total == total
    assert counts.non_embedding == total - VOCAB * config.d_model
    matrices = sum(parameter.numel() for parameter in model.parameters() if parameter.ndim == 2)
    assert counts.matmul == matrices


@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("size", SIZES)
def test_the_formula_counts_the_flops_that_torch_counts(ladder: str, size: str) -> None:
    config = load_config(size=size, ladder=ladder, environ={}).model
    lengths = [64, 32]  # nothing is filled in
    tokens_M = torch.zeros(sum(lengths), dtype=torch.int64)
    # Of attention torch counts plain matrix products only, and of these the whole square.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        Transformer(config, VOCAB, 0).loss(tokens_M, tokens_M, lengths).backward()
    counted = counter.get_flop_counts()["Global"]
    matmul = 6 * count_parameters(config, VOCAB).matmul * sum(lengths)
    assert counted.pop(torch.ops.aten.mm) == matmul
    assert sum(counted.values()) == 2 * (flops_of_pieces(config, VOCAB, lengths) - matmul)


def test_six_n_alone_is_far_too_low_for_tiny_at_the_guides_length() -> None:
    tiny = load_config(size="tiny", environ={}).model
    six_n = 6 * count_parameters(tiny, 100).non_embedding
    assert flops_per_token(tiny, 100, 5000) / six_n == pytest.approx(4.3, abs=0.1)


def test_short_pieces_cost_less_attention_than_one_long_one() -> None:
    assert flops_of_pieces(SMALL, VOCAB, [50, 50]) < flops_of_pieces(SMALL, VOCAB, [100])
    matmul = 6 * count_parameters(SMALL, VOCAB).matmul
    assert flops_of_pieces(SMALL, VOCAB, [10]) == 10 * (matmul + 6 * 2 * 12 * 10)


def test_no_token_sees_the_future_or_another_piece() -> None:
    model = Transformer(SMALL, VOCAB)
    lengths = [9, 14, 5]
    tokens = random_tokens(28)
    changed = tokens.clone()
    changed[15] = (changed[15] + 1) % VOCAB
    difference = (model(tokens, lengths) - model(changed, lengths)).abs().amax(dim=1)
    assert difference[:15].max() == 0
    assert difference[15:23].min() > 0
    assert difference[23:].max() == 0


def test_a_piece_scores_the_same_alone_and_among_others() -> None:
    model = Transformer(SMALL, VOCAB)
    tokens = random_tokens(30)
    together = model(tokens, [12, 18])
    assert torch.allclose(together[12:], model(tokens[12:], [18]), rtol=1e-5, atol=1e-6)


def test_logits_and_gradients_match_a_plain_float64_reference() -> None:
    model = Transformer(SMALL, VOCAB, seed=3)
    tokens, targets, lengths = random_tokens(23), random_tokens(23, seed=1), [11, 12]
    loss = model.loss(tokens, targets, lengths)
    loss.backward()
    weights = {name: value.detach().double().requires_grad_() for name, value in model.named_parameters()}
    expected = reference_loss(weights, tokens, targets, lengths)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad.double(), weights[name].grad, rtol=1e-4, atol=1e-5)


def reference_loss(
    weights: dict[str, torch.Tensor], tokens: torch.Tensor, targets: torch.Tensor, lengths: list[int]
) -> torch.Tensor:
    """Written from the textbook, one head, one piece and one matrix at a time."""
    total = torch.zeros((), dtype=torch.float64)
    begin = 0
    for length in lengths:
        piece = slice(begin, begin + length)
        x = weights["embedding.weight"][tokens[piece]]
        for layer in range(SMALL.n_layers):
            x = reference_block(weights, f"blocks.{layer}.", x)
        logits = layer_norm(x, weights["final_norm.weight"]) @ weights["embedding.weight"].T
        total = total - logits.log_softmax(dim=1)[torch.arange(length), targets[piece]].sum()
        begin += length
    return total


def reference_block(weights: dict[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    length, width = len(x), SMALL.head_width
    q_all, k_all, v_all = (
        layer_norm(x, weights[name + "attention_norm.weight"]) @ weights[name + "attention.qkv.weight"].T
    ).chunk(3, dim=1)
    position = torch.arange(length, dtype=torch.float64)
    heads = []
    for head in range(SMALL.n_heads):
        columns = slice(head * width, (head + 1) * width)
        q, k = turned(q_all[:, columns], position), turned(k_all[:, columns], position)
        scores = (q @ k.T / math.sqrt(width)).masked_fill(position[None, :] > position[:, None], -math.inf)
        heads.append(scores.softmax(dim=1) @ v_all[:, columns])
    x = x + torch.cat(heads, dim=1) @ weights[name + "attention.out.weight"].T
    inner = layer_norm(x, weights[name + "mlp_norm.weight"]) @ weights[name + "mlp.up.weight"].T
    return x + inner.clamp(min=0).square() @ weights[name + "mlp.down.weight"].T


def turned(x: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """Rotary positions as a product of complex numbers."""
    half = x.shape[1] // 2
    frequency = ROTARY_BASE ** (-torch.arange(half, dtype=torch.float64) / half)
    turn = torch.polar(torch.ones(len(x), half, dtype=torch.float64), position[:, None] * frequency)
    return torch.view_as_real(torch.complex(x[:, ::2], x[:, 1::2]) * turn).flatten(1)


def layer_norm(x: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean(dim=1, keepdim=True)
    return gain * centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()


def test_a_seed_fixes_the_weights_and_another_gives_others() -> None:
    first, again, other = (Transformer(SMALL, VOCAB, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])
