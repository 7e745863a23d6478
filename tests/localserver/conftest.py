"""Servers for tests. Whatever the SDK asks of one and it doesn't have fails the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import RunningServer


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """`make_server(crashed_after_seconds=3)`: a server over a new store, up and with no gaps until the test is over."""
    servers: list[RunningServer] = []

    def make(**options: Any) -> RunningServer:
        home = tmp_path / f"home{len(servers)}"
        home.mkdir()
        servers.append(RunningServer(tmp_path / f"store{len(servers)}", home, **options).start())
        return servers[-1]

    yield make
    gaps = []
    for server in servers:
        assert server.process is not None
        if server.process.poll() is None:
            gaps.append(server.gaps())
            server.stop()
    assert gaps == [{}] * len(gaps)


@pytest.fixture
def server(make_server: Callable[..., RunningServer]) -> RunningServer:
    """A server with an empty store."""
    return make_server()
