"""The profile-F region: every curve that the data do not rule out, and the intervals that are read off it.

A curve (alpha, a, c) is in the region when its RSS is at most RSS_min + s²·F(confidence; 1, dof), with a, c >= 0. An
interval for anything a curve says (alpha, a, c, the loss at some N) is the range it takes over the region: the profile
interval of Bates and Watts, Nonlinear Regression Analysis (1988), chapter 6. Unlike estimate ± 1.96 standard errors it
covers at two degrees of freedom. It covers noise, not a wrong form of law.

Shapes: R alphas across the region, M places where a curve is read, S sizes.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit

from scaling_lab.laws.projection import (
    ALPHA_GRID,
    Projection,
    minimise,
    powers,
    project,
    rss_at,
    weighted_rss,
)
from scaling_lab.laws.sizes import Array, Sizes

N_PARAMETERS = 3

# A relative residual this small is the rounding of a loss to double precision: a fit that close is exact.
ROUNDING = 1e-13

# Curves taken across the region. An extreme between two of them is missed by (1 / 512)² of an interval's width, and by
# 1 / 256 at worst, where it sits on the corner of a cut.
N_CURVES = 257


@dataclass(frozen=True)
class Interval:
    """A fitted value with its confidence interval. An end the data do not set is 0 or infinite; no value is NaN."""

    value: float
    low: float
    high: float

    def exp(self) -> "Interval":
        """Of what this is the logarithm of; an end beyond all numbers is infinite."""
        with np.errstate(over="ignore"):
            return Interval(*np.exp([self.value, self.low, self.high]).tolist())


@dataclass(frozen=True)
class Noise:
    """Relative variance of one run about its expected loss, the degrees of freedom it rests on, and what it was read
    from: "seeds" (scatter of seeds about their size's mean), "residuals" (of the fit) or "seeds and residuals"."""

    variance: float
    dof: int
    source: str

    def slack(self, confidence: float) -> float:
        """s²·F(confidence; 1, dof): by how much the RSS may exceed its minimum. F with one numerator dof is t²."""
        if self.dof == 0:
            return float("inf")
        return self.variance * float(stdtrit(self.dof, (1 + confidence) / 2)) ** 2


def estimate_noise(sizes: Sizes, rss: float) -> Noise:
    """Noise from the seeds where they say more than the residuals do, else from both together.

    With K seeds of every size that is the pooled variance on sizes·(K − 1) degrees of freedom, whatever the fit. A lone
    second seed is one degree of freedom, and an interval from it alone would be wider than with no second seed at all;
    so seeds that have no more degrees of freedom than the residuals are pooled with them, (scatter + RSS) / (runs − 3).
    The choice looks at how many runs there are, never at their losses, so it costs no coverage.
    """
    residual_dof = sizes.n_sizes - N_PARAMETERS
    scatter, dof, source = float(sizes.scatter.sum()), sizes.seeds_dof, "seeds"
    if sizes.seeds_dof <= residual_dof:
        scatter, dof = scatter + rss, dof + residual_dof
        source = "seeds and residuals" if sizes.seeds_dof else "residuals"
    return Noise(scatter / dof if dof else float("nan"), dof, source)


@dataclass(frozen=True, eq=False)
class Region:
    """All curves whose RSS is at most `threshold`.

    grid: the projection on ALPHA_GRID. best: the optimum (A = 1). low, high: alpha's interval, the hull where the
    region falls apart; at an end of ALPHA_GRID it is that end. The a of a projection is for n in `sizes.unit`.
    """

    sizes: Sizes
    noise: Noise
    grid: Projection
    best: Projection
    threshold: float
    low: float
    high: float

    @property
    def alpha(self) -> float:
        return float(self.best.alphas[0])

    @property
    def falls(self) -> bool:
        """False when a horizontal line fits best, so that alpha means nothing."""
        u = np.exp(-self.alpha * self.sizes.log_x)
        return bool(self.best.a[0] * np.ptp(u) > ROUNDING * self.sizes.level)

    @property
    def bounded(self) -> bool:
        """False when there are as many parameters as sizes and no second seed: nothing measures the noise."""
        return bool(np.isfinite(self.threshold))

    @cached_property
    def curves(self) -> Projection:
        """R projections from one end of alpha to the other, and the best."""
        return project(self.sizes, np.append(np.linspace(self.low, self.high, N_CURVES), self.best.alphas))

    def slack(self, a: Array, c: Array) -> Array:
        """(R, 1) threshold − RSS of the curves with these a and c, (R,) or (1,)."""
        return (self.threshold - weighted_rss(self.sizes, self._powers, a, c))[:, None]

    @cached_property
    def _powers(self) -> Array:
        return powers(self.sizes, self.curves.alphas)

    def a(self) -> tuple[float, float]:
        """Lowest and highest a, in the caller's unit of n."""
        low, high = self._range(self.sizes.unit ** self.curves.alphas[:, None], 0.0, 0.0)
        return float(low[0]), float(high[0])

    def c(self) -> tuple[float, float]:
        """Lowest and highest c, in nats a token."""
        low, high = self._range(np.zeros((1, 1)), 1.0, 0.0)
        return float(low[0]), float(high[0])

    def curve(self, n: Array) -> Array:
        """(M,) loss of the best curve at n (M,)."""
        return self.best.a * (n / self.sizes.unit) ** -self.alpha + self.best.c

    def loss(self, n: Array, noise_per_run: float = 0.0) -> tuple[Array, Array]:
        """(M,) lowest and highest loss at n (M,). noise_per_run 1 adds the noise of one new run, 1/K of a mean of K."""
        u_RM = (n / self.sizes.unit) ** -self.curves.alphas[:, None]
        low_M, high_M = self._range(u_RM, 1.0, noise_per_run)
        # An exact fit's band is as wide as the curve's last digits, and may fall to one side of it.
        best_M = self.curve(n)
        return np.minimum(low_M, best_M), np.maximum(high_M, best_M)

    def _range(self, a_factor_RM: Array, c_factor: float, noise_per_run: float) -> tuple[Array, Array]:
        """(M,) ends of the range over the region of y = a_factor·a + c_factor·c, factors >= 0.

        At fixed alpha the region is an ellipse in (a, c), cut by a >= 0 and c >= 0. The extremes of y are the whole
        ellipse's, unless they lie beyond a cut: then they are on a cut.
        """
        places = a_factor_RM.shape[1]
        if not self.bounded:
            return np.zeros(places), np.full(places, np.inf)
        low_M, high_M, whole = _extremes(_both_free(self, a_factor_RM, c_factor), noise_per_run)
        for cut in () if whole else (_c_at_zero, _a_at_zero):
            cut_low_M, cut_high_M, _ = _extremes(cut(self, a_factor_RM, c_factor), noise_per_run)
            low_M, high_M = np.minimum(low_M, cut_low_M), np.maximum(high_M, cut_high_M)
        # With noise as large as the losses not even L = 0, the corner of both cuts, is ruled out.
        corner_rss = self.sizes.n_points
        return np.where(corner_rss <= self.threshold, 0, np.maximum(low_M, 0)), high_M


@dataclass(frozen=True, eq=False)
class _Face:
    """Least squares at fixed alpha in both columns, or in one of them with the other's coefficient 0.

    a, c, slack: (R, 1), the best coefficients and threshold − RSS there, negative where the region has no such curve.
    y: (R, M), a_factor·a + c_factor·c. da, dc: (R, M), (X'WX)^-1 x, the way (a, c) go as y rises. v: (R, M),
    x'(X'WX)^-1 x, so that y ± sqrt(slack·v) are the extremes of y.
    """

    a: Array
    c: Array
    slack: Array
    y: Array
    da: Array
    dc: Array
    v: Array


def _both_free(region: Region, a_factor_RM: Array, c_factor: float) -> _Face:
    curves, weight_sum = region.curves, region.sizes.weight_sum
    a, c, u_mean = curves.a_free[:, None], curves.c_free[:, None], curves.u_mean[:, None]
    # Once u is centred the columns are orthogonal: v is a sum of two squares, and nothing cancels in it.
    lever_RM = a_factor_RM - c_factor * u_mean
    da = lever_RM / curves.spread[:, None]
    dc = c_factor / weight_sum - da * u_mean
    v_RM = lever_RM * da + c_factor**2 / weight_sum
    return _Face(a, c, region.slack(curves.a_free, curves.c_free), a * a_factor_RM + c * c_factor, da, dc, v_RM)


def _c_at_zero(region: Region, a_factor_RM: Array, c_factor: float) -> _Face:
    curves, zero = region.curves, np.zeros(1)
    a, da = curves.a_edge[:, None], a_factor_RM / curves.spread_edge[:, None]
    slack = region.slack(curves.a_edge, zero)
    return _Face(a, zero[:, None], slack, a * a_factor_RM, da, zero[:, None], a_factor_RM * da)


def _a_at_zero(region: Region, a_factor_RM: Array, c_factor: float) -> _Face:
    c, zero = np.full((1, 1), region.sizes.level), np.zeros(1)
    dc = np.full((1, a_factor_RM.shape[1]), c_factor / region.sizes.weight_sum)
    return _Face(zero[:, None], c, region.slack(zero, c[0]), c * c_factor, zero[:, None], dc, c_factor * dc)


def _extremes(face: _Face, noise_per_run: float) -> tuple[Array, Array, bool]:
    """(M,) lowest and highest y of a face, infinite if there is none, and whether no cut was in the way.

    A new run's noise adds noise_per_run·y² to v, for its own residual is one more term of the RSS.
    """
    v_RM = face.v + noise_per_run * face.y**2
    # A y that no change of the free columns moves has v = 0, and stays where it is.
    reach_RM = np.where(v_RM > 0, np.sqrt(np.maximum(face.slack, 0) / np.where(v_RM > 0, v_RM, 1)), 0)
    inside = face.slack >= 0
    ends, whole = [], True
    for sign in (-1, 1):
        uncut_RM = (face.a + sign * reach_RM * face.da >= 0) & (face.c + sign * reach_RM * face.dc >= 0)
        y_RM = np.where(inside & uncut_RM, face.y + sign * reach_RM * v_RM, sign * -np.inf)
        ends.append(y_RM.min(axis=0) if sign < 0 else y_RM.max(axis=0))
        whole = whole and bool(uncut_RM.all())
    return ends[0], ends[1], whole


def find_region(sizes: Sizes, confidence: float) -> Region:
    """Fit the curve to three sizes or more, and find every other curve that the data leave possible."""
    grid = project(sizes, ALPHA_GRID)
    best = project(sizes, np.array([minimise(sizes, grid)]))
    rss = float(best.rss[0])
    noise = estimate_noise(sizes, rss)
    threshold = rss_limit(sizes, noise, rss, confidence)
    return Region(sizes, noise, grid, best, threshold, *_alpha_interval(sizes, grid, best, threshold))


def expected_alpha_interval(sizes: Sizes, noise: Noise, confidence: float) -> tuple[float, float]:
    """alpha's interval for losses that lie on a curve and the given noise, whatever they scatter by; ends as above."""
    grid = project(sizes, ALPHA_GRID)
    best = project(sizes, np.array([minimise(sizes, grid)]))
    threshold = rss_limit(sizes, noise, float(best.rss[0]), confidence)
    low, high = _alpha_interval(sizes, grid, best, threshold)
    return (0.0 if low <= ALPHA_GRID[0] else low), (float("inf") if high >= ALPHA_GRID[-1] else high)


def rss_limit(sizes: Sizes, noise: Noise, rss: float, confidence: float) -> float:
    """The RSS above which a curve is ruled out, from the best RSS and the noise.

    Losses are rounded, so that the RSS of an exact fit has no meaning, nor has an F ratio to it; and so is the RSS.
    """
    return rss + max(noise.slack(confidence), sizes.n_points * ROUNDING**2, rss * ROUNDING)


def _alpha_interval(sizes: Sizes, grid: Projection, best: Projection, threshold: float) -> tuple[float, float]:
    """Hull of {alpha : RSS(alpha) <= threshold} within ALPHA_GRID, its ends refined by Brent's method."""
    # The best alpha joins the grid, for the whole set may lie between two points of it.
    at = int(np.searchsorted(grid.alphas, best.alphas[0]))
    alphas = np.insert(grid.alphas, at, best.alphas[0])
    inside = np.flatnonzero(np.insert(grid.rss <= threshold, at, True))

    def excess(alpha: float) -> float:
        return rss_at(alpha, sizes) - threshold

    def end(last_inside: int, outward: int) -> float:
        first_outside = last_inside + outward
        if not 0 <= first_outside < len(alphas):
            return float(alphas[last_inside])
        inner, outer = float(alphas[last_inside]), float(alphas[first_outside])
        # On the threshold to the last bit, numpy and plain floats may disagree on which side.
        return cast(float, brentq(excess, inner, outer)) if excess(inner) < 0 < excess(outer) else inner

    return end(int(inside[0]), -1), end(int(inside[-1]), 1)
