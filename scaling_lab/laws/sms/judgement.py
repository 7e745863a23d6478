"""Whether curves identify the law of whole curves, and if not, why, and which runs would change that."""

from collections.abc import Mapping

import numpy as np

from scaling_lab.laws import wording
from scaling_lab.laws.joint.judgement import FLOOR_IS_NONE, levels
from scaling_lab.laws.region import Interval
from scaling_lab.laws.repetition import FEWEST_PASSES
from scaling_lab.laws.sizes import Array
from scaling_lab.laws.sms.surface import Curves
from scaling_lab.laws.verdict import Reason

FEWEST_SIZES = 3
FEWEST_UNIQUE = 2
FEWEST_CURVES = 8
FEWEST_POINTS_A_CURVE = 8
# A rise below this share of the least loss is none, and so is one below so many standard deviations of a point.
RISE_IS_NONE = 0.005
RISE_IS_NOISE = 4
# Sizes and amounts of unique tokens whose curves rise.
FEWEST_RISING = 2
# Points whose mean is compared, so that one point's noise is no rise.
NEIGHBOURS = 3
# At these a pass is worth nothing after the first, or as much as the first.
K_ENDS = (0.002, 0.998)
# A k_n or k_u beyond it is a step, not a slope: e times the size would move the GELU's argument by ten nats.
STEEPEST = 10


def judge(
    curves: Curves, confidence: float, parameters: Mapping[str, Interval], residual_P: Array
) -> tuple[Reason, ...]:
    """Every reason not to claim the law, the weightiest first. residual_P: relative, NaN where there is no fit."""
    floor = FLOOR_IS_NONE * curves.loss.min() if curves.n_points else 0.0
    found = (
        _few_curves(curves),
        _few_points(curves),
        _few_levels("few-n", curves.n, FEWEST_SIZES, "sizes", "An exponent of N"),
        _few_levels("few-u", curves.u, FEWEST_UNIQUE, "amounts of unique tokens", "The onset of overfitting"),
        _few_passes(curves),
        _overfitting(curves, residual_P),
        _reaches("a", "the loss falls with N", "Train over a wider range of N.", parameters, confidence),
        _reaches("b", "the loss falls with D", "Log curves from earlier on.", parameters, confidence),
        _reaches(
            "E", "the loss has a floor", "Train larger sizes on more unique tokens.", parameters, confidence, floor
        ),
        _k_unbounded(parameters["k"], confidence),
        _reaches("k_d", "too many passes do harm", "Train small data for more passes.", parameters, confidence),
        _last_term_unbounded(parameters, confidence),
    )
    return tuple(reason for reason in found if reason)


def _few_curves(curves: Curves) -> Reason | None:
    missing = FEWEST_CURVES - curves.n_curves
    if missing <= 0:
        return None
    return Reason(
        "few-curves",
        f"Eleven parameters take at least {FEWEST_CURVES} whole curves, and here "
        f"{'is' if curves.n_curves == 1 else 'are'} {curves.n_curves or 'none'}.",
        f"Train {wording.counted(missing, 'more run')}: each size on several amounts of unique tokens.",
    )


def _few_points(curves: Curves) -> Reason | None:
    if not curves.n_points:
        return None
    usual = float(np.median(np.bincount(curves.curve)))
    if usual >= FEWEST_POINTS_A_CURVE:
        return None
    return Reason(
        "few-points",
        f"A whole curve has at least {FEWEST_POINTS_A_CURVE} points, and here half of them have {usual:.3g} or less.",
        "Give a line for each evaluation of a run, its tokens read so far and its loss, not the last one alone.",
    )


def _few_levels(name: str, values: Array, fewest: int, what: str, takes: str) -> Reason | None:
    found = levels(values)
    if found >= fewest:
        return None
    return Reason(
        name,
        f"{takes} takes at least {fewest} {what}; here {'is' if found == 1 else 'are'} {found or 'none'}.",
        f"Train {'sizes' if name == 'few-n' else 'on amounts'} a factor of two to four apart.",
    )


