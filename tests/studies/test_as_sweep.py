"""What a study's sweep says of its runs: enough for any agent on the machine, and nothing twice."""

import json
from pathlib import Path

import pytest
from corpora import write_corpus

from scaling_lab.config import SIZES, RunConfig, load_config
from scaling_lab.data.dataset import open_dataset
from scaling_lab.studies.as_sweep import sweep_content, write_config
from scaling_lab.studies.plan import StudyPlan, plan_study

OVERRIDES = (
    "recipe.batch_size_tokens=512",
    "data.sequence_length=64",
    "data.dir=music",
    "machine.threads=1",
    "name={size}-{seed}",
)


@pytest.mark.parametrize(
    ("sizes", "more"), [(SIZES, ()), (("tiny",), ()), (("tiny", "xl"), ("model.d_ff=64", "recipe.tokens=4096"))]
)
def test_size_and_seed_give_each_run_again(sizes: tuple[str, ...], more: tuple[str, ...], folder: Path) -> None:
    plan = plan_of(sizes, more)
    write_config(plan)
    found = [
        load_config(plan.folder / "config.yaml", overrides=[f"size={config.size}", f"seed={config.seed}"], environ={})
        for config in plan.configs
    ]
    assert [untracked(config) for config in found] == [untracked(config) for config in plan.configs]
    # An agent tells its trial by the environment which server to use.
    assert {config.tracking.mode for config in found} == {"online"}


def test_the_sweep_is_a_flat_grid_the_longest_runs_first(folder: Path) -> None:
    content = sweep_content(plan_of(SIZES, ()))
    assert content["method"] == "grid"
    assert content["parameters"] == {"size": {"values": [*reversed(SIZES)]}, "seed": {"values": [0, 1]}}
    assert content["command"][-2:] == ["--config=outputs/scaling_study/config.yaml", "${args_no_boolean_flags}"]
    assert json.loads(json.dumps(content)) == content


def plan_of(sizes: tuple[str, ...], more: tuple[str, ...]) -> StudyPlan:
    write_corpus(Path("music"))
    configs = [
        load_config(size=size, ladder="mini", overrides=[*OVERRIDES, *more, f"seed={seed}"], environ={})
        for size in sizes
        for seed in (0, 1)
    ]
    return plan_study(Path("outputs/scaling_study"), configs, open_dataset(Path("music")), jobs=2)


def untracked(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"tracking": None})
