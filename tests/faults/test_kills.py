"""A run killed at any moment, fifty times over: while saving, while journaling, while beginning and while ending."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_runs import MakeConfig

from scaling_lab.config import RunConfig, dump_yaml
from scaling_lab.errors import Stopped
from scaling_lab.tracking.journal import read_journal
from scaling_lab.tracking.metrics import TIMED_METRICS, TRAIN_LOSS, TRAIN_STEP
from scaling_lab.tracking.results import read_results
from scaling_lab.training.checkpoint import load_tensors
from scaling_lab.training.loop import train

pytestmark = pytest.mark.slow

N_KILLS = 50
N_STEPS = 900

# Forks the processes that train from one that has imported torch already; each is killed at a moment drawn at random.
KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from scaling_lab.config import load_config
from scaling_lab.tracking.journal import read_journal
from scaling_lab.training.loop import train

config = load_config(Path("run.yaml"), environ={})
journal, checkpoints = config.run_dir / "metrics.jsonl", config.run_dir / "checkpoints"
moments, last_row, last_saved = random.Random(int(sys.argv[2])), 0, 0
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        train(config)
        os._exit(0)
    if moments.random() < 0.5:  # somewhere in its beginning
        time.sleep(moments.uniform(0.02, 0.2))
    else:  # while it trains, however long its beginning takes here
        size = journal.stat().st_size if journal.exists() else 0
        while not journal.exists() or journal.stat().st_size <= size:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.1))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it was trained to its end before it was killed"
    steps = [row["train/step"] for row in read_journal(journal) if "train/loss" in row] if journal.exists() else []
    assert steps == list(range(1, len(steps) + 1)), "a gap or a repeat in the journal"
    saved = max((int(path.name[5:]) for path in checkpoints.glob("step-*") if path.name[5:].isdigit()), default=0)
    assert last_row <= len(steps) and last_saved <= saved <= len(steps), "something was lost"
    last_row, last_saved = len(steps), saved
print(last_saved)
"""

# Trains until the evaluation of step 10 is in the journal, and is killed there and then.
KILLED_AFTER_EVALUATION = """
import os, signal
from pathlib import Path
from scaling_lab.config import load_config
from scaling_lab.training.loop import train

def watch(_, row):
    if row["train/step"] == 10 and "val/loss" in row:
        os.kill(os.getpid(), signal.SIGKILL)

train(load_config(Path("run.yaml"), environ={}), watch=watch)
"""


def rows(config: RunConfig) -> list[dict[str, float]]:
    return [
        {name: value for name, value in row.items() if name not in TIMED_METRICS}
        for row in read_journal(config.run_dir / "metrics.jsonl")
    ]


def test_a_run_killed_fifty_times_ends_as_one_that_never_was(small_run: MakeConfig, folder: Path) -> None:
    length = {"recipe.tokens": 256 * N_STEPS, "recipe.evaluations": 90}
    # Killed, it writes a checkpoint after every step; at the end one.
    (folder / "run.yaml").write_text(dump_yaml(small_run(name="killed", **length)))
    length["machine.checkpoint_every_seconds"] = 86_400
    whole, killed = small_run(name="whole", **length), small_run(name="killed", **length)
    command = [sys.executable, "-c", KILLS, str(N_KILLS), "0"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 10
    train(killed)
    train(whole)
    # As a list: neither order, nor a row twice, nor one that is lacking would be the same.
    assert rows(killed) == rows(whole)
    ours, theirs = (load_tensors(config.run_dir / "best_model.pt") for config in (killed, whole))
    assert ours["step"] == theirs["step"]
    assert all(torch.equal(ours["model"][name], weight) for name, weight in theirs["model"].items())
    results = read_results(killed.run_dir)
    assert results is not None
    assert (results["state"], results["best_step"]) == ("complete", theirs["step"])
    # What was half-written is gone.
    assert {path.name for path in killed.run_dir.iterdir()} == {path.name for path in whole.run_dir.iterdir()}
    assert [path for path in (killed.run_dir / "checkpoints").iterdir() if not path.name[5:].isdigit()] == []


def test_the_best_weights_are_known_after_a_kill_between_their_row_and_the_next_checkpoint(
    small_run: MakeConfig, folder: Path
) -> None:
    config = small_run()
    (folder / "run.yaml").write_text(dump_yaml(config))
    with pytest.raises(Stopped):  # in the evaluation of step 10, which the next process does
        train(config, watch=stop_at(10))
    killed = subprocess.run([sys.executable, "-c", KILLED_AFTER_EVALUATION], cwd=folder, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(Stopped):
        train(config, watch=stop_at(12))
    progress = load_tensors(config.run_dir / "checkpoints" / "step-12" / "state.pt")["progress"]
    assert (progress["best_step"], progress["evaluated_step"]) == (10, 10)
    assert load_tensors(config.run_dir / "best_model.pt")["step"] == 10


def stop_at(step: int) -> Callable[[object, dict[str, float]], None]:
    """Asks for a stop as soon as that step is trained."""

    def watch(_: object, row: dict[str, float]) -> None:
        if row[TRAIN_STEP] == step and TRAIN_LOSS in row:
            signal.raise_signal(signal.SIGTERM)

    return watch
