"""Interrupted and damaged runs: nothing lost, nothing trusted that shouldn't be."""

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scaling_lab.config import RunConfig, dump_yaml
from scaling_lab.errors import CheckpointError, DivergedError, Stopped
from scaling_lab.tracking import metrics
from scaling_lab.tracking.journal import read_journal
from scaling_lab.tracking.results import read_results
from scaling_lab.training.checkpoint import load_newest_checkpoint, load_tensors, save_checkpoint
from scaling_lab.training.loop import train

MakeConfig = Callable[..., RunConfig]


def state(number: int) -> dict[str, Any]:
    return {"weights": torch.full((3,), float(number))}


def rows(config: RunConfig) -> list[dict[str, Any]]:
    timed = metrics.TIMED_METRICS
    return [
        {name: value for name, value in row.items() if name not in timed}
        for row in read_journal(config.run_dir / "metrics.jsonl")
    ]


def start(config: RunConfig, folder: Path) -> subprocess.Popen[bytes]:
    """A real `scaling-lab train` process."""
    path = folder / f"{config.run_name}.yaml"
    path.write_text(dump_yaml(config))
    command = [sys.executable, "-m", "scaling_lab", "train", "--config", str(path)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for_step(config: RunConfig, step: int) -> None:
    journal = config.run_dir / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if journal.exists() and any(row[metrics.TRAIN_STEP] >= step for row in read_journal(journal)):
            return
        time.sleep(0.02)
    pytest.fail(f"no step {step} within a minute")


def test_the_two_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, state(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-2", "step-3"]
    newest = load_newest_checkpoint(tmp_path)
    assert newest is not None
    assert newest["weights"].tolist() == [3, 3, 3]


@pytest.mark.parametrize("harm", ["flipped byte", "cut file", "empty file", "no manifest", "no state"])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: str
) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path, step, state(step))
    damage(tmp_path / "step-2", harm)
    loaded = load_newest_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded["weights"].tolist() == [1, 1, 1]
    assert "step-2" in capsys.readouterr().err


def damage(checkpoint: Path, harm: str) -> None:
    file = checkpoint / "state.pt"
    content = bytearray(file.read_bytes())
    if harm == "flipped byte":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif harm == "cut file":
        file.write_bytes(content[:-40])
    elif harm == "empty file":
        file.write_bytes(b"")
    else:
        (checkpoint / ("manifest.json" if harm == "no manifest" else "state.pt")).unlink()


def test_where_every_checkpoint_is_damaged_nothing_begins_again_in_silence(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, state(1))
    damage(tmp_path / "step-1", "cut file")
    with pytest.raises(CheckpointError, match="none of 1 checkpoints is whole"):
        load_newest_checkpoint(tmp_path)


class Malicious:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("was-run",)


def test_a_file_that_would_run_code_is_refused_and_nothing_is_run(folder: Path) -> None:
    path = folder / "best_model.pt"
    torch.save({"model": Malicious()}, path)
    with pytest.raises(CheckpointError, match="can't be read as tensors"):
        load_tensors(path)
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(CheckpointError):
        load_tensors(path)
    assert not (folder / "was-run").exists()


def test_not_a_number_stops_the_run_before_the_optimizer_moves(small_run: MakeConfig) -> None:
    config = small_run()
    train(config)
    break_weights(config)
    with pytest.raises(DivergedError, match="step 19"):
        train(config)
    results = read_results(config.run_dir)
    assert results is not None
    assert results["state"] == "diverged"
    assert load_newest_checkpoint(config.run_dir / "checkpoints") is not None
    assert rows(config)[-1][metrics.TRAIN_STEP] == 18


