"""What is drawn of a run: its losses, or every number that it logged, thinned on the way out of the store."""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scaling_lab.localserver import history
from scaling_lab.localserver.store import Row, Store

# The names that a training of this package logs by; a run without them has its figures on its own page all the same.
TRAIN_LOSS, VAL_LOSS = "train/loss", "val/loss"
TOKENS, STEP = "train/tokens", "_step"
# What only says how far a run is.
PROGRESS = (TOKENS, "train/step", "train/flops")

# Of one run alone; where many share a figure, fewer of each are as fine to the eye.
LOSS_POINTS, VAL_POINTS = 240, 80
MOST_POINTS = 3600
METRIC_POINTS, METRIC_ROWS, MOST_METRICS = 300, 2000, 60
MOST_REMEMBERED = 512

# x and y of each point, y being None where the metric was not a number.
Points = list[tuple[float, float | None]]


@dataclass(frozen=True)
class Losses:
    """A run's losses by tokens, or by step where it counts none."""

    axis: str
    train: Points
    val: Points


class Curves:
    """Reads curves, and remembers the losses of runs that said nothing since."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._remembered: OrderedDict[tuple[int, float, int], Losses] = OrderedDict()
        self._lock = threading.Lock()

    def losses(self, run: Row, n_runs: int) -> Losses:
        """train/loss and val/loss of a run, one of `n_runs` in a figure."""
        size = min(LOSS_POINTS, MOST_POINTS // n_runs)
        key = (run["id"], run["heartbeat"], size)
        with self._lock:
            if key in self._remembered:
                self._remembered.move_to_end(key)
                return self._remembered[key]
        found = self._read_losses(run, size)
        with self._lock:
            self._remembered[key] = found
            while len(self._remembered) > MOST_REMEMBERED:
                self._remembered.popitem(last=False)
        return found

    def metrics(self, run: Row) -> tuple[str, dict[str, Points]]:
        """The axis, and every metric with a number in it, losses first; at most MOST_METRICS."""
        # Short runs are shown whole up to a resolution; of long ones, rare rows other than evaluations may be missed.
        lines = history.thinned(self._store, run, METRIC_ROWS)
        rows = _parsed(lines)
        if run["history_lines"] > len(lines):
            seen = {row.get(STEP) for row in rows}
            added = _parsed(history.evaluations(self._store, run["id"], VAL_POINTS))
            rows = sorted([*rows, *(row for row in added if row.get(STEP) not in seen)], key=_step_of)
        axis = TOKENS if any(TOKENS in row for row in rows) else STEP
        names = {name for row in rows for name, value in row.items() if isinstance(value, int | float)}
        shown = [name for name in names if not name.startswith("_") and name not in PROGRESS]
        shown.sort(key=lambda name: ("loss" not in name, name))
        return axis, {name: _thinned(_points(rows, axis, name)) for name in shown[:MOST_METRICS]}

    def _read_losses(self, run: Row, size: int) -> Losses:
        # These names stand at the top of a row, so that nothing needs to be flattened.
        rows = [json.loads(line) for line in history.thinned(self._store, run, size)]
        evaluations = [
            json.loads(line) for line in history.evaluations(self._store, run["id"], min(size // 2, VAL_POINTS))
        ]
        axis = TOKENS if any(TOKENS in row for row in rows) else STEP
        return Losses(axis, _points(rows, axis, TRAIN_LOSS), _points(evaluations, axis, VAL_LOSS))


def _parsed(lines: Iterable[str]) -> list[dict[str, Any]]:
    return [dict(history.flat(json.loads(line))) for line in lines]


def _points(rows: Iterable[dict[str, Any]], axis: str, name: str) -> Points:
    points: Points = []
    for row in rows:
        x = _number(row.get(axis))
        if x is not None and name in row:
            points.append((x, _number(row[name])))
    return points


def _thinned(points: Points) -> Points:
    """The lowest and the highest of each stretch of points: every spike stays."""
    if len(points) <= METRIC_POINTS:
        return points
    width = 2 * len(points) / METRIC_POINTS
    kept: Points = []
    for place in range(METRIC_POINTS // 2):
        stretch = points[round(place * width) : round((place + 1) * width)]
        numbers = [point for point in stretch if point[1] is not None] or stretch[:1]
        ends = {min(numbers, key=_height), max(numbers, key=_height)}
        kept += sorted(ends, key=lambda point: point[0])
    return kept


def _height(point: tuple[float, float | None]) -> float:
    return point[1] or 0.0


def _step_of(row: dict[str, Any]) -> float:
    return _number(row.get(STEP)) or 0


def _number(value: Any) -> float | None:
    """The value if it is a number, which NaN is not."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value == value else None
