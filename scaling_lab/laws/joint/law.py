"""L(N, D) = E + A/N^alpha + B/D^beta of many runs, with intervals by the bootstrap, or a refusal that says why.

    fit = fit_joint_law(n, d, loss)
    print(fit.sentence())
    fit.predict(1e9, 20e9)
    fit.compute_optimal(1e21)

Approach 3 of Hoffmann et al. (2203.15556): a Huber loss of ln L, delta 1e-3. Intervals are percentiles over resampled
runs (Efron, 1979): they cover noise and which runs were made, not a wrong form of law.

Shapes: P points, R resamples.
"""

from dataclasses import asdict, dataclass, field, replace
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scaling_lab.errors import DataError, UsageError
from scaling_lab.laws import wording
from scaling_lab.laws.joint.judgement import judge
from scaling_lab.laws.joint.robustness import (
    DroppedPoint,
    LargestPredicted,
    Objective,
    Sensitivity,
    dropped_points,
    leave_largest_out,
    sensitivity,
    told,
)
from scaling_lab.laws.joint.solver import LAD_DELTA, resampling, resolve, solve
from scaling_lab.laws.joint.surface import ALPHA, BETA, LOG_A, LOG_B, N_PARAMETERS, E, Points, log_loss_at
from scaling_lab.laws.json_ready import json_ready
from scaling_lab.laws.region import Interval
from scaling_lab.laws.sizes import Array, checked_rows
from scaling_lab.laws.verdict import Reason, refusal

DELTA = 1e-3
RESAMPLES = 1000
# Of a decoder's forward and backward pass, a parameter and token: C = 6·N·D (Kaplan et al., 2001.08361).
FLOPS_PER_PARAMETER_AND_TOKEN = 6.0

CAVEATS = (
    "The intervals cover noise, not a wrong form of law.",
    "They take runs for independent: several points of one run's curve are not, and make them too narrow.",
)
NAMES = ("e", "a", "alpha", "b", "beta")


@dataclass(frozen=True)
class JointPrediction:
    """The loss of a run of n parameters on d tokens, in nats a token, with its confidence interval."""

    n: float
    d: float
    loss: float
    low: float
    high: float


@dataclass(frozen=True)
class ComputeOptimal:
    """What c FLOPs are best spent on: n parameters and d tokens; loss, nats a token, is the fit's there.

    n rises as c^n_exponent, n_exponent = beta / (alpha + beta), and d as c^(1 − n_exponent).
    """

    c: float
    n: Interval
    d: Interval
    n_exponent: Interval
    loss: float


