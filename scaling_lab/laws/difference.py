"""Do two studies have different exponents? The difference of their alphas, with an interval, or a refusal.

    alpha_difference(fit_power_law(n, loss), fit_power_law(other_n, other_loss), names=("LSTM", "transformer"))

`scaling-lab report --compare` reaches it. That two intervals overlap is no answer: two alphas each known to ±0.05 may
well differ by 0.08 beyond doubt.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import hypot, inf, isfinite, nan
from typing import Any

from scaling_lab.errors import UsageError
from scaling_lab.laws import wording
from scaling_lab.laws.json_ready import json_ready
from scaling_lab.laws.power_law import PowerLawFit
from scaling_lab.laws.region import Interval
from scaling_lab.laws.verdict import Reason

TOLD_APART, NOT_TOLD_APART, REFUSED = "told apart", "not told apart", "refused"


@dataclass(frozen=True)
class AlphaDifference:
    """alpha of one study less that of the other; without a unit.

    Attributes:
        names: what the two studies are called.
        alphas: both exponents, each with its own interval at `confidence`.
        interval: the difference. An end is infinite where an alpha's own end is not set by the data; all of it is NaN
            where an alpha has no value.
        confidence: of the interval, or, where it is one of several comparisons, of all of their intervals together.
        comparisons: how many there are. The interval alone is then at 1 − (1 − confidence) / comparisons (Bonferroni).
        reasons: why no difference is claimed either way; none where both laws are identified.
    """

    names: tuple[str, str]
    alphas: tuple[Interval, Interval]
    interval: Interval
    confidence: float
    comparisons: int
    reasons: tuple[Reason, ...]

    @property
    def verdict(self) -> str:
        """TOLD_APART, NOT_TOLD_APART or REFUSED. Not told apart is not the same: the interval says what is possible."""
        if self.reasons:
            return REFUSED
        return TOLD_APART if self.interval.low > 0 or self.interval.high < 0 else NOT_TOLD_APART

    @property
    def larger(self) -> str | None:
        """Whose exponent is larger; None unless they are told apart."""
        if self.verdict != TOLD_APART:
            return None
        return self.names[0] if self.interval.value > 0 else self.names[1]

    def sentence(self) -> str:
        """The answer for people."""
        one, other = self.names
        if self.reasons:
            detail = self.reasons[0].detail
            return f"No difference in alpha is claimed between {one} and {other}: {detail[0].lower()}{detail[1:]}"
        if self.interval.value < 0:
            return self.reversed().sentence()
        alphas = [f"{alpha.value:.{self._decimals}f}" for alpha in self.alphas]
        if self.larger:
            return (
                f"The exponent of {one} is larger than that of {other}: alpha {alphas[0]} against {alphas[1]}, a "
                f"difference of {self._told_with_confidence()}."
            )
        return (
            f"The exponents of {one} and {other} are not told apart: alpha {alphas[0]} and {alphas[1]}, a difference "
            f"of {self._told_with_confidence()}. They may be the same, or differ by anything in that interval."
        )

    def told(self) -> str:
        """The difference and its interval: 0.14 (0.05 to 0.23)."""
        value, ends = self._numbers()
        return f"{value} ({ends})"

    def reversed(self) -> "AlphaDifference":
        """The other study's less this one's."""
        (one, other), (alpha, other_alpha), found = self.names, self.alphas, self.interval
        interval = Interval(-found.value, -found.high, -found.low)
        return replace(self, names=(other, one), alphas=(other_alpha, alpha), interval=interval)

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON. A number that does not exist or has no bound is null."""
        return json_ready(
            {
                "one": self.names[0],
                "other": self.names[1],
                "sentence": self.sentence(),
                "verdict": self.verdict,
                "larger": self.larger,
                "reasons": [asdict(reason) for reason in self.reasons],
                "difference": asdict(self.interval),
                "alpha_of_one": asdict(self.alphas[0]),
                "alpha_of_other": asdict(self.alphas[1]),
                "confidence": self.confidence,
                "comparisons": self.comparisons,
            }
        )

    def _told_with_confidence(self) -> str:
        value, ends = self._numbers()
        return f"{value} ({confidence_in_words(self.confidence, self.comparisons)} {ends})"

    def _numbers(self) -> tuple[str, str]:
        value, low, high = (self._number(number) for number in asdict(self.interval).values())
        return value, f"{low} to {high}"

    @property
    def _decimals(self) -> int:
        """As many as show two digits of the interval's width."""
        return len(wording.with_range(*asdict(self.interval).values())[0].partition(".")[2])

    def _number(self, number: float) -> str:
        return f"{number:.{self._decimals}f}" if isfinite(number) else f"{'-' if number < 0 else ''}∞"


