"""Which runs count: for each (N, seed) one complete run of one study; every other is named with the reason.

N is all parameters: a size's name may stand for several N, as where one run changed its architecture.

The rules in order; the first that a run breaks is its reason:

1. its size is one of the ladder's
2. it came to its end: it is not running, and was not stopped, crashed, failed or diverged
3. it trained all of its steps, and so all of its tokens
4. its history holds every step, once read with the last row of each
5. it was evaluated at its last step, and the validation loss is a positive number
6. its parameters are a positive number, however they are counted
7. it belongs to the study with the most such runs (ladder, recipe, data and precision agree), the newest of equals
8. it is the newest of its N and seed
"""

from collections import Counter
from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from scaling_lab.config.schema import SIZES
from scaling_lab.history.columns import missing_steps, named
from scaling_lab.history.runs import LeftOut, RunRecord
from scaling_lab.laws.sizes import is_possible
from scaling_lab.tracking import metrics

# How many fields of another study are named.
FIELDS_NAMED = 3

# A run of these goes on, by itself or by the command that began it.
UNFINISHED = ("running", "stopped")

_ENDINGS = {
    "running": "it is at {place}",
    "stopped": "it was asked to stop at {place}, and the same command goes on with it",
    "diverged": "loss or gradient was not finite after {place}",
    "crashed": "it was not heard of again after {place}",
    "failed": "an error ended it at {place}",
}


def select_runs(records: Sequence[RunRecord]) -> tuple[list[RunRecord], list[LeftOut]]:
    """The runs that count, in order of N, then seed; and the others, each with its reason."""
    left, complete = [], []
    for record in records:
        reason = why_unusable(record)
        if reason is None:
            complete.append(record)
        else:
            left.append(_left_out(record, reason))
    chosen, others = _largest_study(complete)
    left += [_left_out(record, _other_study(record, chosen[0])) for record in others]
    runs, replaced = _one_for_each_point(chosen)
    left += [_left_out(old, f"a newer run has the same N and seed: {_told_from(new, old)}") for old, new in replaced]
    return runs, left


def unfinished_runs(records: Sequence[RunRecord], chosen: Sequence[RunRecord]) -> list[RunRecord]:
    """Runs of the study of `chosen` that train, or were stopped on the way, where no complete run has their place.

    Before any run is complete, those of the study with most of them.
    """
    going_on = [record for record in records if record.state in UNFINISHED and record.size in SIZES]
    if not chosen:
        return _in_order(_largest_study(going_on)[0])
    taken = set(map(_point, chosen))
    ours = [run for run in going_on if run.study_key == chosen[0].study_key]
    return _in_order([run for run in ours if _point(run) not in taken])


def _in_order(records: Sequence[RunRecord]) -> list[RunRecord]:
    return sorted(records, key=lambda run: (_point(run), _updated(run)))


def _point(record: RunRecord) -> tuple[float, int]:
    """N and seed: what no two runs of a law share."""
    return record.parameters["total"], record.seed


def why_unusable(record: RunRecord) -> str | None:
    """Why a run is no point of a curve by itself (rules 1 to 6), or None."""
    if record.size not in SIZES:
        return f"its size {record.size!r} is none of the ladder's"
    if record.state != "complete":
        ending = _ENDINGS.get(record.state)
        return f"{record.state}, not complete" + (f": {ending.format(place=_place(record))}" if ending else "")
    return _short(record) or _gaps(record) or _unevaluated(record) or _without_size(record)


def _place(record: RunRecord) -> str:
    planned = record.results.get("steps")
    return f"step {_last_step(record.training):,}" + (f" of {planned:,}" if isinstance(planned, int) else "")


def _last_step(columns: dict[str, np.ndarray]) -> int:
    steps = columns.get(metrics.TRAIN_STEP)
    return int(steps[-1]) if steps is not None and len(steps) else 0


def _short(record: RunRecord) -> str | None:
    planned = record.results.get("steps")
    done = _last_step(record.training)
    # Results without any row still say how the run ended; rule 5 judges those.
    if not isinstance(planned, int) or not 0 < done < planned:
        return None
    tokens = record.results.get("tokens")
    # Every step has the same number of tokens.
    share = f", {tokens * done // planned:,} of {tokens:,} tokens" if isinstance(tokens, int) else ""
    return f"short of its tokens: {done:,} of {planned:,} steps{share}"


def _gaps(record: RunRecord) -> str | None:
    gaps = missing_steps(record.training.get(metrics.TRAIN_STEP, np.empty(0)))
    return f"gaps in its history: it lacks {named(gaps)}" if gaps else None


def _unevaluated(record: RunRecord) -> str | None:
    loss = record.results.get("final_val_loss")
    if not isinstance(loss, int | float) or isinstance(loss, bool) or not isfinite(loss):
        return "has no finite validation loss"
    if not is_possible(loss):
        return f"its validation loss is {loss:g}, which no run has"
    evaluated, last = _last_step(record.evaluations), _last_step(record.training)
    if evaluated and evaluated < last:
        return f"was last evaluated at step {evaluated:,} of {last:,}"
    return None


def _without_size(record: RunRecord) -> str | None:
    for count, n in record.parameters.items():
        if not is_possible(n):
            return f"its {count} parameters are {n:g}, which no run has"
    return None


def _largest_study(records: Sequence[RunRecord]) -> tuple[list[RunRecord], list[RunRecord]]:
    """The runs of the study with most of them, and all others."""
    keys = [record.study_key for record in records]
    count, newest = Counter(keys), dict[Any, str]()
    for key, record in zip(keys, records, strict=True):
        newest[key] = max(newest.get(key, ""), _updated(record))
    best = max(count, key=lambda key: (count[key], newest[key]), default=None)
    chosen = [record for key, record in zip(keys, records, strict=True) if key == best]
    return chosen, [record for key, record in zip(keys, records, strict=True) if key != best]


def _other_study(record: RunRecord, chosen: RunRecord) -> str:
    ours, theirs = dict(chosen.study_key), dict(record.study_key)
    fields = [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]
    # Data first: a fingerprint explains most.
    fields.sort(key=lambda key: key != "data.fingerprint")
    words = [f"{key} is {theirs.get(key, 'absent')}, not {ours.get(key, 'absent')}" for key in fields[:FIELDS_NAMED]]
    rest = f"; {len(fields) - len(words)} more fields differ" if len(fields) > len(words) else ""
    return f"belongs to another study: {'; '.join(words)}{rest}"


def _one_for_each_point(
    records: Sequence[RunRecord],
) -> tuple[list[RunRecord], list[tuple[RunRecord, RunRecord]]]:
    """The newest run of each (N, seed), in that order, and the others, each with that newest."""
    points: dict[tuple[float, int], list[RunRecord]] = {}
    for record in sorted(records, key=_updated):
        points.setdefault(_point(record), []).append(record)
    replaced = [(old, runs[-1]) for _, runs in sorted(points.items()) for old in runs[:-1]]
    return [points[point][-1] for point in sorted(points)], replaced


def _updated(record: RunRecord) -> str:
    return str(record.results.get("updated_at", ""))


def _told_from(new: RunRecord, old: RunRecord) -> str:
    """What names `new`: where both have one name, its id."""
    return new.name if new.name != old.name else str(new.results.get("wandb_id") or new.folder_name)


def _left_out(record: RunRecord, reason: str) -> LeftOut:
    return LeftOut(record.name, reason, record.size, record.seed)
