"""Which runs to train next: how far each would narrow alpha's interval, and what it costs.

A design is judged before it is trained: losses are put on the fitted curve, the noise is what was measured, and the
profile-F interval is read off as if that study had come out exactly so. Of such studies that is the median interval;
one study's own noise makes it wider or narrower.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np

from scaling_lab.laws import wording
from scaling_lab.laws.power_law import PowerLawFit
from scaling_lab.laws.region import N_PARAMETERS, ROUNDING, Noise, expected_alpha_interval
from scaling_lab.laws.sizes import Array, Sizes

# Two more seeds at a time: with one, noise rests on a single difference.
MORE_SEEDS = 2
# Beyond this many smallest sizes the next design is all of them.
MOST_DESIGNS = 8
# A design that narrows less is none.
NARROWER = 0.99


@dataclass(frozen=True)
class NextRuns:
    """Runs to add to a study.

    Attributes:
        text: what to train.
        n: the size of each run.
        cost: of all of them, in the unit of the caller's cost.
        half_width: of alpha's expected interval then; now: of today's design. Infinite where an end is not set.
    """

    text: str
    n: tuple[float, ...]
    cost: float
    half_width: float
    now: float

    @property
    def gain(self) -> float:
        """By how much ln of the interval's width shrinks, over the cost; infinite where it gets an end at last."""
        return (
            inf if not (isfinite(self.now) and self.half_width > 0) else np.log(self.now / self.half_width) / self.cost
        )


def next_runs(fit: PowerLawFit, cost: Callable[[float], float] = float) -> tuple[NextRuns, ...]:
    """What would narrow alpha's interval, most per cost first. Nothing where there is no fit, or nothing to narrow.

    cost: of one run of n parameters. By default n itself: at a fixed number of tokens FLOPs go by it.
    """
    sizes, variance = fit.sizes, fit.noise.variance
    if not (fit.fitted and fit.alpha.value > 0 and ROUNDING**2 < variance < inf):
        return ()
    now = _half_width(fit, sizes.n, sizes.seeds)
    found = []
    for text, added in _candidates(sizes):
        n, seeds = _with(sizes, added)
        half_width = _half_width(fit, n, seeds)
        if half_width < NARROWER * now:
            found.append(NextRuns(text, tuple(added), sum(map(cost, added)), half_width, now))
    return tuple(sorted(found, key=lambda runs: (-runs.gain, runs.half_width)))


def _candidates(sizes: Sizes) -> Iterator[tuple[str, list[float]]]:
    """Two more seeds of the smallest sizes, however many; one size below, between or above."""
    n = sizes.n.tolist()
    for count in sorted({*range(1, min(len(n), MOST_DESIGNS) + 1), len(n)}):
        which = "all sizes" if count == len(n) else f"the {count} smallest" if count > 1 else "the smallest size"
        yield f"{MORE_SEEDS} more seeds of {which}", n[:count] * MORE_SEEDS
    gap = int(np.argmax(np.diff(np.log(sizes.n)))) if len(n) > 1 else 0
    between = sqrt(n[gap] * n[min(gap + 1, len(n) - 1)])
    places = (("smaller", sizes.smaller()), ("in between", between), ("larger", n[-1] * sizes.step))
    for where, place in places:
        if place is not None:
            yield f"one size {where}, N = {wording.size(place)}", [place]


def _with(sizes: Sizes, added: list[float]) -> tuple[Array, Array]:
    """Sizes and numbers of seeds once runs are added."""
    every = np.concatenate((np.repeat(sizes.n, sizes.seeds.astype(int)), added))
    n, seeds = np.unique(every, return_counts=True)
    return n, seeds.astype(np.float64)


def _half_width(fit: PowerLawFit, n: Array, seeds: Array) -> float:
    """Of alpha's interval, were the losses on the fitted curve and the noise as it was measured."""
    design = Sizes(n, fit.curve(n), seeds, np.zeros_like(n))
    residual_dof = design.n_sizes - N_PARAMETERS
    # As `estimate_noise` chooses between them.
    dof = design.seeds_dof if design.seeds_dof > residual_dof else design.seeds_dof + residual_dof
    low, high = expected_alpha_interval(design, Noise(fit.noise.variance, dof, ""), fit.confidence)
    return (high - low) / 2
