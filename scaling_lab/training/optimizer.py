"""AdamW and its schedule: a short linear rise, then a cosine that ends at the run's own last step."""

import math

import torch
from torch import nn

from scaling_lab.config.schema import RecipeConfig


def build_optimizer(model: nn.Module, recipe: RecipeConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 1711.05101) with weight decay on matrices only, never on a norm's gain."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.beta1, recipe.beta2), fused=True)


def learning_rate_at(step: int, n_steps: int, recipe: RecipeConfig) -> float:
    """Learning rate of 0-based `step` of `n_steps`."""
    warmup_steps = round(recipe.warmup_fraction * n_steps)
    if step < warmup_steps:
        return recipe.learning_rate * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / (n_steps - warmup_steps)
    floor = recipe.final_learning_rate_fraction
    return recipe.learning_rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every group the same rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
