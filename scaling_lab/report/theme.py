"""How every figure looks: one colour and one marker for each size, the same wherever the size appears; where studies
are compared, one for each study.

Figures are made in the light colours. On a dark page the browser exchanges each for its partner in DARK, so that a
figure is embedded once and still follows the reader's setting.
"""

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from scaling_lab.config.schema import SIZES


@dataclass(frozen=True)
class Style:
    """Colour on a light page, colour on a dark page, plotly marker symbol, and its width where a circle's is 1.

    Plotly draws symbols of one size with different areas: a star looks smaller than a square.
    """

    colour: str
    dark: str
    symbol: str
    width: float

    def marker(self, size: float) -> dict[str, Any]:
        """The marker of a size or a study, as large to the eye as a circle that is `size` pixels wide."""
        return {"color": self.colour, "symbol": self.symbol, "size": size * self.width}


# Any two are at least 32 apart (CIE76) as seen with protanopia, deuteranopia, tritanopia or none of them, and each
# stands out from its page by 3:1 at least. The symbols tell them apart without any colour.
_STYLES = (
    Style("#3d95f5", "#b5d3ff", "circle", 1.0),
    Style("#a38a00", "#e8cf2e", "square", 0.92),
    Style("#e8638f", "#d06a97", "diamond", 1.12),
    Style("#125c24", "#2aa048", "triangle-up", 1.12),
    Style("#63106f", "#a578ff", "star", 1.32),
)
SIZE_STYLES: dict[str, Style] = dict(zip(SIZES, _STYLES, strict=True))
# Of studies there may be more. Any two of all eight are at least 27 apart in the same way.
STUDY_STYLES = (
    *_STYLES,
    Style("#000096", "#693cff", "triangle-down", 1.12),
    Style("#000000", "#69ffb4", "cross", 1.1),
    Style("#8700ff", "#964ba5", "x", 1.05),
)

INK = "#1c2128"
MUTED = "#5b6572"
GRID = "#e4e7eb"
SURFACE = "#ffffff"
WARNING = "#8a5600"

DARK: dict[str, str] = {
    INK: "#e6e9ee",
    MUTED: "#a0a9b5",
    GRID: "#2d333c",
    SURFACE: "#171b21",
    WARNING: "#f2bd5c",
    **{style.colour: style.dark for style in STUDY_STYLES},
}

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def faint(colour: str, opacity: float) -> str:
    """The same colour, partly transparent: #rrggbbaa."""
    return f"{colour}{round(255 * opacity):02x}"


def styled(traces: list[go.Scatter], x_axis: dict[str, Any], y_axis: dict[str, Any]) -> go.Figure:
    """A figure of these traces in the page's manner."""
    axis = {
        "gridcolor": GRID,
        "linecolor": MUTED,
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": MUTED,
        "ticklen": 4,
        "automargin": True,
        "title_standoff": 8,
    }
    return go.Figure(
        traces,
        {
            # Not plotly's own template: it is 7 kB a figure, and none of it is wanted.
            "template": go.layout.Template(),
            "font": {"family": FONT, "size": 13, "color": INK},
            "paper_bgcolor": faint(SURFACE, 0),
            "plot_bgcolor": faint(SURFACE, 0),
            "margin": {"l": 56, "r": 12, "t": 12, "b": 48},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
            "hoverlabel": {"bgcolor": SURFACE, "font": {"color": INK, "family": FONT}, "align": "left"},
            "hovermode": "closest",
            # A finger that moves over a figure scrolls the page; zooming is in the bar of buttons.
            "dragmode": False,
            "xaxis": axis | x_axis,
            "yaxis": axis | y_axis,
        },
    )


def note(figure: go.Figure, text: str, colour: str = INK) -> go.Figure:
    """Write a few words into the upper right corner, which a falling curve leaves free. `text` is plotly's HTML."""
    return figure.add_annotation(
        text=text,
        font={"color": colour, "size": 13},
        align="right",
        showarrow=False,
        bgcolor=faint(SURFACE, 0.8),
        x=1,
        y=1,
        xref="paper",
        yref="paper",
        xanchor="right",
        yanchor="top",
    )


def nothing_to_draw(why: str) -> go.Figure:
    """An empty figure that says why it is empty."""
    hidden = {"visible": False}
    figure = styled([], hidden, hidden)
    return figure.add_annotation(text=why, showarrow=False, font={"color": MUTED, "size": 14})
