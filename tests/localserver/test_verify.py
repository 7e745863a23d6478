"""What W&B itself checks of a server, and what faults on the way to one may not lose."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from faulty_way import faulty_way
from servers import RunningServer, wait_until

pytestmark = pytest.mark.slow

LOGS = """
import json, pathlib, sys, time, wandb
settings = {"silent": True, "x_file_stream_transmit_interval": 0.5, "x_file_stream_retry_wait_max_seconds": 2}
with wandb.init(project="p", id="faulty", settings=settings) as run:
    artifact = wandb.Artifact("data", type="dataset")
    for number in range(3):
        with artifact.new_file(f"{number}.txt") as stream:
            stream.write(str(number))
    run.log_artifact(artifact)
    for step in range(200):
        run.log({"loss": step})
        time.sleep(0.05)
"""
READS = """
import json, wandb
run = wandb.Api().run("local/p/faulty")
artifact = wandb.Api().artifact("local/p/data:latest")
print(json.dumps([[row["loss"] for row in run.scan_history(use_cache=False)], run.state, artifact.file_count]))
"""


def test_wandb_verify_finds_fault_only_with_what_needs_https_or_cors(server: RunningServer, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wandb", "verify", "--host", server.url]
    environment = server.environment() | {"WANDB_SILENT": "false"}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    checks = dict(re.findall(r"^((?:Checking|Running) .*?)\.{2,}(\S+)$", ended.stdout, re.MULTILINE))
    passed = {check for check, sign in checks.items() if sign == "\N{WHITE HEAVY CHECK MARK}"}
    assert len(checks) >= 9
    assert set(checks) - passed == {
        "Checking requests to base url",
        "Checking requests made over signed URLs",
        "Checking CORs configuration of the bucket",
    }


def test_wandb_leet_draws_a_run(server: RunningServer, tmp_path: Path) -> None:
    server.python(
        """
import wandb
with wandb.init(project="p", id="drawn") as run:
    for step in range(50):
        run.log({"train/loss": 1 / (step + 1)})
""",
        cwd=tmp_path,
    )
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 160, 0, 0))
    command = [sys.executable, "-m", "wandb", "leet", f"{server.url}/local/p/runs/drawn"]
    environment = server.environment() | {"TERM": "xterm-256color"}
    # In a session of its own: with 0.28 what draws is a child, which is to end too.
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
    )
    seen = b""

    def drawn() -> bool:
        nonlocal seen
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 65_536)
        # Its state, and the braille of a curve under its metric's name.
        return (
            b"Finished" in seen
            and b"train/loss" in seen
            and any(sign in seen.decode(errors="ignore") for sign in "⠉⠒⣀")
        )

    try:
        wait_until(drawn, what="the run to be drawn")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
        os.close(inner)
        os.close(terminal)


def test_a_server_that_fails_every_third_time_loses_nothing(server: RunningServer, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOGS]
    with faulty_way(server, (500, 503, 429)) as address:
        environment = server.environment() | {"WANDB_BASE_URL": address}
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=240)
    assert json.loads(server.python(READS, cwd=tmp_path)) == [list(range(200)), "finished", 3]


def test_a_server_killed_mid_run_and_started_again_loses_nothing(server: RunningServer, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LOGS], cwd=tmp_path, env=server.environment(), stderr=subprocess.DEVNULL
    )
    rows = 'query Q { project(name: "p", entityName: "local") { run(name: "faulty") { historyLineCount } } }'

    def begun() -> bool:
        run = (server.graphql(rows)["project"] or {}).get("run")
        return bool(run and run["historyLineCount"] > 20)

    wait_until(begun, what="rows")
    for _ in range(2):
        server.stop(signal.SIGKILL)
        server.start()
    assert process.wait(timeout=240) == 0
    assert json.loads(server.python(READS, cwd=tmp_path)) == [list(range(200)), "finished", 3]
