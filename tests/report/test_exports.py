"""The other formats of a report: the same numbers to the digit, the same bytes each time, hostile names as text."""

import csv
import io
import json
import math
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from report_page import Page
from study_folders import DATA, Study, write_some_music

from scaling_lab.report.exports import csv_text, json_text
from scaling_lab.report.markdown import escaped, render_markdown
from scaling_lab.report.study_page import render_report
from scaling_lab.studies.analysis import StudyAnalysis, study_results

HOSTILE = "=cmd|'/C calc'!A0\n</td><script>alert(1)</script> `x` [y](https://example.org) @you \u202egnp.exe"


@pytest.fixture
def hostile(tmp_path: Path) -> StudyAnalysis:
    """Five sizes, the smallest with a name that would be a formula, HTML, a link and lines of its own."""
    study = Study(tmp_path / "runs").write(sizes=("small", "medium", "large", "xl"))
    study.write_run("tiny", name=HOSTILE, data={"name": HOSTILE, "fingerprint": HOSTILE}, git_commit=HOSTILE)
    study.write_run("tiny", 1, name=HOSTILE, state="diverged")
    return study.analysis()


def cells(line: str) -> list[str]:
    """The cells of a row of a Markdown table."""
    return [cell.strip() for cell in line.replace(r"\|", "\0").strip("|").split("|")]


def test_json_is_the_results_to_the_digit(identified: StudyAnalysis) -> None:
    assert json.loads(json_text(identified)) == json.loads(json.dumps(study_results(identified)))


def test_json_has_null_for_what_is_no_number(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs")
    config = {"model": {"d_model": 32, "rope_base": math.inf}, "recipe": {"learning_rate": math.nan}}
    study.write_run("tiny", mfu=math.nan, training_seconds=math.inf, config=config)
    told = json.loads(json_text(study.analysis()), parse_constant=pytest.fail)
    (run,) = told["runs"]
    assert (run["mfu"], run["training_seconds"], run["model"]["rope_base"]) == (None, None, None)
    assert told["recipe"] == {"learning_rate": None}


def test_json_has_one_order_of_keys_wherever_the_runs_were_read(tmp_path: Path) -> None:
    texts = []
    for order in (list, sorted):
        study = Study(tmp_path / order.__name__)
        data = {key: DATA[key] for key in order(DATA)}
        parameters = dict.fromkeys(order(("non_embedding", "total", "matmul")), 9000)
        study.write_run("tiny", data=data, parameters=parameters)
        texts.append(json_text(study.analysis()))
    assert texts[0] == texts[1]
    assert list(json.loads(texts[0])["data"]) == list(DATA)


def test_csv_has_a_row_a_run_with_every_digit_under_the_keys_of_the_page(identified: StudyAnalysis) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(identified))))
    of_page = Page(render_report(identified)).tables["summary"]
    assert rows == [{key: value for key, (_, value) in row.items()} for row in of_page]
    assert [float(row["final_val_loss"]) for row in rows] == [run.results["final_val_loss"] for run in identified.runs]


def test_no_cell_of_the_csv_is_a_formula_and_each_run_is_one_line(hostile: StudyAnalysis) -> None:
    text = csv_text(hostile)
    assert len(text.splitlines()) == 6
    row = next(csv.DictReader(io.StringIO(text)))
    assert row["name"].startswith("'=cmd|'/C calc'!A0\\u000a</td>")
    assert "\u202e" not in text


@pytest.mark.parametrize("name", ["+1", "-1+cmd", "@SUM(A1)", "＝1", "\t=1", "a=1", "1.5"])
def test_only_what_a_spreadsheet_would_reckon_with_gets_an_apostrophe(tmp_path: Path, name: str) -> None:
    study = Study(tmp_path / "runs")
    study.write_run("tiny", name=name, mfu=-0.5)
    row = next(csv.DictReader(io.StringIO(csv_text(study.analysis()))))
    shown = name.replace("\t", "\\u0009")
    assert row["name"] == (f"'{shown}" if shown[0] in "+-@＝" else shown)
    assert row["mfu"] == "-0.5"


def test_markdown_opens_with_the_conclusion_and_gives_reasons_with_cures(refused: StudyAnalysis) -> None:
    text = render_markdown(refused)
    assert text.splitlines()[2] == f"**Not identified.** {escaped(refused.sentence)}"
    assert refused.law.reasons
    for reason in refused.law.reasons:
        assert escaped(reason.detail) in text
        assert f"Cure: {escaped(reason.cure)}" in text
    assert "They foretell nothing." in text


