"""A folder in which a study is run by the command line, with its server and agents, and what is to be seen of it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora import write_corpus

STUDY = (
    *("study", "--ladder", "mini", "--data-dir", "music", "--tracking", "local", "--threads", "1"),
    *("-o", "recipe.evaluations=2", "--batch-size-tokens", "512", "-o", "data.sequence_length=64"),
)


@dataclass
class Desk:
    """A folder with music, and the command line in it."""

    folder: Path
    home: Path
    told: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "cache"), **self.told}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "scaling_lab", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False, timeout=600
        )

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "scaling_lab", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def sweep(self) -> str:
        return json.loads((self.folder / "outputs/scaling_study/study.json").read_text())["sweep"]

    def status(self, sweep: str) -> dict[str, Any]:
        ended = self.run("sweep", "status", sweep, "--tracking", "local", "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def trials(self, sweep: str) -> list[tuple[str, str, int]]:
        """Size, state and last step of each trial."""
        trials = self.status(sweep)["trials"]
        return [(trial["parameters"]["size"], trial["state"], trial["step"]) for trial in trials]

    def results(self, name: str) -> dict[str, Any]:
        try:
            return json.loads((self.folder / "outputs" / name / "training_results.json").read_text())
        except FileNotFoundError:
            return {}

    def steps(self, name: str) -> list[int]:
        """Training steps in the run's journal."""
        try:
            lines = (self.folder / "outputs" / name / "metrics.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line)["train/step"] for line in lines if '"train/loss"' in line]

    def processes(self) -> list[int]:
        """Everything that runs in the folder."""
        return [*self._commands()]

    def agents(self) -> list[int]:
        return self._that_run("agent")

    def trials_at_work(self) -> list[int]:
        return self._that_run("train")

    def servers(self) -> list[int]:
        return self._that_run("server")

    def _that_run(self, command: str) -> list[int]:
        """Processes of `python -m wandb …` and `python -m scaling_lab …`, by what they were told to do."""
        found = [pid for pid, words in self._commands().items() if words[1:2] == ["-m"] and words[3:4] == [command]]
        # What one of them starts has its command line too, until it runs its own program.
        return [pid for pid in found if parent_of(pid) not in found]

    def _commands(self) -> dict[int, list[str]]:
        """The command line of each process whose working directory is the folder."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "cwd") == str(self.folder):
                    found[int(entry.name)] = (entry / "cmdline").read_text().split("\0")
            except OSError:
                continue
        found.pop(os.getpid(), None)
        return found


def parent_of(pid: int) -> int | None:
    """The process that another is a child of; None once that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


@contextmanager
def new_desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk with music and an empty home; whatever still runs on it at the end is killed."""
    folder, home = tmp_path / "desk", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    write_corpus(folder / "music")
    desk = Desk(folder, home)
    try:
        yield desk
    finally:
        for pid in desk.processes():
            os.kill(pid, signal.SIGKILL)
