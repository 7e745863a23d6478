"""How loss falls with size: L(N) = a·N^-alpha + c, with intervals that cover, or a refusal that says why.

    fit = fit_power_law([0.1e6, 0.4e6, 1.6e6, 6.4e6, 25.6e6], [2.10, 1.77, 1.53, 1.38, 1.27])
    print(fit.sentence())
    fit.predict(100e6)

`scaling-lab report` draws it. Relative least squares by variable projection (`projection`), profile-F intervals
(`region`), and a verdict (`verdict`).
"""

from dataclasses import asdict, astuple, dataclass, field
from functools import cached_property
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scaling_lab.display import html_paragraphs, html_table
from scaling_lab.errors import DataError, UsageError
from scaling_lab.laws import wording
from scaling_lab.laws.json_ready import json_ready
from scaling_lab.laws.leave_out import LeaveLargestOut, LeftOut, jackknife, leave_largest_out
from scaling_lab.laws.projection import ALPHA_GRID
from scaling_lab.laws.region import N_PARAMETERS, Interval, Noise, Region, find_region
from scaling_lab.laws.sizes import Array, Sizes, checked_n, sizes_of
from scaling_lab.laws.verdict import Evidence, Reason, judge, refusal

NOTHING = Interval(nan, nan, nan)
# Time goes with their square, for each is left out once.
MOST_SIZES = 500
CAVEATS = (
    "The intervals cover noise, not a wrong form of law.",
    "At a fixed amount of data c is E + B/D^beta, which more parameters can't lower: it is not the entropy of music.",
)


@dataclass(frozen=True)
class Prediction:
    """The loss at size n, in nats a token, with its confidence interval; NaN when there was no fit."""

    n: float
    loss: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Profile:
    """RSS of the best curve at each alpha, to draw: alphas and rss are (A,), below threshold is the interval."""

    alphas: Array
    rss: Array
    threshold: float


