"""A local server, and a folder in which `scaling-lab train` is a real process that logs to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import RunningServer
from trainings import Training


@pytest.fixture
def training(folder: Path, server: RunningServer) -> Iterator[Training]:
    """One small run, trained by processes that find the server in their environment."""
    training = Training(folder, server)
    yield training
    training.kill()
