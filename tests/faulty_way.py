"""A way to a server that fails every third time, as the network between a run and W&B may."""

import http.server
import itertools
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from servers import RunningServer

HANGS_SECONDS = 3.0
# A status, or: the server gets what was sent and its answer is cut in the middle; nothing is answered for a while.
CUT, HANG = "cut", "hang"
Fault = int | str


@contextmanager
def faulty_way(server: RunningServer, faults: Sequence[Fault]) -> Iterator[str]:
    """An address that leads to the server; every third request meets the next of `faults`, in turn."""
    lock, coming = threading.Lock(), itertools.cycle([None, None, *_spread(faults)])

    class Way(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with lock:
                fault = next(coming)
            if isinstance(fault, int):
                self.send_error(fault)
                return
            if fault == HANG:
                threading.Event().wait(HANGS_SECONDS)
                self.close_connection = True
                return
            status, content = self._asked(body)
            # Files too are put and fetched this way.
            content = content.replace(server.url.encode(), address.encode())
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if fault == CUT:
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
                return
            self.wfile.write(content)

        def _asked(self, body: bytes) -> tuple[int, bytes]:
            """What the server itself answers."""
            request = urllib.request.Request(server.url + self.path, data=body or None, method=self.command)
            for name in ("Authorization", "Content-Type"):
                if name in self.headers:
                    request.add_header(name, self.headers[name])
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()

        do_GET = do_POST = do_PUT = pass_on

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    way = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Way)
    way.daemon_threads = True
    address = f"http://127.0.0.1:{way.server_port}"
    threading.Thread(target=way.serve_forever, daemon=True).start()
    try:
        yield address
    finally:
        way.shutdown()
        way.server_close()


def _spread(faults: Sequence[Fault]) -> list[Fault | None]:
    return [step for fault in faults for step in (fault, None, None)]
