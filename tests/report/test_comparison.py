"""Several studies compared: what the page and the results say, and above all what they don't claim."""

import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_page import Page, colours_of
from study_folders import ARCHITECTURES, DATA, Study

from scaling_lab.report import build_comparison, theme
from scaling_lab.report.comparison_figures import comparison_figure, comparison_figures
from scaling_lab.report.comparison_page import render_comparison
from scaling_lab.studies.analysis import COUNTS
from scaling_lab.studies.comparison import Comparison, LabelledStudy, comparison_results

LARGEST = ARCHITECTURES["xl"][-1]
COMMAND = "scaling-lab report --compare a b"
OTHER_DATA = DATA | {"name": "other tunes", "fingerprint": "0123456789ab"}


def flat(n: float) -> float:
    """Falls more slowly than study_folders.power_law, to a floor as clear."""
    return 20 * n**-0.33 + 1.25


def straight(n: float) -> float:
    """A straight line of ln N, so that no floor shows."""
    return 14 * n**-0.05 - 5.8


def steep_study(folder: Path, draw: str = "") -> Study:
    return Study(folder / f"steep{draw}", noise=0.002, draw=draw).write(seeds=3)


def flat_study(folder: Path) -> Study:
    return Study(folder / "flat", noise=0.002, loss=flat, draw="g").write(seeds=3)


def refused_study(folder: Path) -> Study:
    return Study(folder / "straight", noise=0.004, loss=straight).write()


def of_data(folder: Path, **changes: Any) -> Study:
    """A study of other data, whose runs know it."""
    study = Study(folder / "elsewhere", noise=0.002, draw="d")
    for size in ARCHITECTURES:
        for seed in range(3):
            identity = {"ladder": "mini", "size": size, "seed": seed, "data.fingerprint": OTHER_DATA["fingerprint"]}
            study.write_run(size, seed, data=OTHER_DATA, identity=identity, **changes)
    return study


def compared(*studies: Study, labels: tuple[str, ...] = ()) -> Comparison:
    names = labels or tuple(study.folder.name for study in studies)
    return Comparison(
        tuple(LabelledStudy(name, study.folder, study.analysis()) for name, study in zip(names, studies, strict=True))
    )


def page_of(comparison: Comparison) -> Page:
    return Page(render_comparison(comparison, COMMAND))


def traces(figure: Any, **wanted: Any) -> list[Any]:
    return [trace for trace in figure.data if all(getattr(trace, key) == value for key, value in wanted.items())]


@pytest.fixture
def apart(tmp_path: Path) -> Comparison:
    """Two studies that are told apart."""
    return compared(steep_study(tmp_path), flat_study(tmp_path))


@pytest.fixture
def three(tmp_path: Path) -> Comparison:
    """Two that are told apart, and one that identifies nothing."""
    return compared(steep_study(tmp_path), flat_study(tmp_path), refused_study(tmp_path))


def test_page_opens_with_who_has_the_larger_exponent(apart: Comparison) -> None:
    page = page_of(apart)
    assert apart.conclusion.startswith("The exponent of steep is larger than that of flat: alpha 0.4")
    assert page.text.index(apart.conclusion) < page.text.index("Loss against size")
    assert "Told apart" in page.text
    assert apart.warnings() == []


def test_what_is_not_told_apart_is_never_called_the_same(tmp_path: Path) -> None:
    comparison = compared(steep_study(tmp_path), steep_study(tmp_path, draw="b"))
    assert comparison.verdict == "not told apart"
    text = page_of(comparison).text
    assert "The exponents of steep and steepb are not told apart" in text
    assert "Not told apart is not the same" in text
    assert "Refused" not in text


def test_differences_hold_the_numbers_of_the_results_to_the_digit(three: Comparison) -> None:
    rows = page_of(three).tables["differences-by-count"]
    results = comparison_results(three)
    found = [(count, one) for count, pairs in results["differences"].items() for one in pairs]
    assert len(rows) == len(found) == 3 * 5
    for row, (count, one) in zip(rows, found, strict=True):
        assert row["count"][1] == count
        assert row["pair"][1] == f"{one['one']} less {one['other']}"
        assert row["verdict"][1] == one["verdict"]
        assert float(row["difference"][1]) == one["difference"]["value"]
        ends = [float(end) for end in row["interval"][1].split()]
        assert [end if np.isfinite(end) else None for end in ends] == [
            one["difference"]["low"],
            one["difference"]["high"],
        ]


