"""Batches: every token once an epoch, the same for every size, resumable by one integer."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from corpora import write_corpus

from scaling_lab.data.batches import IGNORED_TARGET, PADDED_TO, Batch, TrainingStream, evaluation_batches
from scaling_lab.data.dataset import Dataset, open_dataset

T = 40


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return open_dataset(write_corpus(tmp_path / "music"))


def stream(dataset: Dataset, batch_size_tokens: int = 512, seed: int = 0) -> TrainingStream:
    return TrainingStream(dataset.train, batch_size_tokens, T, seed)


def test_an_epoch_reads_every_training_token_once(dataset: Dataset) -> None:
    batches = [stream(dataset, 100).batch(step) for step in range(-(-dataset.train.n_tokens // 100))]
    read = torch.cat([batch.tokens_M for batch in batches])[: dataset.train.n_tokens]
    assert Counter(read.tolist()) == Counter(np.asarray(dataset.train.tokens).tolist())


def test_a_batch_depends_on_seed_and_step_alone(dataset: Dataset) -> None:
    used, fresh = stream(dataset), stream(dataset)
    for step in (7, 0, 23, 3):
        used.batch(step)
    assert torch.equal(used.batch(5).tokens_M, fresh.batch(5).tokens_M)
    assert not torch.equal(fresh.batch(5).tokens_M, stream(dataset, seed=1).batch(5).tokens_M)


def test_another_epoch_has_another_order(dataset: Dataset) -> None:
    whole = stream(dataset, dataset.train.n_tokens)
    first, second = whole.batch(0).tokens_M, whole.batch(1).tokens_M
    assert not torch.equal(first, second)
    assert Counter(first.tolist()) == Counter(second.tolist())


def test_every_batch_is_full_and_no_piece_is_longer_than_the_sequence(dataset: Dataset) -> None:
    for step in range(30):
        batch = stream(dataset).batch(step)
        assert len(batch.tokens_M) == sum(batch.lengths) == 512
        assert max(batch.lengths) <= T


def test_a_target_is_the_next_token_of_the_same_document(dataset: Dataset) -> None:
    batch = stream(dataset, 2048).batch(0)
    begin = 0
    for length in batch.lengths:
        tokens, targets = batch.tokens_M[begin : begin + length], batch.targets_M[begin : begin + length]
        assert torch.equal(targets[:-1], tokens[1:])
        assert (targets[-1] == IGNORED_TARGET) == (tokens[-1] == dataset.eos_id)
        begin += length


def test_micro_batches_are_whole_pieces_and_lose_nothing(dataset: Dataset) -> None:
    batch = stream(dataset).batch(2)
    parts = list(batch.micro_batches(90))
    assert all(len(part.tokens_M) <= 90 for part in parts)
    assert [length for part in parts for length in part.lengths] == batch.lengths
    assert torch.equal(torch.cat([part.targets_M for part in parts]), batch.targets_M)


def test_a_piece_longer_than_a_micro_batch_goes_alone() -> None:
    tokens = torch.arange(12)
    batch = Batch(tokens, tokens, [3, 7, 2])
    assert [part.lengths for part in batch.micro_batches(5)] == [[3], [7], [2]]


def test_a_batch_is_filled_up_with_what_nothing_is_learned_from(dataset: Dataset) -> None:
    for micro in TrainingStream(dataset.train, 200, 40, seed=3).batch(0).micro_batches(90):
        padded = micro.padded()
        n_tokens = len(micro.tokens_M)
        assert len(padded.tokens_M) == sum(padded.lengths) == -(-n_tokens // PADDED_TO) * PADDED_TO
        assert torch.equal(padded.tokens_M[:n_tokens], micro.tokens_M)
        assert torch.equal(padded.targets_M[:n_tokens], micro.targets_M)
        assert padded.lengths[: len(micro.lengths)] == micro.lengths
        assert padded.n_targets == micro.n_targets
        assert torch.equal(padded.padded().tokens_M, padded.tokens_M)


def test_evaluation_scores_every_token_but_the_first_of_each_document_once(dataset: Dataset) -> None:
    batches = list(evaluation_batches(dataset.val, 200, T))
    assert torch.cat([batch.tokens_M for batch in batches]).tolist() == np.asarray(dataset.val.tokens).tolist()
    assert sum(batch.n_targets for batch in batches) == dataset.val.n_tokens - dataset.val.n_documents


def test_even_micro_batches_hold_each_piece_once_and_are_of_one_size(dataset: Dataset) -> None:
    batch = stream(dataset, 8192).batch(2)
    micro_batches = batch.even_micro_batches(3)
    assert {len(micro.tokens_M) for micro in micro_batches} == {3072}
    assert sum(micro.n_targets for micro in micro_batches) == batch.n_targets
    pieces: Counter[tuple[int, ...]] = Counter()
    for micro in micro_batches:
        assert max(micro.lengths) <= T + PADDED_TO
        for tokens, targets in zip(
            micro.tokens_M.split(micro.lengths), micro.targets_M.split(micro.lengths), strict=True
        ):
            if (targets != IGNORED_TARGET).any():
                pieces[tuple(tokens.tolist())] += 1
    whole = zip(batch.tokens_M.split(batch.lengths), batch.targets_M.split(batch.lengths), strict=True)
    assert pieces == Counter(tuple(tokens.tolist()) for tokens, targets in whole if (targets != IGNORED_TARGET).any())


def test_more_micro_batches_than_pieces_leave_some_without_a_target(dataset: Dataset) -> None:
    batch = stream(dataset, 64).batch(0)
    micro_batches = batch.even_micro_batches(len(batch.lengths) + 1)
    assert [micro.n_targets for micro in micro_batches].count(0) >= 1
    assert {len(micro.tokens_M) for micro in micro_batches} == {1024}
