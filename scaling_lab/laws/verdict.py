"""Whether a few losses identify a law at all, and if not, why, and which run would change that.

A power law can be drawn through any few points; most ladders do not determine its exponent. Each check below has a
name, says what failed with its numbers, and names the run that would cure it. One failed check, and no exponent is
claimed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc, stdtrit

from scaling_lab.laws import wording
from scaling_lab.laws.leave_out import LeftOut
from scaling_lab.laws.projection import ALPHA_GRID
from scaling_lab.laws.region import N_PARAMETERS, ROUNDING, Interval
from scaling_lab.laws.sizes import Sizes

FEWEST_SIZES = 4
# Of a size, among which losses that agree are looked at.
MOST_SEEDS = 10
USUAL_SIZES = 5

# c below this share of the smallest loss is 0 but for rounding.
NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Reason:
    """Why no exponent is claimed. name: of the check. detail: what failed. cure: which run would mend it."""

    name: str
    detail: str
    cure: str


def refusal(what: str, n_points: int, reason: Reason, of: str = "run") -> str:
    """Why `what`, an exponent say, is not claimed from so many runs (or `of` another kind), and what would make one."""
    runs = {0: f"no {of}s", 1: f"this {of}"}.get(n_points, f"these {n_points} {of}s")
    # A letter that stands for a number, as R* or N, stays as it is.
    is_word = reason.detail[1:2].islower() or reason.detail.startswith("A ")
    why = (reason.detail[0].lower() if is_word else reason.detail[0]) + reason.detail[1:]
    return f"No {what} can be claimed from {runs}: {why} {reason.cure}"


@dataclass(frozen=True)
class Evidence:
    """What a verdict is given on. Intervals are NaN throughout when there are too few sizes for a fit.

    confidence: of the intervals and of the tests. rss: of the sizes' means about the curve.
    """

    sizes: Sizes
    confidence: float
    rss: float
    alpha: Interval
    c: Interval
    jackknife: tuple[LeftOut, ...]


def judge(evidence: Evidence) -> tuple[Reason, ...]:
    """Every reason not to claim an exponent, the weightiest first; none when the law is identified."""
    checks: tuple[Callable[[Evidence], Reason | None], ...] = (
        _few_sizes,
        _copies,
        _not_monotone,
        _lack_of_fit,
        _alpha_unbounded,
        _c_reaches_zero,
        _jackknife,
    )
    return tuple(reason for check in checks if (reason := check(evidence)))


def _few_sizes(evidence: Evidence) -> Reason | None:
    sizes = evidence.sizes
    if sizes.n_sizes >= FEWEST_SIZES:
        return None
    detail = (
        f"Three parameters take at least {FEWEST_SIZES} sizes, so that one is left to contradict them, and here "
        f"{'is' if sizes.n_sizes == 1 else 'are'} {sizes.n_sizes or 'none'}."
    )
    if sizes.n_sizes == 0:
        return Reason("few-sizes", detail, f"Train {USUAL_SIZES} sizes, each about four times the one before.")
    return Reason("few-sizes", detail, _more_sizes(sizes, USUAL_SIZES - sizes.n_sizes))


def _more_sizes(sizes: Sizes, n_missing: int) -> str:
    """Which sizes to train: down the ladder as far as models can be built, for they are cheapest, then up."""
    down = [n for step in range(1, n_missing + 1) if (n := sizes.smaller(step)) is not None]
    up = [float(sizes.n[-1] * sizes.step**step) for step in range(1, n_missing - len(down) + 1)]
    smaller, larger = (f"{sizes.symbol} = {wording.listed([*map(wording.size, n)])}" if n else "" for n in (down, up))
    train = f"Train {wording.counted(n_missing, 'more size')}"
    if not up:
        return f"{train}, the cheapest being near {smaller}."
    if not down:
        return f"{train} near {larger}; smaller ones can't be built."
    return f"{train}, the cheapest being near {smaller}, and as no smaller one can be built, near {larger}."


def _copies(evidence: Evidence) -> Reason | None:
    """Rows of a size that hold one loss; of very many seeds some do by chance, in as many digits as are given."""
    sizes = evidence.sizes
    # Where there is no noise there is none to hide.
    if not evidence.rss > sizes.n_points * ROUNDING**2:
        return None
    if not sizes.copies or 2 * sizes.copies < sizes.seeds_dof or sizes.n_points > MOST_SEEDS * sizes.n_sizes:
        return None
    repeat = "row repeats" if sizes.copies == 1 else "rows repeat"
    return Reason(
        "copied-rows",
        f"Of these, {sizes.copies} {repeat} another's size and loss to the last digit: copies, it seems, which are no "
        "seeds and hide the noise.",
        "Leave copies out, or give losses in more digits.",
    )


def _not_monotone(evidence: Evidence) -> Reason | None:
    """With one seed a size any rise counts; with more, one that a one-sided t-test tells from the seeds' noise."""
    sizes = evidence.sizes
    rise = np.diff(sizes.loss) / sizes.loss[:-1]
    noise = np.zeros_like(rise)
    if sizes.seeds_dof:
        standard_error = np.sqrt(sizes.seed_variance * (1 / sizes.seeds[:-1] + 1 / sizes.seeds[1:]))
        noise = standard_error * stdtrit(sizes.seeds_dof, evidence.confidence)
    at = int(np.argmax(rise - noise)) if rise.size else 0
    if not rise.size or rise[at] <= max(noise[at], ROUNDING):
        return None
    small, large = sizes.told(sizes.n[at]), sizes.told(sizes.n[at + 1])
    beyond = f", beyond the {wording.percent(noise[at])} that seeds explain" if sizes.seeds_dof else ""
    detail = f"The loss rises by {wording.percent(rise[at])} from {small} to {large}{beyond}."
    cure = f"Train {large} again with two more seeds, and tune its learning rate if it is still no better."
    return Reason("not-monotone", detail, cure)


