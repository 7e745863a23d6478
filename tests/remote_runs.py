"""Runs as training logs them to W&B, made from plain rows with the real SDK: a study on a server in a few seconds."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from servers import RunningServer
from study_folders import BITS, Study

from scaling_lab.tracking.journal import read_journal
from scaling_lab.tracking.results import read_results

Row = dict[str, Any]

# What a folder's results hold that a server is not told at the start, but at the end or not at all.
_ENDING = ("state", "started_at", "updated_at", "peak_memory_bytes")
_BITS = tuple(name.removeprefix("val/") for name in BITS)
_FIGURES = ("final_train_loss", "final_val_loss", "best_val_loss", "best_step", "mfu", *_BITS)
_NOT_CONFIG = (*_ENDING, *_FIGURES, "name", "config", "wandb_url", "wandb_id", "tokens_per_second", "training_seconds")

_LOGS = """
import json, sys, wandb
for run in json.load(open(sys.argv[1])):
    live = wandb.init(project=run["project"], id=run["id"], name=run["name"], group=run["group"], config=run["config"],
                      resume="allow", settings=wandb.Settings(console="off"))
    for row in run["rows"]:
        live.log(row, step=row.get("_step", row.get("train/step")))
    live.summary.update(run["summary"])
    live.finish(exit_code=run["exit_code"])
"""


@dataclass
class LoggedRun:
    """One run: what is logged to it, in order, each row at the step it names."""

    id: str
    rows: list[Row]
    name: str = "mini-tiny-seed0"
    project: str = "music-scaling"
    group: str = "mini-e46f4ac57c54"
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 0


def log(server: RunningServer, *runs: LoggedRun) -> None:
    """Log runs to a server, one after the other."""
    path = server.home / "runs.json"
    path.write_text(json.dumps([asdict(run) for run in runs]))
    server.python(_LOGS, str(path), cwd=server.home)


def training_row(step: int, **changes: Any) -> Row:
    """A row of one training step, with digits that rounding would show."""
    values = {
        "train/step": step,
        "train/tokens": 4096 * step,
        "train/flops": 4096 * step * 96051.20000000001,
        "train/loss": 1 + 3 / step,
        "train/grad_norm": 0.1 + 1 / (step + 2),
        "train/learning_rate": 0.003 / step,
        "perf/tokens_per_second": 1e5 / 3 + step,
        "perf/step_seconds": 4096 / (1e5 / 3 + step),
        "perf/mfu": 0.19,
    }
    return {**values, **{key.replace("__", "/"): value for key, value in changes.items()}}


def run_of_steps(run_id: str, steps: range, **changes: Any) -> LoggedRun:
    """A complete run of tiny that logs these steps, and is evaluated at the last."""
    rows = [training_row(step) for step in steps]
    place = {key: rows[-1][key] for key in ("train/step", "train/tokens", "train/flops")}
    run = LoggedRun(run_id, [*rows, place | {"val/loss": 1.5 + 1 / 3, "val/bits_per_character": 2.25}])
    run.config = config_of("tiny", n_steps=steps.stop - 1)
    run.summary = {"result": {"state": "complete", "updated_at": "2026-01-02T03:14:05+00:00"}}
    for key, value in changes.items():
        setattr(run, key, value)
    return run


def config_of(size: str, seed: int = 0, n_steps: int = 60) -> dict[str, Any]:
    """The W&B config of a run of a size."""
    results = Study(Path(), n_steps=n_steps)._results(size, seed, 2.0)
    return as_config(results)


def as_config(results: dict[str, Any]) -> dict[str, Any]:
    """What training tells W&B at the start, out of what it writes to its results."""
    facts = {key: value for key, value in results.items() if key not in _NOT_CONFIG}
    return {**results["config"], **facts}


def mirror_of(folder: Path, run_id: str) -> LoggedRun:
    """The run of a folder as its mirror in W&B has it."""
    results = read_results(folder)
    assert results is not None
    return LoggedRun(
        run_id,
        list(read_journal(folder / "metrics.jsonl")),
        name=results["name"],
        config=as_config(results),
        summary={"result": {key: results[key] for key in _ENDING}},
    )
