"""The fit: it finds the law, its intervals cover, and nothing arbitrary (units, order, a starting point) moves it."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.stats import f as f_distribution

from scaling_lab.errors import DataError, UsageError
from scaling_lab.laws import Interval, PowerLawFit, fit_power_law

LADDER = np.array([0.1e6, 0.4e6, 1.6e6, 6.4e6, 25.6e6])
UNEVEN = np.array([0.4e6, 3.3e6, 26e6, 57e6, 170e6])


def law(n, alpha: float = 0.27, floor: float = 0.6, largest: float = 25.6e6):
    """A loss of 1 at the largest size, `floor` of it c."""
    return (1 - floor) * (np.asarray(n) / largest) ** -alpha + floor


def noisy(n, sigma: float, seed: int, **shape):
    n = np.asarray(n)
    return law(n, **shape) * (1 + sigma * np.random.default_rng(seed).standard_normal(len(n)))


def parameters(fit: PowerLawFit) -> list[float]:
    return [number for one in (fit.alpha, fit.a, fit.c) for number in (one.value, one.low, one.high)]


def reference(residuals, start: list[float], lower: float = -np.inf):
    """A general optimiser, at the limit of its precision."""
    return least_squares(residuals, start, bounds=(lower, np.inf), xtol=1e-15, ftol=1e-15, gtol=1e-15)


def reference_rss(n, loss, alpha: float) -> float:
    """RSS at a fixed alpha, by a general optimiser."""
    u = (n / 1e6) ** -alpha
    solved = reference(lambda p: (p[0] * u + p[1] - loss) / loss, [1.0, 0.5], lower=0)
    return 2 * float(solved.cost)


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.27, 0.5, 1.2])
@pytest.mark.parametrize("floor", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("decades", [1, 3, 5])
def test_noise_free_data_give_the_law_back_to_six_digits(alpha, floor, decades):
    n = np.geomspace(1e5, 1e5 * 10**decades, 5)
    fit = fit_power_law(n, law(n, alpha, floor, n[-1]))
    true_a = (1 - floor) * n[-1] ** alpha
    for end in (fit.alpha.value, fit.alpha.low, fit.alpha.high):
        assert end == pytest.approx(alpha, rel=1e-6)
    for end in (fit.a.value, fit.a.low, fit.a.high):
        assert end == pytest.approx(true_a, rel=1e-6)
    for end in (fit.c.value, fit.c.low, fit.c.high):
        assert end == pytest.approx(floor, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.02, 0.27, 1.2])
def test_three_noise_free_sizes_give_the_law_but_no_interval(alpha):
    fit = fit_power_law(LADDER[:3], law(LADDER[:3], alpha))
    assert fit.alpha.value == pytest.approx(alpha, rel=1e-6)
    assert (fit.alpha.low, fit.alpha.high) == (0, np.inf)
    assert (fit.predict(1e9).low, fit.predict(1e9).high) == (0, np.inf)
    assert fit.verdict == "not identified"


def test_the_optimum_is_the_one_a_general_optimiser_finds():
    loss = noisy(LADDER, 0.01, seed=1)
    fit = fit_power_law(LADDER, loss)
    solved = reference(lambda p: (p[1] * (LADDER / 1e6) ** -p[0] + p[2] - loss) / loss, [0.3, 0.5, 0.5])
    assert fit.alpha.value == pytest.approx(solved.x[0], rel=1e-6)
    assert fit.a.value / 1e6**fit.alpha.value == pytest.approx(solved.x[1], rel=1e-6)
    assert fit.c.value == pytest.approx(solved.x[2], rel=1e-6)
    assert fit.rss == pytest.approx(2 * solved.cost, rel=1e-9)


def test_at_alphas_ends_the_rss_is_the_minimum_times_the_f_ratio():
    loss = noisy(LADDER, 0.01, seed=1)
    fit = fit_power_law(LADDER, loss)
    threshold = fit.rss * (1 + f_distribution.ppf(0.95, 1, 2) / 2)
    assert fit.profile.threshold == pytest.approx(threshold, rel=1e-9)
    for end in (fit.alpha.low, fit.alpha.high):
        assert reference_rss(LADDER, loss, end) == pytest.approx(threshold, rel=1e-6)


@pytest.mark.parametrize("which", ["low", "high"])
@pytest.mark.parametrize("floor", [0.6, 0.02])
def test_the_end_of_a_prediction_is_the_extreme_over_every_curve_not_ruled_out(which, floor):
    """Against a constrained optimum: the RSS of the best curve through (N*, end) is the threshold."""
    loss = noisy(LADDER, 0.01, seed=3, floor=floor)
    fit = fit_power_law(LADDER, loss)
    end = getattr(fit.predict(256e6), which)

    def through(alpha: float) -> float:
        """RSS of the best curve with this alpha, a, c >= 0, that passes through (256M, end)."""
        u, u_star = LADDER**-alpha, 256e6**-alpha
        slope, shift = (u - u_star) / loss, (end - loss) / loss
        a = np.clip(-(slope @ shift) / (slope @ slope), 0, end / u_star)
        return float(((a * slope + shift) ** 2).sum())

    best = min(through(alpha) for alpha in np.linspace(1e-3, 1.5, 3000))
    assert best == pytest.approx(fit.profile.threshold, rel=5e-3)


@pytest.mark.parametrize("seed", range(5))
def test_units_of_n_and_of_loss_change_nothing_but_the_units(seed):
    loss = noisy(UNEVEN, 0.003, seed, largest=170e6)
    fit, scaled = fit_power_law(UNEVEN, loss), fit_power_law(UNEVEN * 1000, loss * 10)
    assert parameters(scaled)[:3] == pytest.approx(parameters(fit)[:3], rel=1e-6)
    assert parameters(scaled)[6:] == pytest.approx([10 * c for c in parameters(fit)[6:]], rel=1e-6)
    assert scaled.a.value == pytest.approx(fit.a.value * 10 * 1000**fit.alpha.value, rel=1e-6)
    here, there = fit.predict(1e9), scaled.predict(1e12)
    for name in ("loss", "low", "high"):
        assert getattr(there, name) == pytest.approx(10 * getattr(here, name), rel=1e-6)
    assert scaled.verdict == fit.verdict


def test_the_order_of_rows_changes_nothing():
    n = np.repeat(LADDER, 3)
    loss = noisy(n, 0.003, seed=2)
    order = np.random.default_rng(0).permutation(len(n))
    assert parameters(fit_power_law(n[order], loss[order])) == parameters(fit_power_law(n, loss))


def test_sizes_counted_with_a_rounding_error_are_one_size():
    fit = fit_power_law([*LADDER, LADDER[2] * (1 + 1e-12)], law([*LADDER, LADDER[2]]))
    assert (fit.n_sizes, fit.n_points) == (5, 6)


def test_seeds_of_every_size_measure_the_noise_and_narrow_the_interval():
    n = np.repeat(LADDER, 3)
    loss = noisy(n, 0.003, seed=4)
    fit = fit_power_law(n, loss)
    by_size = loss.reshape(5, 3)
    pooled = ((by_size / by_size.mean(axis=1, keepdims=True) - 1) ** 2).sum() / 10
    assert (fit.noise.source, fit.noise.dof) == ("seeds", 10)
    assert fit.noise.variance == pytest.approx(pooled)
    assert fit.profile.threshold == pytest.approx(fit.rss + pooled * f_distribution.ppf(0.95, 1, 10))


def test_a_size_counts_as_often_as_it_has_seeds():
    n, loss = np.array([*LADDER, LADDER[0], LADDER[0]]), noisy([*LADDER, LADDER[0], LADDER[0]], 0.003, seed=5)
    mean, root_seeds = np.array([loss[[0, 5, 6]].mean(), *loss[1:5]]), np.sqrt([3, 1, 1, 1, 1])
    solved = reference(lambda p: root_seeds * (p[1] * (LADDER / 1e6) ** -p[0] + p[2] - mean) / mean, [0.3, 0.5, 0.5])
    assert fit_power_law(n, loss).alpha.value == pytest.approx(solved.x[0], rel=1e-6)


def test_a_lone_second_seed_does_not_widen_the_interval_to_one_degree_of_freedom():
    fit = fit_power_law([*LADDER, LADDER[0]], noisy([*LADDER, LADDER[0]], 0.003, seed=6))
    assert (fit.noise.source, fit.noise.dof) == ("seeds and residuals", 3)


def coverage(n, alpha: float, floor: float, sigma: float, simulations: int, seed: int) -> dict[str, float]:
    largest = float(n.max())
    truth = law([10 * largest], alpha, floor, largest)[0]
    random, hits = np.random.default_rng(seed), {"alpha": 0, "prediction": 0}
    for _ in range(simulations):
        loss = law(n, alpha, floor, largest) * (1 + sigma * random.standard_normal(len(n)))
        fit = fit_power_law(n, loss)
        prediction = fit.predict(10 * largest)
        hits["alpha"] += bool(fit.alpha.low <= alpha <= fit.alpha.high)
        hits["prediction"] += bool(prediction.low <= truth <= prediction.high)
    return {name: count / simulations for name, count in hits.items()}


@pytest.mark.parametrize(
    ("n", "alpha", "floor", "sigma"),
    [(UNEVEN, 0.27, 0.6, 0.003), (LADDER, 0.5, 0.8, 0.005), (np.repeat(LADDER, 3), 0.27, 0.6, 0.003)],
    ids=["one seed, uneven ladder", "one seed, even ladder", "three seeds"],
)
def test_a_95_percent_interval_covers_in_about_95_percent_of_studies(n, alpha, floor, sigma):
    assert all(0.91 <= share <= 0.99 for share in coverage(n, alpha, floor, sigma, 300, seed=11).values())


def test_an_interval_around_a_new_run_is_wider_than_around_the_mean():
    fit = fit_power_law(LADDER, noisy(LADDER, 0.003, seed=7))
    mean, run = fit.predict(LADDER[2]), fit.predict(LADDER[2], new_run=True)
    assert run.low < mean.low < mean.loss == run.loss < mean.high < run.high


def test_prediction_curve_and_band_agree():
    fit = fit_power_law(LADDER, noisy(LADDER, 0.003, seed=7))
    n = [1e6, 1e8]
    (low, high), at = fit.band(n), fit.predict(1e8)
    assert (at.loss, at.low, at.high) == pytest.approx((fit.curve(n)[1], low[1], high[1]))
    assert at.loss == pytest.approx(fit.a.value * 1e8**-fit.alpha.value + fit.c.value)


def test_a_higher_confidence_contains_a_lower_one():
    loss = noisy(LADDER, 0.003, seed=7)
    half, most = fit_power_law(LADDER, loss, confidence=0.5), fit_power_law(LADDER, loss, confidence=0.99)
    for inner, outer in ((half.alpha, most.alpha), (half.a, most.a), (half.c, most.c)):
        assert outer.low < inner.low < inner.value == outer.value < inner.high < outer.high


def test_an_interval_that_meets_c_equal_0_stops_there_and_still_holds_the_estimate():
    fit = fit_power_law(LADDER, noisy(LADDER, 0.003, seed=8, floor=0.0))
    assert fit.c.low == 0 <= fit.c.value <= fit.c.high
    assert fit.alpha.low < 0.27 < fit.alpha.high
    assert fit.a.low <= fit.a.value <= fit.a.high


def test_the_jackknife_is_the_fit_to_the_other_sizes():
    loss = noisy(LADDER, 0.003, seed=7)
    left_out = fit_power_law(LADDER, loss).jackknife
    assert [left.n for left in left_out] == LADDER.tolist()
    for index, left in enumerate(left_out):
        rest = fit_power_law(np.delete(LADDER, index), np.delete(loss, index))
        assert left.alpha == pytest.approx(rest.alpha.value, rel=1e-9)


def test_the_largest_size_is_predicted_from_the_others_and_scored():
    loss = noisy(LADDER, 0.003, seed=7)
    scored = fit_power_law(LADDER, loss).leave_largest_out
    expected = fit_power_law(LADDER[:4], loss[:4]).predict(LADDER[4], new_run=True)
    assert scored is not None
    assert (scored.n, scored.observed) == (LADDER[4], loss[4])
    assert (scored.predicted, scored.low, scored.high) == (expected.loss, expected.low, expected.high)
    assert scored.relative_error == pytest.approx(expected.loss / loss[4] - 1)
    assert scored.covered == (expected.low <= loss[4] <= expected.high)


def test_the_profile_dips_below_its_threshold_inside_the_interval_and_nowhere_else():
    fit = fit_power_law(LADDER, noisy(LADDER, 0.003, seed=7))
    inside = (fit.profile.alphas > fit.alpha.low) & (fit.profile.alphas < fit.alpha.high)
    assert np.array_equal(fit.profile.rss < fit.profile.threshold, inside)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_a_bad_loss_or_size_is_named_by_its_row_with_the_way_out(bad):
    with pytest.raises(DataError, match=r"row 2 .*loss is .*leave a diverged run out"):
        fit_power_law(LADDER, [2.0, 1.8, bad, 1.5, 1.4])
    with pytest.raises(DataError, match=r"row 1 .*n is .*number of parameters"):
        fit_power_law([1e5, bad, 1e6], [2.0, 1.8, 1.6])


def test_sizes_and_losses_of_different_length_are_refused():
    with pytest.raises(DataError, match="give one of each for each run"):
        fit_power_law([1e5, 1e6], [2.0])


def test_a_prediction_at_no_size_and_a_confidence_of_95_are_refused():
    with pytest.raises(DataError, match="not a positive number"):
        fit_power_law(LADDER, law(LADDER)).predict(0)
    with pytest.raises(UsageError, match=r"such as 0\.95"):
        fit_power_law(LADDER, law(LADDER), confidence=95)


def test_to_dict_is_pure_json_with_null_for_what_does_not_exist():
    fit = fit_power_law(LADDER[:3], law(LADDER[:3]))
    text = json.dumps(fit.to_dict([1e8]), allow_nan=False)
    read = json.loads(text)
    assert read["alpha"]["high"] is None
    assert read["predictions"] == [{"n": 1e8, "loss": pytest.approx(fit.predict(1e8).loss), "low": 0.0, "high": None}]
    assert read["leave_largest_out"] is None
    assert read["reasons"][0].keys() == {"name", "detail", "cure"}


def test_to_dict_of_an_identified_law_holds_every_number_of_it():
    fit = fit_power_law(np.repeat(LADDER, 3), noisy(np.repeat(LADDER, 3), 0.003, seed=4))
    read = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
    for name in ("alpha", "a", "c"):
        assert Interval(**read[name]) == getattr(fit, name)
    assert (read["verdict"], read["reasons"], read["predictions"]) == ("identified", [], [])
    assert (read["n_points"], read["n_sizes"]) == (15, 5)
    assert [left["n"] for left in read["jackknife"]] == LADDER.tolist()
    assert read["leave_largest_out"]["n"] == LADDER[-1]
    assert "F(1, 10)" in read["method"]


rows = st.lists(
    st.tuples(st.sampled_from([1.0, 3e4, 1e5, 1e6, 1e6 + 1, 1e7, 3e8, 1e12]), st.floats(1e-3, 1e3)), max_size=12
)


@settings(max_examples=100, derandomize=True)
@given(rows)
def test_any_losses_whatever_get_a_verdict_in_pure_json_and_no_warning(runs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fit_power_law([n for n, _ in runs], [loss for _, loss in runs])
        json.dumps(fit.to_dict([1e3, 1e9]), allow_nan=False)
    assert (fit.verdict == "identified") == (not fit.reasons)
    if fit.n_sizes >= 3:
        for interval in (fit.a, fit.c):
            assert 0 <= interval.low <= interval.value <= interval.high
        low, high = fit.band([1e3, 1e9])
        assert np.all(low <= fit.curve([1e3, 1e9]) * (1 + 1e-9))
        assert np.all(fit.curve([1e3, 1e9]) <= high * (1 + 1e-9))
