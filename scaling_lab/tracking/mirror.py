"""The mirror: a run's rows in W&B, whole whatever happens to the run.

Rows of one step go as one call, and only once the step is done, its evaluation too: W&B keeps one row a step and takes
nothing more for a step it has left behind. What the journal holds when a run begins goes first, and W&B is spared what
it has (`WandbRun.log`). So it makes no difference whether the run was killed, whether W&B was away, or whether an agent
named a new W&B run for a folder that has trained half, or all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling_lab.tracking import metrics
from scaling_lab.tracking.journal import Row
from scaling_lab.tracking.results import RunState
from scaling_lab.tracking.wandb_run import WandbRun

# A run that was asked to stop is killed after 30 s: what W&B lacks by then, it gets when the run goes on.
FINISH_SECONDS, STOP_SECONDS = 60.0, 10.0


@dataclass(frozen=True)
class Ending:
    """How a run ended, as W&B is told of it.

    Attributes:
        result: state, times and memory, for the summary; all other figures follow from the rows.
        model: file of the best model with what is said of it; None where there is none to keep.
    """

    state: RunState
    exit_code: int
    result: Mapping[str, Any]
    model: tuple[Path, Mapping[str, Any]] | None = None


class Mirror:
    """Hands rows on, step by step."""

    def __init__(self, run: WandbRun, journal: Iterable[Row]) -> None:
        """Begin with what the journal holds by now; its last step counts as done when `step_done` says so."""
        self.run = run
        self._row: Row = {}
        for row in journal:
            self.add(row)

    def add(self, row: Row) -> None:
        """Take a row; the one of an earlier step is complete then, and goes out."""
        if self._row and self._row[metrics.TRAIN_STEP] != row[metrics.TRAIN_STEP]:
            self._send()
        self._row = {**self._row, **row} if self._row else row

    def step_done(self, step: int) -> None:
        """No more rows of this step will come."""
        if self._row and self._row[metrics.TRAIN_STEP] == step:
            self._send()

    def end(self, ending: Ending) -> None:
        """End the W&B run; waits for what is on its way, a short time where the run was asked to stop."""
        if ending.state == "complete" and self._row:
            self._send()
        if ending.model is not None:
            self.run.keep_model(*ending.model)
        self.run.summarise({"result": dict(ending.result)})
        if ending.state == "stopped":
            self.run.mark_preempting()
        self.run.finish(ending.exit_code, FINISH_SECONDS if ending.state == "complete" else STOP_SECONDS)

    def _send(self) -> None:
        self.run.log(self._row)
        self._row = {}
