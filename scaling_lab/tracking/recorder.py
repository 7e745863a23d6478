"""Where the loop leaves its rows: the journal first, for good, then the mirror."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scaling_lab.tracking.journal import Journal, Row
from scaling_lab.tracking.wandb_run import WandbRun


class Recorder:
    """Journal, W&B, and whoever watches (a progress line), in this order."""

    def __init__(self, journal: Journal, wandb_run: WandbRun, watch: Callable[[Row], None]) -> None:
        self.journal, self.wandb_run, self._watch = journal, wandb_run, watch

    def log(self, row: Row) -> None:
        """Record one row of metrics."""
        self.journal.append(row)
        self.wandb_run.log(row)
        self._watch(row)

    def keep_model(self, path: Path, facts: dict[str, Any]) -> None:
        """Keep the best model where others can fetch it."""
        self.wandb_run.keep_model(path, facts)

    def finish(self, complete: bool) -> None:
        """Close journal and mirror; the mirror gets a bounded time, a short one where the run was asked to stop."""
        self.journal.close()
        self.wandb_run.finish(exit_code=0 if complete else 1, wait_seconds=60.0 if complete else 10.0)
