"""The report in a real browser: every figure is drawn, and the page's own policy stops none of its scripts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_page import Page
from study_folders import Study

from scaling_lab.report import build_comparison, build_report
from scaling_lab.studies.analysis import StudyAnalysis
from scaling_lab.studies.comparison import Comparison, LabelledStudy

CLICKS = """<script>
for (const shows of ["bits", "matmul"]) document.querySelector(`[data-shows="${shows}"]`).click();
</script>"""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


@pytest.fixture
def browser() -> str:
    """A Chromium of whatever name."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"none of these browsers is installed: {', '.join(BROWSERS)}")
    return found


def dump_dom(browser: str, page: Path, profile: Path) -> str:
    """The page's HTML after its scripts have run."""
    quiet = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet, f"--user-data-dir={profile}")
    command = [browser, *options, "--virtual-time-budget=8000", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.slow
def test_browser_draws_every_figure(identified: StudyAnalysis, browser: str, tmp_path: Path) -> None:
    report = build_report(identified, tmp_path / "report.html")
    dom = dump_dom(browser, report, tmp_path / "profile")
    plots = dom.split('data-figure="')[1:]
    asked_for = [found for _, found in Page(report.read_text(encoding="utf-8")).elements if "data-figure" in found]
    assert len(plots) == len(asked_for) == 9
    for plot in plots:
        assert '<svg class="main-svg"' in plot
        assert 'class="scatterlayer' in plot


@pytest.mark.slow
def test_two_choices_of_a_figure_are_made_together(identified: StudyAnalysis, browser: str, tmp_path: Path) -> None:
    other = Study(tmp_path / "other", noise=0.002, draw="o").write(seeds=3).analysis()
    studies = LabelledStudy("one", tmp_path / "runs", identified), LabelledStudy("other", tmp_path / "other", other)
    page = build_comparison(Comparison(studies), tmp_path / "comparison.html", "scaling-lab report --compare one other")
    untouched = dump_dom(browser, page, tmp_path / "profile")
    assert 'data-figure="nats-total"' in untouched
    assert 'class="scatterlayer' in untouched
    # The page's own policy would not run a script that is none of its own.
    source = re.sub("<meta http-equiv=[^>]*>", "", page.read_text(encoding="utf-8")).replace(
        "</body>", f"{CLICKS}</body>"
    )
    page.write_text(source, encoding="utf-8")
    clicked = dump_dom(browser, page, tmp_path / "profile")
    assert 'data-figure="bits-matmul"' in clicked
    assert "validation loss, bits a character</text>" in clicked
