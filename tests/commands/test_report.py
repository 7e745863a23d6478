"""`scaling-lab report`: which options go together, and the page in the reader's browser."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from study_folders import Study


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--watch", "--format", "json"), "command line --watch: is for the page; name html in --format too"),
        (("--open", "--format", "md,csv"), "command line --open: is for the page; name html in --format too"),
        (("--every", "3"), "command line --every: says how often --watch looks; give --watch too"),
    ],
)
def test_what_needs_a_page_or_a_watch_says_so(scaling_lab: CommandLine, arguments: tuple[str, ...], words: str) -> None:
    ended = scaling_lab("report", "--results-dir", "runs", *arguments)
    assert (ended.code, ended.err) == (2, f"{words}\n")


def report(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a process, without a desktop."""
    command = [sys.executable, "-m", "scaling_lab", "report", "--results-dir", "runs", *arguments]
    known = {name: value for name, value in os.environ.items() if name not in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(command, env=known | environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_open_hands_the_page_to_the_readers_browser(folder: Path) -> None:
    Study(folder / "runs").write(sizes=("tiny",))
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {folder / "shown"}\n')
    browser.chmod(0o755)
    ended = report("--open", BROWSER=str(browser))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (folder / "shown").read_text() == f"{(folder / 'runs/report.html').as_uri()}\n"


@pytest.mark.slow
def test_without_a_browser_open_says_where_the_page_is(folder: Path) -> None:
    Study(folder / "runs").write(sizes=("tiny",))
    ended = report("--open", PATH=str(folder))
    assert ended.returncode == 0
    assert ended.stderr == f"no browser is found here; the page is {folder / 'runs/report.html'}\n"
    assert (folder / "runs/report.html").exists()