def break_weights(config: RunConfig) -> None:
    """Put the run back to step 18, with one weight that is no number, in a checkpoint that is whole."""
    checkpoints = config.run_dir / "checkpoints"
    content = load_tensors(checkpoints / "step-19" / "state.pt")
    content["model"]["embedding.weight"][0, 0] = float("nan")
    content["progress"]["step"] = 18
    for step in (19, 20):
        (checkpoints / f"step-{step}").rename(checkpoints / f"old-{step}")
    save_checkpoint(checkpoints, 18, content)
    results = read_results(config.run_dir)
    assert results is not None
    (config.run_dir / "training_results.json").write_text(json.dumps(results | {"state": "stopped"}))
    lines = (config.run_dir / "metrics.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(('{"train/step":19', '{"train/step":20'))]
    (config.run_dir / "metrics.jsonl").write_text("".join(kept))


def test_a_manifest_names_the_hash_of_what_it_stands_beside(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 4, state(4))
    manifest = json.loads((tmp_path / "step-4" / "manifest.json").read_text())
    content = (tmp_path / "step-4" / "state.pt").read_bytes()
    assert manifest["sha256"]["state.pt"] == hashlib.sha256(content).hexdigest()


LONG = {"recipe.tokens": 256 * 200, "recipe.evaluations": 2}


@pytest.mark.slow
def test_a_run_stopped_by_a_signal_ends_with_75_and_goes_on_to_the_same_numbers(
    small_run: MakeConfig, folder: Path
) -> None:
    whole, stopped = small_run(name="whole", **LONG), small_run(name="stopped", **LONG)
    train(whole)
    process = start(stopped, folder)
    wait_for_step(stopped, 5)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75
    assert b"a checkpoint was written" in said
    assert 5 <= len(rows(stopped)) < 200
    train(stopped)
    assert rows(stopped) == rows(whole)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_numbers(small_run: MakeConfig, folder: Path) -> None:
    whole, killed = small_run(name="whole", **LONG), small_run(name="killed", **LONG)
    train(whole)
    for step in (4, 30):
        process = start(killed, folder)
        wait_for_step(killed, step)
        process.kill()
        process.communicate()
    train(killed)
    assert rows(killed) == rows(whole)


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_two_processes_never_share_a_run(small_run: MakeConfig, folder: Path) -> None:
    config = small_run(**{**LONG, "recipe.tokens": 256 * 20_000})
    first = start(config, folder)
    wait_for_step(config, 2)
    with pytest.raises(CheckpointError, match=rf"process {first.pid} is training this run"):
        train(config)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=30)
    assert first.returncode == 130
    assert b"the same command goes on" in said
    assert b"Traceback" not in said


@pytest.mark.parametrize("step", [7, 10, 20])
def test_a_run_stopped_in_a_step_or_an_evaluation_goes_on_to_the_same_numbers(small_run: MakeConfig, step: int) -> None:
    whole, stopped = small_run(name="whole"), small_run(name="stopped")
    train(whole)

    def stop_at(_: object, row: dict[str, Any]) -> None:
        if row[metrics.TRAIN_STEP] == step and metrics.TRAIN_LOSS in row:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="the same command goes on"):
        train(stopped, watch=stop_at)
    # Steps 10 and 20 are evaluated; asked to stop in it, the run leaves that for later.
    assert [row for row in rows(stopped) if row[metrics.TRAIN_STEP] == step and metrics.VAL_LOSS in row] == []
    assert rows(stopped)[-1][metrics.TRAIN_STEP] == step
    assert (stopped.run_dir / "checkpoints" / f"step-{step}").is_dir()
    train(stopped)
    assert rows(stopped) == rows(whole)


def test_rows_that_nothing_vouches_for_are_not_taken_over(small_run: MakeConfig) -> None:
    config = small_run()
    train(config)
    before = rows(config)
    journal = config.run_dir / "metrics.jsonl"
    journal.write_text(journal.read_text().replace('"train/loss":', '"train/loss":9'))
    (config.run_dir / "training_results.json").unlink()
    shutil.rmtree(config.run_dir / "checkpoints")
    train(config)
    assert rows(config) == before
