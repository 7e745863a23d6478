"""The best size for each amount of compute, from whole training curves: where the next larger size overtakes.

    fit = fit_envelope(flops, n, loss)
    fit.predict(1e21)

Approach 1 of Hoffmann et al. (2203.15556): the lower envelope of all curves, loss against FLOPs, says which is best at
a budget. That changes where two curves cross, so a crossing is all that two sizes say of the best one: it is taken to
be their geometric mean, and a line through logarithms of crossings gives N(C) = scale·C^exponent.

Intervals: Student's, of that line. A run that is off moves the crossings on both its sides, one up and one down, which
moves the line less than as many independent errors would: they cover more often than they say.

Shapes: P points, B budgets, X crossings.
"""

from dataclasses import asdict, dataclass, field
from itertools import pairwise
from math import exp, nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from scaling_lab.errors import UsageError
from scaling_lab.laws import wording
from scaling_lab.laws.best_size import BestSize, BestSizeFit, exponent_reaches_zero
from scaling_lab.laws.region import Interval
from scaling_lab.laws.sizes import SAME_SIZE, Array, checked_rows
from scaling_lab.laws.verdict import Reason

# As many as a line has coefficients, and one to contradict them.
FEWEST_CROSSINGS = 3
FEWEST_POINTS_A_CURVE = 5
# Budgets at which two curves are compared, evenly spread in ln C.
N_BUDGETS = 1500
CAVEAT = (
    "A loss midway through a decaying schedule is no final loss: give curves of a constant rate, or final losses of "
    "runs of several lengths."
)


@dataclass(frozen=True)
class Crossing:
    """At c FLOPs `larger` parameters overtake `smaller`, at this loss; NaN where their curves do not cross."""

    smaller: float
    larger: float
    c: float
    loss: float


@dataclass(frozen=True, eq=False)
class EnvelopeFit(BestSizeFit):
    """N(C) of whole curves. crossings: of neighbouring sizes, those that were not found among them."""

    row = "point"
    crossings: tuple[Crossing, ...]
    line: "_Line | None" = field(repr=False)

    @property
    def fitted(self) -> bool:
        """Whether there were crossings enough for a line and its interval."""
        return self.line is not None

    @property
    def method(self) -> str:
        return (
            f"a line through logarithms of the crossings of neighbouring sizes' curves ({self.used}); Student's "
            f"{wording.percent(self.confidence)} intervals"
        )

    def predict(self, c: float) -> BestSize:
        """The best size for c FLOPs."""
        (log_c,) = np.log(checked_rows(c=c)[0]).tolist()
        if self.line is None:
            return BestSize(float(c), nan, nan, nan)
        n = self.line.at(log_c, self.confidence).exp()
        return BestSize(float(c), n.value, n.low, n.high)

    @property
    def used(self) -> str:
        crossings = wording.counted(len(_found(self.crossings)), "crossing")
        return f"{crossings} of {wording.counted(len(self.crossings) + 1, 'curve')}"

    def evidence(self) -> dict[str, Any]:
        return {"crossings": [asdict(crossing) for crossing in self.crossings], "caveats": [CAVEAT]}


@dataclass(frozen=True)
class _Line:
    """Least squares of y = level + slope·(x − centre): its residuals' variance, and what it rests on."""

    centre: float
    level: float
    slope: float
    variance: float
    spread: float
    n_points: int

    def at(self, x: float, confidence: float) -> Interval:
        """y of the line at x."""
        away = x - self.centre
        return self._around(self.level + self.slope * away, 1 / self.n_points + away**2 / self.spread, confidence)

    def exponent(self, confidence: float) -> Interval:
        return self._around(self.slope, 1 / self.spread, confidence)

    def _around(self, value: float, variance: float, confidence: float) -> Interval:
        reach = float(stdtrit(self.n_points - 2, (1 + confidence) / 2)) * sqrt(self.variance * variance)
        return Interval(value, value - reach, value + reach)


@dataclass(frozen=True, eq=False)
class _Curve:
    """One size's ln L at rising ln C; seeds that were read at one budget are averaged."""

    n: float
    log_c: Array
    log_loss: Array


