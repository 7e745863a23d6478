"""A disk that is full: training, the local server and what writes a report, on a file system without a page of room."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_in_process import CommandLine
from corpora import write_corpus
from server_client import Client
from servers import RunningServer, running_server
from small_disks import SmallDisk, small_disk
from small_runs import MakeConfig
from study_folders import Study

from scaling_lab.config import RunConfig, dump_yaml
from scaling_lab.errors import StorageError
from scaling_lab.tracking import metrics
from scaling_lab.tracking.journal import read_journal
from scaling_lab.training.checkpoint import load_newest_checkpoint, load_tensors
from scaling_lab.training.loop import train

# Enough rows for several pages of a disk.
N_STEPS = 60
LENGTH = {"recipe.tokens": 256 * N_STEPS}

Watch = Callable[[object, dict[str, Any]], None]


@pytest.fixture
def disk(folder: Path) -> Iterator[SmallDisk]:
    with small_disk(folder / "disk") as disk:
        yield disk


@pytest.fixture
def whole(small_run: MakeConfig) -> RunConfig:
    """The run as it is where there is room; trained."""
    config = small_run(name="whole", **LENGTH)
    train(config)
    return config


def on(disk: SmallDisk, small_run: MakeConfig, **changes: object) -> RunConfig:
    """The same run on a small disk."""
    return small_run(name="mine", output_dir=str(disk.path / "outputs"), **LENGTH, **changes)


def at_steps(**calls: Callable[[], object]) -> Watch:
    """Does `step_5` once the row of training step 5 is recorded."""

    def watch(_: object, row: dict[str, Any]) -> None:
        if metrics.TRAIN_LOSS in row and (call := calls.get(f"step_{row[metrics.TRAIN_STEP]}")):
            call()

    return watch


def rows(config: RunConfig) -> list[dict[str, Any]]:
    """The journal without what a clock said."""
    return [
        {name: value for name, value in row.items() if name not in metrics.TIMED_METRICS}
        for row in read_journal(config.run_dir / "metrics.jsonl")
    ]


def newest_step(config: RunConfig) -> int:
    """Step of the newest checkpoint, which is whole."""
    checkpoint = load_newest_checkpoint(config.run_dir / "checkpoints")
    assert checkpoint is not None
    return checkpoint["progress"]["step"]


def assert_same(config: RunConfig, whole: RunConfig) -> None:
    """Every row and the best weights are, to the last bit, those of a run that always had room."""
    assert rows(config) == rows(whole)
    mine, theirs = (load_tensors(run.run_dir / "best_model.pt") for run in (config, whole))
    assert mine["step"] == theirs["step"]
    assert all(torch.equal(mine["model"][name], weight) for name, weight in theirs["model"].items())
    assert {path.name for path in config.run_dir.iterdir()} == {path.name for path in whole.run_dir.iterdir()}


# Steps 15, 30, 45 and 60 are evaluated.
@pytest.mark.parametrize("every_seconds", [0, 86_400], ids=["checkpoints", "journal alone"])
def test_a_disk_full_for_a_while_costs_one_warning_and_no_number(
    disk: SmallDisk, small_run: MakeConfig, whole: RunConfig, every_seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    config = on(disk, small_run, **{"machine.checkpoint_every_seconds": every_seconds})
    kept = []

    def look() -> None:
        kept.append(newest_step(config) if every_seconds == 0 else max(row[metrics.TRAIN_STEP] for row in rows(config)))

    train(config, watch=at_steps(step_7=disk.fill, step_40=look, step_41=disk.free))
    assert_same(config, whole)
    assert 6 <= kept[0] < 40
    assert capsys.readouterr().err.count("nothing can be kept (No space left on device)") == 1


@pytest.mark.parametrize("step", [1, 25, 30, 60])
def test_a_disk_full_to_the_end_ends_with_1_and_the_run_goes_on_once_there_is_room(
    disk: SmallDisk, small_run: MakeConfig, whole: RunConfig, step: int
) -> None:
    config = on(disk, small_run)
    with pytest.raises(StorageError, match=r"step 60 is done and can't be kept \(No space left on device\)") as ended:
        train(config, watch=at_steps(**{f"step_{step}": disk.fill}))
    assert ended.value.exit_code == 1
    if step > 1:
        assert newest_step(config) in (step - 1, step)
    disk.free()
    train(config)
    assert_same(config, whole)


def test_a_run_stopped_while_the_disk_is_full_does_not_say_that_a_checkpoint_was_written(
    disk: SmallDisk, small_run: MakeConfig, whole: RunConfig
) -> None:
    config = on(disk, small_run)
    stop = at_steps(step_6=disk.fill, step_9=lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(StorageError, match="step 9 is done and can't be kept"):
        train(config, watch=stop)
    disk.free()
    train(config)
    assert_same(config, whole)


@pytest.mark.slow
def test_a_run_that_cannot_begin_for_want_of_room_says_so(disk: SmallDisk, small_run: MakeConfig, folder: Path) -> None:
    (folder / "run.yaml").write_text(dump_yaml(on(disk, small_run)))
    (disk.path / "outputs" / "mine").mkdir(parents=True)
    disk.fill()
    command = [sys.executable, "-m", "scaling_lab", "train", "--config", "run.yaml"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "No space left on device; free some space and run it again" in ended.stderr
    assert "bug" not in ended.stderr
    disk.free()
    assert subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False).returncode == 0


@pytest.mark.slow
def test_a_server_whose_disk_is_full_keeps_what_it_has_and_takes_the_rest_later(disk: SmallDisk) -> None:
    with running_server(disk.path / "server") as server:
        client = Client(server)
        client.run("one")
        client.log("one", [{"_step": step, "loss": 1.0} for step in range(3)])
        address = client.upload("one", "config.yaml", b"before")
        many = {"offset": 3, "content": [json.dumps({"_step": step, "text": "x" * 2000}) for step in range(3, 300)]}
        disk.fill()
        # 500: whoever asks, asks again.
        assert client.stream("one", {"files": {"wandb-history.jsonl": many}}).status == 500
        assert client.ask("PUT", address, b"after" * 10_000).status == 500
        assert lines_of(server) == 3
        assert client.ask("GET", address).body == b"before"
        disk.free()
        assert client.stream("one", {"files": {"wandb-history.jsonl": many}}).status == 200
        assert client.ask("PUT", address, b"after").status == 200
        assert lines_of(server) == 300
        assert client.ask("GET", address).body == b"after"
        assert list(server.store.rglob("*.partial")) == []


def lines_of(server: RunningServer) -> int:
    query = '{ project(name: "music", entityName: "local") { run(name: "one") { historyLineCount } } }'
    return server.graphql(query)["project"]["run"]["historyLineCount"]


def test_a_report_that_a_full_disk_does_not_take_leaves_the_old_one(
    disk: SmallDisk, folder: Path, scaling_lab: CommandLine
) -> None:
    Study(folder / "runs").write()
    out = disk.path / "report.html"
    out.write_text("what was there")
    command = ("report", "--results-dir", "runs", "--out", str(out))
    disk.fill()
    ended = scaling_lab(*command)
    assert ended.code == 2
    assert "can't be written (No space left on device)" in ended.err
    assert out.read_text() == "what was there"
    disk.free()
    assert list(disk.path.iterdir()) == [out]
    assert scaling_lab(*command).code == 0


@pytest.mark.parametrize("command", [("lint",), ("study", "--sizes", "tiny"), ("train", "--size", "tiny")])
def test_data_that_a_full_disk_has_no_room_to_pack_are_named(
    disk: SmallDisk, scaling_lab: CommandLine, command: tuple[str, ...]
) -> None:
    music = write_corpus(disk.path / "music")
    disk.fill()
    ended = scaling_lab(*command, "--ladder", "mini", "--data-dir", str(music), "--tracking", "disabled")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"{music}/packed: No space left on device; free some space and run it again\n"
    assert not (music / "packed").exists()


def test_a_study_that_cannot_begin_for_want_of_room_says_so(
    disk: SmallDisk, folder: Path, scaling_lab: CommandLine
) -> None:
    write_corpus(folder / "music")
    disk.fill()
    command = ("study", "--ladder", "mini", "--sizes", "tiny", "--data-dir", "music", "--tracking", "disabled")
    place = disk.path / "outputs"
    ended = scaling_lab(*command, "--batch-size-tokens", "256", "--output-dir", str(place))
    assert (ended.code, ended.out) == (1, "")
    words = "can't be written (No space left on device); free some space and run it again"
    assert ended.err == f"{place}/scaling_study: {words}\n"


def test_a_study_on_a_disk_that_is_read_only_says_what_to_give(
    disk: SmallDisk, folder: Path, scaling_lab: CommandLine
) -> None:
    write_corpus(folder / "music")
    disk.make_read_only()
    command = ("study", "--ladder", "mini", "--sizes", "tiny", "--data-dir", "music", "--tracking", "disabled")
    ended = scaling_lab(*command, "--batch-size-tokens", "256", "--output-dir", str(disk.path / "outputs"))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"{disk.path}: can't be written to; give another place with --output-dir\n"


def test_a_dataset_that_a_full_disk_does_not_take_is_not_there(
    disk: SmallDisk, folder: Path, scaling_lab: CommandLine
) -> None:
    (folder / "tunes").mkdir()
    for number in range(40):
        notes = "".join("CDEFGABc"[(number * step) % 8] for step in range(1, 30))
        (folder / "tunes" / f"{number}.abc").write_text(f"X:1\nM:4/4\nL:1/8\nK:C\n{notes}|\n")
    out = disk.path / "music"
    disk.fill()
    ended = scaling_lab("data", "prepare", "--input", "tunes", "--out", str(out))
    assert ended.code == 1
    assert "No space left on device; free some space and run it again" in ended.err
    assert not out.exists()
    disk.free()
    assert scaling_lab("data", "prepare", "--input", "tunes", "--out", str(out)).code == 0
