"""Two processes on one run, by the real torchrun: the same numbers as one, a stop and a resume, and one that speaks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpora import write_corpus

from scaling_lab.tracking import metrics
from scaling_lab.tracking.journal import read_journal

pytestmark = pytest.mark.slow

TRAIN = (
    *("train", "--ladder", "mini", "--size", "tiny", "--data-dir", "music", "--tracking", "disabled"),
    *("--batch-size-tokens", "512", "-o", "data.sequence_length=64", "-o", "recipe.evaluations=2", "--threads", "1"),
    *("--precision", "fp32"),
)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m")

HOW = pytest.mark.parametrize("how", [(), ("--shard",)], ids=["whole", "sharded"])


def command(*arguments: str, processes: int = 2) -> list[str]:
    launcher = TORCHRUN if processes == 2 else ("-m",)
    return [sys.executable, *launcher, "scaling_lab", *TRAIN, *arguments]


def run(folder: Path, *arguments: str, processes: int = 2) -> str:
    ended = subprocess.run(
        command(*arguments, processes=processes), cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def rows(folder: Path, name: str) -> list[dict[str, float]]:
    return list(read_journal(folder / "outputs" / name / "metrics.jsonl"))


@HOW
def test_two_processes_give_the_losses_of_one_and_one_of_them_speaks(folder: Path, how: tuple[str, ...]) -> None:
    write_corpus(folder / "music")
    run(folder, "--tokens", "25600", "--name", "alone", processes=1)
    said = run(folder, "--tokens", "25600", "--name", "together", *how)
    assert said.count("validation loss") == 1
    alone, together = rows(folder, "alone"), rows(folder, "together")
    assert len(alone) == 52
    assert [row[metrics.TRAIN_STEP] for row in together] == [row[metrics.TRAIN_STEP] for row in alone]
    for name in (metrics.TRAIN_LOSS, metrics.GRAD_NORM):
        assert together[0][name] == pytest.approx(alone[0][name], rel=1e-6)
    # AdamW's first steps turn a rounding of a small gradient into a whole step.
    for one, two in zip(alone, together, strict=True):
        for name in (metrics.TRAIN_LOSS, metrics.GRAD_NORM, metrics.VAL_LOSS):
            assert two.get(name, 0) == pytest.approx(one.get(name, 0), rel=1e-3)


LONG_STEPS = 200
LONG = ("--tokens", str(512 * LONG_STEPS))


def stop_in_the_middle(folder: Path, name: str, *how: str) -> None:
    journal = folder / "outputs" / name / "metrics.jsonl"
    process = subprocess.Popen(
        command(*LONG, "--name", name, *how), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 90
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 20):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=40)
    assert process.returncode != 0
    assert b"a checkpoint was written" in said
    results = json.loads((journal.parent / "training_results.json").read_text())
    assert results["state"] == "stopped"
    assert 0 < results["steps_done"] < LONG_STEPS


@HOW
def test_a_stopped_run_of_two_goes_on_to_the_same_end(folder: Path, how: tuple[str, ...]) -> None:
    write_corpus(folder / "music")
    stop_in_the_middle(folder, "stopped", *how)
    run(folder, *LONG, "--name", "stopped", *how)
    run(folder, *LONG, "--name", "whole", *how)
    stopped, whole = rows(folder, "stopped"), rows(folder, "whole")
    assert [row.get(metrics.TRAIN_LOSS) for row in stopped] == [row.get(metrics.TRAIN_LOSS) for row in whole]


def test_what_a_sharded_run_leaves_is_whole_and_one_process_goes_on_with_it(folder: Path) -> None:
    write_corpus(folder / "music")
    stop_in_the_middle(folder, "moved", "--shard")
    run(folder, *LONG, "--name", "moved", processes=1)
    run(folder, *LONG, "--name", "whole", processes=1)
    moved, whole = rows(folder, "moved"), rows(folder, "whole")
    assert [row[metrics.TRAIN_STEP] for row in moved] == [row[metrics.TRAIN_STEP] for row in whole]
    for one, other in zip(moved, whole, strict=True):
        assert one.get(metrics.TRAIN_LOSS, 0) == pytest.approx(other.get(metrics.TRAIN_LOSS, 0), rel=1e-3)


def test_a_leader_that_is_killed_leaves_no_process_behind(folder: Path) -> None:
    write_corpus(folder / "music")
    journal = folder / "outputs/killed/metrics.jsonl"
    process = subprocess.Popen(
        command("--tokens", "2048000", "--name", "killed"),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 90
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 5):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(int((journal.parent / ".lock").read_text()), signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and works_in(entry, folder)]


def works_in(entry: Path, folder: Path) -> bool:
    try:
        return entry.name != str(os.getpid()) and os.readlink(entry / "cwd") == str(folder)
    except OSError:
        return False
