"""The SMS law of data read again and again, of whole loss curves, with intervals or a refusal that says why.

    fit = fit_sms(n, d, u, loss)
    print(fit.sentence())
    fit.predict(1e9, 20e9, 2e9)

    L(N, D, U) = d/(N^a·D''^b) + A/N^a + B/D''^b + E + GELU(k_d·D + k_n·ln N − k_u·ln U − k_in)
    D'' = U·(1 − k^(D/U))/(1 − k), 0 < k < 1

Qu et al., MuPT (2404.06393): D tokens are read, U of them unique, and a pass is worth k of the one before it. The GELU
is what too many passes do: the loss rises again. The paper gives no constants, so they are always fitted; a table has a
line for each point of a curve, and the points of one N and one U are a curve. Of 80 random laws without noise,
of three to six N and two to four U, a, b and k came back to eight digits or more; the starts were chosen on these.

Shapes: P points, R resamples, 11 parameters (as `surface` has them).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, ndtr, stdtrit

from scaling_lab.errors import UsageError
from scaling_lab.laws import wording
from scaling_lab.laws.joint.robustness import LargestPredicted, Objective, told
from scaling_lab.laws.joint.solver import resampling
from scaling_lab.laws.json_ready import json_ready
from scaling_lab.laws.region import Interval
from scaling_lab.laws.sizes import Array, checked_rows
from scaling_lab.laws.sms import surface
from scaling_lab.laws.sms.judgement import judge
from scaling_lab.laws.sms.solver import N_STARTS, resolve, solve
from scaling_lab.laws.sms.surface import N_PARAMETERS, Curves, loss_at
from scaling_lab.laws.verdict import Reason, refusal

DELTA = 1e-3
RESAMPLES = 200

NAMES = ("a", "b", "k", "E", "A", "B", "d", "k_d", "k_n", "k_u", "k_in")


@dataclass(frozen=True)
class SmsPrediction:
    """The loss of a run of n parameters after d tokens, u of them unique, in nats a token, with its interval."""

    n: float
    d: float
    u: float
    loss: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class SmsFit:
    """The law's parameters by their names in the paper (NAMES), for N, D and U in the units they were given in.

    With no more points than parameters every number is NaN. theta: of the fit, as `surface` has it; resampled: (R, 11)
    likewise.
    """

    parameters: Mapping[str, Interval]
    confidence: float
    objective: Objective
    delta: float
    reasons: tuple[Reason, ...]
    leave_largest_out: LargestPredicted | None
    curves: Curves
    theta: Array = field(repr=False)
    resampled: Array = field(repr=False)

    @property
    def verdict(self) -> str:
        """ "identified" or "not identified"; only the first may be extrapolated."""
        return "not identified" if self.reasons else "identified"

    @property
    def fitted(self) -> bool:
        """Whether there were points enough for a fit at all."""
        return bool(np.isfinite(self.theta).all())

    @property
    def n_points(self) -> int:
        return self.curves.n_points

    @property
    def method(self) -> str:
        return (
            f"{told(self.objective, self.delta)} of the relative residual, the best of {N_STARTS:,} starts; "
            f"{wording.percent(self.confidence)} intervals from {len(self.resampled):,} resamples of whole curves"
        )

    def predict(self, n: float, d: float, u: float) -> SmsPrediction:
        """The loss of one run more, the mean of many such, with its interval."""
        checked = checked_rows(n=n, d=d, u=u)
        if not self.fitted:
            return SmsPrediction(float(n), float(d), float(u), nan, nan, nan)
        places = self.curves.at(*checked)
        loss, of_resamples = loss_at(self.theta[None], places)[0, 0], loss_at(self.resampled, places)[:, 0]
        around = _interval(float(loss), of_resamples, self.curves.n_curves, self.confidence)
        return SmsPrediction(float(n), float(d), float(u), around.value, around.low, around.high)

    def sentence(self) -> str:
        """The law for people, or why there is none and what would make one."""
        if self.reasons:
            return refusal("law of whole curves", self.curves.n_curves, self.reasons[0])
        a, b, k = (
            wording.with_range(one.value, one.low, one.high)
            for one in (self.parameters[name] for name in ("a", "b", "k"))
        )
        return (
            f"Over whole curves the loss falls with N^-{a[0]} and D''^-{b[0]}, where each pass over U unique tokens is "
            f"worth k = {k[0]} of the one before, D'' = U·(1 − k^(D/U))/(1 − k), and rises again by "
            f"GELU(k_d·D + k_n·ln N − k_u·ln U − k_in); {wording.percent(self.confidence)} intervals: a {a[1]} to "
            f"{a[2]}, b {b[1]} to {b[2]}, k {k[1]} to {k[2]} ({wording.counted(self.curves.n_curves, 'curve')} of "
            f"{wording.counted(self.n_points, 'point')} in all)."
        )

    def to_dict(self, predict_at: ArrayLike = ()) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON, with a prediction for each (n, d, u) of predict_at."""
        places = np.asarray(predict_at, dtype=np.float64).reshape(-1, 3).tolist()
        return json_ready(
            {
                "form": "d/(N^a*D''^b) + A/N^a + B/D''^b + E + GELU(k_d*D + k_n*ln N - k_u*ln U - k_in), "
                "D'' = U*(1 - k^(D/U))/(1 - k)",
                "sentence": self.sentence(),
                "verdict": self.verdict,
                "reasons": [asdict(reason) for reason in self.reasons],
                **{name: asdict(interval) for name, interval in self.parameters.items()},
                "confidence": self.confidence,
                "predictions": [asdict(self.predict(*place)) for place in places],
                "leave_largest_out": asdict(self.leave_largest_out) if self.leave_largest_out else None,
                "n_points": self.n_points,
                "n_curves": self.curves.n_curves,
                "method": self.method,
            }
        )


