"""Axes: where values lie on them, and ticks at numbers that people use."""

from dataclasses import dataclass
from math import ceil, floor, log10

from scaling_lab.localserver.page import formats

LARGEST = 1e150
# About this many ticks are easy to read; more run into each other on a phone.
_WANTED = 4
# Steps within a decade, for a span of so many decades at most.
_STEPS = ((0.8, (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)), (2, (1, 2, 5)), (3, (1, 3)), (float("inf"), (1,)))


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis from `low` to `high`."""

    low: float
    high: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, from 0 at the low end to 1 at the high one."""
        if self.logarithmic:
            return log10(value / self.low) / log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Round numbers on the axis, as shares and as words."""
        values = _log_ticks(self.low, self.high) if self.logarithmic else _even_ticks(self.low, self.high)
        words = _words(values)
        return [(self.share(value), word) for value, word in zip(values, words, strict=True)]


def drawable(value: object, *, logarithmic: bool = False) -> bool:
    """Whether an axis can show a value; those beyond any measurement are left out, as infinities are."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        return False
    return value >= 1 / LARGEST if logarithmic else True


def axis_over(values: list[float], *, logarithmic: bool = False, from_zero: bool = False) -> Axis:
    """An axis that holds all of the values, drawable ones, with a little room."""
    low, high = min(values), max(values)
    if logarithmic:
        room = max((high / low) ** 0.05, 1.01)
        return Axis(low / room, high * room, logarithmic=True)
    if from_zero and low >= 0:
        return Axis(0.0, high or 1.0)
    # One value alone gets a tenth of itself on each side.
    room = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    return Axis(low - room, high + room)


def _log_ticks(low: float, high: float) -> list[float]:
    decades = log10(high / low)
    if decades < 0.35:
        return _even_ticks(low, high)
    steps = next(steps for most, steps in _STEPS if decades <= most)
    every = max(1, round(decades / _WANTED))
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    # Through a decimal literal: 3 * 10**-4 is 0.00030000000000000003.
    ticks = [float(f"{step}e{power}") for power in powers if power % every == 0 for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def _even_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / _WANTED
    power = floor(log10(rough))
    factor = min((1, 2, 5, 10), key=lambda factor: abs(log10(factor * 10.0**power / rough)))
    width = float(f"{factor}e{power}")
    return [round(width * place, 12 - power) for place in range(ceil(low / width), floor(high / width) + 1)]


def _words(values: list[float]) -> list[str]:
    """With the same decimals where that is short: 1.8, 2.0; 10K, 20K."""
    if values and max(map(abs, values)) < 1000 and min(map(abs, filter(None, values)), default=1) >= 1e-3:
        places = max(len(f"{abs(value):.6g}".partition(".")[2]) for value in values)
        return [f"{value:.{places}f}" for value in values]
    return [_word(value) for value in values]


def _word(value: float) -> str:
    if abs(value) >= 1000:
        return ("−" if value < 0 else "") + formats.count(abs(value))
    return f"{value:.6g}".replace("e-0", "e-")
