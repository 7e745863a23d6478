"""`scaling-lab sample` as it is typed."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import mido
import pytest
import torch
from cli_in_process import CommandLine
from corpora import TUNE_CHARACTERS, write_tunes
from small_disks import small_disk


def test_tunes_are_written_and_told(run_dir: Path, scaling_lab: CommandLine) -> None:
    ended = scaling_lab("sample", "--run", str(run_dir), "-n", "3", "--prompt", "M:6/8\\nK:G\\n", "--seed", "5")
    assert ended.code == 0
    tunes, measures, last = (part.splitlines() for part in ended.out.split("\n\n"))
    heading, *rows = tunes
    assert measures[0].split() == ["samples", "held", "out"]
    assert measures[1].split() == ["tunes", "3", "3"]
    assert heading.split() == ["file", "characters", "notes", "ended", "by", "itself"]
    assert last == [f"samples: {run_dir}/samples"]
    for number, row in enumerate(rows, start=1):
        name, characters, notes, _ = row.split()
        number_line, title, text = (run_dir / "samples" / name).read_text().split("\n", maxsplit=2)
        assert (number_line, title) == (f"X:{number}", f"T:mini-tiny, seed 5, sample {number}")
        assert text.startswith("M:6/8\nK:G\n")
        assert abs(len(text) - int(characters)) <= 1
        assert sum(letter in "GABcdefg" for letter in text.removeprefix("M:6/8\nK:G\n")) >= int(notes) > 0
    assert len(rows) == 3


def test_a_run_is_found_by_its_name_and_what_is_printed_can_be_pure_json(
    run_dir: Path, scaling_lab: CommandLine
) -> None:
    told = json.loads(scaling_lab("sample", "--run", run_dir.name, "-n", "2", "--out", "mine", "--json").out)
    assert (told["run"], told["size"], told["seed"], told["folder"]) == (str(run_dir), "tiny", 0, "mine")
    written = sorted(path.name for path in Path("mine").iterdir())
    assert written == sorted(f"{Path(row['file']).stem}{kind}" for row in told["samples"] for kind in (".abc", ".mid"))
    assert told["measures"]["samples"]["tunes"] == 2
    assert told["measures"]["held_out"]["tunes"] == 2


def test_what_is_heard_is_what_is_written(run_dir: Path, scaling_lab: CommandLine) -> None:
    prompt = r"M:6/8\nK:G\nGABc|"
    assert scaling_lab("sample", "--run", str(run_dir), "-n", "1", "--prompt", prompt, "--out", "mine").code == 0
    heard = [message.note for message in mido.MidiFile("mine/sample-seed0-01.mid") if message.type == "note_on"]
    assert heard[:4] == [67, 69, 71, 72]


def test_samples_of_the_same_seed_are_replaced_and_of_another_kept(run_dir: Path, scaling_lab: CommandLine) -> None:
    for seed, n in (("0", "4"), ("1", "1"), ("0", "2")):
        assert scaling_lab("sample", "--run", str(run_dir), "-n", n, "--seed", seed).code == 0
    names = sorted(path.stem for path in (run_dir / "samples").glob("*.mid"))
    assert names == sorted(path.stem for path in (run_dir / "samples").glob("*.abc"))
    assert names == ["sample-seed0-01", "sample-seed0-02", "sample-seed1-01"]


def test_data_that_were_moved_are_named(run_dir: Path, scaling_lab: CommandLine) -> None:
    Path("music").rename("elsewhere")
    ended = scaling_lab("sample", "--run", str(run_dir))
    assert (ended.code, ended.out) == (2, "")
    assert "music: is no folder here" in ended.err
    assert "give --data-dir" in ended.err
    assert scaling_lab("sample", "--run", str(run_dir), "-n", "1", "--data-dir", "elsewhere").code == 0


def without_best_model(run_dir: Path) -> None:
    for name in ("best_model.pt", "best_model.safetensors"):
        (run_dir / name).unlink()


def before_its_first_evaluation(run_dir: Path) -> None:
    without_best_model(run_dir)
    results = run_dir / "training_results.json"
    results.write_text(results.read_text().replace('"complete"', '"stopped"', 1))


def with_a_folder_as_configuration(run_dir: Path) -> None:
    (run_dir / "config.yaml").unlink()
    (run_dir / "config.yaml").mkdir()


def without_meta(_: Path) -> None:
    Path("music/meta.json").unlink()


def without_tokenizer(_: Path) -> None:
    Path("music/tokenizer.json").unlink()


def with_other_music(_: Path) -> None:
    write_tunes(Path("music"), seed=1)


def with_another_tokenizer(_: Path) -> None:
    write_tunes(Path("music"), characters=TUNE_CHARACTERS[::-1])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (shutil.rmtree, "is no run's folder"),
        (
            without_best_model,
            "is complete, and its best_model.pt is gone; put the file back, or remove the run's",
        ),
        (before_its_first_evaluation, "has no best_model.pt yet"),
        (with_a_folder_as_configuration, "outputs/mini-tiny-seed0/config.yaml: is no file; put the run's own there"),
        (without_meta, "names no tokenizer that can be read here"),
        (without_tokenizer, "music/tokenizer.json: not a tokenizer"),
        (with_other_music, "than outputs/mini-tiny-seed0 was trained on"),
        (with_another_tokenizer, "than outputs/mini-tiny-seed0 was trained on"),
    ],
)
def test_a_run_that_cannot_write_is_refused_with_the_reason(
    run_dir: Path, scaling_lab: CommandLine, harm: Any, words: str
) -> None:
    harm(run_dir)
    ended = scaling_lab("sample", "--run", str(run_dir))
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    assert not (run_dir / "samples").exists()


@pytest.mark.parametrize("has_folder", [False, True])
def test_weights_for_other_programs_serve_where_the_best_model_is_gone(
    run_dir: Path, scaling_lab: CommandLine, has_folder: bool
) -> None:
    command = ("sample", "--run", "mini-tiny-seed0", "-n", "2", "--json")
    before = scaling_lab(*command)
    (run_dir / "best_model.pt").unlink()
    if has_folder:
        (run_dir / "best_model.pt").mkdir()
    assert (before.code, scaling_lab(*command)) == (0, before)
    weights = run_dir / "best_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    ended = scaling_lab(*command)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"{weights}: can't be read as weights (")
    assert "bug" not in ended.err


def test_a_name_that_is_no_run_is_answered_with_those_that_are(run_dir: Path, scaling_lab: CommandLine) -> None:
    ended = scaling_lab("sample", "--run", "mini-xl")
    assert ended.code == 2
    assert "outputs holds mini-tiny-seed0" in ended.err


def test_tunes_that_a_full_disk_has_no_room_for_are_no_mistake_of_the_users(
    run_dir: Path, scaling_lab: CommandLine, folder: Path
) -> None:
    with small_disk(folder / "disk") as disk:
        disk.fill()
        ended = scaling_lab("sample", "--run", str(run_dir), "-n", "1", "--out", str(disk.path / "mine"))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.endswith("mine: can't be written (No space left on device); free some space and run it again\n")


class Malicious:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("was-run",)


@pytest.mark.parametrize("content", [{"model": Malicious()}, {"model": {}}, [1, 2]])
def test_a_model_file_that_is_not_ours_is_refused_and_nothing_in_it_is_run(
    run_dir: Path, scaling_lab: CommandLine, content: object
) -> None:
    torch.save(content, run_dir / "best_model.pt")
    ended = scaling_lab("sample", "--run", str(run_dir))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"{run_dir}/best_model.pt: ")
    assert "bug" not in ended.err
    assert not Path("was-run").exists()
