"""Tunes by a run that was trained: what fixes them, how they begin and how they end."""

from pathlib import Path

import pytest
from corpora import TUNE_CHARACTERS

from scaling_lab.errors import UsageError
from scaling_lab.sampling.trained_run import TrainedRun, load_trained_run
from scaling_lab.sampling.tunes import SampledTune, sample_tunes


@pytest.fixture
def run(run_dir: Path) -> TrainedRun:
    return load_trained_run(run_dir)


def texts(tunes: list[SampledTune]) -> list[str]:
    return [tune.text for tune in tunes]


def test_a_tune_is_fixed_by_seed_and_number_whatever_is_written_beside_it(run: TrainedRun) -> None:
    tunes = texts(sample_tunes(run, 7, seed=3))
    assert len(set(tunes)) == 7
    assert texts(sample_tunes(run, 7, seed=3, batch_size=2)) == tunes
    assert texts(sample_tunes(run, 3, seed=3)) == tunes[:3]
    assert set(texts(sample_tunes(run, 7, seed=4))).isdisjoint(tunes)


def test_every_tune_begins_with_the_prompt(run: TrainedRun) -> None:
    prompt = "M:6/8\nK:D\nGAB"
    tunes = texts(sample_tunes(run, 4, prompt=prompt))
    assert all(tune.startswith(prompt) and len(tune) > len(prompt) for tune in tunes)


def test_a_tune_ends_where_the_model_ends_it_or_at_the_most_tokens(run: TrainedRun) -> None:
    tunes = sample_tunes(run, 30)
    assert sum(tune.ended for tune in tunes) >= 15
    assert all(len(tune.text) == run.context - 1 for tune in tunes if not tune.ended)
    cut = sample_tunes(run, 30, max_tokens=10)
    assert texts(cut) == [tune.text[:10] for tune in tunes]
    assert [tune.ended for tune in cut] == [tune.ended and len(tune.text) < 10 for tune in tunes]


def test_wild_sampling_writes_only_characters_of_the_music(run: TrainedRun) -> None:
    written = "".join(texts(sample_tunes(run, 40, temperature=50, top_p=1)))
    assert set(written) == set(TUNE_CHARACTERS)


def test_past_the_context_a_tune_goes_on(run: TrainedRun) -> None:
    tunes = sample_tunes(run, 40, temperature=2.0, max_tokens=200)
    assert max(len(tune.text) for tune in tunes) > run.context
    assert texts(sample_tunes(run, 40, temperature=2.0, max_tokens=200, batch_size=3)) == texts(tunes)


@pytest.mark.parametrize(
    ("prompt", "words"), [("K:Gé\n", "can't spell 'é'"), ("GAB|" * 16, "64 tokens long, and the context of")]
)
def test_a_prompt_that_cannot_be_gone_on_with_is_refused(run: TrainedRun, prompt: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        sample_tunes(run, 1, prompt=prompt)


def test_a_file_has_one_number_and_a_title_before_the_music() -> None:
    tune = SampledTune("mini-xl, seed 2, sample 11", seed=2, number=11, text="X:5\nK:G\n[GB]2 c|", ended=True)
    assert tune.abc == "X:11\nT:mini-xl, seed 2, sample 11\nK:G\n[GB]2 c|\n"
    assert tune.stem == "sample-seed2-11"
    assert tune.n_notes == 3
