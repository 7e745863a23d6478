"""The best size from curves: crossings are found, their law is the truth's, and what gives none is refused by name."""

import json

import numpy as np
import pytest

from scaling_lab.errors import DataError, UsageError
from scaling_lab.laws import EnvelopeFit, fit_envelope

# Of Hoffmann et al.'s joint law: the best size rises as C^(beta / (alpha + beta)).
ALPHA, BETA = 0.34, 0.28
EXPONENT = BETA / (ALPHA + BETA)
SIZES = np.geomspace(1e6, 256e6, 5)


def curves(
    sizes: np.ndarray = SIZES, sigma: float = 0.0, seed: int = 0, longest: float = 100
) -> tuple[np.ndarray, ...]:
    """FLOPs, parameters and loss along each size's run; sigma: of a whole run, relative."""
    random = np.random.default_rng(seed)
    of_run = np.exp(sigma * random.standard_normal(len(sizes)))
    points = [
        (6 * n * d, n, (1.7 + 406 / n**ALPHA + 410 / d**BETA) * off)
        for n, off in zip(sizes, of_run, strict=True)
        for d in 20 * n * np.geomspace(0.1, longest, 60)
    ]
    return tuple(np.array(points).T)


def refused(fit: EnvelopeFit) -> list[str]:
    assert fit.verdict == "not identified"
    assert "No law of the best size can be claimed" in fit.sentence()
    return [reason.name for reason in fit.reasons]


def test_the_best_size_is_that_of_the_joint_law_beneath() -> None:
    fit = fit_envelope(*curves())
    assert fit.verdict == "identified"
    assert fit.exponent.value == pytest.approx(EXPONENT, abs=2e-4)
    # Along 6·N·D = C the loss is least where alpha·A/N^alpha = beta·B/D^beta.
    c = 1e20
    best = (ALPHA * 406 / (BETA * 410) * (c / 6) ** BETA) ** (1 / (ALPHA + BETA))
    assert fit.predict(c).n == pytest.approx(best, rel=0.02)
    said = fit.to_dict([c])
    assert said["exponent"]["value"] == fit.exponent.value
    assert json.loads(json.dumps(said)) == said
    assert f"C^{fit.exponent.value:.2f}" in fit.sentence()


def test_rows_in_any_order_and_seeds_of_a_size_make_one_curve() -> None:
    c, n, loss = curves()
    order = np.random.default_rng(1).permutation(len(c))
    mixed = fit_envelope(np.tile(c, 2)[order], np.tile(n, 2)[order], np.tile(loss, 2)[order])
    assert mixed.exponent == fit_envelope(c[order], n[order], loss[order]).exponent
    assert fit_envelope(c, n, loss).exponent.value == pytest.approx(mixed.exponent.value, rel=1e-12)
    low, high = loss * 0.99, loss / 0.99
    both = fit_envelope(np.tile(c, 2), np.tile(n, 2), np.concatenate((low, high)))
    assert both.exponent.value == pytest.approx(EXPONENT, abs=2e-4)


def test_intervals_cover_at_least_as_often_as_they_say() -> None:
    fits = [fit_envelope(*curves(sigma=0.002, seed=seed)) for seed in range(200)]
    known = [fit for fit in fits if fit.verdict == "identified"]
    assert len(known) > 190
    held = np.mean([fit.exponent.low <= EXPONENT <= fit.exponent.high for fit in known])
    assert held > 0.93
    narrow = np.median([fit.exponent.high - fit.exponent.low for fit in known])
    assert narrow < 0.06  # and mean something


def test_what_gives_no_law_is_refused_by_name() -> None:
    assert refused(fit_envelope(*curves(SIZES[:3]))) == ["few-crossings"]
    assert refused(fit_envelope(*curves(longest=0.3))) == ["few-crossings"]  # too short to be overtaken
    c, n, loss = curves(longest=1e4)
    worse, better = (np.where(n == SIZES[2], loss * factor, loss) for factor in (1.05, 0.9))
    assert refused(fit_envelope(c, n, worse)) == ["never-best", "exponent-reaches-zero"]
    assert refused(fit_envelope(c, n, better))[0] == "never-best"
    assert "the size N = 64M is never the best" in fit_envelope(c, n, better).sentence()
    nothing = fit_envelope([], [], [])
    assert refused(nothing) == ["few-crossings"]
    assert np.isnan(nothing.predict(1e20).n)
    assert json.loads(json.dumps(nothing.to_dict([1e20])))["predictions"][0]["n"] is None


def test_what_is_no_table_of_curves_is_an_error() -> None:
    with pytest.raises(DataError, match="row 1"):
        fit_envelope([1e15, -1.0], [1e6, 1e6], [3, 2])
    with pytest.raises(UsageError, match="confidence"):
        fit_envelope(*curves(), confidence=1.0)


def test_a_size_left_behind_by_all_others_is_named_and_not_counted() -> None:
    sizes = np.geomspace(1e6, 1024e6, 6)
    c, n, loss = curves(sizes)
    within, last = (fit_envelope(c, n, np.where(n == sizes[at], loss * 1.3, loss)) for at in (3, 5))
    assert refused(within)[0] == "never-best"
    assert "64M" in within.sentence()
    # The largest may only not have been trained for long enough.
    assert last.verdict == "identified"
    assert "(4 crossings of 6 curves)" in last.sentence()
