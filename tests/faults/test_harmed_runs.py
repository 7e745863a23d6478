"""What a run left, harmed on disk, and what its user is told to do: which helps.

Checkpoints are in test_harmed_checkpoints.py; what a harmed run is to `sample`, in tests/sampling/test_command.py.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_in_process import CommandLine, Ended
from corpora import write_corpus
from small_runs import MakeConfig

from scaling_lab.errors import StorageError
from scaling_lab.tracking import metrics
from scaling_lab.training.loop import train

SETTINGS = (
    *("--ladder", "mini", "--data-dir", "music", "--tracking", "disabled", "--threads", "1"),
    *("--tokens", "5120", "--batch-size-tokens", "256", "-o", "data.sequence_length=64", "-o", "recipe.evaluations=2"),
)
TRAIN = ("train", *SETTINGS, "--size", "tiny")
RUN = Path("outputs/mini-tiny-seed0")
ANEW = "remove the run's folder to train it again"


@pytest.fixture(autouse=True)
def music(folder: Path) -> Path:
    return write_corpus(folder / "music")


@pytest.fixture
def run(scaling_lab: CommandLine) -> Path:
    """The folder of a run of 20 steps, which is complete."""
    assert scaling_lab(*TRAIN).code == 0
    return RUN


def state_in_study(scaling_lab: CommandLine) -> str:
    """What a study of that one run takes it for."""
    ended = scaling_lab("study", *SETTINGS, "--sizes", "tiny", "--dry-run")
    assert ended.code == 0, ended.err
    return next(line for line in ended.out.splitlines() if line.startswith("mini-tiny")).split("  ")[-1]


def last_line(ended: Ended) -> str:
    """What is said after the warnings."""
    return ended.err.splitlines()[-1]


def lose_the_identity(run: Path) -> str:
    (run / "training_results.json").write_text('{"state": "complete"}')
    return "training_results.json: lacks identity, ladder, name, parameters, seed, size; "


def end_the_journal_at_13(run: Path) -> str:
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    end = next(place for place, line in enumerate(lines) if '"train/step":14' in line)
    (run / "metrics.jsonl").write_text("".join(lines[:end]))
    return "metrics.jsonl: its rows end at step 13 of 20 though the run is complete, so no report can use it; "


def damage_a_row(run: Path) -> str:
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    lines[7] = lines[7][:20] + b"\n"
    (run / "metrics.jsonl").write_bytes(b"".join(lines))
    return "metrics.jsonl:8: not a row of JSON ("


@pytest.mark.parametrize("harm", [lose_the_identity, end_the_journal_at_13, damage_a_row])
def test_a_complete_run_that_is_harmed_says_what_helps(
    run: Path, scaling_lab: CommandLine, harm: Callable[[Path], str]
) -> None:
    assert state_in_study(scaling_lab) == "complete"
    words = harm(run)
    ended = scaling_lab(*TRAIN)
    assert (ended.code, ended.out) == (1, "")
    assert last_line(ended).startswith(f"{run}/{words}")
    assert last_line(ended).endswith(ANEW)
    # A study then has the run tried, which says so; what only reading every row shows, the report says of the run.
    assert state_in_study(scaling_lab) == ("complete" if harm is damage_a_row else "to train")
    shutil.rmtree(run)
    assert scaling_lab(*TRAIN).code == 0


def test_a_file_in_the_place_of_a_runs_folder_is_named(scaling_lab: CommandLine) -> None:
    Path("outputs").mkdir()
    RUN.write_text("mine")
    ended = scaling_lab("study", *SETTINGS, "--sizes", "tiny", "--dry-run")
    assert (ended.code, ended.err) == (
        1,
        f"{RUN}: can't be a run's folder, a file is in its place; move that away\n",
    )
    assert scaling_lab(*TRAIN).code == 2


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("checkpoints", "file", "is a file, and the run keeps checkpoints in a folder there"),
        (
            "checkpoints",
            "link",
            "is a link that leads nowhere, and the run keeps checkpoints in a folder there",
        ),
        ("trunk", "file", "is a file, and the run keeps checkpoints in a folder there"),
        *[
            (name, "folder", "is a folder, and the run has a file of that name")
            for name in ("best_model.pt", "best_model.safetensors", "metrics.json", "metrics.jsonl", "config.yaml")
        ],
        ("training_results.json", "folder", "is a folder, and the run has a file of that name"),
    ],
)
def test_what_stands_where_a_run_writes_is_named_before_its_first_step(
    scaling_lab: CommandLine, name: str, kind: str, words: str
) -> None:
    RUN.mkdir(parents=True)
    match kind:
        case "file":
            (RUN / name).write_text("mine")
        case "link":
            (RUN / name).symlink_to("/not-mounted/checkpoints")
        case _:
            (RUN / name).mkdir()
    ended = scaling_lab(*TRAIN)
    assert (ended.code, ended.out) == (2, "")
    assert last_line(ended) == f"{RUN / name}: {words}; move it away"
    assert {path.name for path in RUN.iterdir()} == {name, "last_error.json"}


def test_what_can_not_be_kept_for_another_reason_is_no_matter_of_room(small_run: MakeConfig) -> None:
    config = small_run(name="mine")
    checkpoints = config.run_dir / "checkpoints"

    def harm(_: object, row: dict[str, object]) -> None:
        if row[metrics.TRAIN_STEP] == 9 and checkpoints.is_dir():
            shutil.rmtree(checkpoints)
            checkpoints.write_text("mine")

    with pytest.raises(StorageError, match=r"step 20 is done and can't be kept \(Not a directory\); mend that, and"):
        train(config, watch=harm)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"folders": 3}', "folders is no list of names"),
        ('{"folders": "abc"}', "folders is no list of names"),
        ('{"folders": ["mini-tiny-seed0", 3]}', "folders is no list of names"),
        ("[]", "folders is no list of names"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (None, "Is a directory"),
    ],
)
def test_a_study_that_names_no_runs_says_so_in_words(scaling_lab: CommandLine, content: str | None, words: str) -> None:
    path = Path("outputs/scaling_study/scaling_study_results.json")
    path.parent.mkdir(parents=True)
    path.mkdir() if content is None else path.write_text(content)
    assert scaling_lab("report") == Ended(1, "", f"{path}: names no runs ({words}); run `scaling-lab study` again\n")


def test_runs_of_a_study_are_named_by_plain_paths(run: Path, scaling_lab: CommandLine) -> None:
    study = Path("outputs/scaling_study")
    study.mkdir()
    (study / "scaling_study_results.json").write_text(json.dumps({"folders": ["../mini-tiny-seed0"]}))
    damage_a_row(run)
    ended = scaling_lab("report", "--json")
    (left_out,) = json.loads(ended.out)["left_out"]
    assert left_out["reason"].startswith(f"{run}/metrics.jsonl:8: ")


def test_a_study_says_of_a_run_that_lost_rows_what_helps(run: Path, scaling_lab: CommandLine) -> None:
    words = end_the_journal_at_13(run)
    ended = scaling_lab("study", *SETTINGS, "--sizes", "tiny", "--tunes", "0")
    assert ended.code == 1
    assert last_line(ended).startswith(f"{run.name}: failed: {run}/{words}")
    assert last_line(ended).endswith(ANEW)
    assert "Left out: 1 run; the report says why." in ended.out


@pytest.mark.parametrize("harm", [Path.mkdir, lambda path: path.write_text('{"predictions": [{"n": 1}]}')])
def test_predictions_that_can_not_be_read_take_their_scores_alone_from_a_study(
    run: Path, scaling_lab: CommandLine, harm: Callable[[Path], object]
) -> None:
    study = Path("outputs/scaling_study")
    study.mkdir()
    harm(study / "predictions.json")
    ended = scaling_lab("study", *SETTINGS, "--sizes", "tiny", "--tunes", "0")
    assert ended.code == 0
    words = (
        f"the report is without scores of predictions: {study}/predictions.json: not what scaling-lab predict writes"
    )
    assert last_line(ended).startswith(words)
    assert ended.out.endswith(f"report: {study}/report.html\n")
    assert (study / "report.html").is_file()
