"""Repeats unfolded: the bars of a tune in the order in which they are played."""

from collections.abc import Callable
from typing import Protocol, TypeVar


class RepeatedBar(Protocol):
    """What is to be known of a bar: the bar lines around it, and the number of the ending that begins with it."""

    opened_by: str
    closed_by: str
    ending: str


B = TypeVar("B", bound=RepeatedBar)


def unfolded(bars: list[B]) -> list[B]:
    """The bars in the order in which they are played: each repeat twice, or as often as it has endings."""
    played: list[B] = []
    begin = 0
    while begin < len(bars):
        end = _end(bars, begin, lambda bar: bar.closed_by.startswith(":"))
        section = bars[begin:end]
        played += section
        begin = end
        if not section[-1].closed_by.startswith(":"):
            continue
        shared = next((place for place, bar in enumerate(section) if bar.ending), len(section))
        if shared == len(section) or begin == len(bars) or not bars[begin].ending:
            played += section[:shared]
            continue
        # Second and later endings follow the repeat sign, each after the part that all endings share.
        while begin < len(bars) and bars[begin].ending:
            end = _end(bars, begin, _closes_ending)
            played += section[:shared] + bars[begin:end]
            begin = end
    return played


def _end(bars: list[B], begin: int, closes: Callable[[B], bool]) -> int:
    """Where the section from `begin` ends: behind the bar that closes it, or before a bar that begins a repeat."""
    end = begin + 1
    while end < len(bars) and not closes(bars[end - 1]) and not bars[end].opened_by.endswith(":"):
        end += 1
    return end


def _closes_ending(bar: RepeatedBar) -> bool:
    return bar.closed_by.startswith(":") or bar.closed_by in ("||", "|]")
