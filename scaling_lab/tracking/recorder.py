"""Where the loop leaves its rows: the journal first, for good, then the mirror."""

from collections.abc import Callable

from scaling_lab.tracking.journal import Journal, Row
from scaling_lab.tracking.mirror import Mirror


class Recorder:
    """Journal, W&B, and whoever watches (a progress line), in this order."""

    def __init__(self, journal: Journal, mirror: Mirror, watch: Callable[[Row], None]) -> None:
        self.journal, self.mirror, self._watch = journal, mirror, watch

    def log(self, row: Row) -> None:
        """Record one row of metrics; one of a step that is done again is in both places already."""
        if self.journal.append(row):
            self.mirror.add(row)
        self._watch(row)

    def step_done(self, step: int) -> None:
        """Say that all rows of a step are recorded."""
        self.mirror.step_done(step)
