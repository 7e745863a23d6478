"""Schedules, and runs of several lengths from one trunk."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_in_process import CommandLine

from scaling_lab.config import RunConfig
from scaling_lab.config.schema import RecipeConfig
from scaling_lab.errors import UsageError
from scaling_lab.history.runs import RunRecord, read_run
from scaling_lab.tracking import metrics
from scaling_lab.training.branches import read_fractions
from scaling_lab.training.checkpoint import load_newest_checkpoint
from scaling_lab.training.loop import train
from scaling_lab.training.schedule import learning_rate_at

MakeConfig = Callable[..., RunConfig]

COMMAND = (
    *("train", "--ladder", "mini", "--size", "tiny", "--name", "mine", "--data-dir", "music", "--tracking", "disabled"),
    *("--batch-size-tokens", "256", "--tokens", str(256 * 40), "--threads", "1", "--precision", "fp32"),
    *("-o", "data.sequence_length=64", "-o", "model.d_model=16", "-o", "model.d_ff=32", "-o", "recipe.evaluations=3"),
)


def rates(schedule: str, n_steps: int = 100, **more: float) -> list[float]:
    recipe = RecipeConfig.model_validate(
        {"batch_size_tokens": 8, "learning_rate": 1.0, "warmup_fraction": 0.1, "schedule": schedule, **more}
    )
    return [learning_rate_at(step, n_steps, recipe) for step in range(n_steps)]


@pytest.mark.parametrize("schedule", ["cosine", "wsd", "constant"])
def test_every_schedule_rises_in_a_line_to_its_peak(schedule: str) -> None:
    assert rates(schedule)[:11] == pytest.approx([*(step / 10 for step in range(1, 11)), 1.0])


def test_cosine_falls_over_all_the_rest_and_constant_stays() -> None:
    falling = rates("cosine", final_learning_rate_fraction=0.1)[10:]
    assert np.all(np.diff(falling) < 0)
    assert falling[45] == pytest.approx(0.55)
    assert falling[-1] == pytest.approx(0.1, abs=0.001)
    assert set(rates("constant")[10:]) == {1.0}


def test_wsd_stays_and_falls_by_a_root_at_the_end() -> None:
    whole = rates("wsd", decay_fraction=0.2, final_learning_rate_fraction=0.1)
    assert set(whole[10:81]) == {1.0}
    assert whole[80:] == pytest.approx([0.1 + 0.9 * (1 - (step / 20) ** 0.5) for step in range(20)])
    assert rates("wsd", warmup_fraction=0.0, decay_fraction=1.0)[0] == 1.0


def test_a_decay_that_begins_within_the_warmup_is_refused() -> None:
    with pytest.raises(ValueError, match="more than the whole run"):
        rates("wsd", warmup_fraction=0.5, decay_fraction=0.6)


@pytest.mark.parametrize("text", ["", "0.5,", "0,1", "0.5,1.5", "half", "nan", "-0.5"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="are not shares of the run"):
        read_fractions(text)


def test_shares_may_come_in_any_order() -> None:
    assert read_fractions("1, 0.25,0.5,0.5") == [0.25, 0.5, 1.0]


def untimed(record: RunRecord) -> dict[str, list[float]]:
    return {name: column.tolist() for name, column in record.training.items() if name not in metrics.TIMED_METRICS}


def test_each_branch_is_to_the_last_bit_the_run_that_would_have_been_trained_alone(
    small_run: MakeConfig, scaling_lab: CommandLine
) -> None:
    small_run()  # its music
    ended = scaling_lab(*COMMAND, "--branch-at", "0.3,0.5,1")
    assert ended.code == 0, ended.err
    assert [line.partition(":")[0] for line in ended.out.splitlines()] == ["mine-at0.3", "mine-at0.5", "mine-at1"]
    for share, n_steps, warmup_steps in (("0.3", 12, 4), ("0.5", 20, 4), ("1", 40, 4)):
        alone = scaling_lab(
            *COMMAND,
            *("--name", f"alone{share}", "--tokens", str(256 * n_steps), "-o", "recipe.schedule=wsd"),
            *("-o", f"recipe.warmup_fraction={warmup_steps / n_steps}"),
        )
        assert alone.code == 0, alone.err
        branch, whole = (read_run(Path("outputs") / name) for name in (f"mine-at{share}", f"alone{share}"))
        assert branch.state == "complete"
        assert untimed(branch) == untimed(whole)
        assert branch.evaluations[metrics.VAL_LOSS][-1] == whole.evaluations[metrics.VAL_LOSS][-1]
    # The longest took its beginning from the second: it never evaluated there.
    assert read_run(Path("outputs/mine-at1")).evaluations[metrics.TRAIN_STEP].tolist() == [27, 40]
    trunk = load_newest_checkpoint(Path("outputs/mine-at0.5/trunk"))
    assert trunk is not None
    assert trunk["progress"]["step"] == 16


def test_what_is_printed_of_branches_as_json_is_one_list(small_run: MakeConfig, scaling_lab: CommandLine) -> None:
    small_run()
    plans = json.loads(scaling_lab(*COMMAND, "--branch-at", "0.5,1", "--dry-run", "--json").out)
    assert [plan["n_steps"] for plan in plans] == [20, 40]
    results = json.loads(scaling_lab(*COMMAND, "--branch-at", "0.5,1", "--json").out)
    assert [run["steps"] for run in results] == [20, 40]
    assert json.loads(scaling_lab(*COMMAND, "--dry-run", "--json").out)["n_steps"] == 40


def test_branches_begun_before_are_gone_on_with(small_run: MakeConfig, scaling_lab: CommandLine) -> None:
    small_run()
    assert scaling_lab(*COMMAND, "--branch-at", "0.5").code == 0
    before = Path("outputs/mine-at0.5/metrics.jsonl").read_bytes()
    assert scaling_lab(*COMMAND, "--branch-at", "0.5,1").code == 0
    assert Path("outputs/mine-at0.5/metrics.jsonl").read_bytes() == before
    assert read_run(Path("outputs/mine-at1")).evaluations[metrics.TRAIN_STEP].tolist() == [27, 40]


def test_a_branch_shorter_than_the_warmup_is_refused_before_anything_is_trained(
    small_run: MakeConfig, scaling_lab: CommandLine
) -> None:
    small_run()
    ended = scaling_lab(*COMMAND, "--branch-at", "0.1,1")
    assert ended.code == 2
    assert "--branch-at: 0.1 of 40 steps are 4, and the warmup alone takes 4" in ended.err
    assert not Path("outputs").exists()


def test_a_run_of_a_version_without_schedules_goes_on(small_run: MakeConfig) -> None:
    record = train(small_run())
    results = record.folder / "training_results.json"
    text = results.read_text(encoding="utf-8")
    for line in ('"recipe.schedule": "cosine",', '"recipe.decay_fraction": 0.2,'):
        assert line in text
        text = text.replace(line, "")
    results.write_text(text, encoding="utf-8")
    assert train(small_run()).state == "complete"
    with pytest.raises(UsageError, match="schedule was 'cosine' and is now 'wsd'"):
        train(small_run(**{"recipe.schedule": "wsd"}))
