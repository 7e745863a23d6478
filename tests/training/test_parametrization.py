"""muP: what a step does to a model does not grow with its width. And by default nothing is scaled."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from scaling_lab.config import RunConfig, load_config
from scaling_lab.config.schema import ModelConfig
from scaling_lab.errors import UsageError
from scaling_lab.model.transformer import Transformer
from scaling_lab.training.loop import train
from scaling_lab.training.optimizer import build_optimizer
from scaling_lab.training.parametrization import scale_weights

VOCAB = 31
BASE = 32
WIDTHS = (32, 64, 128, 256, 512)
STEPS = 4


def coordinates(width: int, mup: bool, seed: int) -> dict[str, float]:
    """How far each step's updates move the stream and the logits of a model: root mean squares after a few steps."""
    config = ModelConfig(d_model=width, n_layers=2, n_heads=width // 16, d_ff=4 * width)
    model = Transformer(config, VOCAB, seed)
    ratio = BASE / width if mup else 1.0
    scale_weights(model, ratio)
    recipe = load_config(
        overrides=["size=tiny", "recipe.learning_rate=0.01", "recipe.weight_decay=0"], environ={}
    ).recipe
    optimizer = build_optimizer(model, recipe, ratio)
    tokens = torch.randint(VOCAB, (257,), generator=torch.Generator().manual_seed(seed))
    before = observed(model, tokens[:-1])
    for _ in range(STEPS):
        (model.loss(tokens[:-1], tokens[1:], [128, 128]) / 256).backward()
        optimizer.step()
        optimizer.zero_grad()
    after = observed(model, tokens[:-1])
    return {name: (after[name] - before[name]).square().mean().sqrt().item() for name in before}


@torch.no_grad()
def observed(model: Transformer, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """The stream behind each block, and the logits."""
    found: dict[str, torch.Tensor] = {}
    hooks = [
        block.register_forward_hook(lambda _, __, out, name=f"block {place}": found.update({name: out}))
        for place, block in enumerate(model.blocks)
    ]
    found["logits"] = model(tokens, [128, 128])
    for hook in hooks:
        hook.remove()
    return found


def growth(mup: bool) -> dict[str, float]:
    """The power of the width that each coordinate's change goes with, a mean over seeds."""
    changes = [[coordinates(width, mup, seed) for seed in range(3)] for width in WIDTHS]
    names = changes[0][0]
    means = {name: [np.mean([seed[name] for seed in seeds]) for seeds in changes] for name in names}
    return {name: float(np.polyfit(np.log(WIDTHS), np.log(mean), 1)[0]) for name, mean in means.items()}


def test_the_coordinate_check() -> None:
    standard, mup = growth(mup=False), growth(mup=True)
    assert all(abs(power) < 0.2 for power in mup.values()), mup
    # By the standard parametrization the same steps blow the stream up with width.
    assert standard["block 1"] > 0.5, standard


def test_at_the_base_width_nothing_changes(small_run: Callable[..., RunConfig]) -> None:
    at_base = {"model.d_model": load_config(size="tiny", ladder="mini", environ={}).model.d_model}
    standard = train(small_run(name="standard", **at_base))
    mup = train(small_run(name="mup", **at_base, **{"recipe.parametrization": "mup"}))
    assert mup.training["train/loss"].tolist() == standard.training["train/loss"].tolist()


def test_a_run_by_mup_is_another_run_and_is_sampled_like_any(small_run: Callable[..., RunConfig]) -> None:
    wide = {"model.d_model": 64, "name": "wide"}
    record = train(small_run(**wide, **{"recipe.parametrization": "mup"}))
    assert math.isfinite(record.results["final_val_loss"])
    assert record.results["identity"]["recipe.parametrization"] == "mup"
    with pytest.raises(UsageError, match="parametrization was 'mup' and is now 'standard'"):
        train(small_run(**wide))
    gain = torch.load(Path("outputs/wide/best_model.pt"), weights_only=True)["model"]["final_norm.weight"]
    assert gain.mean() == pytest.approx(0.5, abs=0.1)