def test_studies_hold_their_laws_to_the_digit(three: Comparison) -> None:
    rows = page_of(three).tables["studies"]
    assert [row["label"][0] for row in rows] == ["steep", "flat", "straight"]
    for row, study in zip(rows, three.studies, strict=True):
        law = study.analysis.law
        assert row["verdict"][0] == law.verdict
        assert (row["runs"][1], row["sizes"][1]) == (repr(law.n_points), repr(law.n_sizes))
        for name in ("alpha", "a", "c"):
            assert float(row[name][1]) == getattr(law, name).value
        assert row["n"] == ("15K to 1.19M", f"15008 {LARGEST}")
        assert row["tokens"] == ("246K", "245760")
        assert (row["data"][0], row["fingerprint"][0]) == (DATA["name"], DATA["fingerprint"])


def test_refused_study_takes_its_pairs_with_it_and_says_what_would_cure_it(three: Comparison) -> None:
    page = page_of(three)
    verdicts = {row["pair"][1]: row["verdict"][0] for row in page.tables["differences"]}
    assert verdicts == {
        "steep less flat": "told apart",
        "steep less straight": "refused",
        "flat less straight": "refused",
    }
    assert "1 of 3 pairs told apart" in page.text
    assert "Nothing is claimed of straight (" in three.conclusion
    reasons = three.studies[2].analysis.law.reasons
    assert reasons
    for reason in reasons:
        assert reason.cure in page.text
        assert page.text.count(reason.detail) == 1


def test_several_pairs_are_said_to_hold_together(three: Comparison) -> None:
    apart = Comparison(three.studies[:2])
    text = page_of(three).text
    assert "95 % interval for all 3 pairs together" in text
    assert "each interval is of 98.3 %" in text
    wider, alone = three.headline[0].interval, apart.headline[0].interval
    assert wider.value == alone.value
    assert wider.low < alone.low < alone.high < wider.high
    assert "Bonferroni" not in page_of(apart).text


def test_verdict_that_depends_on_the_count_refuses_every_pair(tmp_path: Path) -> None:
    study = Study(tmp_path / "flips", noise=0.002, loss=lambda n: 9 * n**-0.2 + 0.2).write()
    comparison = compared(steep_study(tmp_path, draw="b"), study)
    assert comparison.studies[1].analysis.law.verdict == "identified"
    assert {pair.verdict for pairs in comparison.differences.values() for pair in pairs} == {"refused"}
    flips = comparison.studies[1].analysis.flips()
    assert flips
    page = page_of(comparison)
    assert flips in page.text
    assert [row["verdict"][0] for row in page.tables["studies"]] == ["identified", "depends on the count"]


def test_answer_that_depends_on_the_count_is_told_and_not_held_for_one(tmp_path: Path) -> None:
    """Two studies of one law in all parameters; in one of them small models are more of an embedding."""
    studies = Study(tmp_path / "steep", noise=0.002), Study(tmp_path / "embedding", noise=0.002, draw="a")
    for study, power in zip(studies, (1.0, 0.7), strict=True):
        for size, (*_, total) in ARCHITECTURES.items():
            for seed in range(3):
                counts = {"total": total, "matmul": total, "non_embedding": round(total**power)}
                study.write_run(size, seed, parameters=counts)
    comparison = compared(*studies)
    assert [pair.verdict for pair in comparison.headline] == ["not told apart"]
    hinges = comparison.hinges()
    assert hinges
    assert hinges.startswith("Of steep and embedding, they are not told apart under total")
    assert "is larger under non-embedding" in hinges
    page = page_of(comparison)
    assert hinges in page.text
    assert "Depends on how size is counted" in page.text


def test_runs_that_two_studies_share_are_no_difference(tmp_path: Path) -> None:
    steep = steep_study(tmp_path)
    comparison = compared(steep, flat_study(tmp_path), steep, labels=("a", "b", "a again"))
    by_names = {pair.names: pair for pair in comparison.headline}
    assert [reason.name for reason in by_names["a", "a again"].reasons] == ["shared-runs"]
    assert "15 runs of the same size" in by_names["a", "a again"].reasons[0].detail
    assert by_names["a", "b"].verdict == "told apart"
    assert "between a and a again, which have runs in common" in comparison.conclusion


