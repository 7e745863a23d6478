"""Two processes that pull one project into one cache: one waits for the other, and both have the same.

Two on one run: tests/training/test_checkpoint.py; on one store: tests/localserver/test_serving.py; on one dataset:
tests/data/test_packing.py.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from remote_runs import log, run_of_steps
from servers import RunningServer

pytestmark = pytest.mark.slow

TABLES = ("runs.csv", "training.csv", "evaluations.csv")


def start(server: RunningServer, folder: Path, out: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "scaling_lab", "history", "pull", "--project", "music-scaling", "--out", out]
    environment = server.environment() | {"XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def test_pulls_into_one_cache_give_the_same_tables(server: RunningServer, folder: Path) -> None:
    log(server, *(run_of_steps(f"run{number}", range(1, 400), name=f"mini-tiny-seed{number}") for number in range(3)))
    pulls = [start(server, folder, f"tables{number}") for number in range(3)]
    # One that is killed in the middle leaves the others, and the cache, whole.
    pulls[2].kill()
    for pull in pulls:
        _, said = pull.communicate(timeout=120)
        assert pull.returncode == (-9 if pull is pulls[2] else 0), said
    again = start(server, folder, "tables2")
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    for name in TABLES:
        contents = {(folder / f"tables{number}" / name).read_bytes() for number in range(3)}
        assert len(contents) == 1
    assert len((folder / "tables0" / "training.csv").read_bytes().splitlines()) == 1 + 3 * 399
