"""`scaling-lab tune`: the best learning rate of each size, its law, or what is lacking."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cli_in_process import CommandLine
from study_folders import ARCHITECTURES, Study

RATES = (7.5e-4, 1.5e-3, 3e-3, 6e-3, 1.2e-2, 2.4e-2)


def best(n: float) -> float:
    """The law that the runs are made by."""
    return 0.06 * n**-0.3


def write_runs(
    folder: Path, sizes: Sequence[str] = ("tiny", "small", "medium"), rates: Sequence[float] = RATES
) -> None:
    """A run for each size and rate, its loss a parabola in the logarithm of the rate."""
    for size in sizes:
        for rate in rates:
            n = ARCHITECTURES[size][-1]
            loss = 2.0 + 0.05 * math.log(rate / best(n)) ** 2
            write_run(folder / f"{size}-{rate:g}", size, rate, loss)


def write_run(folder: Path, size: str, rate: float, loss: float, **changes: Any) -> None:
    study = Study(folder, loss=lambda n: loss)
    identity = {"ladder": "mini", "size": size, "seed": 0, "data.fingerprint": "e46f4ac57c54"}
    study.write_run(size, identity=identity | {"recipe.learning_rate": rate}, **changes)


def test_the_law_that_made_the_runs_is_found(folder: Path, scaling_lab: CommandLine) -> None:
    write_runs(folder / "outputs")
    ended = scaling_lab("tune", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["law"]["exponent"] == pytest.approx(0.3)
    assert found["law"]["scale"] == pytest.approx(0.06)
    assert found["law"]["exponents_without_one"] == pytest.approx([0.3] * 3)
    assert [each["best"] for each in found["sizes"]] == pytest.approx([best(each["n"]) for each in found["sizes"]])
    assert found["rates"]["xl"] < found["rates"]["tiny"]


def test_a_person_is_told_the_law_and_each_sizes_rate(folder: Path, scaling_lab: CommandLine) -> None:
    write_runs(folder / "runs")
    lines = scaling_lab("tune", "--results-dir", "runs").out.splitlines()
    assert lines[0] == f"tiny (N = 15K): best near {best(15_008):.3g}"
    assert lines[3] == "Best learning rate = 0.06·N^-0.30 (with one size left out, the exponent is 0.30 to 0.30)."
    assert [line.split()[0] for line in lines[4:]] == ["tiny", "small", "medium", "large", "xl"]
    assert lines[8].endswith("beyond the sizes tried")


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        (RATES[:2], "2 of 3 rates that are the least"),
        (RATES[3:], "the lowest rate tried, 0.006, is the best: the true one may be lower; try 0.003"),
        (RATES[:3], "the highest rate tried, 0.003, is the best: the true one may be higher; try 0.006"),
    ],
)
def test_a_best_rate_at_an_end_is_none(
    folder: Path, scaling_lab: CommandLine, rates: Sequence[float], words: str
) -> None:
    write_runs(folder / "outputs", sizes=("small", "medium"))
    write_runs(folder / "outputs/more", sizes=("tiny",), rates=rates)
    found = scaling_lab("tune")
    assert found.code == 0
    if words.startswith("the lowest"):
        assert best(15_008) < 6e-3
    if words.startswith("the highest"):
        assert best(15_008) > 3e-3
    assert f"tiny (N = 15K): {words}" in found.out
    assert "No law of learning rates can be claimed: 2 of the 3 sizes" in found.out


def test_a_run_that_diverged_is_the_worst_of_its_size(folder: Path, scaling_lab: CommandLine) -> None:
    write_runs(folder / "outputs")
    write_run(folder / "outputs/hot", "tiny", 4.8e-2, math.nan, state="diverged", final_val_loss=None)
    write_run(folder / "outputs/half", "tiny", 3e-3, 1.0, state="stopped")
    ended = scaling_lab("tune", "--json")
    tiny = json.loads(ended.out)["sizes"][0]
    assert tiny["losses"][-1] is None
    assert tiny["rates"][-1] == 4.8e-2
    assert json.loads(ended.out)["law"]["exponent"] == pytest.approx(0.3)
    assert "stopped, not complete" in json.loads(ended.out)["left_out"][0]["reason"]


def test_runs_that_differ_in_more_are_left_out(folder: Path, scaling_lab: CommandLine) -> None:
    write_runs(folder / "outputs")
    identity = {"ladder": "mini", "size": "tiny", "seed": 0, "data.fingerprint": "other", "recipe.learning_rate": 3e-3}
    Study(folder / "outputs/else").write_run("tiny", identity=identity)
    assert scaling_lab("tune").out.endswith("Left out: 1 run; --json says why.\n")


def test_nothing_to_tune_by_is_told(folder: Path, scaling_lab: CommandLine) -> None:
    Study(folder / "outputs").write_run("tiny", state="stopped")
    ended = scaling_lab("tune")
    assert ended.code == 2
    assert "no run is complete; train some first: wandb sweep sweeps/learning-rate.yaml" in ended.err


def test_a_choice_among_a_projects_runs_wants_the_project(folder: Path, scaling_lab: CommandLine) -> None:
    write_runs(folder / "outputs")
    ended = scaling_lab("tune", "--sweep", "abc")
    assert ended.code == 2
    assert "--sweep: says which runs of a project; give --project too" in ended.err
