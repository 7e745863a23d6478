"""What should be thought over before a plan is trained: it can be run, and would say less than it costs.

`scaling-lab lint`, `plan` and `sweep create` print these, and a report has those of its runs; none of them stops
anything. Most are what Porian et al. (2406.19146) found between studies that disagreed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scaling_lab.config.schema import RunConfig
from scaling_lab.history.runs import RunRecord
from scaling_lab.laws.wording import size as written_size

FEW_STEPS = 100
WARMUP_TOO_LONG = "warmup-too-long"
FEW_SIZES = 4
MANY_EPOCHS = 4
# By so much 6·N·D may be too low before it is said.
SIX_ND_OFF_BY = 1.5
# What runs must share to share a curve, and none of it is what a study varies by intent.
EQUAL: dict[str, Callable[[RunConfig], object]] = {
    "data.dir": lambda config: config.data.dir,
    "data.sequence_length": lambda config: config.data.sequence_length,
    "recipe.batch_size_tokens": lambda config: config.recipe.batch_size_tokens,
    "recipe.parametrization": lambda config: config.recipe.parametrization,
    "recipe.schedule": lambda config: config.recipe.schedule,
    "recipe.warmup_fraction": lambda config: config.recipe.warmup_fraction,
    "recipe.weight_decay": lambda config: config.recipe.weight_decay,
    "machine.precision": lambda config: config.machine.precision,
}


@dataclass(frozen=True)
class PlannedRun:
    """A run as far as it is known: without data at hand, all but its config is not; parameters are its total."""

    config: RunConfig
    n_steps: int | None = None
    epochs: float | None = None
    parameters: int | None = None
    flops_per_token: float | None = None

    @property
    def warmup_tokens(self) -> float | None:
        """Tokens read while the learning rate rises."""
        recipe = self.config.recipe
        return None if self.n_steps is None else recipe.warmup_fraction * self.n_steps * recipe.batch_size_tokens


def trained_run(run: RunRecord) -> PlannedRun | None:
    """A run that was trained, looked at as a plan; None where its config is another version's.

    Its data and machine count as every other's: what shares a curve shares them.
    """
    results, config = run.results, run.results.get("config") or {}
    told = {key: config.get(key) for key in ("model", "recipe")}
    try:
        config = RunConfig.model_validate(
            told | {"ladder": run.ladder, "size": run.size, "seed": run.seed, "data": {"sequence_length": 8}}
        )
    except ValueError:
        return None
    return PlannedRun(
        config, results.get("steps"), results.get("epochs"), run.parameters["total"], results.get("flops_per_token")
    )


@dataclass(frozen=True)
class Lint:
    """One thing to think over: its name, and a sentence with the way out."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def lint(runs: Sequence[PlannedRun]) -> list[Lint]:
    """Everything there is to say of a plan, the gravest first."""
    checks = (
        _few_sizes,
        _horizon,
        _unequal,
        _few_steps,
        _epochs,
        _warmup,
        _few_seeds,
        _one_rate,
        _six_nd,
        _few_d,
    )
    return [found for check in checks if (found := check(runs)) is not None]


def _few_sizes(runs: Sequence[PlannedRun]) -> Lint | None:
    sizes = {run.config.size for run in runs}
    if len(sizes) >= FEW_SIZES:
        return None
    count = "1 size gives" if len(sizes) == 1 else f"{len(sizes)} sizes give"
    return Lint("few-sizes", f"{count} no law of three parameters; {FEW_SIZES} are the least, five are the ladder")


def _horizon(runs: Sequence[PlannedRun]) -> Lint | None:
    budgets: dict[tuple[object, ...], set[str]] = {}
    for run in runs:
        budgets.setdefault(_budget(run), set()).add(run.config.size)
    every = set().union(*budgets.values())
    if all(sizes == every for sizes in budgets.values()):
        return None
    return Lint("horizon", "sizes are trained on different numbers of tokens, and only equal ones share a curve")


