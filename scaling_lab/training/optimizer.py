"""AdamW over the groups of a parametrization."""

import torch

from scaling_lab.config.schema import RecipeConfig
from scaling_lab.model.transformer import Transformer
from scaling_lab.training.parametrization import rate_groups


def build_optimizer(model: Transformer, recipe: RecipeConfig, ratio: float = 1.0) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 1711.05101) with weight decay on matrices only, never on a norm's gain.

    ratio: base width over the model's, see `scaling_lab.training.parametrization`.
    """
    groups = [
        {
            "params": parameters,
            "weight_decay": recipe.weight_decay if parameters[0].ndim >= 2 else 0.0,
            "rate_factor": factor,
        }
        for parameters, factor in rate_groups(model, ratio)
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.beta1, recipe.beta2), fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every group its share of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group.get("rate_factor", 1.0)
