"""Logarithmic axes whose ticks are numbers that people use, over a hundredth of a decade as over ten."""

from math import ceil, floor, log10
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scaling_lab.report import formats

# About this many ticks are easy to read; more run into each other on a phone.
_WANTED_TICKS = 5


def log_axis(title: str, values: ArrayLike, *, padding: float = 0.04) -> dict[str, Any]:
    """A plotly log axis over the positive ones of `values`, with `padding` of its length free at both ends."""
    positive = np.asarray(values, dtype=np.float64).ravel()
    positive = positive[np.isfinite(positive) & (positive > 0)]
    if not positive.size:
        return {"title_text": title, "type": "log"}
    low, high = log10(float(positive.min())), log10(float(positive.max()))
    # A single value gets a tenth of a decade on each side.
    room = padding * (high - low) or 0.1
    low, high = low - room, high + room
    ticks = log_ticks(10**low, 10**high)
    return {
        "title_text": title,
        "type": "log",
        "range": [low, high],
        "tickvals": ticks,
        "ticktext": [formats.tick(tick) for tick in ticks],
    }


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high (both positive): powers of ten, 1-2-5, or even steps, as the span asks."""
    decades = log10(high / low)
    if decades < 0.8:
        return _even_ticks(low, high)
    every = max(1, round(decades / _WANTED_TICKS))
    steps = (1, 2, 5) if decades < 2 else (1, 3) if decades < 3 else (1,)
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    # Through a decimal literal: 3 * 10**-4 is 0.00030000000000000003.
    ticks = [float(f"{step}e{power}") for power in powers if power % every == 0 for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def _even_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / _WANTED_TICKS
    power = floor(log10(rough))
    step = next(factor for factor in (1, 2, 5, 10) if factor * 10.0**power >= rough * 0.999)
    width = float(f"{step}e{power}")
    return [round(width * k, 12 - power) for k in range(ceil(low / width), floor(high / width) + 1)]
