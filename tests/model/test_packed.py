"""Packed attention, all but its kernel, which only a GPU has: a textbook takes its place here."""

import packed_kernel  # noqa: F401 - puts it there
import pytest
import torch
from torch._dynamo.utils import counters

from scaling_lab.config.schema import ModelConfig
from scaling_lab.model import transformer
from scaling_lab.model.attention import attention_within_pieces
from scaling_lab.model.packed import packed_attention
from scaling_lab.model.transformer import Transformer
from scaling_lab.training.compiled import compile_blocks

VOCAB = 50
CPU = torch.device("cpu")


def random_tokens(count: int) -> torch.Tensor:
    return torch.randint(VOCAB, (count,), generator=torch.Generator().manual_seed(count))


def small_model() -> Transformer:
    return Transformer(ModelConfig(n_layers=3, n_heads=2, d_model=32, d_ff=64), VOCAB, 0)


def gradient(model: Transformer, lengths: list[int]) -> tuple[float, torch.Tensor]:
    """Loss, and the gradient of all weights as one vector."""
    model.zero_grad()
    tokens_M = random_tokens(sum(lengths))
    loss = model.loss(tokens_M, tokens_M.roll(-1), lengths)
    loss.backward()
    return loss.item(), torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])


@pytest.mark.parametrize("lengths", [[1], [64], [5, 1, 58], [100, 128, 3, 3, 22]], ids=str)
def test_packed_attention_and_its_gradient_are_those_of_each_piece_by_itself(lengths: list[int]) -> None:
    qkv = torch.randn(sum(lengths), 3, 2, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = attention_within_pieces(lengths, 16, CPU)(qkv)
    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (expected_grad,) = torch.autograd.grad((expected * weight).sum(), qkv)
    mixed = packed_attention(lengths, 16, CPU)(qkv)
    (grad,) = torch.autograd.grad((mixed * weight).sum(), qkv)
    torch.testing.assert_close(mixed, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(grad, expected_grad, rtol=1e-5, atol=1e-5)


# Of torch itself, as it traces.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor", "ignore:.*should not be instantiated")
def test_one_graph_serves_all_layers_and_all_micro_batches_of_one_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    micro_batches = [[100, 28], [70, 58], [127, 1]]
    eager = [gradient(small_model(), lengths) for lengths in micro_batches]
    monkeypatch.setattr(transformer, "attention_within_pieces", packed_attention)
    torch.compiler.reset()
    counters.clear()
    model = small_model()
    compile_blocks(model, backend="aot_eager")
    for lengths, (expected_loss, expected_grad) in zip(micro_batches, eager, strict=True):
        loss, grad = gradient(model, lengths)
        assert loss == pytest.approx(expected_loss, rel=1e-6)
        torch.testing.assert_close(grad, expected_grad, rtol=1e-4, atol=1e-5)
    assert counters["stats"]["unique_graphs"] == 1
    assert model.state_dict().keys() == small_model().state_dict().keys()
