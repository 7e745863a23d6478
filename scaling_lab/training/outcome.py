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
from scaling_lab.errors import CheckpointError, DivergedError, Interrupted, ScalingLabError, Stopped, StorageError
from scaling_lab.files import what_to_do
from scaling_lab.history.figures import figures_of
from scaling_lab.history.runs import read_run
from scaling_lab.tracking.journal import JOURNAL_NAME, ends_early, last_row, read_journal
from scaling_lab.tracking.metrics import TRAIN_STEP
from scaling_lab.tracking.mirror import Ending, Mirror
from scaling_lab.tracking.provenance import git_commit, versions
from scaling_lab.tracking.recorder import Recorder
from scaling_lab.tracking.results import (
    BEST_MODEL_NAME,
    CONFIG_NAME,
    METRICS_NAME,
    TRAIN_ANEW,
    RunState,
    write_json,
    write_whole,
)
from scaling_lab.tracking.wandb_run import RunIdentity, WandbRun, resolve_mode
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
    def wandb_lacks_rows(self) -> bool:
        """Whether W&B failed while the earlier command trained, so that rows or the model are not there."""
        return self.before.get("wandb_complete") is False

    @property
    def wandb_id(self) -> str:
        """The run's id in W&B, the same over every resume; an agent names its own."""
        if "wandb_id" not in self.before:
            self.before["wandb_id"] = secrets.token_hex(4)
        return environ.get("WANDB_RUN_ID") or self.before["wandb_id"]

    @contextlib.contextmanager
    def recorded(self, recorder: Recorder) -> Iterator[None]:
        """Write the state before and after the body, whatever ends it.

        Raises:
            StorageError: if the disk doesn't take the last rows or the results; W&B is told that the run failed.
        """
        write_whole(self.folder.path / CONFIG_NAME, dump_yaml(self.config))
        self._write("running", recorder.mirror)
        ended_by: BaseException | None = None
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - raised again, once the run is told of it
            ended_by = error
        try:
            recorder.journal.close()
            self._write(_ending_of(ended_by)[0], recorder.mirror)
        except OSError as error:
            # A run that diverged, say, is to be known as that, whether or not its folder says so.
            ended_by = ended_by or self._not_kept(error)
        self._end(*_ending_of(ended_by), recorder.mirror)
        if ended_by is not None:
            raise ended_by

    def _not_kept(self, error: OSError) -> StorageError:
        return StorageError(
            f"{self.folder.path}: the results can't be written ({error.strerror or error}); "
            f"{what_to_do(error)}, and the same command writes them"
        )

    def require_rows(self) -> None:
        """Refuse a complete run whose journal lost rows of its end: no report takes it. Raises CheckpointError."""
        journal = self.folder.path / JOURNAL_NAME
        if ends_early(journal, self.before.get("steps")):
            raise CheckpointError(
                f"{journal}: its rows end at step {last_row(journal)[TRAIN_STEP]:,} of {self.before['steps']:,} though "
                f"the run is complete, so no report can use it; put the whole file back, or {TRAIN_ANEW}"
            )

    def mirror_again(self) -> None:
        """Tell W&B of a run that was complete before: all its rows that it lacks, and its end.

        A trial that an agent handed out of such a run may lack them all, a run that W&B failed in the middle of, some.
        """
        if resolve_mode(self.config.tracking.mode) in ("online", "local"):
            run = WandbRun(self.config, self.wandb_identity())
            self._end("complete", 0, Mirror(run, read_journal(self.folder.path / JOURNAL_NAME)))

    def wandb_identity(self) -> RunIdentity:
        """What W&B is told of the run: tags, group, and what was derived from the config."""
        config, fingerprint = self.config, self.dataset.fingerprint
        facts = {**self.facts(), "identity": dict(self.identity), "schema_version": SCHEMA_VERSION}
        if self.complete:  # on another machine, maybe, and by other versions than are here now
            facts = {name: self.before.get(name, value) for name, value in facts.items()}
        return RunIdentity(
            run_id=self.wandb_id,
            group=config.tracking.group or f"{config.ladder}-{fingerprint}",
            tags=(config.size, config.ladder, fingerprint, *config.tracking.tags),
            facts=facts,
            dataset=self.dataset,
        )

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

    def _write(self, state: RunState, mirror: Mirror) -> None:
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
            **mirror.run.facts(),
            **self.facts(),
            "config": self.config.model_dump(mode="json"),
            "identity": dict(self.identity),
        }
        # Once, and whole: what says that a run is complete is to hold its figures too.
        self.folder.write_results(results if state == "running" else results | self._figures())

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

    def _end(self, state: RunState, exit_code: int, mirror: Mirror) -> None:
        """End the W&B run, then note where it is: W&B may have told only now."""
        results = self.folder.results() or {}
        result = {key: results.get(key) for key in ("state", "started_at", "updated_at", "peak_memory_bytes")}
        model = None
        if state == "complete":
            facts = {key: results.get(key) for key in ("size", "best_val_loss", "best_step", "parameters")}
            model = self.folder.path / BEST_MODEL_NAME, facts
        mirror.end(Ending(state, exit_code, result, model))
        with contextlib.suppress(OSError):  # what is there says all but where W&B has the run
            self.folder.write_results(results | mirror.run.facts())


def _ending_of(error: BaseException | None) -> tuple[RunState, int]:
    """The state that a run ends in, and the exit code that its command ends with (see `scaling_lab.errors`)."""
    match error:
        case None:
            return "complete", 0
        case DivergedError():
            return "diverged", error.exit_code
        case Stopped():
            return "stopped", error.exit_code
        case KeyboardInterrupt():
            return "stopped", Interrupted.exit_code
        case ScalingLabError():
            return "failed", error.exit_code
    return "failed", 1


def _lists(columns: Mapping[str, np.ndarray]) -> dict[str, list[float | None]]:
    """Arrays as JSON lists; NaN and infinity, which JSON doesn't know, as null."""
    return {
        name: [value if np.isfinite(value) else None for value in column.tolist()] for name, column in columns.items()
    }


def _peak_memory_bytes(machine: Machine) -> int:
    if machine.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
