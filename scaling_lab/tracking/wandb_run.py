"""A run in Weights & Biases, through the real SDK, behind a guard.

Conventions: `train/tokens` is the default x axis, `val/loss` has summary `min`, job_type is `train`, the group is the
study, tags are size, ladder and data fingerprint, the config is the resolved RunConfig with what was derived from it,
the dataset is an artifact that the run uses, and the best model one that it leaves, with the aliases `best` and
`latest`. Mode `local` is W&B without an account: a server of our own takes its place for as long as the run lasts.
"""

import configparser
import netrc
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from scaling_lab.config.schema import RunConfig, TrackingMode
from scaling_lab.data.dataset import Dataset
from scaling_lab.localserver import serving, was_served_at
from scaling_lab.tracking import metrics
from scaling_lab.tracking.guard import Guard

INIT_TIMEOUT_SECONDS = 30.0
ARTIFACT_TIMEOUT_SECONDS = 30
FINISH_TIMEOUT_SECONDS = 60.0
# A server on this machine minds no traffic: curves are live there. W&B itself hears of a run every 15 s.
LOCAL_TRANSMIT_SECONDS = 2.0

CLOUD_URL = "https://api.wandb.ai"

ResolvedMode = Literal["online", "local", "offline", "disabled"]


@dataclass(frozen=True)
class RunIdentity:
    """What W&B is told of a run when it begins."""

    run_id: str
    group: str
    tags: tuple[str, ...]
    facts: Mapping[str, Any]
    dataset: Dataset