def alpha_difference(
    one: PowerLawFit,
    other: PowerLawFit,
    *,
    names: tuple[str, str] = ("the first study", "the second study"),
    comparisons: int = 1,
    confidence: float = 0.95,
) -> AlphaDifference:
    """Difference of the exponents of two independent studies, one less other; refused unless both are identified.

    names: what to call them. comparisons: how many such differences are looked at together; each interval is then
    wider, so that all of them hold at `confidence` (Bonferroni). Whether a law is identified is its own fit's verdict.

    The interval is `mover`'s, of both alphas' profile intervals.

    Raises UsageError for fewer comparisons than one, or a confidence that is not between 0 and 1.
    """
    if comparisons < 1:
        raise UsageError(f"comparisons is {comparisons}; give how many differences are looked at together, 1 or more")
    each = 1 - (1 - confidence) / comparisons
    alphas = one.at(each).alpha, other.at(each).alpha
    reasons = (*_why_not(one, names[0]), *_why_not(other, names[1]))
    return AlphaDifference(names, alphas, mover(*alphas), confidence, comparisons, reasons)


def mover(one: Interval, other: Interval) -> Interval:
    """Interval of one less other, of two independent estimates, from their own intervals at the same confidence.

    MOVER, the method of variance estimates recovery: Zou and Donner, "Construction of confidence limits about effect
    measures: a general approach", Statistics in Medicine 27(10), 2008, the limits for a difference:

        low  = d − sqrt((one.value − one.low)²  + (other.high − other.value)²),  d = one.value − other.value
        high = d + sqrt((one.high − one.value)² + (other.value − other.low)²)

    Why: the lower limit is where the difference is least, so one is near its own lower limit, and other near its upper.
    Were the estimates normal, one.low would be one.value − z·sqrt(v), so that z²·v = (one.value − one.low)² there, and
    likewise for other; variances of independent estimates add, and z² times their sum is under the root. No limit has
    to be symmetric, which those of alpha are not.

    Student's quantile of each estimate stands in its limits. With few degrees of freedom the interval then holds the
    difference more often than it says: for normal estimates that much is proved (Banerjee, Sankhya 22, 1960).

    An end that the data don't set, 0 or infinite, leaves the difference without the end that rests on it.
    """
    value = one.value - other.value
    below, above = _reach(one), _reach(other)
    if value != value:
        return Interval(nan, nan, nan)
    return Interval(value, value - hypot(below[0], above[1]), value + hypot(below[1], above[0]))


def confidence_in_words(confidence: float, comparisons: int) -> str:
    """What an interval of a difference holds: "95 % interval", or all of several together."""
    together = f" for all {comparisons} pairs together" if comparisons > 1 else ""
    return f"{wording.percent(confidence)} interval{together}"


def _reach(alpha: Interval) -> tuple[float, float]:
    """How far down and up from its value an exponent may be. It is above 0 by the law's form, not by any data."""
    return alpha.value - alpha.low if alpha.low > 0 else inf, alpha.high - alpha.value


def _why_not(law: PowerLawFit, name: str) -> Sequence[Reason]:
    return [
        Reason(reason.name, f"The law of {name} is not identified. {reason.detail}", reason.cure)
        for reason in law.reasons
    ]
