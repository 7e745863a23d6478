"""The best size for each amount of compute, N(C) = scale·C^exponent: what both ways to find it say in the same words.

`isoflop` reads it off final losses at a few budgets, `envelope` off whole curves.
"""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from scaling_lab.laws import wording
from scaling_lab.laws.json_ready import json_ready
from scaling_lab.laws.region import Interval
from scaling_lab.laws.verdict import Reason, refusal


@dataclass(frozen=True)
class BestSize:
    """The best number of parameters for c FLOPs, with its confidence interval; NaN where there was no fit."""

    c: float
    n: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class BestSizeFit(ABC):
    """N(C) = scale·C^exponent, N in parameters and C in FLOPs. n_points: rows that it was given, each a `row`."""

    row: ClassVar[str]
    exponent: Interval
    scale: Interval
    confidence: float
    reasons: tuple[Reason, ...]
    n_points: int

    @property
    def verdict(self) -> str:
        """ "identified" or "not identified"; only the first may be extrapolated."""
        return "not identified" if self.reasons else "identified"

    @property
    @abstractmethod
    def fitted(self) -> bool:
        """Whether there is a line at all."""

    @property
    @abstractmethod
    def method(self) -> str:
        """How it was found, for people."""

    @property
    @abstractmethod
    def used(self) -> str:
        """What the line rests on, for people."""

    @abstractmethod
    def evidence(self) -> dict[str, Any]:
        """What it was read off, and what its intervals do not cover, for JSON."""

    @abstractmethod
    def predict(self, c: float) -> BestSize:
        """The best size for c FLOPs."""

    def sentence(self) -> str:
        """The law for people, or why there is none and what would make one."""
        if self.reasons:
            return refusal("law of the best size", self.n_points, self.reasons[0], of=self.row)
        exponent, low, high = wording.with_range(self.exponent.value, self.exponent.low, self.exponent.high)
        return (
            f"The best size rises as N(C) = {self.scale.value:.3g}·C^{exponent}, {wording.percent(self.confidence)} "
            f"interval of the exponent {low} to {high} ({self.used})."
        )

    def to_dict(self, predict_at: ArrayLike = ()) -> dict[str, Any]:
        """Everything, ready for JSON, with the best size for each c of predict_at."""
        places = np.asarray(predict_at, dtype=np.float64).ravel().tolist()
        return json_ready(
            {
                "form": "N(C) = scale*C^exponent",
                "sentence": self.sentence(),
                "verdict": self.verdict,
                "reasons": [asdict(reason) for reason in self.reasons],
                "exponent": asdict(self.exponent),
                "scale": asdict(self.scale),
                "confidence": self.confidence,
                "predictions": [asdict(self.predict(c)) for c in places],
                "n_points": self.n_points,
                "method": self.method,
                **self.evidence(),
            }
        )


def exponent_reaches_zero(exponent: Interval, confidence: float, of: str, cure: str) -> tuple[Reason, ...]:
    """The reason not to say that the best size rises, where there is one; `of` what it was read off. Not for NaN."""
    if not exponent.low <= 0:
        return ()
    return (
        Reason(
            "exponent-reaches-zero",
            f"The {wording.percent(confidence)} interval of the exponent, {exponent.low:.3g} to {exponent.high:.3g}, "
            f"is not all above 0: these {of} don't show that the best size rises with compute.",
            cure,
        ),
    )
