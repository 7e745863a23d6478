"""The mirror: a run's rows in Weights & Biases, through the real SDK, behind a guard.

Conventions: `train/tokens` is the default x axis, `val/loss` has summary `min`, job_type is `train`, the group is the
study, tags are size, ladder and data fingerprint, the config is the resolved RunConfig with what was derived from it,
and the best model is an artifact with the aliases `best` and `latest`.
"""

import netrc
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from scaling_lab.config.schema import TrackingConfig, TrackingMode
from scaling_lab.tracking import metrics
from scaling_lab.tracking.guard import Guard

INIT_TIMEOUT_SECONDS = 30.0
FINISH_TIMEOUT_SECONDS = 60.0

ResolvedMode = Literal["online", "local", "offline", "disabled"]


@dataclass(frozen=True)
class RunIdentity:
    """What W&B is told of a run when it begins."""

    run_id: str
    name: str
    group: str
    tags: tuple[str, ...]
    config: Mapping[str, Any]
    folder: Path


class WandbRun:
    """One W&B run. Every method returns at once and raises nothing; what fails is W&B's loss alone."""

    def __init__(self, tracking: TrackingConfig, identity: RunIdentity) -> None:
        self.mode = resolve_mode(tracking.mode)
        self.url: str | None = None
        self._run: Any = None
        self._identity = identity
        self._guard: Guard | None = None
        if self.mode != "disabled":
            consequence = f"training goes on, and {identity.folder}/metrics.jsonl keeps every row"
            self._guard = Guard("W&B", consequence)
            self._submit(lambda: self._begin(tracking))

    def log(self, row: Mapping[str, Any]) -> None:
        """Hand on one row of the journal."""
        copy = dict(row)
        self._submit(lambda: self._run.log(copy, step=copy[metrics.TRAIN_STEP]))

    def keep_model(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Keep a model file as an artifact, aliases `best` and `latest`."""

        def log_artifact() -> None:
            import wandb

            artifact = wandb.Artifact(f"model-{self._identity.name}", type="model", metadata=dict(facts))
            artifact.add_file(str(path), policy="immutable")
            self._run.log_artifact(artifact, aliases=["best", "latest"])

        self._submit(log_artifact)

    def summarise(self, facts: Mapping[str, Any]) -> None:
        """Add to the run's summary."""
        self._submit(lambda: self._run.summary.update(dict(facts)))

    def finish(self, exit_code: int, wait_seconds: float) -> None:
        """End the W&B run; waits at most `wait_seconds` for what is still on its way."""
        if self._guard is None:
            return
        self._submit(lambda: self._run.finish(exit_code=exit_code))
        self._guard.close(wait_seconds)

    def _submit(self, call: Any) -> None:
        if self._guard is not None:
            self._guard.submit(call)

    def _begin(self, tracking: TrackingConfig) -> None:
        import wandb

        identity = self._identity
        self._run = wandb.init(
            project=tracking.project,
            entity=tracking.entity,
            id=identity.run_id,
            name=identity.name,
            group=identity.group,
            job_type="train",
            tags=list(identity.tags),
            config=dict(identity.config),
            dir=str(identity.folder),
            mode="online" if self.mode == "online" else "offline",
            resume="allow" if self.mode == "online" else None,
            settings=wandb.Settings(
                silent=True,
                console="off",
                init_timeout=INIT_TIMEOUT_SECONDS,
                finish_timeout=FINISH_TIMEOUT_SECONDS,
                finish_timeout_raises=True,
            ),
        )
        self.url = self._run.url
        for name in dict.fromkeys((*metrics.TRAINING_METRICS, *metrics.EVALUATION_METRICS)):
            if name != metrics.TRAIN_TOKENS:
                summary = "min" if name == metrics.VAL_LOSS else None
                self._run.define_metric(name, step_metric=metrics.TRAIN_TOKENS, summary=summary)


def resolve_mode(mode: TrackingMode) -> ResolvedMode:
    """What `auto` means here: online where an API key for the W&B address is at hand, else offline."""
    if mode != "auto":
        return mode
    return "online" if has_api_key() else "offline"


def has_api_key() -> bool:
    """Whether W&B would find a key, in the environment or in netrc; the key itself is not looked at."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return bool(host and netrc.netrc(str(path)).authenticators(host))
    except (OSError, netrc.NetrcParseError):
        return False
