"""Which runs a command reads: those of a folder, or of a project as `pull_options` select them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaling_lab.commands.pull_options import equal_values, reading_mode
from scaling_lab.errors import UsageError
from scaling_lab.history.filters import RunFilters

if TYPE_CHECKING:
    from scaling_lab.history.remote import ReadingMode
    from scaling_lab.history.runs import LeftOut, RunRecord


@dataclass(frozen=True)
class ChosenRuns:
    """Runs of `folder`, unless there is a project."""

    folder: Path
    project: str | None
    entity: str | None
    filters: RunFilters
    mode: "ReadingMode"
    store: Path | None

    def read(self, *, is_quiet: bool = False) -> "tuple[list[RunRecord], list[LeftOut]]":
        """The runs, and what can't be read with the reason; `is_quiet`: nothing is said meanwhile.

        Raises UsageError, RemoteError.
        """
        if self.project is None:
            from scaling_lab.history.runs import read_runs

            return read_runs(self.folder)
        from scaling_lab.commands.progress import PullProgress
        from scaling_lab.history.pull import pull_runs

        with PullProgress(self.project) as progress:
            return pull_runs(
                self.project,
                entity=self.entity,
                filters=self.filters,
                mode=self.mode,
                store=self.store,
                watch=(lambda status: None) if is_quiet else progress.watch,
            )


def choose_runs(
    folder: Path | None,
    usual_folder: Path,
    project: str | None,
    entity: str | None,
    sweep: str | None,
    group: str | None,
    filters: Sequence[str],
    tracking: str,
    store: Path | None,
) -> ChosenRuns:
    """What was typed, checked before anything is read; without a project and a folder the usual one.

    Raises:
        UsageError: if both are given, or a choice among a project's runs without one.
    """
    of_project = {"--entity": entity, "--sweep": sweep, "--group": group, "--filter": filters, "--store": store}
    if project and folder:
        raise UsageError("command line: --results-dir and --project both say where runs are; give one of them")
    for option, value in of_project.items():
        if value and not project:
            raise UsageError(f"command line {option}: says which runs of a project; give --project too")
    chosen = RunFilters(sweep, group, equal_values(filters))
    return ChosenRuns(folder or usual_folder, project, entity, chosen, reading_mode(tracking), store)
