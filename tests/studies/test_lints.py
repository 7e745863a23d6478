"""Each lint is said of the plan that has its fault, and of no other."""

from collections.abc import Sequence
from typing import Any

import pytest

from scaling_lab.config import SIZES, load_config
from scaling_lab.studies.lints import PlannedRun, lint


def runs(sizes: Sequence[str] = SIZES, seeds: Sequence[int] = (0, 1, 2), **known: Any) -> list[PlannedRun]:
    """A plan without fault, unless told otherwise: five sizes, three seeds, two learning rates, two budgets."""
    return [
        planned(size, seed, f"recipe.learning_rate={rate}", *budget, **known)
        for size in sizes
        for seed in seeds
        for rate in RATES
        for budget in ((), ("recipe.tokens=80000",))
    ]


def planned(
    size: str,
    seed: int,
    *overrides: str,
    n_steps: int = 200,
    epochs: float = 1.0,
    flops_of_six_nd: float = 1.2,
    parameters: int = 10**6,
) -> PlannedRun:
    config = load_config(size=size, ladder="mini", overrides=[f"seed={seed}", *overrides], environ={})
    return PlannedRun(config, n_steps, epochs, parameters, flops_of_six_nd * 6 * parameters)


RATES = (1e-3, 2e-3)


def test_a_plan_without_fault_has_none() -> None:
    assert lint(runs()) == []


@pytest.mark.parametrize(
    ("plan", "name", "words"),
    [
        (runs(sizes=("tiny", "small", "medium")), "few-sizes", "3 sizes give no law"),
        (runs(sizes=("tiny",)), "few-sizes", "1 size gives no law"),
        (runs(seeds=(0,)), "few-seeds", "noise is not measured"),
        (runs(n_steps=20), "few-steps", "20 steps are few"),
        (runs(epochs=6.5), "epochs", "6.5 passes over the data"),
        ([run for run in runs() if run.config.recipe.learning_rate == 1e-3], "one-learning-rate", "away from theirs"),
        ([*runs(), planned("xl", 0, "recipe.tokens=8192")], "horizon", "only equal ones share a curve"),
        ([*runs(), planned("xl", 0, "recipe.weight_decay=0.1")], "unequal", "recipe.weight_decay is 0.01 and 0.1"),
        (runs(parameters=1000), "warmup-too-long", "more than its 1K parameters"),
        (runs(flops_of_six_nd=4.3), "six-nd", "6·N·D would be 4.3 times too low"),
        ([run for run in runs() if run.config.recipe.tokens is None], "one-amount-of-data", "this amount of data"),
    ],
)
def test_what_a_plan_lacks_is_said(plan: list[PlannedRun], name: str, words: str) -> None:
    assert [(found.name, words in found.text) for found in lint(plan)] == [(name, True)]


def test_several_budgets_that_every_size_has_are_no_fault() -> None:
    twice = [planned(size, seed, "recipe.tokens=8192") for size in SIZES for seed in (0, 1, 2)]
    assert lint([*runs(), *twice]) == []


def test_without_data_at_hand_passes_are_known_where_they_were_asked_for() -> None:
    config = load_config(size="tiny", ladder="mini", overrides=["recipe.epochs=8"], environ={})
    assert "epochs" in [found.name for found in lint([PlannedRun(config)])]
