"""A crew that works through a sweep: real `wandb agent` processes, which ask the server for one trial after the other.

Agents start trials, see how they end and stop them; a study only sees to it that there are enough of them. What they
and their trials say goes to `outputs/scaling_study/logs/agent-1.log`, and so on.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scaling_lab.studies.plan import StudyPlan
from scaling_lab.studies.run import STOP_SECONDS, child_environment, start, wait_for
from scaling_lab.studies.status import RunStatus
from scaling_lab.studies.sweeps import Server, SweepPath

LOGS_NAME = "logs"
# Agents that may take the place of lost ones, or look once more for what is left, before a study gives up.
SPARE_AGENTS = 3


class Agents:
    """As many agents as runs go on at a time."""

    def __init__(self, plan: StudyPlan, server: Server, sweep: SweepPath) -> None:
        self._plan, self._server, self._sweep = plan, server, sweep
        self._agents: list[subprocess.Popen[bytes]] = []
        self._lost: set[int] = set()
        self._spare = SPARE_AGENTS

    def tend(self, unfinished: Sequence[RunStatus]) -> bool:
        """Start agents at the beginning, and others in the place of those that were lost."""
        if not self._agents:
            for _ in range(min(self._plan.jobs, len(unfinished))):
                self._start()
        for agent in self._agents:
            if agent.poll() and agent.pid not in self._lost:
                self._lost.add(agent.pid)
                self._replace(f"an agent was lost (exit code {agent.returncode})")
        if not self._alive() and not any(status.state == "running" for status in unfinished):
            self._replace("agents have left, and runs are not complete")
        return bool(self._alive())

    def leave(self) -> None:
        """Let the agents hear from the server that nothing is left; they ask every five seconds."""
        wait_for(self._agents, STOP_SECONDS)

    def stop(self) -> None:
        """Have every agent stop its trial: each writes a checkpoint. What is still there then is killed."""
        for agent in self._alive():
            agent.terminate()
        for agent in wait_for(self._agents, STOP_SECONDS):
            for trial in _children(agent.pid):
                os.kill(trial, signal.SIGKILL)
            agent.kill()

    def last_words(self, status: RunStatus) -> str:
        """Where to look: a trial that could say nothing itself may have left words in its agent's log."""
        return f"was not trained to its end; the agents' words are in {self._plan.folder / LOGS_NAME}"

    def _alive(self) -> list["subprocess.Popen[bytes]"]:
        return [agent for agent in self._agents if agent.poll() is None]

    def _replace(self, why: str) -> None:
        if self._spare:
            self._spare -= 1
            print(f"study: {why}; another takes its place", file=sys.stderr)
            self._start()

    def _start(self) -> None:
        # Signals are handed on to the trial, which writes a checkpoint.
        command = [sys.executable, "-m", "wandb", "agent", "--forward-signals", str(self._sweep)]
        log = self._plan.folder / LOGS_NAME / f"agent-{len(self._agents) + 1}.log"
        self._agents.append(start(command, log, self._environment()))

    def _environment(self) -> dict[str, str]:
        return {
            **child_environment(),
            **self._server.variables,
            # A trial that fails is the study's to judge: its agent goes on with the next.
            "WANDB_AGENT_DISABLE_FLAPPING": "true",
            "WANDB_AGENT_MAX_INITIAL_FAILURES": "1000000",
            "WANDB_DIR": str(self._plan.folder.resolve()),
        }


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (OSError, ValueError):
        return []
