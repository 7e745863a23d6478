"""Ticks, formats and thinning: the small things that a figure or a table is made of."""

from math import inf, nan

import numpy as np
import pytest

from scaling_lab.report import formats
from scaling_lab.report.axes import axis_from_zero, log_axis, log_ticks
from scaling_lab.report.thinning import thin


def test_thinning_keeps_every_spike_and_both_ends() -> None:
    x = np.arange(1.0, 100_001.0)
    y = np.sin(x / 9_000)
    y[[31_234, 77_777]] = 9, -9
    kept_x, kept_y = thin(x, y, n_bins=300)
    assert len(kept_x) <= 602
    assert kept_y.max() == 9
    assert kept_y.min() == -9
    assert (kept_x[0], kept_x[-1]) == (1, 100_000)
    assert (np.diff(kept_x) > 0).all()


def test_thinning_for_a_log_axis_keeps_the_early_steps() -> None:
    x = np.arange(0.0, 100_001.0)
    kept_x, _ = thin(x, np.cos(x), log_x=True, n_bins=300)
    assert list(kept_x[:6]) == [1, 2, 3, 4, 5, 6]
    assert len(kept_x) <= 602


def test_thinning_leaves_a_short_series_as_it_is_but_for_gaps() -> None:
    x, y = np.array([1.0, 2, 3, 4]), np.array([5.0, nan, inf, 8])
    kept_x, kept_y = thin(x, y)
    assert list(kept_x) == [1, 4]
    assert list(kept_y) == [5, 8]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.22, 2.05, [1.4, 1.6, 1.8, 2.0]),
        (1.25, 4.5, [1.5, 2, 2.5, 3, 4]),
        (11e3, 1.3e6, [30e3, 100e3, 300e3, 1e6]),
        (5e8, 5e12, [1e9, 1e10, 1e11, 1e12]),
        (0.04, 0.9, [0.05, 0.1, 0.2, 0.5]),
    ],
)
def test_ticks_are_numbers_that_people_use(low: float, high: float, expected: list[float]) -> None:
    assert log_ticks(low, high) == expected


@pytest.mark.parametrize("decades", [0.001, 0.1, 0.4, 1, 2, 3, 7, 14])
def test_any_span_gets_two_to_eleven_ticks_within_it(decades: float) -> None:
    for low in (1e-6, 0.0137, 1.9, 88.0, 3e11):
        ticks = log_ticks(low, low * 10**decades)
        assert 2 <= len(ticks) <= 11
        assert low <= ticks[0] < ticks[-1] <= low * 10**decades * (1 + 1e-12)


def test_axes_of_nothing_have_no_range() -> None:
    assert "range" not in log_axis("loss", [nan, -1, 0])
    assert "range" not in axis_from_zero("tokens", [])


def test_axis_of_one_value_has_room_around_it() -> None:
    low, high = log_axis("loss", [2.0])["range"]
    assert 10**low < 2 < 10**high


@pytest.mark.parametrize(
    ("number", "expected"),
    [(15_008, "15K"), (1.2e9, "1.2B"), (999_600, "1M"), (3.2e18, "3.2e18"), (58.6, "58.6"), (None, "–"), (nan, "–")],
)
def test_counts_have_three_digits_and_a_letter(number: float | None, expected: str) -> None:
    assert formats.count(number) == expected


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        ((0.4591, 0.4447, 0.4722), ("0.459", "0.445 to 0.472")),
        ((1.2055, 1.1957, 1.2148), ("1.206", "1.196 to 1.215")),
        ((64.87, 57.6, 73.1), ("64.9", "57.6 to 73.1")),
        ((58.1, 3.12, 4_977_280.0), ("58.1", "3.12 to 4.98e6")),
        ((0.492, 0.4262, 0.5611), ("0.49", "0.43 to 0.56")),
        ((0.3, 0.0, inf), ("0.30", "0.00 to ∞")),
        ((nan, nan, nan), ("–", "–")),
        ((nan, 0.0, inf), ("–", "0 to ∞")),
    ],
)
def test_estimates_share_their_decimals(estimate: tuple[float, float, float], expected: tuple[str, str]) -> None:
    assert formats.estimate(*estimate) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(7.654, "7.65 s"), (125, "2 min 5 s"), (12_000, "3 h 20 min"), (None, "–")]
)
def test_durations_have_two_units(seconds: float | None, expected: str) -> None:
    assert formats.duration(seconds) == expected


def test_unseen_characters_are_spelled_out_and_letters_of_any_script_stay() -> None:
    assert formats.plain("a\u202eb\x00\u200f\ud800") == r"a\u202eb\u0000\u200f\ud800"
    assert formats.plain("ملف 曲 é 🎵") == "ملف 曲 é 🎵"