@dataclass(frozen=True, eq=False)
class JointLawFit:
    """L(N, D) = E + A/N^alpha + B/D^beta in nats a token, N and D in the units they were given in.

    With fewer points than parameters every number is NaN. dropped: the five points whose absence moves alpha or beta
    most. theta: of the fit, as `surface` has it; resampled: (R, 5) likewise.
    """

    e: Interval
    a: Interval
    alpha: Interval
    b: Interval
    beta: Interval
    confidence: float
    objective: Objective
    delta: float
    reasons: tuple[Reason, ...]
    sensitivity: tuple[Sensitivity, ...]
    dropped: tuple[DroppedPoint, ...]
    leave_largest_out: LargestPredicted | None
    points: Points
    theta: Array = field(repr=False)
    resampled: Array = field(repr=False)

    @property
    def verdict(self) -> str:
        """ "identified" or "not identified"; only the first may be extrapolated."""
        return "not identified" if self.reasons else "identified"

    @property
    def fitted(self) -> bool:
        """Whether there were points enough for a surface at all."""
        return bool(np.isfinite(self.theta).all())

    @property
    def n_points(self) -> int:
        return self.points.n_points

    @property
    def method(self) -> str:
        return (
            f"{told(self.objective, self.delta)} of ln L by Newton's method; "
            f"{wording.percent(self.confidence)} intervals from {len(self.resampled):,} resamples of the runs"
        )

    def surface(self, n: ArrayLike, d: ArrayLike) -> Array:
        """(M,) fitted loss at n and d, each (M,), in nats a token."""
        return self._losses(self.theta[None], *checked_rows(n=n, d=d))[0]

    def predict(self, n: float, d: float) -> JointPrediction:
        """The loss of one run more, the mean of many such, with its interval."""
        places = checked_rows(n=n, d=d)
        if not self.fitted:
            return JointPrediction(float(n), float(d), nan, nan, nan)
        loss, of_resamples = self._losses(self.theta[None], *places)[0], self._losses(self.resampled, *places)[:, 0]
        around = _interval(float(loss[0]), of_resamples, self.confidence)
        return JointPrediction(float(n), float(d), around.value, around.low, around.high)

    def compute_optimal(self, c: float, flops_per_nd: float = FLOPS_PER_PARAMETER_AND_TOKEN) -> ComputeOptimal:
        """The n and d of least loss where flops_per_nd·n·d = c (Hoffmann et al., equation 4)."""
        if not (0 < c < inf and 0 < flops_per_nd < inf):
            raise DataError(f"{c} FLOPs at {flops_per_nd} a parameter and token: give positive numbers")
        n, exponent = self._optimal(self.theta[None], c / flops_per_nd)
        n_R, exponent_R = self._optimal(self.resampled, c / flops_per_nd)
        best = float(n[0])
        return ComputeOptimal(
            float(c),
            _interval(best, n_R, self.confidence),
            _interval(c / flops_per_nd / best, c / flops_per_nd / n_R, self.confidence),
            _interval(float(exponent[0]), exponent_R, self.confidence),
            float(self.surface(best, c / flops_per_nd / best)[0]),
        )

    def sentence(self, d: str = "D") -> str:
        """The law for people, or why there is none and what would make one. d: what tokens are called in it."""
        if self.reasons:
            return refusal("joint law", self.n_points, self.reasons[0])
        alpha, beta = (wording.with_range(one.value, one.low, one.high) for one in (self.alpha, self.beta))
        return (
            f"Validation loss falls as L(N, {d}) = {self.e.value:.3g} + {self.a.value:.3g}/N^{alpha[0]} + "
            f"{self.b.value:.3g}/{d}^{beta[0]} nats a token; {wording.percent(self.confidence)} intervals: "
            f"alpha {alpha[1]} to {alpha[2]}, beta {beta[1]} to {beta[2]} ({wording.counted(self.n_points, 'run')})."
        )

    def to_dict(self, predict_at: ArrayLike = ()) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON, with a prediction for each (n, d) of predict_at."""
        places = np.asarray(predict_at, dtype=np.float64).reshape(-1, 2).tolist()
        return json_ready(
            {
                "form": "E + A/N^alpha + B/D^beta",
                "sentence": self.sentence(),
                "verdict": self.verdict,
                "reasons": [asdict(reason) for reason in self.reasons],
                "E": asdict(self.e),
                "A": asdict(self.a),
                "alpha": asdict(self.alpha),
                "B": asdict(self.b),
                "beta": asdict(self.beta),
                "confidence": self.confidence,
                "predictions": [asdict(self.predict(n, d)) for n, d in places],
                "sensitivity": [asdict(other) for other in self.sensitivity],
                "jackknife": [asdict(point) for point in self.dropped],
                "leave_largest_out": asdict(self.leave_largest_out) if self.leave_largest_out else None,
                "n_points": self.n_points,
                "method": self.method,
                "caveats": list(CAVEATS),
            }
        )

    def _losses(self, theta_F5: Array, n_M: Array, d_M: Array) -> Array:
        mean_x, mean_y = self.points.centre
        return np.exp(log_loss_at(theta_F5, np.log(n_M) - mean_x, np.log(d_M) - mean_y)[0])

    def _optimal(self, theta_F5: Array, nd: float) -> tuple[Array, Array]:
        """(F,) the best n for this product of n and d, and beta / (alpha + beta)."""
        alpha, beta = theta_F5[:, ALPHA], theta_F5[:, BETA]
        # d L = 0 along n·d: alpha·A·n^-alpha = beta·B·d^-beta, in logarithms about the points' means.
        mean_x, mean_y = self.points.centre
        with np.errstate(invalid="ignore", divide="ignore"):
            balance = np.log(alpha) + theta_F5[:, LOG_A] - np.log(beta) - theta_F5[:, LOG_B]
            x = (balance + beta * (np.log(nd) - mean_x - mean_y)) / (alpha + beta)
        return np.exp(x + mean_x), beta / (alpha + beta)


def fit_joint_law(
    n: ArrayLike,
    d: ArrayLike,
    loss: ArrayLike,
    *,
    objective: Objective = "huber",
    delta: float = DELTA,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = 0.95,
) -> JointLawFit:
    """Fit L(N, D) = E + A/N^alpha + B/D^beta to runs of several sizes on several amounts of data.

    n, d, loss: (P,) parameters, tokens, and final loss in nats a token. objective: "huber" with its delta, "lad" (least
    absolute deviations) or "lsq" (least squares), all of ln L. resamples, seed: of the bootstrap.

    Raises DataError, with the row, for a number that is not positive; UsageError for an option out of its range. Data
    that identify no law raise nothing: the fit says so.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    if not delta > 0 or resamples < 1:
        raise UsageError(f"delta is {delta}, resamples {resamples}; give a positive delta and at least one resample")
    n_P, d_P, loss_P = checked_rows(n=n, d=d, loss=loss)
    # So that which rows a resample draws does not hang on the order they came in.
    order = np.lexsort((loss_P, d_P, n_P))
    points = Points(n_P[order], d_P[order], loss_P[order])
    taken = {"huber": delta, "lad": LAD_DELTA, "lsq": inf}[objective]
    if points.n_points <= N_PARAMETERS:
        return _no_fit(points, objective, taken, confidence)
    theta = solve(points, taken)
    resampled = resolve(points, resampling(points.n_points, resamples, seed), theta, taken)
    around = {
        name: _interval(float(value[0]), values, confidence)
        for name, value, values in zip(NAMES, _plain(points, theta[None]), _plain(points, resampled), strict=True)
    }
    return JointLawFit(
        **around,
        confidence=confidence,
        objective=objective,
        delta=taken,
        reasons=judge(points, confidence, around),
        sensitivity=sensitivity(points, objective, taken),
        dropped=tuple(replace(point, row=int(order[point.row])) for point in dropped_points(points, theta, taken)),
        leave_largest_out=leave_largest_out(points, taken),
        points=points,
        theta=theta,
        resampled=resampled,
    )


