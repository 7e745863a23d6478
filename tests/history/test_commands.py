"""`scaling-lab history pull`, `scaling_lab.pull`, and how a pull that can't be is told: a message, and no traceback."""

import csv
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_in_process import CommandLine
from remote_runs import log, run_of_steps
from servers import RunningServer

import scaling_lab as package

pytestmark = pytest.mark.slow


@pytest.fixture
def project(server: RunningServer) -> str:
    """A project with two runs."""
    log(
        server,
        run_of_steps("first", range(1, 31), project="tables", name="first"),
        run_of_steps("second", range(1, 21), project="tables", name="second"),
    )
    return "tables"


def test_tables_hold_what_the_records_do_and_csv_keeps_every_digit(
    server: RunningServer, project: str, scaling_lab: CommandLine
) -> None:
    pulled = package.pull(project, mode="local", store=server.store)
    assert pulled.runs["name"].tolist() == ["first", "second"]
    assert len(pulled.training) == 50
    assert pulled.training["train/step"].dtype == np.int64
    assert pulled.evaluations["run"].tolist() == ["first", "second"]
    ended = scaling_lab("history", "pull", "--project", project, "--store", str(server.store), "--out", "tables")
    assert ended.code == 0
    assert ended.out.splitlines() == ["tables/runs.csv", "tables/training.csv", "tables/evaluations.csv"]
    with Path("tables/training.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name in ("train/step", "train/loss", "train/flops", "perf/step_seconds"):
        assert [float(row[name]) for row in rows] == pulled.training[name].tolist()


def test_parquet_is_written_or_what_to_install_is_said(
    server: RunningServer, project: str, scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("history", "pull", "--project", project, "--store", str(server.store), "--out", "tables")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pyarrow", None)
        ended = scaling_lab(*arguments, "--format", "parquet")
    assert ended.code == 2
    assert "pip install 'scaling-lab[parquet]'" in ended.err
    parquet = pytest.importorskip("pyarrow.parquet")
    package.pull(project, mode="local", store=server.store).write(Path("tables"), "parquet")
    table = parquet.read_table("tables/training.parquet")
    assert table.column("train/step").to_pylist() == [*range(1, 31), *range(1, 21)]


def test_a_project_that_is_not_there_is_told(server: RunningServer, scaling_lab: CommandLine) -> None:
    ended = scaling_lab("report", "--project", "tabels", "--store", str(server.store))
    assert ended.code == 2
    assert "local/tabels: no such project" in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--filter", "size=tinny"), "no run has size=tinny; did you mean tiny?"),
        (("--filter", "size=tinny", "--filter", "size=xll"), "no run has size=tinny or xll; "),
        (("--filter", "state=running"), "no run has state=running; there are finished"),
        (("--filter", "collor=red"), "no run has collor=red; no run has any"),
        (("--group", "blue"), "no run of group blue; there are mini-"),
        (("--sweep", "zzzz"), "no sweep zzzz; give the id that `scaling-lab sweep create` printed"),
        (("--filter", "name=first", "--filter", "state=finished", "--filter", "size=xl"), "no run has size=xl; "),
    ],
)
def test_a_selection_without_runs_says_which_word_is_wrong(
    server: RunningServer, project: str, scaling_lab: CommandLine, arguments: tuple[str, ...], words: str
) -> None:
    ended = scaling_lab("report", "--project", project, "--store", str(server.store), *arguments)
    assert ended.code == 2
    assert f"local/{project}: {words}" in ended.err


def test_a_report_of_some_runs_leaves_the_whole_projects_alone(
    server: RunningServer, project: str, scaling_lab: CommandLine
) -> None:
    arguments = ("report", "--project", project, "--store", str(server.store))
    assert scaling_lab(*arguments).out.endswith("report: outputs/tables.html\n")
    whole = Path("outputs/tables.html").read_bytes()
    some = scaling_lab(*arguments, "--filter", "name=first", "--filter", "name=second")
    assert some.out.endswith("report: outputs/tables.name=first-or-second.html\n")
    assert Path("outputs/tables.html").read_bytes() == whole


