"""`scaling-lab report --compare`: what it writes and prints, how it names studies, and what it can't be asked for."""

import json
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from report_page import Page
from study_folders import Study

SIZES = ("tiny", "small", "medium", "large")


@pytest.fixture
def two(folder: Path) -> tuple[str, str]:
    """The same folder of two checkouts."""
    Study(folder / "here" / "outputs" / "scaling_study", noise=0.001).write(sizes=SIZES)
    Study(folder / "there" / "outputs" / "scaling_study", noise=0.001, draw="t").write(sizes=SIZES)
    return "here/outputs/scaling_study", "there/outputs/scaling_study"


def test_page_is_written_and_the_conclusion_printed(scaling_lab: CommandLine, two: tuple[str, str]) -> None:
    ended = scaling_lab("report", "--compare", *two)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == "comparison: outputs/comparison.html"
    page = Page(Path("outputs/comparison.html").read_text(encoding="utf-8"))
    assert ended.out.splitlines()[0] in page.text
    assert f"scaling-lab report --compare {' '.join(two)} --out outputs/comparison.html" in page.text


def test_folders_of_one_name_are_told_apart_by_those_above_them(scaling_lab: CommandLine, two: tuple[str, str]) -> None:
    ended = scaling_lab("report", "--compare", *two, "--json", "--out", "page.html")
    assert ended.code == 0
    results = json.loads(ended.out)
    assert [study["label"] for study in results["studies"]] == list(two)
    assert [study["folder"] for study in results["studies"]] == list(two)
    assert [len(pairs) for pairs in results["differences"].values()] == [1] * 5
    assert Path("page.html").is_file()


def test_labels_can_be_given(scaling_lab: CommandLine, two: tuple[str, str], folder: Path) -> None:
    (folder / "here").rename(folder / "a=b")
    arguments = ("a=b", f"the other={two[1]}")
    results = json.loads(scaling_lab("report", "--compare", *arguments, "--json").out)
    assert [study["label"] for study in results["studies"]] == ["a=b", "the other"]


def test_studies_can_stand_before_the_option(scaling_lab: CommandLine, two: tuple[str, str]) -> None:
    assert scaling_lab("report", *two, "--compare").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("A", "B"), "command line: A B: to compare studies give --compare too; one study is --results-dir DIR"),
        (("--compare",), "compares 2 to 8 studies, and here is none; give their folders"),
        (("--compare", "A"), "and here is one; give their folders"),
        (("--compare", *"ABCDEFGHI"), "and here are 9; give their folders"),
        (("--compare", "A", "./A"), "A and A are one folder; give each study once"),
        (("--compare", "A", "x=B/../A"), "A and B/../A are one folder; give each study once"),
        (("--compare", "x=A", "x=B"), "two studies are called 'x'; give another name as LABEL=DIR"),
        (("--compare", "B=A", "B"), "two studies are called 'B'; give another name as LABEL=DIR"),
        (("--compare", "=A", "B"), "'=A' is not LABEL=DIR; write it as lstm=runs/lstm"),
        (("--compare", "x=", "B"), "'x=' is not LABEL=DIR"),
        (("--compare", "A", "nowhere"), "nowhere: no such folder; give one that holds runs"),
        (("--compare", "A", "x=nowhere"), "nowhere: no such folder; give one that holds runs"),
        (("--compare", "A", "B", "--project", "p"), "--project: is of one study's report"),
        (("--compare", "A", "B", "--results-dir", "A"), "--results-dir: is of one study's report"),
        (("--compare", "A", "B", "--publish"), "--publish: is of one study's report"),
        (("--compare", "A", "B", "--tracking", "auto"), "--tracking: is of one study's report"),
        (("--compare", "A", "B", "--filter", "size=xl"), "--filter: is of one study's report"),
        (("--compare", "A", "B", "--out", "A"), "A: is a folder; give a file"),
        (("--compare", "A", "B"), "A: holds no run"),
    ],
)
def test_what_can_not_be_compared(
    scaling_lab: CommandLine, folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    for name in ("A", "B"):
        (folder / name).mkdir()
    ended = scaling_lab("report", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert not (folder / "outputs").exists()
