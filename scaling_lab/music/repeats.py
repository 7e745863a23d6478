"""Repeats unfolded: the bars of a tune in the order in which they are played."""

from collections.abc import Sequence
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
        end = begin
        while end < len(bars) and not bars[end].closed_by.startswith(":") and not _begins(bars, end + 1):
            end += 1
        end = min(end + 1, len(bars))
        section = bars[begin:end]
        if not section[-1].closed_by.startswith(":"):
            played += section
            begin = end
            continue
        first = next((place for place, bar in enumerate(section) if bar.ending), len(section))
        played += section
        # Second and later endings follow the repeat sign, each after the part that all endings share.
        others = 0
        while end < len(bars) and bars[end].ending and first < len(section):
            begin = end
            end += 1
            while end < len(bars) and not bars[end].ending and not _ends(bars[end - 1]) and not _begins(bars, end):
                end += 1
            played += section[:first] + bars[begin:end]
            others += 1
        if not others:
            played += section[:first] if first < len(section) else section
        begin = end
    return played


def _begins(bars: Sequence[B], place: int) -> bool:
    return place < len(bars) and bars[place].opened_by.endswith(":")


def _ends(bar: RepeatedBar) -> bool:
    return bar.closed_by.startswith(":") or bar.closed_by in ("||", "|]")
