"""A page as one HTML file: nothing in it is loaded from elsewhere, and the same content gives the same bytes.

Names come from outside. They are escaped by Jinja2 in the page and by `formats.in_figure` in figures; should both fail,
the page's Content-Security-Policy runs only the scripts whose hashes it names, and loads nothing at all.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.io import to_json
from plotly.offline import get_plotlyjs

from scaling_lab.report import formats, theme
from scaling_lab.tracking.results import write_whole

# Draws notation; MIT. Its licence is beside it, and in its first lines.
ABCJS = "abcjs-6.7.2.min.js"


def render_page(
    template: str,
    *,
    title: str,
    figures: Mapping[str, go.Figure] | None = None,
    reload_seconds: float | None = None,
    music: str | None = None,
    **content: Any,
) -> str:
    """A template that extends base.html.j2 as HTML.

    figures: by name; None for a page that needs no script. music: tunes of each size as JSON, where there are any.
    reload_seconds: the page loads itself again after so long, in whole seconds and no sooner than after one.
    """
    scripts: list[str] = []
    data: dict[str, Markup] = {}
    if figures is not None:
        scripts.append(_source_of("tables.js"))
    if figures:
        scripts += [get_plotlyjs(), _source_of("figures.js")]
        data |= {"figures": _for_script(_figures_json(figures)), "dark-colours": _for_script(json.dumps(theme.DARK))}
    if music:
        scripts += [_vendored(ABCJS), _source_of("music.js")]
        data["tunes"] = _for_script(music)
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            css=Markup(_source_of("page.css")),
            data=data,
            figure_names=set(figures or ()),
            formats=formats,
            policy=_policy(scripts),
            reload_seconds=reload_seconds and max(1, round(reload_seconds)),
            scripts=[Markup(script) for script in scripts],
            title=title,
        )
    )


def write_page(page: str, path: Path) -> Path:
    """Write a page as a whole or not at all, folders on the way made; return `path`. Raises OSError if it can't be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page)
    return path


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("scaling_lab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _source_of(name: str) -> str:
    """The text of a file beside the templates."""
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


@cache
def _vendored(name: str) -> str:
    """A library that is kept in the package, as it came."""
    return files("scaling_lab.report").joinpath("vendor", name).read_text(encoding="utf-8")


def _policy(scripts: list[str]) -> Markup:
    """What the browser may run and load: these scripts, and pictures that the page itself makes."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = "".join(f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    run = f"script-src{hashes}; " if scripts else ""
    return Markup(
        f"default-src 'none'; {run}style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _figures_json(figures: Mapping[str, go.Figure]) -> str:
    # The engine is named: with "auto" the bytes would depend on whether orjson is installed.
    return "{" + ",".join(f'"{name}":{to_json(figure, engine="json")}' for name, figure in figures.items()) + "}"


def _for_script(text: str) -> Markup:
    """JSON that can stand in a script element: no `<` can end the element or open a comment in it."""
    return Markup(text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026"))
