"""The best size for each amount of compute, from runs of several sizes at each of a few budgets (IsoFLOP profiles).

    fit = fit_isoflop(flops, n, loss)
    fit.predict(1e21)

Approach 2 of Hoffmann et al. (2203.15556): at each budget a parabola of the loss in ln N has its vertex at the best
size, and a line through logarithms of vertices gives N(C) = scale·C^exponent. A parabola is only what a loss looks like
close to its best size: over wide ranges of N, or unevenly placed sizes, vertices are biased (2603.22339), which no
interval here covers.

Intervals: coefficients are drawn about their least squares, their variance from the residuals of all budgets together
and that variance itself from its chi-squared; what the draws say is ranked. For a coefficient that is Student's.

Shapes: P points, B budgets, R draws.
"""

from dataclasses import asdict, dataclass, field
from math import log, nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_lab.errors import UsageError
from scaling_lab.laws import wording
from scaling_lab.laws.best_size import BestSize, BestSizeFit, exponent_reaches_zero
from scaling_lab.laws.region import Interval
from scaling_lab.laws.sizes import Array, checked_rows
from scaling_lab.laws.verdict import Reason

FEWEST_BUDGETS = 3
# One more than a parabola's coefficients.
FEWEST_SIZES = 4
# Runs whose FLOPs differ by less than this share are of one budget: batches and sizes do not divide it.
SAME_BUDGET = 0.1
DRAWS = 4000
CAVEAT = "Parabolas are biased where sizes are far from the best or unevenly placed; the interval covers noise alone."


@dataclass(frozen=True)
class Budget:
    """The runs of c FLOPs each: the best size n, and the loss there; NaN where `problem` says why there is none."""

    c: float
    n_points: int
    n: Interval
    loss: float
    problem: str | None


@dataclass(frozen=True, eq=False)
class IsoFlopFit(BestSizeFit):
    """N(C) of runs at a few budgets. level: ln N at ln C = centre. drawn: (R, 2), draws of level and exponent."""

    row = "run"
    budgets: tuple[Budget, ...]
    centre: float
    level: float
    drawn: Array = field(repr=False)

    @property
    def fitted(self) -> bool:
        """Whether two budgets have a best size, so that there is a line at all."""
        return bool(np.isfinite(self.level))

    @property
    def method(self) -> str:
        return (
            f"a parabola in ln N at each budget ({self.used}) and a line through the logarithms of their vertices; "
            f"{wording.percent(self.confidence)} intervals from {DRAWS:,} draws of the coefficients"
        )

    def predict(self, c: float) -> BestSize:
        """The best size for c FLOPs."""
        if not self.fitted:
            return BestSize(float(c), nan, nan, nan)
        (away,) = (np.log(checked_rows(c=c)[0]) - self.centre).tolist()
        around = _interval(self.level + self.exponent.value * away, self.drawn @ np.array([1.0, away]), self.confidence)
        n = around.exp()
        return BestSize(float(c), n.value, n.low, n.high)

    @property
    def used(self) -> str:
        used = [budget for budget in self.budgets if budget.problem is None]
        runs = wording.counted(sum(budget.n_points for budget in used), "run")
        if len(used) < len(self.budgets):
            return f"{len(used)} of {len(self.budgets)} budgets, {runs}"
        return f"{wording.counted(len(used), 'budget')}, {runs}"

    def evidence(self) -> dict[str, Any]:
        return {"budgets": [asdict(budget) for budget in self.budgets], "caveats": [CAVEAT]}


@dataclass(frozen=True, eq=False)
class _Parabola:
    """Least squares of one budget's losses on 1, z and z², z = (ln N − centre) / width: (3,) and its (3, 3) covariance
    over the residuals' variance."""

    centre: float
    width: float
    coefficients: Array
    covariance: Array
    rss: float
    n_points: int

    def vertex(self, coefficients_R3: Array) -> Array:
        """(R,) ln N of the lowest point; NaN where there is none."""
        bend = coefficients_R3[:, 2]
        z = np.where(bend > 0, -coefficients_R3[:, 1] / (2 * np.where(bend > 0, bend, 1.0)), nan)
        return self.centre + self.width * z


