"""Checkpoints harmed on disk, as a user meets it: named, passed over or refused, and never a silent fresh start.

What each harm is to the functions that read checkpoints is in tests/training/test_checkpoint.py.
"""

import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_in_process import CommandLine
from small_runs import MakeConfig

from scaling_lab.config import RunConfig, dump_yaml
from scaling_lab.errors import Stopped
from scaling_lab.tracking import metrics
from scaling_lab.tracking.journal import read_journal
from scaling_lab.training.checkpoint import load_tensors, save_checkpoint
from scaling_lab.training.loop import train


class Malicious:
    """Unpickled, it makes a folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("was-run",)


def flip_a_byte(checkpoint: Path) -> None:
    content = bytearray((checkpoint / "state.pt").read_bytes())
    content[len(content) // 3] ^= 0x10
    (checkpoint / "state.pt").write_bytes(content)


def cut(checkpoint: Path) -> None:
    os.truncate(checkpoint / "state.pt", 1000)


def empty(checkpoint: Path) -> None:
    os.truncate(checkpoint / "state.pt", 0)


def lose_the_manifest(checkpoint: Path) -> None:
    (checkpoint / "manifest.json").unlink()


def empty_the_manifest(checkpoint: Path) -> None:
    os.truncate(checkpoint / "manifest.json", 0)


HARMS = (flip_a_byte, cut, empty, lose_the_manifest, empty_the_manifest)


def stop_after_step_9(_: object, row: dict[str, Any]) -> None:
    if row[metrics.TRAIN_STEP] == 9:
        signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def stopped(small_run: MakeConfig, folder: Path) -> RunConfig:
    """A run stopped at step 9, with its two newest checkpoints, and `run.yaml` to go on with it."""
    config = small_run(name="stopped")
    (folder / "run.yaml").write_text(dump_yaml(config))
    with pytest.raises(Stopped):
        train(config, watch=stop_after_step_9)
    return config


def checkpoints(config: RunConfig) -> list[Path]:
    """The newest first."""
    return sorted((config.run_dir / "checkpoints").iterdir(), key=lambda path: -int(path.name[5:]))


def rows(config: RunConfig) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name not in metrics.TIMED_METRICS}
        for row in read_journal(config.run_dir / "metrics.jsonl")
    ]


@pytest.mark.parametrize("harm", HARMS)
def test_a_harmed_newest_checkpoint_is_named_and_the_run_ends_with_the_same_numbers(
    stopped: RunConfig, small_run: MakeConfig, scaling_lab: CommandLine, harm: Callable[[Path], None]
) -> None:
    newest = checkpoints(stopped)[0]
    harm(newest)
    ended = scaling_lab("train", "--config", "run.yaml")
    assert ended.code == 0, ended.err
    assert f"warning: {newest}: " in ended.err
    assert "the checkpoint before it is tried" in ended.err
    whole = small_run(name="whole")
    train(whole)
    assert rows(stopped) == rows(whole)


@pytest.mark.parametrize("harm", HARMS)
def test_where_every_checkpoint_is_harmed_nothing_is_begun_again(
    stopped: RunConfig, scaling_lab: CommandLine, harm: Callable[[Path], None]
) -> None:
    for checkpoint in checkpoints(stopped):
        harm(checkpoint)
    before = (stopped.run_dir / "metrics.jsonl").read_bytes()
    ended = scaling_lab("train", "--config", "run.yaml")
    assert ended.code == 1
    assert "none of 2 checkpoints is whole; remove the run's folder to begin again" in ended.err
    assert "bug" not in ended.err
    assert (stopped.run_dir / "metrics.jsonl").read_bytes() == before


def test_a_checkpoint_made_to_run_code_is_refused_and_nothing_is_run(
    stopped: RunConfig, scaling_lab: CommandLine, folder: Path
) -> None:
    for checkpoint in checkpoints(stopped):
        torch.save({"model": Malicious()}, checkpoint / "state.pt")
        digest = hashlib.sha256((checkpoint / "state.pt").read_bytes()).hexdigest()
        (checkpoint / "manifest.json").write_text(json.dumps({"step": 9, "sha256": {"state.pt": digest}}))
    ended = scaling_lab("train", "--config", "run.yaml")
    assert ended.code == 1
    assert "can't be read as tensors and plain values" in ended.err
    assert not (folder / "was-run").exists()


def test_a_run_of_another_recipe_data_or_architecture_is_not_gone_on_with(
    stopped: RunConfig, scaling_lab: CommandLine
) -> None:
    before = (stopped.run_dir / "metrics.jsonl").read_bytes()
    for changed, field in (
        (("--learning-rate", "1e-4"), "recipe.learning_rate"),
        (("-o", "model.d_ff=64"), "model.d_ff"),
        (("--seed", "7"), "seed"),
    ):
        ended = scaling_lab("train", "--config", "run.yaml", *changed)
        assert ended.code == 2
        assert "holds a run with other settings" in ended.err
        assert field in ended.err
    tune = Path("music/train/data.json")
    tune.write_text(tune.read_text().replace("[", "[1, ", 1))
    ended = scaling_lab("train", "--config", "run.yaml")
    assert ended.code == 2
    assert "data.fingerprint" in ended.err
    assert (stopped.run_dir / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_a_run_whose_numbers_run_away_ends_with_3_keeps_its_checkpoint_and_is_out_of_the_fit(
    stopped: RunConfig, scaling_lab: CommandLine, value: float
) -> None:
    folder = stopped.run_dir / "checkpoints"
    state = load_tensors(folder / "step-9" / "state.pt")
    state["model"]["embedding.weight"][:, 0] = value
    save_checkpoint(folder, 9, state)
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    ended = scaling_lab("train", "--config", "run.yaml")
    assert ended.code == 3
    assert "step 10" in ended.err
    assert {path: path.read_bytes() for path in kept} == kept
    assert rows(stopped)[-1][metrics.TRAIN_STEP] == 9
    ended = scaling_lab("report", "--results-dir", "outputs", "--json")
    assert ended.code == 0
    (left_out,) = json.loads(ended.out)["left_out"]
    assert (left_out["name"], "diverged" in left_out["reason"]) == ("stopped", True)
