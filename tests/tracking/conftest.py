"""A local server, and a folder in which `scaling-lab train` is a real process that logs to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import RunningServer
from trainings import Training


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server with an empty store, up until the test is over, and asked for nothing that it doesn't have."""
    home = tmp_path / "home"
    home.mkdir()
    running = RunningServer(home / "store", home).start()
    yield running
    assert running.process is not None
    gaps = running.gaps() if running.process.poll() is None else {}
    running.stop()
    assert gaps == {}


@pytest.fixture
def training(folder: Path, server: RunningServer) -> Iterator[Training]:
    """One small run, trained by processes that find the server in their environment."""
    training = Training(folder, server)
    yield training
    training.kill()