def fit_isoflop(c: ArrayLike, n: ArrayLike, loss: ArrayLike, *, confidence: float = 0.95, seed: int = 0) -> IsoFlopFit:
    """Fit N(C) = scale·C^exponent to runs: FLOPs, parameters and final loss of each, all (P,).

    Raises DataError, with the row, for a number that is not positive; UsageError for a confidence that is not between 0
    and 1. Data that identify no law raise nothing: the fit says so.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    c_P, n_P, loss_P = checked_rows(c=c, n=n, loss=loss)
    groups = _budgets(c_P)
    parabolas = [_parabola(n_P[rows], loss_P[rows]) for rows in groups]
    whole = [parabola for parabola in parabolas if parabola]
    dof = sum(parabola.n_points - 3 for parabola in whole)
    random = np.random.default_rng(seed)
    variance_R = np.array([])
    if dof:
        variance_R = sum(parabola.rss for parabola in whole) / random.chisquare(dof, DRAWS)
    budgets: list[Budget] = []
    vertices: list[tuple[float, float, Array]] = []
    for rows, parabola in zip(groups, parabolas, strict=True):
        log_c = float(np.log(c_P[rows]).mean())
        budget, drawn_R = _judged(parabola, float(np.exp(log_c)), len(rows), variance_R, random, confidence)
        budgets.append(budget)
        if budget.problem is None:
            vertices.append((log_c, log(budget.n.value), drawn_R))
    return _line(tuple(budgets), vertices, len(c_P), confidence)


def _budgets(c_P: Array) -> list[NDArray[np.intp]]:
    """Rows of each budget, in rising order of FLOPs."""
    order = np.argsort(c_P, kind="stable")
    apart = np.diff(np.log(c_P[order])) > np.log1p(SAME_BUDGET)
    return [rows for rows in np.split(order, np.flatnonzero(apart) + 1) if rows.size]


def _parabola(n: Array, loss: Array) -> _Parabola | None:
    """None where there are too few sizes."""
    if len(np.unique(n)) < FEWEST_SIZES:
        return None
    log_n = np.log(n)
    centre, width = float(log_n.mean()), float(np.ptp(log_n)) / 2
    z = (log_n - centre) / width
    columns = np.stack((np.ones_like(z), z, z**2), axis=1)
    covariance = np.asarray(np.linalg.inv(columns.T @ columns), dtype=np.float64)
    coefficients = covariance @ columns.T @ loss
    residual = loss - columns @ coefficients
    return _Parabola(centre, width, coefficients, covariance, float(residual @ residual), len(n))


def _judged(
    parabola: _Parabola | None,
    c: float,
    n_points: int,
    variance_R: Array,
    random: np.random.Generator,
    confidence: float,
) -> tuple[Budget, Array]:
    """One budget with its best size, or with what it lacks; and the draws of ln N there."""
    nothing = Interval(nan, nan, nan)
    if parabola is None:
        return Budget(c, n_points, nothing, nan, f"under {FEWEST_SIZES} sizes"), np.array([])
    vertex = float(parabola.vertex(parabola.coefficients[None])[0])
    if not abs(vertex - parabola.centre) <= parabola.width:
        return Budget(c, n_points, nothing, nan, "no least loss between its sizes"), np.array([])
    noise_R3 = random.standard_normal((len(variance_R), 3)) @ np.linalg.cholesky(parabola.covariance).T
    drawn_R = parabola.vertex(parabola.coefficients + np.sqrt(variance_R)[:, None] * noise_R3)
    around = _interval(vertex, drawn_R, confidence)
    z = (vertex - parabola.centre) / parabola.width
    loss = float(parabola.coefficients @ np.array([1.0, z, z**2]))
    return Budget(c, n_points, around.exp(), loss, None), drawn_R


def _line(
    budgets: tuple[Budget, ...], vertices: list[tuple[float, float, Array]], n_points: int, confidence: float
) -> IsoFlopFit:
    if len(vertices) < 2:
        nothing, reasons = Interval(nan, nan, nan), _reasons(budgets, len(vertices), None, confidence)
        return IsoFlopFit(nothing, nothing, confidence, reasons, n_points, budgets, nan, nan, np.empty((0, 2)))
    log_c = np.array([log_c for log_c, _, _ in vertices])
    centre = float(log_c.mean())
    lever = (log_c - centre) / ((log_c - centre) ** 2).sum()
    log_n, drawn_BR = np.array([log_n for _, log_n, _ in vertices]), np.stack([drawn for _, _, drawn in vertices])
    level, exponent = float(log_n.mean()), float(lever @ log_n)
    drawn = np.stack((drawn_BR.mean(axis=0), lever @ drawn_BR), axis=1)
    around = _interval(exponent, drawn[:, 1], confidence)
    scale = _interval(level - exponent * centre, drawn @ np.array([1.0, -centre]), confidence)
    reasons = _reasons(budgets, len(vertices), around, confidence)
    return IsoFlopFit(around, scale.exp(), confidence, reasons, n_points, budgets, centre, level, drawn)


def _reasons(
    budgets: tuple[Budget, ...], n_good: int, exponent: Interval | None, confidence: float
) -> tuple[Reason, ...]:
    if n_good >= FEWEST_BUDGETS:
        if exponent is None:
            return ()
        if not np.isfinite(exponent.high - exponent.low):
            return (_unbounded(budgets),)
        return exponent_reaches_zero(exponent, confidence, "budgets", "Train budgets that are further apart.")
    lacking = [f"{budget.c:.2g} FLOPs: {budget.problem}" for budget in budgets if budget.problem]
    told = f" ({'; '.join(lacking[:3])}{'; ...' if len(lacking) > 3 else ''})" if lacking else ""
    return (
        Reason(
            "few-budgets",
            f"A law of the best size takes {FEWEST_BUDGETS} budgets that have a least loss between their sizes, and "
            f"here {'is' if n_good == 1 else 'are'} {n_good or 'none'}{told}.",
            f"Train {FEWEST_SIZES} sizes and more at each of {FEWEST_BUDGETS} budgets, a factor of three apart, on "
            "both sides of the best size.",
        ),
    )


def _unbounded(budgets: tuple[Budget, ...]) -> Reason:
    flat = [f"{budget.c:.2g}" for budget in budgets if budget.n.high == np.inf]
    return Reason(
        "exponent-unbounded",
        f"Noise hides the least loss between the sizes of a budget ({wording.listed(flat)} FLOPs): the interval of the "
        "exponent has no ends.",
        "Train those budgets' sizes again with more seeds, or sizes further from the best one.",
    )


def _interval(value: float, drawn_R: Array, confidence: float) -> Interval:
    """Ranks of the draws; one without a vertex could be anywhere, so it counts on both sides."""
    finite = np.isfinite(drawn_R)
    tail = (1 - confidence) / 2
    lost = 1 - finite.mean() if drawn_R.size else 1.0
    if lost >= tail:
        return Interval(value, -np.inf, np.inf)
    low, high = np.quantile(drawn_R[finite], ((tail - lost / 2) / (1 - lost), 1 - (tail - lost / 2) / (1 - lost)))
    return Interval(value, min(float(low), value), max(float(high), value))
