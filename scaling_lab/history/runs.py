"""Metrics in, from a results folder: every run found there, checked, as tables of numbers.

Reached by `scaling-lab report --results-dir outputs`. A run that can't be read is not an error: it is listed with the
reason, and the rest goes on.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling_lab.errors import CheckpointError, UsageError
from scaling_lab.files import is_locked
from scaling_lab.history.checks import fault_of
from scaling_lab.history.columns import Columns, columns_of
from scaling_lab.tracking import metrics
from scaling_lab.tracking.journal import JOURNAL_NAME, read_journal
from scaling_lab.tracking.results import (
    LOCK_NAME,
    RESULTS_NAME,
    STUDY_RESULTS_NAME,
    TRAIN_ANEW,
    RunState,
    read_error,
    read_results,
)

# Without these a run can't be told from another, or has no place on a curve.
REQUIRED = frozenset({"name", "size", "ladder", "seed", "state", "parameters", "identity"})
# Why a run is left out that its study names and that has written nothing so far.
NOT_BEGUN = "has not begun"


@dataclass(frozen=True)
class RunRecord:
    """One run as it was recorded.

    Attributes:
        path: its folder; None where it was pulled from a server.
        results: training_results.json as it stands, or the same rebuilt from what the server holds.
        training: one array a metric over training steps, in step order.
        evaluations: the same over evaluations.
        repeated_rows: rows that logged a step again; the last of each step is kept.
    """

    path: Path | None
    results: dict[str, Any]
    training: Columns
    evaluations: Columns
    repeated_rows: int = 0

    @property
    def name(self) -> str:
        return str(self.results["name"])

    @property
    def folder(self) -> Path:
        """The folder of a run that was read from one, or trained here."""
        if self.path is None:
            raise ValueError(f"{self.name} was pulled from a server, and has no folder here")
        return self.path

    @property
    def folder_name(self) -> str:
        """What its folder is called, where it was trained or here."""
        return self.path.name if self.path else self.name

    @property
    def size(self) -> str:
        return str(self.results["size"])

    @property
    def ladder(self) -> str:
        return str(self.results["ladder"])

    @property
    def seed(self) -> int:
        return int(self.results["seed"])

    @property
    def state(self) -> RunState:
        return self.results["state"]

    @property
    def parameters(self) -> dict[str, int]:
        """The three counts of N: non_embedding, total, matmul."""
        return self.results["parameters"]

    @property
    def study_key(self) -> tuple[Any, ...]:
        """What runs must share to share a curve: all of the identity but size, its architecture, and seed."""
        identity = self.results["identity"]
        return tuple(
            sorted(
                (key, str(value))
                for key, value in identity.items()
                if key not in ("size", "seed") and not key.startswith("model.")
            )
        )


@dataclass(frozen=True)
class LeftOut:
    """A run that was not used, and why; its size and seed where they are known."""

    name: str
    reason: str
    size: str | None = None
    seed: int | None = None


class _NoResultsError(CheckpointError):
    """A folder without a run's results: the run may not have begun."""


def read_run(path: Path) -> RunRecord:
    """One run's folder.

    Raises:
        CheckpointError: if results or journal are missing or damaged, or a field has no value of its type.
    """
    was_held = is_locked(path / LOCK_NAME)
    results = read_results(path)
    if results is None:
        raise _NoResultsError(f"{path}: has no {RESULTS_NAME}, so it is not a run's folder")
    if missing := REQUIRED - results.keys():
        raise CheckpointError(f"{path / RESULTS_NAME}: lacks {', '.join(sorted(missing))}; {TRAIN_ANEW}")
    if fault := fault_of(results):
        raise CheckpointError(f"{path / RESULTS_NAME}: {fault}; mend it, or {TRAIN_ANEW}")
    # Before and after: one may have taken the run up, or have ended it, while its results were read.
    if results["state"] == "running" and not was_held and not is_locked(path / LOCK_NAME):
        results["state"] = "crashed"
    journal = path / JOURNAL_NAME
    rows = list(read_journal(journal)) if journal.exists() else []
    try:
        training, again = columns_of([row for row in rows if metrics.TRAIN_LOSS in row], metrics.TRAINING_METRICS)
        evaluations, _ = columns_of([row for row in rows if metrics.VAL_LOSS in row], metrics.EVALUATION_METRICS)
    except ValueError as error:
        raise CheckpointError(f"{journal}: {error}; mend the row, or {TRAIN_ANEW}") from None
    return RunRecord(path, results, training, evaluations, again)


def read_runs(folder: Path) -> tuple[list[RunRecord], list[LeftOut]]:
    """The runs that a study's folder names, or else every run in `folder` and its subfolders; in order of name.

    What can't be read is listed with the reason.

    Raises:
        UsageError: if the folder doesn't exist or holds no run at all.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give one that holds runs, such as outputs/scaling_study")
    records, left_out = [], []
    for run_dir in _run_folders(folder):
        try:
            records.append(read_run(run_dir))
        except _NoResultsError:
            left_out.append(LeftOut(run_dir.name, _absent(run_dir)))
        except CheckpointError as error:
            left_out.append(LeftOut(run_dir.name, str(error)))
    if not records and not left_out:
        raise UsageError(f"{folder}: holds no run ({RESULTS_NAME}); train some with `scaling-lab study`")
    return records, left_out


def _absent(run_dir: Path) -> str:
    """Why a run that its study names has written no results."""
    error = read_error(run_dir)
    return NOT_BEGUN if error is None else f"ended before its first step: {error[1]}"


def names_its_runs(folder: Path) -> bool:
    """Whether a study has said which runs it has; it does before it trains the first."""
    return (folder / STUDY_RESULTS_NAME).exists()


def _run_folders(folder: Path) -> list[Path]:
    if not names_its_runs(folder):
        return sorted(path.parent for path in folder.rglob(RESULTS_NAME))
    study = folder / STUDY_RESULTS_NAME
    try:
        content = json.loads(study.read_bytes())
        names = content.get("folders") if isinstance(content, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("folders is no list of names")
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"{study}: names no runs ({reason}); run `scaling-lab study` again") from None
    return [_plain(folder / name) for name in names]


def _plain(path: Path) -> Path:
    """A path without `..`, as messages show it; as it is where a link on the way makes `..` lead elsewhere."""
    plain = Path(os.path.normpath(path))
    return plain if os.path.isdir(plain) else path
