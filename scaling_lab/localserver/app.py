"""The server as a web application: who may come in, how much they may bring, and which address leads where.

    POST /graphql                                   everything the SDK asks and changes
    POST /files/{entity}/{project}/{run}/file_stream  a run's rows, as it trains
    PUT, GET /storage/…                             files, at signed addresses
    GET /artifacts/…, /artifactsV2/…                an artifact's content, at addresses that the SDK makes up itself
    GET /gaps                                       what the SDK asked for and this server doesn't have
    GET /healthz                                    whether it is up, and of which store
    GET /, /login, /{entity}/{project}/…            pages for people (page/)

Work on the store is done in threads: while the event loop waited, the SDK would ask again.
"""

import base64
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from scaling_lab.localserver import file_stream, storage
from scaling_lab.localserver.artifacts import Artifacts
from scaling_lab.localserver.graphql import Fault, Gaps, execute
from scaling_lab.localserver.page import cookie_of, login_address, not_found, page_routes
from scaling_lab.localserver.roots import roots
from scaling_lab.localserver.runs import Runs
from scaling_lab.localserver.store import Store, proof_of_key
from scaling_lab.localserver.sweeps import AGENT_GONE_AFTER_SECONDS, Sweeps

LARGEST_BODY_BYTES = 64 * 2**20

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]


def create_app(store: Store, base_url: str, hosts: tuple[str, ...], crashed_after_seconds: float) -> Starlette:
    """The application that serves a store at `base_url`; a request for a host that isn't among `hosts` is refused."""
    runs = Runs(store, base_url, crashed_after_seconds)
    sweeps = Sweeps(store, runs, min(AGENT_GONE_AFTER_SECONDS, crashed_after_seconds))
    gaps = Gaps()
    artifacts = Artifacts(store, runs)
    served = _Handlers(store, runs, artifacts, gaps, roots(store, runs, sweeps, artifacts))
    routes = [
        Route("/graphql", _answered(served.graphql), methods=["POST"]),
        Route("/files/{entity}/{project}/{run}/file_stream", _answered(served.file_stream), methods=["POST"]),
        Route("/storage/{path:path}", _answered(served.put_file), methods=["PUT", "POST"]),
        Route("/storage/{path:path}", _answered(served.get_file), methods=["GET"]),
        Route("/artifacts/{path:path}", _answered(served.get_content), methods=["GET"]),
        Route("/artifactsV2/{path:path}", _answered(served.get_content), methods=["GET"]),
        Route("/gaps", lambda request: _Json(gaps.counts())),
        Route("/healthz", served.health),
        *page_routes(runs, crashed_after_seconds),
    ]
    gate = Middleware(_Gate, hosts=hosts, api_key=store.api_key, cookie=cookie_of(store))
    return Starlette(routes=routes, middleware=[gate], exception_handlers={404: not_found})


class _Handlers:
    """What each address of the protocol does."""

    def __init__(self, store: Store, runs: Runs, artifacts: Artifacts, gaps: Gaps, nodes: dict[str, Any]) -> None:
        self._store, self._runs, self._artifacts, self._gaps, self._nodes = store, runs, artifacts, gaps, nodes

    async def health(self, request: Request) -> Response:
        challenge = request.query_params.get("challenge", "")
        return PlainTextResponse(f"{proof_of_key(self._store.api_key, challenge)}\n" if challenge else "ok\n")

    async def graphql(self, request: Request) -> Response:
        body = await _json_body(request)
        return _Json(await run_in_threadpool(execute, self._nodes, self._gaps, body))

    async def file_stream(self, request: Request) -> Response:
        names = request.path_params
        body = await _json_body(request)

        def take_in() -> dict[str, Any]:
            run = self._runs.run(names["entity"], names["project"], names["run"])
            if run is None:
                raise Fault(f"no run {names['entity']}/{names['project']}/{names['run']}", 404)
            return file_stream.take_in(self._store, run, body)

        return JSONResponse(await run_in_threadpool(take_in))

    async def put_file(self, request: Request) -> Response:
        kind, number, name = self._signed(request)
        path = self._path(kind, number, name)
        # Content of an artifact is named by its MD5, and its manifest too.
        received = await storage.receive(self._store, path, request.stream(), None if kind == "runs" else name)
        if kind == "runs":
            await run_in_threadpool(self._runs.files.came, number, name, received)
        elif kind == "manifests":
            await run_in_threadpool(self._artifacts.manifest_came, number, name)
        return Response(status_code=200, headers={"ETag": f'"{received.md5}"'})

    async def get_file(self, request: Request) -> Response:
        kind, number, name = self._signed(request)
        return _file(self._path(kind, number, name), name)

    async def get_content(self, request: Request) -> Response:
        # …/entity/MD5, or …/entity/project/collection/artifact/MD5/name
        *_, before, last = ["", *request.path_params["path"].split("/")]
        digest = last if request.url.path.startswith("/artifacts/") else before
        path = await run_in_threadpool(self._artifacts.content_by_hex, digest)
        if path is None:
            raise Fault("no such content", 404)
        return _file(path, last)

    def _path(self, kind: str, number: int, name: str) -> Path:
        if kind == "runs":
            return storage.run_file(self._store, number, name)
        return storage.artifact_blob(self._store, name)

    def _signed(self, request: Request) -> tuple[str, int, str]:
        """Kind, row and name of the file that an address names. Raises Fault unless this server gave it out."""
        kind, _, rest = request.path_params["path"].partition("/")
        number, _, name = rest.partition("/")
        given = request.query_params.get("signature", "")
        if not hmac.compare_digest(given.encode(), storage.signature(self._store, (kind, number, name)).encode()):
            raise Fault("this address was not given out by this server", 403)
        return kind, int(number), name


