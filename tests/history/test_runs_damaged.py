"""A folder with what no run writes: the run is left out, its reason names file and field, and the rest goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
from study_folders import ARCHITECTURES, Study

from scaling_lab.errors import CheckpointError
from scaling_lab.history.runs import read_runs
from scaling_lab.report import build_report
from scaling_lab.studies.analysis import SUMMARY_KEYS, study_results

HUGE = 10**400
NUMBERS = [key for key in SUMMARY_KEYS if key not in ("name", "size", "state", "parameters", "wandb_id", "wandb_url")]


def reason_of(tmp_path: Path, damaged: Path) -> str:
    """Why a run of a study is left out; a report is made of the others."""
    analysis = Study(tmp_path).analysis()
    build_report(analysis, tmp_path / "report.html")
    json.dumps(study_results(analysis))
    (left,) = analysis.left_out
    assert left.name == damaged.name
    return left.reason


def study_with(tmp_path: Path, changes: dict[str, Any], journal: list[dict[str, Any]] | None = None) -> Path:
    """Two runs, and the folder of a third with changed results."""
    damaged = Study(tmp_path).write(sizes=("tiny", "small")).write_run("medium", journal=journal)
    path = damaged / "training_results.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))
    return damaged


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": None}, "seed is null, not a whole number"),
        ({"seed": "x"}, 'seed is "x", not a whole number'),
        ({"seed": float("nan")}, "seed is NaN, not a whole number"),
        ({"seed": True}, "seed is true, not a whole number"),
        ({"identity": []}, "identity is [], not an object"),
        ({"state": ["complete"]}, 'state is ["complete"], not text'),
        ({"parameters": 3}, "parameters is 3, not an object"),
        ({"parameters": {"total": 5}}, "parameters lacks non_embedding, matmul"),
        (
            {"parameters": {"total": "5", "matmul": 1, "non_embedding": 1}},
            'parameters.total is "5", not a whole number',
        ),
        ({"total_flops": HUGE}, "total_flops is a number of 401 digits"),
        ({"final_val_loss": HUGE}, "final_val_loss is a number of 401 digits"),
        ({"final_val_loss": True}, "final_val_loss is true, not a number"),
        ({"config": None}, "config is null, not an object"),
        ({"config": {"recipe": None}}, "config.recipe is null, not an object"),
        ({"config": {"recipe": {"tokens": [1]}}}, "config.recipe.tokens is [1], not text or a number"),
        ({"config": {"model": {"d_model": {}}}}, "config.model.d_model is {}, not text or a number"),
        ({"machine": "cpu"}, 'machine is "cpu", not an object'),
        ({"versions": ["3.11"]}, 'versions is ["3.11"], not an object'),
        ({"data": {"train_tokens": "many"}}, 'data.train_tokens is "many", not a whole number'),
        ({"data": {"vocab_size": "82"}}, 'data.vocab_size is "82", not a whole number'),
        ({"name": ["a"]}, 'name is ["a"], not text'),
        ({"epochs": "1"}, 'epochs is "1", not a number'),
        ({"notes": json.loads("[" * 100 + "]" * 100)}, "notes is nested deeper than 20"),
        *[({key: value}, f"{key} is ") for key in NUMBERS for value in ("x", [1], {}, HUGE, True)],
    ],
)
def test_a_field_of_another_type_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    damaged = study_with(tmp_path, changes)
    records, (left,) = read_runs(tmp_path)
    assert [run.size for run in records] == ["small", "tiny"]
    assert left.reason.startswith(f"{damaged / 'training_results.json'}: {words}")
    assert left.reason.endswith("; mend it, or remove the run's folder to train it again")


@pytest.mark.parametrize(
    "changes", [dict.fromkeys(SUMMARY_KEYS[5:]), {"data": None, "machine": None, "versions": None, "git_commit": None}]
)
def test_what_a_run_may_leave_open_may_be_null(tmp_path: Path, changes: dict[str, None]) -> None:
    study_with(tmp_path, changes | {"final_val_loss": 2.0})
    analysis = Study(tmp_path).analysis()
    build_report(analysis, tmp_path / "report.html")
    assert not analysis.left_out


ROW = {"train/step": 1, "train/tokens": 4096, "train/flops": 1e9, "train/loss": 3.0, "perf/mfu": 0.2}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train/loss": "low"}, "train/loss is 'low' at train/step 1, no number"),
        ({"train/loss": "1.5"}, "train/loss is '1.5' at train/step 1, no number"),
        ({"train/loss": [3]}, "train/loss is '[3]' at train/step 1, no number"),
        ({"perf/mfu": {}}, "perf/mfu is '{}' at train/step 1, no number"),
        ({"perf/mfu": True}, "perf/mfu is 'True' at train/step 1, no number"),
        ({"train/tokens": HUGE}, "train/tokens is '1000"),
        ({"train/step": None}, "train/step is nan, not a whole number"),
        ({"train/step": float("inf")}, "train/step is inf, not a whole number"),
        ({"train/step": 1.5}, "train/step is 1.5, not a whole number"),
        ({"train/step": 1e300}, "train/step is 1e+300, not a whole number"),
    ],
)
def test_a_metric_that_is_no_number_is_named_with_its_step(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    damaged = study_with(tmp_path, {}, journal=[ROW | changes])
    reason = reason_of(tmp_path, damaged)
    assert reason.startswith(f"{damaged / 'metrics.jsonl'}: {words}")
    assert reason.endswith("; mend the row, or remove the run's folder to train it again")


@pytest.mark.parametrize("version", ['"x"', "null"])
def test_a_journal_of_no_known_schema_is_named(tmp_path: Path, version: str) -> None:
    damaged = study_with(tmp_path, {})
    (damaged / "metrics.jsonl").write_text(f'{{"schema_version": {version}}}\n')
    assert "metrics.jsonl:1: schema_version is no whole number" in reason_of(tmp_path, damaged)


@pytest.mark.parametrize("loss", [1e308, 1e-320, -1e308])
def test_a_loss_beyond_every_axis_is_drawn_without(tmp_path: Path, loss: float) -> None:
    study = Study(tmp_path).write(sizes=("tiny",))
    study.write_run("small", journal=[ROW | {"train/loss": loss}, {"train/step": 1, "val/loss": loss}], steps=1)
    analysis = study.analysis()
    build_report(analysis, tmp_path / "report.html")
    assert len(analysis.runs) == 2


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("training_results.json", DEEP, "not JSON"),
        ("metrics.jsonl", f'{{"schema_version": 1}}\n{{"train/step": {DEEP}}}\n', "metrics.jsonl:2: not a row of JSON"),
    ],
)
def test_json_without_end_is_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    damaged = study_with(tmp_path, {})
    (damaged / name).write_text(text)
    assert words in reason_of(tmp_path, damaged)


@pytest.mark.parametrize("name", ["training_results.json", "metrics.jsonl"])
def test_a_folder_in_a_files_place_is_named(tmp_path: Path, name: str) -> None:
    damaged = study_with(tmp_path, {})
    (damaged / name).unlink()
    (damaged / name).mkdir()
    assert f"{damaged / name}: can't be read" in reason_of(tmp_path, damaged)


@pytest.mark.parametrize("name", ["nul\0", "half\ud800", "x" * 5000])
def test_a_name_that_no_folder_can_have_is_named(tmp_path: Path, name: str) -> None:
    Study(tmp_path).write(sizes=("tiny",))
    folders = {"folders": [f"mini-{next(iter(ARCHITECTURES))}-seed0", name]}
    (tmp_path / "scaling_study_results.json").write_text(json.dumps(folders))
    records, (left,) = read_runs(tmp_path)
    assert len(records) == 1
    assert left.name == name
    assert "can't be read" in left.reason
    build_report(Study(tmp_path).analysis(), tmp_path / "report.html")


@pytest.mark.parametrize("content", [DEEP, None])
def test_a_study_that_names_no_runs_says_so(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "scaling_study_results.json"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    with pytest.raises(CheckpointError, match="names no runs"):
        read_runs(tmp_path)
