"""Data parallel training under torchrun: several processes work on each batch, and end each step with the same weights.

    torchrun --standalone --nproc_per_node=2 cli.py train --size small

Rank 0 leads: it alone writes the run's folder and talks to W&B, and it says errand by errand what is done next, so
that it can stop or fail without asking anyone. The others follow it with the same batch; each takes every n-th
micro-batch. A step's loss is summed over the targets of the whole batch, so how many they are changes no loss beyond
rounding.

Each process has the whole model, or with `--shard` a part of it (see `scaling_lab.training.sharding`).
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import torch
import torch.distributed as dist

from scaling_lab.data.batches import Batch
from scaling_lab.errors import ScalingLabError


class Errand(IntEnum):
    """What the leader asks the others to do with it."""

    LEAVE = 0
    STEP = 1
    EVALUATE = 2
    GATHER_WEIGHTS = 3
    GATHER_STATE = 4


class PeerGone(ScalingLabError):  # noqa: N818 - for the leader an error, for the others the end of work
    """Another process of the run ended while this one waited for it."""


class World:
    """The processes that train one run together; of a single one, every method does nothing.

    Attributes:
        sharded: whether each has a part of the model. Forward passes are then taken by all together.
    """

    def __init__(self, rank: int, size: int, sharded: bool = False) -> None:
        self.rank, self.size, self.sharded = rank, size, sharded and size > 1

    @classmethod
    def alone(cls) -> "World":
        """A world of one."""
        return cls(0, 1)

    @classmethod
    def join(cls, sharded: bool) -> "World":
        """The processes that torchrun started, if it started this one (it tells by RANK and WORLD_SIZE)."""
        world = cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)), sharded)
        if world.size > 1:
            on_gpu = torch.cuda.is_available()
            if on_gpu:
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
            dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
        return world

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        """Take leave of the others; torch ends the process in anger if its threads are still at work."""
        if self.size > 1:
            dist.destroy_process_group()

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def add_up(self, model: torch.nn.Module, total: torch.Tensor) -> None:
        """Replace `total` and the model's gradients by their sums over all processes."""
        if self.size == 1:
            return
        if self.sharded:  # its gradients were summed in the last backward pass
            with _together():
                dist.all_reduce(total)
            return
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for parameter in parameters:
            if parameter.grad is None:  # no part of this batch fell to this process
                parameter.grad = torch.zeros_like(parameter)
        sums = torch.cat([total.reshape(1), *(_gradient(parameter).reshape(-1) for parameter in parameters)])
        with _together():
            dist.all_reduce(sums)
        total.copy_(sums[0])
        place = 1
        for parameter in parameters:
            _gradient(parameter).copy_(sums[place : place + parameter.numel()].view_as(parameter))
            place += parameter.numel()

    def same(self, value: Any) -> Any:
        """What the leader has here, for all."""
        if self.size == 1:
            return value
        box = [value]
        with _together():
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def sum(self, value: float) -> float:
        """The sum of everyone's value, in double precision."""
        return self._reduce(value, torch.float64, dist.ReduceOp.SUM)

    def least(self, value: int) -> int:
        """The least of everyone's value."""
        return int(self._reduce(value, torch.int64, dist.ReduceOp.MIN))

    def evened(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        """This process's batches; where the model is sharded, empty ones after them until it has as many as any."""
        if not self.sharded:
            return batches
        own = list(batches)
        most = int(self._reduce(len(own), torch.int64, dist.ReduceOp.MAX))
        return own + [Batch.without_targets()] * (most - len(own))

    def lead(self, errand: Errand, step: int = 0) -> None:
        """Tell the others what to do with the leader; `step` is 0-based."""
        if self.size > 1:
            with _together():
                dist.broadcast(torch.tensor([errand, step]), src=0)

    def dismiss(self) -> None:
        """Tell the others that there is nothing left to do."""
        self.lead(Errand.LEAVE)

    def errands(self) -> Iterator[tuple[Errand, int]]:
        """What the leader begins, and at which step, until it sends the others home."""
        while True:
            box = torch.tensor([Errand.LEAVE, 0])
            with _together():
                dist.broadcast(box, src=0)
            errand, step = box.tolist()
            if errand == Errand.LEAVE:
                return
            yield Errand(errand), step

    def _reduce(self, value: float, dtype: torch.dtype, operation: dist.ReduceOp.RedOpType) -> Any:
        if self.size == 1:
            return value
        box = torch.tensor(value, dtype=dtype)
        with _together():
            dist.all_reduce(box, operation)
        return box.item()


@contextmanager
def _together() -> Iterator[None]:
    """Tells a process that is gone from a bug: torch has one error for both."""
    try:
        yield
    except RuntimeError as error:
        raise PeerGone(f"a process that trains this run with this one is gone ({error})") from None


def _gradient(parameter: torch.nn.Parameter) -> torch.Tensor:
    assert parameter.grad is not None
    return parameter.grad
