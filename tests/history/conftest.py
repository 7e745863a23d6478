"""A local server with runs on it, and a cache of pulled rows that is a test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import RunningServer, running_server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pulled rows are kept: empty at first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "scaling-lab" / "history"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server for the tests of a module, with no gaps until they are over; each uses a project of its own."""
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server
