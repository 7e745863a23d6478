"""A crew that works through a sweep: real `wandb agent` processes, which ask the server for one trial after the other.

Agents start trials, see how they end and stop them; a study only sees to it that there are enough of them. What they
and their trials say goes to `outputs/scaling_study/logs/agent-1.log`, and so on.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from scaling_lab.files import is_locked
from scaling_lab.stopping import signals_wait
from scaling_lab.studies.plan import StudyPlan
from scaling_lab.studies.run import POLL_SECONDS, STOP_SECONDS, child_environment, kill_sessions, start, wait_for
from scaling_lab.studies.status import RunStatus
from scaling_lab.studies.sweeps import SweepPath
from scaling_lab.tracking.metrics import TRAIN_STEP
from scaling_lab.tracking.results import LOCK_NAME

LOGS_NAME = "logs"
# How many lost agents others take the place of before any run gets further than it ever was.
SPARE_AGENTS = 3


class Agents:
    """As many agents as runs go on at a time.

    Attributes:
        sweep: where they get their trials from.
    """

    def __init__(
        self,
        plan: StudyPlan,
        sweep: SweepPath,
        renewed: Callable[[SweepPath], SweepPath | None],
        say: Callable[[str], None],
    ) -> None:
        """`renewed` makes a new sweep in the place of one whose trials are used up.

        It is called again only where a run got further since: what fails each time would fail for ever.
        """
        self.sweep = sweep
        self._plan, self._renewed, self._say = plan, renewed, say
        self._at_work: list[subprocess.Popen[bytes]] = []
        self._sessions: set[int] = set()
        self._n_lacking = 0
        self._spare, self._may_renew = SPARE_AGENTS, True
        self._reached: dict[str, int] = {}

    def tend(self, unfinished: Sequence[RunStatus]) -> bool:
        """Start agents at the beginning, and others in the place of those that were lost."""
        self._note_progress(unfinished)
        self._note_lost()
        while self._n_lacking and self._spare:
            self._n_lacking, self._spare = self._n_lacking - 1, self._spare - 1
            self._start()
        if self._at_work or any(status.state == "running" for status in unfinished):
            return bool(self._at_work)
        if self._n_lacking or (self._sessions and not self._renew()):
            return False
        for _ in range(min(self._plan.jobs, len(unfinished))):
            self._start()
        return True

    def leave(self) -> None:
        """Let the agents hear from the server that nothing is left; they ask every five seconds."""
        wait_for(self._at_work, STOP_SECONDS)

    def stop(self) -> None:
        """Have every trial stop, also one that lost its agent: it writes a checkpoint. What is left then is killed."""
        deadline = time.monotonic() + STOP_SECONDS
        trials = {agent: _children(agent.pid) for agent in self._at_work}
        for agent in self._at_work:
            agent.terminate()
        asked: set[int] = set()
        while (left := self._left()) and time.monotonic() < deadline:
            # Agents hand the signal on, but for those that were lost this very moment. Asked twice, a trial would not
            # stay for its checkpoint.
            told = asked.union(*(theirs for agent, theirs in trials.items() if agent.poll() != -signal.SIGKILL))
            orphans = set(self._orphans()) - told
            _send(signal.SIGTERM, orphans)
            asked |= orphans
            time.sleep(POLL_SECONDS)
        _send(signal.SIGKILL, left)

    def kill(self) -> None:
        """End every agent and every trial now, also trials that lost their agent: they are in its session."""
        ours = {agent.pid for agent in self._at_work}
        # A session whose agent is gone has no leader; with one, it is somebody else's of the same number.
        kill_sessions(ours | {lost for lost in self._sessions - ours if not Path(f"/proc/{lost}").exists()})

    def last_words(self, status: RunStatus) -> str:
        """Where to look: a trial that could say nothing itself may have left words in its agent's log."""
        logs = self._plan.folder / LOGS_NAME
        if self._n_lacking:
            return f"no agent is left; their words are in {logs}, and the same command goes on"
        return f"sweep {self.sweep} hands it out no more; the agents' words are in {logs}"

    def _renew(self) -> bool:
        sweep = self._renewed(self.sweep) if self._may_renew else None
        self._may_renew = False
        self.sweep = sweep or self.sweep
        return sweep is not None

    def _note_progress(self, unfinished: Sequence[RunStatus]) -> None:
        """Losses are counted anew whenever a run got further than it ever was, or was completed."""
        reached = {status.name: int(status.row.get(TRAIN_STEP, 0)) for status in unfinished}
        got_further = any(step > self._reached.get(name, 0) for name, step in reached.items())
        if got_further or len(reached) < len(self._reached):
            self._spare, self._may_renew = SPARE_AGENTS, True
        self._reached = {name: max(step, self._reached.get(name, 0)) for name, step in reached.items()}

    def _note_lost(self) -> None:
        ended = [agent for agent in self._at_work if agent.poll() is not None]
        self._at_work = [agent for agent in self._at_work if agent not in ended]
        for agent in ended:
            if agent.returncode == 0:  # the server sent it away
                continue
            self._n_lacking += 1
            has_spare = self._n_lacking <= self._spare
            hope = "another takes its place" if has_spare else "others were, and no run got further"
            self._say(f"an agent was lost (exit code {agent.returncode}); {hope}")

    def _left(self) -> list[int]:
        """The processes of trials and agents that are still there."""
        agents = [agent.pid for agent in self._at_work if agent.poll() is None]
        return [*(trial for agent in agents for trial in _children(agent)), *agents, *self._orphans()]

    def _orphans(self) -> list[int]:
        """The processes of trials that go on though their agent was lost: they are in its session."""
        theirs = self._sessions - {agent.pid for agent in self._at_work if agent.poll() is None}
        found = []
        for config in self._plan.configs:
            lock = config.run_dir / LOCK_NAME
            if not is_locked(lock):
                continue
            with contextlib.suppress(OSError, ValueError):  # it ended just now
                process = int(lock.read_text(encoding="utf-8"))
                if os.getsid(process) in theirs:
                    found.append(process)
        return found

    def _start(self) -> None:
        log = self._plan.folder / LOGS_NAME / f"agent-{len(self._sessions) + 1}.log"
        # Signals are handed on to the trial, which then writes its checkpoint.
        command = [sys.executable, "-m", "wandb", "agent", "--forward-signals", str(self.sweep)]
        environment = {
            **child_environment(),
            # A trial that fails is the study's to judge: its agent goes on with the next.
            "WANDB_AGENT_DISABLE_FLAPPING": "true",
            "WANDB_AGENT_MAX_INITIAL_FAILURES": "1000000",
            "WANDB_DIR": str(self._plan.folder.resolve()),
        }
        with signals_wait():
            agent = start(command, log, environment)
            self._at_work.append(agent)
            self._sessions.add(agent.pid)


def _send(number: signal.Signals, processes: Collection[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (OSError, ValueError):
        return []
