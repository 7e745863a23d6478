"""Templates filled in, under a policy that lets a page do nothing but what these pages do.

Names come from outside. Jinja2 escapes every one; should that ever fail, the browser runs the one script and applies
the one style whose hashes the policy names, and loads nothing from anywhere.
"""

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from scaling_lab.localserver.page import formats
from scaling_lab.localserver.page.drawing import SIZES


def render(template: str, status: int = 200, **content: Any) -> HTMLResponse:
    """A page as an answer. `running` in its content: it is worth fetching again every few seconds."""
    environment = _environment()
    css, script = _source("page.css"), _source("page.js")
    defaults = {"running": False, "formats": formats, "sizes": SIZES, "css": Markup(css), "script": Markup(script)}
    page = environment.get_template(template).render(defaults | content)
    return HTMLResponse(page.encode(errors="backslashreplace"), status, headers=_headers(css, script))


def prepare() -> None:
    """Compile every template, so that nobody waits for it."""
    environment = _environment()
    for name in environment.list_templates(extensions=["j2"]):
        environment.get_template(name)


@cache
def _headers(css: str, script: str) -> dict[str, str]:
    policy = (
        f"default-src 'none'; style-src {_hash(css)}; script-src {_hash(script)}; connect-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("scaling_lab.localserver.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
