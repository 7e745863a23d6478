"""A law as lines of a figure: curve and band over the data, beyond them where it may foretell, dotted where refused."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from scaling_lab.laws import PowerLawFit
from scaling_lab.report import formats, theme

# How many times the largest size an identified law is drawn to.
EXTRAPOLATION = 10.0
_POINTS_ON_A_LINE = 120


@dataclass(frozen=True)
class Pen:
    """What a law is drawn in.

    colour: of its curve and band. refused: of the dotted curve that is no law. study: whose law it is, where a figure
    has several; its lines then share one entry of the legend with its points, which bears this name.
    """

    colour: str = theme.INK
    refused: str = theme.MUTED
    study: str | None = None

    def legend(self, name: str) -> dict[str, Any]:
        """Of a line that is called `name` in the legend where it has an entry of its own."""
        return {"name": name} if self.study is None else {"name": name, "legendgroup": self.study, "showlegend": False}

    def hover(self, name: str) -> str:
        # The study's name is read off the trace: in the template %{...} of it would be read as a variable.
        whose = "" if self.study is None else "%{meta}<br>"
        return whose + "N = %{x:.3s}<br>" + name + " %{y:.4f}<extra></extra>"


def law_lines(law: PowerLawFit, foretells: bool, pen: Pen) -> list[go.Scatter]:
    """What there is to draw of a law. `foretells`: whether it may be read beyond its data."""
    return _identified(law, foretells, pen) if law.verdict == "identified" else _description(law, pen)


def _identified(law: PowerLawFit, foretells: bool, pen: Pen) -> list[go.Scatter]:
    """The fitted curve and its band over the data, and, if it may foretell, both again beyond them."""
    low, high = float(law.sizes.n[0]), float(law.sizes.n[-1])
    inside, beyond = np.geomspace(low, high, _POINTS_ON_A_LINE), np.geomspace(high, EXTRAPOLATION * high, 60)
    bands = [_band(law, inside, pen, opacity=0.16)]
    lines = [_line(law, inside, pen, "law", {"color": pen.colour, "width": 2})]
    if foretells:
        bands.append(_band(law, beyond, pen, opacity=0.08) | {"showlegend": False})
        lines.append(_line(law, beyond, pen, "extrapolated", {"color": pen.colour, "width": 2, "dash": "dash"}))
    return [go.Scatter(trace) for trace in bands + lines]


def _description(law: PowerLawFit, pen: Pen) -> list[go.Scatter]:
    """The best curve within the data, for the eye only. Nothing where there is no fit."""
    if law.region is None:
        return []
    inside = np.geomspace(float(law.sizes.n[0]), float(law.sizes.n[-1]), _POINTS_ON_A_LINE)
    return [go.Scatter(_line(law, inside, pen, "not a law", {"color": pen.refused, "width": 1.2, "dash": "dot"}))]


def _line(law: PowerLawFit, n: np.ndarray, pen: Pen, name: str, line: dict[str, Any]) -> dict[str, Any]:
    return {
        "x": n,
        "y": law.curve(n),
        "mode": "lines",
        # Plotly's simplifying leaves out points of a smooth curve, and it shows.
        "line": line | {"simplify": False},
        "meta": pen.study,
        "hovertemplate": pen.hover(name),
        **pen.legend(name),
    }


def _band(law: PowerLawFit, n: np.ndarray, pen: Pen, opacity: float) -> dict[str, Any]:
    """One closed outline: there along the upper end, back along the lower."""
    low, high = law.band(n)
    name = f"{formats.percent(law.confidence, 0)} band"
    return {
        "x": np.concatenate((n, n[::-1])),
        "y": np.concatenate((high, low[::-1])),
        "legendgroup": name,
        "fill": "toself",
        "fillcolor": theme.faint(pen.colour, opacity),
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
        **pen.legend(name),
    }
