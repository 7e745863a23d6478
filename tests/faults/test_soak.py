"""A study whose trials, agents and server are killed at random: it ends by itself, with every trial complete once."""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import give_own_port
from study_desk import STUDY, Desk, new_desk

from scaling_lab.tracking.journal import read_journal

pytestmark = pytest.mark.slow

N_STEPS, BATCH_TOKENS = 60, 256
SIZES = ("tiny", "small", "medium", "large", "xl")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with new_desk(tmp_path) as desk:
        yield desk


def test_every_trial_of_a_study_is_complete_once_whatever_is_killed(desk: Desk, request: pytest.FixtureRequest) -> None:
    n_trials, seconds = request.config.option.soak_trials, request.config.option.soak_seconds
    sizes, seeds = SIZES[: min(n_trials, len(SIZES))], range(n_trials // len(SIZES) or 1)
    give_own_port(desk.folder / "outputs/local-wandb")
    study = desk.begin(
        *(*STUDY, "--sizes", ",".join(sizes), "--seeds", ",".join(map(str, seeds)), "--jobs", "2", "--tunes", "0"),
        *("--tokens", str(BATCH_TOKENS * N_STEPS), "--batch-size-tokens", str(BATCH_TOKENS)),
        *("-o", "machine.checkpoint_every_seconds=1"),
    )
    killed = kill_at_random(desk, study, seconds)
    _, said = study.communicate(timeout=max(600.0, 20.0 * n_trials))
    print(f"killed: {dict(killed)}\n{said[-5000:]}")
    assert study.returncode == 0, said[-5000:]
    assert set(killed) == {"trial", "agent", "server"}

    names = [f"mini-{size}-seed{seed}" for size in sizes for seed in seeds]
    for name in names:
        rows = list(read_journal(desk.folder / "outputs" / name / "metrics.jsonl"))
        assert [row["train/step"] for row in rows if "train/loss" in row] == list(range(1, N_STEPS + 1)), name
        assert desk.results(name)["state"] == "complete"
    # The server holds each trial once, whole.
    trials = desk.status(desk.sweep())["trials"]
    assert Counter(trial["state"] for trial in trials) == {"finished": len(names)}
    assert [trial["step"] for trial in trials] == [N_STEPS] * len(names)
    assert len({trial["run"] for trial in trials}) == len(names)
    assert "the server lacks" not in said
    results = json.loads((desk.folder / "outputs/scaling_study/scaling_study_results.json").read_text())
    assert sorted(run["name"] for run in results["runs"]) == sorted(names)
    assert results["left_out"] == []


def kill_at_random(desk: Desk, study: "subprocess.Popen[str]", seconds: float) -> Counter[str]:
    """Kill processes of a study while it runs, for so long; how many of each kind."""
    moments, killed = random.Random(0), Counter[str]()
    kinds = {"trial": desk.trials_at_work, "agent": desk.agents, "server": desk.servers}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and study.poll() is None:
        time.sleep(moments.uniform(3, 15))
        # One of each at first, so that a short time has them all.
        unharmed = [kind for kind in kinds if not killed[kind]]
        (kind,) = unharmed[:1] or moments.choices([*kinds], weights=[4, 2, 1])
        if victims := kinds[kind]():
            os.kill(moments.choice(victims), signal.SIGKILL)
            killed[kind] += 1
    return killed
