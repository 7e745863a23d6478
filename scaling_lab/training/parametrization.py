"""Width scaling by muP: one learning rate that serves every width (Yang et al., 2203.03466, table 8, for Adam).

Against the standard parametrization, with r = base width / d_model, the base width being that of the ladder's tiny:

- hidden matrices learn at r times the rate; they begin as they do anyway, at 1/sqrt(fan in)
- the embedding begins at 1/sqrt(base width), whatever d_model, and learns at the rate
- logits are r times as large: since the head is the embedding, its share is in the final norm's gain, which begins at r
  and learns at r times the rate, which is the same for Adam as a factor behind it

At the base width nothing changes. Attention is left as it is: heads are about as wide on every rung, and 1/sqrt(width
of a head) is then a constant. Depth is not part of muP; residual branches begin at 1/sqrt(2·n_layers) either way.
"""

import math

import torch

from scaling_lab.config import load_config
from scaling_lab.config.schema import RunConfig
from scaling_lab.model.transformer import Transformer


def width_ratio(config: RunConfig) -> float:
    """r of a run: 1 by the standard parametrization."""
    if config.recipe.parametrization == "standard":
        return 1.0
    base = load_config(size="tiny", ladder=config.ladder, environ={}).model.d_model
    return base / config.model.d_model


@torch.no_grad()
def scale_weights(model: Transformer, ratio: float) -> None:
    """Bring newly made weights to where muP begins."""
    model.embedding.weight.div_(math.sqrt(ratio))
    model.final_norm.weight.mul_(ratio)


def rate_groups(model: Transformer, ratio: float) -> list[tuple[list[torch.nn.Parameter], float]]:
    """Parameters with the factor that the learning rate has for them; matrices and vectors never in one group."""
    embedding, final_gain = list(model.embedding.parameters()), list(model.final_norm.parameters())
    hidden = [parameter for parameter in model.blocks.parameters() if parameter.ndim >= 2]
    gains = [parameter for parameter in model.blocks.parameters() if parameter.ndim < 2]
    if ratio == 1:  # in the order of the model, as checkpoints of earlier versions have it
        return [([*embedding, *hidden], 1.0), ([*gains, *final_gain], 1.0)]
    return [(embedding, 1.0), (hidden, ratio), (gains, 1.0), (final_gain, ratio)]
