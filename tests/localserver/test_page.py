"""The pages for people: what they show, that they show it safely, and that they follow a run that trains."""

import re
from typing import Any

import pytest
from server_client import Client, rows_of_a_training
from servers import RunningServer

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>javascript:alert(3)\u202egnp.exe"

pytestmark = pytest.mark.slow


@pytest.fixture
def client(server: RunningServer) -> Client:
    return Client(server)


def words(page: str) -> str:
    """The text of a page's <main>."""
    main = page.split("<main", 1)[1].split("</main>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", main).split())


def train(client: Client, name: str, size: str, n_steps: int = 40, **values: Any) -> None:
    """A run as a training leaves it so far."""
    config = {"size": size, "seed": 0, "steps": 40, "model": {"d_model": 32}}
    summary = {"train/loss": 2.5, "val/loss": {"min": 2.25}, "perf/tokens_per_second": 12345.6}
    client.run(name, display=f"mini-{size}-seed0", group="mini-study", config=config, summary=summary, **values)
    client.log(name, rows_of_a_training(n_steps), console=["one\r\ntwo\x1b[31m red\n"])


def test_an_empty_store_says_what_to_do_next(client: Client) -> None:
    page = client.page("/").text
    assert f"export WANDB_BASE_URL={client.server.url}" in page
    assert "export WANDB_API_KEY=…" in page
    assert "scaling-lab study" in page
    assert client.server.api_key not in page


def test_first_page_shows_projects_runs_and_the_losses_of_what_trains(client: Client) -> None:
    train(client, "aaaa", "tiny")
    train(client, "bbbb", "xl", n_steps=20)
    page = client.page("/").text
    assert "Training now: mini-study" in page
    assert "data-running" in page
    assert page.count('class="line"') == page.count('class="dots"') == 2
    row = "mini-xl-seed0 music running xl 0 20 of 40 2.5 2.25 12,346 just now"
    assert row in words(page)
    assert "local/music 2 0 just now" in words(page)


def test_a_project_shows_its_runs_by_group_and_page(client: Client) -> None:
    for number in range(101):
        client.run(f"run{number}", group="late" if number > 98 else "early")
    page = client.page("/local/music").text
    assert page.count('<th scope="row">') == 100
    assert "Page 1 of 2" in page
    assert client.page("/local/music?page=2").text.count('<th scope="row">') == 1
    group = client.page("/local/music?group=late").text
    assert group.count('<th scope="row">') == 2
    assert "No run here in this group" in client.page("/local/music?group=nobody").text
    for odd in ("page=0", "page=-1", "page=x", "page=" + "9" * 100, "page=%B2"):
        assert client.page(f"/local/music?{odd}").status == 200


def test_a_run_shows_everything_about_it(client: Client) -> None:
    train(client, "aaaa", "tiny", tags=["mine"], notes="worth a look")
    client.upload("aaaa", "config.yaml", b"size: tiny")
    page = client.page("/local/music/runs/aaaa").text
    for expected in ("mini-tiny-seed0", "running", "mine", "worth a look", "model.d_model 32", "val/loss.min 2.25"):
        assert expected in words(page)
    for metric in ("train/loss", "val/loss", "perf/tokens_per_second"):
        assert f"<bdi>{metric}</bdi></h3>" in page
    assert "two red" in words(page)
    assert "\x1b" not in page
    address = re.search(r'href="(/storage/[^"]*)"', page)
    assert address is not None
    assert client.ask("GET", address[1].replace("&amp;", "&")).body == b"size: tiny"


def test_losses_that_are_no_numbers_leave_a_gap(client: Client) -> None:
    client.run("aaaa")
    values = (3.0, 2.0, float("nan"), float("inf"), -1.0, 1e308, 2.5, 2.4)
    client.log("aaaa", [{"_step": step, "train/loss": value} for step, value in enumerate(values)])
    for path in ("/", "/local/music/runs/aaaa"):
        line = re.search(r'class="line" d="([^"]*)"', client.page(path).text)
        assert line is not None
        assert re.sub(r"[^ML]", "", line[1]) == "MLML"