def test_every_run_is_a_point_in_its_studys_colour_and_marker(three: Comparison) -> None:
    for count in COUNTS:
        figure: Any = comparison_figure(three, count)
        drawn = traces(figure, mode="markers")
        assert [trace.legendgroup for trace in drawn] == ["steep", "flat", "straight"]
        for trace, study, style in zip(drawn, three.studies, theme.STUDY_STYLES, strict=False):
            assert list(trace.x) == [run.parameters[count] for run in study.runs]
            assert list(trace.y) == [run.results["final_val_loss"] for run in study.runs]
            assert (trace.marker.color, trace.marker.symbol) == (style.colour, style.symbol)
            colours = {
                line.line.color for line in traces(figure, mode="lines", legendgroup=study.label) if not line.fill
            }
            assert colours == {style.colour}


def test_laws_are_drawn_as_in_a_studys_own_figure(three: Comparison) -> None:
    figure: Any = comparison_figure(three)
    (law,), (beyond,) = (traces(figure, legendgroup="steep", name=name) for name in ("law", "extrapolated"))
    assert max(law.x) == pytest.approx(LARGEST)
    assert (beyond.line.dash, max(beyond.x)) == ("dash", pytest.approx(10 * LARGEST))
    np.testing.assert_array_equal(law.y, three.studies[0].analysis.law.curve(law.x))
    assert len(traces(figure, legendgroup="steep", name="95 % band")) == 2
    (dotted,) = traces(figure, mode="lines", legendgroup="straight")
    assert dotted.line.dash == "dot"
    assert max(dotted.x) == pytest.approx(LARGEST)
    shown = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert [name.partition(": ")[0] for name in shown] == ["steep", "flat", "straight"]
    assert shown[2] == "straight: not identified"


def test_eight_studies_have_eight_colours_and_markers_on_a_light_and_a_dark_page() -> None:
    styles = theme.STUDY_STYLES
    assert len(styles) == 8
    for look in ("colour", "dark", "symbol"):
        assert len({getattr(style, look) for style in styles}) == 8
    assert all(theme.DARK[style.colour] == style.dark for style in styles)


def test_losses_of_different_data_are_said_not_to_compare(tmp_path: Path) -> None:
    comparison = compared(flat_study(tmp_path), of_data(tmp_path))
    page = page_of(comparison)
    nats, bits = comparison.warnings()
    assert "music21-core (e46f4ac57c54) of flat; other tunes (0123456789ab) of elsewhere" in nats
    assert "Losses in nats a token can't be compared" in nats
    assert "only on the same text" in bits
    assert nats in page.text
    assert bits in page.text
    assert tuple(row["study-1"][0] for row in page.tables["differing"] if row["setting"][0] == "data.fingerprint") == (
        "0123456789ab",
    )


def test_losses_can_be_drawn_in_bits_where_every_run_has_them(tmp_path: Path) -> None:
    comparison = compared(steep_study(tmp_path), flat_study(tmp_path))
    assert list(comparison_figures(comparison)) == [f"{unit}-{count}" for unit in ("nats", "bits") for count in COUNTS]
    nats: Any = comparison_figure(comparison, unit="nats")
    bits: Any = comparison_figure(comparison, unit="bits")
    for one, other in zip(nats.data, bits.data, strict=True):
        np.testing.assert_allclose(other.y, 1.45 * np.array(one.y), rtol=1e-6)
    assert "bits a character" in bits.layout.yaxis.title.text
    page = page_of(comparison)
    shown = {found["data-shows"] for _, found in page.elements if "data-shows" in found}
    assert shown == {"nats", "bits", *COUNTS}
    assert set(page.figures) == {f"{unit}-{count}" for unit in ("nats", "bits") for count in COUNTS}


def test_without_bits_of_some_run_there_is_no_choice_of_bits(tmp_path: Path) -> None:
    comparison = compared(flat_study(tmp_path), of_data(tmp_path, bits_per_character=None))
    page = page_of(comparison)
    assert set(page.figures) == {f"nats-{count}" for count in COUNTS}
    assert {found["data-shows"] for _, found in page.elements if "data-shows" in found} == set(page.figures)
    assert len(comparison.warnings()) == 1


