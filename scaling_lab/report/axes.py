"""Axes whose ticks are numbers that people use, over a hundredth of a decade as over ten."""

from math import ceil, floor, log10
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scaling_lab.report import formats

# About this many ticks are easy to read; more run into each other on a phone.
_WANTED_TICKS = 5
# An axis ends beyond its values; past these its ends are no floats.
_LEAST, _MOST = 1e-300, 1e300
# Steps within a decade, for a span of so many decades at most.
_STEPS = ((0.8, (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)), (2, (1, 2, 5)), (3, (1, 3)), (float("inf"), (1,)))


def log_axis(title: str, values: ArrayLike, *, padding: float = 0.04) -> dict[str, Any]:
    """A plotly log axis over the positive ones of `values`, with `padding` of its length free at both ends.

    What is nearly as large or as small as a float can be is left out: it is no measurement, and an axis beyond it none.
    """
    positive = _finite(values)
    positive = positive[positive >= _LEAST]
    if not positive.size:
        return {"title_text": title, "type": "log"}
    low, high = log10(float(positive.min())), log10(float(positive.max()))
    # A single value gets a tenth of a decade on each side.
    room = padding * (high - low) or 0.1
    low, high = low - room, high + room
    return {"title_text": title, "type": "log", "range": [low, high], **_shown(log_ticks(10**low, 10**high))}


def axis_from_zero(title: str, values: ArrayLike) -> dict[str, Any]:
    """A plotly linear axis from 0 to a little beyond the largest of `values`."""
    highest = float(_finite(values).max(initial=0))
    if highest <= 0:
        return {"title_text": title}
    high = 1.02 * highest
    return {"title_text": title, "range": [0, high], **_shown(_even_ticks(0, high))}


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high (both positive): even steps, or steps of a decade, as the span asks."""
    decades = log10(high / low)
    if decades < 0.35:
        return _even_ticks(low, high)
    steps = next(steps for most, steps in _STEPS if decades <= most)
    every = max(1, round(decades / _WANTED_TICKS))
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    # Through a decimal literal: 3 * 10**-4 is 0.00030000000000000003.
    ticks = [float(f"{step}e{power}") for power in powers if power % every == 0 for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def _even_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / _WANTED_TICKS
    power = floor(log10(rough))
    factor = next(factor for factor in (1, 2, 5, 10) if factor * 10.0**power >= rough * 0.999)
    width = float(f"{factor}e{power}")
    return [round(width * k, 12 - power) for k in range(ceil(low / width), floor(high / width) + 1)]


def _shown(ticks: list[float]) -> dict[str, Any]:
    return {"tickvals": ticks, "ticktext": formats.ticks(ticks)}


def _finite(values: ArrayLike) -> np.ndarray:
    flat = np.asarray(values, dtype=np.float64).ravel()
    return flat[np.abs(flat) <= _MOST]