def _unequal(runs: Sequence[PlannedRun]) -> Lint | None:
    """What some sizes are trained with, and others are not."""
    every = {run.config.size for run in runs}
    for name, value_of in EQUAL.items():
        sizes: dict[object, set[str]] = {}
        for run in runs:
            sizes.setdefault(value_of(run.config), set()).add(run.config.size)
        if any(those != every for those in sizes.values()):
            values = " and ".join(sorted(map(str, sizes)))
            return Lint(
                "unequal", f"{name} is {values} for different sizes, which bends their curve; give all the same"
            )
    return None


def _few_steps(runs: Sequence[PlannedRun]) -> Lint | None:
    few = [run.n_steps for run in runs if run.n_steps is not None and run.n_steps < FEW_STEPS]
    if not few:
        return None
    steps = "1 step is" if few == [1] else f"{min(few)} steps are"
    return Lint("few-steps", f"{steps} few to learn from; a smaller batch_size_tokens gives more")


def _epochs(runs: Sequence[PlannedRun]) -> Lint | None:
    most = max((_passes(run) for run in runs), default=0)
    if most <= MANY_EPOCHS:
        return None
    return Lint("epochs", f"{most:.1f} passes over the data: above {MANY_EPOCHS}, more tokens are not more music")


def _passes(run: PlannedRun) -> float:
    return run.epochs or run.config.recipe.epochs * (run.config.recipe.tokens is None)


def _few_seeds(runs: Sequence[PlannedRun]) -> Lint | None:
    if len({run.config.seed for run in runs}) > 1:
        return None
    return Lint("few-seeds", "with one seed a size, noise is not measured and intervals are wide; three measure it")


def _one_rate(runs: Sequence[PlannedRun]) -> Lint | None:
    sizes = {run.config.size for run in runs}
    if len(sizes) < FEW_SIZES or len({run.config.recipe.learning_rate for run in runs}) > 1:
        return None
    return Lint(
        "one-learning-rate",
        "the best rate falls with size, and sizes away from theirs bend the law; sweeps/learning-rate.yaml finds it",
    )


def _warmup(runs: Sequence[PlannedRun]) -> Lint | None:
    known = [(run.config.size, run.warmup_tokens, run.parameters) for run in runs]
    long = [(size, tokens, n) for size, tokens, n in known if tokens and n and tokens > n]
    if not long:
        return None
    size, tokens, n = max(long, key=lambda one: one[1] / one[2])
    return Lint(
        WARMUP_TOO_LONG,
        f"{size} warms up for {written_size(tokens)} tokens, more than its {written_size(n)} parameters, which holds "
        "small sizes back; a smaller recipe.warmup_fraction does less of that",
    )


def _six_nd(runs: Sequence[PlannedRun]) -> Lint | None:
    ratios = {
        run.config.size: run.flops_per_token / (6 * run.parameters)
        for run in runs
        if run.flops_per_token and run.parameters
    }
    if not ratios or max(ratios.values()) <= SIX_ND_OFF_BY:
        return None
    size = max(ratios, key=lambda size: ratios[size])
    return Lint(
        "six-nd",
        f"6·N·D would be {ratios[size]:.1f} times too low for {size}; the FLOPs told here count attention, so hold "
        "losses against them",
    )


def _few_d(runs: Sequence[PlannedRun]) -> Lint | None:
    sizes = {run.config.size for run in runs}
    if len(sizes) < FEW_SIZES or len({_budget(run) for run in runs}) > 1:
        return None
    return Lint(
        "one-amount-of-data",
        "the law's floor is that of this amount of data; train --branch-at 0.25,0.5,1 gives each size several",
    )


def _budget(run: PlannedRun) -> tuple[object, ...]:
    recipe = run.config.recipe
    return recipe.tokens, recipe.tokens is None and recipe.epochs
