"""`scaling-lab predict`: a size's loss before it is trained, written down so that a change shows, and scored later."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cli_in_process import CommandLine
from report_page import Page
from study_folders import ARCHITECTURES, Study

FOUR = ("tiny", "small", "medium", "large")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Four sizes of three seeds, which identify their law; xl is not trained."""
    return Study(tmp_path / "outputs", noise=0.0005).write(sizes=FOUR, seeds=3)


def frozen(study: Study) -> dict:
    (entry,) = json.loads((study.folder / "predictions.json").read_text())["predictions"]
    return entry


def report(scaling_lab: CommandLine, study: Study) -> list[dict[str, str]]:
    """Rows of the report's table of what was foretold; the values behind the text."""
    path = study.folder / "report.html"
    assert scaling_lab("report", "--results-dir", str(study.folder), "--out", str(path)).code == 0
    rows = Page(path.read_text()).tables.get("foretold", [])
    return [{key: value for key, (_, value) in row.items()} for row in rows]


def test_a_size_is_predicted_written_down_and_scored_once_it_is_trained(scaling_lab: CommandLine, study: Study) -> None:
    where = ("--results-dir", str(study.folder))
    ended = scaling_lab("predict", "--size", "xl", *where)
    assert (ended.code, ended.err) == (0, "")
    assert not (study.folder / "predictions.json").exists()
    assert report(scaling_lab, study) == []

    ended = scaling_lab("predict", "--size", "xl", "--freeze", *where)
    entry = frozen(study)
    assert f"sha256 {entry['sha256']}" in ended.out
    assert entry["n"] == pytest.approx(ARCHITECTURES["xl"][-1], rel=0.01)
    assert entry["low"] < study.loss(entry["n"]) < entry["high"]
    (row,) = report(scaling_lab, study)
    assert (row["held"], row["observed"]) == ("not trained yet", "")

    parameters = {count: int(entry["n"]) for count in ("total", "non_embedding", "matmul")}
    study.write_run("xl", parameters=parameters)
    (row,) = report(scaling_lab, study)
    assert row["held"] == "yes"
    assert float(row["observed"]) == pytest.approx(study.loss(ARCHITECTURES["xl"][-1]), rel=0.01)
    assert "is trained already (mini-xl-seed0)" in scaling_lab("predict", "--size", "xl", *where).err


def test_a_prediction_that_was_changed_is_told_apart(scaling_lab: CommandLine, study: Study) -> None:
    assert scaling_lab("predict", "-n", "1.2M", "--freeze", "--results-dir", str(study.folder)).code == 0
    path = study.folder / "predictions.json"
    path.write_text(path.read_text().replace('"loss": 1.', '"loss": 0.'))
    (row,) = report(scaling_lab, study)
    assert row["held"] == "changed since it was written"


def test_predictions_add_up_and_those_of_another_study_are_left_alone(
    scaling_lab: CommandLine, study: Study, tmp_path: Path
) -> None:
    for n in ("1.2M", "5M"):
        assert scaling_lab("predict", "-n", n, "--freeze", "--results-dir", str(study.folder)).code == 0
    assert [row["n"] for row in report(scaling_lab, study)] == ["1200000.0", "5000000.0"]
    other = Study(tmp_path / "other", noise=0.001, loss=lambda n: 50 * n**-0.4 + 1).write(seeds=2)
    (other.folder / "predictions.json").write_bytes((study.folder / "predictions.json").read_bytes())
    assert report(scaling_lab, other) == []


def test_what_is_not_identified_is_not_predicted(scaling_lab: CommandLine, tmp_path: Path) -> None:
    study = Study(tmp_path / "outputs").write(sizes=FOUR[:3])
    ended = scaling_lab("predict", "-n", "1.2M", "--freeze", "--results-dir", str(study.folder))
    assert ended.code == 2
    assert "nothing is predicted: No exponent can be claimed from these 3 runs" in ended.err
    assert not (study.folder / "predictions.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give --size, as xl, or --parameters"),
        (("--size", "xl", "-n", "1M"), "give --size, as xl, or --parameters"),
        (("-n", "many"), "--parameters many: give a number of parameters"),
        (("--size", "huge"), "huge"),
    ],
)
def test_what_can_not_be_asked_for(
    scaling_lab: CommandLine, study: Study, arguments: tuple[str, ...], said: str
) -> None:
    ended = scaling_lab("predict", *arguments, "--results-dir", str(study.folder))
    assert ended.code == 2
    assert said in ended.err


def test_a_file_of_someone_else_is_named(scaling_lab: CommandLine, study: Study) -> None:
    where, path = ("--results-dir", str(study.folder)), study.folder / "predictions.json"
    assert scaling_lab("predict", "-n", "1.2M", "--freeze", *where).code == 0
    for content in ("[1, 2]", re.sub(r'"loss": [0-9.]+', '"loss": null', path.read_text())):
        path.write_text(content)
        for arguments, code in ((("predict", "-n", "1.2M", "--freeze"), 2), (("report",), 0)):
            ended = scaling_lab(*arguments, *where)
            assert ended.code == code
            assert "predictions.json: not what scaling-lab predict writes" in ended.err
        assert path.read_text() == content


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 0}, "n is 0, no positive number"),
        ({"loss": True}, "loss is true, no positive number"),
        ({"low": "1"}, 'low is "1", no number'),
        ({"high": float("nan")}, "high is NaN, no number"),
        ({"made": None}, "made, size or sha256 is no text"),
        ({"runs": [1]}, "runs is no object of losses by name"),
        ({"runs": {"mini-tiny-seed0": [1]}}, "runs is no object of losses by name"),
        ({"seen": 1, "by": "me"}, "a prediction has a field that is not ours, by, seen"),
    ],
)
def test_a_prediction_with_a_field_that_can_not_be_is_named(
    scaling_lab: CommandLine, study: Study, changes: dict[str, Any], words: str
) -> None:
    where, path = ("--results-dir", str(study.folder)), study.folder / "predictions.json"
    assert scaling_lab("predict", "-n", "1.2M", "--freeze", *where).code == 0
    path.write_text(json.dumps({"predictions": [frozen(study) | changes]}))
    assert unscored(scaling_lab, study) == f"{path}: not what scaling-lab predict writes ({words}); move it away"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "Is a directory"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "it holds no list of predictions"),
        ('{"predictions": {}}', "it holds no list of predictions"),
        ('{"predictions": [3]}', "a prediction is no object"),
        (
            '{"predictions": [{"n": 1}]}',
            "a prediction lacks a, alpha, c, confidence, high, loss, low, made, runs, sha256, size",
        ),
    ],
)
def test_predictions_that_can_not_be_read_take_their_scores_alone_from_a_report(
    scaling_lab: CommandLine, study: Study, content: str | None, words: str
) -> None:
    path = study.folder / "predictions.json"
    path.mkdir() if content is None else path.write_text(content)
    assert unscored(scaling_lab, study) == f"{path}: not what scaling-lab predict writes ({words}); move it away"


def unscored(scaling_lab: CommandLine, study: Study) -> str:
    """Why a report of the study, which is made, has no scores."""
    ended = scaling_lab("report", "--results-dir", str(study.folder))
    assert ended.code == 0
    assert ended.out.startswith("Validation loss falls as")
    assert "Traceback" not in ended.err
    assert "foretold" not in Page((study.folder / "report.html").read_text()).tables
    return ended.err.removeprefix("the report is without scores of predictions: ").rstrip("\n")
