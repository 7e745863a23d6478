"""What should be thought over before a plan is trained: it can be run, and would say less than it costs.

`scaling-lab sweep create` and `scaling-lab study --dry-run` print these; none of them stops anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scaling_lab.config.schema import RunConfig

FEW_STEPS = 100
FEW_SIZES = 4
MANY_EPOCHS = 4


@dataclass(frozen=True)
class PlannedRun:
    """A run as far as it is known: without data at hand, steps and passes are not."""

    config: RunConfig
    n_steps: int | None = None
    epochs: float | None = None


@dataclass(frozen=True)
class Lint:
    """One thing to think over: its name, and a sentence with the way out."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def lint(runs: Sequence[PlannedRun]) -> list[Lint]:
    """Everything there is to say of a plan, the gravest first."""
    found = (_few_sizes(runs), _horizon(runs), _few_steps(runs), _epochs(runs), _few_seeds(runs), _one_rate(runs))
    return [lint for lint in found if lint is not None]


def _few_sizes(runs: Sequence[PlannedRun]) -> Lint | None:
    sizes = {run.config.size for run in runs}
    if len(sizes) >= FEW_SIZES:
        return None
    count = "1 size gives" if len(sizes) == 1 else f"{len(sizes)} sizes give"
    return Lint("few-sizes", f"{count} no law of three parameters; {FEW_SIZES} are the least, five are the ladder")


def _horizon(runs: Sequence[PlannedRun]) -> Lint | None:
    budgets: dict[tuple[object, ...], set[str]] = {}
    for run in runs:
        recipe = run.config.recipe
        budgets.setdefault((recipe.tokens, recipe.tokens is None and recipe.epochs), set()).add(run.config.size)
    every = set().union(*budgets.values())
    if all(sizes == every for sizes in budgets.values()):
        return None
    return Lint("horizon", "sizes are trained on different numbers of tokens, and only equal ones share a curve")


def _few_steps(runs: Sequence[PlannedRun]) -> Lint | None:
    few = [run.n_steps for run in runs if run.n_steps is not None and run.n_steps < FEW_STEPS]
    if not few:
        return None
    steps = "1 step is" if few == [1] else f"{min(few)} steps are"
    return Lint("few-steps", f"{steps} few to learn from; a smaller batch_size_tokens gives more")


def _epochs(runs: Sequence[PlannedRun]) -> Lint | None:
    most = max((run.epochs or run.config.recipe.epochs * (run.config.recipe.tokens is None) for run in runs), default=0)
    if most <= MANY_EPOCHS:
        return None
    return Lint("epochs", f"{most:.1f} passes over the data: above {MANY_EPOCHS}, more tokens are not more music")


def _few_seeds(runs: Sequence[PlannedRun]) -> Lint | None:
    if len({run.config.seed for run in runs}) > 1:
        return None
    return Lint("few-seeds", "with one seed a size, noise is not measured and intervals are wide; three show it")


def _one_rate(runs: Sequence[PlannedRun]) -> Lint | None:
    sizes = {run.config.size for run in runs}
    if len(sizes) < FEW_SIZES or len({run.config.recipe.learning_rate for run in runs}) > 1:
        return None
    return Lint(
        "one-learning-rate",
        "the best rate falls with size, and a law of runs off their best is bent; sweeps/learning-rate.yaml finds it",
    )