def test_what_differs_is_listed_and_what_agrees_is_counted(tmp_path: Path) -> None:
    one, other = Study(tmp_path / "one", noise=0.002), Study(tmp_path / "other", noise=0.002, draw="o")
    for study, rate in ((one, 0.003), (other, 0.001)):
        for size in tuple(ARCHITECTURES)[: 5 if study is one else 4]:
            fields = {"ladder": "mini", "size": size, "seed": 0, "data.fingerprint": DATA["fingerprint"]}
            study.write_run(size, identity=fields | {"recipe.learning_rate": rate})
    comparison = compared(one, other)
    rows = {
        row["setting"][0]: (row["study-0"][0], row["study-1"][0]) for row in page_of(comparison).tables["differing"]
    }
    assert rows == {
        "sizes": ("tiny, small, medium, large, xl", "tiny, small, medium, large"),
        "recipe.learning_rate": ("0.003", "0.001"),
    }
    assert comparison.settings["model.d_model"] == ("32, 48, 64, 96",) * 2


def test_runs_left_out_are_listed_by_study_with_the_reason(tmp_path: Path) -> None:
    broken = Study(tmp_path / "broken", draw="x").write(sizes=("tiny", "small"))
    broken.write_run("medium", state="diverged")
    (row,) = page_of(compared(flat_study(tmp_path), broken)).tables["left-out"]
    assert [row[key][0] for key in ("label", "name", "size", "seed")] == ["broken", "mini-medium-seed0", "medium", "0"]
    assert row["reason"][0].startswith("diverged, not complete")


def test_studies_without_a_complete_run_still_give_a_page(tmp_path: Path) -> None:
    empty = [Study(tmp_path / name) for name in ("one", "other")]
    for study in empty:
        study.write_run("tiny", state="diverged")
    comparison = compared(*empty)
    page = page_of(comparison)
    assert comparison.verdict == "refused"
    assert "the law of one is not identified" in page.text
    assert page.figures == {}
    assert len(page.tables["left-out"]) == 2
    assert page.tables["studies"][0]["n"] == ("–", "")
    mixed = page_of(compared(empty[0], flat_study(tmp_path)))
    assert [trace["legendgroup"] for trace in mixed.figures["nats-total"]["data"] if trace["mode"] == "markers"] == [
        "flat"
    ]
    assert "The data differ" not in mixed.text


def test_hostile_label_is_inert(tmp_path: Path) -> None:
    label = "<img src=x onerror=alert(1)>%{x}</script>\u202e"
    comparison = compared(steep_study(tmp_path), flat_study(tmp_path), labels=(label, "flat"))
    source = render_comparison(comparison, COMMAND)
    clean = render_comparison(compared(*(Study(study.folder) for study in comparison.studies)), COMMAND)
    assert source.count("<script") == clean.count("<script")
    assert source.count("</script") == clean.count("</script")
    page = Page(source)
    assert not [tag for tag, attributes in page.elements if tag == "img" or "onerror" in attributes]
    assert "\u202e" not in source
    for trace in page.figures["nats-total"]["data"]:
        assert "%{x}</script>" not in trace.get("hovertemplate", "")
        assert "<img" not in trace["name"]
    assert html.escape("<img") in page.figures["nats-total"]["data"][-2]["name"]


def test_every_colour_has_a_partner_for_a_dark_page(three: Comparison) -> None:
    assert colours_of(comparison_figure(three).to_plotly_json()) <= set(theme.DARK)


def test_same_studies_give_the_same_bytes_and_pure_json(three: Comparison, tmp_path: Path) -> None:
    one, other = (build_comparison(three, tmp_path / name, COMMAND) for name in ("1.html", "2.html"))
    assert one.read_bytes() == other.read_bytes()
    assert COMMAND in one.read_text(encoding="utf-8")
    results = json.loads(json.dumps(comparison_results(three), allow_nan=False))
    assert [study["label"] for study in results["studies"]] == ["steep", "flat", "straight"]
    assert len(results["studies"][0]["runs"]) == 15
    nats, bits = (results["studies"][0][key]["total"] for key in ("laws", "laws_in_bits"))
    assert bits["alpha"]["value"] == pytest.approx(nats["alpha"]["value"], rel=1e-6)
    assert bits["c"]["value"] == pytest.approx(1.45 * nats["c"]["value"], rel=1e-6)


def test_data_that_are_not_recorded_are_not_taken_for_the_same(tmp_path: Path) -> None:
    unknown = Study(tmp_path / "unknown", noise=0.002, draw="u")
    for size in ARCHITECTURES:
        unknown.write_run(size, data=None)
    assert "unnamed (not recorded) of unknown" in compared(flat_study(tmp_path), unknown).warnings()[0]
    empty = Study(tmp_path / "empty")
    empty.write_run("tiny", state="diverged")
    assert compared(unknown, empty).warnings() == []
