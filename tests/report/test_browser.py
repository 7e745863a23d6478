"""The report in a real browser: drawn whole and silently, by light and dark, on a desk and a phone; and it sounds."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from servers import wait_until
from study_folders import Study, write_some_music

from scaling_lab.report import build_comparison, build_report
from scaling_lab.report.music import FREE_SHOWN
from scaling_lab.studies.analysis import StudyAnalysis
from scaling_lab.studies.comparison import Comparison, LabelledStudy

pytestmark = pytest.mark.slow

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
FIGURES = 9
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>javascript:alert(3)\u202egnp.exe"
HOSTILE_ABC = (
    "M:4/4\nL:1/8\nT:</title><script>alert(4)</script>\nK:D\n"
    '"<img src=x onerror=alert(5)>"A2|[r:javascript:alert(6)]B2|\n'
    "%%text <a href=javascript:alert(7)>\nw:<svg/onload=alert(8)>\n%%beginsvg\n<svg onload=alert(9)></svg>\n%%endsvg\n"
)
# What is sounded is listened to on its way to the loudspeaker.
LISTENING = """
window.contexts = [];
window.AudioContext = class extends AudioContext {
  constructor(...options) { super(...options); window.contexts.push(this); }
  get destination() {
    this.ear ??= new AnalyserNode(this);
    if (!this.joined) { this.joined = true; this.ear.connect(super.destination); }
    return this.ear;
  }
};
window.loudness = () => {
  const wave = new Float32Array(2048);
  window.contexts.at(-1).ear.getFloatTimeDomainData(wave);
  return Math.max(...wave.map(Math.abs));
};
"""


@pytest.fixture
def with_music(tmp_path: Path) -> StudyAnalysis:
    """Five sizes that identify a law, each of which has written music."""
    study = Study(tmp_path / "runs").write()
    write_some_music(study)
    return study.analysis()


@pytest.fixture
def opened(browser: Any) -> Callable[..., Any]:
    """`with opened(path) as page:` fails the test at whatever the browser complains of, and at any request."""

    @contextmanager
    def open_(path: Path, viewport: dict[str, int] = DESK, **options: Any) -> Iterator[Any]:
        context = browser.new_context(viewport=viewport, **options)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(f"asked for {request.url[:200]}"))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.add_init_script(LISTENING)
        page.goto(path.as_uri())
        drawn = "[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.scatterlayer'))"
        wait_until(lambda: page.evaluate(drawn), what="a drawing of every figure")
        yield page
        assert complaints == [f"asked for {path.as_uri()}"]
        context.close()

    return open_


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_and_score_is_drawn_and_nothing_is_wider_than_the_window(
    with_music: StudyAnalysis, opened: Any, tmp_path: Path, scheme: str, viewport: dict[str, int]
) -> None:
    with opened(build_report(with_music, tmp_path / "report.html"), viewport, color_scheme=scheme) as page:
        assert page.locator(".plot").count() == page.locator(".plot .scatterlayer").count() == FIGURES
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        choices = page.locator("#music .choice button").all()
        assert len(choices) == 2 + FREE_SHOWN
        for choice in choices:
            choice.click()
            # Heads, stems and lines, not an empty staff.
            drawn = page.locator(".notation svg").evaluate_all(
                "all => all.map(one => one.querySelectorAll('path').length)"
            )
            assert len(drawn) == 5
            assert min(drawn) > 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(with_music: StudyAnalysis, opened: Any, tmp_path: Path, scheme: str) -> None:
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    with opened(build_report(with_music, tmp_path / "report.html"), color_scheme=scheme) as page:
        page.evaluate(axe)
        found = page.evaluate("axe.run()")
        serious = [rule for rule in found["violations"] if rule["impact"] in ("serious", "critical")]
        assert [(rule["id"], [node["html"][:200] for node in rule["nodes"][:3]]) for rule in serious] == []
        assert len(found["passes"]) > 20


def test_a_tune_sounds_until_it_is_stopped(with_music: StudyAnalysis, opened: Any, tmp_path: Path) -> None:
    with opened(build_report(with_music, tmp_path / "report.html")) as page:
        first, second = page.locator(".play").first, page.locator(".play").nth(1)
        first.click()
        assert page.evaluate("contexts.length") == 1
        wait_until(lambda: page.evaluate("contexts[0].state === 'running' && loudness() > 0.02"), what="the sound")
        assert first.text_content() == "Stop"
        second.click()
        assert (first.text_content(), second.text_content()) == ("Play", "Stop")
        wait_until(lambda: page.evaluate("loudness() > 0.02"), what="the sound")
        second.click()
        wait_until(lambda: page.evaluate("loudness() === 0"), what="the sound")


def test_a_tune_that_is_over_stops_by_itself(opened: Any, tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write()
    write_some_music(study, free="M:4/4\nL:1/8\nK:D\nD|")
    with opened(build_report(study.analysis(), tmp_path / "report.html")) as page:
        page.locator("#music .choice button").last.click()
        play = page.locator(".play").first
        play.click()
        assert play.text_content() == "Stop"
        wait_until(lambda: page.evaluate("document.querySelector('.play').textContent === 'Play'"), what="the sound")


def test_the_count_of_n_is_switched_by_the_keyboard(with_music: StudyAnalysis, opened: Any, tmp_path: Path) -> None:
    with opened(build_report(with_music, tmp_path / "report.html")) as page:
        title = "document.querySelector('#figure-scaling .xtitle').textContent"
        before = page.evaluate(title)
        page.locator("[data-shows=scaling-matmul]").focus()
        page.keyboard.press("Enter")
        assert page.evaluate(title) == "matmul parameters N" != before
        assert page.locator("[data-shows=scaling-matmul]").get_attribute("aria-pressed") == "true"


def test_tables_are_sorted_by_a_head_and_copied_to_the_digit(
    with_music: StudyAnalysis, opened: Any, tmp_path: Path
) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with opened(build_report(with_music, tmp_path / "report.html"), permissions=permissions) as page:
        losses = page.locator("#summary [data-key=final_val_loss]")
        numbers = "cells => cells.map(cell => Number(cell.dataset.value))"
        falling = losses.evaluate_all(numbers)
        assert falling == sorted(falling, reverse=True)
        page.locator("#summary thead button", has_text="validation").first.click()
        assert losses.evaluate_all(numbers) == sorted(falling)
        page.locator("#summary caption button").click()
        page.locator("#summary caption button", has_text="Copied").wait_for()
        page.locator("#summary caption button").click()
        page.locator("#summary caption button").get_by_text("Copy", exact=True).wait_for()
        heads, *rows = page.evaluate("navigator.clipboard.readText()").splitlines()
        place = heads.split("\t").index("final_val_loss")
        assert [float(row.split("\t")[place]) for row in rows] == sorted(falling)


def test_hostile_names_and_tunes_are_inert(opened: Any, tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write(sizes=("small", "medium", "large"))
    study.write_run("tiny", name=HOSTILE, git_commit=HOSTILE, data={"name": HOSTILE, "fingerprint": "f" * 10_000})
    study.write_run("xl", state=HOSTILE)
    write_some_music(study, free=HOSTILE_ABC + "A" * 10_000, prompt=HOSTILE_ABC)
    analysis = study.analysis()
    analysis = replace(analysis, left_out=(*analysis.left_out, replace(analysis.left_out[0], name=HOSTILE)))
    with opened(build_report(analysis, tmp_path / "report.html")) as page:
        for choice in page.locator("#music .choice button").all():
            choice.click()
        page.locator(".play").first.click()
        assert page.locator("script").count() == 3 + 5
        assert page.locator("img, a:not([href^='#']), iframe, [onerror], [onload]").count() == 0
        assert HOSTILE_ABC.splitlines()[2] in page.locator("#music code").first.text_content()
        assert page.locator("main").text_content().count("<script>alert(1)</script>") >= 3


def test_what_a_model_wrote_that_is_no_music_is_shown_as_it_is(opened: Any, tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write()
    write_some_music(study, free="((((|:|:|:||||]]]]&&&&", prompt="")
    with opened(build_report(study.analysis(), tmp_path / "report.html")) as page:
        assert page.locator(".play:disabled").count() == 5
        assert page.locator("#music .choice button").count() == FREE_SHOWN
        assert "((((|:|:|:||||]]]]&&&&" in page.locator("#music code").first.text_content()


def test_the_page_holds_what_it_draws(with_music: StudyAnalysis, opened: Any, tmp_path: Path) -> None:
    path = build_report(with_music, tmp_path / "report.html")
    assert path.stat().st_size < 8e6
    with opened(path) as page:
        tunes = json.loads(page.locator("#tunes").text_content())
        assert {size: len(rows) for size, rows in tunes.items()} == dict.fromkeys(
            ("tiny", "small", "medium", "large", "xl"), 2 + FREE_SHOWN
        )


def test_two_choices_of_a_figure_are_made_together(identified: StudyAnalysis, opened: Any, tmp_path: Path) -> None:
    other = Study(tmp_path / "other", noise=0.002, draw="o").write(seeds=3).analysis()
    studies = LabelledStudy("one", tmp_path / "runs", identified), LabelledStudy("other", tmp_path / "other", other)
    path = build_comparison(Comparison(studies), tmp_path / "comparison.html", "scaling-lab report --compare one other")
    with opened(path) as page:
        assert page.locator("[data-figure=nats-total] .scatterlayer").count() == 1
        page.locator("[data-shows=bits]").click()
        page.locator("[data-shows=matmul]").click()
        assert page.locator("[data-figure=bits-matmul] .scatterlayer").count() == 1
        assert page.locator(".ytitle").first.text_content() == "validation loss, bits a character"


def test_a_page_that_is_watched_shows_by_itself_what_is_written_next(browser: Any, tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write(sizes=("tiny", "small"))
    path = build_report(study.analysis(), tmp_path / "report.html", reload_seconds=1)
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    assert "medium" not in page.locator("#summary").text_content()
    build_report(study.write(sizes=("medium",)).analysis(), path)
    page.locator("#summary", has_text="medium").wait_for()
    assert page.locator("meta[http-equiv=refresh]").count() == 0
    context.close()


def test_intervals_are_sorted_by_their_lower_end_and_none_is_last(opened: Any, tmp_path: Path) -> None:
    study = Study(tmp_path / "runs", noise=0.004, loss=lambda n: 14 * n**-0.05 - 5.8).write()
    with opened(build_report(study.analysis(), tmp_path / "report.html")) as page:
        page.locator("#laws thead button", has_text="95 % interval").nth(1).click()
        cells = page.locator("#laws tbody [data-key='a.interval']")
        lows = [float(value.split()[0]) for value in cells.evaluate_all("all => all.map(one => one.dataset.value)")]
        assert lows == sorted(lows)
        assert len(set(lows)) > 2


def test_a_name_like_a_formula_is_copied_as_text(opened: Any, tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write(sizes=("small", "medium", "large"))
    study.write_run("tiny", name='=HYPERLINK("https://example.org")')
    permissions = ["clipboard-read", "clipboard-write"]
    with opened(build_report(study.analysis(), tmp_path / "report.html"), permissions=permissions) as page:
        page.locator("#summary caption button").click()
        page.locator("#summary caption button", has_text="Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert '\t\'=HYPERLINK("https://example.org")\n' in copied


def test_slurs_without_an_end_are_left_out_of_the_drawing_alone(opened: Any, tmp_path: Path) -> None:
    study = Study(tmp_path / "runs").write()
    write_some_music(study, free='M:4/4\nL:1/8\nK:D\nB)c (GA) "(" ((3DEF|d8|\n')
    with opened(build_report(study.analysis(), tmp_path / "report.html")) as page:
        page.locator("#music .choice button").last.click()
        tune = json.loads(page.locator("#tunes").text_content())["xl"][-1]
        assert tune["drawn"].endswith('K:D\nBc (GA) "(" (3DEF|d8|\n')
        assert tune["abc"].endswith('K:D\nB)c (GA) "(" ((3DEF|d8|\n')
        assert "((3DEF" in page.locator("#music code").last.text_content()
