"""What the law rests on: how sharply the data choose alpha, what it becomes without a size, how far runs are off it."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from scaling_lab.history.runs import RunRecord
from scaling_lab.laws import Interval, PowerLawFit
from scaling_lab.report import axes, formats, theme

# Where an interval has no end, the figure does: past this an exponent of a loss has never been seen.
WIDEST_ALPHA = 1.6


def profile_figure(law: PowerLawFit) -> go.Figure:
    """How far the best curve misses the losses at each alpha; below the limit is the interval.

    A narrow valley is a well-determined exponent; a floor that runs off the figure is none.
    """
    low, high = _alpha_range(law)
    near = (law.profile.alphas >= low) & (law.profile.alphas <= high)
    alphas, miss = law.profile.alphas[near], _miss(law, law.profile.rss[near])
    limit = float(_miss(law, np.array([law.profile.threshold]))[0])
    shown = [*miss.tolist(), limit] if np.isfinite(limit) else miss.tolist()
    line = go.Scatter(
        x=alphas,
        y=miss,
        mode="lines",
        name="best curve at this alpha",
        line={"color": theme.INK, "width": 2, "shape": "spline"},
        hovertemplate="alpha %{x:.3f}<br>misses by %{y:.3g} %<extra></extra>",
    )
    x_axis = {"title_text": "alpha", "range": [low, high]}
    figure = theme.styled([line], x_axis, axes.log_axis("typical miss, % of the loss", shown))
    figure.update_layout(showlegend=False)
    _shade(figure, law.alpha, low, high)
    if np.isfinite(limit):
        figure.add_hline(limit, line={"color": theme.MUTED, "width": 1, "dash": "dash"})
        # Over the middle of the interval, where the curve is below the limit.
        middle = (max(law.alpha.low, low) + min(law.alpha.high, high)) / 2
        text = f"{formats.percent(law.confidence, 0)} limit"
        style = {"font": {"color": theme.MUTED, "size": 12}, "showarrow": False, "yanchor": "bottom"}
        figure.add_annotation(text=text, x=middle, y=float(np.log10(limit)), **style)
    return figure


def jackknife_figure(law: PowerLawFit, names: Mapping[float, str]) -> go.Figure:
    """Alpha of all sizes with its interval, and alpha without each size in turn. `names`: of sizes, by N."""
    low, high = _alpha_range(law)
    without = [left for left in law.jackknife if np.isfinite(left.alpha)]
    labels = [f"without {names.get(left.n, formats.count(left.n))}" for left in without]
    # The number that a name may have after it is no part of it.
    styles = [theme.SIZE_STYLES.get(names.get(left.n, "").partition(" ")[0]) for left in without]
    points = go.Scatter(
        x=[left.alpha for left in without],
        y=labels,
        mode="markers",
        marker={
            "color": [style.colour if style else theme.INK for style in styles],
            "symbol": [style.symbol if style else "circle" for style in styles],
            # Plotly fades and outlines markers whose sizes are given one by one.
            "opacity": 1,
            "line": {"width": 0},
            "size": [12 * style.width if style else 12 for style in styles],
        },
        hovertemplate="%{y}: alpha %{x:.4f}<extra></extra>",
    )
    all_sizes = _with_interval(law.alpha, low, high)
    order = ["all sizes", *labels]
    x_axis = {"title_text": "alpha", "range": [low, high]}
    y_axis = {"type": "category", "categoryorder": "array", "categoryarray": order[::-1], "ticks": "", "title_text": ""}
    figure = theme.styled([all_sizes, points], x_axis, y_axis | {"range": [-0.5, len(order) - 0.5]})
    figure.update_layout(showlegend=False)
    _shade(figure, law.alpha, low, high)
    return figure


def residuals_figure(runs: Sequence[RunRecord], law: PowerLawFit, count: str) -> go.Figure:
    """By how much each run's loss is off the best curve, against size; shaded is one standard deviation of a run.

    Points that bend, low in the middle and high at both ends or the reverse, are a wrong form; no interval covers that.
    """
    by_size: dict[str, list[tuple[float, float, str]]] = {}
    for run in runs:
        n = float(run.parameters[count])
        off = 100 * (run.results["final_val_loss"] / float(law.curve(n)[0]) - 1)
        by_size.setdefault(run.size, []).append((n, off, formats.in_figure(run.name)))
    traces = []
    for size, points in by_size.items():
        n, off, names = zip(*points, strict=True)
        traces.append(
            go.Scatter(
                x=n,
                y=off,
                text=names,
                name=size,
                mode="markers",
                marker=theme.SIZE_STYLES[size].marker(12),
                hovertemplate="%{text}<br>%{y:+.3f} %<extra></extra>",
            )
        )
    sizes = [run.parameters[count] for run in runs]
    figure = theme.styled(traces, axes.log_axis("parameters N", sizes), {"title_text": "loss above the curve, %"})
    figure.update_layout(showlegend=False)
    figure.add_hline(0, line={"color": theme.MUTED, "width": 1})
    deviation = 100 * float(np.sqrt(law.noise.variance))
    if np.isfinite(deviation):
        figure.add_hrect(-deviation, deviation, fillcolor=theme.faint(theme.INK, 0.08), line_width=0, layer="below")
    return figure


def _with_interval(alpha: Interval, low: float, high: float) -> go.Scatter:
    """A point with its interval; an end that the data don't set runs out of the figure."""
    value = alpha.value if np.isfinite(alpha.value) else (low + high) / 2
    upper = min(alpha.high, high + (high - low)) - value
    words = " (".join(formats.estimate(alpha.value, alpha.low, alpha.high))
    return go.Scatter(
        x=[value],
        y=["all sizes"],
        mode="markers",
        marker={"color": theme.INK, "symbol": "circle", "size": 11},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [upper],
            "arrayminus": [value - alpha.low],
            "color": theme.INK,
            "thickness": 1.5,
            "width": 5,
        },
        hovertemplate=f"all sizes: alpha {words})<extra></extra>",
    )


def _shade(figure: go.Figure, alpha: Interval, low: float, high: float) -> None:
    """The interval of alpha as a faint upright band behind everything."""
    if np.isfinite(alpha.value):
        left, right = max(alpha.low, low), min(alpha.high, high)
        figure.add_vrect(left, right, fillcolor=theme.faint(theme.INK, 0.08), line_width=0, layer="below")


def _alpha_range(law: PowerLawFit) -> tuple[float, float]:
    """What both figures show of alpha: the interval, every jackknifed alpha, and a little beyond."""
    known = [law.alpha.value, law.alpha.low, law.alpha.high, *(left.alpha for left in law.jackknife)]
    finite = [alpha for alpha in known if np.isfinite(alpha)]
    low, high = min(finite, default=0.0), max(finite, default=WIDEST_ALPHA)
    if not np.isfinite(law.alpha.high):
        high = max(high, WIDEST_ALPHA)
    # An exact fit's interval is narrower than any figure can show.
    room = max(0.25 * (high - low), 0.02)
    return max(0.0, low - room), min(3.0, high + room)


def _miss(law: PowerLawFit, rss: np.ndarray) -> np.ndarray:
    """Root mean square of the relative residuals over the runs, in per cent; exact fits at rounding, not at 0."""
    return 100 * np.sqrt(np.maximum(rss, 1e-24) / law.n_points)
