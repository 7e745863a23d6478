"""Fewer points that draw the same line. For drawing only: fits and tables read every row."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# At two points a bin, finer than the pixels of a figure that fills a page.
N_BINS = 400


def thin(x: Array, y: Array, *, log_x: bool = False, n_bins: int = N_BINS) -> tuple[Array, Array]:
    """The lowest and the highest point of every bin of x, and the first and last of all; x must rise.

    Every spike stays, where a mean or every k-th point would lose it. Bins are of equal width as drawn, so on a
    logarithmic axis (log_x) the early steps keep theirs. Rows whose x or y is not finite, or that a logarithmic axis
    can't show, are left out.

    x, y: (R,). Returns the kept points, (K,) each, K <= 2·n_bins + 2.
    """
    drawn = np.isfinite(x) & np.isfinite(y) & ((x > 0) | (not log_x))
    x, y = x[drawn], y[drawn]
    if len(x) <= 2 * n_bins + 2:
        return x, y
    place = np.log(x) if log_x else x
    edges = np.linspace(place[0], place[-1], n_bins + 1)
    bins = np.clip(np.searchsorted(edges, place, side="right") - 1, 0, n_bins - 1)
    # Sorted by bin, then by y: a bin's first is its lowest, its last the highest.
    order = np.lexsort((y, bins))
    starts = np.flatnonzero(np.diff(bins[order], prepend=-1))
    ends = np.append(starts[1:], len(order)) - 1
    kept = np.unique(np.concatenate(([0], order[starts], order[ends], [len(x) - 1])))
    return x[kept], y[kept]
