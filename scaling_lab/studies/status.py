"""How far each run of a study is, read from what it leaves in its own folder: journal, results, lock, last error.

It is the same whoever started the run: the study itself, a W&B agent, or a person in another terminal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scaling_lab.config.schema import RunConfig
from scaling_lab.errors import DivergedError, Interrupted, Stopped, UsageError
from scaling_lab.files import is_locked
from scaling_lab.studies.plan import StudyPlan, is_complete
from scaling_lab.tracking import metrics
from scaling_lab.tracking.journal import JOURNAL_NAME, last_row
from scaling_lab.tracking.results import LAST_ERROR_NAME, LOCK_NAME, read_error, read_results

RunStatusName = Literal["waiting", "running", "complete", "diverged", "failed"]


@dataclass
class RunStatus:
    """How far one run of a study is, as whoever watches sees it."""

    config: RunConfig
    state: RunStatusName = "waiting"
    n_steps: int | None = None
    row: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None

    @property
    def name(self) -> str:
        return self.config.run_name

    @property
    def is_open(self) -> bool:
        """Whether something is left to wait for."""
        return self.state in ("waiting", "running")

    def fail(self, reason: str) -> None:
        """Nothing more will come of the run."""
        self.state, self.reason = "failed", reason


def first_look(plan: StudyPlan) -> list[RunStatus]:
    """Which runs are complete; of the others, errors of an earlier command are forgotten, for they are tried again."""
    statuses = [RunStatus(config) for config in plan.configs]
    for status in statuses:
        if is_complete(status.config, plan.dataset):
            status.state = "complete"
        else:
            (status.config.run_dir / LAST_ERROR_NAME).unlink(missing_ok=True)
    return statuses


def look(status: RunStatus, plan: StudyPlan) -> None:
    """Bring a status up to date.

    Raises:
        UsageError: if the run can't be started as configured; it would fail again and again.
    """
    run_dir = status.config.run_dir
    if status.state == "complete":
        return
    if is_locked(run_dir / LOCK_NAME):
        status.state, status.reason = "running", None
    elif is_complete(status.config, plan.dataset):
        status.state, status.reason = "complete", None
    else:
        _ended(status)
    if status.state in ("running", "complete"):
        results = read_results(run_dir) or {}
        status.n_steps = results.get("steps", status.n_steps)
        status.row = {**status.row, **_last_metrics(run_dir / JOURNAL_NAME)}


def _ended(status: RunStatus) -> None:
    """The state of a run that nobody trains and that is not complete."""
    status.state = "waiting"
    error = read_error(status.config.run_dir)
    if error is None or error[0] in (Stopped.exit_code, Interrupted.exit_code):
        return
    exit_code, status.reason = error
    if exit_code == UsageError.exit_code:
        raise UsageError(status.reason)
    status.state = "diverged" if exit_code == DivergedError.exit_code else "failed"


def _last_metrics(journal: Path) -> dict[str, Any]:
    shown = (*metrics.TRAINING_METRICS, metrics.VAL_LOSS)
    return {name: value for name, value in last_row(journal).items() if name in shown}
