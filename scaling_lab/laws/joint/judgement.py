"""Whether runs identify a joint law at all, and if not, why, and which runs would change that."""

from collections.abc import Mapping

import numpy as np

from scaling_lab.laws import wording
from scaling_lab.laws.joint.surface import Points
from scaling_lab.laws.projection import ALPHA_GRID
from scaling_lab.laws.region import Interval
from scaling_lab.laws.sizes import Array
from scaling_lab.laws.verdict import Reason

FEWEST_POINTS = 20
FEWEST_LEVELS = 3
# Sizes or amounts of data closer than this, relatively, are one level.
SAME_LEVEL = 0.02
# Beyond it one of N and D can't be told from the other.
MOST_CORRELATED = 0.98
# A power of N or D above it is a step, not a slope: where the power law's own grid ends.
STEEPEST = float(ALPHA_GRID[-1])
# An E below this share of the least loss is none.
FLOOR_IS_NONE = 1e-3


def judge(points: Points, confidence: float, fitted: Mapping[str, Interval]) -> tuple[Reason, ...]:
    """Every reason not to claim a joint law, the weightiest first; `fitted` has e, a, alpha, b and beta."""
    found = (
        _few_points(points),
        _few_levels("few-n", "N", points.n),
        _few_levels("few-d", "D", points.d),
        _confounded(points),
        _exponent("alpha", "N", fitted["alpha"], confidence),
        _exponent("beta", "D", fitted["beta"], confidence),
        _step("alpha", "N", fitted["alpha"], confidence),
        _step("beta", "D", fitted["beta"], confidence),
        _floor(points, fitted["e"], confidence),
    )
    return tuple(reason for reason in found if reason)


def levels(values: Array) -> int:
    """How many different values there are, those within 2 % of each other counted once."""
    return int((np.diff(np.log(np.sort(values)), prepend=-np.inf) > np.log1p(SAME_LEVEL)).sum())


def _few_points(points: Points) -> Reason | None:
    missing = FEWEST_POINTS - points.n_points
    if missing <= 0:
        return None
    return Reason(
        "few-points",
        f"Five parameters take at least {FEWEST_POINTS} runs, and here {'is' if points.n_points == 1 else 'are'} "
        f"{points.n_points or 'none'}.",
        f"Train {wording.counted(missing, 'more run')}: each size on several amounts of data, as --branch-at does.",
    )


def _few_levels(name: str, axis: str, values: Array) -> Reason | None:
    found = levels(values)
    if found >= FEWEST_LEVELS:
        return None
    what = "sizes" if axis == "N" else "amounts of data"
    return Reason(
        name,
        f"An exponent of {axis} takes at least {FEWEST_LEVELS} {what}; here {'is' if found == 1 else 'are'} {found}.",
        f"Train {what} in between and beyond, a factor of two to four apart.",
    )


def _confounded(points: Points) -> Reason | None:
    if points.n_points < FEWEST_LEVELS or not (np.ptp(points.x) and np.ptp(points.y)):
        return None
    correlation = float(np.corrcoef(points.x, points.y)[0, 1])
    if abs(correlation) <= MOST_CORRELATED:
        return None
    return Reason(
        "confounded",
        f"Sizes and data {'rise together' if correlation > 0 else 'trade off'} (the logarithms of N and D correlate by "
        f"{correlation:.3f}): what one does can't be told from what the other does.",
        "Train some sizes on more and on less data than their place on that line.",
    )


def _exponent(name: str, axis: str, exponent: Interval, confidence: float) -> Reason | None:
    # Not `low <= 0`: of too few points to fit, it is NaN.
    if not exponent.low <= 0:
        return None
    return Reason(
        f"{name}-reaches-zero",
        f"The {wording.percent(confidence)} interval of {name} reaches {exponent.low:.3g}: these runs don't show that "
        f"the loss falls with {axis}.",
        f"Train over a wider range of {axis}.",
    )


def _step(name: str, axis: str, exponent: Interval, confidence: float) -> Reason | None:
    if not exponent.high >= STEEPEST:
        return None
    return Reason(
        f"{name}-unbounded",
        f"The {wording.percent(confidence)} interval of {name} reaches {exponent.high:.3g}, where the law is a step in "
        f"{axis}: these runs don't say how the loss falls with {axis}.",
        f"Train over a wider range of {axis}.",
    )


def _floor(points: Points, floor: Interval, confidence: float) -> Reason | None:
    if not points.n_points or not floor.low <= FLOOR_IS_NONE * points.loss.min():
        return None
    return Reason(
        "e-reaches-zero",
        f"The {wording.percent(confidence)} interval of E reaches 0 (fitted {floor.value:.3g}): a floor of the loss is "
        "not told from none, and both exponents depend on it.",
        "Train larger sizes on more data, where the floor shows.",
    )
