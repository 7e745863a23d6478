"""The figures: what is drawn, and above all what is not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_page import colours_of
from study_folders import ARCHITECTURES, Study

from scaling_lab.report import theme
from scaling_lab.report.curves import drawn_runs, gradient_norm_figure, loss_by_flops_figure, loss_by_tokens_figure
from scaling_lab.report.diagnostics import jackknife_figure, profile_figure, residuals_figure
from scaling_lab.report.figures import scaling_figure, size_names, study_figures
from scaling_lab.report.story import curves_drawn
from scaling_lab.studies.analysis import COUNTS, StudyAnalysis

LARGEST = ARCHITECTURES["xl"][-1]


def traces(figure: Any, name: str) -> list[Any]:
    return [trace for trace in figure.data if trace.name == name]


def text_of(figure: Any) -> str:
    return " ".join(annotation.text for annotation in figure.layout.annotations)


def test_identified_law_is_drawn_with_its_band_and_dashed_to_ten_times_the_largest(identified: StudyAnalysis) -> None:
    figure: Any = scaling_figure(identified)
    (law,), (beyond,) = traces(figure, "law"), traces(figure, "extrapolated")
    assert max(law.x) == pytest.approx(LARGEST)
    assert beyond.line.dash == "dash"
    assert (min(beyond.x), max(beyond.x)) == pytest.approx((LARGEST, 10 * LARGEST))
    np.testing.assert_array_equal(law.y, identified.law.curve(law.x))
    low, high = identified.law.band([10 * LARGEST])
    inside, outside = traces(figure, "95 % band")
    assert outside.y.max() >= high[0] > low[0] >= outside.y.min()
    assert inside.fillcolor != outside.fillcolor


def test_refused_law_is_a_dotted_description_that_ends_with_the_data(refused: StudyAnalysis) -> None:
    figure: Any = scaling_figure(refused)
    (line,) = [trace for trace in figure.data if trace.mode == "lines"]
    assert line.line.dash == "dot"
    assert max(line.x) == pytest.approx(LARGEST)
    assert 10 ** figure.layout.xaxis.range[1] < 2 * LARGEST
    assert not [trace for trace in figure.data if trace.fill]
    assert "Not identified" in text_of(figure)
    assert refused.law.reasons[0].name.replace("-", " ") in text_of(figure)


def test_verdict_that_flips_is_drawn_without_extrapolation(flipping: StudyAnalysis) -> None:
    assert flipping.law.verdict == "identified"
    figure: Any = scaling_figure(flipping)
    assert traces(figure, "law")
    assert not traces(figure, "extrapolated")
    assert max(max(trace.x) for trace in figure.data) == pytest.approx(LARGEST)
    assert "Not under every count" in text_of(figure)


@pytest.mark.parametrize("count", COUNTS)
def test_every_run_is_a_point_under_every_count(identified: StudyAnalysis, count: str) -> None:
    figure: Any = scaling_figure(identified, count)
    points = [point for trace in figure.data if trace.mode == "markers" for point in zip(trace.x, trace.y, strict=True)]
    assert points == [(run.parameters[count], run.results["final_val_loss"]) for run in identified.runs]


def test_size_has_one_colour_and_one_marker_in_every_figure(identified: StudyAnalysis) -> None:
    for name, figure in study_figures(identified).items():
        for size, style in theme.SIZE_STYLES.items():
            for trace in traces(figure, size):
                assert (trace.marker.color, trace.marker.symbol) == (style.colour, style.symbol), name
    styles = theme.SIZE_STYLES.values()
    assert len({style.colour for style in styles}) == len({style.symbol for style in styles}) == 5


def test_every_colour_of_a_figure_has_a_partner_for_a_dark_page(identified: StudyAnalysis) -> None:
    for figure in study_figures(identified).values():
        assert colours_of(figure.to_plotly_json()) <= set(theme.DARK)


def test_curves_show_train_and_validation_loss_of_every_run(identified: StudyAnalysis) -> None:
    figure: Any = loss_by_tokens_figure(identified.runs)
    for run in identified.runs:
        train, validation = traces(figure, run.name)
        np.testing.assert_array_equal(train.y, run.training["train/loss"])
        np.testing.assert_array_equal(validation.y, run.evaluations["val/loss"])
        assert "markers" in validation.mode
        assert train.legendgroup == run.size
    assert loss_by_flops_figure(identified.runs).layout.xaxis.type == "log"


def test_rows_that_are_not_finite_are_left_out_of_a_curve(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs")
    rows = [
        {"train/step": step, "train/tokens": 10 * step, "train/loss": 3.0, "train/grad_norm": 1.0} for step in (1, 2, 3)
    ]
    rows[1]["train/grad_norm"] = float("nan")
    study.write_run("tiny", journal=rows, steps=3)
    figure: Any = gradient_norm_figure(study.analysis().runs)
    assert list(figure.data[0].x) == [10, 30]


def test_metric_that_no_run_logged_is_said_to_be_missing(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs")
    study.write_run("tiny", journal=[])
    analysis = study.analysis()
    assert "No run logged this." in text_of(loss_by_tokens_figure(analysis.runs))
    figure: Any = scaling_figure(analysis)
    assert figure.data[0].x == (ARCHITECTURES["tiny"][-1],)


def test_no_run_has_no_figure_but_says_so_when_asked(no_run: StudyAnalysis) -> None:
    assert study_figures(no_run) == {}
    assert "No complete run" in text_of(scaling_figure(no_run))


def test_one_run_is_a_point_without_a_line(one_run: StudyAnalysis) -> None:
    figure: Any = scaling_figure(one_run)
    (point,) = figure.data
    assert point.mode == "markers"
    assert "profile" not in study_figures(one_run)


def test_profile_touches_its_limit_at_the_ends_of_the_interval(identified: StudyAnalysis) -> None:
    law = identified.law
    figure: Any = profile_figure(law)
    line = figure.data[0]
    limit = figure.layout.shapes[1].y0
    for end in (law.alpha.low, law.alpha.high):
        assert np.interp(end, line.x, line.y) == pytest.approx(limit, rel=0.02)


def test_residuals_show_how_far_each_run_is_off_the_curve(identified: StudyAnalysis) -> None:
    figure: Any = residuals_figure(identified.runs, identified.law, "total")
    shown = {place: off for trace in figure.data for place, off in zip(trace.x, trace.y, strict=True)}
    assert len([off for trace in figure.data for off in trace.y]) == len(identified.runs)
    for run in identified.runs:
        if run.seed == max(other.seed for other in identified.runs):
            curve = float(identified.law.curve(run.parameters["total"])[0])
            assert shown[run.parameters["total"]] == pytest.approx(100 * (run.results["final_val_loss"] / curve - 1))
    (band,) = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert band.y1 == pytest.approx(100 * identified.law.noise.variance**0.5)


def test_jackknife_shows_alpha_without_each_size(identified: StudyAnalysis) -> None:
    law = identified.law
    figure: Any = jackknife_figure(law, size_names(identified.runs, "total"))
    all_sizes, without = figure.data
    assert list(all_sizes.x) == [law.alpha.value]
    assert list(without.x) == [left.alpha for left in law.jackknife]
    assert list(without.y) == [f"without {size}" for size in ARCHITECTURES]


def test_open_interval_of_alpha_can_be_drawn(tmp_path: Path) -> None:
    analysis = Study(tmp_path / "runs", noise=0.3).write(sizes=("tiny", "small", "medium", "large")).analysis()
    assert not np.isfinite(analysis.law.alpha.high)
    figures: dict[str, Any] = dict(study_figures(analysis))
    assert {"profile", "jackknife"} <= figures.keys()
    assert np.isfinite(figures["jackknife"].data[0].error_x.array).all()


def test_of_many_runs_of_a_size_some_are_drawn_and_the_report_says_so(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs", n_steps=5).write(sizes=("tiny", "xl"), seeds=25)
    analysis = study.analysis()
    drawn = drawn_runs(analysis.runs)
    assert [sum(run.size == size for run in drawn) for size in ("tiny", "xl")] == [20, 20]
    assert (drawn[0].seed, drawn[19].seed) == (0, 24)
    assert "Drawn are 40 of 50 runs" in (curves_drawn(analysis) or "")
    assert curves_drawn(Study(tmp_path / "few").write(seeds=2).analysis()) is None
