"""A report of a study that still trains: its curves are drawn and told from the others, and no law rests on them."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from report_page import Page
from study_folders import ARCHITECTURES, Study

from scaling_lab.files import locked
from scaling_lab.history.runs import read_runs
from scaling_lab.report.curves import loss_by_tokens_figure
from scaling_lab.report.figures import study_figures
from scaling_lab.report.study_page import render_report
from scaling_lab.studies.analysis import StudyAnalysis, analyse

COMPLETE = ("tiny", "small", "medium", "large")


@pytest.fixture
def growing(tmp_path: Path) -> StudyAnalysis:
    """Four complete sizes, and the fifth as its process trains it."""
    study = Study(tmp_path / "runs", noise=0.002).write(sizes=COMPLETE)
    with locked(study.write_unfinished("xl", 24, state="running") / ".lock"):
        return study.analysis()


def dashes(figure: Any) -> dict[str, set[str]]:
    return {
        trace.name: {line.line.dash for line in figure.data if line.name == trace.name}
        for trace in figure.data
        if trace.x[0] is not None
    }


def test_a_run_on_its_way_is_dashed_and_the_others_are_not(growing: StudyAnalysis) -> None:
    (run,) = growing.unfinished
    figure = study_figures(growing)["loss-by-tokens"]
    assert dashes(figure) == {f"mini-{size}-seed0": {"solid"} for size in COMPLETE} | {run.name: {"dash"}}
    assert "Not at the end so far: 1 run. Such curves are dashed" in Page(render_report(growing)).text


def test_the_table_says_how_far_it_is_and_how_long_it_will_take(growing: StudyAnalysis) -> None:
    (row,) = Page(render_report(growing)).tables["unfinished"]
    (run,) = growing.unfinished
    assert {key: row[key][0] for key in ("name", "size", "state", "step", "steps")} == {
        "name": "mini-xl-seed0",
        "size": "xl",
        "state": "running",
        "step": "24",
        "steps": "60",
    }
    assert float(row["train_loss"][1]) == run.training["train/loss"][-1]
    assert float(row["tokens_per_second"][1]) == run.training["perf/tokens_per_second"][-1]
    assert float(row["seconds_left"][1]) == pytest.approx(36 * 4096 * ARCHITECTURES["xl"][-1] / 2e9)


def test_no_law_rests_on_it(growing: StudyAnalysis, tmp_path: Path) -> None:
    without = Study(tmp_path / "without", noise=0.002).write(sizes=COMPLETE).analysis()
    assert [run.size for run in growing.runs] == list(COMPLETE)
    assert growing.sentence == without.sentence
    (left,) = growing.left_out
    assert left.reason == "running, not complete: it is at step 24 of 60"


def test_the_envelope_of_losses_does_not_reach_it(growing: StudyAnalysis) -> None:
    (run,) = growing.unfinished
    figure: Any = study_figures(growing)["loss-by-flops"]
    (envelope,) = [trace for trace in figure.data if trace.name == "envelope"]
    bought = {loss for complete in growing.runs for loss in complete.evaluations["val/loss"]}
    assert set(envelope.y) <= bought
    assert set(run.evaluations["val/loss"]) - bought


def test_before_any_run_is_complete_there_are_curves_all_the_same(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs")
    with ExitStack() as trainers:
        for size in ("tiny", "xl"):
            trainers.enter_context(locked(study.write_unfinished(size, 12, state="running") / ".lock"))
        analysis = study.analysis()
    page = Page(render_report(analysis))
    assert "loss-by-tokens" in page.figures
    assert "scaling-total" not in page.figures
    assert [row["size"][0] for row in page.tables["unfinished"]] == ["tiny", "xl"]
    assert page.text.split("Scaling study: ")[1].startswith("mini ladder on music21-core")


def test_a_stopped_run_is_drawn_and_nobody_says_when_it_ends(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write(sizes=COMPLETE)
    study.write_unfinished("xl", 30, state="stopped")
    (row,) = Page(render_report(study.analysis())).tables["unfinished"]
    assert row["state"][0] == "stopped"
    assert row["seconds_left"] == ("–", "")


def test_a_run_whose_process_was_killed_is_crashed_and_is_waited_for_no_more(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write(sizes=COMPLETE)
    study.write_unfinished("xl", 30, state="running")
    analysis = study.analysis()
    assert analysis.unfinished == ()
    assert analysis.left_out[0].reason.startswith("crashed, not complete: it was not heard of again after step 30")


def test_a_run_of_another_study_or_one_that_was_trained_since_is_not_drawn(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write(sizes=COMPLETE)
    study.write_unfinished("xl", 30, state="stopped", identity={"data.fingerprint": "another"})
    again = Study(tmp_path / "runs" / "again")
    again.write_unfinished("tiny", 30, state="stopped")
    assert study.analysis().unfinished == ()


def test_runs_that_a_study_names_and_has_not_begun_are_said_to_be(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write(sizes=("tiny",))
    (study.folder / "mini-xl-seed0").mkdir()
    folder = study.folder / "scaling_study"
    folder.mkdir()
    names = '["../mini-tiny-seed0", "../mini-small-seed0", "../mini-xl-seed0"]'
    (folder / "scaling_study_results.json").write_text(f'{{"folders": {names}}}')
    (study.folder / "mini-xl-seed0" / "last_error.json").write_text('{"exit_code": 1, "message": "the disk is full"}')
    analysis = analyse(*read_runs(folder))
    assert {one.name: one.reason for one in analysis.left_out} == {
        "mini-small-seed0": "has not begun",
        "mini-xl-seed0": "ended before its first step: the disk is full",
    }
    assert len(analysis.runs) == 1


def test_hostile_name_of_a_run_on_its_way_is_inert(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write(sizes=COMPLETE)
    name = "<img src=x onerror=alert(1)>\u202e"
    study.write_unfinished("xl", 30, state="stopped", name=name)
    analysis = study.analysis()
    page = Page(render_report(analysis))
    assert not [tag for tag, attributes in page.elements if tag == "img" or "onerror" in attributes]
    assert page.tables["unfinished"][0]["name"][0] == "<img src=x onerror=alert(1)>\\u202e"
    figure: Any = loss_by_tokens_figure(analysis.unfinished)
    assert "<img" not in figure.to_json()