def fit_sms(
    n: ArrayLike,
    d: ArrayLike,
    u: ArrayLike,
    loss: ArrayLike,
    *,
    objective: Objective = "huber",
    delta: float = DELTA,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = 0.95,
) -> SmsFit:
    """Fit the SMS law to points of loss curves: parameters, tokens read so far, unique tokens and loss, each (P,).

    resamples, seed: of the bootstrap of whole curves. Two seeds of one n and u are drawn together, as one curve.

    Raises DataError, with the row, for a number that is not positive; UsageError for an option out of its range. Data
    that identify no law raise nothing: the fit says so.
    """
    if objective == "lad":
        raise UsageError("objective lad: the law of whole curves is fitted by huber or lsq; give one of them")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    if not delta > 0 or resamples < 1:
        raise UsageError(f"delta is {delta}, resamples {resamples}; give a positive delta and at least one resample")
    curves = Curves(*checked_rows(n=n, d=d, u=u, loss=loss))
    taken = inf if objective == "lsq" else delta
    theta, resampled = np.full(N_PARAMETERS, nan), np.empty((0, N_PARAMETERS))
    if enough := curves.n_points > N_PARAMETERS:
        theta = solve(curves, taken)
    # One curve drawn again is that curve: its intervals would have no width.
    if enough and curves.n_curves > 1:
        drawn = resampling(curves.n_curves, resamples, seed)[:, curves.curve]
        resampled = resolve(curves, drawn, theta, taken)
    values, of_resamples = _plain(curves, theta[None]), _plain(curves, resampled)
    around = {
        name: _interval(float(values[name][0]), of_resamples[name], curves.n_curves, confidence) for name in NAMES
    }
    residual = loss_at(theta[None], curves.places)[0] / curves.loss - 1 if enough else np.full(curves.n_points, nan)
    return SmsFit(
        parameters=around,
        confidence=confidence,
        objective=objective,
        delta=taken,
        reasons=judge(curves, confidence, around, residual),
        leave_largest_out=_leave_largest_out(curves, taken),
        curves=curves,
        theta=theta,
        resampled=resampled,
    )


def _plain(curves: Curves, theta: Array) -> dict[str, Array]:
    """NAMES, each (F,), for N, D and U as they were given."""
    if not curves.n_points:
        return dict.fromkeys(NAMES, np.full(len(theta), nan))
    mean_x, mean_y, mean_z = curves.centre
    a, b, k_n, k_u = (theta[:, name] for name in (surface.A, surface.B, surface.K_N, surface.K_U))
    return {
        "a": a,
        "b": b,
        "k": expit(theta[:, surface.LOGIT_K]),
        "E": theta[:, surface.FLOOR],
        "A": theta[:, surface.SIZE] * np.exp(a * mean_x),
        "B": theta[:, surface.DATA] * np.exp(b * mean_y),
        "d": theta[:, surface.CROSS] * np.exp(a * mean_x + b * mean_y),
        "k_d": theta[:, surface.K_D] / curves.most_read,
        "k_n": k_n,
        "k_u": k_u,
        "k_in": theta[:, surface.K_IN] + k_n * mean_x - k_u * mean_z,
    }


def _interval(value: float, of_resamples: Array, n_curves: int, confidence: float) -> Interval:
    """Percentiles, further apart the fewer the curves: resamples of C scatter as a normal of variance (C − 1)/C, and an
    interval takes Student's t on C − 1 degrees of freedom (Hesterberg, 1411.5279, expanded percentiles)."""
    finite = of_resamples[np.isfinite(of_resamples)]
    if not finite.size:
        return Interval(value, nan, nan)
    tail = float(ndtr(-np.sqrt(n_curves / (n_curves - 1)) * stdtrit(n_curves - 1, (1 + confidence) / 2)))
    low, high = np.quantile(finite, (tail, 1 - tail))
    # A fit without noise: resamples differ from it by rounding, and may all lie to one side.
    return Interval(value, min(float(low), value), max(float(high), value))


def _leave_largest_out(curves: Curves, delta: float) -> LargestPredicted | None:
    """Predict all points of the largest size from the others' curves; None where those are too few."""
    if not curves.n_points:
        return None
    largest = curves.n >= curves.n.max() * (1 - 1e-9)
    rest, kept_back = curves.part(~largest), curves.part(largest)
    if rest.n_points <= N_PARAMETERS or len(np.unique(rest.n)) < 2:
        return None
    predicted = loss_at(solve(rest, delta)[None], rest.at(kept_back.n, kept_back.d, kept_back.u))[0]
    errors = predicted / kept_back.loss - 1
    worst = float(errors[np.argmax(np.abs(errors))])
    return LargestPredicted(float(curves.n.max()), kept_back.n_curves, float(errors.mean()), worst)