def test_a_sweep_shows_its_trials(client: Client) -> None:
    config = "method: grid\nprogram: cli.py\nmetric: {name: val/loss}\nparameters:\n  size: {values: [tiny, xl]}\n"
    made = client.graphql(
        'mutation ($config: String) { upsertSweep(input: {entityName: "local", projectName: "music", config: $config}) '
        "{ sweep { name } } }",
        config=config,
    )
    name = made.json["data"]["upsertSweep"]["sweep"]["name"]
    assert f"{name} – pending 2 0 just now" in words(client.page("/local/music/sweeps").text)
    page = client.page(f"/local/music/sweeps/{name}").text
    assert f"wandb agent local/music/{name}" in page
    assert "1 tiny waiting – – – – 0 –" in words(page)
    assert "program: cli.py" in page


@pytest.mark.parametrize(
    "path", ["/local/nobody", "/local/music/runs/nobody", "/local/music/sweeps/nobody", "/a/b/c/d/e"]
)
def test_an_address_that_leads_nowhere_says_so(client: Client, path: str) -> None:
    client.run("aaaa")
    answer = client.page(path)
    assert answer.status == 404
    assert "There is nothing at this address." in answer.text
    assert "content-security-policy" in answer.headers


def test_every_page_forbids_the_browser_what_it_does_not_need(client: Client) -> None:
    train(client, "aaaa", "tiny")
    for path in ("/", "/login", "/local/music", "/local/music/runs/aaaa", "/local/music/sweeps"):
        answer = client.page(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert " style=" not in answer.text


def hostile_run(client: Client) -> None:
    long = HOSTILE + "x" * 10_000
    client.run(
        "aaaa", display=long, group=HOSTILE, config={HOSTILE: HOSTILE, "size": HOSTILE}, summary={HOSTILE: HOSTILE},
        tags=[HOSTILE], notes=long,
    )  # fmt: skip
    client.log("aaaa", [{"_step": step, "train/loss": 3 - step, HOSTILE: step} for step in range(3)], console=[HOSTILE])
    client.upload("aaaa", HOSTILE, b"<script>alert(4)</script>")


PAGES = ("/", "/local/music", "/local/music/runs/aaaa", "/local/music/sweeps", "/local/music?group=%3Cscript%3E")


def test_hostile_names_are_text(client: Client) -> None:
    hostile_run(client)
    for path in PAGES:
        page = client.page(path).text
        assert page.count("<script") == page.count("</script") == 1
        assert "<img" not in page
        assert "\u202e" not in page
        assert 'href="javascript' not in page
        assert len(page) < 200_000


def test_hostile_names_are_inert_in_a_browser(client: Client, browser: Any) -> None:
    hostile_run(client)
    page = browser.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{client.server.url}/login?key={client.server.api_key}")
    assert page.url == f"{client.server.url}/"
    for path in PAGES:
        page.goto(client.server.url + path)
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert complaints == []
    assert [url for url in asked if not url.startswith((client.server.url, "data:"))] == []


def test_a_page_follows_a_run_that_trains_until_told_to_pause(client: Client, browser: Any) -> None:
    train(client, "aaaa", "tiny", n_steps=10)
    page = browser.new_page()
    page.goto(f"{client.server.url}/login?key={client.server.api_key}")
    before = page.locator("path.line").get_attribute("d")
    page.evaluate("window.mark = 1")
    client.log("aaaa", rows_of_a_training(30))
    page.wait_for_function("(before) => document.querySelector('path.line').getAttribute('d') !== before", arg=before)
    assert "30 of 40" in page.inner_text("main")
    assert page.evaluate("window.mark") == 1
    page.click("#live")
    assert page.locator("#live").get_attribute("aria-pressed") == "true"
    client.stream("aaaa", {"complete": True, "exitcode": 0})
    page.wait_for_timeout(4000)
    assert "running" in page.inner_text("main")
    page.click("#live")
    page.wait_for_function("() => !('running' in document.querySelector('main').dataset)")
    assert "finished" in page.inner_text("main")


def test_everything_is_there_without_scripts(client: Client, browser: Any) -> None:
    train(client, "aaaa", "tiny")
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{client.server.url}/local/music/runs/aaaa")
    page.fill("#key", client.server.api_key)
    page.click("form button")
    assert page.url == f"{client.server.url}/local/music/runs/aaaa"
    assert page.locator("svg.area").count() == 3
