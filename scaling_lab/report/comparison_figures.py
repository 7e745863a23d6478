"""The figure of a comparison, under each count of N and in each unit of loss: every run a point, every law in the
colour of its study.

    figures = comparison_figures(comparison)
    figures["nats-total"].show()
"""

import plotly.graph_objects as go

from scaling_lab.laws import PowerLawFit
from scaling_lab.report import axes, formats, theme
from scaling_lab.report.figures import AXIS_TITLES, drawn, may_foretell
from scaling_lab.report.law_lines import Pen, law_lines
from scaling_lab.studies.analysis import COUNTS, HEADLINE_COUNT
from scaling_lab.studies.comparison import UNIT_NAMES, Comparison, LabelledStudy


def comparison_figures(comparison: Comparison) -> dict[str, go.Figure]:
    """Every figure by unit and count; none where no study has a run."""
    if not any(study.runs for study in comparison.studies):
        return {}
    return {
        f"{unit}-{count}": comparison_figure(comparison, count, unit) for unit in comparison.units for count in COUNTS
    }


def comparison_figure(comparison: Comparison, count: str = HEADLINE_COUNT, unit: str = "nats") -> go.Figure:
    """Final validation loss against size, one colour and one marker a study.

    Laws are drawn as in a study's own figure: solid with a band over the data, dashed beyond them where they may
    foretell, dotted where they are refused. Studies without a run have nothing to draw.
    """
    lines: list[go.Scatter] = []
    points: list[go.Scatter] = []
    for study, style in zip(comparison.studies, theme.STUDY_STYLES, strict=False):
        if study.runs:
            law, foretells = study.law(count, unit), may_foretell(study.analysis, count)
            label = formats.in_figure(study.label)
            lines += law_lines(law, foretells, Pen(style.colour, style.colour, label))
            points.append(_points(study, f"{label}: {_in_short(law, foretells)}", style, count, unit))
    if not points:
        return theme.nothing_to_draw("No complete run yet.")
    return theme.styled(
        [*lines, *points],
        axes.log_axis(AXIS_TITLES[count], drawn(lines, points, "x"), padding=0.05),
        axes.log_axis(f"validation loss, {UNIT_NAMES[unit]}", drawn(lines, points, "y"), padding=0.06),
    )


def _points(study: LabelledStudy, name: str, style: theme.Style, count: str, unit: str) -> go.Scatter:
    """The study's runs. `name`: its entry in the legend, which switches its law too."""
    label = formats.in_figure(study.label)
    return go.Scatter(
        x=[run.parameters[count] for run in study.runs],
        y=study.losses(unit),
        text=[f"{run.size}, {formats.in_figure(run.name)}" for run in study.runs],
        name=name,
        legendgroup=label,
        meta=label,
        mode="markers",
        marker=style.marker(11) | {"line": {"color": theme.SURFACE, "width": 1}},
        hovertemplate="%{meta}<br>%{text}<br>N = %{x:,}<br>validation loss %{y:.4f}<extra></extra>",
    )


def _in_short(law: PowerLawFit, foretells: bool) -> str:
    """What the law came to, in the legend, so that a picture taken out of the page still says it."""
    if law.verdict != "identified":
        return "not identified"
    value, _ = formats.estimate(law.alpha.value, law.alpha.low, law.alpha.high)
    return f"alpha {value}{'' if foretells else ', not under every count'}"
