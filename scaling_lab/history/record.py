"""A run of a server as the record that a report reads: the same, to the last digit, as one read from its folder.

The config holds what training knew at the start (the RunConfig, what was derived from it, the identity), the summary's
`result` how it ended; every other figure is computed from the rows, by the function that training uses.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from scaling_lab.config.schema import ModelConfig, RecipeConfig, RunConfig, Section
from scaling_lab.history.checks import fault_of
from scaling_lab.history.columns import Columns, one_row_a_step
from scaling_lab.history.figures import figures_of
from scaling_lab.history.remote import RemoteRun
from scaling_lab.history.runs import REQUIRED, RunRecord
from scaling_lab.history.scan import STEP, History
from scaling_lab.tracking import metrics
from scaling_lab.tracking.provenance import VERSIONED

# The name and the state are the server's own; these must be in the config.
_REQUIRED = REQUIRED - {"name", "state"}
_FACTS = (
    "schema_version",
    "ladder",
    "size",
    "seed",
    "parameters",
    "flops_per_token",
    "total_flops",
    "steps",
    "tokens",
    "epochs",
    "data",
    "machine",
    "versions",
    "git_commit",
    "identity",
)
# Whole ones come back from a server as integers.
_REAL_FACTS = frozenset({"flops_per_token", "total_flops", "epochs"})
_RESULT = ("started_at", "updated_at", "peak_memory_bytes")


def why_foreign(run: RemoteRun) -> str | None:
    """Why a run can't be read as one of ours, before any row is asked for; None where it can."""
    missing = _REQUIRED - run.config.keys()
    if missing:
        return f"not a run of scaling-lab's: its config lacks {', '.join(sorted(missing))}"
    told = {key: run.config[key] for key in _FACTS if key in run.config}
    fault = fault_of({"name": run.name, **_own_result(run), **told, "config": _own_config(run.config)})
    return f"its config or summary is damaged: {fault}" if fault else None


def record_of(run: RemoteRun, history: History) -> RunRecord:
    """The run's record."""
    config = _config(run.config)
    training, again = _table(history.training, metrics.TRAINING_METRICS)
    evaluations, _ = _table(history.evaluations, metrics.EVALUATION_METRICS)
    results = {
        "name": run.name,
        "state": state_of(run),
        "started_at": run.created_at,
        "updated_at": run.heartbeat_at,
        **_own_result(run),
        "wandb_id": run.id,
        "wandb_url": run.url,
        **{key: _fact(key, run.config[key]) for key in _FACTS if key in run.config},
        "identity": _identity(_mapping(run.config.get("identity")), config),
        "versions": _in_order(_mapping(run.config.get("versions"))),
        "config": config,
        **figures_of(training, evaluations),
    }
    return RunRecord(None, results, training, evaluations, again)


def state_of(run: RemoteRun) -> str:
    """The run's state in our words: what it said of itself at its end, unless the server knows better.

    One that said "complete" and was then lost from sight is complete; whether its rows all arrived is seen in them.
    """
    said = _mapping(run.summary.get("result")).get("state")
    if said == "complete":
        return said
    if run.state in ("running", "pending", "preempting"):
        return "running"
    if said in ("stopped", "diverged", "failed"):
        return said
    return {"finished": "complete", "failed": "failed"}.get(run.state, "crashed")


def _table(columns: Columns, names: tuple[str, ...]) -> tuple[Columns, int]:
    """All metrics of a group, NaN where the run never logged one, one row a step."""
    nothing = np.full(len(columns[STEP]), np.nan)
    # Rows of a run that logs no steps of its own are told apart by W&B's.
    whole = {name: columns.get(name, columns[STEP] if name == metrics.TRAIN_STEP else nothing) for name in names}
    return one_row_a_step(whole)


def _config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The RunConfig part of a W&B config; its `data` and `machine` are what these turned out to be, and no part."""
    own = _own_config(config)
    for key, section in (("recipe", RecipeConfig), ("model", ModelConfig)):
        if key in own:
            own[key] = _typed(section, own[key])
    return own


def _identity(identity: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The identity, with its values as the config has them, which knows their types."""
    typed = {f"{key}.{name}": value for key in ("recipe", "model") for name, value in _mapping(config.get(key)).items()}
    return {name: typed[name] if typed.get(name) == value else value for name, value in identity.items()}


def _own_config(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: config[key] for key in RunConfig.model_fields if key in config and key not in ("data", "machine")}


def _own_result(run: RemoteRun) -> dict[str, Any]:
    result = _mapping(run.summary.get("result"))
    return {key: result[key] for key in _RESULT if result.get(key) is not None}


def _typed(section: type[Section], values: Any) -> Any:
    """A section with the types its fields have: 1.0 may have come back as 1. Another version's stays as it is."""
    try:
        return section.model_validate(values).model_dump(mode="json", exclude_unset=True)
    except ValueError:
        return values


def _fact(key: str, value: Any) -> Any:
    return float(value) if key in _REAL_FACTS and isinstance(value, int) else value


def _in_order(found: Mapping[str, Any]) -> dict[str, Any]:
    """Versions in the order that training lists them; a server keeps none."""
    return {package: found[package] for package in dict.fromkeys((*VERSIONED, *sorted(found))) if package in found}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
