"""The report in a real browser: every figure is drawn, and the page's own policy stops none of its scripts."""

import subprocess
from pathlib import Path

import pytest
from report_page import Page

from scaling_lab.report import build_report
from scaling_lab.studies.analysis import StudyAnalysis


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