class _Json(JSONResponse):
    """JSON in ASCII alone: half of a surrogate pair, which clients can send as an escape, has no bytes."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


class _Gate:
    """Lets in who names this host and knows the key; signed addresses and the sign of life need no key."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], api_key: str, cookie: tuple[str, str]) -> None:
        self._app, self._hosts, self._key, self._cookie = app, hosts, api_key, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        # A page elsewhere can make a browser ask 127.0.0.1 under its own name; such a request names that other host.
        host = request.headers.get("host", "").rsplit(":", 1)[0].strip("[]").lower()
        refused: Response | None = None
        if "*" not in self._hosts and host not in self._hosts:
            refused = PlainTextResponse("this server does not answer to that host\n", status_code=421)
        elif not (self._is_open(request) or self._knows_key(request) or self._may_look(request)):
            refused = self._refusal(request)
        await (refused or self._app)(scope, receive, send)

    def _is_open(self, request: Request) -> bool:
        path = request.url.path
        # /sdk/ is where the SDK looks for a taker of its telemetry, without the key; it is told that there is none.
        no_taker = path.startswith("/sdk/") and request.method == "POST"
        return no_taker or path in ("/healthz", "/login") or path.startswith("/storage/")

    def _knows_key(self, request: Request) -> bool:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        given = credentials if scheme.lower() == "bearer" else ""
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(credentials, validate=True).decode().partition(":")[2]
            except ValueError:
                given = ""  # neither base64 nor UTF-8, or not even ASCII
        return hmac.compare_digest(given.encode(), self._key.encode())

    def _may_look(self, request: Request) -> bool:
        # Only reading is done by cookie, so that no page elsewhere can change anything with it.
        name, value = self._cookie
        given = request.cookies.get(name, "")
        return request.method in ("GET", "HEAD") and hmac.compare_digest(given.encode(), value.encode())

    def _refusal(self, request: Request) -> Response:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return Response(status_code=303, headers={"Location": login_address(wanted)})
        return JSONResponse({"errors": [{"message": "invalid API key"}]}, status_code=401)


def _answered(handler: Handler) -> Handler:
    """Turns what a handler raises into the answer that the SDK understands."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Fault as fault:
            return _errors(str(fault), fault.status)
        except (RecursionError, OverflowError, UnicodeEncodeError) as error:
            # Nested without end, beyond 64 bits, half of a surrogate pair: asking again would not make it better.
            return _errors(f"the request can't be taken: {error}", 400)
        except ClientDisconnect:
            return _errors("the client went away", 400)
        except HTTPException:
            raise
        except Exception as error:
            # A passing fault: the SDK asks again after 500, and gives up for good after 400.
            log.exception("%s %s", request.method, request.url.path)
            return _errors(f"{type(error).__name__}: {error}", 500)

    return answer


def _file(path: Path, name: str) -> Response:
    if not path.is_file():
        raise Fault("no such file", 404)
    return FileResponse(path, filename=name.rsplit("/", 1)[-1], media_type="application/octet-stream")


def _errors(message: str, status: int) -> Response:
    return _Json({"errors": [{"message": message}], "error": message}, status_code=status)


async def _json_body(request: Request) -> Any:
    """The body as JSON, NaN and Infinity allowed. Raises Fault if it is too large or isn't JSON."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > LARGEST_BODY_BYTES:
        raise Fault("the request is too large", 413)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_BODY_BYTES:
            raise Fault("the request is too large", 413)
        chunks.append(chunk)
    try:
        return json.loads(b"".join(chunks))
    except (ValueError, RecursionError) as error:
        raise Fault(f"the body is not JSON: {error}") from None
