"""The difference of two exponents: what is told apart, what isn't, and what is refused."""

import json
from math import inf, isinf, isnan, nan

import numpy as np
import pytest

from scaling_lab.errors import UsageError
from scaling_lab.laws import Interval, PowerLawFit, alpha_difference, fit_power_law
from scaling_lab.laws.difference import mover

LADDER = np.array([0.1e6, 0.4e6, 1.6e6, 6.4e6, 25.6e6])


def study(alpha: float, sigma: float = 0.002, seed: int = 0, seeds: int = 3, floor: float = 0.6) -> PowerLawFit:
    """A simulated study of five sizes."""
    n = np.repeat(LADDER, seeds)
    noise = 1 + sigma * np.random.default_rng(seed).standard_normal(len(n))
    return fit_power_law(n, ((1 - floor) * (n / LADDER[-1]) ** -alpha + floor) * noise)


def test_exponents_well_apart_are_told_apart_and_the_larger_is_named() -> None:
    steep, flat = study(0.5), study(0.25, seed=1)
    found = alpha_difference(steep, flat, names=("LSTM", "transformer"))
    assert found.verdict == "told apart"
    assert found.larger == "LSTM"
    assert found.interval.value == steep.alpha.value - flat.alpha.value
    assert 0 < found.interval.low < 0.25 < found.interval.high
    assert found.sentence().startswith("The exponent of LSTM is larger than that of transformer: alpha 0.")


def test_order_turns_the_signs_and_not_the_answer() -> None:
    steep, flat = study(0.5), study(0.25, seed=1)
    one, other = alpha_difference(steep, flat, names=("A", "B")), alpha_difference(flat, steep, names=("B", "A"))
    assert (other.interval.value, other.interval.low, other.interval.high) == pytest.approx(
        (-one.interval.value, -one.interval.high, -one.interval.low)
    )
    assert one.sentence() == other.sentence()
    assert one.larger == other.larger == "A"


def test_an_interval_that_holds_zero_is_not_told_apart_and_never_the_same() -> None:
    found = alpha_difference(study(0.27), study(0.27, seed=1), names=("A", "B"))
    assert found.verdict == "not told apart"
    assert found.interval.low < 0 < found.interval.high
    assert found.larger is None
    assert "are not told apart" in found.sentence()
    assert "differ by anything in that interval" in found.sentence()


def test_refused_where_a_law_is_not_identified_with_the_study_and_the_cure() -> None:
    n = LADDER[:3]
    three_sizes = fit_power_law(n, 50 * n**-0.4 + 1)
    found = alpha_difference(study(0.27), three_sizes, names=("A", "B"))
    assert found.verdict == "refused"
    assert [reason.name for reason in found.reasons] == [reason.name for reason in three_sizes.reasons]
    assert found.reasons[0].detail.startswith("The law of B is not identified. Three parameters take")
    assert found.reasons[0].cure == three_sizes.reasons[0].cure
    assert found.sentence().startswith("No difference in alpha is claimed between A and B: the law of B is not")
    both = alpha_difference(three_sizes, three_sizes, names=("A", "B"))
    assert {reason.detail[:12] for reason in both.reasons} == {"The law of A", "The law of B"}


def test_mover_adds_the_squares_of_the_ends_that_face_each_other() -> None:
    one, other = Interval(0.5, 0.47, 0.62), Interval(0.3, 0.22, 0.34)
    found = mover(one, other)
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2 - 0.05)  # 0.03 and 0.04
    assert found.high == pytest.approx(0.2 + np.hypot(0.12, 0.08))


