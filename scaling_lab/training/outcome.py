"""What a run says of itself at its beginning and its end: config.yaml, training_results.json, metrics.json."""

import contextlib
import datetime
import resource
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import environ
from typing import Any

import numpy as np
import torch

from scaling_lab.config import dump_yaml
from scaling_lab.config.schema import RunConfig
from scaling_lab.data.dataset import Dataset
from scaling_lab.errors import DivergedError, Stopped
from scaling_lab.history.figures import figures_of
from scaling_lab.history.runs import read_run
from scaling_lab.tracking.provenance import git_commit, versions
from scaling_lab.tracking.recorder import Recorder
from scaling_lab.tracking.results import BEST_MODEL_NAME, CONFIG_NAME, METRICS_NAME, RunState, write_json, write_whole
from scaling_lab.tracking.wandb_run import RunIdentity
from scaling_lab.training.device import Machine
from scaling_lab.training.plan import RunPlan
from scaling_lab.training.run_folder import RunFolder

SCHEMA_VERSION = 1


@dataclass
class Outcome:
    """Keeps training_results.json true from the first moment to the last."""

    config: RunConfig
    dataset: Dataset
    plan: RunPlan
    machine: Machine
    folder: RunFolder
    identity: Mapping[str, Any]
    before: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.folder.results() or {}

    @property
    def complete(self) -> bool:
        """Whether an earlier command trained this run to its end."""
        return self.before.get("state") == "complete"

    @property
    def wandb_id(self) -> str:
        """The run's id in W&B, the same over every resume; an agent names its own."""
        if "wandb_id" not in self.before:
            self.before["wandb_id"] = secrets.token_hex(4)
        return environ.get("WANDB_RUN_ID") or self.before["wandb_id"]

    @contextlib.contextmanager
    def recorded(self, recorder: Recorder) -> Iterator[None]:
        """Write the state before and after the body, whatever ends it."""
        write_whole(self.folder.path / CONFIG_NAME, dump_yaml(self.config))
        self._write("running", recorder)
        state: RunState = "failed"
        try:
            yield
            state = "complete"
        except DivergedError:
            state = "diverged"
            raise
        except (Stopped, KeyboardInterrupt):
            state = "stopped"
            raise
        finally:
            recorder.journal.sync()
            self._write(state, recorder)
            if state == "complete":
                self._keep_model(recorder)
            recorder.finish(state == "complete")

    def facts(self) -> dict[str, Any]:
        """What is derived from config and data, and doesn't change while the run trains."""
        return {
            "parameters": self.plan.parameters.to_dict(),
            "flops_per_token": self.plan.flops_per_token,
            "total_flops": self.plan.total_flops,
            "steps": self.plan.n_steps,
            "tokens": self.plan.tokens,
            "epochs": self.plan.epochs,
            "data": {
                "name": self.dataset.name,
                "fingerprint": self.dataset.fingerprint,
                "vocab_size": self.dataset.vocab_size,
                "train_tokens": self.dataset.train.n_tokens,
                "val_tokens": self.dataset.val.n_tokens,
                "licence": self.dataset.licence,
            },
            "machine": self.machine.to_dict(),
            "versions": versions(),
            "git_commit": git_commit(),
        }

    def _write(self, state: RunState, recorder: Recorder) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        results = {
            "schema_version": SCHEMA_VERSION,
            "state": state,
            "name": self.config.run_name,
            "ladder": self.config.ladder,
            "size": self.config.size,
            "seed": self.config.seed,
            "started_at": self.before.setdefault("started_at", now),
            "updated_at": now,
            "wandb_id": self.wandb_id,
            "wandb_mode": recorder.wandb_run.mode,
            "wandb_url": recorder.wandb_run.url,
            **self.facts(),
            "config": self.config.model_dump(mode="json"),
            "identity": dict(self.identity),
        }
        self.folder.write_results(results)
        if state != "running":
            self.folder.write_results(results | self._figures())

    def _figures(self) -> dict[str, Any]:
        """Read the journal back: results say what the journal says, over every resume."""
        record = read_run(self.folder.path)
        write_json(
            self.folder.path / METRICS_NAME,
            {"training": _lists(record.training), "evaluations": _lists(record.evaluations)},
        )
        figures = figures_of(record.training, record.evaluations)
        if figures["steps_done"]:
            figures["peak_memory_bytes"] = _peak_memory_bytes(self.machine)
        return figures

    def _keep_model(self, recorder: Recorder) -> None:
        results = self.folder.results() or {}
        facts = {key: results.get(key) for key in ("size", "best_val_loss", "best_step", "parameters")}
        recorder.keep_model(self.folder.path / BEST_MODEL_NAME, facts)


def wandb_identity(outcome: Outcome) -> RunIdentity:
    """What W&B is told of the run: names, tags, and the config with what was derived from it."""
    config, fingerprint = outcome.config, outcome.dataset.fingerprint
    return RunIdentity(
        run_id=outcome.wandb_id,
        name=config.run_name,
        group=config.tracking.group or f"{config.ladder}-{fingerprint}",
        tags=(config.size, config.ladder, fingerprint, *config.tracking.tags),
        config={**config.model_dump(mode="json"), **outcome.facts()},
        folder=outcome.folder.path,
    )


def _lists(columns: Mapping[str, np.ndarray]) -> dict[str, list[float | None]]:
    """Arrays as JSON lists; NaN and infinity, which JSON doesn't know, as null."""
    return {
        name: [value if np.isfinite(value) else None for value in column.tolist()] for name, column in columns.items()
    }


def _peak_memory_bytes(machine: Machine) -> int:
    if machine.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
