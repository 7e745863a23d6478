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


def test_two_processes_give_the_losses_of_one_and_one_of_them_speaks(folder: Path) -> None:
    write_corpus(folder / "music")
    run(folder, "--tokens", "10240", "--name", "alone", processes=1)
    said = run(folder, "--tokens", "10240", "--name", "together")
    assert said.count("validation loss") == 1
    alone, together = rows(folder, "alone"), rows(folder, "together")
    assert [row[metrics.TRAIN_STEP] for row in together] == [row[metrics.TRAIN_STEP] for row in alone]
    for name in (metrics.TRAIN_LOSS, metrics.GRAD_NORM):
        assert together[0][name] == pytest.approx(alone[0][name], rel=2e-6)
    # AdamW's first steps turn a rounding of a small gradient into a whole step.
    for one, two in zip(alone, together, strict=True):
        for name in (metrics.TRAIN_LOSS, metrics.GRAD_NORM, metrics.VAL_LOSS):
            assert two.get(name, 0) == pytest.approx(one.get(name, 0), rel=1e-3)


def test_a_stopped_run_of_two_goes_on_to_the_same_end(folder: Path) -> None:
    write_corpus(folder / "music")
    journal = folder / "outputs/stopped/metrics.jsonl"
    process = subprocess.Popen(
        command("--tokens", "204800", "--name", "stopped"), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
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
    assert 0 < results["steps_done"] < 400

    run(folder, "--tokens", "204800", "--name", "stopped")
    run(folder, "--tokens", "204800", "--name", "whole")
    stopped, whole = rows(folder, "stopped"), rows(folder, "whole")
    assert [row.get(metrics.TRAIN_LOSS) for row in stopped] == [row.get(metrics.TRAIN_LOSS) for row in whole]


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
