"""Who may look: the cookie that a browser gets for the key, and the form that asks for it.

The cookie is not the key: it lets its bearer read, and change nothing. A browser sends a cookie to every port of a
host, so each store's has a name and a value of its own, and a server at another port learns nothing from it.
"""

import hmac
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from scaling_lab.localserver import storage
from scaling_lab.localserver.page.render import render
from scaling_lab.localserver.store import Store

COOKIE_SECONDS = 90 * 24 * 3600
LARGEST_FORM_BYTES = 4096


def cookie_of(store: Store) -> tuple[str, str]:
    """Name and value of the cookie by which a store's pages may be looked at."""
    value = storage.signature(store, ("page",))
    return f"scaling-lab-{value[:8]}", value


def login_address(wanted: str) -> str:
    """Where the key is asked for on the way to an address."""
    return f"/login?next={quote(wanted, safe='/')}" if wanted != "/" else "/login"


class Login:
    """Lets a browser in that shows the key, by form or by link."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, request: Request) -> Response:
        """The form; or at once on to the page, so that a key in an address doesn't stay there."""
        wanted = _own_address(request.query_params.get("next"))
        given = request.query_params.get("key")
        return self._form(wanted) if given is None else self._answer(given, wanted)

    async def post(self, request: Request) -> Response:
        """The form, filled in."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_FORM_BYTES:
                return self._form("/", "That is no key.", 413)
        fields = parse_qs(body.decode(errors="replace"))
        return self._answer(fields.get("key", [""])[0].strip(), _own_address(fields.get("next", ["/"])[0]))

    def _answer(self, given: str, wanted: str) -> Response:
        if not hmac.compare_digest(given.encode(errors="replace"), self._store.api_key.encode()):
            return self._form(wanted, "That is not this server's key.", 401)
        answer = RedirectResponse(wanted, 303, headers={"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})
        name, value = cookie_of(self._store)
        answer.set_cookie(name, value, max_age=COOKIE_SECONDS, httponly=True, samesite="strict", path="/")
        return answer

    def _form(self, wanted: str, problem: str = "", status: int = 200) -> Response:
        return render("login.html.j2", status, title="Log in", wanted=wanted, problem=problem)


def _own_address(address: str | None) -> str:
    """The address if it leads to a page here, else the first page: no link may use this server to lead elsewhere."""
    if not address or not address.startswith("/") or address[1:2] in ("/", "\\") or not address.isprintable():
        return "/"
    return address
