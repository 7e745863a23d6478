"""A run's rows as columns of numbers, whatever they were read from, and what is wrong with them.

Training rows and evaluation rows are two tables, each with one row a step in step order. NaN stands for a metric that a
row lacks or that was NaN.
"""

import contextlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from scaling_lab.tracking import metrics

Columns = dict[str, np.ndarray]

# What a row of JSON has for a number. Text that reads as one is none, and neither is true.
_PLAIN = frozenset({int, float, type(None)})
# Counts beyond this are not told apart by float64.
_MOST_STEPS = 2**53

# More ranges than these are counted rather than listed.
RANGES_NAMED = 3


def numbers(values: Sequence[Any]) -> np.ndarray:
    """Values as float64. None is NaN, and so are "NaN", "Infinity" and "-Infinity" what they say: W&B writes them so.

    Raises ValueError or TypeError over anything else that is no number.
    """
    found = np.array(values, dtype=np.float64)
    if found.ndim != 1:
        raise ValueError("lists stand where numbers should")
    return found


def columns_of(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[Columns, int]:
    """One array a metric, in order of step, and how many rows repeated a step: the last of each step counts.

    rows: as JSON has them. Raises ValueError that names the metric and the step where a value is no number.
    """
    return one_row_a_step({name: _column(rows, name) for name in names})


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    values = [row.get(name) for row in rows]
    # By types first: numpy takes text and true for numbers, too.
    if set(map(type, values)) <= _PLAIN:
        with contextlib.suppress(OverflowError):  # of one that no float holds, which is named below
            return numbers(values)
    value, row = next((value, row) for value, row in zip(values, rows, strict=True) if not _is_number(value))
    raise ValueError(
        f"{name} is {str(value)[:40]!r} at {metrics.TRAIN_STEP} {row.get(metrics.TRAIN_STEP)!r}, no number"
    )


def _is_number(value: Any) -> bool:
    try:
        return type(value) in _PLAIN and numbers([value]) is not None
    except OverflowError:
        return False


def one_row_a_step(columns: Columns) -> tuple[Columns, int]:
    """The same columns in order of `train/step` with its last row each, and how many rows that left out.

    Raises ValueError where a step is no count.
    """
    steps = columns[metrics.TRAIN_STEP]
    wrong = ~((steps >= 0) & (steps <= _MOST_STEPS) & (steps == np.floor(steps)))
    if wrong.any():
        raise ValueError(f"{metrics.TRAIN_STEP} is {steps[wrong][0]:g}, not a whole number")
    if not len(steps) or (np.diff(steps) > 0).all():
        return columns, 0
    # Of the reversed steps the first of each value is the last that was logged.
    _, first_reversed = np.unique(steps[::-1], return_index=True)
    kept = len(steps) - 1 - first_reversed
    return {name: column[kept] for name, column in columns.items()}, len(steps) - len(kept)


def missing_steps(steps: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of steps, both ends included, that are not in `steps` (S,), rising, from 1 to its last."""
    present = [0, *steps.astype(np.int64).tolist()] if (np.diff(steps, prepend=0) > 1).any() else []
    return [(before + 1, after - 1) for before, after in pairwise(present) if after - before > 1]


def named(ranges: Sequence[tuple[int, int]]) -> str:
    """Ranges in words: step 3; steps 5 to 7; steps 3, 5 to 7 and 12 (5 in all). From the fourth on they are counted."""
    words = [str(low) if low == high else f"{low:,} to {high:,}" for low, high in ranges]
    n_steps = sum(high - low + 1 for low, high in ranges)
    if len(words) == 1:
        return f"step {words[0]}" if n_steps == 1 else f"steps {words[0]}"
    if len(words) > RANGES_NAMED:
        words[RANGES_NAMED:] = [f"{len(words) - RANGES_NAMED} more stretches"]
    return f"steps {', '.join(words[:-1])} and {words[-1]} ({n_steps:,} in all)"
