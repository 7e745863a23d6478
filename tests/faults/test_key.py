"""The API key: in no file, line, exception, config, report or checkpoint of any command that is given one."""

import subprocess
import sys
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from corpora import write_tunes
from servers import RunningServer
from study_folders import Study
from trainings import OPTIONS

pytestmark = pytest.mark.slow

SWEEP = """
program: cli.py
command: ["${env}", "${interpreter}", "${program}", train, --ladder=mini, "${args_no_boolean_flags}"]
method: grid
metric: {name: val/loss, goal: minimize}
parameters: {size: {values: [tiny]}, data.dir: {value: music}, batch_size_tokens: {value: 512}}
"""
PROJECT = ("--project", "music-scaling")
TRAIN = ("train", *OPTIONS, "--tokens", "5120", "-o", "machine.checkpoint_every_seconds=0")
# Commands that end well, and some that end in an error of each kind.
COMMANDS = (
    (*TRAIN, "--json"),
    (*TRAIN, "--seed", "1"),
    (*TRAIN, "--dry-run"),
    ("plan", "--ladder", "mini", "--data-dir", "music", "--hardware", "h200"),
    ("lint", "--ladder", "mini", "--data-dir", "music"),
    ("sweep", "create", "sweep.yaml"),
    ("sweep", "status", "nowhere"),
    ("report", *PROJECT),
    ("report", *PROJECT, "--entity", "nobody"),
    ("report", "--results-dir", "runs"),
    ("report", "--compare", "a=runs", "b=runs"),
    ("history", "pull", *PROJECT, "--out", "tables"),
    ("history", "pull", *PROJECT, "--out", "tables", "--format", "parquet"),
    ("predict", "--size", "xl", "--results-dir", "runs", "--freeze"),
    ("tune", *PROJECT),
    ("sample", "--run", "mine", "-n", "2"),
    ("data", "inspect", "music"),
    ("data", "validate", "music"),
    ("data", "prepare", "--input", "music", "--out", "prepared"),
    ("config", "show", "--size", "tiny", "--json"),
    ("config", "show", "-o", "tracking.nothing=1"),
    ("config", "schema"),
    ("server", "--store", "/proc/nowhere"),
)


@pytest.fixture
def known(server: RunningServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunningServer:
    """A server that the environment names, with its key; what fails tells all it knows."""
    write_tunes(folder / "music")
    Study(folder / "runs", noise=0.002).write()
    (folder / "sweep.yaml").write_text(SWEEP)
    (folder / "cli.py").write_text("from scaling_lab.commands.app import main\nmain()\n")
    for name, value in (server.environment() | {"SCALING_LAB_DEBUG": "1"}).items():
        monkeypatch.setenv(name, value)
    return server


def files_with(text: bytes, *folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


def test_the_key_is_in_nothing_that_any_command_says_or_writes(
    known: RunningServer, folder: Path, scaling_lab: CommandLine
) -> None:
    key = known.api_key
    trained = subprocess.run([sys.executable, "-m", "scaling_lab", *TRAIN], capture_output=True, check=True)
    assert key.encode() not in trained.stdout + trained.stderr
    for words in COMMANDS:
        ended = scaling_lab(*words)
        assert ended.code in (0, 2, 4), (words, ended.err)
        assert key not in ended.out + ended.err, words
    # The server keeps it, and W&B's own file of keys is left alone.
    assert files_with(key.encode(), folder) == [known.store / "key"]
    assert not (known.home / ".netrc").exists()
    assert len(list((folder / "outputs" / "mine").rglob("*"))) > 20


@pytest.mark.parametrize(
    "key", ["local-" + "f" * 40, "0123456789" * 4, "wandb_v1_" + "Ab1_" * 19, "short", "kéy wíth späce"]
)
def test_a_key_that_is_refused_is_not_repeated(
    known: RunningServer, folder: Path, scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    for words in (("report", *PROJECT), ("sweep", "status", "local/music-scaling/abc")):
        ended = scaling_lab(*words)
        assert ended.code in (2, 4), ended.err
        assert key not in ended.out + ended.err
        assert "bug" not in ended.err
    assert files_with(key.encode(), folder) == []
