"""What was pulled as tables, for notebooks and other tools: `scaling_lab.pull(...)`, `scaling-lab history pull`.

    pulled = scaling_lab.pull("music-scaling")
    pulled.evaluations["val/loss"]                  # a numpy array, one number a row
    pulled.training.to_pandas().groupby("name")     # where pandas is installed

Three tables: `runs` has one row a run, `training` one a run and step, `evaluations` one a run and evaluation. The first
column of each is the run's id.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scaling_lab.errors import UsageError
from scaling_lab.files import written_whole
from scaling_lab.history.columns import Columns
from scaling_lab.history.filters import RunFilters
from scaling_lab.history.pull import WatchPull, pull_runs
from scaling_lab.history.remote import DEFAULT_PROJECT, ReadingMode
from scaling_lab.history.runs import LeftOut, RunRecord
from scaling_lab.tracking import metrics

Format = Literal["parquet", "csv"]

# As Python objects rows take ten times their room.
_ROWS_AT_ONCE = 50_000
# Columns that say whose row it is. Names and sizes repeat on every row: tools group by them.
_OWNER = ("run", "name", "size", "seed")
_WHOLE = frozenset({metrics.TRAIN_STEP, metrics.TRAIN_TOKENS})
_RUN_KEYS = (
    "state",
    "steps",
    "tokens",
    "total_flops",
    "steps_done",
    "final_train_loss",
    "final_val_loss",
    "best_val_loss",
    "best_step",
    "bits_per_character",
    "bits_per_byte",
    "bits_per_note",
    "tokens_per_second",
    "mfu",
    "training_seconds",
    "peak_memory_bytes",
    "started_at",
    "updated_at",
    "wandb_url",
)


@dataclass(frozen=True)
class Table:
    """Columns of one length by name, as numpy arrays: text as objects, counts as int64, all else as float64.

    NaN is what was NaN, or was not logged.
    """

    columns: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __repr__(self) -> str:
        return f"Table({len(self):,} rows: {', '.join(self.columns)})"

    def to_pandas(self) -> Any:
        """The same as a pandas DataFrame.

        Raises:
            UsageError: if pandas is not installed.
        """
        return _optional("pandas", "pandas", "use the columns as they are").DataFrame(dict(self.columns))

    def write(self, path: Path) -> None:
        """Write the table to a .csv or .parquet file, as a whole or not at all. Floats keep every digit.

        Raises:
            UsageError: if it is to be Parquet and pyarrow is not installed.
        """
        if path.suffix == ".parquet":
            arrow, parquet = require_parquet()
            with written_whole(path) as stream:
                parquet.write_table(arrow.table(dict(self.columns)), stream)
            return
        with written_whole(path) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
            csv.writer(text, lineterminator="\n").writerow(self.columns)
            for begin in range(0, len(self), _ROWS_AT_ONCE):
                part = [column[begin : begin + _ROWS_AT_ONCE].tolist() for column in self.columns.values()]
                csv.writer(text, lineterminator="\n").writerows(zip(*part, strict=True))
            # Flushes, and leaves the stream to whoever opened it.
            text.detach()


@dataclass(frozen=True)
class Pulled:
    """Runs of a project as tables, the records that reports are made from, and what could not be read."""

    runs: Table
    training: Table
    evaluations: Table
    records: tuple[RunRecord, ...]
    left_out: tuple[LeftOut, ...]

    def write(self, folder: Path, file_format: Format) -> list[Path]:
        """Write the three tables into a folder, made if absent; returns the files."""
        folder.mkdir(parents=True, exist_ok=True)
        tables = {"runs": self.runs, "training": self.training, "evaluations": self.evaluations}
        paths = {folder / f"{name}.{file_format}": table for name, table in tables.items()}
        for path, table in paths.items():
            table.write(path)
        return list(paths)


def pull(
    project: str = DEFAULT_PROJECT,
    *,
    entity: str | None = None,
    sweep: str | None = None,
    group: str | None = None,
    equal: Mapping[str, Any] | None = None,
    mode: ReadingMode = "auto",
    store: Path | None = None,
    watch: WatchPull = lambda status: None,
) -> Pulled:
    """Runs of a W&B project, or of the local server's where no API key is at hand (`mode="auto"`), as tables.

    equal: values that a run's config must have, as {"size": "tiny"}; of a list any will do. store: the local server's
    folder. Rows are cached: what is complete is never pulled again.

    Raises:
        UsageError: if there is no such project, store or run.
        RemoteError: if the server can't be reached, refuses, or fails.
    """
    wanted = {key: value if isinstance(value, list) else [value] for key, value in (equal or {}).items()}
    filters = RunFilters(sweep, group, wanted)
    records, left_out = pull_runs(project, entity=entity, filters=filters, mode=mode, store=store, watch=watch)
    return tables_of(records, left_out)


def tables_of(records: Sequence[RunRecord], left_out: Sequence[LeftOut] = ()) -> Pulled:
    """Records as tables."""
    return Pulled(
        runs=_runs_table(records),
        training=_rows_table(records, [record.training for record in records], metrics.TRAINING_METRICS),
        evaluations=_rows_table(records, [record.evaluations for record in records], metrics.EVALUATION_METRICS),
        records=tuple(records),
        left_out=tuple(left_out),
    )


def _owner(record: RunRecord) -> tuple[str, str, str, int]:
    return str(record.results.get("wandb_id") or record.name), record.name, record.size, record.seed


def _runs_table(records: Sequence[RunRecord]) -> Table:
    owners = [_owner(record) for record in records]
    columns = {name: _array([owner[place] for owner in owners]) for place, name in enumerate(_OWNER)}
    for count in ("total", "non_embedding", "matmul"):
        columns[f"parameters_{count}"] = _array([record.parameters.get(count) for record in records])
    for key in _RUN_KEYS:
        columns[key] = _array([record.results.get(key) for record in records])
    # The whole of what was set, for whoever needs a value that has no column.
    columns["config"] = _array([json.dumps(record.results.get("config", {})) for record in records])
    return Table(columns)


def _rows_table(records: Sequence[RunRecord], parts: Sequence[Columns], names: Sequence[str]) -> Table:
    lengths = [len(part[metrics.TRAIN_STEP]) for part in parts]
    owners = [_owner(record) for record in records]
    columns = {
        name: np.repeat(_array([owner[place] for owner in owners]), lengths) for place, name in enumerate(_OWNER)
    }
    for name in names:
        column = np.concatenate([part[name] for part in parts] or [np.empty(0)])
        columns[name] = column.astype(np.int64) if name in _WHOLE and np.isfinite(column).all() else column
    return Table(columns)


def _array(values: Sequence[Any]) -> np.ndarray:
    """Values of one kind; None among numbers is NaN, among text is empty."""
    if any(isinstance(value, str) for value in values):
        return np.array(["" if value is None else str(value) for value in values], dtype=object)
    if values and all(isinstance(value, int) for value in values):
        return np.array(values, dtype=np.int64)
    return np.array(values, dtype=np.float64)


def require_parquet() -> tuple[Any, Any]:
    """The modules that write Parquet. Raises UsageError if they are not installed."""
    names = ("pyarrow", "pyarrow.parquet")
    arrow, parquet = (_optional(name, "scaling-lab[parquet]", "take CSV") for name in names)
    return arrow, parquet


def _optional(module: str, package: str, instead: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise UsageError(
            f"{module} is not installed; install it with `pip install '{package}'`, or {instead}"
        ) from None
