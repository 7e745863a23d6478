"""Training one run, from its config to its results: `scaling-lab train --size xl`.

`train` prepares and tidies up, `_train_steps` is the loop. Nothing in the loop is about W&B, devices or files: those
are behind names. A run interrupted anywhere goes on from its newest checkpoint and ends with the same numbers.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scaling_lab.config.identity import run_identity
from scaling_lab.config.schema import RunConfig
from scaling_lab.data.configured import open_configured
from scaling_lab.data.dataset import Dataset
from scaling_lab.errors import DivergedError, Stopped
from scaling_lab.history.runs import RunRecord, read_run
from scaling_lab.model import cost
from scaling_lab.tracking import metrics
from scaling_lab.tracking.journal import JOURNAL_NAME, Journal, Row, read_journal
from scaling_lab.tracking.mirror import Mirror
from scaling_lab.tracking.recorder import Recorder
from scaling_lab.tracking.wandb_run import WandbRun, handed_by_agent
from scaling_lab.training.checkpoint import load_newest_checkpoint
from scaling_lab.training.device import Machine, choose_machine
from scaling_lab.training.distributed import Errand, PeerGone, World
from scaling_lab.training.evaluation import Evaluation
from scaling_lab.training.keeping import Keeper
from scaling_lab.training.learner import Learner, StepTaken
from scaling_lab.training.outcome import Outcome
from scaling_lab.training.plan import RunPlan, plan_run
from scaling_lab.training.run_folder import RunFolder
from scaling_lab.training.stop import StopSignal

Watch = Callable[[RunPlan, Row], None]

# What the leader tells the others in place of a checkpoint, where the run is complete.
_NOTHING_TO_DO = "nothing"


@dataclass
class Progress:
    """How far a run is; what a checkpoint keeps besides weights and optimizer.

    evaluated_step: that of the last evaluation; 0 where there was none, or a version before this one didn't say.
    """

    step: int = 0
    flops: float = 0.0
    best_val_loss: float = float("inf")
    best_step: int = 0
    evaluated_step: int = 0


@dataclass
class Run:
    """Everything the loop works with."""

    config: RunConfig
    dataset: Dataset
    plan: RunPlan
    machine: Machine
    folder: RunFolder
    learner: Learner
    progress: Progress
    world: World
    keeper: Keeper
    saved_step: int | None = None


def train(
    config: RunConfig, dataset: Dataset | None = None, watch: Watch | None = None, world: World | None = None
) -> RunRecord:
    """Train one run to its end, or go on with it; a complete run is returned as it stands.

    Args:
        config: the resolved run.
        dataset: where tokens come from; absent, what `config.data` names.
        watch: called with the plan and each row as it is recorded.
        world: the processes that this one leads; absent, it trains alone.

    Raises:
        UsageError: if the data are missing, or the run's folder holds a run with other settings.
        CheckpointError: if what the folder holds of the run is damaged, or another process trains it.
        DivergedError: if loss or gradient became NaN or infinite; the last checkpoint is kept.
        StorageError: if the disk doesn't take the end of the run; the last checkpoint is kept.
        Stopped: after SIGTERM, with a checkpoint written. Interrupted likewise after Ctrl-C.
    """
    world = world or World.alone()
    dataset = dataset or open_configured(config.data)
    machine = choose_machine(config.machine)
    plan = plan_run(config, dataset, machine.micro_batch_bytes())
    with RunFolder(config.run_dir) as folder, StopSignal() as stop:
        identity = run_identity(config, dataset.fingerprint, machine.precision)
        folder.require_same(identity)
        outcome = Outcome(config, dataset, plan, machine, folder, identity)
        if outcome.complete:
            outcome.require_rows()
            world.same(_NOTHING_TO_DO)
            if handed_by_agent() or outcome.wandb_lacks_rows:
                outcome.mirror_again()
            return read_run(folder.path)
        checkpoint = world.same(load_newest_checkpoint(folder.checkpoints) or {})
        run = _restore(config, dataset, plan, machine, folder, world, checkpoint)
        if folder.results() is None and not run.progress.step:
            # Of a run that is gone: nothing says that its rows would be those of this one.
            (folder.path / JOURNAL_NAME).unlink(missing_ok=True)
        journal = Journal(folder.path / JOURNAL_NAME, run.progress.step)
        mirror = Mirror(WandbRun(config, outcome.wandb_identity()), read_journal(journal.path))
        recorder = Recorder(journal, mirror, lambda row: watch(plan, row) if watch else None)
        with outcome.recorded(recorder):
            _train_steps(run, recorder, stop)
        world.dismiss()
    return read_run(folder.path)


def follow(config: RunConfig, world: World) -> None:
    """Do the share of a process that another one leads, until that one is done, has stopped or failed."""
    dataset = open_configured(config.data)
    machine = choose_machine(config.machine)
    plan = plan_run(config, dataset, machine.micro_batch_bytes())
    # Whoever asks a run to stop asks all of its processes; the leader decides for all when that is.
    with contextlib.suppress(PeerGone, DivergedError), StopSignal():
        folder = RunFolder(config.run_dir)
        checkpoint = world.same(None)
        if checkpoint == _NOTHING_TO_DO:
            return
        run = _restore(config, dataset, plan, machine, folder, world, checkpoint)
        for errand, step in world.errands():
            match errand:
                case Errand.STEP:
                    run.learner.take_step(step, lambda: None)
                case Errand.EVALUATE:
                    run.learner.evaluate(dataset.val, lambda: None)
                case Errand.GATHER_WEIGHTS:
                    run.learner.weights()
                case Errand.GATHER_STATE:
                    run.learner.state()


def _train_steps(run: Run, recorder: Recorder, stop: StopSignal) -> None:
    """Train to the end, or to where the run is asked to stop; either way a checkpoint is left.

    Raises:
        Stopped: in the middle of a step or an evaluation too. What that had gathered is let go; the weights are those
            of the last step, and a step's evaluation is done when the run goes on.
        StorageError: if the disk doesn't take where it ended.
    """
    step = run.progress.step
    try:
        if step in run.plan.evaluation_steps and run.progress.evaluated_step != step:
            _evaluate(run, recorder, stop)
        recorder.step_done(step)
        _loop(run, recorder, stop)
    except Stopped:
        _log_steps(run, recorder, all_of_them=True)
        if run.saved_step != run.progress.step:
            _save(run, recorder, run.folder.checkpoints)
        run.keeper.require_kept(run.progress.step)
        raise
    run.keeper.require_kept(run.progress.step)


def _loop(run: Run, recorder: Recorder, stop: StopSignal) -> None:
    """The loop: take a step, log what is done, maybe evaluate, maybe save."""
    progress = run.progress
    last_save = time.monotonic()
    for step in range(progress.step, run.plan.n_steps):
        stop.raise_if_received(str(run.folder.path))
        run.world.lead(Errand.STEP, step)
        run.learner.begin_step(step, _may_stop(run, stop))
        begun = step + 1
        evaluate, end_trunk = begun in run.plan.evaluation_steps, begun == run.plan.trunk_steps
        save_is_due = time.monotonic() - last_save >= run.config.machine.checkpoint_every_seconds
        save = save_is_due or begun == run.plan.n_steps
        _log_steps(run, recorder, all_of_them=evaluate or end_trunk or save)
        if evaluate:
            _evaluate(run, recorder, stop)
        recorder.step_done(progress.step)
        if end_trunk:
            _save(run, recorder, run.folder.trunk)
        if save:
            if _save(run, recorder, run.folder.checkpoints):
                run.saved_step = progress.step
            last_save = time.monotonic()


def _may_stop(run: Run, stop: StopSignal) -> Callable[[], None]:
    """What is asked before each micro-batch; a sharded model's pass is everyone's, so there only between steps."""
    return lambda: None if run.world.sharded else stop.raise_if_received(str(run.folder.path))


def _log_steps(run: Run, recorder: Recorder, *, all_of_them: bool) -> None:
    """Record the steps that are done; all that were begun, or all but what a GPU still works on."""
    for taken in run.learner.steps_taken(all_of_them=all_of_them):
        recorder.log(_training_row(run, taken))


def _training_row(run: Run, taken: StepTaken) -> Row:
    """Count the step that was just done, and say how it went and how fast it was."""
    progress = run.progress
    step_flops = cost.flops_of_pieces(run.config.model, run.dataset.vocab_size, taken.lengths)
    progress.step += 1
    progress.flops += step_flops
    return {
        metrics.TRAIN_STEP: progress.step,
        metrics.TRAIN_TOKENS: progress.step * run.plan.batch_size_tokens,
        metrics.TRAIN_FLOPS: progress.flops,
        metrics.TRAIN_LOSS: taken.loss,
        metrics.GRAD_NORM: taken.grad_norm,
        metrics.LEARNING_RATE: taken.learning_rate,
        metrics.TOKENS_PER_SECOND: run.plan.batch_size_tokens / taken.seconds,
        metrics.STEP_SECONDS: taken.seconds,
        metrics.MFU: step_flops / taken.seconds / (run.machine.peak_flops_per_second * run.world.size),
    }


def _evaluate(run: Run, recorder: Recorder, stop: StopSignal) -> None:
    """Score the whole validation split, record it, and keep the weights if they are the best so far."""
    progress = run.progress
    run.world.lead(Errand.EVALUATE)
    result = run.learner.evaluate(run.dataset.val, _may_stop(run, stop))
    progress.evaluated_step = progress.step
    if result.loss < progress.best_val_loss:
        progress.best_val_loss, progress.best_step = result.loss, progress.step
        _save_best(run, result)
    recorder.log(
        {
            metrics.TRAIN_STEP: progress.step,
            metrics.TRAIN_TOKENS: progress.step * run.plan.batch_size_tokens,
            metrics.TRAIN_FLOPS: progress.flops,
            metrics.VAL_LOSS: result.loss,
            metrics.BITS_PER_CHARACTER: result.bits_per_character,
            metrics.BITS_PER_BYTE: result.bits_per_byte,
            metrics.BITS_PER_NOTE: result.bits_per_note,
        }
    )


def _save_best(run: Run, result: Evaluation) -> None:
    """Weights, and what is needed to build the model they belong to; for other programs as safetensors too."""
    facts = {
        "config": run.config.model.model_dump(),
        "vocab_size": run.dataset.vocab_size,
        "data_fingerprint": run.dataset.fingerprint,
        "step": run.progress.step,
        **asdict(result),
    }
    if run.world.sharded:
        run.world.lead(Errand.GATHER_WEIGHTS)
    run.keeper.keep_best(run.learner.weights(), facts)


def _save(run: Run, recorder: Recorder, folder: Path) -> bool:
    """Write a checkpoint; whether the disk took it."""
    if run.world.sharded:
        run.world.lead(Errand.GATHER_STATE)
    state = {**run.learner.state(), "progress": asdict(run.progress)}
    return run.keeper.save(folder, run.progress.step, state, recorder.journal)


def _restore(
    config: RunConfig,
    dataset: Dataset,
    plan: RunPlan,
    machine: Machine,
    folder: RunFolder,
    world: World,
    checkpoint: dict[str, Any],
) -> Run:
    """A run at a checkpoint, or at its beginning where that is empty."""
    learner = Learner(config, dataset, plan, machine, world)
    progress = Progress()
    if checkpoint:
        learner.load(checkpoint)
        progress = Progress(**checkpoint["progress"])
    return Run(config, dataset, plan, machine, folder, learner, progress, world, Keeper(folder.path))
