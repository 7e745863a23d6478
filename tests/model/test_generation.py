"""Generation: a cache that changes nothing, documents that don't know of each other, and what may be drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from scaling_lab.config.schema import ModelConfig
from scaling_lab.model.generation import CachedReader, Drawing, Written, draw, generate, nucleus
from scaling_lab.model.transformer import Transformer

VOCAB, PAD, BOS, EOS = 29, 0, 1, 2
SMALL = ModelConfig(d_model=16, n_layers=3, n_heads=2, d_ff=40, head_dim=6)
DRAWABLE = torch.arange(VOCAB) > EOS


@pytest.fixture
def model() -> Transformer:
    return Transformer(SMALL, VOCAB, seed=5)


def written(
    model: Transformer,
    n_documents: int = 6,
    prompt: Sequence[int] = (BOS,),
    drawable: torch.Tensor = DRAWABLE,
    batch_size: int | None = None,
    **changes: Any,
) -> list[Written]:
    drawing = Drawing(**{"max_tokens": 40, "context": 64, "temperature": 1.5} | changes)
    return generate(model, prompt, n_documents, drawing, eos_id=EOS, drawable_V=drawable, batch_size=batch_size)


@torch.inference_mode()
def test_logits_with_the_cache_are_those_of_the_full_pass(model: Transformer) -> None:
    documents = torch.randint(VOCAB, (4, 30), generator=torch.Generator().manual_seed(0))
    reader = CachedReader(model, n_documents=4, capacity=30)
    cached = [reader.begin(documents[:, :7]), *(reader.read(documents[:, place]) for place in range(7, 30))]
    full = torch.stack([model(document, [30])[6:] for document in documents])
    assert (torch.stack(cached, dim=1) - full).abs().max() < 1e-4


@torch.inference_mode()
def test_those_that_stay_are_read_the_same_when_another_leaves(model: Transformer) -> None:
    documents = torch.randint(VOCAB, (3, 12), generator=torch.Generator().manual_seed(1))
    reader = CachedReader(model, n_documents=3, capacity=12)
    reader.begin(documents[:, :11])
    reader.drop(0)
    stayed = documents[[2, 1]]  # the last one takes the place of the one that left
    full = torch.stack([model(document, [12])[-1] for document in stayed])
    assert (reader.read(stayed[:, 11]) - full).abs().max() < 1e-4


@torch.inference_mode()
def test_greedy_writing_is_what_it_would_be_without_a_cache(model: Transformer) -> None:
    prompt = [BOS, 7, 8]
    tokens: list[int] = []
    while len(tokens) < 40 and EOS not in tokens:
        piece = torch.tensor(prompt + tokens)
        logits = model(piece, [len(piece)])[-1]
        logits[[PAD, BOS]] = -torch.inf
        tokens.append(int(logits.argmax()))
    expected = Written(tokens[:-1], True) if tokens[-1] == EOS else Written(tokens, False)
    assert written(model, 2, prompt, temperature=0) == [expected] * 2


@torch.inference_mode()
def test_past_the_context_the_later_half_is_read_as_a_new_piece(model: Transformer) -> None:
    document = written(model, 1, context=16, temperature=0)[0]
    assert len(document.tokens) == 40
    # BOS and 15 tokens fill the context; what follows the 16th was drawn from the last 8 alone.
    piece = torch.tensor(document.tokens[8:16])
    logits = model(piece, [8])[-1]
    logits[[PAD, BOS]] = -torch.inf
    assert document.tokens[16] == int(logits.argmax())


def test_a_document_is_a_function_of_seed_and_index_alone(model: Transformer) -> None:
    together = written(model)
    assert len({tuple(document.tokens) for document in together}) == 6
    assert written(model, batch_size=1) == written(model, batch_size=4) == together
    assert written(model, 2) == together[:2]
    assert written(model, seed=1) != together


def test_a_document_ends_at_eos_or_where_it_may_grow_no_more(model: Transformer) -> None:
    long = written(model, 40)
    assert {document.ended for document in long} == {True, False}
    assert all(len(document.tokens) == 40 for document in long if not document.ended)
    short = written(model, 40, max_tokens=5)
    for before, after in zip(long, short, strict=True):
        assert after.tokens == before.tokens[:5]
        assert after.ended == (before.ended and len(before.tokens) < 5)


def test_what_may_not_be_drawn_never_is(model: Transformer) -> None:
    drawable = (torch.arange(VOCAB) == 11) | (torch.arange(VOCAB) == 20)
    documents = written(model, 20, drawable=drawable, temperature=50.0)
    assert {token for document in documents for token in document.tokens} == {11, 20}


def test_draws_follow_the_probabilities() -> None:
    probability = torch.tensor([0.5, 0.0, 0.3, 0.2])
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    logits = probability.log().expand(20_000, -1)
    counts = np.bincount(draw(logits, uniform, temperature=1.0, top_p=1.0), minlength=4) / 20_000
    assert counts == pytest.approx(probability.tolist(), abs=0.015)
    sharper = np.bincount(draw(logits, uniform, temperature=0.5, top_p=1.0), minlength=4) / 20_000
    assert sharper == pytest.approx([0.25 / 0.38, 0, 0.09 / 0.38, 0.04 / 0.38], abs=0.015)


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.0, [0.4]), (0.39, [0.4]), (0.41, [0.4, 0.3]), (0.89, [0.4, 0.3, 0.2]), (0.95, [0.4, 0.3, 0.2, 0.1])],
)
def test_a_nucleus_is_the_smallest_set_that_holds_its_share(top_p: float, kept: list[float]) -> None:
    probability = torch.tensor([[0.1, 0.4, 0.2, 0.3]], dtype=torch.float64)
    left = nucleus(probability, top_p)[0]
    assert sorted(left[left > 0].tolist(), reverse=True) == kept


@pytest.mark.parametrize("prompt", [(), range(64)])
def test_a_prompt_that_leaves_no_room_is_refused(model: Transformer, prompt: Sequence[int]) -> None:
    with pytest.raises(ValueError, match="leaves nothing to write"):
        written(model, 1, prompt)
