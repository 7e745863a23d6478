"""What a fit says when a size is kept from it: every size in turn (the jackknife), and the largest, as a prediction.

Neither needs an assumption about noise to be shown, so every report shows both.
"""

from dataclasses import dataclass
from math import nan

import numpy as np

from scaling_lab.laws.projection import ALPHA_GRID, minimise, project, rss_at
from scaling_lab.laws.region import N_PARAMETERS, Region, estimate_noise, find_region, rss_limit
from scaling_lab.laws.sizes import Sizes

# Steps of 0.016: enough to bracket the one minimum of a fit, at an eighth of the work.
_COARSE_GRID = ALPHA_GRID[::8]


@dataclass(frozen=True)
class LeftOut:
    """The fit to all sizes but n.

    alpha: NaN when the other sizes' losses do not fall. contradicts: the other sizes alone rule out the alpha of all,
    at a confidence shared out over the sizes (Bonferroni), so that one of them does so by chance in 5 % of studies.
    """

    n: float
    alpha: float
    contradicts: bool


@dataclass(frozen=True)
class LeaveLargestOut:
    """The fit without the largest size, asked for that size.

    observed: the mean loss of its runs. low, high: where that mean was expected, its seeds' noise included.
    relative_error: predicted / observed − 1. covered: observed is between low and high; None when nothing measured the
    noise.
    """

    n: float
    observed: float
    predicted: float
    low: float
    high: float
    relative_error: float
    covered: bool | None


def jackknife(region: Region, confidence: float) -> tuple[LeftOut, ...]:
    """One fit for each size left out; none when that leaves fewer sizes than parameters."""
    sizes = region.sizes
    if sizes.n_sizes <= N_PARAMETERS:
        return ()
    each = 1 - (1 - confidence) / sizes.n_sizes
    return tuple(
        _left_out(float(n), sizes.without(index), region.alpha, each) for index, n in enumerate(sizes.n.tolist())
    )


def _left_out(n: float, rest: Sizes, alpha_of_all: float, confidence: float) -> LeftOut:
    grid = project(rest, _COARSE_GRID)
    if grid.a[np.argmin(grid.rss)] == 0:
        return LeftOut(n, nan, contradicts=True)
    alpha = minimise(rest, grid)
    rss = rss_at(alpha, rest)
    limit = rss_limit(rest, estimate_noise(rest, rss), rss, confidence)
    return LeftOut(n, alpha, contradicts=rss_at(alpha_of_all, rest) > limit)


def leave_largest_out(sizes: Sizes, confidence: float) -> LeaveLargestOut | None:
    """Predict the largest size from the others; None when they are fewer than the parameters."""
    if sizes.n_sizes <= N_PARAMETERS:
        return None
    region = find_region(sizes.without(sizes.n_sizes - 1), confidence)
    n_1, observed = sizes.n[-1:], float(sizes.loss[-1])
    predicted = float(region.curve(n_1)[0])
    low, high = (float(end[0]) for end in region.loss(n_1, noise_per_run=1 / float(sizes.seeds[-1])))
    covered = low <= observed <= high if region.bounded else None
    return LeaveLargestOut(float(n_1[0]), observed, predicted, low, high, predicted / observed - 1, covered)
