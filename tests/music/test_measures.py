import random
import statistics
from collections import Counter
from dataclasses import asdict

import pytest

from scaling_lab.data.conversion.items import decode_text
from scaling_lab.data.sources.music21 import CORE, music21
from scaling_lab.music.abc import canonical, split_tunes
from scaling_lab.music.measures import Reference, divergence_bits, measure, standard_errors


@pytest.fixture(scope="module")
def tunes() -> list[str]:
    books = [decode_text(file.path.read_bytes()) for file in music21(CORE).files]
    return [canonical(tune) for tune in [tune for book in books for tune in split_tunes(book)][::12]]


@pytest.fixture(scope="module")
def reference(tunes: list[str]) -> Reference:
    return Reference.of(held_out=tunes[0::3], train=tunes[1::3])


def swapped(tune: str, share: float = 0.1) -> str:
    """A tune in which a share of the characters have changed places."""
    chance = random.Random(tune)
    text = list(tune)
    for _ in range(int(len(text) * share)):
        one, other = chance.randrange(len(text)), chance.randrange(len(text))
        text[one], text[other] = text[other], text[one]
    return "".join(text)


def truncated(tune: str) -> str:
    """A tune whose bars are cut to a third, bar lines and all."""
    head, key, music = tune.partition("\nK:")
    return head + key + "|".join(bar[: -(len(bar) // -3)] for bar in music.split("|"))


def test_held_out_tunes_are_like_themselves(tunes: list[str], reference: Reference):
    found = measure(tunes[0::3], reference)
    assert (found.pitch_class_divergence, found.interval_divergence, found.duration_divergence) == (0, 0, 0)


def test_real_tunes_get_good_values(tunes: list[str], reference: Reference):
    found = measure(tunes[2::3], reference)
    assert found.bars_in_metre is not None
    assert found.well_formed is not None
    assert found.repeat_rate is not None
    assert found.bars_in_metre > 0.97
    assert found.well_formed > 0.97
    assert 0.6 < found.repeat_rate < 0.85
    divergences = (found.pitch_class_divergence, found.interval_divergence, found.duration_divergence)
    assert all(value is not None and 0 < value < 0.02 for value in divergences)


def test_each_measure_tells_real_tunes_from_corrupted_ones(tunes: list[str], reference: Reference):
    real = asdict(measure(tunes[2::3], reference))
    shuffled = asdict(measure([swapped(tune) for tune in tunes[2::3]], reference))
    cut = asdict(measure([truncated(tune) for tune in tunes[2::3]], reference))
    for name in ("pitch_class_divergence", "interval_divergence", "duration_divergence"):
        assert shuffled[name] > 2 * real[name]
    for name in ("bars_in_metre", "well_formed"):
        assert shuffled[name] < real[name] - 0.2
    for name in ("bars_in_metre", "notes_per_tune", "repeat_rate"):
        assert cut[name] < 0.8 * real[name]
    assert shuffled["novelty"] > real["novelty"]


def test_training_tunes_have_no_novelty_and_others_have_some(tunes: list[str], reference: Reference):
    assert measure(tunes[1::3], reference).novelty == 0
    assert (measure(tunes[2::3], reference).novelty or 0) > 0.5


def test_pick_ups_and_ends_are_excused_and_other_bars_are_not(reference: Reference):
    header = "M:2/4\nL:1/8\nK:C\n"
    assert measure([header + "C|DEFG|ABcd|e3:|\nC|DEFG|ABc:|\n"], reference).bars_in_metre == 1
    assert measure([header + "C|DEFG|ABc|defg|a3|]\n"], reference).bars_in_metre == pytest.approx(2 / 3)
    assert measure([header + "C|DEFGA:|C|DEFG|]\n"], reference).bars_in_metre == 0


def test_a_set_without_music_has_no_shares(reference: Reference):
    assert measure([], reference).bars_in_metre is None
    junk = measure(["", "[[[", "K:"], reference)
    assert (junk.tunes, junk.notes_per_tune, junk.well_formed, junk.interval_divergence) == (3, 0, 0, None)


def test_divergence_is_in_bits():
    assert divergence_bits(Counter("ab"), Counter("aabb")) == 0
    assert divergence_bits(Counter("a"), Counter("b")) == 1
    assert divergence_bits(Counter("a"), Counter("ab")) == pytest.approx(0.3112781)


def test_standard_errors_are_by_how_much_sets_of_tunes_differ(tunes: list[str], reference: Reference):
    """Against the real spread of the measures from one set of 24 tunes to the next."""
    chance = random.Random(0)
    sets = [chance.sample(tunes[2::3], 24) for _ in range(60)]
    every = [asdict(measure(one, reference)) for one in sets]
    errors = [standard_errors(one, reference) for one in sets[:12]]
    for name in ("notes_per_tune", "repeat_rate", "pitch_class_divergence", "interval_divergence"):
        spread = statistics.stdev(found[name] for found in every)
        told = statistics.mean(found[name] or 0.0 for found in errors)
        assert 0.5 * spread < told < 2 * spread, name


def test_what_has_no_value_has_no_standard_error(reference: Reference):
    assert set(standard_errors(["M:4/4\nK:C\n"] * 3, reference).values()) >= {None}
    assert standard_errors(["K:C\nABc|"], reference)["notes_per_tune"] is None
    assert standard_errors(["M:4/4\nK:C\nC8|C8|C8|"] * 3, reference)["notes_per_tune"] == 0
