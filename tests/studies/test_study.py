"""`scaling-lab study`: five real processes, interrupted, resumed, never repeated."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpora import write_corpus

pytestmark = pytest.mark.slow

STUDY = (
    *("study", "--ladder", "mini", "--data-dir", "music", "--tracking", "disabled", "-o", "recipe.evaluations=2"),
    *("--batch-size-tokens", "512", "-o", "data.sequence_length=64"),
)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scaling_lab", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def journals(folder: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("outputs/*/metrics.jsonl")}


def test_a_study_trains_five_sizes_reports_and_has_nothing_left_to_do(folder: Path) -> None:
    write_corpus(folder / "music")
    first = run(folder, *STUDY, "--tokens", "5120")
    assert first.returncode == 0, first.stderr
    results = json.loads((folder / "outputs/scaling_study/scaling_study_results.json").read_text())
    assert [entry["size"] for entry in results["runs"]] == ["tiny", "small", "medium", "large", "xl"]
    printed = [results["sentence"], *filter(None, [results["flips"]]), "report: outputs/scaling_study/report.html"]
    assert first.stdout.splitlines() == printed
    # These data have no tokenizer, so nothing that a model writes can be read; the study has its law all the same.
    assert first.stderr.count("study: the report is without music: music: names no tokenizer") == 1
    assert results["sentence"] in (folder / "outputs/scaling_study/report.html").read_text()

    before = journals(folder)
    second = run(folder, *STUDY, "--tokens", "5120")
    assert second.returncode == 0
    assert second.stdout == first.stdout
    assert journals(folder) == before

    elsewhere = run(folder, "report", "--results-dir", "outputs/scaling_study", "--out", "mine.html", "--json")
    assert json.loads(elsewhere.stdout)["laws"] == results["laws"]
    assert (folder / "mine.html").read_bytes() == (folder / "outputs/scaling_study/report.html").read_bytes()


def test_a_stopped_study_goes_on_where_it_was(folder: Path) -> None:
    write_corpus(folder / "music")
    long_study = (*STUDY, "--sizes", "tiny,small", "--tokens", "153600")
    command = [sys.executable, "-m", "scaling_lab", *long_study]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_rows(folder, 20)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75
    assert "the same command goes on" in said
    stopped = [json.loads(path.read_text()) for path in folder.glob("outputs/mini-*/training_results.json")]
    assert {results["state"] for results in stopped} == {"stopped"}
    assert all(0 < results["steps_done"] < 300 for results in stopped)
    assert no_process_trains(folder)

    resumed = run(folder, *long_study)
    assert resumed.returncode == 0, resumed.stderr
    for name in ("mini-tiny-seed0", "mini-small-seed0"):
        lines = (folder / "outputs" / name / "metrics.jsonl").read_text().splitlines()
        steps = [json.loads(line)["train/step"] for line in lines if '"train/loss"' in line]
        assert steps == list(range(1, 301))


def test_a_run_that_fails_is_named_and_the_others_are_trained_and_reported(folder: Path) -> None:
    write_corpus(folder / "music")
    (folder / "outputs/mini-small-seed0/checkpoints/step-3").mkdir(parents=True)
    ended = run(folder, *STUDY, "--tokens", "2560", "--sizes", "tiny,small")
    assert ended.returncode == 1
    assert "mini-small-seed0: failed:" in ended.stderr
    assert "none of 1 checkpoints is whole" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "mini-tiny-seed0" in (folder / "outputs/scaling_study/report.html").read_text()


def wait_for_rows(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        paths = list(folder.glob("outputs/mini-*/metrics.jsonl"))
        if len(paths) == 2 and all(path.read_bytes().count(b"\n") > count for path in paths):
            return
        time.sleep(0.05)
    pytest.fail("the study's runs wrote no rows")


def no_process_trains(folder: Path) -> bool:
    for entry in Path("/proc").iterdir():
        try:
            ours = entry.name == str(os.getpid())
            if entry.name.isdigit() and not ours and os.readlink(entry / "cwd") == str(folder):
                return False
        except OSError:
            continue
    return True
