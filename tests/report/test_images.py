"""Figures as files: drawn by the real browser, the same each time; and what is said where there is none."""

import shutil
import struct
import sys
from pathlib import Path

import pytest
from browsers import BROWSERS, find_chromium
from cli_in_process import CommandLine
from report_page import Page
from study_folders import Study

NO_BROWSER = (
    "figures: no Chrome or Chromium, which draws them, is found; install one, or get it by `kaleido_get_chrome`\n"
)
NO_KALEIDO = "figures: kaleido, which draws them, is not installed; pip install 'scaling-lab[figures]'\n"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    study = Study(tmp_path / "runs").write(sizes=("small", "medium", "large"))
    study.write_run("tiny", name="<script>alert(1)</script>&")
    return study


@pytest.fixture
def without_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where nothing that kaleido could draw with is installed."""
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "nowhere"))
    # Where kaleido keeps one that it fetched.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason=f"none of these browsers is installed: {', '.join(BROWSERS)}")
@pytest.mark.usefixtures("study")
def test_every_figure_is_drawn_to_the_same_bytes_each_time_and_shown_in_the_markdown(scaling_lab: CommandLine) -> None:
    for out in ("one/report.html", "other/report.html"):
        ended = scaling_lab("report", "--results-dir", "runs", "--format", "html,md,png,svg", "--out", out)
        assert ended.code == 0, ended.err
    assert ended.out.endswith("figures: other/report-figures\n")
    folder = Path("one/report-figures")
    figures = set(Page(Path("one/report.html").read_text()).figures)
    assert {path.name for path in folder.iterdir()} == {f"{name}.{end}" for name in figures for end in ("png", "svg")}
    for path in folder.iterdir():
        assert path.read_bytes() == (Path("other/report-figures") / path.name).read_bytes(), path.name
    assert struct.unpack(">II", (folder / "profile.png").read_bytes()[16:24]) == (1800, 1080)
    scaling = (folder / "scaling-total.svg").read_text()
    assert scaling.startswith("<svg")
    assert ">alpha" in scaling or "Not identified" in scaling
    assert not [path for path in folder.glob("*.svg") if "<script" in path.read_text()]
    markdown = Path("one/report.md").read_text()
    assert {line for line in markdown.splitlines() if line.startswith("![")} == {
        f"![{name.replace('-', ' ').replace('_', '-')}](<report-figures/{name}.png>)" for name in figures
    }


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason=f"none of these browsers is installed: {', '.join(BROWSERS)}")
def test_figures_that_a_study_has_no_more_do_not_stay(study: Study, scaling_lab: CommandLine) -> None:
    folder = Path("runs/report-figures")
    folder.mkdir()
    for name in ("jackknife.svg", "jackknife.png", "mine.svg"):
        (folder / name).write_text("old")
    for size in ("small", "medium", "large"):
        shutil.rmtree(study.folder / f"mini-{size}-seed0")
    assert scaling_lab("report", "--results-dir", "runs", "--format", "svg").code == 0
    assert {"scaling-total.svg", "jackknife.png", "mine.svg"} < {path.name for path in folder.iterdir()}
    assert not (folder / "jackknife.svg").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("study")
def test_a_browser_that_breaks_off_is_named(scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/bin/false")
    monkeypatch.setenv("HOME", "/nowhere")
    ended = scaling_lab("report", "--results-dir", "runs", "--format", "md,svg")
    assert ended.code == 0
    assert ended.err.startswith("figures: /bin/false broke off (")
    assert "![" not in Path("runs/report.md").read_text()


@pytest.mark.usefixtures("study", "without_browser")
def test_without_a_browser_all_else_is_made_and_one_line_says_how_to_get_it(scaling_lab: CommandLine) -> None:
    ended = scaling_lab("report", "--results-dir", "runs", "--format", "html,png,md")
    assert (ended.code, ended.err) == (0, NO_BROWSER)
    assert {path.name for path in Path("runs").glob("report*")} == {"report.html", "report.md"}


@pytest.mark.usefixtures("study", "without_browser")
def test_where_only_figures_are_asked_for_it_is_an_error(scaling_lab: CommandLine) -> None:
    ended = scaling_lab("report", "--results-dir", "runs", "--format", "png,svg")
    assert (ended.code, ended.out, ended.err) == (2, "", NO_BROWSER)


@pytest.mark.usefixtures("study")
def test_without_kaleido_the_command_that_gets_it_is_said(
    scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    ended = scaling_lab("report", "--results-dir", "runs", "--format", "json,svg")
    assert (ended.code, ended.err) == (0, NO_KALEIDO)
    assert scaling_lab("report", "--results-dir", "runs", "--format", "svg").err == NO_KALEIDO


@pytest.mark.usefixtures("without_browser")
def test_a_study_with_nothing_to_draw_says_so(tmp_path: Path, scaling_lab: CommandLine) -> None:
    Study(tmp_path / "runs").write_run("tiny", state="diverged")
    ended = scaling_lab("report", "--results-dir", "runs", "--format", "html,svg")
    assert ended.code == 0
    assert ended.err == "figures: no run has anything to draw; train some with `scaling-lab study`\n"
