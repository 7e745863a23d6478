"""Figures as files of their own, PNG or SVG, drawn by an installed Chrome or Chromium through kaleido.

`scaling-lab report --format svg` reaches it. The same figures give the same bytes, as far as the browser and its fonts
are the same.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from scaling_lab.errors import UsageError
from scaling_lab.report import theme

WIDTH, HEIGHT = 900, 540
# Pixels of a PNG to one of the figure: sharp on paper and on a dense screen.
PNG_SCALE = 2


def draw(figures: Mapping[str, go.Figure], image_formats: Sequence[str]) -> dict[str, bytes]:
    """Every figure in every format, by file name.

    Raises:
        UsageError: if kaleido or a browser is missing, or the browser fails; it says how to get one.
    """
    path = find_painter()
    from choreographer import errors

    failures = (
        errors.BrowserClosedError,
        errors.BrowserDepsError,
        errors.BrowserFailedError,
        errors.ChannelClosedError,
    )
    try:
        # In a thread of its own: a notebook's has a loop already.
        with ThreadPoolExecutor(1) as painter:
            return painter.submit(asyncio.run, _drawn(path, figures, image_formats)).result()
    except (*failures, TimeoutError) as error:
        raise UsageError(
            f"figures: {path} broke off ({type(error).__name__}); name another Chrome or Chromium in BROWSER_PATH, or "
            "get one by `kaleido_get_chrome`"
        ) from None


def find_painter() -> str:
    """The browser that draws figures.

    Raises:
        UsageError: if there is none, or no kaleido to lead it; with the command that gets it.
    """
    if find_spec("kaleido") is None:
        raise UsageError("figures: kaleido, which draws them, is not installed; pip install 'scaling-lab[figures]'")
    from choreographer.browsers.chromium import Chromium

    path = Chromium.find_browser(skip_local=False)
    if not path or not Path(path).is_file():
        raise UsageError(
            "figures: no Chrome or Chromium, which draws them, is found; install one, or get it by `kaleido_get_chrome`"
        )
    return path


async def _drawn(path: str, figures: Mapping[str, go.Figure], image_formats: Sequence[str]) -> dict[str, bytes]:
    from kaleido import Kaleido

    # MathJax would come from the network, and no figure has a formula.
    async with Kaleido(path=path, mathjax=False) as browser:
        return {
            f"{name}.{image_format}": _repeatable(
                name, await browser.calc_fig(_as_drawn(figure), _options(image_format))
            )
            for name, figure in figures.items()
            for image_format in image_formats
        }


def _options(image_format: str) -> Any:
    scale = PNG_SCALE if image_format == "png" else 1
    return {"format": image_format, "width": WIDTH, "height": HEIGHT, "scale": scale}


def _as_drawn(figure: go.Figure) -> dict[str, Any]:
    """The figure on white, for nothing says what it will lie on; its traces numbered, or plotly does so by chance."""
    content = figure.to_dict()
    content["data"] = [{**trace, "uid": str(place)} for place, trace in enumerate(content["data"])]
    content["layout"] = {**content["layout"], "paper_bgcolor": theme.SURFACE, "plot_bgcolor": theme.SURFACE}
    return content


def _repeatable(name: str, image: bytes) -> bytes:
    """An SVG whose identifiers carry the figure's name in place of plotly's six digits of chance; a PNG as it is."""
    by_chance = re.search(rb'<defs id="defs-([0-9a-f]{6})"', image)
    return re.sub(rb"(?<=[a-z-])" + by_chance[1], name.encode(), image) if by_chance else image
