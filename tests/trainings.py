"""One small run as a user trains it: real processes of `scaling-lab train`, and what a W&B server holds of them."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora import write_corpus
from servers import RunningServer, wait_until

from scaling_lab.tracking.journal import read_journal
from scaling_lab.tracking.metrics import TRAIN_STEP

Row = dict[str, Any]

N_EVALUATIONS = 50
# Of a run that is watched, or interrupted, once W&B has its first rows, which takes some seconds.
MANY_STEPS = 1_000
# The same in fewer steps, three times as slow, for a run that then goes on at its usual pace: one piece at a time.
SLOWLY = ("-o", "machine.micro_batch_tokens=64")
OPTIONS = (
    *("--ladder", "mini", "--size", "tiny", "--name", "mine", "--data-dir", "music", "--threads", "1"),
    *("--batch-size-tokens", "512", "-o", "data.sequence_length=64", "-o", f"recipe.evaluations={N_EVALUATIONS}"),
)

_READ = """
import json, sys, wandb
try:
    runs = list(wandb.Api().runs("local/music-scaling", order="+created_at"))
except ValueError:  # the project is made with its first run
    runs = []
def plain(row):
    return {name: value for name, value in row.items() if not name.startswith("_")}
print(json.dumps([
    {"id": run.id, "state": run.state, "group": run.group, "tags": run.tags, "name": run.name, "type": run.job_type,
     "config": run.config, "summary": dict(run.summary._json_dict), "sweep": run.sweep_name,
     "rows": [plain(row) for row in run.scan_history(use_cache=False)]}
    for run in runs
]))
"""


@dataclass
class Training:
    """A run in `outputs/mine`, and the environment that its processes have."""

    folder: Path
    server: RunningServer
    steps: int = 300
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        write_corpus(self.folder / "music")

    @property
    def run_dir(self) -> Path:
        return self.folder / "outputs" / "mine"

    def start(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        """A process that trains."""
        return self.popen([sys.executable, "-m", "scaling_lab", *self.command(), *options], **environment)

    def command(self) -> list[str]:
        """`train` with its options."""
        return ["train", *OPTIONS, "--tokens", str(512 * self.steps)]

    def popen(self, command: list[str], **environment: str) -> subprocess.Popen[str]:
        """Any process in the folder, ended with the test; a variable given as "" is one that it doesn't have."""
        merged = self.server.environment() | environment
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={name: value for name, value in merged.items() if value},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def finish(self, *options: str, **environment: str) -> str:
        """Train to the end; what was said on stderr."""
        process = self.start(*options, **environment)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
        return said

    def kill(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
            if process.stderr is not None:
                process.stderr.close()

    def journal(self) -> list[Row]:
        """The journal's rows, those of one step as one."""
        steps: dict[int, Row] = {}
        for row in read_journal(self.run_dir / "metrics.jsonl"):
            steps.setdefault(row[TRAIN_STEP], {}).update(row)
        return list(steps.values())

    def results(self) -> dict[str, Any]:
        """training_results.json."""
        return json.loads((self.run_dir / "training_results.json").read_text())

    def on_server(self, **environment: str) -> list[dict[str, Any]]:
        """Every run that the server has, oldest first, as `wandb.Api()` reads it."""
        ended = subprocess.run(
            [sys.executable, "-c", _READ],
            cwd=self.folder,
            env=self.server.environment() | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def wait_for_rows(self, count: int) -> None:
        """Wait until the server has this many rows; its store is asked, which is quicker than the SDK."""
        with closing(sqlite3.connect(self.server.store / "store.sqlite")) as store:
            wait_until(
                lambda: store.execute("SELECT count(*) FROM history").fetchone()[0] >= count, what=f"{count} rows"
            )
