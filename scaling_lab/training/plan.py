"""What a run will do, worked out before it does it: `scaling-lab train --size xl --dry-run`. No torch here."""

from dataclasses import asdict, dataclass
from typing import Any

from scaling_lab.config.schema import RunConfig
from scaling_lab.data.dataset import Dataset
from scaling_lab.errors import ConfigError
from scaling_lab.model import cost
from scaling_lab.training.schedule import decay_begin

# A micro-batch is kept in this much memory where nobody says otherwise: a CPU gains nothing by more.
MICRO_BATCH_BYTES = 2**31
# Share of the matmul ceiling that a time estimate assumes.
ASSUMED_MFU = 0.4
# Fewer steps than this is said aloud; so are more passes than pay (Muennighoff et al., 2305.16264).
FEW_STEPS = 100
MANY_EPOCHS = 4


@dataclass(frozen=True)
class RunPlan:
    """Numbers of a run, each in the unit its name says; trunk_steps are those before a wsd run's decay."""

    parameters: cost.ParameterCounts
    n_steps: int
    batch_size_tokens: int
    tokens: int
    epochs: float
    attended_length: float
    flops_per_token: float
    total_flops: float
    micro_batch_tokens: int
    memory_bytes: int
    evaluation_steps: tuple[int, ...]
    trunk_steps: int | None

    def estimated_seconds(self, peak_flops_per_second: float) -> float:
        """Training time at an assumed share of the given ceiling."""
        return self.total_flops / (ASSUMED_MFU * peak_flops_per_second)

    def notes(self) -> list[str]:
        """What a person should know before they spend the time."""
        notes = []
        if self.n_steps < FEW_STEPS:
            steps = "1 step is" if self.n_steps == 1 else f"{self.n_steps} steps are"
            notes.append(
                f"{steps} few to learn from: a batch holds {self.batch_size_tokens:,} of "
                f"{round(self.tokens / self.epochs):,} training tokens; a smaller --batch-size-tokens gives more"
            )
        if self.epochs > MANY_EPOCHS:
            notes.append(f"{self.epochs:.1f} passes over the data: above four, more tokens are not more music")
        return notes

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


def plan_run(config: RunConfig, dataset: Dataset, micro_batch_bytes: int = MICRO_BATCH_BYTES) -> RunPlan:
    """Work out steps, FLOPs and memory; a micro-batch's activations fit in `micro_batch_bytes`, if one sequence's do.

    Raises:
        ConfigError: if the budget gives no step.
    """
    recipe = config.recipe
    budget = recipe.tokens or int(recipe.epochs * dataset.train.n_tokens)
    n_steps = budget // recipe.batch_size_tokens
    if n_steps == 0:
        raise ConfigError(
            f"recipe.batch_size_tokens: one batch of {recipe.batch_size_tokens:,} tokens is more than the whole "
            f"budget of {budget:,} ({dataset.name} has {dataset.train.n_tokens:,} training tokens), "
            "so there is no step; give a smaller --batch-size-tokens, more --tokens, or more music"
        )
    attended = attended_length(dataset, config.data.sequence_length)
    micro_batch_tokens = config.machine.micro_batch_tokens or find_micro_batch_tokens(
        config, dataset.vocab_size, attended, micro_batch_bytes
    )
    tokens = n_steps * recipe.batch_size_tokens
    flops_per_token = cost.flops_per_token(config.model, dataset.vocab_size, attended)
    return RunPlan(
        parameters=cost.count_parameters(config.model, dataset.vocab_size),
        n_steps=n_steps,
        batch_size_tokens=recipe.batch_size_tokens,
        tokens=tokens,
        epochs=tokens / dataset.train.n_tokens,
        attended_length=attended,
        flops_per_token=flops_per_token,
        total_flops=flops_per_token * tokens,
        micro_batch_tokens=micro_batch_tokens,
        memory_bytes=cost.training_bytes(config.model, dataset.vocab_size, attended, micro_batch_tokens),
        evaluation_steps=evenly_spread(recipe.evaluations, n_steps),
        trunk_steps=decay_begin(n_steps, recipe) if recipe.schedule == "wsd" else None,
    )


def attended_length(dataset: Dataset, sequence_length: int) -> float:
    """Mean length, over tokens, of the piece that a token attends in: sum of squared lengths over tokens."""
    lengths = dataset.train.offsets[1:] - dataset.train.offsets[:-1]
    whole, rest = lengths // sequence_length, lengths % sequence_length
    return float((whole * sequence_length**2 + rest**2).sum() / dataset.train.n_tokens)


def find_micro_batch_tokens(config: RunConfig, vocab_size: int, attended_length: float, micro_batch_bytes: int) -> int:
    """The most tokens whose activations fit in so many bytes, at least one sequence and at most a batch."""
    fitting = micro_batch_bytes // cost.activation_bytes_per_token(config.model, vocab_size, attended_length)
    return max(config.data.sequence_length, min(fitting, config.recipe.batch_size_tokens))


def evenly_spread(count: int, n_steps: int) -> tuple[int, ...]:
    """Steps (from 1) after which validation is measured; the last is always the run's last."""
    return tuple(sorted({max(1, round(n_steps * (index + 1) / count)) for index in range(count)}))