def _few_passes(curves: Curves) -> Reason | None:
    most = float((curves.d / curves.u).max()) if curves.n_points else 0.0
    if most >= FEWEST_PASSES:
        return None
    return Reason(
        "few-passes",
        f"What a pass is worth shows after {FEWEST_PASSES} passes or more, and here "
        f"{f'are {most:.3g} at most' if most else 'is none'}.",
        "Train on small amounts of unique tokens for ten passes and more.",
    )


def _overfitting(curves: Curves, residual_P: Array) -> Reason | None:
    if not curves.n_points:
        return None
    noise = 1.4826 * float(np.median(np.abs(residual_P))) if np.isfinite(residual_P).all() else 0.0
    rises = np.array([rise(*curve) for curve in _each(curves)])
    most = float(rises.max(initial=0.0))
    risen = np.isin(curves.curve, np.flatnonzero(rises > max(RISE_IS_NONE, RISE_IS_NOISE * noise)))
    sizes, unique = levels(curves.n[risen]), levels(curves.u[risen])
    if not risen.any():
        return Reason(
            "no-overfitting",
            f"No curve rises again by more than noise (the most is {wording.percent(most)}): the last term, with k_d, "
            "k_n, k_u and k_in, can't be told from none.",
            "Train large sizes on little data until the validation loss rises, or fit --law repetition.",
        )
    if min(sizes, unique) >= FEWEST_RISING:
        return None
    return Reason(
        "few-rising",
        f"The curves that rise again have {wording.counted(sizes, 'size')} and {wording.counted(unique, 'amount')} of "
        "unique tokens: they don't say how the onset of overfitting moves with both.",
        f"Train until the validation loss rises at {FEWEST_RISING} sizes and {FEWEST_RISING} amounts of unique tokens.",
    )


def _each(curves: Curves) -> list[tuple[Array, Array]]:
    """D and loss of each curve."""
    return [(curves.d[curves.curve == index], curves.loss[curves.curve == index]) for index in range(curves.n_curves)]


def rise(d: Array, loss: Array) -> float:
    """By how much a curve rises above its least loss so far, relatively, in means of neighbouring points."""
    width = min(NEIGHBOURS, len(loss))
    smooth = np.convolve(loss[np.argsort(d, kind="stable")], np.full(width, 1 / width), mode="valid")
    return float((smooth / np.minimum.accumulate(smooth)).max()) - 1


def _reaches(
    name: str, shown: str, cure: str, parameters: Mapping[str, Interval], confidence: float, none: float = 0.0
) -> Reason | None:
    # Not `low <= none`: of too few points to fit, it is NaN.
    if not parameters[name].low <= none:
        return None
    return Reason(
        f"{name.lower().replace('_', '-')}-reaches-zero",
        f"The {wording.percent(confidence)} interval of {name} reaches {parameters[name].low:.3g}: these curves don't "
        f"show that {shown}.",
        cure,
    )


def _k_unbounded(k: Interval, confidence: float) -> Reason | None:
    if not (k.low < K_ENDS[0] or k.high > K_ENDS[1]):
        return None
    return Reason(
        "k-unbounded",
        f"The {wording.percent(confidence)} interval of k reaches an end, {k.low:.3g} to {k.high:.3g}: these curves "
        "don't tell a pass from one that is worth nothing, or from one as good as the first.",
        "Train for more passes, on several amounts of unique tokens.",
    )


def _last_term_unbounded(parameters: Mapping[str, Interval], confidence: float) -> Reason | None:
    steep = [name for name in ("k_n", "k_u") if parameters[name].high > STEEPEST]
    if not steep:
        return None
    return Reason(
        "last-term-unbounded",
        f"The {wording.percent(confidence)} interval of {wording.listed(steep)} has no upper end: too few curves rise "
        "to say how the onset of overfitting moves with size and unique tokens.",
        "Train until the validation loss rises at more sizes and amounts of unique tokens.",
    )
