"""A local server in a process of its own, as a user would start it, and the environment that leads the SDK to it."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class RunningServer:
    """`scaling-lab server` over a store; killed and started again, it has the same address."""

    store: Path
    home: Path
    crashed_after_seconds: float = 90.0
    url: str = ""
    api_key: str = ""
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self) -> "RunningServer":
        command = [sys.executable, "-m", "scaling_lab", "server", "--store", str(self.store)]
        # Any free port at first, then the same one again.
        port = self.url.rsplit(":", 1)[1] if self.url else "0"
        command += ["--port", port, "--crashed-after", str(self.crashed_after_seconds)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.url, self.api_key = (self.process.stdout.readline().strip().split("=", 1)[1] for _ in range(2))
        return self

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.communicate(timeout=30)

    def environment(self) -> dict[str, str]:
        """The process's own, with this server, and with a home that holds no account."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "SCALING_LAB_"))}
        return kept | {
            "HOME": str(self.home),
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": self.api_key,
            "WANDB_SILENT": "true",
            "WANDB_CACHE_DIR": str(self.home / "cache"),
            "WANDB_DATA_DIR": str(self.home / "data"),
            # Where `${interpreter}` of a sweep finds python.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def python(self, source: str, *arguments: str, cwd: Path, timeout: float = 120) -> str:
        """Run a script that uses the SDK against this server; what it printed. One that hangs says where."""
        watch = f"import faulthandler; faulthandler.dump_traceback_later({timeout - 10}, exit=True)\n"
        command = [sys.executable, "-c", watch + source, *arguments]
        ended = subprocess.run(
            command, cwd=cwd, env=self.environment(), capture_output=True, text=True, timeout=timeout, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def get(self, path: str) -> bytes:
        """What the server answers under a path, to one who has the key."""
        return self._ask(urllib.request.Request(self.url + path))

    def graphql(self, query: str, **variables: Any) -> Any:
        """The answer to an operation, asked for as the SDK does. Raises HTTPError where the server refuses."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        return json.loads(self._ask(urllib.request.Request(f"{self.url}/graphql", data=body)))["data"]

    def _ask(self, request: urllib.request.Request) -> bytes:
        credentials = base64.b64encode(f"api:{self.api_key}".encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def gaps(self) -> dict[str, int]:
        """What the SDK asked for and didn't get."""
        return json.loads(self.get("/gaps"))


@contextmanager
def running_server(folder: Path, **options: Any) -> Iterator[RunningServer]:
    """A server with an empty store in `folder`. Whatever the SDK asks of it and it doesn't have fails the test."""
    home = folder / "home"
    home.mkdir(parents=True)
    server = RunningServer(folder / "store", home, **options).start()
    try:
        yield server
        assert server.process is not None
        # One that a test killed answers no more.
        gaps = server.gaps() if server.process.poll() is None else {}
    finally:
        server.stop()
    assert gaps == {}


def give_own_port(store: Path) -> None:
    """Have a store served where no other test's server would go while this one is killed and started again."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store.mkdir(parents=True, exist_ok=True)
    (store / "server.json").write_text(json.dumps({"url": f"http://127.0.0.1:{port}", "usual_port": port}))


def wait_until(condition: Any, seconds: float = 60, what: str = "it") -> Any:
    """What `condition()` gives once it is true; fails if it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")
