"""Names that could lead elsewhere: refused wherever a name is given, and nothing is written for them.

What names do on the server is in tests/localserver (test_safety.py, test_artifacts.py); what they do in the cache of
pulled rows, in tests/history/test_cache.py.
"""

import json
import os
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from corpora import write_corpus

LONG = "x" * 300
ELSEWHERE = ("../../x", "/tmp/scaling-lab-elsewhere", "a\0b", LONG, ".", "..", "")
# What a folder can't be called everywhere, and what stands beside runs.
RESERVED = ("CON", "aux.txt", "nul", "run.", "local-wandb", "scaling_study")
STUDY = ("study", "--ladder", "mini", "--sizes", "tiny", "--data-dir", "music", "--batch-size-tokens", "256")
RUN = ("--ladder", "mini", "--size", "tiny", "--data-dir", "music", "--tracking", "disabled")


@pytest.fixture(autouse=True)
def inner(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with room above it for what would get out."""
    inner = folder / "work" / "here"
    inner.mkdir(parents=True)
    write_corpus(inner / "music")
    monkeypatch.chdir(inner)
    return inner


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*")) | set(Path("/tmp").glob("scaling-lab-elsewhere*"))


@pytest.mark.parametrize("name", [*ELSEWHERE, *RESERVED], ids=lambda name: ascii(name)[:20])
def test_a_run_of_that_name_is_refused_wherever_it_is_given(name: str, folder: Path, scaling_lab: CommandLine) -> None:
    Path("run.yaml").write_text(f"name: {json.dumps(name)}\n")
    Path("sweep.yaml").write_text(
        "program: cli.py\ncommand: ['${env}', '${interpreter}', '${program}', train, '${args_no_boolean_flags}']\n"
        "method: grid\nmetric: {name: val/loss, goal: minimize}\n"
        f"parameters:\n  ladder: {{value: mini}}\n  size: {{values: [tiny]}}\n  name: {{value: {json.dumps(name)}}}\n"
    )
    before = everything(folder)
    for command in (
        ("train", *RUN, "--name", name),
        ("train", *RUN, "-o", f"name={name}"),
        ("train", *RUN, "--config", "run.yaml"),
        ("config", "show", *RUN, "--name", name),
        ("sweep", "create", "sweep.yaml", "--tracking", "local"),
    ):
        ended = scaling_lab(*command)
        assert ended.code == 2, command
        assert "name" in ended.err
        assert "Traceback" not in ended.err
        assert "bug" not in ended.err
    assert everything(folder) == before


@pytest.mark.parametrize("name", ELSEWHERE, ids=lambda name: ascii(name)[:20])
def test_a_project_or_a_study_of_that_name_is_refused(name: str, folder: Path, scaling_lab: CommandLine) -> None:
    Path("outputs/local-wandb").mkdir(parents=True)
    before = everything(folder)
    for command in (
        ("report", "--project", name),
        ("history", "pull", "--project", name, "--out", "tables"),
        ("tune", "--project", name),
        ("study", "--ladder", "mini", "--data-dir", "music", "--batch-size-tokens", "256", "--folder", name),
    ):
        ended = scaling_lab(*command, "--tracking", "local")
        if command[0] == "study" or name:  # an empty --project counts as none, and there are no folders to read
            assert ended.code == 2, command
        assert "bug" not in ended.err
    assert {path for path in everything(folder) - before if "packed" not in str(path)} == set()


@pytest.mark.parametrize(
    "command",
    [
        ("report", "--results-dir", LONG),
        ("report", "--results-dir", ".", "--out", LONG),
        ("report", "--results-dir", ".", "--out", f"{LONG}/report.html"),
        ("history", "pull", "--project", "music", "--tracking", "local", "--out", LONG),
        ("history", "pull", "--project", "music", "--tracking", "local", "--out", "music/train/data.json"),
        ("sample", "--run", LONG),
        ("sample", "--run", "../../x"),
        ("predict", "--size", "xl", "--results-dir", LONG),
        ("data", "prepare", "--input", "music", "--out", LONG),
        ("data", "validate", LONG),
        ("fit", LONG),
        ("sweep", "create", LONG),
        ("server", "--store", LONG),
        ("train", *RUN, "--output-dir", LONG),
        ("train", *RUN, "--output-dir", "music/train/data.json"),
        ("config", "validate", LONG),
    ],
    ids=lambda command: " ".join(command[:3])[:30],
)
def test_a_path_that_cannot_be_is_the_users_to_mend(
    command: tuple[str, ...], folder: Path, scaling_lab: CommandLine
) -> None:
    before = everything(folder)
    ended = scaling_lab(*command)
    assert ended.code == 2
    assert "bug" not in ended.err
    assert {path for path in everything(folder) - before if "packed" not in str(path)} == set()


@pytest.mark.parametrize(
    ("place", "kind", "words"),
    [
        ("outputs", "link", "outputs/scaling_study: can't be made, {0} is a link that leads nowhere"),
        ("outputs", "file", "outputs/scaling_study: can't be made, {0} is a file"),
        ("outputs/mini-tiny-seed0", "link", "outputs/mini-tiny-seed0: is a link that leads nowhere"),
        ("outputs/mini-tiny-seed0", "file", "outputs/mini-tiny-seed0: is a file"),
        ("outputs/scaling_study", "file", "outputs/scaling_study: is a file"),
        ("outputs/scaling_study/configs", "file", "outputs/scaling_study/configs: is a file"),
        ("outputs/scaling_study/scaling_study_results.json", "folder", "results.json: is a folder, and a file of that"),
        ("outputs/scaling_study/report.html", "folder", "outputs/scaling_study/report.html: is a folder, and a file"),
        ("outputs/scaling_study/report.html", "pipe", "report.html: is no plain file, and a file of that name is to"),
        ("outputs/scaling_study/study.json", "folder", "outputs/scaling_study/study.json: is a folder, and a file of"),
    ],
)
@pytest.mark.parametrize("tracking", ["disabled", "local"])
def test_what_stands_where_a_study_writes_is_named_before_it_trains(
    place: str, kind: str, words: str, tracking: str, inner: Path, folder: Path, scaling_lab: CommandLine
) -> None:
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "link":
            Path(place).symlink_to("/not-mounted/outputs")
        case "file":
            Path(place).write_text("mine")
        case "folder":
            Path(place).mkdir()
        case _:
            os.mkfifo(place)
    before = everything(folder)
    ended = scaling_lab(*STUDY, "--tracking", tracking)
    assert ended.code == 2
    assert words.format(inner / place) in ended.err
    assert len(ended.err.splitlines()) == 1
    assert {path for path in everything(folder) - before if "packed" not in str(path)} == set()
