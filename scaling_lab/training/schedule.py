"""Learning rates over a run: a short linear rise, then what `recipe.schedule` names.

- cosine: half a cosine from the peak to the run's own last step (Loshchilov and Hutter, 1608.03983).
- wsd: the peak until the last `decay_fraction` of the run, and there 1 - sqrt (Hägele et al., 2405.18392). Up to its
  decay a run is the same whatever its length, so that one trunk serves several (see `scaling_lab.training.branches`).
- constant: the peak to the end.
"""

import math

from scaling_lab.config.schema import RecipeConfig


def learning_rate_at(step: int, n_steps: int, recipe: RecipeConfig) -> float:
    """Learning rate of 0-based `step` of `n_steps`."""
    warmup_steps = warmup_end(n_steps, recipe)
    if step < warmup_steps:
        return recipe.learning_rate * (step + 1) / warmup_steps
    match recipe.schedule:
        case "cosine":
            height = 0.5 * (1 + math.cos(math.pi * _progress(step, warmup_steps, n_steps)))
        case "wsd":
            height = 1 - math.sqrt(_progress(step, decay_begin(n_steps, recipe), n_steps))
        case "constant":
            height = 1.0
    floor = recipe.final_learning_rate_fraction
    return recipe.learning_rate * (floor + (1 - floor) * height)


def warmup_end(n_steps: int, recipe: RecipeConfig) -> int:
    """Steps over which the rate rises, in a run of `n_steps`."""
    return round(recipe.warmup_fraction * n_steps)


def decay_begin(n_steps: int, recipe: RecipeConfig) -> int:
    """Steps before the rate begins to fall, in a wsd run of `n_steps`."""
    return n_steps - round(recipe.decay_fraction * n_steps)


def _progress(step: int, begin: int, end: int) -> float:
    """How far `step` is on the way from `begin` to `end`, from 0 to 1; 0 before it."""
    return max(0.0, (step - begin) / (end - begin))