def test_markdown_has_the_rows_of_every_table_of_the_page(tmp_path: Path) -> None:
    study = Study(tmp_path / "runs", noise=0.002).write(seeds=2, sizes=("tiny", "small", "medium", "large"))
    write_some_music(study)
    study.write_unfinished("xl", 24, state="stopped")
    analysis = study.analysis()
    lines = render_markdown(analysis).splitlines()
    tables = Page(render_report(analysis)).tables
    expected = (
        "summary",
        "laws",
        "forms",
        "jackknife",
        "lints",
        "next-runs",
        "recipe",
        "measures",
        "unfinished",
        "left-out",
    )
    assert set(expected) == tables.keys()
    for name, rows in tables.items():
        for row in rows:
            assert f"| {' | '.join(escaped(text) for text, _ in row.values())} |" in lines, name


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head(hostile: StudyAnalysis) -> None:
    for block in render_markdown(hostile).split("\n\n"):
        if block.startswith("|"):
            assert len({len(cells(line)) for line in block.splitlines()}) == 1


def test_hostile_name_is_text_in_markdown(hostile: StudyAnalysis) -> None:
    text = render_markdown(hostile)
    assert "<script" not in text
    assert "\u202e" not in text
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    assert "](https:" not in prose
    assert "@you" not in prose
    assert text.count(escaped(HOSTILE)) >= 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("mini_tiny*", r"mini\_tiny\*"),
        ("a\nb", r"a\\u000ab"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("www.example.org and https://x", "www&#46;example.org and https&#58;//x"),
        ("me@example.org $x$ #1", r"me&#64;example.org \$x\$ \#1"),
        ("0.445 to 0.472, L(N) = a·N^-0.4", "0.445 to 0.472, L(N) = a·N^-0.4"),
    ],
)
def test_markdown_says_what_was_meant(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_same_study_gives_the_same_bytes(hostile: StudyAnalysis) -> None:
    for render in (json_text, csv_text, render_markdown):
        assert render(hostile) == render(hostile)


def test_a_study_without_a_run_has_every_format(no_run: StudyAnalysis) -> None:
    assert json.loads(json_text(no_run))["runs"] == []
    assert len(csv_text(no_run).splitlines()) == 1
    assert escaped(no_run.sentence) in render_markdown(no_run)


def test_formats_lie_beside_the_report_under_its_name(tmp_path: Path, scaling_lab: CommandLine) -> None:
    Study(tmp_path / "runs").write()
    ended = scaling_lab("report", "--results-dir", "runs", "--format", "html,md", "--format", "csv,json")
    assert ended.code == 0
    names = [f"runs/report.{suffix}" for suffix in ("html", "md", "csv", "json")]
    assert ended.out.splitlines()[-4:] == [f"report: {name}" for name in names]
    assert all(Path(name).stat().st_size for name in names)
    printed = scaling_lab("report", "--results-dir", "runs", "--json")
    assert printed.out == Path("runs/report.json").read_text()


def test_out_names_the_html_or_the_only_file_that_is_asked_for(tmp_path: Path, scaling_lab: CommandLine) -> None:
    Study(tmp_path / "runs").write(sizes=("tiny",))
    both = scaling_lab("report", "--results-dir", "runs", "--format", "json,html", "--out", "new/page.htm")
    assert both.code == 0
    assert {path.name for path in Path("new").iterdir()} == {"page.htm", "page.json"}
    assert scaling_lab("report", "--results-dir", "runs", "--format", "csv", "--out", "new/table.txt").code == 0
    assert Path("new/table.txt").read_text().startswith("size,seed,")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "html,pdf"), "command line --format: 'pdf' is none of html, json, csv, md, png, svg"),
        (("--format", "html,json", "--out", "a.json"), "a.json would be both html and json; give it another name"),
        (("--format", "html,md", "--out", "taken.html"), "taken.md: is a folder; give a file"),
    ],
)
def test_formats_that_cannot_be_written_are_told_first(
    tmp_path: Path, scaling_lab: CommandLine, arguments: tuple[str, ...], words: str
) -> None:
    Study(tmp_path / "runs").write(sizes=("tiny",))
    Path("taken.md").mkdir()
    ended = scaling_lab("report", "--results-dir", "runs", *arguments)
    assert ended.code == 2
    assert words in ended.err
    assert not list(tmp_path.glob("**/*.html"))
