"""The plan of a ladder: what each run costs here, by a rehearsal, or on a card that is assumed."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scaling_lab.config.schema import RunConfig
from scaling_lab.data.dataset import Dataset
from scaling_lab.planning.hardware import Card, assumed_mfu
from scaling_lab.planning.rehearsal import rehearse
from scaling_lab.studies.lints import Lint, PlannedRun, lint
from scaling_lab.training.plan import RunPlan, plan_run


@dataclass(frozen=True)
class RunCost:
    """One run of the plan: seconds from its start to its end, bytes at the peak, and how these are known."""

    name: str
    plan: RunPlan
    seconds: float
    memory_bytes: int
    basis: str

    def to_dict(self, price_per_hour: float | None) -> dict[str, Any]:
        """As `--json` prints it."""
        price = {} if price_per_hour is None else {"price": self.seconds / 3600 * price_per_hour}
        plan = asdict(self.plan) | {"memory_bytes": self.memory_bytes}
        return {"name": self.name, **plan, "seconds": self.seconds, **price, "basis": self.basis}


def plan_here(
    configs: Sequence[RunConfig], dataset: Dataset, seconds_a_run: float, watch: Callable[[str], None]
) -> list[RunCost]:
    """Try each run on this machine; `watch` hears its name before it is tried. Raises ScalingLabError."""
    costs = []
    for config in configs:
        watch(config.run_name)
        tried, plan = rehearse(config, seconds_a_run), plan_run(config, dataset)
        evaluations = len(plan.evaluation_steps) * tried.evaluation_seconds
        seconds = tried.starting_seconds + plan.n_steps * tried.step_seconds + evaluations
        costs.append(RunCost(config.run_name, plan, seconds, tried.peak_bytes, f"measured on {tried.processor}"))
    return costs


def plan_on(card: Card, configs: Sequence[RunConfig], dataset: Dataset) -> list[RunCost]:
    """What each run would take on a card, by the utilisation assumed for its width.

    To evaluate a token is a third of the work of training on it: forward alone.
    """
    costs = []
    for config in configs:
        plan, mfu = plan_run(config, dataset), assumed_mfu(config.model)
        evaluations = len(plan.evaluation_steps) * dataset.val.n_tokens * plan.flops_per_token / 3
        seconds = (plan.total_flops + evaluations) / (mfu * card.peak_flops_per_second)
        basis = f"assumed: {mfu:.0%} of {card.peak_flops_per_second / 1e12:,.0f} TFLOP/s"
        costs.append(RunCost(config.run_name, plan, seconds, plan.memory_bytes, basis))
    return costs


def lints_of(configs: Sequence[RunConfig], costs: Sequence[RunCost]) -> list[Lint]:
    """What should be thought over before this is trained."""
    return lint([planned_run(config, cost.plan) for config, cost in zip(configs, costs, strict=True)])


def planned_run(config: RunConfig, plan: RunPlan) -> PlannedRun:
    """What a lint looks at."""
    return PlannedRun(config, plan.n_steps, plan.epochs, plan.parameters.total, plan.flops_per_token)
