"""A command line to call in process, in an empty folder and with nothing of ours in the environment."""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium
from cli_in_process import CommandLine, Ended
from corpora import write_corpus
from hypothesis import HealthCheck, settings
from servers import RunningServer, running_server
from small_runs import MakeConfig, small_config
from trainings import Training

from scaling_lab.commands.app import exit_code

# A shell starts what goes on in its background deaf to Ctrl-C, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow or busy machine fails no test, and no run hangs on what another one found.
settings.register_profile("any machine", database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long tests/faults/test_soak.py goes on; `make soak` takes its time."""
    parser.addoption("--soak-trials", type=int, default=5, help="runs of the study whose processes are killed")
    parser.addoption("--soak-seconds", type=float, default=40.0, help="for how long they are killed")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test: empty, in an environment that says nothing about a run."""
    for name in list(os.environ):
        if name.startswith(("WANDB_", "SCALING_LAB_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scaling_lab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """`scaling_lab("config", "show", "--size", "tiny")` runs that command in this process."""

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["scaling-lab", *arguments])
        code = exit_code()
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return run


@pytest.fixture
def small_run(folder: Path) -> MakeConfig:
    """`small_run(**{"recipe.tokens": 512})`: a config over a small corpus in the test's own folder."""
    write_corpus(folder / "music")
    return small_config


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """`make_server(crashed_after_seconds=3)`: a local server over a new store, up until the test is over."""
    numbers = itertools.count()
    with ExitStack() as servers:
        yield lambda **options: servers.enter_context(running_server(tmp_path / f"server{next(numbers)}", **options))


@pytest.fixture
def server(make_server: Callable[..., RunningServer]) -> RunningServer:
    """A local server with an empty store, up until the test is over."""
    return make_server()


@pytest.fixture
def training(folder: Path, server: RunningServer) -> Iterator[Training]:
    """One small run, trained by processes that find the server in their environment."""
    training = Training(folder, server)
    yield training
    training.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium of whatever name, driven by Playwright."""
    with chromium() as started:
        yield started
