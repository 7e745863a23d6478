"""Data parallel training under torchrun: several processes work on each batch, and end each step with the same weights.

    torchrun --standalone --nproc_per_node=2 cli.py train --size small

Rank 0 leads: it alone writes the run's folder and talks to W&B, and it says step by step what is done next, so that it
can stop or fail without asking anyone. The others follow it with the same batch; each takes every n-th micro-batch. A
step's loss is summed over the targets of the whole batch, so how many they are changes no loss beyond rounding.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from scaling_lab.errors import ScalingLabError

_LEAVE = -1


class PeerGone(ScalingLabError):  # noqa: N818 - for the leader an error, for the others the end of work
    """Another process of the run ended while this one waited for it."""


class World:
    """The processes that train one run together; of a single one, every method does nothing."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    @classmethod
    def alone(cls) -> "World":
        """A world of one."""
        return cls(0, 1)

    @classmethod
    def join(cls) -> "World":
        """The processes that torchrun started, if it started this one (it tells by RANK and WORLD_SIZE)."""
        world = cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
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

    def lead(self, step: int) -> None:
        """Tell the others to do this step with the leader."""
        self._tell(step)

    def dismiss(self) -> None:
        """Tell the others that there is nothing left to do."""
        self._tell(_LEAVE)

    def steps_to_follow(self) -> Iterator[int]:
        """The steps that the leader begins, until it sends the others home."""
        while True:
            box = torch.tensor([_LEAVE])
            with _together():
                dist.broadcast(box, src=0)
            if box.item() == _LEAVE:
                return
            yield int(box.item())

    def _tell(self, step: int) -> None:
        if self.size > 1:
            with _together():
                dist.broadcast(torch.tensor([step]), src=0)


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
