"""A run tried for some seconds on this machine: what a step, an evaluation and its memory really take.

Each run is tried in a process of its own, which does what `scaling-lab train` does, so that the peak of one is not the
peak of another. A step that takes longer than there is time for is measured by its first micro-batches.
"""

import contextlib
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

from scaling_lab.config.schema import RunConfig
from scaling_lab.data.batches import evaluation_batches
from scaling_lab.data.configured import open_configured
from scaling_lab.data.dataset import Dataset
from scaling_lab.errors import ScalingLabError
from scaling_lab.stopping import signals_wait
from scaling_lab.training.device import Machine, choose_machine
from scaling_lab.training.distributed import World
from scaling_lab.training.evaluation import evaluate
from scaling_lab.training.learner import Learner
from scaling_lab.training.plan import plan_run

# Of the time for a run, the share that goes to evaluation.
_EVALUATION_SHARE = 0.25


@dataclass(frozen=True)
class Rehearsal:
    """What was measured of a run, seconds and bytes; starting is everything before the first step."""

    starting_seconds: float
    step_seconds: float
    evaluation_seconds: float
    peak_bytes: int
    processor: str


def rehearse(config: RunConfig, seconds: float) -> Rehearsal:
    """Try a run for about `seconds`, two micro-batches at least.

    Raises:
        ScalingLabError: what training would raise; or that its process ended before it had measured anything.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(config, seconds, time.time(), theirs), daemon=True)
    try:
        with signals_wait():
            process.start()
        theirs.close()
        answer = ours.recv()
    except KeyboardInterrupt:
        if process.is_alive():  # else it was not started yet
            process.kill()
        raise
    except EOFError:
        process.join()
        raise ScalingLabError(
            f"{config.run_name}: the process that tried it ended with {process.exitcode} (out of memory, most likely); "
            "give a smaller machine.micro_batch_tokens, or --hardware for a card that isn't here"
        ) from None
    process.join()
    if isinstance(answer, ScalingLabError):
        raise answer
    return answer


def _answer(config: RunConfig, seconds: float, begin: float, answer: Connection) -> None:
    try:
        answer.send(_measured(config, seconds, begin))
    except ScalingLabError as error:
        answer.send(error)


def _measured(config: RunConfig, seconds: float, begin: float) -> Rehearsal:
    # What training brings along, for the memory it takes: the SDK, and all that writes a run's folder.
    import scaling_lab.training.loop  # noqa: F401

    if config.tracking.mode != "disabled":
        import wandb  # noqa: F401
    dataset = open_configured(config.data)
    machine = choose_machine(config.machine)
    learner = Learner(config, dataset, plan_run(config, dataset, machine.micro_batch_bytes()), machine, World.alone())
    starting_seconds = time.time() - begin  # of two processes, so by the clock on the wall
    step_seconds = _step_seconds(learner, seconds * (1 - _EVALUATION_SHARE))
    evaluation_seconds = _evaluation_seconds(learner, dataset, seconds * _EVALUATION_SHARE)
    return Rehearsal(starting_seconds, step_seconds, evaluation_seconds, _peak_bytes(machine), machine.processor)


class _Enough(Exception):  # noqa: N818 - no error: the way out of a step that takes longer than there is time for
    pass


class _Laps:
    """Called between two micro-batches; leaves the step once there is no more time, and there are two laps."""

    def __init__(self, seconds: float, synchronize: Callable[[], None]) -> None:
        self._end, self._synchronize = time.perf_counter() + seconds, synchronize
        self.times: list[float] = []

    def __call__(self) -> None:
        self._synchronize()
        self.times.append(time.perf_counter())
        if len(self.times) > 2 and self.times[-1] > self._end:
            raise _Enough

    @property
    def over(self) -> bool:
        """Whether there is no more time."""
        return time.perf_counter() > self._end

    def lap_seconds(self) -> float:
        """Seconds a micro-batch; the first, which warms up, is left out."""
        laps = [end - begin for begin, end in zip(self.times, self.times[1:], strict=False)]
        return statistics.fmean(laps[1:] or laps)


def _step_seconds(learner: Learner, seconds: float) -> float:
    """Seconds a step: of whole ones but the first, which warms up; or put together of micro-batches and an update."""
    laps = _Laps(seconds, learner.machine.synchronize)
    steps: list[float] = []
    with contextlib.suppress(_Enough):
        while len(steps) < 2 or not laps.over:
            steps.append(learner.take_step(len(steps) % learner.plan.n_steps, laps).seconds)
    if len(steps) > 1:
        return statistics.fmean(steps[1:])
    n_laps = sum(1 for _ in learner.micro_batches(learner.stream.batch(0)))
    begin = time.perf_counter()
    learner.update(0, torch.zeros((), device=learner.machine.device))
    learner.machine.synchronize()
    return n_laps * laps.lap_seconds() + time.perf_counter() - begin


def _evaluation_seconds(learner: Learner, dataset: Dataset, seconds: float) -> float:
    """Seconds of one pass over the validation split: of a whole one, or by its first batches."""
    tokens, sequence_length = learner.micro_batch_tokens, learner.config.data.sequence_length
    laps = _Laps(seconds, learner.machine.synchronize)
    begin = time.perf_counter()
    try:
        evaluate(learner.model, dataset.val, learner.machine, sequence_length, tokens, between_batches=laps)
    except _Enough:
        return sum(1 for _ in evaluation_batches(dataset.val, tokens, sequence_length)) * laps.lap_seconds()
    return time.perf_counter() - begin


def _peak_bytes(machine: Machine) -> int:
    if machine.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
