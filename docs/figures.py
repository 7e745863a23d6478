"""The figures of docs/statistics.md, from simulated runs and this package's own fits.

    pip install 'scaling-lab[figures]'   # kaleido, which draws by Chrome or Chromium
    python docs/figures.py

Every law below is known, so each figure shows what a fit makes of it.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from scipy.optimize import curve_fit

from scaling_lab.laws import fit_envelope, fit_isoflop, fit_joint_law, fit_power_law, fit_repetition
from scaling_lab.laws.repetition import effective_tokens
from scaling_lab.report import axes, diagnostics, theme

FOLDER = Path(__file__).parent / "images"
WIDTH, HEIGHT = 760, 380
COLOURS = [style.colour for style in theme.SIZE_STYLES.values()]
SIZES = np.array([0.1e6, 0.4e6, 1.6e6, 6.4e6, 25.6e6])
TRUE_ALPHA, NOISE = 0.27, 0.01
STUDIES = 100


def five_losses(random: np.random.Generator) -> np.ndarray:
    """Of one study of five sizes."""
    return (0.4 * (SIZES / SIZES[-1]) ** -TRUE_ALPHA + 0.6) * (1 + NOISE * random.standard_normal(5))


def line(x: np.ndarray, y: np.ndarray, name: str, colour: str = theme.INK, dash: str = "solid") -> go.Scatter:
    return go.Scatter(x=x, y=y, name=name, mode="lines", line={"color": colour, "width": 2, "dash": dash})


def points(x: np.ndarray, y: np.ndarray, name: str, colour: str = theme.INK, symbol: str = "circle") -> go.Scatter:
    marker = {"color": colour, "size": 8, "symbol": symbol}
    return go.Scatter(x=x, y=y, name=name, mode="markers", marker=marker)


def band(x: np.ndarray, low: np.ndarray, high: np.ndarray, name: str, colour: str = theme.INK) -> go.Scatter:
    fill = {"fill": "toself", "fillcolor": theme.faint(colour, 0.15), "line": {"width": 0}}
    return go.Scatter(x=np.append(x, x[::-1]), y=np.append(high, low[::-1]), name=name, mode="lines", **fill)


def log(title: str, *values: np.ndarray) -> dict[str, object]:
    return axes.log_axis(title, np.concatenate([np.ravel(value) for value in values]).tolist())


def power_law() -> go.Figure:
    """Five sizes, their law, and where the mean loss of ten times the largest may lie."""
    losses = five_losses(np.random.default_rng(0))
    fit = fit_power_law(SIZES, losses)
    n = np.geomspace(SIZES[0], 10 * SIZES[-1], 200)
    low, high = fit.band(n)
    traces = [
        band(n, low, high, "95 % of the mean loss"),
        line(n, fit.curve(n), "fit"),
        line(n, 0.4 * (n / SIZES[-1]) ** -TRUE_ALPHA + 0.6, "truth", COLOURS[2], "dot"),
        points(SIZES, losses, "runs", COLOURS[0]),
    ]
    return theme.styled(traces, log("N", n), log("loss, nats a token", low, high))


def profile() -> go.Figure:
    """How sharply the same five runs choose alpha."""
    return diagnostics.profile_figure(fit_power_law(SIZES, five_losses(np.random.default_rng(0))))


def intervals() -> go.Figure:
    """Alpha's interval in a hundred studies by profile F and by Wald; those that miss the truth stand out."""
    random = np.random.default_rng(1)
    traces = []
    studies = [five_losses(random) for _ in range(STUDIES)]
    for row, (name, interval) in enumerate((("Wald", _wald), ("profile F", _profile_f))):
        ends = [interval(losses) for losses in studies]
        missed = [not low <= TRUE_ALPHA <= high for low, high in ends]
        for miss, colour in ((False, theme.MUTED), (True, COLOURS[2])):
            chosen = [at for at in range(STUDIES) if missed[at] is miss]
            x = [value for at in chosen for value in (at + row * (STUDIES + 10), at + row * (STUDIES + 10), None)]
            y = [value for at in chosen for value in (*ends[at], None)]
            label = f"{name}: {len(chosen)} {'miss' if miss else 'hold'} the truth"
            traces.append(go.Scatter(x=x, y=y, name=label, mode="lines", line={"color": colour, "width": 2}))
    figure = theme.styled(traces, {"visible": False}, {"title_text": "alpha", "range": [0, 0.6]})
    return figure.add_hline(TRUE_ALPHA, line={"color": theme.INK, "width": 1, "dash": "dot"})


def _profile_f(losses: np.ndarray) -> tuple[float, float]:
    alpha = fit_power_law(SIZES, losses).alpha
    return alpha.low, min(alpha.high, 3.0)


def _wald(losses: np.ndarray) -> tuple[float, float]:
    def curve(n: np.ndarray, a: float, alpha: float, c: float) -> np.ndarray:
        return a * (n / SIZES[-1]) ** -alpha + c

    found, covariance = curve_fit(curve, SIZES, losses, p0=(0.4, 0.3, 0.6), sigma=losses, maxfev=10_000)
    reach = 1.96 * float(np.sqrt(covariance[1, 1]))
    return float(found[1]) - reach, float(found[1]) + reach


