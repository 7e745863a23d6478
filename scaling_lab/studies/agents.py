"""A crew that works through a sweep: real `wandb agent` processes, which ask the server for one trial after the other.

Agents start trials, see how they end and stop them; a study only sees to it that there are enough of them. What they
and their trials say goes to `outputs/scaling_study/logs/agent-1.log`, and so on.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from scaling_lab.studies.plan import StudyPlan
from scaling_lab.studies.run import STOP_SECONDS, child_environment, start, wait_for
from scaling_lab.studies.status import RunStatus
from scaling_lab.studies.sweeps import SweepPath

LOGS_NAME = "logs"
# How many lost agents others take the place of while no run gets done, before a study makes do with those it has.
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

        It is called again only where runs got done since: what fails each time would fail for ever.
        """
        self.sweep = sweep
        self._plan, self._renewed, self._say = plan, renewed, say
        self._at_work: list[subprocess.Popen[bytes]] = []
        self._n_started, self._spare, self._may_renew = 0, SPARE_AGENTS, True
        self._n_unfinished = len(plan.configs)

    def tend(self, unfinished: Sequence[RunStatus]) -> bool:
        """Start agents at the beginning, and others in the place of those that were lost."""
        if len(unfinished) < self._n_unfinished:
            self._spare, self._may_renew = SPARE_AGENTS, True
        self._n_unfinished = len(unfinished)
        self._replace_lost()
        if self._at_work or any(status.state == "running" for status in unfinished):
            return bool(self._at_work)
        if self._n_started and not self._renew():
            return False
        for _ in range(min(self._plan.jobs, len(unfinished))):
            self._start()
        return True

    def leave(self) -> None:
        """Let the agents hear from the server that nothing is left; they ask every five seconds."""
        wait_for(self._at_work, STOP_SECONDS)

    def stop(self) -> None:
        """Have every agent stop its trial: each writes a checkpoint. What is still there then is killed."""
        for agent in self._at_work:
            agent.terminate()
        for agent in wait_for(self._at_work, STOP_SECONDS):
            for trial in _children(agent.pid):
                os.kill(trial, signal.SIGKILL)
            agent.kill()

    def last_words(self, status: RunStatus) -> str:
        """Where to look: a trial that could say nothing itself may have left words in its agent's log."""
        return f"sweep {self.sweep} hands it out no more; the agents' words are in {self._plan.folder / LOGS_NAME}"

    def _renew(self) -> bool:
        sweep = self._renewed(self.sweep) if self._may_renew else None
        self._may_renew = False
        self.sweep = sweep or self.sweep
        return sweep is not None

    def _replace_lost(self) -> None:
        ended = [agent for agent in self._at_work if agent.poll() is not None]
        self._at_work = [agent for agent in self._at_work if agent not in ended]
        for agent in ended:
            if agent.returncode != 0 and self._spare:  # one that the server sent away ends with 0
                self._spare -= 1
                self._say(f"an agent was lost (exit code {agent.returncode}); another takes its place")
                self._start()

    def _start(self) -> None:
        self._n_started += 1
        log = self._plan.folder / LOGS_NAME / f"agent-{self._n_started}.log"
        # Signals are handed on to the trial, which then writes its checkpoint.
        command = [sys.executable, "-m", "wandb", "agent", "--forward-signals", str(self.sweep)]
        environment = {
            **child_environment(),
            # A trial that fails is the study's to judge: its agent goes on with the next.
            "WANDB_AGENT_DISABLE_FLAPPING": "true",
            "WANDB_AGENT_MAX_INITIAL_FAILURES": "1000000",
            "WANDB_DIR": str(self._plan.folder.resolve()),
        }
        self._at_work.append(start(command, log, environment))


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (OSError, ValueError):
        return []