def test_what_is_left_out_is_counted_below_the_law(
    server: RunningServer, project: str, scaling_lab: CommandLine
) -> None:
    # Beside the one that repeats the other's size and seed, one that isn't ours.
    log(server, run_of_steps("other", range(1, 4), project=project, name="other", config={}))
    ended = scaling_lab("report", "--project", project, "--store", str(server.store))
    assert "\nLeft out: 2 runs; the report says why.\n" in ended.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("report", "--project", "p"), "no local store of runs"),
        (("report", "--sweep", "abc"), "give --project too"),
        (("report", "--project", "p", "--results-dir", "d"), "give one of them"),
        (("report", "--project", "p", "--tracking", "offline"), "nowhere to read from"),
        (("report", "--project", "p", "--filter", "size"), "not KEY=VALUE"),
        (("history", "pull", "--project", "p", "--out", "o", "--format", "xls"), "none of csv, parquet"),
    ],
)
def test_what_cannot_be_asked_is_told(arguments: tuple[str, ...], words: str, scaling_lab: CommandLine) -> None:
    ended = scaling_lab(*arguments)
    assert ended.code == 2
    assert words in ended.err


@pytest.mark.parametrize("command", ["report", "tune"])
def test_no_folder_becomes_a_store_because_it_is_read(command: str, scaling_lab: CommandLine, folder: Path) -> None:
    (folder / "mine").mkdir()
    ended = scaling_lab(command, "--project", "p", "--tracking", "local", "--store", "mine")
    assert ended.code == 2
    assert "mine: no local store of runs" in ended.err
    assert list((folder / "mine").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("history", "pull", "--out", "notes.md"), "notes.md: is a file; give another place with --out\n"),
        (("history", "pull", "--out", "notes.md/in"), "notes.md/in: can't be made, {here}/notes.md is a file; give"),
        (("report", "--out", "here"), "here: is a folder; give a file, here/report.html say\n"),
        (("report", "--out", "notes.md/report.html"), "notes.md: is a file; give another place with --out\n"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_anything_is_asked(
    arguments: tuple[str, ...], words: str, scaling_lab: CommandLine, folder: Path
) -> None:
    (folder / "notes.md").write_text("notes")
    (folder / "here").mkdir()
    # There is no store: whoever looked for runs would say so.
    ended = scaling_lab(*arguments, "--project", "p")
    assert ended.code == 2
    assert ended.err.startswith(words.format(here=folder))


def test_a_file_that_cannot_be_replaced_is_no_bug_of_ours(
    server: RunningServer, project: str, scaling_lab: CommandLine, folder: Path
) -> None:
    (folder / "tables" / "runs.csv").mkdir(parents=True)
    ended = scaling_lab("history", "pull", "--project", project, "--store", str(server.store), "--out", "tables")
    assert (ended.code, ended.err.splitlines()[-1]) == (
        2,
        "tables: can't be written (Is a directory); give another place with --out",
    )


def test_a_key_that_is_refused_ends_with_4(
    server: RunningServer, scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "local-" + "f" * 40)
    ended = scaling_lab("report", "--project", "music-scaling")
    assert ended.code == 4
    assert "invalid API key" in ended.err


@pytest.mark.parametrize(
    "command",
    [
        ("sweep", "status", "abcd1234"),
        ("sweep", "stop", "abcd1234"),
        ("sweep", "create", str(Path(__file__).parents[2] / "sweeps" / "mini.yaml")),
        ("report", "--project", "tunes"),
        ("history", "pull", "--project", "tunes", "--out", "tables"),
    ],
)
def test_a_server_of_this_machine_that_is_gone_is_said_at_once(
    command: tuple[str, ...], scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    ended = scaling_lab(*command)
    assert ended.code == 4
    assert f"http://127.0.0.1:{port}: no server answers there (Connection refused); start it with" in ended.err
    assert "Traceback" not in ended.err


def test_a_stores_own_server_reached_by_its_address_shares_the_stores_cache(
    server: RunningServer, project: str, scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_store = scaling_lab("history", "pull", "--project", project, "--store", str(server.store), "--out", "one")
    assert "52 rows pulled" in by_store.err
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", server.api_key)
    by_address = scaling_lab("history", "pull", "--project", project, "--store", str(server.store), "--out", "two")
    assert by_address.code == 0
    assert "rows pulled" not in by_address.err