def joint_loss(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The law of Hoffmann et al. (2203.15556)."""
    return 1.69 + 406.4 / n**0.34 + 410.7 / d**0.28


def joint_law() -> go.Figure:
    """Six sizes on five amounts of data, and the fitted surface cut at each of them."""
    random = np.random.default_rng(0)
    n, d = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 3e9, 6), np.geomspace(1e9, 1e11, 5)))
    losses = joint_loss(n, d) * np.exp(0.002 * random.standard_normal(len(n)))
    fit = fit_joint_law(n, d, losses)
    along = np.geomspace(n.min(), n.max(), 100)
    traces = []
    for tokens, colour in zip(np.unique(d), COLOURS, strict=True):
        traces.append(line(along, fit.surface(along, np.full(100, tokens)), "", colour))
        traces[-1].showlegend = False
        traces.append(points(n[d == tokens], losses[d == tokens], f"D = {tokens / 1e9:.3g}B", colour))
    return theme.styled(traces, log("N", n), log("loss, nats a token", losses))


def isoflop() -> go.Figure:
    """Five budgets, their parabolas' vertices, and the line through them."""
    random = np.random.default_rng(0)
    budgets = np.geomspace(1e18, 1e20, 5)
    c, n = (axis.ravel() for axis in np.meshgrid(budgets, np.exp(np.linspace(-1.2, 1.2, 7)), indexing="ij"))
    best = (0.34 * 406.4 / (0.28 * 410.7) * (c / 6) ** 0.28) ** (1 / 0.62)
    n = n * best
    losses = joint_loss(n, c / 6 / n) * np.exp(0.001 * random.standard_normal(len(n)))
    fit = fit_isoflop(c, n, losses)
    traces = []
    for budget, colour in zip(budgets, COLOURS, strict=True):
        here = c == budget
        parabola = np.polynomial.Polynomial.fit(np.log(n[here]), losses[here], 2)
        along = np.geomspace(n[here].min(), n[here].max(), 60)
        traces.append(line(along, parabola(np.log(along)), "", colour))
        traces[-1].showlegend = False
        traces.append(points(n[here], losses[here], f"C = {budget:.2g}", colour))
    n_best, loss_there = np.array([(budget.n.value, budget.loss) for budget in fit.budgets]).T
    traces.append(
        points(n_best, loss_there, f"best sizes: N ∝ C^{fit.exponent.value:.2f} (truth 0.45)", theme.INK, "x")
    )
    return theme.styled(traces, log("N", n), log("loss, nats a token", losses))


def envelope() -> go.Figure:
    """Five sizes' curves, and where each is overtaken by the next."""
    sizes = np.geomspace(1e6, 256e6, 5)
    curves = [(6 * size * d, joint_loss(np.full(80, size), d)) for size in sizes for d in [_tokens(size)]]
    c, losses = (np.concatenate(column) for column in zip(*curves, strict=True))
    fit = fit_envelope(c, np.repeat(sizes, 80), losses)
    traces = [
        line(flops, loss, f"N = {size / 1e6:.3g}M", colour)
        for (flops, loss), size, colour in zip(curves, sizes, COLOURS, strict=True)
    ]
    at, loss_there = np.array([(crossing.c, crossing.loss) for crossing in fit.crossings]).T
    traces.append(points(at, loss_there, f"crossings: N ∝ C^{fit.exponent.value:.2f} (truth 0.45)", theme.INK, "x"))
    return theme.styled(traces, log("C, FLOPs", c), log("loss, nats a token", losses))


def _tokens(size: float) -> np.ndarray:
    return 20 * size * np.geomspace(0.1, 100, 80)


def repetition() -> go.Figure:
    """What tokens are worth that are read again: the truth, and what 105 runs make of it."""
    random, r_star = np.random.default_rng(0), 15.0
    grid = [
        (n, p * u, u) for n in np.geomspace(1e7, 1e9, 5) for u in (1e8, 4e8, 1.6e9) for p in (0.5, 1, 2, 4, 8, 20, 40)
    ]
    n, d, u = np.array(grid).T
    losses = 1.8 + 480 / n**0.35 + 2000 / effective_tokens(d, u, r_star) ** 0.37
    fit = fit_repetition(n, d, u, losses * np.exp(0.01 * random.standard_normal(len(n))))
    passes = np.geomspace(1, 100, 200)

    def worth(value: float) -> np.ndarray:
        return effective_tokens(passes, np.ones(200), value)

    ends = fit.r_star
    traces = [
        band(passes, worth(ends.low), worth(ends.high), f"95 %: R* {ends.low:.1f} to {ends.high:.1f}", COLOURS[0]),
        line(passes, worth(ends.value), f"fit: R* = {ends.value:.1f}", COLOURS[0]),
        line(passes, worth(r_star), "truth: R* = 15", COLOURS[2], "dot"),
        line(passes, passes, "as if every pass were new", theme.MUTED, "dash"),
    ]
    return theme.styled(
        traces, log("passes, D / U", passes), log("worth in unique tokens, D' / U", worth(r_star), np.array([30.0]))
    )


FIGURES: tuple[Callable[[], go.Figure], ...] = (
    power_law,
    profile,
    intervals,
    joint_law,
    isoflop,
    envelope,
    repetition,
)


def main() -> None:
    for figure in FIGURES:
        path = FOLDER / f"statistics-{figure.__name__.replace('_', '-')}.svg"
        drawn = figure().update_layout(paper_bgcolor="white", plot_bgcolor="white")
        drawn.write_image(path, width=WIDTH, height=HEIGHT)
        print(path.name)


if __name__ == "__main__":
    main()
