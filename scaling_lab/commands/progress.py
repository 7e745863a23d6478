"""What is seen of a command while it works: one living line on a terminal, a plain line every so often in a pipe.

Everything goes to stderr, so that stdout holds results alone.
"""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from scaling_lab.tracking import metrics

if TYPE_CHECKING:
    from scaling_lab.data.conversion.converted import ConversionStatus
    from scaling_lab.history.pull import PullStatus
    from scaling_lab.studies.status import RunStatus
    from scaling_lab.training.plan import RunPlan

PLAIN_LINE_SECONDS = 10.0


class _Display:
    """Something of rich's that lives on a terminal while a context is open; nothing in a pipe."""

    def __init__(self, live: Callable[[], Any]) -> None:
        self._live: Any = live() if sys.stderr.isatty() else None
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def _line_is_due(self) -> bool:
        """Whether a pipe has waited long enough for its next plain line."""
        if time.monotonic() - self._last_line < PLAIN_LINE_SECONDS:
            return False
        self._last_line = time.monotonic()
        return True


class RunProgress(_Display):
    """Watches one run (use as a context, and hand `watch` to `train`)."""

    def __init__(self, name: str) -> None:
        super().__init__(_live_display)
        self._name = name
        self._task: Any = None
        self._val_loss: float | None = None
        self._begin = time.monotonic()
        self._first_step: int | None = None

    def watch(self, plan: "RunPlan", row: dict[str, Any]) -> None:
        """Show one row of metrics."""
        if metrics.VAL_LOSS in row:
            self._val_loss = row[metrics.VAL_LOSS]
            return
        if self._first_step is None:
            self._first_step = row[metrics.TRAIN_STEP] - 1
        if self._live:
            self._update_live(plan, row)
        elif self._line_is_due() or row[metrics.TRAIN_STEP] == plan.n_steps:
            print(f"{self._name}: {self._text(plan, row)}", file=sys.stderr, flush=True)

    def _update_live(self, plan: "RunPlan", row: dict[str, Any]) -> None:
        if self._task is None:
            self._task = self._live.add_task(self._name, total=plan.n_steps)
        self._live.update(self._task, completed=row[metrics.TRAIN_STEP], description=self._text(plan, row))

    def _text(self, plan: "RunPlan", row: dict[str, Any]) -> str:
        step = row[metrics.TRAIN_STEP]
        val_loss = f", val {self._val_loss:.4f}" if self._val_loss is not None else ""
        return (
            f"step {step:,}/{plan.n_steps:,}, loss {row[metrics.TRAIN_LOSS]:.4f}{val_loss}, "
            f"{row[metrics.TOKENS_PER_SECOND]:,.0f} tokens/s, {self._remaining(plan.n_steps, step)}"
        )

    def _remaining(self, n_steps: int, step: int) -> str:
        assert self._first_step is not None
        seconds_a_step = (time.monotonic() - self._begin) / (step - self._first_step)
        return f"{duration(seconds_a_step * (n_steps - step))} left"


class _Bar(_Display):
    """One bar with words beside it on a terminal; in a pipe the words alone, now and then."""

    def __init__(self, name: str) -> None:
        super().__init__(_live_display)
        self._name = name
        self._task: Any = None

    def _show(self, text: str, done: int, of: int | None, *, always: bool = False) -> None:
        """`always`: in a pipe too, though a line isn't due."""
        text = f"{self._name}: {text}"
        if self._live:
            if self._task is None:
                self._task = self._live.add_task(text, total=of)
            self._live.update(self._task, completed=done, description=text)
        elif always or self._line_is_due():
            print(text, file=sys.stderr, flush=True)


class PullProgress(_Bar):
    """Watches a pull: runs that are here of all, and rows that came for them."""

    def watch(self, status: "PullStatus") -> None:
        """Show how far the pull is; one line at its end in a pipe where rows came at all."""
        ended = status.n_done == status.n_runs and status.n_rows > 0
        text = f"{status.n_done:,}/{status.n_runs:,} runs, {status.n_rows:,} rows pulled"
        self._show(text, status.n_done, status.n_runs, always=ended)


class ConversionProgress(_Bar):
    """Watches a conversion: files that are done of all, tunes that came of them."""

    def watch(self, status: "ConversionStatus") -> None:
        """Show how far the conversion is."""
        files = f"{status.n_files_done:,}/{status.n_files:,} files"
        text = f"{files}, {status.n_tunes:,} tunes, {status.n_rejected:,} rejected"
        self._show(text, status.n_files_done, status.n_files)


class DownloadProgress(_Bar):
    """Watches a download: megabytes that are here of all."""

    def watch(self, here: int, of: int | None) -> None:
        """Show how far the download is."""
        self._show(f"{here / 1e6:,.0f}{f'/{of / 1e6:,.0f}' if of else ''} MB", here, of)


class SamplingProgress(_Bar):
    """Watches tunes being written: how many are done of all, and how long the others are by now."""

    def __init__(self, name: str, n_tunes: int) -> None:
        super().__init__(name)
        self._n_tunes = n_tunes

    def watch(self, n_written: int, n_tokens: int) -> None:
        """Show how far it is."""
        text = f"{n_written:,}/{self._n_tunes:,} tunes written, the others {n_tokens:,} tokens long"
        self._show(text, n_written, self._n_tunes)


class StudyProgress(_Display):
    """Watches a study: a table that lives on a terminal, a line for each run that goes on in a pipe."""

    def __init__(self) -> None:
        super().__init__(_live_table)
        self._ended: set[str] = set()

    def watch(self, statuses: "list[RunStatus]") -> None:
        """Show how far every run is."""
        if self._live:
            self._live.update(_study_table(statuses))
            return
        due = self._line_is_due()
        for status in statuses:
            ended = status.state not in ("waiting", "running") and status.name not in self._ended
            if (ended and status.row) or (due and status.state == "running"):
                print(f"{status.name}: {_study_text(status)}", file=sys.stderr, flush=True)
            if ended:
                self._ended.add(status.name)


def _study_text(status: "RunStatus") -> str:
    if metrics.TRAIN_STEP not in status.row:
        return (
            "starting" if status.state == "running" else f"{status.state}{f': {status.reason}' * bool(status.reason)}"
        )
    row, n_steps = status.row, status.n_steps or 0
    text = f"step {row[metrics.TRAIN_STEP]:,}/{n_steps:,}, loss {row.get(metrics.TRAIN_LOSS, float('nan')):.4f}"
    if metrics.VAL_LOSS in row:
        text += f", val {row[metrics.VAL_LOSS]:.4f}"
    if status.state == "running":
        return f"{text}, {row.get(metrics.TOKENS_PER_SECOND, float('nan')):,.0f} tokens/s"
    return f"{text}, {status.state}"


def duration(seconds: float) -> str:
    """A span of time for people: 42 s, 3 min 05 s, 2 h 10 min, 3 days."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    if seconds < 48 * 3600:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"
    return f"{seconds / 86400:,.0f} days"


def _study_table(statuses: "list[RunStatus]") -> Any:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("run", "", ""):
        table.add_column(heading)
    for status in statuses:
        done = status.n_steps if status.state == "complete" else status.row.get(metrics.TRAIN_STEP, 0)
        bar = ProgressBar(total=status.n_steps or 1, completed=done or (status.state == "complete"), width=24)
        table.add_row(status.name, bar, _study_text(status))
    return table


def _live_table() -> Any:
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(stderr=True), refresh_per_second=4)


def _live_display() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(BarColumn(24), TextColumn("{task.description}"), console=Console(stderr=True), transient=False)
