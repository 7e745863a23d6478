"""`scaling-lab sample --results-dir`: each size of a study writes for its report, which shows what is theirs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_in_process import CommandLine
from report_page import Page
from small_disks import small_disk

from scaling_lab.commands.study_music import try_study_music
from scaling_lab.history.runs import read_runs

STUDY = ("--results-dir", "outputs")


def music(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "samples/music.json").read_text())


def report(scaling_lab: CommandLine) -> Page:
    assert scaling_lab("report", *STUDY).code == 0
    return Page(Path("outputs/report.html").read_text())


def test_sizes_write_from_one_beginning_and_freely_and_the_report_shows_both(
    run_dir: Path, scaling_lab: CommandLine
) -> None:
    ended = scaling_lab("sample", *STUDY, "-n", "4")
    assert (ended.code, ended.out.splitlines()[0]) == (0, f"{run_dir}/samples/music.json")
    written = music(run_dir)
    held_out = json.loads(Path("music/val/data.json").read_text().splitlines()[0])["abc"]
    assert written["prompt"]
    assert held_out.startswith(written["prompt"])
    # Its header and two of its three bars.
    assert written["prompt"].count("|") == 2
    assert [tune["text"].startswith(written["prompt"]) for tune in written["prompted"]] == [True, True]
    assert len({tune["text"] for tune in written["prompted"] + written["free"]}) == 6
    page = report(scaling_lab)
    (tunes,) = json.loads(page.scripts["tunes"]).values()
    assert [tune["abc"].removeprefix("X:1\n") for tune in tunes] == [
        tune["text"] for tune in written["prompted"] + written["free"][:3]
    ]
    assert [tune["given"] for tune in tunes] == [len("X:1\n" + written["prompt"])] * 2 + [0] * 3
    row = next(row for row in page.tables["measures"] if row["measure"][1] == "bars_in_metre")
    assert row["tiny"][1] == repr(written["samples"]["bars_in_metre"])
    assert row["held_out"][1] == repr(written["held_out"]["bars_in_metre"])


def test_held_out_music_is_as_much_and_none_of_what_it_is_held_against(run_dir: Path, scaling_lab: CommandLine) -> None:
    scaling_lab("sample", *STUDY, "-n", "4")
    held_out = music(run_dir)["held_out"]
    assert held_out["tunes"] == 4
    assert held_out["interval_divergence"] > 0


def test_what_is_written_is_not_written_again_unless_more_is_wanted(run_dir: Path, scaling_lab: CommandLine) -> None:
    scaling_lab("sample", *STUDY, "-n", "2")
    before = music(run_dir)
    again = scaling_lab("sample", *STUDY, "-n", "2")
    assert (again.code, again.out.count("music.json")) == (0, 0)
    assert "as much already" in again.out
    told = json.loads(scaling_lab("sample", *STUDY, "-n", "3", "--json").out)
    assert told == {"files": [f"{run_dir}/samples/music.json"]}
    assert music(run_dir)["free"][:2] == before["free"]


def test_music_of_a_model_that_was_trained_since_is_not_shown(run_dir: Path, scaling_lab: CommandLine) -> None:
    scaling_lab("sample", *STUDY, "-n", "2")
    assert "tunes" in report(scaling_lab).scripts
    results = json.loads((run_dir / "training_results.json").read_text())
    (run_dir / "training_results.json").write_text(json.dumps(results | {"best_val_loss": 1.5}))
    assert "tunes" not in report(scaling_lab).scripts


@pytest.mark.parametrize("harm", [b"", b"{", b'{"prompt": 3}', b"[]"])
def test_music_that_cannot_be_read_is_not_shown(run_dir: Path, scaling_lab: CommandLine, harm: bytes) -> None:
    scaling_lab("sample", *STUDY, "-n", "2")
    (run_dir / "samples/music.json").write_bytes(harm)
    assert "tunes" not in report(scaling_lab).scripts


def test_data_without_tunes_to_begin_give_free_ones_alone(run_dir: Path, scaling_lab: CommandLine) -> None:
    # A beginning of 24 characters is more than half of this context.
    path = run_dir / "config.yaml"
    path.write_text(path.read_text().replace("sequence_length: 64", "sequence_length: 40"))
    assert scaling_lab("sample", *STUDY, "-n", "2").code == 0
    written = music(run_dir)
    assert (written["prompt"], written["prompted"], len(written["free"])) == ("", [], 2)
    (tunes,) = json.loads(report(scaling_lab).scripts["tunes"]).values()
    assert [tune["given"] for tune in tunes] == [0, 0]


@pytest.mark.parametrize("option", [("--seed", "1"), ("--prompt", "K:G"), ("--temperature", "1.0"), ("--out", "x")])
def test_options_of_one_run_are_refused_for_a_study(
    run_dir: Path, scaling_lab: CommandLine, option: tuple[str, str]
) -> None:
    ended = scaling_lab("sample", *STUDY, *option)
    assert (ended.code, ended.out) == (2, "")
    assert f"command line {option[0]}: says how one run writes" in ended.err
    assert not (run_dir / "samples").exists()


def test_a_run_or_a_study_is_wanted_and_only_one(run_dir: Path, scaling_lab: CommandLine) -> None:
    for arguments in ((), (*STUDY, "--run", str(run_dir))):
        ended = scaling_lab("sample", *arguments)
        assert ended.code == 2
        assert "give --run with a run, or --results-dir with a study's folder" in ended.err


def test_a_study_whose_data_are_gone_says_so(run_dir: Path, scaling_lab: CommandLine) -> None:
    shutil.move("music", "elsewhere")
    ended = scaling_lab("sample", *STUDY)
    assert (ended.code, ended.out) == (2, "")
    assert "give --data-dir" in ended.err
    assert scaling_lab("sample", *STUDY, "-n", "2", "--data-dir", "elsewhere").code == 0
    assert len(music(run_dir)["free"]) == 2


def test_a_run_on_a_disk_that_is_read_only_says_to_mend_that(
    run_dir: Path, scaling_lab: CommandLine, folder: Path
) -> None:
    with small_disk(folder / "disk") as disk:
        shutil.copytree("outputs", disk.path / "outputs")
        disk.make_read_only()
        place = disk.path / "outputs"
        ended = scaling_lab("sample", "--results-dir", str(place), "-n", "2")
    assert (ended.code, ended.out) == (2, "")
    words = "can't be written (Read-only file system); mend that, then `scaling-lab sample --results-dir` writes it"
    assert ended.err == f"{place}/{run_dir.name}/samples/music.json: {words}\n"


@pytest.mark.parametrize("name", ["samples", "samples/music.json"])
def test_a_place_that_can_not_be_written_is_told_and_takes_nothing_from_a_study(
    run_dir: Path, scaling_lab: CommandLine, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    shutil.rmtree(run_dir / "samples", ignore_errors=True)
    if name == "samples":
        (run_dir / name).write_text("mine")
    else:
        (run_dir / name).mkdir(parents=True)
    ended = scaling_lab("sample", *STUDY, "-n", "2")
    assert ended.code == 2
    assert f"{run_dir}/samples/music.json: can't be written (" in ended.err
    try_study_music(read_runs(Path("outputs"))[0], Path("outputs"), 2)
    assert "study: the report is without music: " in capsys.readouterr().err
