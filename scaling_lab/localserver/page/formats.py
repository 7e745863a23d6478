"""Numbers, names and moments as people read them."""

import math
import re
import time
import unicodedata
from datetime import UTC, datetime
from typing import Any

ABSENT = "–"
LONGEST_TEXT = 300

_SCALES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")
_TERMINAL_CODES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")


def plain(text: object, longest: int = LONGEST_TEXT) -> str:
    """Text from outside, cut, with what can't be seen spelled out: a right-to-left override as \\u202e."""
    cut = str(text)
    cut = cut if len(cut) <= longest else cut[: longest - 1] + "…"
    return "".join(
        f"\\u{ord(sign):04x}" if sign in _DIRECTION_MARKS or unicodedata.category(sign) in ("Cc", "Cs") else sign
        for sign in cut
    )


def console(line: str) -> str:
    """A line of console output without colours; of what was written over itself, the last."""
    bare = _TERMINAL_CODES.sub("", line).rstrip("\r\n").rpartition("\r")[2]
    return plain(bare.replace("\t", "    "), 2000)


def lines(text: str, longest: int) -> str:
    """Text of several lines."""
    return "\n".join(plain(line, longest) for line in text[:longest].splitlines())


def number(value: Any) -> str:
    """A measurement, to five digits: 2.3016, 1.2e-05, 12,384."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ABSENT if value is None else plain(value)
    if isinstance(value, int) and abs(value) < 10**15:
        return f"{value:,}"
    try:
        value = float(value)
    except OverflowError:
        return plain(value, 24)
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "NaN")
    if 1000 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.5g}".replace("e-0", "e-").replace("e+", "e")


def count(value: float) -> str:
    """15008 as 15K, 1.2e9 as 1.2B, three digits."""
    for scale, suffix in _SCALES:
        # 999.6 thousand is a million to three digits.
        if 0.9995 * scale <= value < 1e15:
            return f"{value / scale:.3g}{suffix}"
    return f"{value:.3g}".replace("e+", "e")


def size_in_bytes(value: float) -> str:
    """1.5 MB; with 1 kB of 1000 bytes."""
    for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.0f} bytes"


def duration(seconds: float) -> str:
    """8 s, 2 min 5 s, 3 h 20 min, 4 d 2 h."""
    seconds = max(0, round(seconds))
    for unit, name, smaller, smaller_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= unit:
            rest = seconds % unit // smaller
            return f"{seconds // unit} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{seconds} s"


def seconds_of(moment: str) -> float:
    """A moment as the store writes it, in seconds since 1970."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return 0.0


def iso(seconds: float) -> str:
    """A moment to the second, as a time element has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(seconds: float) -> str:
    """How long ago a moment was, in one unit: just now, 5 min ago, 3 days ago."""
    passed = time.time() - seconds
    for unit, name in ((86400, "day"), (3600, "h"), (60, "min")):
        if passed >= unit:
            whole = int(passed // unit)
            return f"{whole} {name}{'s' if name == 'day' and whole > 1 else ''} ago"
    return "just now"


def counted(amount: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"
