"""Figures as SVG: everything about one is settled here, and the template writes it down.

A figure is as wide as its place and as high as it says. Curves live in a square of their own that is stretched, with
strokes that aren't; words stand at shares of the width. So text keeps its size on a phone, with no script and no style
that the page's policy would have to allow.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from scaling_lab.localserver.page import formats
from scaling_lab.localserver.page.curves import TOKENS, Points
from scaling_lab.localserver.page.ticks import Axis, axis_over, drawable

SIZES = ("tiny", "small", "medium", "large", "xl")
N_HUES, N_DASHES = len(SIZES), 3
WIDTH = 1000
LABEL_PIXELS = 16
# Curves that end beyond this share of the width have their labels in the margin.
EDGE = 0.9
MOST_NAMED = 12


@dataclass(frozen=True)
class Curve:
    """What is to be drawn of one run: `line` joined up, `dots` each by itself."""

    name: str
    size: str = ""
    address: str = ""
    line: Points = field(default_factory=list)
    dots: Points = field(default_factory=list)


@dataclass(frozen=True)
class Drawn:
    """A curve as SVG paths, and which colour and dashes it has."""

    name: str
    label: str
    address: str
    hue: int
    dash: int
    path: str
    dots: str


@dataclass(frozen=True)
class Figure:
    """All that a figure shows. Shares are of its width, in percent; pixels are counted from its upper edge."""

    title: str
    description: str
    height: int
    x_title: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    curves: list[Drawn]
    labels: list[tuple[float, float, str, int]]
    legend: bool
    width: int = WIDTH
    most_named: int = MOST_NAMED


def draw(
    title: str, axis: str, curves: Sequence[Curve], *, height: int, logarithmic: bool = False, named: bool = True
) -> Figure | None:
    """A figure of the curves, or None where there is no point to draw. `named`: it says which curve is whose."""
    kept = [(curve, _kept(curve.line, logarithmic), _kept(curve.dots, logarithmic)) for curve in curves]
    shown = [Curve(curve.name, curve.size, curve.address, line, dots) for curve, line, dots in kept]
    shown = [curve for curve in shown if _numbers(curve)]
    if not shown:
        return None
    x_axis = axis_over([x for curve in shown for x, _ in _numbers(curve)], from_zero=True)
    y_axis = axis_over([y for curve in shown for _, y in _numbers(curve)], logarithmic=logarithmic)
    by_size = named and all(curve.size in SIZES for curve in shown)
    return Figure(
        title=title,
        description=_described(shown, axis),
        height=height,
        x_title="tokens" if axis == TOKENS else "step",
        x_ticks=[(100 * share, text) for share, text in x_axis.ticks()],
        y_ticks=[(height * (1 - share), text) for share, text in y_axis.ticks()],
        curves=[_drawn(curve, place, x_axis, y_axis, height) for place, curve in enumerate(shown)],
        labels=_end_labels(shown, x_axis, y_axis, height) if by_size else [],
        legend=named and not by_size,
    )


def _kept(points: Points, logarithmic: bool) -> Points:
    """The points whose x can be shown; a y that can't be leaves a gap."""
    return [(x, y if drawable(y, logarithmic=logarithmic) else None) for x, y in points if drawable(x)]


def _numbers(curve: Curve) -> list[tuple[float, float]]:
    return [(x, y) for x, y in (*curve.line, *curve.dots) if y is not None]


def _drawn(curve: Curve, place: int, x_axis: Axis, y_axis: Axis, height: int) -> Drawn:
    def at(x: float, y: float) -> str:
        return f"{WIDTH * x_axis.share(x):.1f} {height * (1 - y_axis.share(y)):.1f}"

    pieces, joined = [], False
    for x, y in curve.line:
        if y is not None:
            pieces.append(f"{'L' if joined else 'M'}{at(x, y)}")
        joined = y is not None
    # A stroke of no length with round ends is a dot, and stays round in a square that is stretched.
    dots = "".join(f"M{at(x, y)}h0" for x, y in curve.dots if y is not None)
    hue, dash = (SIZES.index(curve.size), 0) if curve.size in SIZES else (place % N_HUES, place // N_HUES % N_DASHES)
    return Drawn(curve.name, _told(curve), curve.address, hue, dash, "".join(pieces), dots)


def _end_labels(
    curves: Iterable[Curve], x_axis: Axis, y_axis: Axis, height: int
) -> list[tuple[float, float, str, int]]:
    """Each size beside the last point of its longest curve; where several end at the edge, moved apart."""
    last: dict[str, tuple[float, float]] = {}
    for curve in curves:
        last[curve.size] = max(max(_numbers(curve)), last.get(curve.size, (0.0, 0.0)))
    ends = {size: (x_axis.share(x), height * (1 - y_axis.share(y))) for size, (x, y) in last.items()}
    at_edge = {size: pixels for size, (share, pixels) in ends.items() if share > EDGE}
    apart = _apart(at_edge, height)
    return [
        (100.0 if size in apart else 100 * share, apart.get(size, pixels), size, SIZES.index(size))
        for size, (share, pixels) in ends.items()
    ]


def _apart(wanted: dict[str, float], height: int) -> dict[str, float]:
    """Places near those wanted, none closer to the next than a line of text."""
    placed, lowest = [], float("-inf")
    for size, pixels in sorted(wanted.items(), key=lambda item: item[1]):
        lowest = max(pixels, lowest + LABEL_PIXELS)
        placed.append((size, lowest))
    # Pushed out at the bottom, all that touch move up together.
    highest, found = float(height), {}
    for size, pixels in reversed(placed):
        found[size] = min(pixels, highest)
        highest = found[size] - LABEL_PIXELS
    return found


def _described(curves: Sequence[Curve], axis: str) -> str:
    """The figure in words, for those who don't see it."""
    words = [f"{_told(curve)}." for curve in curves[:MOST_NAMED]]
    if len(curves) > MOST_NAMED:
        words.append(f"And {formats.counted(len(curves) - MOST_NAMED, 'more curve')}.")
    return f"By {'training tokens' if axis == TOKENS else 'step'}. {' '.join(words)}"


def _told(curve: Curve) -> str:
    numbers = _numbers(curve)
    x, y = max(numbers)
    return f"{curve.name}: {formats.number(min(numbers)[1])} at first, {formats.number(y)} at {formats.count(x)}"