def _plain(points: Points, theta_F5: Array) -> tuple[Array, Array, Array, Array, Array]:
    """E, A, alpha, B and beta, each (F,), for N and D as they were given."""
    mean_x, mean_y = points.centre
    alpha, beta = theta_F5[:, ALPHA], theta_F5[:, BETA]
    a, b = np.exp(theta_F5[:, LOG_A] + alpha * mean_x), np.exp(theta_F5[:, LOG_B] + beta * mean_y)
    return np.exp(theta_F5[:, E]), a, alpha, b, beta


def _interval(value: float, of_resamples: Array, confidence: float) -> Interval:
    finite = of_resamples[np.isfinite(of_resamples)]
    if not finite.size:
        return Interval(value, nan, nan)
    low, high = np.quantile(finite, ((1 - confidence) / 2, (1 + confidence) / 2))
    # A fit without noise: resamples differ from it by rounding, and may all lie to one side.
    return Interval(value, min(float(low), value), max(float(high), value))


def _no_fit(points: Points, objective: Objective, delta: float, confidence: float) -> JointLawFit:
    nothing: dict[str, Interval] = dict.fromkeys(NAMES, Interval(nan, nan, nan))
    return JointLawFit(
        **nothing,
        confidence=confidence,
        objective=objective,
        delta=delta,
        reasons=judge(points, confidence, nothing),
        sensitivity=(),
        dropped=(),
        leave_largest_out=None,
        points=points,
        theta=np.full(5, nan),
        resampled=np.empty((0, 5)),
    )
