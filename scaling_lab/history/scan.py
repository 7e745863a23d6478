"""One run's rows off a server: `scan_history` alone, one scan for each group of metrics that are logged together.

A scan gives only rows that hold all of its keys. So a group asks for what the run's `historyKeys` say was logged, and
where its rows leave anything open (a step missing, an evaluation too few, an end before the run's own last step) the
run is read once more without keys: what is missing then, the server doesn't have.

The scan's own file cache is never used (`use_cache=False`): it doesn't grow with the run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.history.columns import Columns, missing_steps, numbers
from scaling_lab.history.remote import RemoteRun
from scaling_lab.tracking import metrics

STEP = "_step"
PAGE_STEPS = 1_000
# Evaluations are few: a page of more steps is still a short answer, and asks a tenth as often. W&B samples beyond it.
SPARSE_PAGE_STEPS = 10_000

# Called with the number of rows that arrived.
Watch = Callable[[int], None]


@dataclass(frozen=True)
class History:
    """A run's rows as they were logged, in order of `_step`: those of training, and those of evaluations."""

    training: Columns
    evaluations: Columns

    @property
    def last_step(self) -> int:
        """The last `_step` of all, -1 where there is no row."""
        return max((int(group[STEP][-1]) for group in self.groups if len(group[STEP])), default=-1)

    @property
    def groups(self) -> tuple[Columns, Columns]:
        return self.training, self.evaluations


@dataclass(frozen=True)
class _Group:
    """Metrics that are logged together. anchor: what a row of them always has."""

    anchor: str
    names: tuple[str, ...]
    page_steps: int

    def columns(self, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Columns:
        """Those of the rows that are the group's, as columns."""
        own = [row for row in rows if self.anchor in row]
        return {name: numbers([row.get(name) for row in own]) for name in (STEP, *names)}


TRAINING = _Group(metrics.TRAIN_LOSS, metrics.TRAINING_METRICS, PAGE_STEPS)
EVALUATION = _Group(metrics.VAL_LOSS, metrics.EVALUATION_METRICS, SPARSE_PAGE_STEPS)
GROUPS = (TRAINING, EVALUATION)


def scan(run: RemoteRun, watch: Watch, since: int = 0) -> History:
    """All rows of a run from `_step` `since` on.

    Raises ValueError or TypeError if a metric holds what is no number, and whatever the SDK raises.
    """
    logged = _rows_of_each_metric(run)
    wanted = [[name for name in group.names if name in logged] for group in GROUPS]
    together = all(
        logged[name] >= logged[group.anchor]
        for group, names in zip(GROUPS, wanted, strict=True)
        if group.anchor in logged
        for name in names
    )
    if together:
        history = History(*(_scan_group(run, *each, since, watch) for each in zip(GROUPS, wanted, strict=True)))
        if _accounted_for(run, history, logged, since):
            return history
    parts = [
        [group.columns(rows, names) for group, names in zip(GROUPS, wanted, strict=True)]
        for rows in _rows(run, None, since, PAGE_STEPS, watch)
    ]
    return History(*map(_stacked, zip(*parts, strict=True)))


def _scan_group(run: RemoteRun, group: _Group, names: list[str], since: int, watch: Watch) -> Columns:
    if group.anchor not in names:
        return group.columns([], names)
    return _stacked([group.columns(rows, names) for rows in _rows(run, names, since, group.page_steps, watch)])


def _rows(
    run: RemoteRun, keys: list[str] | None, since: int, page_steps: int, watch: Watch
) -> Iterator[list[dict[str, Any]]]:
    """The rows of a scan, some at a time: as columns they take a tenth of the room. The last may be no rows at all."""
    rows: list[dict[str, Any]] = []
    # One loop to its end: iter() on a scan that is under way begins it again.
    for row in run.handle.scan_history(keys=keys, min_step=since, page_size=page_steps, use_cache=False):
        rows.append(row)
        if len(rows) == PAGE_STEPS:
            watch(len(rows))
            yield rows
            rows = []
    watch(len(rows))
    yield rows


def _stacked(parts: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _accounted_for(run: RemoteRun, history: History, logged: Mapping[str, int], since: int) -> bool:
    """Whether the rows leave nothing open that a scan without keys could still bring."""
    steps = np.unique(history.training.get(metrics.TRAIN_STEP, np.empty(0)))
    first = int(steps[0]) - 1 if since and len(steps) else 0
    if missing_steps(steps - first) or history.last_step < run.last_step:
        return False
    # A server may count a row again that was sent again, but never less than it has.
    return since > 0 or len(history.evaluations[STEP]) >= min(logged.get(EVALUATION.anchor, 0), run.n_rows)


def _rows_of_each_metric(run: RemoteRun) -> dict[str, int]:
    """How many rows hold each metric, nulls not counted; without those that hold nothing but null.

    A server that doesn't say how many is taken to mean all.
    """
    counts = {}
    for name, entry in run.keys.items():
        types = (entry or {}).get("typeCounts") or [{"type": "number", "count": run.n_rows}]
        count = sum(int(each.get("count", run.n_rows)) for each in types if each.get("type") != "nil")
        if count:
            counts[name] = count
    return counts