class WandbRun:
    """One W&B run. Every method returns at once and raises nothing; what fails is W&B's loss alone."""

    def __init__(self, config: RunConfig, identity: RunIdentity) -> None:
        self.mode = resolve_mode(config.tracking.mode)
        self._config, self._identity = config, identity
        self._run: Any = None
        self._server = ExitStack()
        self._guard: Guard | None = None
        self._place: dict[str, str | bool | None] = {}
        if self.mode != "disabled":
            self._guard = Guard("W&B", f"training goes on, and {config.run_dir}/metrics.jsonl keeps every row")
            self._submit(self._begin)

    def log(self, row: Mapping[str, Any]) -> None:
        """Hand on the whole row of a step, unless W&B has it from before."""
        step = row[metrics.TRAIN_STEP]

        def send() -> None:
            if step >= self._run.starting_step:
                self._run.log(dict(row), step=step)

        self._submit(send)

    def keep_model(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Keep a model file as an artifact, aliases `best` and `latest`."""

        def log_artifact() -> None:
            from scaling_lab.tracking.artifacts import model_artifact

            self._run.log_artifact(model_artifact(self._config.run_name, path, facts), aliases=["best", "latest"])

        self._submit(lambda: self._attempt("the model was not kept", log_artifact))

    def summarise(self, facts: Mapping[str, Any]) -> None:
        """Add to the run's summary."""
        self._submit(lambda: self._run.summary.update(dict(facts)))

    def mark_preempting(self) -> None:
        """Say that the run is stopped before its end: a sweep then hands it out again."""
        if self.mode != "offline":
            self._submit(lambda: self._run.mark_preempting())

    def finish(self, exit_code: int, wait_seconds: float) -> None:
        """End the W&B run; waits at most `wait_seconds` for what is still on its way.

        `facts` then say whether W&B has everything. Of a complete run that isn't so, the way to mend it is told.
        """
        if self._guard is None:
            return

        def end() -> None:
            self._run.finish(exit_code=exit_code)
            self._server.close()

        self._submit(end)
        complete = self._guard.close(wait_seconds)
        if self.mode == "offline":
            return
        self._place["wandb_complete"] = complete
        if not complete and exit_code == 0:
            print(
                f"{self._config.run_dir}: W&B lacks a part of this run; once it answers, the same command sends that",
                file=sys.stderr,
                flush=True,
            )

    def facts(self) -> dict[str, str | bool | None]:
        """Where the run is to be found, for training_results.json, and whether it is whole there.

        What W&B hasn't told yet is None.
        """
        places = dict.fromkeys(("wandb_url", "wandb_entity", "wandb_project", "wandb_sweep", "wandb_complete"))
        return {"wandb_id": self._identity.run_id, "wandb_mode": self.mode, **places, **self._place}

    def _submit(self, call: Any) -> None:
        if self._guard is not None:
            self._guard.submit(call)

    def _begin(self) -> None:
        import wandb

        tracking, identity = self._config.tracking, self._identity
        address: dict[str, Any] = {}
        store = self._config.tracking_store
        if self.mode == "local":
            server = self._server.enter_context(serving(store))
            address = {"base_url": server.url, "api_key": server.api_key}
        elif self.mode == "online" and was_served_at(store, base_url()):
            # A study's own: it is there for as long as a trial needs it, whatever becomes of the study.
            self._server.enter_context(serving(store, base_url()))
        live = self.mode == "local" or urlsplit(base_url()).hostname in ("127.0.0.1", "localhost", "::1")
        self._run = wandb.init(
            project=tracking.project,
            entity=tracking.entity,
            id=identity.run_id,
            name=self._config.run_name,
            group=identity.group,
            job_type="train",
            tags=list(identity.tags),
            config={**self._config.model_dump(mode="json"), **identity.facts},
            # In full: wandb-core stays in the folder that it was started in, whatever became of this process's.
            dir=str(self._config.run_dir.absolute()),
            mode="offline" if self.mode == "offline" else "online",
            resume=None if self.mode == "offline" else "allow",
            # Beside a run of the user's own, in a notebook, and not in its place.
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                console="off",
                init_timeout=INIT_TIMEOUT_SECONDS,
                finish_timeout=FINISH_TIMEOUT_SECONDS,
                finish_timeout_raises=True,
                x_file_stream_transmit_interval=LOCAL_TRANSMIT_SECONDS if live else None,
                **address,
            ),
        )
        self._note_place()
        for name in dict.fromkeys((*metrics.TRAINING_METRICS, *metrics.EVALUATION_METRICS)):
            if name != metrics.TRAIN_TOKENS:
                summary = "min" if name == metrics.VAL_LOSS else None
                self._run.define_metric(name, step_metric=metrics.TRAIN_TOKENS, summary=summary)
        self._attempt("the dataset was not described there", self._use_dataset)

    def _note_place(self) -> None:
        run = self._run
        self._place |= {"wandb_url": run.url, "wandb_project": run.project, "wandb_sweep": run.sweep_id}
        if self.mode != "offline":
            self._place["wandb_entity"] = run.entity

    def _use_dataset(self) -> None:
        from scaling_lab.tracking.artifacts import dataset_artifact

        artifact = dataset_artifact(self._identity.dataset, with_text=self._config.tracking.log_dataset_text)
        self._run.log_artifact(artifact)
        if self.mode != "offline":
            self._run.use_artifact(artifact.wait(ARTIFACT_TIMEOUT_SECONDS))

    def _attempt(self, consequence: str, call: Any) -> None:
        """An artifact that fails is no reason to do without the rows that follow."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever a tracker raises, training goes on
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0][:300]
            print(f"warning: W&B: {consequence} ({reason})", file=sys.stderr, flush=True)


def resolve_mode(mode: TrackingMode) -> ResolvedMode:
    """What `auto` means here: online where an API key for the W&B address is at hand, else local."""
    if mode != "auto":
        return mode
    return "online" if has_api_key() else "local"


def has_api_key() -> bool:
    """Whether W&B would find a key, in the environment or in netrc; the key itself is not looked at."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(base_url()).netloc
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return bool(host and netrc.netrc(str(path)).authenticators(host))
    except (OSError, netrc.NetrcParseError):
        return False


def base_url() -> str:
    """Where the SDK would look for W&B: as the environment says, or as `wandb login --host` left it."""
    if named := os.environ.get("WANDB_BASE_URL"):
        return named
    settings = configparser.ConfigParser(interpolation=None, default_section="")
    folder = Path(os.environ.get("WANDB_CONFIG_DIR", "~/.config/wandb")).expanduser()
    try:
        settings.read([folder / "settings", Path("wandb/settings")], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):  # the SDK passes over such a file too
        return CLOUD_URL
    return settings.get("default", "base_url", fallback=CLOUD_URL)


def handed_by_agent() -> bool:
    """Whether a W&B agent started this process, for a trial of its sweep."""
    return bool(os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"))
