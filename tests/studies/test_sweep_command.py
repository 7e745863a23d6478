"""`scaling-lab sweep`, and the SDK's own `wandb sweep` and `wandb agent`, on a sweep file from a checkout."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from corpora import write_corpus
from servers import RunningServer

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
SWEEP = """program: cli.py
project: tunes
method: grid
parameters:
  size:
    values: [small, tiny]
  learning_rate:
    values: [0.001]
command:
  - ${env}
  - ${interpreter}
  - ${program}
  - train
  - --ladder=mini
  - --data-dir=music
  - --tokens=4096
  - --batch-size-tokens=512
  - --threads=1
  - -o
  - data.sequence_length=64
  - --name={size}-lr{learning_rate}
  - ${args_no_boolean_flags}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a sweep needs of a checkout, with music and a sweep file."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(CHECKOUT / "cli.py", folder)
    write_corpus(folder / "music")
    (folder / "sweep.yaml").write_text(SWEEP)
    return folder


def run(server: RunningServer, folder: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = server.environment() | {"WANDB_SILENT": "false", "PYTHONPATH": str(CHECKOUT)}
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    return ended


def test_the_sdks_own_commands_train_a_sweep(checkout: Path, server: RunningServer) -> None:
    said = run(server, checkout, "wandb", "sweep", "sweep.yaml").stderr
    sweep = said.rsplit("wandb agent ", 1)[1].split()[0]
    run(server, checkout, "wandb", "agent", sweep)
    printed = run(server, checkout, "scaling_lab", "sweep", "status", sweep).stdout.splitlines()
    assert printed[0] == f"sweep {sweep}: finished, 2 of 2 trials finished"
    assert printed[1].split() == ["size", "learning_rate", "state", "step", "loss", "val", "loss", "run"]
    assert [line.split()[:4] for line in printed[2:]] == [
        ["tiny", "0.001", "finished", "8/8"],
        ["small", "0.001", "finished", "8/8"],
    ]
    assert (checkout / "outputs/tiny-lr0.001/training_results.json").exists()


def test_a_sweep_is_created_looked_at_and_changed(checkout: Path, server: RunningServer) -> None:
    created = run(server, checkout, "scaling_lab", "sweep", "create", "sweep.yaml", "--json")
    content = json.loads(created.stdout)
    sweep = content["sweep"]
    assert content["trials"] == 2
    assert content["agent"] == f"wandb agent {sweep}"
    assert content["address"] == f"{server.url}/{sweep.replace('tunes/', 'tunes/sweeps/')}"
    assert "note: few-steps: 8 steps are few" in created.stderr
    assert "note: few-sizes: 2 sizes give no law" in created.stderr

    status = json.loads(run(server, checkout, "scaling_lab", "sweep", "status", sweep, "--json").stdout)
    assert status["state"] == "pending"
    assert [(trial["parameters"]["size"], trial["state"]) for trial in status["trials"]] == [
        ("tiny", "waiting"),
        ("small", "waiting"),
    ]
    for change, state in (("pause", "paused"), ("resume", "running"), ("stop", "finished")):
        if change == "pause":  # only a sweep that runs can be paused
            run(server, checkout, "scaling_lab", "sweep", "resume", sweep)
        assert run(server, checkout, "scaling_lab", "sweep", change, sweep).stdout == f"sweep {sweep}: {state}\n"


def test_a_local_sweep_says_which_server_its_agents_need(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ended = subprocess.run(
        [sys.executable, "-m", "scaling_lab", "sweep", "create", "sweep.yaml"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["sweep", "address:", "agent:", "export", "export"]
    assert lines[3].startswith("export WANDB_BASE_URL=http://127.0.0.1:")
    assert "before agents are started: scaling-lab server --store outputs/local-wandb" in ended.stderr


def test_a_sweep_that_is_not_there_is_named(
    checkout: Path, server: RunningServer, scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(server, checkout, "scaling_lab", "sweep", "create", "sweep.yaml")
    reached(server, monkeypatch)
    for command in ("status", "stop", "pause", "resume", "cancel"):
        ended = scaling_lab("sweep", command, "tunes/nobody12")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == (
            f"{server.url}: local/tunes: no sweep nobody12; give ID, PROJECT/ID or ENTITY/PROJECT/ID\n"
        )


def test_a_change_that_the_state_does_not_allow_is_refused_with_what_to_do(
    checkout: Path, server: RunningServer, scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = run(server, checkout, "scaling_lab", "sweep", "create", "sweep.yaml", "--json")
    sweep = json.loads(created.stdout)["sweep"]
    reached(server, monkeypatch)
    ended = scaling_lab("sweep", "pause", sweep)
    assert (ended.code, "is pending, and only one that runs can be paused" in ended.err) == (2, True)

    assert scaling_lab("sweep", "cancel", sweep).out == f"sweep {sweep}: canceled\n"
    ended = scaling_lab("sweep", "stop", sweep)
    assert (ended.code, ended.err) == (
        2,
        f"sweep {sweep}: is cancelled already; "
        f"`scaling-lab sweep resume {sweep}` goes on with its 2 unfinished trials\n",
    )
    ended = scaling_lab("sweep", "resume", sweep)
    went_on = (
        f"sweep {sweep}: running; it was cancelled, and goes on with its 2 unfinished trials: wandb agent {sweep}\n"
    )
    assert (ended.code, ended.out) == (0, went_on)

    run(server, checkout, "wandb", "agent", sweep)
    ended = scaling_lab("sweep", "resume", sweep)
    assert (ended.code, "is finished, and no trial is left to hand out" in ended.err) == (2, True)
    ended = scaling_lab("sweep", "cancel", sweep)
    assert (ended.code, "is finished already; `scaling-lab sweep status" in ended.err) == (2, True)


def reached(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands in this process use the server, as W&B."""
    for name, value in server.environment().items():
        if name.startswith("WANDB_"):
            monkeypatch.setenv(name, value)
