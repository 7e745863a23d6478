"""Keys of a run that have an option of their own: the names that a command line and a sweep's parameters share.

A sweep's agent hands a parameter to `scaling-lab train` as `--name=value`, so a parameter can only be one of these;
`_` and `-` are the same in them.
"""

from scaling_lab.config.schema import LADDERS, SIZES

# Option, metavar, and the key it stands for.
OPTIONS = (
    ("--size", "|".join(SIZES), "size"),
    ("--ladder", "|".join(LADDERS), "ladder"),
    ("--seed", "N", "seed"),
    ("--batch-size-tokens", "TOKENS", "recipe.batch_size_tokens"),
    ("--learning-rate", "RATE", "recipe.learning_rate"),
    ("--parametrization", "standard|mup", "recipe.parametrization"),
    ("--tokens", "TOKENS", "recipe.tokens"),
    ("--epochs", "N", "recipe.epochs"),
    ("--data-dir", "DIR", "data.dir"),
    ("--name", "NAME", "name"),
    ("--output-dir", "DIR", "output_dir"),
    ("--tracking", "auto|online|local|offline|disabled", "tracking.mode"),
    ("--project", "NAME", "tracking.project"),
    ("--device", "auto|cpu|cuda", "machine.device"),
    ("--precision", "auto|bf16|fp32", "machine.precision"),
    ("--threads", "N", "machine.threads"),
)
SHORT_OPTIONS = {"--size": "-s"}
