"""What holds of any documents, context, batch, and number of processes: no token lost, none repeated."""

import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import orjson
import pytest
import torch
from corpora import write_corpus
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scaling_lab.config import SIZES, load_config
from scaling_lab.data.batches import IGNORED_TARGET, Batch, TrainingStream, evaluation_batches
from scaling_lab.data.dataset import PackedSplit, open_dataset
from scaling_lab.data.packing import duplicates, guide_format, json_stream
from scaling_lab.errors import DataError

LENGTHS = st.lists(st.integers(2, 60), min_size=1, max_size=12)
SMALL = st.integers(1, 50)
RANKS = st.sampled_from([1, 2, 4])


def split_of(lengths: list[int]) -> PackedSplit:
    """Documents of these lengths whose tokens are all different: each id is its own place."""
    offsets = np.cumsum([0, *lengths])
    return PackedSplit(np.arange(offsets[-1], dtype=np.uint32), offsets, characters=None)


def read(batches: list[Batch]) -> list[int]:
    return [token for batch in batches for token in batch.tokens_M.tolist()]


def scored(batches: list[Batch]) -> list[int]:
    return [target for batch in batches for target in batch.targets_M.tolist() if target != IGNORED_TARGET]


def not_first(split: PackedSplit) -> list[int]:
    """The tokens that have one of their document before them."""
    return sorted(set(range(split.n_tokens)) - set(split.offsets[:-1].tolist()))


def shares(batch: Batch, n_ranks: int, micro_batch_tokens: int) -> list[list[Batch]]:
    return [list(batch.share(rank, n_ranks, micro_batch_tokens)) for rank in range(n_ranks)]


@given(LENGTHS, SMALL, SMALL, SMALL, RANKS, st.integers(0, 3))
def test_an_epoch_reads_and_scores_each_token_once_whoever_shares_it(
    lengths: list[int], batch_tokens: int, context: int, micro_batch_tokens: int, n_ranks: int, seed: int
) -> None:
    split = split_of(lengths)
    stream = TrainingStream(split, batch_tokens, context, seed)
    # As many whole batches as whole epochs: each token as often as there are epochs.
    n_steps = split.n_tokens // np.gcd(split.n_tokens, batch_tokens)
    n_epochs = n_steps * batch_tokens // split.n_tokens
    parts = [
        part
        for step in range(n_steps)
        for share in shares(stream.batch(step), n_ranks, micro_batch_tokens)
        for part in share
    ]
    assert Counter(read(parts)) == dict.fromkeys(range(split.n_tokens), n_epochs)
    assert Counter(scored(parts)) == dict.fromkeys(not_first(split), n_epochs)
    assert all(length <= context for part in parts for length in part.lengths)


@given(LENGTHS, SMALL, SMALL, SMALL, RANKS)
def test_processes_have_a_batch_between_them_piece_by_piece(
    lengths: list[int], batch_tokens: int, context: int, micro_batch_tokens: int, n_ranks: int
) -> None:
    batch = TrainingStream(split_of(lengths), batch_tokens, context, seed=0).batch(0)
    shared = shares(batch, n_ranks, micro_batch_tokens)
    in_turn = [part for turn in range(len(shared[0])) for share in shared for part in share[turn : turn + 1]]
    assert [length for part in in_turn for length in part.lengths] == batch.lengths
    assert torch.equal(torch.cat([part.tokens_M for part in in_turn]), batch.tokens_M)
    assert torch.equal(torch.cat([part.targets_M for part in in_turn]), batch.targets_M)
    assert len(shared[0]) - len(shared[-1]) in (0, 1)
    assert all(len(part.tokens_M) <= micro_batch_tokens or len(part.lengths) == 1 for part in in_turn)


@given(LENGTHS, SMALL, SMALL, st.integers(0, 40), st.integers(1, 4))
def test_a_stream_begun_at_any_step_goes_on_as_the_one_that_came_there(
    lengths: list[int], batch_tokens: int, context: int, step: int, more: int
) -> None:
    split = split_of(lengths)
    whole, resumed = (TrainingStream(split, batch_tokens, context, seed=5) for _ in range(2))
    for before in range(step):
        whole.batch(before)
    for place in range(step, step + more):
        one, other = whole.batch(place), resumed.batch(place)
        assert one.lengths == other.lengths
        assert torch.equal(one.tokens_M, other.tokens_M)
        assert torch.equal(one.targets_M, other.targets_M)


