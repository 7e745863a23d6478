"""Numbers and names as people read them. The full value stays beside each, in a cell's data-value."""

import html
import unicodedata
from math import isfinite, isinf, isnan

ABSENT = "–"

_SCALES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))
# Control characters, marks that turn the direction of text, and half of a surrogate pair, which no file can hold.
_UNSEEN = ("Cc", "Cs")
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


def plain(text: str) -> str:
    """Text from outside with what can't be seen spelled out: a right-to-left override becomes the characters \\u202e."""
    return "".join(
        f"\\u{ord(character):04x}"
        if character in _DIRECTION_MARKS or unicodedata.category(character) in _UNSEEN
        else character
        for character in text
    )


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


def tick(number: float) -> str:
    """A tick's number with every digit it has: 20K, 2.25, 3e-4, 1e15."""
    if number >= 1e15:
        return f"{number:.0e}".replace("e+", "e")
    for scale, suffix in _SCALES:
        if number >= scale:
            return f"{number / scale:.10g}{suffix}"
    return f"{number:.10g}" if number >= 1e-3 else f"{number:.0e}".replace("e-0", "e-")


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
    return "∞" if isinf(number) else f"{number:.{digits}g}".replace("e+0", "e").replace("e+", "e")


def interval(low: float, high: float, digits: int = 3) -> str:
    """0.22 to 0.34; – where there is no interval."""
    if isnan(low) or isnan(high):
        return ABSENT
    return f"{significant(low, digits)} to {significant(high, digits)}"


def listed(words: list[str]) -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ABSENT


def counted(number: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
