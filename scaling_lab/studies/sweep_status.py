"""How far a sweep is: a row for each trial, those that no agent has asked for yet among them."""

import itertools
from collections.abc import Mapping
from typing import Any

from scaling_lab.config.schema import SIZES
from scaling_lab.history.filters import RunFilters
from scaling_lab.history.remote import RemoteRun, Source, list_runs, require_sweep
from scaling_lab.studies.sweep_parameters import OPTION_KEYS
from scaling_lab.studies.sweeps import SweepPath
from scaling_lab.tracking import metrics

_ORDER = {name: index for index, name in enumerate(OPTION_KEYS)}


def sweep_status(source: Source, path: SweepPath) -> dict[str, Any]:
    """A sweep's state and its trials, in order of size, then of the other parameters, then of time.

    Raises:
        UsageError: if there is no such sweep.
        RemoteError: if the server fails.
    """
    sweep = require_sweep(source, path.id)
    config = sweep.config
    # The SDK sorts them by name: a table begins with the size.
    parameters = dict(sorted(config["parameters"].items(), key=lambda item: _ORDER.get(item[0], len(_ORDER))))
    trials = [_trial(run, parameters) for run in list_runs(source, RunFilters(sweep=path.id))]
    begun = [trial["parameters"] for trial in trials]
    # Once a sweep is over, what never began never will: its command ended before it made a run, each time.
    state = "given up" if str(sweep.state).lower() == "finished" else "waiting"
    trials += [_without_run(point, state) for point in _grid(config) if point not in begun]
    if config.get("method") == "random":
        undrawn = dict.fromkeys(parameters)
        trials += [_without_run(undrawn, state) for _ in range(config.get("run_cap", 0) - len(trials))]
    trials.sort(key=lambda trial: _place(trial["parameters"]))
    return {
        "sweep": str(path),
        "state": str(sweep.state).lower(),
        "address": str(sweep.url),
        "parameters": list(parameters),
        "trials": trials,
    }


def _trial(run: RemoteRun, parameters: Mapping[str, Any]) -> dict[str, Any]:
    summary = run.summary
    return {
        "parameters": {name: run.config.get(name) for name in parameters},
        "run": run.id,
        "name": run.name,
        "state": run.state,
        "step": summary.get(metrics.TRAIN_STEP),
        "steps": run.config.get("steps"),
        "loss": summary.get(metrics.TRAIN_LOSS),
        "val_loss": _least(summary.get(metrics.VAL_LOSS)),
    }


def _without_run(point: dict[str, Any], state: str) -> dict[str, Any]:
    empty = dict.fromkeys(("run", "name", "step", "steps", "loss", "val_loss"))
    return {"parameters": point, **empty, "state": state}


def _least(value: Any) -> Any:
    """A metric in a summary; one that was defined with summary `min` is a mapping."""
    return value.get("min") if isinstance(value, Mapping) else value


def _grid(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every point of a grid; none of a random sweep, whose points are drawn when they are asked for."""
    if config.get("method") != "grid":
        return []
    values = [content.get("values", [content.get("value")]) for content in config["parameters"].values()]
    return [dict(zip(config["parameters"], point, strict=True)) for point in itertools.product(*values)]


def _place(parameters: Mapping[str, Any]) -> tuple[Any, ...]:
    """Order of the ladder for sizes, of numbers for the rest."""
    size = parameters.get("size")
    rest = tuple(str(value) for name, value in parameters.items() if name != "size")
    return (SIZES.index(size) if size in SIZES else len(SIZES), rest)