@dataclass(frozen=True, eq=False)
class PowerLawFit:
    """L(N) = a·N^-alpha + c in nats a token, N in the unit it was given in. What it says is worked out when asked.

    Under three sizes, where region is None, every number is NaN; an interval's end that the data do not set is 0 or
    infinite. alpha is NaN, and c the mean loss, when losses do not fall at all.
    """

    sizes: Sizes
    confidence: float
    region: Region | None = field(repr=False)

    @cached_property
    def alpha(self) -> Interval:
        region = self.region
        if region is None:
            return NOTHING
        low = 0.0 if region.low <= ALPHA_GRID[0] else region.low
        high = inf if region.high >= ALPHA_GRID[-1] else region.high
        return Interval(region.alpha if region.falls else nan, low, high)

    @cached_property
    def a(self) -> Interval:
        region = self.region
        if region is None:
            return NOTHING
        return _around(float(region.best.a[0]) * self.sizes.unit**region.alpha, region.a())

    @cached_property
    def c(self) -> Interval:
        return NOTHING if self.region is None else _around(float(self.region.best.c[0]), self.region.c())

    @property
    def rss(self) -> float:
        """Weighted sum of squared relative residuals of the sizes' means."""
        return nan if self.region is None else float(self.region.best.rss[0])

    @property
    def noise(self) -> Noise:
        """Of a run about its expected loss."""
        return (
            Noise(self.sizes.seed_variance, self.sizes.seeds_dof, "seeds") if self.region is None else self.region.noise
        )

    @property
    def profile(self) -> Profile:
        """RSS over alpha, to draw."""
        if self.region is None:
            return Profile(np.empty(0), np.empty(0), nan)
        return Profile(self.region.grid.alphas, self.region.grid.rss, self.region.threshold)

    @cached_property
    def jackknife(self) -> tuple[LeftOut, ...]:
        """The fit without each size in turn; empty under four sizes."""
        return () if self.region is None else jackknife(self.region, self.confidence)

    @cached_property
    def leave_largest_out(self) -> LeaveLargestOut | None:
        """The largest size predicted from the others; None under four sizes."""
        return leave_largest_out(self.sizes, self.confidence)

    @cached_property
    def reasons(self) -> tuple[Reason, ...]:
        """Every reason not to claim an exponent, the weightiest first; none when the law is identified."""
        return judge(Evidence(self.sizes, self.confidence, self.rss, self.alpha, self.c, self.jackknife))

    @property
    def verdict(self) -> str:
        """ "identified" or "not identified"; only the first may be extrapolated."""
        return "not identified" if self.reasons else "identified"

    @property
    def fitted(self) -> bool:
        """Whether there were sizes enough for a curve at all."""
        return self.region is not None

    @property
    def n_points(self) -> int:
        return self.sizes.n_points

    @property
    def n_sizes(self) -> int:
        return self.sizes.n_sizes

    @property
    def method(self) -> str:
        if self.region is None:
            return "no fit: fewer sizes than parameters"
        return (
            "relative least squares by variable projection, a and c >= 0; profile F(1, "
            f"{self.noise.dof}) intervals at {wording.percent(self.confidence)}, noise from {self.noise.source}"
        )

    def at(self, confidence: float) -> "PowerLawFit":
        """The same fit with intervals of another confidence. Raises UsageError unless it is between 0 and 1."""
        return self if confidence == self.confidence else _fitted(self.sizes, confidence)

    def curve(self, n: ArrayLike) -> Array:
        """(M,) fitted loss at n (M,), in nats a token."""
        n_M = checked_n(n)
        return np.full(n_M.shape, nan) if self.region is None else self.region.curve(n_M)

    def band(self, n: ArrayLike, *, new_run: bool = False) -> tuple[Array, Array]:
        """(M,) low and high loss at n (M,): of the mean curve, or with new_run of one more run there."""
        n_M = checked_n(n)
        if self.region is None:
            return np.full(n_M.shape, nan), np.full(n_M.shape, nan)
        return self.region.loss(n_M, noise_per_run=float(new_run))

    def predict(self, n: float, *, new_run: bool = False) -> Prediction:
        """The loss at one size n, with the interval of `band`."""
        low, high = self.band(n, new_run=new_run)
        return Prediction(float(n), float(self.curve(n)[0]), float(low[0]), float(high[0]))

    def sentence(self) -> str:
        """The law for people, or why there is none and what would make one."""
        if self.reasons:
            return refusal("exponent", self.n_points, self.reasons[0])
        alpha, low, high = wording.with_range(self.alpha.value, self.alpha.low, self.alpha.high)
        n = self.sizes.symbol
        return (
            f"Validation loss falls as L({n}) = {self.a.value:.3g}·{n}^-{alpha} + {self.c.value:.3g} nats a token; "
            f"alpha {alpha}, {wording.percent(self.confidence)} interval {low} to {high} ({self._size_of_study()})."
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the sentence, and every parameter with its interval."""
        parameters = {"alpha": self.alpha, "a": self.a, "c, nats a token": self.c}
        rows = [(name, *astuple(interval)) for name, interval in parameters.items()]
        ends = wording.percent(self.confidence)
        return html_paragraphs([self.sentence()]) + html_table(self.verdict, ("", "value", f"{ends} from", "to"), rows)

    def to_dict(self, predict_at: ArrayLike = ()) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON, with a prediction for each size in predict_at. A number that does
        not exist or has no bound is null."""
        predictions = [self.predict(n) for n in np.asarray(predict_at, dtype=np.float64).ravel().tolist()]
        return json_ready(
            {
                "form": f"a*{self.sizes.symbol}^-alpha + c",
                "sentence": self.sentence(),
                "verdict": self.verdict,
                "reasons": [asdict(reason) for reason in self.reasons],
                "alpha": asdict(self.alpha),
                "a": asdict(self.a),
                "c": asdict(self.c),
                "confidence": self.confidence,
                "predictions": [asdict(prediction) for prediction in predictions],
                "jackknife": [asdict(left_out) for left_out in self.jackknife],
                "leave_largest_out": asdict(self.leave_largest_out) if self.leave_largest_out else None,
                "rss": self.rss,
                "noise": asdict(self.noise),
                "n_points": self.n_points,
                "n_sizes": self.n_sizes,
                "method": self.method,
                "caveats": list(CAVEATS),
            }
        )

    def _size_of_study(self) -> str:
        fewest, most = int(self.sizes.seeds.min()), int(self.sizes.seeds.max())
        seeds = wording.counted(most, "seed") if fewest == most else f"{fewest} to {most} seeds"
        return f"{wording.counted(self.n_sizes, 'size')}, {seeds} each"


def fit_power_law(n: ArrayLike, loss: ArrayLike, *, confidence: float = 0.95, symbol: str = "N") -> PowerLawFit:
    """Fit L(N) = a·N^-alpha + c to runs of several sizes, and say whether they identify it.

    n: (rows,) model sizes, in any unit. loss: (rows,) their final losses in nats a token. Rows that repeat an n are
    seeds of one size; with enough of them the noise is theirs alone (`region.estimate_noise`). confidence: of the
    intervals and of the verdict's tests. symbol: what n is called in words, C where it is compute.

    Raises DataError, with the row, for an n or a loss that is no positive number, and for more than MOST_SIZES sizes;
    UsageError for a confidence that is not between 0 and 1. Data that identify no law raise nothing: the fit says so.
    """
    sizes = sizes_of(n, loss, symbol)
    if sizes.n_sizes > MOST_SIZES:
        raise DataError(
            f"{sizes.n_sizes:,} different sizes, and a power law is fitted to {MOST_SIZES} at most; give one row a run"
        )
    return _fitted(sizes, confidence)


def _fitted(sizes: Sizes, confidence: float) -> PowerLawFit:
    if not 0 < confidence < 1:
        raise UsageError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    return PowerLawFit(sizes, confidence, find_region(sizes, confidence) if sizes.n_sizes >= N_PARAMETERS else None)


def _around(value: float, ends: tuple[float, float]) -> Interval:
    # An exact fit's interval is as wide as the value's last digits, and may fall to one side of it.
    return Interval(value, min(ends[0], value), max(ends[1], value))
