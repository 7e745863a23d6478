"""How the best learning rate falls with size: a parabola finds each size's best, a line through logarithms the law.

A best rate counts only between two worse ones: at an end of those tried the true one may lie anywhere beyond. Around an
inner minimum the loss is close to a parabola in the logarithm of the rate, and its vertex is the estimate. The law is
rate = b·N^-beta, fitted by least squares to the logarithms, as in Bjorck et al. (2409.19913), who found beta near 0.3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scaling_lab.laws.wording import size

# Two sizes always agree; the third can contradict.
FEWEST_SIZES = 3
# Rates on both sides of the best.
FEWEST_RATES = 3


@dataclass(frozen=True)
class BestRate:
    """Of one size: the rates tried and the loss of each (nats a token), ascending in rate, and what they say.

    Attributes:
        n: parameters.
        best: the vertex; None where `problem` says why there is none.
    """

    name: str
    n: float
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    best: float | None
    problem: str | None


@dataclass(frozen=True)
class RateLaw:
    """rate = scale·N^-exponent; beside it the exponents that are found when each size in turn is left out."""

    scale: float
    exponent: float
    exponents_without_one: tuple[float, ...]

    def rate(self, n: float) -> float:
        """The best learning rate at N parameters, by this law."""
        return self.scale * n**-self.exponent

    def sentence(self) -> str:
        """The law, for people."""
        low, high = min(self.exponents_without_one), max(self.exponents_without_one)
        return (
            f"Best learning rate = {self.scale:.3g}·N^-{self.exponent:.2f} "
            f"(with one size left out, the exponent is {low:.2f} to {high:.2f})."
        )


def best_rate(name: str, n: float, losses: Mapping[float, float]) -> BestRate:
    """The best rate of one size out of the loss at each rate tried; one that is not finite is worse than any other."""
    rates = sorted(losses)
    values = [losses[rate] if np.isfinite(losses[rate]) else np.inf for rate in rates]
    place = int(np.argmin(values))
    best, problem = None, None
    if len(rates) < FEWEST_RATES:
        problem = (
            f"{len(rates)} of {FEWEST_RATES} rates that are the least; train it at others, each twice the one before"
        )
    elif place == 0:
        problem = f"the lowest rate tried, {rates[0]:g}, is the best: the true one may be lower; try {rates[0] / 2:g}"
    elif place == len(rates) - 1:
        problem = (
            f"the highest rate tried, {rates[-1]:g}, is the best: the true one may be higher; try {rates[-1] * 2:g}"
        )
    else:
        best = _vertex(rates[place - 1 : place + 2], values[place - 1 : place + 2])
    return BestRate(name, n, tuple(rates), tuple(values), best, problem)


def fit_rate_law(found: Sequence[BestRate]) -> RateLaw | None:
    """The law through the sizes whose best lies inside; None where these are fewer than three."""
    inside = [each for each in found if each.best is not None]
    if len({each.n for each in inside}) < FEWEST_SIZES:
        return None
    log_n = np.log([each.n for each in inside])
    log_rate = np.log([each.best or np.nan for each in inside])
    slope, height = np.polyfit(log_n, log_rate, 1)
    without = [
        float(np.polyfit(np.delete(log_n, place), np.delete(log_rate, place), 1)[0]) for place in range(len(inside))
    ]
    return RateLaw(float(np.exp(height)), -float(slope), tuple(-exponent for exponent in without))


def refusal(found: Sequence[BestRate]) -> str:
    """Why there is no law, for people."""
    inside = sum(each.best is not None for each in found)
    return (
        f"No law of learning rates can be claimed: {inside} of the {FEWEST_SIZES} sizes that are the least have their "
        "best rate between two worse ones."
    )


def told(each: BestRate) -> str:
    """A size and its best rate, or what is wrong with those tried."""
    return f"{each.name} (N = {size(each.n)}): {each.problem or f'best near {each.best:.3g}'}"


def _vertex(rates: Sequence[float], losses: Sequence[float]) -> float:
    """Where the parabola through three points, the middle one lowest, is lowest; log of rate against loss."""
    if not np.isfinite(losses).all():  # beside a run that diverged there is no parabola
        return rates[1]
    curvature, slope, _ = np.polyfit(np.log(rates), losses, 2)
    return float(np.exp(-slope / (2 * curvature))) if curvature > 0 else rates[1]
