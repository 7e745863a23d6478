"""The server's application called in this process, as uvicorn calls it: thousands of requests in seconds."""

import asyncio
import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from server_client import Answer

from scaling_lab.localserver.app import create_app
from scaling_lab.localserver.store import Store

URL = "http://127.0.0.1:8620"


class Application:
    """The application over a store; it answers requests as they would come off a socket."""

    def __init__(self, folder: Path, loop: asyncio.Runner) -> None:
        self.store, self._loop = Store(folder), loop
        self._app = create_app(self.store, URL, ("127.0.0.1", "localhost"), 90.0)
        credentials = base64.b64encode(f"api:{self.store.api_key}".encode())
        self.headers = {b"host": b"127.0.0.1:8620", b"authorization": b"Basic " + credentials}

    def ask(self, method: str, target: bytes, body: bytes = b"", headers: dict[bytes, bytes] | None = None) -> Answer:
        """One request. What the application raises instead of answering is raised here."""
        raw_path, _, query = target.partition(b"?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(raw_path.decode("ascii")),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": list((self.headers | (headers or {})).items()),
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8620),
        }
        return self._loop.run(self._answer(scope, body))

    async def _answer(self, scope: dict[str, Any], body: bytes) -> Answer:
        asked, sent = [{"type": "http.request", "body": body, "more_body": False}], []

        async def receive() -> dict[str, Any]:
            return asked.pop() if asked else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        begin, *rest = sent
        names = {name.decode("latin-1"): value.decode("latin-1") for name, value in begin["headers"]}
        return Answer(begin["status"], names, b"".join(part.get("body", b"") for part in rest))


@contextlib.contextmanager
def application(folder: Path, loop: asyncio.Runner) -> Iterator[Application]:
    """The application over a store, closed when the block ends."""
    served = Application(folder, loop)
    with contextlib.closing(served.store):
        yield served
