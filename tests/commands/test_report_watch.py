"""`scaling-lab report --watch`, as a process of its own, beside a folder or a project that really changes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from remote_runs import log, run_of_steps
from report_page import Page
from servers import RunningServer, wait_until
from study_folders import ARCHITECTURES, Study

from scaling_lab.commands.report_watch import QUIET_LOOKS
from scaling_lab.files import locked
from scaling_lab.tracking.results import write_json

pytestmark = pytest.mark.slow

RELOADS = '<meta http-equiv="refresh" content="1">'
PAGE = Path("outputs/scaling_study/report.html")

StartWatch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def watch() -> Iterator[StartWatch]:
    """`watch("--results-dir", "runs")` starts that command; it is ended with the test."""
    with ExitStack() as processes:

        def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "scaling_lab", "report", "--watch", "--every", "0.2", *arguments]
            process = subprocess.Popen(
                command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            processes.callback(process.communicate)
            processes.callback(process.kill)
            return process

        yield start


def write_study(*sizes: str) -> Study:
    """A study's folder that names its runs, of which none has begun."""
    write_json(
        _made(PAGE.parent) / "scaling_study_results.json", {"folders": [f"../mini-{size}-seed0" for size in sizes]}
    )
    return Study(Path("outputs"), noise=0.002)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it printed, once it has come to its end by itself."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out, err


def shows(*states: str, page: Path = PAGE) -> bool:
    """Whether the page that is watched lists runs on their way in these states."""
    if not page.exists() or RELOADS not in (source := page.read_text()):
        return False
    return [row["state"][0] for row in Page(source).tables.get("unfinished", [])] == list(states)


def test_a_page_follows_a_study_from_before_its_first_run_to_its_last(
    watch: StartWatch, scaling_lab: CommandLine
) -> None:
    process = watch()
    assert process.stderr is not None
    assert process.stderr.readline().startswith("watch: outputs/scaling_study: no such folder; ")
    study = write_study(*ARCHITECTURES)
    wait_until(lambda: PAGE.exists() and "has not begun" in PAGE.read_text(), what="a page without a run")
    study.write(sizes=("tiny", "small", "medium", "large"))
    aside = Study(Path("aside"), noise=0.002)
    with locked(_made(Path("outputs/mini-xl-seed0")) / ".lock"):
        for path in aside.write_unfinished("xl", 24, state="running").iterdir():
            path.replace(Path("outputs/mini-xl-seed0") / path.name)
        wait_until(lambda: shows("running"), what="a page with a run on its way")
        assert process.poll() is None
        with Path("outputs/mini-xl-seed0/metrics.jsonl").open("a") as journal:
            row = {"train/step": 25, "train/tokens": 102_400, "train/loss": 0.125, "perf/step_seconds": 1.0}
            journal.write(json.dumps(row) + "\n")
        wait_until(lambda: Page(PAGE.read_text()).tables["unfinished"][0]["step"][0] == "25", what="its next step")
        shutil.rmtree(aside.folder)
        for path in aside.write_run("xl").iterdir():
            path.replace(Path("outputs/mini-xl-seed0") / path.name)
    out, said = ended(process)
    assert out.endswith("report: outputs/scaling_study/report.html\n")
    assert said.splitlines()[-1] == "watch: 5 complete"
    assert scaling_lab("report", "--out", "unwatched.html").code == 0
    assert PAGE.read_bytes() == Path("unwatched.html").read_bytes()
    assert RELOADS not in PAGE.read_text()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_ctrl_c_leaves_a_page_that_no_longer_reloads_itself(
    watch: StartWatch, number: signal.Signals, code: int
) -> None:
    study = write_study("tiny", "small")
    study.write(sizes=("tiny",))
    process = watch("--format", "html,csv")
    wait_until(lambda: PAGE.exists(), what="a page")
    assert RELOADS in PAGE.read_text()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (code, "watch: 1 complete, 1 not begun\n")
    assert RELOADS not in PAGE.read_text()
    assert PAGE.with_suffix(".csv").read_text().count("\n") == 2


def test_ctrl_c_before_there_is_anything_to_show_is_no_bug(watch: StartWatch) -> None:
    process = watch()
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not PAGE.exists()


def test_runs_that_nobody_trains_are_not_waited_for_and_a_page_that_stays_the_same_is_left_alone(
    watch: StartWatch,
) -> None:
    study = Study(Path("runs")).write(sizes=("tiny", "small"))
    study.write_unfinished("medium", 12, state="stopped")
    study.write_unfinished("large", 12, state="running")  # whoever trained it holds no lock, and so is dead
    page, written = Path("runs/report.html"), set[int]()
    process = watch("--results-dir", "runs")

    def has_ended() -> bool:
        written.update(path.stat().st_ino for path in [page] if path.exists())
        return process.poll() is not None

    wait_until(has_ended, what="its end")
    ended(process)
    assert len(written) <= 2  # the watched page, and the last one
    assert [row["state"][0] for row in Page(page.read_text()).tables["unfinished"]] == ["stopped"]


def test_runs_that_have_not_begun_are_waited_for(watch: StartWatch) -> None:
    run_dir = write_study("tiny", "small").write_run("tiny")
    process = watch()
    wait_until(PAGE.exists, what="a page")
    results = json.loads((run_dir / "training_results.json").read_text())
    for second in range(QUIET_LOOKS + 2):  # each is seen by another look
        before = PAGE.stat().st_ino
        write_json(run_dir / "training_results.json", results | {"updated_at": f"2026-01-02T03:15:{second:02}+00:00"})
        wait_until(lambda before=before: PAGE.stat().st_ino != before or process.poll() is not None, what="a new page")
        assert process.poll() is None


def test_open_shows_the_page_once_it_is_there(watch: StartWatch, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path / "shown"}\n')
    browser.chmod(0o755)
    write_study("tiny").write(sizes=("tiny",))
    ended(watch("--open", BROWSER=str(browser)))
    assert (tmp_path / "shown").read_text() == f"{PAGE.resolve().as_uri()}\n"


def test_a_project_is_watched_until_none_of_its_runs_trains(
    watch: StartWatch, server: RunningServer, scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    log(server, run_of_steps("first", range(1, 31), name="first"))
    live = run_of_steps("second", range(1, 21), name="second")
    (tmp_path / "live.json").write_text(json.dumps(vars(live)))
    trainer = subprocess.Popen(
        [sys.executable, "-c", _LIVE], cwd=tmp_path, env=server.environment(), stdin=subprocess.PIPE, text=True
    )
    arguments = ("--project", "music-scaling", "--store", str(server.store))
    try:
        process = watch(*arguments, "--out", "page.html")
        wait_until(lambda: shows("running", page=Path("page.html")), what="a page with the run that trains")
    finally:
        trainer.communicate("go on\n", timeout=120)
    ended(process)
    assert scaling_lab("report", *arguments, "--out", "unwatched.html").code == 0
    assert Path("page.html").read_bytes() == Path("unwatched.html").read_bytes()


_LIVE = """
import json, wandb
run = json.load(open("live.json"))
run["config"]["seed"] = run["config"]["identity"]["seed"] = 1
live = wandb.init(project=run["project"], id=run["id"], name=run["name"], group=run["group"], config=run["config"])
for row in run["rows"][:10]:
    live.log(row, step=row["train/step"])
input()
for row in run["rows"][10:]:
    live.log(row, step=row["train/step"])
live.summary.update(run["summary"])
live.finish()
"""
