"""Numbers as people read them, for the sentences that fits and verdicts are told in."""

from math import floor, isinf, log10


def counted(number: int, noun: str) -> str:
    """1 size, 2 sizes."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(words: list[str]) -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def size(n: float) -> str:
    """850000 as 850K, 1.2e9 as 1.2B; below a thousand and from 1e15 as it is."""
    # 999.6 thousand is a million to three digits.
    for scale, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if 0.9995 * scale <= n < 0.9995e15:
            return f"{n / scale:.3g}{suffix}"
    return f"{n:.3g}"


def percent(share: float) -> str:
    """0.95 as 95 %."""
    return f"{100 * share:.3g} %"


def with_range(value: float, low: float, high: float) -> tuple[str, str, str]:
    """The three at one number of decimals: two, or as many more as show two digits of the range's width."""
    width = high - low
    decimals = 2 if isinf(width) else min(max(1 - floor(log10(width)), 2), 6) if width > 0 else 6
    return f"{value:.{decimals}f}", f"{low:.{decimals}f}", f"{high:.{decimals}f}"
