"""What a token is worth when it is read again: L(N, D') with D' = U + U·R*·(1 − exp(−R/R*)), from repeated data.

    fit = fit_repetition(n, d, u, loss)
    fit.predict(1e9, 4e9, 1e9)

U tokens are unique, D are read, R = D/U − 1 passes follow the first (Muennighoff et al., 2305.16264, equation 5). R* is
how many of them are worth reading: at R = R* a new pass is worth 1/e of the first, and D' never exceeds U·(1 + R*). The
law of N and D' is the joint one (`joint`), fitted at every R* of a grid; the paper's other half, more parameters than
the data deserve, is left out.

Shapes: P points, G values of R*, R resamples.
"""

from dataclasses import asdict, dataclass
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from scaling_lab.errors import UsageError
from scaling_lab.laws import wording
from scaling_lab.laws.joint import JointLawFit, JointPrediction, fit_joint_law
from scaling_lab.laws.joint.judgement import levels
from scaling_lab.laws.joint.robustness import Objective
from scaling_lab.laws.joint.solver import objective as objective_of
from scaling_lab.laws.joint.solver import resampling, resolve, solve
from scaling_lab.laws.joint.surface import N_PARAMETERS, Points
from scaling_lab.laws.json_ready import json_ready
from scaling_lab.laws.region import Interval
from scaling_lab.laws.sizes import Array, checked_rows
from scaling_lab.laws.verdict import Reason, refusal

# Below, a second pass is worth nothing; above, a hundredth is worth as much as the first.
GRID: Array = np.geomspace(0.2, 200, 36)
RESAMPLES = 200
# An R* with this many times the least objective is the best of no resample: its surface stays as fitted to all runs.
HOPELESS = 4.0
FEWEST_LEVELS = 3
# A study that stops here sees next to nothing of R*: four passes cost almost nothing.
FEWEST_PASSES = 6


@dataclass(frozen=True, eq=False)
class RepetitionFit:
    """R* with its interval, and `joint`: the law of N and D' at that R*."""

    r_star: Interval
    joint: JointLawFit
    reasons: tuple[Reason, ...]
    n_points: int

    @property
    def verdict(self) -> str:
        """ "identified" or "not identified"; only the first may be extrapolated."""
        return "not identified" if self.reasons else "identified"

    @property
    def fitted(self) -> bool:
        """Whether there were points enough for a fit at all."""
        return self.joint.fitted

    @property
    def method(self) -> str:
        return f"{self.joint.method}, at each of {len(GRID)} values of R*; R* from {RESAMPLES} resamples"

    def effective(self, d: float, u: float) -> float:
        """How many unique tokens the d that are read, u of them unique, are worth."""
        return float(effective_tokens(np.array([d]), np.array([u]), self.r_star.value)[0])

    def predict(self, n: float, d: float, u: float) -> JointPrediction:
        """The loss of n parameters after d tokens, u of them unique; its interval is that of the law at this R*."""
        n_1, d_1, u_1 = (float(value[0]) for value in checked_rows(n=n, d=d, u=u))
        if not self.fitted:
            return JointPrediction(n_1, d_1, nan, nan, nan)
        there = self.joint.predict(n_1, self.effective(d_1, u_1))
        return JointPrediction(n_1, d_1, there.loss, there.low, there.high)

    def sentence(self) -> str:
        """The law for people, or why there is none and what would make one."""
        if self.reasons:
            return refusal("law of repeated data", self.n_points, self.reasons[0])
        law = self.joint.sentence(d="D'")
        value, low, high = wording.with_range(self.r_star.value, self.r_star.low, self.r_star.high)
        return (
            f"Read again, data are worth D' = U + U·R*·(1 − exp(−R/R*)) with R* = {value}, "
            f"{wording.percent(self.joint.confidence)} interval {low} to {high}: U tokens are never worth more than "
            f"{1 + self.r_star.value:.3g}·U. {law}"
        )

    def to_dict(self, predict_at: ArrayLike = ()) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON, with a prediction for each (n, d, u) of predict_at."""
        places = np.asarray(predict_at, dtype=np.float64).reshape(-1, 3).tolist()
        said = self.joint.to_dict()
        return said | json_ready(
            {
                "form": "E + A/N^alpha + B/D'^beta, D' = U + U*R*(1 - exp(-R/R*))",
                "sentence": self.sentence(),
                "verdict": self.verdict,
                "reasons": [asdict(reason) for reason in self.reasons],
                "R*": asdict(self.r_star),
                "predictions": [asdict(self.predict(*place)) for place in places],
                "method": self.method,
            }
        )


def effective_tokens(d: Array, u: Array, r_star: float) -> Array:
    """(P,) D' of d tokens read, u of them unique."""
    unique = np.minimum(d, u)
    again = d / unique - 1
    return unique * (1 + r_star * -np.expm1(-again / r_star))


