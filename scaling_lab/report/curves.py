"""How the runs trained: what they logged at each step, one colour a size, thinned for drawing only.

A run that has not come to its end is dashed.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from scaling_lab.history.columns import Columns
from scaling_lab.history.runs import RunRecord
from scaling_lab.report import axes, formats, theme
from scaling_lab.report.thinning import Array, thin
from scaling_lab.tracking import metrics

# Of one size: more lines of a colour than these hide each other, and make a page that no browser moves.
CURVES_A_SIZE = 20
LOSS_TITLE = "loss, nats a token"
TOKENS_TITLE = "training tokens"


def drawn_runs(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs whose curves are drawn: all, but where a size has many only some, evenly spread over its seeds."""
    by_size: dict[str, list[RunRecord]] = {}
    for run in runs:
        by_size.setdefault(run.size, []).append(run)
    return [
        members[place]
        for members in by_size.values()
        for place in np.unique(np.linspace(0, len(members) - 1, CURVES_A_SIZE).round().astype(int))
    ]


def loss_by_tokens_figure(runs: Sequence[RunRecord]) -> go.Figure:
    """Train loss (thin) and validation loss (with markers) against tokens read."""
    traces = _loss_traces(runs, metrics.TRAIN_TOKENS, log_x=False)
    return _figure(runs, traces, _from_zero(TOKENS_TITLE, traces, "x"), _log_y(LOSS_TITLE, traces))


def loss_by_flops_figure(runs: Sequence[RunRecord]) -> go.Figure:
    """Train loss (thin), validation loss (with markers) and its envelope against FLOPs spent, on logarithmic axes."""
    traces = [
        *_loss_traces(runs, metrics.TRAIN_FLOPS, log_x=True),
        *_envelope([run for run in runs if run.state == "complete"]),
    ]
    x_axis = axes.log_axis("training FLOPs", _values(traces, "x"), padding=0.02)
    return _figure(runs, traces, x_axis, _log_y(LOSS_TITLE, traces))


def gradient_norm_figure(runs: Sequence[RunRecord]) -> go.Figure:
    """Gradient norm before clipping: a spike here comes before one in the loss."""
    return _by_tokens(runs, metrics.GRAD_NORM, "gradient norm", log_y=True)


def throughput_figure(runs: Sequence[RunRecord]) -> go.Figure:
    """Training speed of every step; a fall in mid-run is the machine's, not the model's."""
    return _by_tokens(runs, metrics.TOKENS_PER_SECOND, "tokens a second", log_y=True)


def learning_rate_figure(runs: Sequence[RunRecord]) -> go.Figure:
    """The schedule, which must be one line where the runs share a recipe and a length."""
    return _by_tokens(runs, metrics.LEARNING_RATE, "learning rate", log_y=False)


def _by_tokens(runs: Sequence[RunRecord], metric: str, title: str, *, log_y: bool) -> go.Figure:
    traces = [_line(run, run.training, metrics.TRAIN_TOKENS, metric, width=1.2) for run in runs]
    y_axis = _log_y(title, traces) if log_y else _from_zero(title, traces, "y")
    return _figure(runs, traces, _from_zero(TOKENS_TITLE, traces, "x"), y_axis)


def _loss_traces(runs: Sequence[RunRecord], x: str, *, log_x: bool) -> list[go.Scatter]:
    training = [_line(run, run.training, x, metrics.TRAIN_LOSS, log_x=log_x, width=1, opacity=0.45) for run in runs]
    evaluations = [_line(run, run.evaluations, x, metrics.VAL_LOSS, log_x=log_x, markers=True) for run in runs]
    return training + evaluations


def _envelope(runs: Sequence[RunRecord]) -> list[go.Scatter]:
    """The evaluations that none with as few FLOPs is below: the least loss that a budget bought, of whichever size."""
    spent, loss = (_all_evaluations(runs, metric) for metric in (metrics.TRAIN_FLOPS, metrics.VAL_LOSS))
    if len(spent) != len(loss):
        return []
    known = np.isfinite(spent) & np.isfinite(loss) & (spent > 0)
    order = np.lexsort((loss[known], spent[known]))
    spent, loss = spent[known][order], loss[known][order]
    least = loss < np.minimum.accumulate(np.concatenate(([np.inf], loss)))[:-1]
    line = {"color": theme.INK, "width": 1.5, "dash": "dot"}
    words = "least loss %{y:.4g}<br>at %{x:.3s}<extra></extra>"
    x, y = spent[least], loss[least]
    return [go.Scatter(x=x, y=y, name="envelope", mode="lines", line=line, hovertemplate=words)] if len(x) > 1 else []


def _all_evaluations(runs: Sequence[RunRecord], metric: str) -> Array:
    return np.concatenate([run.evaluations.get(metric, np.empty(0)) for run in runs] or [np.empty(0)])


def _line(
    run: RunRecord,
    columns: Columns,
    x: str,
    y: str,
    *,
    log_x: bool = False,
    width: float = 2,
    opacity: float = 1,
    markers: bool = False,
) -> go.Scatter:
    """One run's metric y against metric x, in its size's colour; empty where the run has none."""
    style = theme.SIZE_STYLES[run.size]
    x_values, y_values = _thinned(columns, x, y, log_x)
    metric = y.partition("/")[2].replace("_", " ")
    return go.Scatter(
        x=x_values,
        y=y_values,
        # Not written into the template below, where a name with %{...} in it would be read as one.
        name=formats.in_figure(run.name),
        legendgroup=run.size,
        showlegend=False,
        mode="lines+markers" if markers else "lines",
        line={"color": style.colour, "width": width, "dash": "solid" if run.state == "complete" else "dash"},
        marker=style.marker(8),
        opacity=opacity,
        hovertemplate=f"%{{fullData.name}}<br>{metric} %{{y:.4g}}<br>at %{{x:.3s}}<extra></extra>",
    )


def _thinned(columns: Columns, x: str, y: str, log_x: bool) -> tuple[Array, Array]:
    nothing = np.empty(0)
    return thin(columns.get(x, nothing), columns.get(y, nothing), log_x=log_x)


def _figure(
    runs: Sequence[RunRecord],
    traces: list[go.Scatter],
    x_axis: dict[str, object],
    y_axis: dict[str, object],
) -> go.Figure:
    if not _values(traces, "x").size:
        return theme.nothing_to_draw("No run logged this.")
    return theme.styled([*traces, *_legend(runs)], x_axis, y_axis)


def _legend(runs: Sequence[RunRecord]) -> list[go.Scatter]:
    """One entry a size; it draws nothing, and switches all lines of its size."""
    return [
        go.Scatter(
            x=[None],
            y=[None],
            name=size,
            legendgroup=size,
            mode="lines+markers",
            line={"color": theme.SIZE_STYLES[size].colour, "width": 2},
            marker=theme.SIZE_STYLES[size].marker(8),
        )
        for size in dict.fromkeys(run.size for run in runs)
    ]


def _log_y(title: str, traces: Sequence[go.Scatter]) -> dict[str, object]:
    return axes.log_axis(title, _values(traces, "y"))


def _from_zero(title: str, traces: Sequence[go.Scatter], axis: str) -> dict[str, object]:
    return axes.axis_from_zero(title, _values(traces, axis))


def _values(traces: Sequence[go.Scatter], axis: str) -> Array:
    return np.concatenate([np.asarray(trace[axis], dtype=np.float64) for trace in traces] or [np.empty(0)])
