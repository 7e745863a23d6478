"""A crew without a server: a process for each run, which keeps their memory, threads and failures apart.

What a run says goes to `outputs/<run>/train.log`.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scaling_lab.config import dump_yaml
from scaling_lab.stopping import signals_wait
from scaling_lab.studies.plan import StudyPlan
from scaling_lab.studies.run import STOP_SECONDS, child_environment, kill_sessions, start, wait_for
from scaling_lab.studies.status import RunStatus

LOG_NAME = "train.log"


class Processes:
    """Starts each run once, some at a time."""

    def __init__(self, plan: StudyPlan) -> None:
        self._plan = plan
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def tend(self, unfinished: Sequence[RunStatus]) -> bool:
        """Start the next runs where there is room."""
        waiting = [status for status in unfinished if status.name not in self._started]
        while waiting and len(self._running()) < self._plan.jobs:
            self._start(waiting.pop(0))
        return bool(self._running())

    def leave(self) -> None:
        """Let the last processes end."""
        wait_for(self._running(), STOP_SECONDS)

    def stop(self) -> None:
        """Ask every process to stop, and see to it that it does."""
        for process in self._running():
            process.terminate()
        for process in wait_for(self._running(), STOP_SECONDS):
            process.kill()

    def kill(self) -> None:
        """End every process now."""
        kill_sessions({process.pid for process in self._running()})

    def last_words(self, status: RunStatus) -> str:
        """The last line that a run's process wrote, or how it ended."""
        process = self._started.get(status.name)
        code = process.returncode if process else None
        return _last_line(status.config.run_dir / LOG_NAME) or f"ended with exit code {code}"

    def _running(self) -> list["subprocess.Popen[bytes]"]:
        return [process for process in self._started.values() if process.poll() is None]

    def _start(self, status: RunStatus) -> None:
        config_path = self._plan.folder / "configs" / f"{status.name}.yaml"
        config_path.parent.mkdir(parents=True, exist_ok=True)
        config_path.write_text(dump_yaml(status.config), encoding="utf-8")
        command = [sys.executable, "-m", "scaling_lab", "train", "--config", str(config_path)]
        with signals_wait():
            self._started[status.name] = start(command, status.config.run_dir / LOG_NAME, child_environment())


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
