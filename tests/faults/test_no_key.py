"""No API key: a command says what it does instead, in a terminal and without one, and never waits for a key."""

import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import write_corpus
from servers import wait_until

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, str]]

SWEEP = Path(__file__).parents[2] / "sweeps" / "mini.yaml"
TRAIN = (
    *("train", "--ladder", "mini", "--size", "tiny", "--name", "mine", "--data-dir", "music"),
    *("--batch-size-tokens", "512", "--tokens", "2560", "-o", "data.sequence_length=64"),
)


@pytest.fixture
def nobody(folder: Path) -> dict[str, str]:
    """The environment of one who never had an account, and whose W&B is nowhere."""
    write_corpus(folder / "music")
    (folder / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "SCALING_LAB_"))}
    return kept | {"HOME": str(folder / "home"), "WANDB_BASE_URL": "http://127.0.0.1:9"}


def in_terminal(environment: dict[str, str], *words: str) -> tuple[int, str]:
    """Run in a terminal at which nobody types; exit code and all that is seen there."""
    screen, inner = pty.openpty()
    command = [sys.executable, "-m", "scaling_lab", *words]
    process = subprocess.Popen(
        command, env=environment, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
    )
    seen = b""

    def ended() -> bool:
        nonlocal seen
        while select.select([screen], [], [], 0.1)[0]:
            seen += os.read(screen, 65_536)
        return process.poll() is not None

    try:
        wait_until(ended, seconds=90, what=f"{words[0]} to end by itself")
    finally:
        process.kill()
        process.wait()
        os.close(inner)
        os.close(screen)
    return process.returncode, " ".join(seen.decode(errors="replace").split())


def in_the_dark(environment: dict[str, str], *words: str) -> tuple[int, str]:
    """Run without a terminal, and without an input."""
    command = [sys.executable, "-m", "scaling_lab", *words]
    ended = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return ended.returncode, " ".join(ended.stdout.split())


@pytest.mark.parametrize("run", [in_terminal, in_the_dark])
@pytest.mark.parametrize(
    "words",
    [
        ("report", "--project", "music"),
        ("history", "pull", "--project", "music", "--out", "tables"),
        ("sweep", "create", str(SWEEP)),
    ],
    ids=lambda words: words[0],
)
def test_what_needs_wandb_says_how_to_have_it(nobody: dict[str, str], words: tuple[str, ...], run: Run) -> None:
    code, said = run(nobody, *words, "--tracking", "online")
    assert code == 4
    assert "no API key at hand; log in with `wandb login`, or give --tracking local" in said


def test_training_that_was_to_be_in_wandb_goes_on_without(nobody: dict[str, str]) -> None:
    code, said = in_terminal(nobody, *TRAIN, "--tracking", "online")
    assert code == 0
    assert "warning: W&B failed" in said
    assert "training goes on" in said
    assert "mine: validation loss" in said