def fit_envelope(c: ArrayLike, n: ArrayLike, loss: ArrayLike, *, confidence: float = 0.95) -> EnvelopeFit:
    """Fit N(C) = scale·C^exponent to points of training curves: FLOPs so far, parameters and loss of each, all (P,).

    All points of one n are its curve. Raises DataError, with the row, for a number that is not positive; UsageError for
    a confidence that is not between 0 and 1. Curves that identify no law raise nothing: the fit says so.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    c_P, n_P, loss_P = checked_rows(c=c, n=n, loss=loss)
    curves = _curves(np.log(c_P), n_P, np.log(loss_P))
    crossings = tuple(_crossing(small, large) for small, large in pairwise(curves))
    line = _line(crossings)
    nothing = Interval(nan, nan, nan)
    exponent = nothing if line is None else line.exponent(confidence)
    cure = "Train a size in between or beyond, and tune the learning rate of those whose crossings are off the line."
    reasons = [reason for reason in (_few(curves, crossings), _disordered(crossings)) if reason]
    return EnvelopeFit(
        exponent=exponent,
        scale=nothing if line is None else line.at(0.0, confidence).exp(),
        confidence=confidence,
        crossings=crossings,
        reasons=(*reasons, *exponent_reaches_zero(exponent, confidence, "crossings", cure)),
        n_points=len(c_P),
        line=line,
    )


def _curves(log_c_P: Array, n_P: Array, log_loss_P: Array) -> list[_Curve]:
    """In rising order of n; sizes with too few points for a curve are left out."""
    order = np.lexsort((log_loss_P, log_c_P, n_P))
    starts = np.flatnonzero(np.diff(n_P[order], prepend=-1.0) > SAME_SIZE * n_P[order])
    curves = []
    for rows in np.split(order, starts[1:]) if order.size else []:
        log_c, place = np.unique(log_c_P[rows], return_inverse=True)
        if len(log_c) >= FEWEST_POINTS_A_CURVE:
            mean = np.bincount(place, log_loss_P[rows]) / np.bincount(place)
            curves.append(_Curve(float(n_P[rows[0]]), log_c, mean))
    return curves


def _crossing(small: _Curve, large: _Curve) -> Crossing:
    """Where the larger size overtakes: the median of all budgets at which noise makes the curves cross."""
    first, last = max(small.log_c[0], large.log_c[0]), min(small.log_c[-1], large.log_c[-1])
    log_c_B = np.linspace(first, max(first, last), N_BUDGETS)
    small_B, large_B = (np.interp(log_c_B, curve.log_c, curve.log_loss) for curve in (small, large))
    ahead_B = large_B < small_B
    at = np.flatnonzero(ahead_B[1:] != ahead_B[:-1])
    if not at.size or ahead_B[0] or not ahead_B[-1]:
        return Crossing(small.n, large.n, nan, nan)
    # Between the two budgets, where the gap between the curves is 0.
    gap = small_B - large_B
    log_c_X = log_c_B[at] + (log_c_B[at + 1] - log_c_B[at]) * gap[at] / (gap[at] - gap[at + 1])
    log_c = float(np.median(log_c_X))
    return Crossing(small.n, large.n, exp(log_c), exp(float(np.interp(log_c, log_c_B, large_B))))


def _found(crossings: tuple[Crossing, ...]) -> list[Crossing]:
    return [crossing for crossing in crossings if crossing.c > 0]


def _line(crossings: tuple[Crossing, ...]) -> _Line | None:
    found = _found(crossings)
    if len(found) < FEWEST_CROSSINGS:
        return None
    x, y = np.log([one.c for one in found]), np.log([one.smaller * one.larger for one in found]) / 2
    centre, level = float(x.mean()), float(y.mean())
    spread = float(((x - centre) ** 2).sum())
    slope = float((x - centre) @ y) / spread
    residual = y - level - slope * (x - centre)
    return _Line(centre, level, slope, float(residual @ residual) / (len(found) - 2), spread, len(found))


def _few(curves: list[_Curve], crossings: tuple[Crossing, ...]) -> Reason | None:
    found = _found(crossings)
    if len(found) >= FEWEST_CROSSINGS:
        return None
    apart = [one for one in crossings if one not in found]
    told = f"; those of {_pair(apart[0])} do not cross" if apart else ""
    return Reason(
        "few-crossings",
        f"A law of the best size takes {FEWEST_CROSSINGS} crossings of neighbouring sizes' curves, so "
        f"{FEWEST_CROSSINGS + 1} sizes of {FEWEST_POINTS_A_CURVE} points and more; here "
        f"{'is' if len(curves) == 1 else 'are'} {wording.counted(len(curves), 'such curve')} and "
        f"{wording.counted(len(found), 'crossing')}{told}.",
        "Train each size until the next larger one, as many FLOPs in, has less loss.",
    )


def _disordered(crossings: tuple[Crossing, ...]) -> Reason | None:
    """A larger size that is overtaken before it overtakes is never the best."""
    found = _found(crossings)
    wrong = [(one, other) for one, other in pairwise(found) if other.c <= one.c]
    if not wrong:
        return _between(crossings, found)
    one, other = wrong[0]
    size = f"N = {wording.size(one.larger)}"
    return Reason(
        "never-best",
        f"The size {size} is never the best: it overtakes at {one.c:.3g} FLOPs and is overtaken at {other.c:.3g}.",
        f"Tune the learning rate of {size} and train it again, or leave it out.",
    )


def _between(crossings: tuple[Crossing, ...], found: list[Crossing]) -> Reason | None:
    """Two sizes whose curves do not cross, though smaller and larger ones do: one of the two is never the best."""
    if not found:
        return None
    apart = [one for one in crossings if one not in found and found[0].larger <= one.smaller < found[-1].smaller]
    if not apart:
        return None
    return Reason(
        "never-best",
        f"The curves of {_pair(apart[0])} do not cross, though those of smaller and of larger sizes do: one of the two "
        "is never the best.",
        "Tune the learning rate of both and train them again, or leave out the one that is off.",
    )


def _pair(crossing: Crossing) -> str:
    return f"N = {wording.size(crossing.smaller)} and {wording.size(crossing.larger)}"