@pytest.mark.parametrize(
    ("one", "other", "ends"),
    [
        (Interval(0.4, 0.3, inf), Interval(0.2, 0.1, 0.3), (False, True)),
        (Interval(0.4, 0.3, 0.5), Interval(0.2, 0.1, inf), (True, False)),
        (Interval(0.4, 0.0, 0.5), Interval(0.2, 0.1, 0.3), (True, False)),
        (Interval(0.4, 0.3, 0.5), Interval(0.2, 0.0, 0.3), (False, True)),
        (Interval(0.4, 0.0, inf), Interval(0.2, 0.1, 0.3), (True, True)),
    ],
)
def test_an_end_that_the_data_do_not_set_leaves_the_difference_without_it(
    one: Interval, other: Interval, ends: tuple[bool, bool]
) -> None:
    found = mover(one, other)
    assert (isinf(found.low), isinf(found.high)) == ends
    assert found.low < found.value < found.high


def test_an_exponent_without_a_value_has_no_difference() -> None:
    found = mover(Interval(nan, 0.0, inf), Interval(0.2, 0.1, 0.3))
    assert isnan(found.value)
    assert isnan(found.low)
    rising = fit_power_law(LADDER, [1.0, 1.1, 1.2, 1.3, 1.4])
    refused = alpha_difference(rising, study(0.3))
    assert refused.verdict == "refused"
    assert json.loads(json.dumps(refused.to_dict(), allow_nan=False))["difference"]["value"] is None


def test_of_several_comparisons_each_interval_is_that_of_bonferroni() -> None:
    one, other = study(0.27), study(0.4, seed=1)
    found = alpha_difference(one, other, comparisons=3)
    assert found.interval == mover(one.at(1 - 0.05 / 3).alpha, other.at(1 - 0.05 / 3).alpha)
    alone = alpha_difference(one, other)
    assert found.interval.low < alone.interval.low < alone.interval.high < found.interval.high
    assert "95 % interval for all 3 pairs together" in found.sentence()
    with pytest.raises(UsageError, match="comparisons is 0"):
        alpha_difference(one, other, comparisons=0)


def test_a_wider_interval_tells_less_apart_and_may_have_no_end() -> None:
    """One seed leaves two degrees of freedom, which hardly carry an interval for many pairs together."""
    one, other = study(0.27, 0.005, seed=2, seeds=1), study(0.5, 0.005, seed=3, seeds=1)
    assert alpha_difference(one, other).verdict == "told apart"
    assert alpha_difference(one, other, comparisons=28).verdict == "not told apart"
    found = alpha_difference(one, other, comparisons=1000)
    assert found.reasons == ()
    assert (found.interval.low, found.interval.high, found.verdict) == (-inf, inf, "not told apart")
    assert "-∞ to ∞" in found.sentence()


def test_another_confidence_of_a_fit_is_the_fit_made_at_it() -> None:
    fit = study(0.27)
    assert fit.at(0.95) is fit
    again = fit_power_law(np.repeat(LADDER, 3), np.repeat(fit.sizes.loss, 3), confidence=0.5)
    assert fit.at(0.5).confidence == again.confidence == 0.5
    assert fit.at(0.5).alpha.value == fit.alpha.value
    assert fit.alpha.low < fit.at(0.5).alpha.low < fit.at(0.5).alpha.high < fit.alpha.high
    with pytest.raises(UsageError, match="confidence is 1"):
        fit.at(1.0)


@pytest.mark.parametrize(("alphas", "sigmas"), [((0.27, 0.27), (0.002, 0.006)), ((0.27, 0.4), (0.002, 0.002))])
def test_interval_holds_the_difference_as_often_as_it_says(
    alphas: tuple[float, float], sigmas: tuple[float, float]
) -> None:
    truth, held, n_pairs = alphas[0] - alphas[1], 0, 300
    for pair in range(n_pairs):
        fits = [study(alphas[k], sigmas[k], seed=2 * pair + k) for k in (0, 1)]
        interval = alpha_difference(*fits).interval
        held += interval.low <= truth <= interval.high
    # Three standard errors of a share of 95 % below; above, nothing is wrong with more.
    assert held / n_pairs > 0.95 - 3 * (0.95 * 0.05 / n_pairs) ** 0.5