def fit_repetition(
    n: ArrayLike,
    d: ArrayLike,
    u: ArrayLike,
    loss: ArrayLike,
    *,
    objective: Objective = "huber",
    delta: float = 1e-3,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> RepetitionFit:
    """Fit R* and L(N, D') to runs: parameters, tokens read, unique tokens and final loss of each, all (P,).

    Raises DataError, with the row, for a number that is not positive; UsageError for an option out of its range. Data
    that identify no law raise nothing: the fit says so.
    """
    n_P, d_P, u_P, loss_P = checked_rows(n=n, d=d, u=u, loss=loss)
    if objective == "lad":
        raise UsageError("objective lad: the law of repeated data is fitted by huber or lsq; give one of them")
    options = {"objective": objective, "delta": delta, "resamples": resamples, "seed": seed, "confidence": confidence}
    lacking = _lacking(d_P, u_P)
    if len(n_P) <= N_PARAMETERS:
        joint = fit_joint_law(n_P, d_P, loss_P, **options)
        nothing = Interval(nan, nan, nan)
        return RepetitionFit(nothing, joint, (*joint.reasons[:1], *lacking), len(n_P))
    taken = inf if objective == "lsq" else delta
    tables = [Points(n_P, effective_tokens(d_P, u_P, r_star), loss_P) for r_star in GRID.tolist()]
    fits = [solve(points, taken) for points in tables]
    evenly = np.ones((1, len(n_P)))
    grid_G = np.array(
        [objective_of(points, evenly, theta[None], taken)[0] for points, theta in zip(tables, fits, strict=True)]
    )
    drawn = resampling(len(n_P), RESAMPLES, seed)
    values_GR = np.empty((len(GRID), RESAMPLES))
    hopeless_G = grid_G > HOPELESS * grid_G.min()
    for row, (points, theta, hopeless) in enumerate(zip(tables, fits, hopeless_G.tolist(), strict=True)):
        again = np.tile(theta, (RESAMPLES, 1)) if hopeless else resolve(points, drawn, theta, taken)
        values_GR[row] = objective_of(points, drawn, again, taken)
    value = _refined(n_P, d_P, u_P, loss_P, taken, int(np.argmin(grid_G)))
    low, high = np.quantile(_lowest(values_GR), ((1 - confidence) / 2, (1 + confidence) / 2))
    r_star = Interval(value, min(float(low), value), max(float(high), value))
    joint = fit_joint_law(n_P, effective_tokens(d_P, u_P, value), loss_P, **options)
    reasons = (*lacking, *_unbounded(r_star, confidence), *joint.reasons)
    return RepetitionFit(r_star, joint, reasons, len(n_P))


def best_r_star(n_P: Array, d_P: Array, u_P: Array, loss_P: Array, delta: float) -> float:
    """R* of the best joint law of N and D', by Huber's loss of ln L (least squares where delta is infinite)."""
    values_G = [_objective_at(r_star, n_P, d_P, u_P, loss_P, delta) for r_star in GRID.tolist()]
    return _refined(n_P, d_P, u_P, loss_P, delta, int(np.argmin(values_G)))


def _objective_at(r_star: float, n_P: Array, d_P: Array, u_P: Array, loss_P: Array, delta: float) -> float:
    points = Points(n_P, effective_tokens(d_P, u_P, r_star), loss_P)
    return float(objective_of(points, np.ones((1, len(n_P))), solve(points, delta)[None], delta)[0])


def _refined(n_P: Array, d_P: Array, u_P: Array, loss_P: Array, delta: float, at: int) -> float:
    """R* between the grid's best and its neighbours, by Brent's method."""

    def value(log_r_star: float) -> float:
        return _objective_at(float(np.exp(log_r_star)), n_P, d_P, u_P, loss_P, delta)

    ends = np.log(GRID[[max(at - 1, 0), min(at + 1, len(GRID) - 1)]])
    found = minimize_scalar(value, bounds=tuple(ends.tolist()), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def _lowest(values_GR: Array) -> Array:
    """(R,) R* of the least value: the vertex of a parabola in ln R* through the grid's least and its neighbours."""
    at = np.clip(np.argmin(values_GR, axis=0), 1, len(GRID) - 2)
    columns = np.arange(values_GR.shape[1])
    left, middle, right = (values_GR[at + shift, columns] for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.where(bend > 0, (left - right) / (2 * np.where(bend > 0, bend, 1.0)), 0.0)
    step = np.log(GRID[1] / GRID[0])
    return np.clip(GRID[at] * np.exp(np.clip(shift, -1, 1) * step), GRID[0], GRID[-1])


def _lacking(d_P: Array, u_P: Array) -> tuple[Reason, ...]:
    passes = np.maximum(d_P / u_P, 1)
    found, most = levels(passes), float(passes.max()) if passes.size else 0.0
    if found >= FEWEST_LEVELS and most >= FEWEST_PASSES:
        return ()
    return (
        Reason(
            "few-passes",
            f"R* takes at least {FEWEST_LEVELS} different numbers of passes, one of them {FEWEST_PASSES} or more; here "
            f"{'is' if found == 1 else 'are'} {found or 'none'}{f', at most {most:.3g} passes' if found else ''}.",
            "Train some runs for one pass, some for four and some for ten and more, over the same unique tokens.",
        ),
    )


def _unbounded(r_star: Interval, confidence: float) -> tuple[Reason, ...]:
    if GRID[0] * 1.001 < r_star.low and r_star.high < GRID[-1] / 1.001:
        return ()
    return (
        Reason(
            "r-star-unbounded",
            f"The {wording.percent(confidence)} interval of R* reaches the end of what was tried, {r_star.low:.3g} to "
            f"{r_star.high:.3g}: these runs don't tell a token read again from a new one, or from none.",
            "Train some runs for more passes.",
        ),
    )
