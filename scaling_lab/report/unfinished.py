"""Runs of the study that train, or were stopped: how far each is. Their curves are drawn; no law rests on them."""

import numpy as np

from scaling_lab.history.runs import RunRecord
from scaling_lab.report import formats
from scaling_lab.report.tables import Cell, Column, Table
from scaling_lab.studies.analysis import StudyAnalysis
from scaling_lab.tracking import metrics

# Time left goes by the median of the last steps: the first ones compile, and one that waited for the disk says nothing.
_STEPS_TIMED = 50


def unfinished_caption(analysis: StudyAnalysis) -> str | None:
    """That they are dashed, and count for nothing; None where there are none."""
    if not analysis.unfinished:
        return None
    runs = formats.counted(len(analysis.unfinished), "run")
    return f"Not at the end so far: {runs}. Such curves are dashed, and no law rests on them."


def unfinished_table(analysis: StudyAnalysis) -> Table:
    """How far each of them is, by its last row."""
    words = (Column("name", "run", numeric=False), Column("size", "size", numeric=False), Column("seed", "seed"))
    columns = (
        *(*words, Column("state", "state", numeric=False), Column("step", "step"), Column("steps", "of")),
        Column("train_loss", "train loss"),
        Column("tokens_per_second", "tokens/s"),
        Column("seconds_left", "time left"),
    )
    return Table(columns, tuple(_row(run) for run in analysis.unfinished))


def _row(run: RunRecord) -> tuple[Cell, ...]:
    step, loss, speed = (
        _last(run, name) for name in (metrics.TRAIN_STEP, metrics.TRAIN_LOSS, metrics.TOKENS_PER_SECOND)
    )
    planned = _planned(run)
    seconds = _seconds_left(run)
    return (
        Cell(formats.plain(run.name), run.name),
        Cell(formats.plain(run.size), run.size),
        Cell(str(run.seed), run.seed),
        Cell(formats.plain(run.state), run.state),
        Cell(formats.whole(step or 0), int(step or 0)),
        Cell(formats.whole(planned), planned),
        Cell(formats.fixed(loss, 4), loss),
        Cell(formats.count(speed), speed),
        Cell(formats.duration(seconds), seconds),
    )


def _planned(run: RunRecord) -> int | None:
    steps = run.results.get("steps")
    return steps if isinstance(steps, int) else None


def _last(run: RunRecord, metric: str) -> float | None:
    values = run.training.get(metric)
    return float(values[-1]) if values is not None and len(values) else None


def _seconds_left(run: RunRecord) -> float | None:
    """None of a run that nobody trains now, or that has not said how long its steps take."""
    planned, seconds = _planned(run), run.training.get(metrics.STEP_SECONDS, np.empty(0))[-_STEPS_TIMED:]
    timed = seconds[np.isfinite(seconds)]
    if run.state != "running" or planned is None or not len(timed):
        return None
    return max(planned - (_last(run, metrics.TRAIN_STEP) or 0), 0) * float(np.median(timed))