def _lack_of_fit(evidence: Evidence) -> Reason | None:
    """F test of the means' residuals against the seeds' scatter, F(sizes − 3, runs − sizes)."""
    sizes, spare = evidence.sizes, evidence.sizes.n_sizes - N_PARAMETERS
    if spare < 1 or not sizes.seeds_dof or evidence.rss <= sizes.n_points * ROUNDING**2:
        return None
    # Seeds that differ by rounding only do not differ.
    alike = sizes.seed_variance <= ROUNDING**2
    ratio = np.inf if alike else evidence.rss / spare / sizes.seed_variance
    chance = 0.0 if alike else float(fdtrc(spare, sizes.seeds_dof, ratio))
    if chance >= 1 - evidence.confidence:
        return None
    times = "more than seeds, all alike, explain" if alike else f"{np.sqrt(ratio):.1f} times what seeds explain"
    detail = f"The curve misses the mean losses by {times} (p = {chance:.2g}): the sizes do not lie on one power law."
    cure = (
        "Tune the learning rate of each size and train the sizes again, for one rate for all bends the curve; "
        f"or leave out the smallest, {sizes.told(sizes.n[0])}, and add a larger."
    )
    return Reason("lack-of-fit", detail, cure)


def _alpha_unbounded(evidence: Evidence) -> Reason | None:
    alpha = evidence.alpha
    if evidence.sizes.n_sizes >= N_PARAMETERS and np.isnan(alpha.value):
        return Reason(
            "alpha-unbounded",
            f"The losses do not fall with {evidence.sizes.symbol} at all, so no alpha describes them.",
            "See that each loss is its own run's, then tune the learning rate of each size, or train on more data: "
            "one of these keeps the larger sizes from learning more.",
        )
    open_ends = []
    if alpha.low == 0:
        line = f"a straight line in ln {evidence.sizes.symbol}"
        open_ends.append(f"below (it reaches {ALPHA_GRID[0]:g}, where the law is {line})")
    if np.isinf(alpha.high):
        open_ends.append(f"above (it reaches {ALPHA_GRID[-1]:g}, where the law is a step)")
    if not open_ends:
        return None
    detail = f"The {wording.percent(evidence.confidence)} interval of alpha has no end {' and none '.join(open_ends)}."
    smaller = evidence.sizes.smaller()
    if smaller is None:
        cure = "Train every size again with two more seeds, which narrow alpha; a smaller size can't be built."
    else:
        cure = f"Train one smaller size near {evidence.sizes.told(smaller)}, the cheapest run that narrows alpha."
    return Reason("alpha-unbounded", detail, cure)


def _c_reaches_zero(evidence: Evidence) -> Reason | None:
    sizes, c = evidence.sizes, evidence.c
    if not sizes.n_sizes or not c.low <= NEGLIGIBLE * sizes.loss.min():
        return None
    detail = (
        f"The {wording.percent(evidence.confidence)} interval of c reaches 0 (fitted {c.value:.3g}): "
        "a floor of the loss is not told from none, and alpha depends on it."
    )
    cure = f"Train one larger size near {sizes.told(sizes.n[-1] * sizes.step)}, where the floor shows."
    return Reason("c-reaches-zero", detail, cure)


def _jackknife(evidence: Evidence) -> Reason | None:
    """Some sizes, left to themselves, rule out the alpha of all.

    Not merely a large move of alpha: in five sizes each end carries the exponent, so that leaving it out moves alpha by
    more than the standard error even when the law holds exactly.
    """
    against = [left_out for left_out in evidence.jackknife if left_out.contradicts]
    if not against:
        return None
    worst = max(against, key=lambda left: abs(left.alpha - evidence.alpha.value) if left.alpha > 0 else np.inf)
    n = evidence.sizes.told(worst.n)
    if worst.alpha > 0:
        without = f"the others give alpha {worst.alpha:.3f} and rule out {evidence.alpha.value:.3f}, that of all sizes"
    else:
        without = "the losses of the others do not fall"
    detail = f"Without {n} {without}: that one size carries the exponent."
    return Reason("jackknife", detail, f"Train {n} again with two more seeds.")
