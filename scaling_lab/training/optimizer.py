"""AdamW over the groups of a parametrization."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from scaling_lab.config.schema import RecipeConfig
from scaling_lab.model.transformer import Transformer
from scaling_lab.training.parametrization import rate_groups

EPSILON = 1e-8
# What torch.optim calls a parameter's state; checkpoints have these names.
_STEP, _MEAN, _SQUARE = "step", "exp_avg", "exp_avg_sq"


@dataclass
class Group:
    """Parameters that are updated alike, and what is remembered of each.

    Attributes:
        rate_factor: their share of the learning rate.
        means, squares: running means of each one's gradient, and of its square. Empty before the first update.
    """

    parameters: Sequence[torch.nn.Parameter]
    weight_decay: float
    rate_factor: float = 1.0
    means: list[torch.Tensor] = field(default_factory=list)
    squares: list[torch.Tensor] = field(default_factory=list)


class AdamW:
    """AdamW (Loshchilov and Hutter, 1711.05101), by torch's fused kernel.

    torch.optim.AdamW calls the same kernel, and gives the same numbers to the last bit; but it loads torch's compiler,
    which takes nearly as long as the rest of torch, at the beginning of every run.

    Attributes:
        learning_rate: that of the next step, before a group's factor.
        found_inf: a 1 in it has the kernel change nothing, as for torch's scaler of gradients; None where nobody asks.
    """

    def __init__(self, groups: Sequence[Group], learning_rate: float, betas: tuple[float, float]) -> None:
        self.groups, self.learning_rate, self.betas = groups, learning_rate, betas
        self.found_inf: torch.Tensor | None = None
        self._n_steps = torch.zeros((), device=groups[0].parameters[0].device)

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter by the gradient that it has."""
        self._n_steps += 1
        for group in self.groups:
            if not group.means:
                group.means = [torch.zeros_like(parameter) for parameter in group.parameters]
                group.squares = [torch.zeros_like(parameter) for parameter in group.parameters]
            self._update(group)
        if self.found_inf is not None:
            self._n_steps -= self.found_inf

    def zero_grad(self) -> None:
        """Drop every gradient."""
        for group in self.groups:
            for parameter in group.parameters:
                parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """What is remembered, by the parameters' numbers, in the form of torch.optim's."""
        remembered = [
            {_STEP: self._n_steps.clone(), _MEAN: mean, _SQUARE: square}
            for group in self.groups
            for mean, square in zip(group.means, group.squares, strict=True)
        ]
        return {"state": dict(enumerate(remembered))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what a state says, one of ours or of torch.optim's."""
        remembered = [state["state"][number] for number in sorted(state["state"])]
        left = iter(remembered)
        for group in self.groups:
            known = [(next(left), parameter.device) for parameter in group.parameters] if remembered else []
            group.means = [part[_MEAN].to(device, copy=True) for part, device in known]
            group.squares = [part[_SQUARE].to(device, copy=True) for part, device in known]
        self._n_steps.fill_(remembered[0][_STEP] if remembered else 0)

    def _update(self, group: Group) -> None:
        beta1, beta2 = self.betas
        gradients = [parameter.grad for parameter in group.parameters if parameter.grad is not None]
        torch.ops.aten._fused_adamw_(
            [*group.parameters],
            gradients,
            group.means,
            group.squares,
            [],
            [self._n_steps] * len(gradients),
            lr=self.learning_rate * group.rate_factor,
            beta1=beta1,
            beta2=beta2,
            weight_decay=group.weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
            grad_scale=None,
            found_inf=self.found_inf,
        )


def build_optimizer(model: Transformer, recipe: RecipeConfig, ratio: float = 1.0) -> AdamW:
    """AdamW with weight decay on matrices only, never on a norm's gain.

    ratio: base width over the model's, see `scaling_lab.training.parametrization`.
    """
    groups = [
        Group(parameters, recipe.weight_decay if parameters[0].ndim >= 2 else 0.0, factor)
        for parameters, factor in rate_groups(model, ratio)
    ]
    return AdamW(groups, recipe.learning_rate, (recipe.beta1, recipe.beta2))
