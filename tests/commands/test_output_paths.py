"""`--out`: what a file can't be written to is refused before anything is read, and nothing is replaced."""

import os
import stat
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from study_folders import Study

COMMANDS = (
    ("report", "--results-dir", "runs"),
    ("report", "--compare", "runs", "others"),
    ("data", "inspect", "no-such-data"),
)


@pytest.fixture(autouse=True)
def runs(folder: Path) -> None:
    for name in ("runs", "others"):
        Study(folder / name).write(sizes=("tiny",))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_is_left_as_it_is(scaling_lab: CommandLine, command: tuple[str, ...], folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        ended = scaling_lab(*command, "--out", name)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == f"{name}: is no plain file, and one would take its place; give another place with --out\n"
    assert stat.S_ISFIFO((folder / "pipe").stat().st_mode)
    assert (folder / "link").is_symlink()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("", "is a folder; give a file"),
        ("/", "is a folder; give a file"),
        ("x" * 300, "no file can have this name (File name too long); give another with --out"),
        (f"{'x' * 300}/report.html", "no file can have this name (File name too long); give another with --out"),
    ],
)
def test_a_name_that_is_no_files_is_refused(
    scaling_lab: CommandLine, command: tuple[str, ...], out: str, words: str
) -> None:
    ended = scaling_lab(*command, "--out", out)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err


def test_images_beside_a_nameless_page_are_refused(scaling_lab: CommandLine) -> None:
    ended = scaling_lab("report", "--results-dir", "runs", "--format", "json,svg", "--out", "/")
    assert ended.code == 2
    assert ended.err == "command line --out: / is a folder; give a file, /report.html say\n"


@pytest.mark.parametrize("out", ["", "x" * 300])
def test_a_folder_to_pull_into_is_looked_at_too(scaling_lab: CommandLine, out: str) -> None:
    ended = scaling_lab(
        "history",
        "pull",
        "--project",
        "music",
        "--tracking",
        "local",
        "--out",
        out or "runs/mini-tiny-seed0/metrics.jsonl",
    )
    assert ended.code == 2
    assert ("is a file" if not out else "no file can have this name") in ended.err


@pytest.mark.parametrize("every", ["inf", "1e300", "nan"])
def test_a_watch_looks_at_least_once_a_day(scaling_lab: CommandLine, every: str) -> None:
    ended = scaling_lab("report", "--results-dir", "runs", "--watch", "--every", every)
    assert (ended.code, ended.out) == (2, "")
    assert "Invalid value for '--every'" in ended.err
