"""`report --watch`: the page is drawn again as its runs train, and reloads itself in the browser."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from scaling_lab.commands.chosen_runs import ChosenRuns
from scaling_lab.commands.output_paths import written_to
from scaling_lab.commands.scores import try_scores
from scaling_lab.errors import RemoteError, ScalingLabError
from scaling_lab.history.runs import NOT_BEGUN, LeftOut, RunRecord, names_its_runs
from scaling_lab.report import build_report
from scaling_lab.stopping import as_error
from scaling_lab.studies.analysis import StudyAnalysis, analyse
from scaling_lab.studies.selection import why_unusable
from scaling_lab.tracking.metrics import TRAIN_STEP

Found = tuple[list[RunRecord], list[LeftOut]]

# Looks without a running run that end a watch, where nothing says that no other run is to come: one may be about to
# begin, or to be taken up again.
QUIET_LOOKS = 6


def watch_page(
    runs: ChosenRuns, page: Path, every_seconds: float, show: Callable[[Path], None] | None = None
) -> tuple[StudyAnalysis, int]:
    """Draw the page whenever the runs say something new; `show` it once it is there.

    Returns what they said last, and with which exit code: that of Ctrl-C or SIGTERM, if one ended it before they did.
    The page still reloads itself then.

    Raises:
        KeyboardInterrupt: if Ctrl-C or SIGTERM ended it before there was a page.
        RemoteError: if the server can't be reached at the first look; later it is asked again.
    """
    analysis = None
    try:
        for found in Watch(runs, every_seconds).analyses():
            is_first, analysis = analysis is None, found
            scores = try_scores(runs.folder, found)
            with written_to(page):
                build_report(found, page, scores, reload_seconds=every_seconds)
            if is_first and show:
                # A browser that is no browser of the desktop is waited for until it is closed.
                threading.Thread(target=show, args=(page,), daemon=True).start()
    except KeyboardInterrupt as asked:
        if analysis is None:
            raise
        return analysis, as_error(asked, "").exit_code
    assert analysis is not None
    return analysis, 0


class Watch:
    """Looks at runs now and then, until none of them is left to wait for."""

    def __init__(self, runs: ChosenRuns, every_seconds: float) -> None:
        self._runs = runs
        self._every_seconds = every_seconds
        self._said = ""

    def analyses(self) -> Iterator[StudyAnalysis]:
        """What the runs say, each time that it is something new: at least once."""
        seen, n_quiet = "", 0
        while True:
            found = self._look(is_first=not self._said)
            if found is not None:
                if (mark := _mark(found)) != seen:
                    seen = mark
                    yield analyse(*found)
                n_quiet = 0 if _is_busy(found) else n_quiet + 1
                if n_quiet == QUIET_LOOKS or (n_quiet and self._is_settled(found)):
                    return
            time.sleep(self._every_seconds)

    def _look(self, *, is_first: bool) -> Found | None:
        """The runs, or None while they can't be read: they may not have begun."""
        try:
            found = self._runs.read(is_quiet=True)
        except ScalingLabError as error:
            if isinstance(error, RemoteError) and is_first:
                raise
            self._say(f"{error}; waiting, Ctrl-C ends it")
            return None
        self._say(_states(found))
        return found

    def _is_settled(self, found: Found) -> bool:
        """Whether a study that names its runs has an end of each, so that none is to come."""
        records, left_out = found
        if self._runs.project is not None or left_out or not names_its_runs(self._runs.folder):
            return False
        # A run is complete a moment before its results have its losses.
        return all(run.state == "diverged" or why_unusable(run) is None for run in records)

    def _say(self, words: str) -> None:
        """A line on stderr, unless it was the last."""
        if words != self._said:
            self._said = words
            print(f"watch: {words}", file=sys.stderr, flush=True)


def _mark(found: Found) -> str:
    """Differs where a report would: results and numbers of rows say all that can change of a run."""
    records, left_out = found
    n_rows = [(len(run.training[TRAIN_STEP]), len(run.evaluations[TRAIN_STEP])) for run in records]
    return json.dumps([[run.results for run in records], n_rows, [vars(run) for run in left_out]])


def _is_busy(found: Found) -> bool:
    """Whether a run trains, or one that is named has not begun."""
    return bool({"running", NOT_BEGUN} & _counts(found).keys())


def _counts(found: Found) -> Counter[str]:
    records, left_out = found
    return Counter([*(run.state for run in records), *(run.reason for run in left_out if run.reason == NOT_BEGUN)])


def _states(found: Found) -> str:
    """3 complete, 1 running, 1 not begun."""
    counts = sorted(_counts(found).items())
    return ", ".join(f"{number} {state.removeprefix('has ')}" for state, number in counts) or "no run can be read"
