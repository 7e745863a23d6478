"""Numbers and names as people read them. The full value stays beside each, in a cell's data-value."""

import html
from math import floor, isfinite, isinf, isnan, log10

from scaling_lab.display import plain as plain

ABSENT = "–"

_SCALES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def in_figure(text: str) -> str:
    """Text from outside for a figure: plotly reads labels as HTML."""
    return html.escape(plain(text))


def count(number: float | None) -> str:
    """15008 as 15K, 1.2e9 as 1.2B, three digits; from a thousand trillions on as 3.2e18."""
    if number is None or isnan(number):
        return ABSENT
    if number >= 1e15:
        return f"{number:.3g}".replace("e+", "e")
    for scale, suffix in _SCALES:
        # 999.6 thousand is a million to three digits.
        if number >= 0.9995 * scale:
            return f"{number / scale:.3g}{suffix}"
    return f"{number:.3g}"


def ticks(numbers: list[float]) -> list[str]:
    """Labels for ticks, with every digit that they have, and the same decimals: 1.8, 2.0; 10K, 20K; 1e15."""
    if numbers and min(numbers) >= 1e-3 and max(numbers) < 1000:
        places = max(len(f"{number:.6g}".partition(".")[2]) for number in numbers)
        # Even steps share their decimals; over a decade or more, 1 is better than 1.00.
        if max(numbers) < 10 * min(numbers):
            return [f"{number:.{places}f}" for number in numbers]
    return [_tick(number) for number in numbers]


def _tick(number: float) -> str:
    if number >= 1e15:
        return f"{number:.0e}".replace("e+", "e")
    for scale, suffix in _SCALES:
        if number >= scale:
            return f"{number / scale:.10g}{suffix}"
    return f"{number:.10g}" if number >= 1e-3 or number == 0 else f"{number:.0e}".replace("e-0", "e-")


def whole(number: float | None) -> str:
    """12,384."""
    return ABSENT if number is None else f"{number:,.0f}"


def fixed(number: float | None, decimals: int) -> str:
    """2.3016."""
    return ABSENT if number is None or not isfinite(number) else f"{number:.{decimals}f}"


def percent(share: float | None, decimals: int = 1) -> str:
    """0.194 as 19.4 %."""
    return ABSENT if share is None or not isfinite(share) else f"{100 * share:.{decimals}f} %"


def duration(seconds: float | None) -> str:
    """7.7 s, 2 min 5 s, 3 h 20 min."""
    if seconds is None or not isfinite(seconds):
        return ABSENT
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def significant(number: float | None, digits: int = 3) -> str:
    """Three digits, ∞ for a bound that does not exist, – for no number."""
    if number is None or isnan(number):
        return ABSENT
    if isinf(number):
        return "∞" if number > 0 else "-∞"
    return f"{number:.{digits}g}".replace("e+0", "e").replace("e+", "e")


def estimate(value: float, low: float, high: float) -> tuple[str, str]:
    """A value and its interval, ("0.459", "0.445 to 0.472"), with the same decimals; – for NaN, ∞ for no end."""
    known = [abs(number) for number in (value, low, high) if isfinite(number) and number]
    if not known:
        return ABSENT, ABSENT if isnan(low) else f"{significant(low)} to {significant(high)}"
    if max(known) > 1000 * (abs(value) if isfinite(value) else max(known)):
        return significant(value), f"{significant(low)} to {significant(high)}"
    spread = high - low if isfinite(high - low) and high > low else max(known)
    # Two digits of the interval's width, as the law's own sentence has them, and at least three of a number over 1.
    decimals = min(max(1 - floor(log10(spread)), 2 - max(floor(log10(max(known))), 0), 0), 6)
    words = [fixed(number, decimals) if isfinite(number) else significant(number) for number in (value, low, high)]
    return words[0], ABSENT if isnan(low) or isnan(high) else f"{words[1]} to {words[2]}"


def listed(words: list[str]) -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ABSENT


def counted(number: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
