"""Weights & Biases by its real SDK: what is recorded, and that its failure is its own."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from corpora import write_corpus

from scaling_lab.config import Override, RunConfig, dump_yaml, load_config
from scaling_lab.history.runs import RunRecord, read_run
from scaling_lab.tracking.wandb_run import resolve_mode
from scaling_lab.training.loop import train

pytestmark = pytest.mark.slow

KEY = "local-" + "0123456789" * 4


@pytest.fixture
def config(folder: Path) -> Callable[[str], RunConfig]:
    write_corpus(folder / "music")

    def make(mode: str) -> RunConfig:
        values = {
            "ladder": "mini",
            "size": "tiny",
            "name": f"run-{mode}",
            "data.dir": "music",
            "data.sequence_length": 64,
            "recipe.batch_size_tokens": 256,
            "recipe.tokens": 2560,
            "machine.threads": 1,
            "tracking.mode": mode,
            "tracking.tags": ["mine"],
        }
        return load_config(overrides=[Override(key, value, "test") for key, value in values.items()], environ={})

    return make


@pytest.fixture
def failing_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """`failing_server("refuses")` or `("hangs")`: where W&B is looked for from then on, with a key."""
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        behaviour = ""

        def do_POST(self) -> None:
            if self.behaviour == "hangs":
                over.wait(60)
            self.send_error(401)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def behave(behaviour: str) -> None:
        Handler.behaviour = behaviour
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("WANDB_API_KEY", KEY)

    yield behave
    over.set()
    server.shutdown()
    server.server_close()


def test_offline_keeps_every_row_and_the_model_for_wandb_sync(config: Callable[[str], RunConfig]) -> None:
    record = train(config("offline"))
    (folder,) = (record.folder / "wandb").glob("offline-run-*")
    assert folder.name.endswith(record.results["wandb_id"])
    (content,) = (path.read_bytes() for path in folder.glob("*.wandb"))
    for words in (
        b"train/loss",
        b"perf/mfu",
        b"val/bits_per_character",
        b"train/tokens",
        b"model-run-offline",
        b"best",
    ):
        assert words in content
    fingerprint = record.results["data"]["fingerprint"]
    for tag in ("tiny", "mini", "mine", fingerprint, f"mini-{fingerprint}"):
        assert tag.encode() in content


def test_a_server_that_refuses_costs_a_warning_and_no_row(
    config: Callable[[str], RunConfig], failing_server: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    failing_server("refuses")
    assert_whole(train(config("online")), capfd.readouterr().err)


def test_a_server_that_hangs_costs_a_warning_and_no_row_and_no_step_waits_for_it(
    config: Callable[[str], RunConfig],
    failing_server: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("scaling_lab.tracking.wandb_run.INIT_TIMEOUT_SECONDS", 10.0)
    failing_server("hangs")
    said: list[str] = []
    record = train(config("online"), watch=lambda run, row: said.append(capfd.readouterr().err))
    # Had the first step waited, the warning would have come before it.
    assert said[0] == ""
    assert_whole(record, "".join([*said, capfd.readouterr().err]))


def assert_whole(record: RunRecord, said: str) -> None:
    """A run that W&B was of no help to."""
    assert record.state == "complete"
    assert len(record.training["train/step"]) == 10
    assert "warning: W&B failed" in said
    assert "training goes on" in said


def test_killing_wandb_core_leaves_a_warning_and_a_complete_run(
    config: Callable[[str], RunConfig], folder: Path
) -> None:
    run = config("offline").model_copy(update={"name": "killed"})
    long = run.model_copy(update={"recipe": run.recipe.model_copy(update={"tokens": 256 * 1500})})
    (folder / "run.yaml").write_text(dump_yaml(long))
    command = [sys.executable, "-m", "scaling_lab", "train", "--config", "run.yaml"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.kill(wandb_core_of(process.pid), signal.SIGKILL)
    _, said = process.communicate(timeout=90)
    assert process.returncode == 0
    assert "warning: W&B failed" in said
    assert "Traceback" not in said
    assert len(read_run(long.run_dir).training["train/step"]) == 1500


def wandb_core_of(pid: int) -> int:
    """Process of the SDK's service, once `pid` has started it and its run."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = [line for path in Path(f"/proc/{pid}/task").glob("*/children") for line in path.read_text().split()]
        for child in children:
            started = list(Path().glob("outputs/killed/wandb/offline-run-*/*.wandb"))
            if started and b"wandb-core" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        time.sleep(0.05)
    pytest.fail("wandb-core was not started within a minute")


def test_the_key_is_in_no_file_of_a_run(config: Callable[[str], RunConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    record = train(config("offline"))
    time.sleep(0.2)
    files = [path for path in record.folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_auto_is_online_with_a_key_and_local_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(folder / "config"))
    assert resolve_mode("auto") == "local"
    (folder / "netrc").write_text(f"machine api.wandb.ai login user password {KEY}\n")
    assert resolve_mode("auto") == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9999")
    assert resolve_mode("auto") == "local"
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert resolve_mode("auto") == "online"
    assert resolve_mode("disabled") == "disabled"


def test_auto_asks_for_the_key_of_the_server_that_wandb_login_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(folder / "config"))
    (folder / "netrc").write_text(f"machine wandb.example:8080 login user password {KEY}\n")
    assert resolve_mode("auto") == "local"
    (folder / "config").mkdir()
    (folder / "config" / "settings").write_text("[default]\nbase_url = http://wandb.example:8080\n")
    assert resolve_mode("auto") == "online"


def test_results_name_the_wandb_run(config: Callable[[str], RunConfig]) -> None:
    record = train(config("disabled"))
    results = json.loads((record.folder / "training_results.json").read_text())
    assert results["wandb_mode"] == "disabled"
    assert not (record.folder / "wandb").exists()
