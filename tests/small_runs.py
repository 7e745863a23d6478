"""A run small enough to train in a second."""

from collections.abc import Callable

from scaling_lab.config import Override, RunConfig, load_config

SMALL_RUN = {
    "ladder": "mini",
    "size": "tiny",
    "output_dir": "outputs",
    "data.dir": "music",
    "data.sequence_length": 64,
    "model.d_model": 16,
    "model.d_ff": 32,
    "recipe.batch_size_tokens": 256,
    "recipe.tokens": 256 * 20,
    "recipe.evaluations": 4,
    "machine.device": "cpu",
    "machine.precision": "fp32",
    "machine.threads": 1,
    "machine.checkpoint_every_seconds": 0,
    "tracking.mode": "disabled",
}

MakeConfig = Callable[..., RunConfig]


def small_config(**changes: object) -> RunConfig:
    """`small_config(**{"recipe.tokens": 512})`: a config over the corpus in `music`."""
    values = {**SMALL_RUN, **changes}
    return load_config(overrides=[Override(key, value, f"test {key}") for key, value in values.items()], environ={})
