"""Running a study: each run a process of its own, some at a time, followed through the journals they write.

`scaling-lab study` reaches this. A process for each run keeps their memory, threads and failures apart; what a run
says goes to `outputs/<run>/train.log`. Interrupted, the study asks its runs to stop, and each writes a checkpoint.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scaling_lab.config import dump_yaml
from scaling_lab.errors import CheckpointError, DivergedError, Interrupted, ScalingLabError, Stopped, UsageError
from scaling_lab.studies.plan import StudyPlan, is_complete
from scaling_lab.tracking import metrics
from scaling_lab.tracking.journal import JOURNAL_NAME
from scaling_lab.tracking.results import read_results

POLL_SECONDS = 0.5
# An agent or scheduler that stops a study kills what is left 30 s later.
STOP_SECONDS = 20.0
LOG_NAME = "train.log"
STOPPED = "study: stopped, and its runs wrote checkpoints; the same command goes on from here"

RunStatusName = Literal["waiting", "running", "complete", "diverged", "failed"]


@dataclass
class RunStatus:
    """How far one run of a study is, as whoever watches sees it."""

    name: str
    state: RunStatusName
    n_steps: int | None = None
    row: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


Watch = Callable[[list[RunStatus]], None]


def run_study(plan: StudyPlan, watch: Watch) -> list[RunStatus]:
    """Train what is left of a study; what is complete is not trained again.

    A run that diverges or fails doesn't end the study: the others go on, and its status says why.

    Raises:
        UsageError: if a run can't be started as configured; the others are stopped.
        Stopped, Interrupted: if asked to stop; every run has then written a checkpoint.
    """
    before = signal.signal(signal.SIGTERM, _raise_stopped)
    crew = _Crew(plan, watch)
    try:
        crew.work()
    except KeyboardInterrupt:
        raise Interrupted(STOPPED) from None
    finally:
        crew.stop()
        signal.signal(signal.SIGTERM, before)
    return crew.statuses


class _Crew:
    """The processes of a study."""

    def __init__(self, plan: StudyPlan, watch: Watch) -> None:
        self._plan, self._watch = plan, watch
        self._configs = {config.run_name: config for config in plan.configs}
        self.statuses = [
            RunStatus(config.run_name, "complete" if is_complete(config, plan.dataset) else "waiting")
            for config in plan.configs
        ]
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def work(self) -> None:
        """Start, follow and finish runs until none is left."""
        waiting = [status for status in self.statuses if status.state == "waiting"]
        while waiting or self._running:
            while waiting and len(self._running) < self._plan.jobs:
                self._start(waiting.pop(0))
            time.sleep(POLL_SECONDS)
            for status in self.statuses:
                self._follow(status)
            self._watch(self.statuses)

    def stop(self) -> None:
        """Ask every process to stop, and see to it that it does."""
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()

    def _start(self, status: RunStatus) -> None:
        config = self._configs[status.name]
        config.run_dir.mkdir(parents=True, exist_ok=True)
        config_path = self._plan.folder / "configs" / f"{status.name}.yaml"
        config_path.parent.mkdir(parents=True, exist_ok=True)
        config_path.write_text(dump_yaml(config), encoding="utf-8")
        command = [sys.executable, "-m", "scaling_lab", "train", "--config", str(config_path)]
        with (config.run_dir / LOG_NAME).open("ab") as log:
            # A session of its own: Ctrl-C reaches the study alone, which then asks each run to stop, once.
            self._running[status.name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(), start_new_session=True
            )
        status.state = "running"

    def _follow(self, status: RunStatus) -> None:
        process = self._running.get(status.name)
        if process is None:
            return
        run_dir = self._configs[status.name].run_dir
        if status.n_steps is None:
            status.n_steps = _planned_steps(run_dir)
        status.row = {**status.row, **_last_row(run_dir / JOURNAL_NAME)}
        if process.poll() is not None:
            del self._running[status.name]
            self._finish(status, process.returncode, run_dir)

    def _finish(self, status: RunStatus, exit_code: int, run_dir: Path) -> None:
        if exit_code == 0:
            status.state = "complete"
            return
        status.reason = _last_words(run_dir / LOG_NAME) or f"ended with exit code {exit_code}"
        if exit_code == UsageError.exit_code:
            raise UsageError(status.reason)
        status.state = "diverged" if exit_code == DivergedError.exit_code else "failed"


def require_all_complete(statuses: list[RunStatus]) -> None:
    """End a study as its worst run ended.

    Raises:
        DivergedError, Interrupted, ScalingLabError: naming the runs that did not complete.
    """
    unfinished = [status for status in statuses if status.state != "complete"]
    if not unfinished:
        return
    message = "\n".join(f"{status.name}: {status.state}: {status.reason}" for status in unfinished)
    if all(status.state == "diverged" for status in unfinished):
        raise DivergedError(message)
    raise ScalingLabError(message)


def _environment() -> dict[str, str]:
    """The study's own, but for SCALING_LAB_*: those values are in the run's config already, with the rest."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SCALING_LAB_")}


def _planned_steps(run_dir: Path) -> int | None:
    try:
        results = read_results(run_dir)
    except CheckpointError:  # the run itself will say so
        return None
    return results.get("steps") if results else None


def _last_row(journal: Path) -> dict[str, Any]:
    """What the last lines of a journal say, read from its end; nothing while there are none."""
    try:
        with journal.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        return {}
    row: dict[str, Any] = {}
    for line in lines[-3:]:
        try:
            row |= json.loads(line)
        except ValueError:  # begins before the window that was read
            continue
    return {name: value for name, value in row.items() if name in (*metrics.TRAINING_METRICS, metrics.VAL_LOSS)}


def _last_words(log: Path) -> str:
    """The last line that a run wrote: its error, if it had one."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def _raise_stopped(*_: object) -> None:
    raise Stopped(STOPPED)
