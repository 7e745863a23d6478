"""What to run next: half-widths that simulation bears out, in the order of what they cost."""

import numpy as np
import pytest

from scaling_lab.laws import fit_power_law
from scaling_lab.laws.next_runs import NextRuns, next_runs

LADDER = np.array([0.4e6, 1.6e6, 6.4e6, 25.6e6, 102.4e6])
SIGMA = 0.003


def mean(n: np.ndarray) -> np.ndarray:
    return 0.4 * (n / LADDER[-1]) ** -0.27 + 0.6


def studied(n: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return n, mean(n) * (1 + SIGMA * np.random.default_rng(seed).standard_normal(len(n)))


def by_text(found: tuple[NextRuns, ...], words: str) -> NextRuns:
    (one,) = [runs for runs in found if words in runs.text]
    return one


def median_half_width(n: np.ndarray) -> float:
    """Of simulated studies of this design."""
    fits = [fit_power_law(*studied(n, seed)) for seed in range(200)]
    return float(np.median([(fit.alpha.high - fit.alpha.low) / 2 for fit in fits]))


def test_expected_half_widths_are_those_of_simulated_studies() -> None:
    three_seeds = np.repeat(LADDER, 3)
    # Of a fit whose noise is as it is simulated, which no single study's is.
    exact = mean(three_seeds) * (1 + SIGMA * np.tile([-1, 0, 1], 5))
    found = next_runs(fit_power_law(three_seeds, exact))
    assert found[0].now == pytest.approx(median_half_width(three_seeds), rel=0.15)
    smaller = by_text(found, "smaller")
    assert smaller.half_width == pytest.approx(median_half_width(np.append(three_seeds, smaller.n)), rel=0.15)
    more = by_text(found, "all sizes")
    assert more.half_width == pytest.approx(median_half_width(np.repeat(LADDER, 5)), rel=0.15)


def test_they_are_ranked_by_what_they_narrow_for_their_cost() -> None:
    fit = fit_power_law(*studied(np.repeat(LADDER, 2)))
    found = next_runs(fit)
    assert [runs.gain for runs in found] == sorted((runs.gain for runs in found), reverse=True)
    assert all(runs.half_width < runs.now for runs in found)
    assert by_text(found, "2 more seeds of all sizes").cost == pytest.approx(2 * LADDER.sum())
    # A small run is cheap, and the far end of the ladder is where the exponent is decided.
    assert "smaller" in found[0].text
    dear = next_runs(fit, cost=lambda n: 1e12 if n < LADDER[0] else n)
    assert "smaller" not in dear[0].text


def test_where_nothing_measures_the_noise_nothing_is_promised() -> None:
    assert next_runs(fit_power_law(LADDER, mean(LADDER)[::-1])) == ()
    assert next_runs(fit_power_law(LADDER[:3], mean(LADDER[:3]))) == ()
    assert next_runs(fit_power_law(LADDER[:2], mean(LADDER[:2]))) == ()


def test_no_size_is_named_that_can_not_be_built() -> None:
    n, losses = studied(np.repeat(LADDER, 3))
    found = next_runs(fit_power_law(n / 200, losses))
    assert found
    assert not [runs for runs in found if "smaller," in runs.text]
