"""Every run of a project, its rows from the cache or the server, at most four runs at once.

    records, left_out = pull_runs("music-scaling", filters=RunFilters(sweep="abc123"))

`scaling-lab report --project` and `scaling-lab history pull` reach this. What can't be read is listed with the reason;
a server that fails ends the pull, and what was pulled until then is kept.
"""

import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scaling_lab.errors import RemoteError, UsageError
from scaling_lab.history.cache import Cache, Cached, Facts, joined
from scaling_lab.history.filters import EVERY_RUN, RunFilters
from scaling_lab.history.record import record_of, why_foreign
from scaling_lab.history.remote import (
    ReadingMode,
    RemoteRun,
    Source,
    http_status,
    is_request_failure,
    list_runs,
    opened,
    told_as_ours,
    why_none,
)
from scaling_lab.history.runs import LeftOut, RunRecord
from scaling_lab.history.scan import History, Watch, scan

AT_ONCE = 4
# The SDK waits for a scan's answer without end, and asks a silent server again for minutes.
SILENCE_SECONDS = 120.0
# Waits after an answer of 429, doubled each time. The SDK itself has asked again before it says so.
FIRST_WAIT_SECONDS, TIMES_ASKED = 5.0, 5

T = TypeVar("T")


@dataclass
class PullStatus:
    """How far a pull is. n_rows: rows that came from the server; n_done counts runs that the cache held too."""

    n_runs: int
    n_done: int = 0
    n_rows: int = 0


WatchPull = Callable[[PullStatus], None]


def pull_runs(
    project: str,
    *,
    entity: str | None = None,
    filters: RunFilters = EVERY_RUN,
    mode: ReadingMode = "auto",
    store: Path | None = None,
    watch: WatchPull = lambda status: None,
) -> tuple[list[RunRecord], list[LeftOut]]:
    """The runs of a project that `filters` lets through, in order of name and then of creation.

    Raises:
        UsageError: if there is no such project or store, or no run that is selected.
        RemoteError: if the server can't be reached, refuses, or fails.
    """
    with opened(project, entity, mode, store) as source:
        runs = list_runs(source, filters)
        if not runs:
            raise UsageError(f"{source.place}: {why_none(source, filters)}")
        return pull_listed(source, runs, Cache(source), watch)


def pull_listed(
    source: Source, runs: Sequence[RemoteRun], cache: Cache, watch: WatchPull
) -> tuple[list[RunRecord], list[LeftOut]]:
    """The same for runs that are listed already."""
    left_out, own = [], []
    for run in runs:
        reason = why_foreign(run)
        if reason is None:
            own.append(run)
        else:
            left_out.append(LeftOut(run.name, reason))
    results = _Crew(source, cache, watch).work(own)
    records = [result for result in results if isinstance(result, RunRecord)]
    left_out += [result for result in results if isinstance(result, LeftOut)]
    return sorted(records, key=lambda record: record.name), left_out


def pull_history(run: RemoteRun, cache: Cache, watch: Watch = lambda n_rows: None) -> History:
    """One run's rows: from the cache if they are complete there, else from the server, from its last step there on.

    Raises ValueError or TypeError if a metric holds what is no number, and whatever the SDK raises.
    """
    facts = Facts.of(run)
    cached = cache.load(run.id)
    if cached and cached.facts.is_current(facts):
        return cached.history
    with cache.locked(run.id):
        # Another command may have pulled it while this one waited.
        cached = cache.load(run.id)
        if cached and cached.facts.is_current(facts):
            return cached.history
        history = _gone_on(run, cached, facts, watch) or patiently(lambda: scan(run, watch))
        cache.store(run.id, Cached(facts, history))
    return history


def _gone_on(run: RemoteRun, cached: Cached | None, facts: Facts, watch: Watch) -> History | None:
    """The cached rows with what was logged since; None where there are none, or they no longer fit the run."""
    if cached is None or cached.history.last_step < 0 or not cached.facts.is_same_run(facts):
        return None
    before = cached.history
    return joined(before, patiently(lambda: scan(run, watch, since=before.last_step)))


def patiently(call: Callable[[], T]) -> T:
    """The call's result; asked again, after ever longer waits, while the server says that it is asked too often."""
    for wait in (FIRST_WAIT_SECONDS * 2**attempt for attempt in range(TIMES_ASKED - 1)):
        try:
            return call()
        except Exception as error:
            if not is_request_failure(error) or http_status(error) != 429:
                raise
        # Not all at the same moment again.
        time.sleep(wait * random.uniform(0.75, 1.25))
    return call()


class _Crew:
    """Up to four threads that take runs from one queue and lay what they find in another.

    They are daemons: a server that never answers must not keep the command from ending.
    """

    def __init__(self, source: Source, cache: Cache, watch: WatchPull) -> None:
        self._source, self._cache, self._watch = source, cache, watch
        self._waiting: queue.SimpleQueue[tuple[int, RemoteRun]] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[tuple[int, RunRecord | LeftOut | Exception | int]] = queue.SimpleQueue()
        self._over = threading.Event()

    def work(self, runs: Sequence[RemoteRun]) -> list[RunRecord | LeftOut]:
        """A record, or why there is none, for each run, in order."""
        for item in enumerate(runs):
            self._waiting.put(item)
        for number in range(min(AT_ONCE, len(runs))):
            threading.Thread(target=self._take, name=f"pull-{number}", daemon=True).start()
        try:
            return self._gather(len(runs))
        finally:
            self._over.set()

    def _gather(self, n_runs: int) -> list[RunRecord | LeftOut]:
        status = PullStatus(n_runs)
        results: dict[int, RunRecord | LeftOut] = {}
        while len(results) < n_runs:
            try:
                place, found = self._found.get(timeout=SILENCE_SECONDS)
            except queue.Empty:
                raise RemoteError(
                    f"{self._source.place}: no answer for {SILENCE_SECONDS:.0f} s; check that the server can be "
                    "reached, and try again; what was pulled is kept"
                ) from None
            if isinstance(found, Exception):
                raise found
            if isinstance(found, int):
                status.n_rows += found
            else:
                results[place] = found
                status.n_done += 1
            self._watch(status)
        return [results[place] for place in range(n_runs)]

    def _take(self) -> None:
        while not self._over.is_set():
            try:
                place, run = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._found.put((place, self._pull(place, run)))

    def _pull(self, place: int, run: RemoteRun) -> RunRecord | LeftOut | Exception:
        try:
            with told_as_ours(f"{self._source.place}/{run.id}"):
                history = pull_history(run, self._cache, lambda n_rows: self._found.put((place, n_rows)))
            return record_of(run, history)
        except OSError as error:
            return UsageError(
                f"{self._cache.folder}: can't keep pulled rows ({error}); free some space, or set XDG_CACHE_HOME to a "
                "folder that can be written"
            )
        except (ValueError, TypeError, OverflowError) as error:
            return LeftOut(run.name, f"a metric of it holds what is no number: {error}", str(run.config["size"]))
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits for this run
            return error