@given(LENGTHS, SMALL, SMALL, SMALL)
def test_evaluation_scores_each_token_once_with_the_same_pieces_whatever_the_batch(
    lengths: list[int], batch_tokens: int, other_batch_tokens: int, context: int
) -> None:
    split = split_of(lengths)
    batches, others = (list(evaluation_batches(split, size, context)) for size in (batch_tokens, other_batch_tokens))
    assert read(batches) == list(range(split.n_tokens))
    assert scored(batches) == not_first(split)
    pieces = [length for batch in batches for length in batch.lengths]
    assert pieces == [length for batch in others for length in batch.lengths]
    assert max(pieces) <= context


@pytest.mark.parametrize("ladder", ["mini", "full"])
def test_every_size_of_a_ladder_reads_the_same_batches(folder: Path, ladder: str) -> None:
    train = open_dataset(write_corpus(folder / "music")).train
    streams = []
    for size in SIZES:
        config = load_config(size=size, ladder=ladder, environ={})
        recipe, context = config.recipe, config.data.sequence_length
        streams.append(TrainingStream(train, recipe.batch_size_tokens, context, config.seed))
    for step in (0, 2):
        first, *others = (stream.batch(step) for stream in streams)
        assert all(torch.equal(first.tokens_M, other.tokens_M) and first.lengths == other.lengths for other in others)


def array(records: list[bytes]) -> bytes:
    return b"[" + b",\n ".join(records) + b"]"


def indented(records: list[bytes]) -> bytes:
    return orjson.dumps([orjson.loads(record) for record in records], option=orjson.OPT_INDENT_2)


def lines(records: list[bytes]) -> bytes:
    return b"\n".join(records)


def packed_lines(records: list[bytes]) -> bytes:
    return gzip.compress(lines(records))


DOCUMENTS = st.lists(
    st.tuples(
        st.lists(st.integers(3, 40), min_size=1, max_size=6), st.text('ab"\\{}], é', max_size=5), st.integers(0, 9)
    ),
    min_size=3,
    max_size=30,
)


@settings(max_examples=40)
@given(
    DOCUMENTS,
    st.sampled_from([array, indented, lines, packed_lines]),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 20),
)
def test_neither_the_form_of_a_file_nor_how_it_is_cut_changes_what_is_packed(
    tmp_path_factory: pytest.TempPathFactory,
    given_documents: list[tuple[list[int], str, int]],
    form: Callable[[list[bytes]], bytes],
    chunk_bytes: int,
    block_bytes: int,
    share_documents: int,
) -> None:
    records = [
        orjson.dumps({"midi_path": f"{group}.mid", "abc": abc, "tokens": [*tokens, 3 + number % 40, number // 40]})
        for number, (tokens, abc, group) in enumerate(given_documents)
    ]
    found = []
    for folder, content in (("plain", lines(records)), ("other", form(records))):
        train = tmp_path_factory.mktemp(folder) / "train"
        train.mkdir()
        (train / "data.json").write_bytes(content)
        with pytest.MonkeyPatch.context() as patch:
            if folder == "other":
                patch.setattr(json_stream, "CHUNK_BYTES", chunk_bytes)
                patch.setattr(guide_format, "BLOCK_BYTES", block_bytes)
                patch.setattr(duplicates, "SHARE_DOCUMENTS", share_documents)
            try:
                dataset = open_dataset(train.parent, vocab_size=50, bos_id=1, eos_id=2)
            except DataError:  # one group alone is all val
                found.append(None)
                continue
        found.append((dataset.fingerprint, dataset.summary(), dataset.val.notes, dataset.warnings))
    assert found[0] == found[1]


@settings(max_examples=25)
@given(st.sets(st.integers(0, 999), min_size=60, max_size=200), st.randoms(use_true_random=False))
def test_adding_and_reordering_files_moves_none_between_the_splits(
    tmp_path_factory: pytest.TempPathFactory, numbers: set[int], shuffler: Random
) -> None:
    every = sorted(numbers)
    some = every[::2]
    shuffler.shuffle(every)
    sets = []
    for kept in (some, every):
        train = tmp_path_factory.mktemp("drawn") / "train"
        train.mkdir()
        records = [orjson.dumps({"midi_path": f"{n}.mid", "tokens": [3 + n % 40, 3 + n // 40]}) for n in kept]
        (train / "data.json").write_bytes(lines(records))
        val = open_dataset(train.parent, vocab_size=50, bos_id=1, eos_id=2).val
        ids = val.tokens.reshape(-1, 4)
        sets.append({int((high - 3) * 40 + low - 3) for _, low, high, _ in ids})
    # Of so few that none is drawn, the nearest serves: until one is drawn.
    assume(len(sets[0]) > 1)
    assert sets[0] == sets[1] & set(some)
