"""Which runs share a curve, and which are left out with what reason."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_page import Page
from study_folders import Study

from scaling_lab.history.runs import RunRecord, read_runs
from scaling_lab.report import build_report
from scaling_lab.studies.analysis import analyse, study_results
from scaling_lab.tracking.results import write_json

N = {"tiny": 15_000, "small": 60_000, "medium": 150_000, "large": 450_000, "xl": 1_200_000}


def record(size: str, seed: int = 0, *, logged: list[int] | None = None, **results: Any) -> RunRecord:
    """A complete run on the curve 30·N^-0.4 + 1, but for what is given; `logged` are the steps that it has rows of."""
    content = {
        "name": f"{size}-{seed}",
        "size": size,
        "ladder": "mini",
        "seed": seed,
        "state": "complete",
        "parameters": dict.fromkeys(("total", "non_embedding", "matmul"), N[size]),
        "identity": {"recipe.learning_rate": 3e-3, "size": size, "seed": seed, "model.d_model": N[size]},
        "final_val_loss": 30 * N[size] ** -0.4 + 1,
        "updated_at": "2026-01-01",
        **results,
    }
    columns = {} if logged is None else {"train/step": np.array(logged, dtype=np.float64)}
    return RunRecord(Path(content["name"]), content, columns, {})


LADDER = [record(size) for size in N]


def reasons(analysis: Any) -> dict[str, str]:
    return {run.name: run.reason for run in analysis.left_out}


def test_five_sizes_on_a_curve_give_its_exponent_under_every_count() -> None:
    analysis = analyse(LADDER)
    assert analysis.law.alpha.value == pytest.approx(0.4, rel=1e-4)
    assert set(analysis.laws) == {"total", "non_embedding", "matmul"}
    assert analysis.flips() is None


def with_flops(falling_as: float = 0.0) -> list[RunRecord]:
    """The ladder, each with what it spent: attention in it, more of that of a smaller model."""
    flops = {size: 6e6 * n * (n / N["xl"]) ** -falling_as for size, n in N.items()}
    return [record(size, tokens=10**6, total_flops=flops[size]) for size in N]


def test_losses_are_held_against_two_counts_of_flops_too() -> None:
    analysis = analyse(with_flops())
    for count in ("flops", "six_nd"):
        assert analysis.laws[count].alpha.value == pytest.approx(0.4, rel=1e-4)
        assert "L(C)" in analysis.laws[count].sentence()
    assert analysis.flips() is None
    assert analysis.other_exponents() is None


def test_an_exponent_that_depends_on_the_count_is_told() -> None:
    analysis = analyse(with_flops(falling_as=0.2))
    told = analysis.other_exponents()
    assert told is not None
    assert told in analysis.conclusion
    assert "0.50 under FLOPs, outside the interval under total" in told
    assert study_results(analysis)["other_exponents"] == told


@pytest.mark.parametrize("wrong", [-1.0, 0, float("nan"), float("inf"), 1e99])
def test_without_the_flops_of_one_run_there_is_no_law_in_flops(wrong: float) -> None:
    analysis = analyse([*with_flops()[:-1], record("xl", tokens=10**6, total_flops=wrong)])
    assert set(analysis.laws) == {"total", "non_embedding", "matmul", "six_nd"}
    assert isinstance(analysis.next_runs, tuple)


def test_whole_numbers_of_any_length_are_numbers(tmp_path: Path) -> None:
    study = Study(tmp_path).write(sizes=("tiny",))
    study.write_run("xl", parameters=dict.fromkeys(("total", "non_embedding", "matmul"), 10**30))
    study.write_run("large", final_val_loss=10**30)
    analysis = study.analysis()
    build_report(analysis, tmp_path / "report.html")
    assert isinstance(analysis.next_runs, tuple)
    assert len(analysis.runs) == 3


def test_a_study_is_linted_from_what_was_trained(tmp_path: Path) -> None:
    analysis = Study(tmp_path).write().analysis()
    assert [found.name for found in analysis.lints] == [
        "few-steps",
        "few-seeds",
        "one-learning-rate",
        "one-amount-of-data",
    ]
    assert study_results(analysis)["lints"][0]["name"] == "few-steps"
    assert not analyse(LADDER).lints  # of runs whose config isn't known nothing is said


def test_the_order_of_the_runs_does_not_matter() -> None:
    assert study_results(analyse(LADDER[::-1])) == study_results(analyse(LADDER))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "diverged"}, "diverged, not complete"),
        ({"state": "running", "logged": [1, 2], "steps": 9}, "running, not complete: it is at step 2 of 9"),
        ({"state": "crashed", "logged": [1, 2], "steps": 9}, "it was not heard of again after step 2 of 9"),
        ({"logged": [1, 2, 3], "steps": 9, "tokens": 900}, "short of its tokens: 3 of 9 steps, 300 of 900 tokens"),
        ({"logged": [1, 2, 5, 6, 8, 9], "steps": 9}, "gaps in its history: it lacks steps 3 to 4 and 7 (3 in all)"),
        ({"final_val_loss": None}, "no finite validation loss"),
        ({"final_val_loss": float("nan")}, "no finite validation loss"),
        ({"final_val_loss": True}, "no finite validation loss"),
        ({"final_val_loss": 0}, "its validation loss is 0, which no run has"),
        ({"final_val_loss": -2.5}, "its validation loss is -2.5, which no run has"),
        ({"final_val_loss": 1e99}, "its validation loss is 1e+99, which no run has"),
        (
            {"parameters": {"total": 9, "non_embedding": 0, "matmul": 9}},
            "its non_embedding parameters are 0, which no run has",
        ),
        ({"parameters": {"total": -9, "non_embedding": 9, "matmul": 9}}, "its total parameters are -9, which no run"),
        ({"identity": {"recipe.learning_rate": 1e-3}}, "another study: recipe.learning_rate is 0.001, not 0.003"),
        ({"identity": {"recipe.learning_rate": 3e-3, "data.fingerprint": "b"}}, "data.fingerprint is b, not absent"),
        ({"updated_at": "2025-01-01"}, "a newer run has the same N and seed"),
    ],
)
def test_what_is_no_point_of_the_curve_is_left_out_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    analysis = analyse([*LADDER, record("xl", name="odd", **changes)])
    assert reason in reasons(analysis)["odd"]
    assert len(analysis.runs) == 5


def test_a_run_last_evaluated_before_its_end_is_left_out() -> None:
    early = record("xl", logged=[1, 2, 3], steps=3, name="odd")
    early = dataclasses.replace(early, evaluations={"train/step": np.array([2.0])})
    assert reasons(analyse([*LADDER, early]))["odd"] == "was last evaluated at step 2 of 3"


def test_of_two_runs_of_one_point_the_newest_counts_and_the_other_is_named_with_its_place() -> None:
    older = record("xl", updated_at="2025-01-01", wandb_id="aaaa")
    newer = record("xl", updated_at="2026-02-02", wandb_id="bbbb")
    analysis = analyse([newer, *LADDER[:-1], older])
    assert analysis.runs[-1] is newer
    (left,) = analysis.left_out
    assert (left.size, left.seed, left.reason) == ("xl", 0, "a newer run has the same N and seed: bbbb")


def test_a_size_of_ones_own_is_a_point_beside_the_one_whose_name_it_has(tmp_path: Path) -> None:
    study = Study(tmp_path).write(seeds=2)
    nano = {"non_embedding": 2_000, "total": 5_000, "matmul": 3_000}
    newer = {"parameters": nano, "updated_at": "2026-02-02", "final_val_loss": study.loss(5_000)}
    study.write_run("tiny", 2, name="mini-nano-seed2", **newer)
    analysis = study.analysis()
    assert not analysis.left_out
    assert [(run.name, run.size) for run in analysis.runs[:2]] == [
        ("mini-nano-seed2", "tiny"),
        ("mini-tiny-seed0", "tiny"),
    ]
    assert analysis.law.sizes.n_sizes == 6
    assert analysis.law.alpha.value == pytest.approx(0.45, rel=1e-3)
    page = Page(build_report(analysis, tmp_path / "report.html").read_text())
    left_out = [row["size"][0] for row in page.tables["jackknife"]]
    assert left_out == ["tiny (5K)", "tiny (15K)", "small", "medium", "large", "xl"]


def test_a_size_of_ones_own_that_trains_is_shown_beside_the_complete_one(tmp_path: Path) -> None:
    study = Study(tmp_path).write()
    nano = {"non_embedding": 2_000, "total": 5_000, "matmul": 3_000}
    (tmp_path / "mini-tiny-seed0").rename(tmp_path / "real")
    study.write_unfinished("tiny", 20, parameters=nano, state="stopped", name="nano")
    assert [run.name for run in study.analysis().unfinished] == ["nano"]


def test_a_size_that_no_ladder_has_is_left_out() -> None:
    odd = dataclasses.replace(LADDER[0], results={**LADDER[0].results, "name": "odd", "size": "giant"})
    assert "none of the ladder's" in reasons(analyse([*LADDER, odd]))["odd"]


def test_no_run_at_all_gives_an_honest_nothing() -> None:
    analysis = analyse([])
    assert analysis.law.verdict == "not identified"
    assert study_results(analysis)["runs"] == []


def test_a_folder_with_damaged_runs_is_read_and_says_so(tmp_path: Path) -> None:
    write_folder(tmp_path / "good", LADDER[0].results)
    write_folder(tmp_path / "lacking", {"name": "lacking"})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "training_results.json").write_text("{")
    records, left_out = read_runs(tmp_path)
    assert [run.name for run in records] == ["tiny-0"]
    assert "not JSON" in next(run.reason for run in left_out if run.name == "broken")
    assert "lacks" in next(run.reason for run in left_out if run.name == "lacking")


def write_folder(folder: Path, results: dict[str, Any]) -> None:
    folder.mkdir()
    write_json(folder / "training_results.json", results)


def test_next_runs_cost_what_the_runs_of_the_study_did(tmp_path: Path) -> None:
    analysis = Study(tmp_path, noise=0.002).write(seeds=2).analysis()
    found = analysis.next_runs
    assert found
    for runs in found:
        flops = [6.4 * n * 60 * 4096 for n in runs.n]  # as the folders say
        assert runs.cost == pytest.approx(sum(flops), rel=1e-6)
    assert [runs["text"] for runs in study_results(analysis)["next_runs"]] == [runs.text for runs in found]
