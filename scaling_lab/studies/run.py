"""Running a study: runs are started by a crew, and followed through what they leave in their folders.

`scaling-lab study` reaches this. There are two crews: W&B agents of a sweep (`agents.py`) where there is a server, and
plain processes (`processes.py`) where there is none. Interrupted, the study has its crew stop the runs, each writes a
checkpoint, and the same command goes on.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Protocol

from scaling_lab.config.settings import ENVIRONMENT_PREFIX, WANDB_VARIABLES
from scaling_lab.errors import DivergedError, ScalingLabError
from scaling_lab.stopping import Signals, as_error
from scaling_lab.studies.plan import StudyPlan
from scaling_lab.studies.status import RunStatus, first_look, look

POLL_SECONDS = 0.5
# An agent or scheduler that stops a study kills what is left 30 s later.
STOP_SECONDS = 20.0
NAMES_SHOWN = 5
# True of every run, whether it wrote a checkpoint now or had not begun.
STOPPED = "study: stopped; the same command goes on, with each run from its last checkpoint"
KILLED = (
    "study: stopped at once, and what ran was killed; the same command goes on, with each run from its last checkpoint"
)

Watch = Callable[[list[RunStatus]], None]


class Crew(Protocol):
    """Whoever starts the runs of a study."""

    def tend(self, unfinished: Sequence[RunStatus]) -> bool:
        """Start what should be going on now; False once nothing is, and nothing will be."""
        ...

    def leave(self) -> None:
        """Nothing is left to do; end in order."""
        ...

    def stop(self) -> None:
        """Have every run write a checkpoint and end, and wait for it."""
        ...

    def kill(self) -> None:
        """Leave nothing behind that was started, and wait for nothing."""
        ...

    def last_words(self, status: RunStatus) -> str:
        """Why a run ended that could not say so itself."""
        ...


def run_study(plan: StudyPlan, crew: Crew, watch: Watch) -> list[RunStatus]:
    """Train what is left of a study; what is complete is not trained again.

    A run that diverges or fails doesn't end the study: the others go on, and its status says why.

    Raises:
        UsageError: if a run can't be started as configured; the others are stopped.
        Stopped, Interrupted: if asked to stop; every run that trained has then written a checkpoint, or was killed for
            taking too long. Asked twice, the process ends at once and takes all its runs with it.
    """
    statuses = first_look(plan)
    with Signals(KILLED, crew.kill):
        try:
            _follow(plan, crew, statuses, watch)
        except KeyboardInterrupt as asked:
            raise as_error(asked, STOPPED) from None
        finally:
            crew.stop()
    return statuses


def _follow(plan: StudyPlan, crew: Crew, statuses: list[RunStatus], watch: Watch) -> None:
    """Until every run is complete or has failed for good."""
    while unfinished := [status for status in statuses if status.is_open]:
        going_on = crew.tend(unfinished)
        time.sleep(POLL_SECONDS)
        for status in statuses:
            look(status, plan)
        watch(statuses)
        if not going_on and not any(status.state == "running" for status in statuses):
            for status in statuses:
                if status.is_open:
                    status.fail(crew.last_words(status))
    if all(status.state == "complete" for status in statuses):
        crew.leave()


def require_all_complete(statuses: list[RunStatus]) -> None:
    """End a study as its worst run ended.

    Raises:
        DivergedError, Interrupted, ScalingLabError: naming the runs that did not complete.
    """
    unfinished = [status for status in statuses if status.state != "complete"]
    if not unfinished:
        return
    by_end: dict[str, list[str]] = {}
    for status in unfinished:
        by_end.setdefault(f"{status.state}: {status.reason}", []).append(status.name)
    # A study may have a hundred runs, and one reason for all of them.
    message = "\n".join(f"{_listed(names)}: {end}" for end, names in by_end.items())
    if all(status.state == "diverged" for status in unfinished):
        raise DivergedError(message)
    raise ScalingLabError(message)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown} and {len(names) - NAMES_SHOWN} more"


def child_environment() -> dict[str, str]:
    """The study's own, but for what says something about a run: those values are in the runs' configuration already."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ENVIRONMENT_PREFIX) and name not in WANDB_VARIABLES
    }


def start(command: Sequence[str], log: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """A process in a session of its own: Ctrl-C reaches the study alone, which then asks each process to stop, once."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as words:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, env=environment, start_new_session=True
        )


def wait_for(processes: Sequence["subprocess.Popen[bytes]"], seconds: float) -> list["subprocess.Popen[bytes]"]:
    """Wait for processes to end; those that have not after all these seconds."""
    deadline = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            continue
    return [process for process in processes if process.poll() is None]


def kill_sessions(sessions: Set[int]) -> None:
    """Kill the processes that lead these sessions, and all that they started in them."""
    # The leaders first: after that nobody starts anything more.
    for process in [*sessions, *_members(sessions)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _members(sessions: Set[int]) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError):  # it ended just now
            if os.getsid(int(entry.name)) in sessions:
                yield int(entry.name)
