"""Reports of studies that are not as they should be: an honest part of a report, which says what was used and what not.

What each part of a report shows of such studies is in tests/report and tests/studies/test_analysis.py.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_in_process import CommandLine
from study_folders import ARCHITECTURES, Study

NAN = float("nan")


@pytest.fixture
def study(folder: Path) -> Study:
    return Study(folder / "runs", noise=0.002)


def reported(scaling_lab: CommandLine) -> tuple[dict[str, Any], str]:
    """The results that a report is made of, and its page."""
    ended = scaling_lab("report", "--results-dir", "runs", "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out), Path("runs/report.html").read_text()


def left_out(results: dict[str, Any]) -> dict[str, str]:
    return {run["name"]: run["reason"] for run in results["left_out"]}


def test_a_folder_without_runs_is_no_study(scaling_lab: CommandLine) -> None:
    Path("runs").mkdir()
    ended = scaling_lab("report", "--results-dir", "runs")
    assert ended.code == 2
    assert "holds no run" in ended.err
    assert list(Path("runs").iterdir()) == []


@pytest.mark.parametrize("sizes", [(), ("tiny",), ("tiny", "small")], ids=["none is complete", "one", "two"])
def test_too_few_runs_give_a_report_without_a_law(
    study: Study, scaling_lab: CommandLine, sizes: tuple[str, ...]
) -> None:
    study.write(sizes=sizes)
    study.write_run("xl", state="running", journal=[])
    results, page = reported(scaling_lab)
    assert len(results["runs"]) == len(sizes)
    assert "mini-xl-seed0" in left_out(results)
    assert "mini-xl-seed0" in page


def test_every_odd_run_is_named_with_its_reason_and_the_others_are_used(study: Study, scaling_lab: CommandLine) -> None:
    study.write(seeds=2)
    usual, _ = reported(scaling_lab)
    study.write_run("tiny", 2, state="diverged")
    study.write_run("tiny", 3, state="running", journal=rows_of(study, "tiny")[:20])
    study.write_run("tiny", 4, final_val_loss=None, best_val_loss=None, journal=[])
    study.write_run("tiny", 5, parameters=None)
    damaged = study.write_run("small", 2)
    (damaged / "training_results.json").write_text('{"state": "compl')
    cut = study.write_run("small", 3)
    journal = (cut / "metrics.jsonl").read_bytes()
    (cut / "metrics.jsonl").write_bytes(journal[: len(journal) // 2] + b"\n{}\n" + journal[len(journal) // 2 :])
    shutil.copytree("runs/mini-tiny-seed0", "runs/a-copy")
    results, page = reported(scaling_lab)
    reasons = left_out(results)
    for name in ("tiny-seed2", "tiny-seed3", "tiny-seed4", "tiny-seed5", "small-seed2", "small-seed3"):
        assert reasons[f"mini-{name}"], name
        assert f"mini-{name}" in page
    assert len(reasons) == 7
    assert [run["name"] for run in results["runs"]] == [run["name"] for run in usual["runs"]]
    assert results["laws"] == usual["laws"]


def test_rows_that_are_not_numbers_and_metrics_that_were_never_logged_are_borne(
    study: Study, scaling_lab: CommandLine
) -> None:
    study.write(seeds=2)
    usual, _ = reported(scaling_lab)
    for size in ARCHITECTURES:
        path = study.folder / f"mini-{size}-seed0" / "metrics.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row.pop("train/grad_norm", None)
            row.pop("perf/mfu", None)
            if row.get("train/step") in (7, 8) and "train/loss" in row:
                row["train/loss"] = NAN
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    results, page = reported(scaling_lab)
    assert results["laws"] == usual["laws"]
    assert "NaN" not in json.dumps(results["laws"])
    assert len(page) > 100_000


def test_a_million_rows_are_a_report_too(study: Study, scaling_lab: CommandLine) -> None:
    study.write(sizes=("tiny", "small", "medium", "large"))
    rows = rows_of(study, "tiny")
    many = [{"train/step": step, "train/tokens": 4096 * step, "train/loss": 2.0} for step in range(1, 1_000_000)]
    study.write_run(
        "xl", steps=1_000_000, tokens=4096 * 1_000_000, journal=[*many, rows[-1] | {"train/step": 1_000_000}]
    )
    results, page = reported(scaling_lab)
    assert len(results["runs"]) + len(results["left_out"]) == 5
    assert len(page) < 10_000_000


def rows_of(study: Study, size: str) -> list[dict[str, Any]]:
    """The rows of a run that was written."""
    lines = (study.folder / f"mini-{size}-seed0" / "metrics.jsonl").read_text().splitlines()[1:]
    return [json.loads(line) for line in lines]
