"""Variable projection for L(N) = a·N^-alpha + c: at each alpha the best a and c have a closed form, so that only alpha
is searched for, on a grid that covers every exponent worth the name. No starting point, and no way to miss the optimum.

The objective is relative least squares, Σ K·((a·N^-alpha + c − L) / L)² over sizes with K seeds each, a and c >= 0.
Variable projection: Golub and Pereyra (1973), SIAM J. Numer. Anal. 10(2).

Shapes: A alphas, S sizes. Here sizes are measured in `Sizes.unit`, and so is a.
"""

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.optimize import brentq

from scaling_lab.laws.sizes import Array, Sizes

# A curve with alpha below 1e-3 is a straight line in ln N, and one above 3 is a step: no data tell them from the ends.
ALPHA_GRID: Array = np.concatenate(
    (np.geomspace(1e-3, 0.03, 40), np.linspace(0.03, 1.6, 786)[1:], np.geomspace(1.6, 3.0, 41)[1:])
)
ALPHA_GRID.setflags(write=False)

TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, eq=False)
class Projection:
    """The best curve at each of A alphas; every field is (A,).

    a, c, rss: the best with a, c >= 0. a_free, c_free: the best of any sign. u_mean and spread: weighted mean of
    u = x^-alpha over the sizes, and the weighted sum of squares about it. a_edge, spread_edge: a, and the weighted sum
    of squares of u, when c is held at 0.
    """

    alphas: Array
    a: Array
    c: Array
    rss: Array
    a_free: Array
    c_free: Array
    u_mean: Array
    spread: Array
    a_edge: Array
    spread_edge: Array


def powers(sizes: Sizes, alphas: Array) -> Array:
    """(A, S) x^-alpha, with x the sizes in their unit."""
    return np.exp(-alphas[:, None] * sizes.log_x)


def weighted_rss(sizes: Sizes, u_AS: Array, a: Array, c: Array) -> Array:
    """(A,) the objective of the curves a·u + c. From residuals: a difference of sums would drown an exact fit."""
    return (a[:, None] * u_AS + c[:, None] - sizes.loss) ** 2 @ sizes.weights


def project(sizes: Sizes, alphas: Array) -> Projection:
    """The best a and c at each of alphas (A,), by non-negative least squares, which in two columns has a closed form.

    Where the free optimum has c < 0, the constrained one lies on c = 0; where it has a < 0, on a = 0. It is never both,
    for the losses are positive.
    """
    u_AS, weights = powers(sizes, alphas), sizes.weights
    level = sizes.level
    u_mean = u_AS @ weights / sizes.weight_sum
    # Centred, the two columns are orthogonal: nothing is lost to their near-collinearity at small alpha.
    centred_AS = u_AS - u_mean[:, None]
    spread = centred_AS**2 @ weights
    a_free = centred_AS @ (weights * (sizes.loss - level)) / np.maximum(spread, TINY)
    c_free = level - a_free * u_mean
    spread_edge = u_AS**2 @ weights
    a_edge = u_AS @ (weights * sizes.loss) / spread_edge
    a = np.where(c_free < 0, a_edge, np.maximum(a_free, 0))
    c = np.where(c_free < 0, 0.0, np.where(a_free < 0, level, c_free))
    rss = weighted_rss(sizes, u_AS, a, c)
    return Projection(alphas, a, c, rss, a_free, c_free, u_mean, spread, a_edge, spread_edge)


def minimise(sizes: Sizes, grid: Projection) -> float:
    """The best alpha of all, from the projection on a grid of alphas, refined by Brent's method.

    Brent looks for the zero of the slope, not for the minimum: a zero is found to the last digit, a minimum only to
    half of them.
    """
    at = int(np.argmin(grid.rss))
    left, right = float(grid.alphas[max(at - 1, 0)]), float(grid.alphas[min(at + 1, len(grid.alphas) - 1)])
    if slope_at(left, sizes) < 0 < slope_at(right, sizes):
        return cast(float, brentq(slope_at, left, right, args=(sizes,), xtol=1e-15))
    return float(grid.alphas[at])


def rss_at(alpha: float, sizes: Sizes) -> float:
    """`project(...).rss` of one alpha."""
    return _rss_and_slope(alpha, sizes)[0]


def slope_at(alpha: float, sizes: Sizes) -> float:
    """d RSS / d alpha. By the envelope theorem a and c count as constants in it, their bounds active or not."""
    return _rss_and_slope(alpha, sizes)[1]


def _rss_and_slope(alpha: float, sizes: Sizes) -> tuple[float, float]:
    """What `project` does, in plain floats: on five sizes the calls into numpy would cost ten times the arithmetic."""
    rows = [(math.exp(-alpha * log_x), log_x, w, loss) for log_x, w, loss in sizes.rows]
    level = sizes.level
    u_mean = sum([w * u for u, _, w, _ in rows]) / sizes.weight_sum
    spread = covariance = 0.0
    for u, _, w, loss in rows:
        spread += w * (u - u_mean) ** 2
        covariance += w * (u - u_mean) * (loss - level)
    a = max(covariance / max(spread, TINY), 0.0)
    c = level - a * u_mean
    if c < 0:
        c = 0.0
        a = sum([w * u * loss for u, _, w, loss in rows]) / sum([w * u * u for u, _, w, _ in rows])
    rss = slope = 0.0
    for u, log_x, w, loss in rows:
        residual = a * u + c - loss
        rss += w * residual**2
        slope -= 2 * w * residual * a * u * log_x
    return rss, slope
