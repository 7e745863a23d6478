"""The installed SDK asks for nothing that the server has no answer for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_operation_of_the_installed_sdk_has_an_answer() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "wandb_operations.py")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "without an answer: none" in ended.stdout
    asked = int(ended.stdout.split(" operations asked")[0].rsplit(" ", 1)[1])
    assert asked >= 80
