"""The report as a file: what it says, that it says it safely, and that it needs nothing from elsewhere."""

import html
import json
from dataclasses import replace
from pathlib import Path

import pytest
from report_page import Page
from study_folders import ARCHITECTURES, Study

from scaling_lab.history.runs import LeftOut
from scaling_lab.report import build_report
from scaling_lab.report.study_page import render_report
from scaling_lab.studies.analysis import StudyAnalysis, study_results

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe"


def test_report_is_written_to_the_path_it_returns_with_folders_made(identified: StudyAnalysis, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "report.html"
    assert build_report(identified, path) == path
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    assert path.stat().st_size < 8e6


def test_report_that_cannot_be_drawn_leaves_the_old_one(identified: StudyAnalysis, tmp_path: Path) -> None:
    path = build_report(identified, tmp_path / "report.html")
    before = path.read_bytes()
    broken = replace(identified, laws={})
    with pytest.raises(KeyError):
        build_report(broken, path)
    assert path.read_bytes() == before


def test_same_study_gives_the_same_bytes(identified: StudyAnalysis, tmp_path: Path) -> None:
    one, other = build_report(identified, tmp_path / "1.html"), build_report(identified, tmp_path / "2.html")
    assert one.read_bytes() == other.read_bytes()


def test_page_opens_with_the_sentence_and_names_every_size(identified: StudyAnalysis) -> None:
    page = Page(render_report(identified))
    assert identified.sentence in page.text
    assert page.text.index(identified.sentence) < page.text.index("What it rests on")
    assert {row["size"][0] for row in page.tables["summary"]} == set(ARCHITECTURES)


def test_refusal_is_told_with_every_reason_and_cure(refused: StudyAnalysis) -> None:
    page = Page(render_report(refused))
    assert refused.law.reasons
    assert refused.sentence in page.text
    for reason in refused.law.reasons:
        assert reason.detail in page.text
        assert reason.cure in page.text


def test_verdict_that_flips_is_told_beside_the_sentence(flipping: StudyAnalysis) -> None:
    flips = flipping.flips()
    assert flips is not None
    page = Page(render_report(flipping))
    assert page.text.index(flips) < page.text.index("What it rests on")
    assert "Identified under some counts only" in page.text


def test_summary_holds_the_numbers_of_the_results_to_the_digit(identified: StudyAnalysis) -> None:
    rows = Page(render_report(identified)).tables["summary"]
    runs = study_results(identified)["runs"]
    assert len(rows) == len(runs) == 15
    for row, run in zip(rows, runs, strict=True):
        for key, (_, value) in row.items():
            expected = run
            for part in key.split("."):
                expected = expected[part]
            assert value == (expected if isinstance(expected, str) else repr(expected)), key


def test_laws_hold_the_numbers_of_the_results_to_the_digit(refused: StudyAnalysis) -> None:
    rows = Page(render_report(refused)).tables["laws"]
    laws = study_results(refused)["laws"]
    assert [row["count"][1] for row in rows] == list(laws)
    for row, law in zip(rows, laws.values(), strict=True):
        assert row["verdict"][1] == law["verdict"]
        for parameter in ("alpha", "a", "c"):
            assert float(row[parameter][1]) == law[parameter]["value"]
            low, high = row[f"{parameter}.interval"][1].split()
            assert (float(low), float(high)) == (law[parameter]["low"], law[parameter]["high"])


def test_every_count_has_its_law_and_every_lint_its_row(identified: StudyAnalysis) -> None:
    tables = Page(render_report(identified)).tables
    assert [row["count"][1] for row in tables["laws"]] == ["total", "non_embedding", "matmul", "flops", "six_nd"]
    assert {row["name"][1]: row["text"][1] for row in tables["lints"]} == {
        found.name: found.text for found in identified.lints
    }


def test_runs_left_out_are_listed_with_the_reason(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write(sizes=("tiny", "small"))
    study.write_run("medium", state="diverged")
    (row,) = Page(render_report(study.analysis())).tables["left-out"]
    assert [row[key][0] for key in ("name", "size", "seed")] == ["mini-medium-seed0", "medium", "0"]
    assert row["reason"][0].startswith("diverged, not complete")


def test_hostile_names_are_inert_text(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write(sizes=("small", "medium", "large"))
    study.write_run("tiny", name=HOSTILE, git_commit=HOSTILE, data={"name": HOSTILE, "fingerprint": HOSTILE})
    analysis = study.analysis()
    analysis = replace(analysis, left_out=(LeftOut(HOSTILE, HOSTILE),))
    source = render_report(analysis)
    clean = render_report(Study(tmp_path / "clean").write(sizes=("tiny", "small", "medium", "large")).analysis())
    assert source.count("<script") == clean.count("<script")
    assert source.count("</script") == clean.count("</script")
    page = Page(source)
    assert not [tag for tag, attributes in page.elements if tag == "img" or "onerror" in attributes]
    assert "\u202e" not in source
    assert page.text.count("<script>alert(1)</script>") >= 3


def test_hostile_name_is_inert_in_the_labels_of_figures(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs")
    study.write_run("tiny", name='<a href="https://example.org">%{x}</a>')
    points = Page(render_report(study.analysis())).figures["scaling-total"]["data"][-1]
    assert points["text"] == [html.escape('<a href="https://example.org">%{x}</a>')]
    assert points["text"][0] not in points["hovertemplate"]


def test_lone_surrogate_in_a_name_does_not_stop_the_report(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs")
    study.write_run("tiny", name="caf\ud800")
    path = build_report(study.analysis(), tmp_path / "report.html")
    assert r"caf\ud800" in path.read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(identified: StudyAnalysis) -> None:
    page = Page(render_report(identified))
    assert not [attributes for _, attributes in page.elements if attributes.keys() & {"src", "srcset", "action"}]
    links = [attributes["href"] for _, attributes in page.elements if "href" in attributes]
    there = {f"#{attributes['id']}" for _, attributes in page.elements if "id" in attributes}
    assert links
    assert set(links) <= there
    assert "url(" not in page.scripts["style"]
    assert "@import" not in page.scripts["style"]
    policies = [found["content"] for tag, found in page.elements if tag == "meta" and "http-equiv" in found]
    assert len(policies) == 1
    assert str(policies[0]).startswith("default-src 'none'; script-src 'sha256-")


def test_no_run_and_one_run_make_a_report(no_run: StudyAnalysis, tmp_path: Path) -> None:
    page = Page(render_report(no_run))
    assert no_run.sentence in page.text
    assert page.figures == {}
    assert page.tables["left-out"][0]["reason"][0].startswith("diverged, not complete")
    one_run = Study(tmp_path / "one").write(sizes=("xl",)).analysis()
    page = Page(render_report(one_run))
    assert one_run.sentence in page.text
    assert [row["size"][0] for row in page.tables["summary"]] == ["xl"]


def test_results_without_what_can_be_absent_make_a_report(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs")
    absent = ("config", "data", "machine", "versions", "git_commit", "mfu", "bits_per_character", "final_train_loss")
    study.write_run("tiny", journal=[], **dict.fromkeys(absent[1:]), config={})
    results_file = tmp_path / "runs" / "mini-tiny-seed0" / "training_results.json"
    results = json.loads(results_file.read_text())
    # What earlier versions did not write at all.
    del results["bits_per_byte"], results["bits_per_note"]
    results_file.write_text(json.dumps(results))
    page = Page(render_report(study.analysis()))
    row = page.tables["summary"][0]
    assert row["bits_per_byte"] == row["bits_per_note"] == ("–", "")
    assert row["mfu"] == ("–", "")
    assert row["model.d_model"] == ("–", "")


def test_report_says_how_to_do_it_again(identified: StudyAnalysis) -> None:
    text = Page(render_report(identified)).text
    assert "git checkout 0123456789abcdef0123456789abcdef01234567" in text
    assert "scaling-lab train --config outputs/mini-tiny-seed0/config.yaml --output-dir outputs/again" in text
    assert "scaling-lab report --results-dir outputs/again" in text
    assert "e46f4ac57c54" in text
    assert "torch 2.13.0" in text


def badge(page: Page) -> str:
    """What stands over the sentence."""
    return page.source.split('<p class="badge">')[1].split("</p>")[0]


def test_a_law_whose_interval_leaves_the_speed_open_is_called_wide(identified: StudyAnalysis, tmp_path: Path) -> None:
    assert badge(Page(render_report(identified))) == "Identified"
    wide = Study(tmp_path / "wide", noise=0.015, draw="w").write().analysis()
    assert wide.law.verdict == "identified"
    assert wide.law.alpha.high > 3 * wide.law.alpha.low
    assert badge(Page(render_report(wide))) == "Identified, but wide"


def test_next_is_what_lifts_the_refusal_of_whichever_count(tmp_path: Path) -> None:
    curves = {"refused": lambda n: 14 * n**-0.05 - 5.8, "flipping": lambda n: 9 * n**-0.2 + 0.2}
    studies = [Study(tmp_path / name, noise=0.002, loss=curve).write().analysis() for name, curve in curves.items()]
    assert [analysis.flips() is None for analysis in studies] == [True, False]
    for analysis in studies:
        law = next(law for law in analysis.laws.values() if law.reasons)
        assert f"Next: {law.reasons[0].cure}" in Page(render_report(analysis)).text


def test_no_smaller_size_is_advised_where_the_warmup_is_too_long_for_the_smallest(tmp_path: Path) -> None:
    short, long = (
        Study(tmp_path / name, noise=0.004, warmup_fraction=share).write().analysis()
        for name, share in (("short", 0.01), ("long", 0.2))
    )
    assert "warmup-too-long" in {found.name for found in long.lints} - {found.name for found in short.lints}
    assert [any("size smaller" in runs.text for runs in found.next_runs) for found in (short, long)] == [True, False]


def test_how_to_add_runs_names_a_config_that_is_there(identified: StudyAnalysis) -> None:
    page = Page(render_report(identified))
    assert "scaling-lab train --config outputs/mini-tiny-seed0/config.yaml --seed 3" in page.text
