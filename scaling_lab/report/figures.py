"""The figures of a report, each a pure function of a study's analysis: what is drawn is what the tables say.

figures = study_figures(analysis)
figures["scaling-total"].show()
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import plotly.graph_objects as go

from scaling_lab.history.runs import RunRecord
from scaling_lab.laws import PowerLawFit
from scaling_lab.report import axes, formats, theme
from scaling_lab.report.curves import (
    drawn_runs,
    gradient_norm_figure,
    learning_rate_figure,
    loss_by_flops_figure,
    loss_by_tokens_figure,
    throughput_figure,
)
from scaling_lab.report.diagnostics import jackknife_figure, profile_figure, residuals_figure
from scaling_lab.report.law_lines import Pen, law_lines
from scaling_lab.studies.analysis import COUNTS, HEADLINE_COUNT, StudyAnalysis

AXIS_TITLES = {
    "total": "parameters N",
    "non_embedding": "non-embedding parameters N",
    "matmul": "matmul parameters N",
}

_TRAINING = {
    "loss-by-tokens": loss_by_tokens_figure,
    "loss-by-flops": loss_by_flops_figure,
    "gradient-norm": gradient_norm_figure,
    "throughput": throughput_figure,
    "learning-rate": learning_rate_figure,
}


# Every figure that some report has.
FIGURE_NAMES = frozenset({*(f"scaling-{count}" for count in COUNTS), *_TRAINING, "profile", "residuals", "jackknife"})


def study_figures(analysis: StudyAnalysis) -> dict[str, go.Figure]:
    """Every figure of a report by name; those that the study has nothing for are left out."""
    scaling = {f"scaling-{count}": scaling_figure(analysis, count) for count in COUNTS if analysis.runs}
    drawn = drawn_runs((*analysis.runs, *analysis.unfinished))
    training = {name: figure(drawn) for name, figure in _TRAINING.items() if drawn}
    diagnostics = {}
    if analysis.law.region is not None:
        diagnostics["profile"] = profile_figure(analysis.law)
        diagnostics["residuals"] = residuals_figure(analysis.runs, analysis.law, HEADLINE_COUNT)
    if analysis.law.jackknife:
        diagnostics["jackknife"] = jackknife_figure(analysis.law, size_names(analysis.runs, HEADLINE_COUNT))
    return scaling | training | diagnostics


def size_names(runs: Iterable[RunRecord], count: str) -> dict[float, str]:
    """The name of the size that has so many parameters; with their number where it stands for several."""
    names = {float(run.parameters[count]): run.size for run in runs}
    times = Counter(names.values())
    return {n: name if times[name] == 1 else f"{name} ({formats.count(n)})" for n, name in names.items()}


def scaling_figure(analysis: StudyAnalysis, count: str = HEADLINE_COUNT) -> go.Figure:
    """Final validation loss against size, every run a point, with the law where there is one.

    An identified law is drawn with its band and, dashed, to ten times the largest size. A refused one is a thin dotted
    description of the points that ends where they end, and the figure says so. Where the verdict depends on how N is
    counted, no law is drawn beyond its data.
    """
    runs, law = analysis.runs, analysis.laws[count]
    if not runs:
        return theme.nothing_to_draw("No complete run yet.")
    foretells = may_foretell(analysis, count)
    lines = law_lines(law, foretells, Pen())
    points = _points(runs, count)
    figure = theme.styled(
        [*lines, *points],
        axes.log_axis(AXIS_TITLES[count], drawn(lines, points, "x"), padding=0.05),
        axes.log_axis("validation loss, nats a token", drawn(lines, points, "y"), padding=0.06),
    )
    return theme.note(figure, *_verdict_note(law, foretells))


def may_foretell(analysis: StudyAnalysis, count: str) -> bool:
    """Whether the law under this count of N may be read beyond the data: it is identified, and so is every other."""
    return analysis.laws[count].verdict == "identified" and analysis.flips() is None


def _points(runs: Sequence[RunRecord], count: str) -> list[go.Scatter]:
    """One trace a size, one marker a seed."""
    by_size: dict[str, list[RunRecord]] = {}
    for run in runs:
        by_size.setdefault(run.size, []).append(run)
    return [
        go.Scatter(
            x=[run.parameters[count] for run in members],
            y=[run.results["final_val_loss"] for run in members],
            text=[formats.in_figure(run.name) for run in members],
            name=size,
            mode="markers",
            marker=theme.SIZE_STYLES[size].marker(12) | {"line": {"color": theme.SURFACE, "width": 1}},
            hovertemplate="%{text}<br>N = %{x:,}<br>validation loss %{y:.4f}<extra></extra>",
        )
        for size, members in by_size.items()
    ]


def drawn(lines: Sequence[go.Scatter], points: Sequence[go.Scatter], axis: str) -> np.ndarray:
    """Every value that must be in view on "x" or "y"."""
    return np.concatenate([np.asarray(trace[axis], dtype=np.float64) for trace in (*lines, *points)])


def _verdict_note(law: PowerLawFit, foretells: bool) -> tuple[str, str]:
    """What stands in the corner of the figure, so that a picture taken out of the report still says it; its colour."""
    if law.verdict == "identified":
        value, interval = formats.estimate(law.alpha.value, law.alpha.low, law.alpha.high)
        if foretells:
            return f"alpha {value}<br>{interval}", theme.INK
        return f"<b>Not under every count</b><br>alpha {value}<br>{interval}", theme.WARNING
    words = ["<b>Not identified</b>", *(reason.name.replace("-", " ") for reason in law.reasons)]
    if law.region is not None:
        words.append("dotted: descriptive, not a law")
    return "<br>".join(words), theme.WARNING
