"""One model over several processes: each keeps a part of every weight, gradient and running mean (FSDP2).

    torchrun --standalone --nproc_per_node=8 cli.py train --size xl --shard

A block's weights come together for the time that they are used. What is kept on disk is whole, as of a model that
nobody shards, so that a run goes on with or without, and on any number of processes.

torch's modules for it take seconds to import, so only the functions that need them do.
"""

from typing import Any

import torch

from scaling_lab.model.transformer import Transformer
from scaling_lab.training.optimizer import AdamW


def shard_model(model: Transformer, device: torch.device, n_processes: int) -> None:
    """Leave this process its part of each block, and of the embedding and the last norm."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (n_processes,))
    for layer in (*model.blocks, model):
        sharded = fully_shard(layer, mesh=mesh)
        # A loss is already over the targets of the whole batch: gradients are summed, not averaged.
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)


def sum_gradients(model: torch.nn.Module, now: bool) -> None:
    """Whether the next backward pass adds gradients up over processes; in the others each gathers its own."""
    from torch.distributed.fsdp import FSDPModule

    assert isinstance(model, FSDPModule)
    model.set_requires_gradient_sync(now)


def whole(value: Any, *, kept: bool = True) -> Any:
    """The same content with each sharded tensor put together, on the CPU. All processes must ask at once.

    A process that only helps (not `kept`) has none of it: what it puts together it lets go, tensor by tensor.
    """
    from torch.distributed.tensor import DTensor

    if isinstance(value, DTensor):
        tensor = value.full_tensor()
        return tensor.cpu() if kept else None
    if isinstance(value, dict):
        return {key: whole(inner, kept=kept) for key, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner, kept=kept) for inner in value]
    return value


def load_weights(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Give a sharded model its parts of whole weights."""
    own = model.state_dict()
    model.load_state_dict({name: _part(weight, own[name]) for name, weight in weights.items()})


def load_optimizer(optimizer: AdamW, state: dict[str, Any]) -> None:
    """Give the optimizer of a sharded model its parts of a whole state."""
    parameters = [parameter for group in optimizer.groups for parameter in group.parameters]
    parts = {
        number: {name: _part(tensor, parameters[number]) for name, tensor in means.items()}
        for number, means in state["state"].items()
    }
    optimizer.load_state_dict({"state": parts})


def _part(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """This process's part of a whole tensor, cut as `like` is; a tensor of another shape stays whole."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    # Everyone has the whole: nothing needs to be sent.
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
