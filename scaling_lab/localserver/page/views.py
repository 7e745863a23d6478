"""Which address shows what."""

import json
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scaling_lab.localserver.page import formats
from scaling_lab.localserver.page.curves import Curves
from scaling_lab.localserver.page.drawing import Curve, Figure, draw
from scaling_lab.localserver.page.reading import (
    MOST_DRAWN,
    PAGE_SIZE,
    Reading,
    RunLine,
    config_of,
    project_address,
    summary_of,
)
from scaling_lab.localserver.page.render import prepare, render
from scaling_lab.localserver.page.session import Login
from scaling_lab.localserver.runs import Runs
from scaling_lab.localserver.store import Row

NEWEST_RUNS = 20
CONSOLE_LINES = 100
MOST_FACTS = 400
LARGE, SMALL = 320, 150
# So few points are shown one by one, too.
FEW_POINTS = 60

log = logging.getLogger(__name__)


def page_routes(runs: Runs, silent_after_seconds: float) -> list[Route]:
    """The addresses that people look at."""
    prepare()
    login, pages = Login(runs.store), _Pages(runs, silent_after_seconds)
    shown: list[tuple[str, Callable[[Request], Response]]] = [
        ("/", pages.home),
        ("/{entity}/{project}", pages.project),
        ("/{entity}/{project}/runs", pages.project),
        ("/{entity}/{project}/runs/{run}", pages.run),
        ("/{entity}/{project}/sweeps", pages.sweeps),
        ("/{entity}/{project}/sweeps/{sweep}", pages.sweep),
    ]
    return [
        Route("/login", login.get, methods=["GET"]),
        Route("/login", login.post, methods=["POST"]),
        # Not coroutines, so each runs in a thread: reading never holds up the event loop.
        *(Route(path, _shown(view), methods=["GET"]) for path, view in shown),
    ]


def not_found(request: Request, error: Exception) -> Response:
    """The answer to an address that leads nowhere."""
    if "text/html" not in request.headers.get("accept", ""):
        return Response("not found\n", 404, media_type="text/plain")
    return render("message.html.j2", 404, title="Not found", words="There is nothing at this address.")


def _shown(view: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def show(request: Request) -> Response:
        try:
            return view(request)
        except HTTPException:
            raise
        except Exception:
            log.exception("GET %s", request.url.path)
            words = "This page could not be made. The server's own words about it are where it was started."
            return render("message.html.j2", 500, title="Something went wrong", words=words)

    return show


class _Pages:
    """One method for each kind of page."""

    def __init__(self, runs: Runs, silent_after_seconds: float) -> None:
        self._reading, self._curves = Reading(runs, silent_after_seconds), Curves(runs.store)
        self._base_url = runs.base_url

    def home(self, request: Request) -> Response:
        """Projects, what trains now, and the newest runs."""
        studied = self._reading.studied()
        return render(
            "home.html.j2",
            title="Local runs",
            running=self._reading.is_running(),
            projects=self._reading.projects(),
            runs=self._reading.newest(NEWEST_RUNS),
            figure=self._losses(studied.lines, studied.title) if studied else None,
            base_url=self._base_url,
        )

    def project(self, request: Request) -> Response:
        """A project's runs as a table, and the losses of what is worth a look."""
        project = self._project(request)
        group, page = request.query_params.get("group"), _page_number(request)
        runs, total = self._reading.runs_of(project, group, page)
        studied = self._reading.studied(project, group) if runs else None
        return render(
            "project.html.j2",
            title=formats.plain(project["name"]),
            running=self._reading.is_running(project),
            project=project,
            path=project_address(project["entity"], project["name"]),
            group=group,
            groups=self._reading.groups(project),
            runs=runs,
            total=total,
            page=page,
            pages=max(1, -(-total // PAGE_SIZE)),
            figure=self._losses(studied.lines, studied.title) if studied else None,
        )

    def run(self, request: Request) -> Response:
        """Everything about a run."""
        project, names = self._project(request), request.path_params
        run = self._reading.run(names["entity"], names["project"], names["run"])
        if run is None:
            raise HTTPException(404)
        axis, metrics = self._curves.metrics(run.row)
        figures = [self._metric(name, axis, points, run) for name, points in metrics.items()]
        return render(
            "run.html.j2",
            title=run.title,
            running=run.state == "running",
            project=project,
            path=project_address(project["entity"], project["name"]),
            run=run,
            tags=[formats.plain(tag) for tag in json.loads(run.row["tags"])],
            figures=[figure for figure in figures if figure is not None],
            config=_facts(config_of(run.row)),
            summary=_facts(summary_of(run.row)),
            files=self._reading.files(run.row),
            artifacts=self._reading.artifacts(run.row),
            console=self._reading.console(run.row, CONSOLE_LINES),
        )

    def sweeps(self, request: Request) -> Response:
        """The sweeps of a project."""
        project = self._project(request)
        return render(
            "sweeps.html.j2",
            title="Sweeps",
            running=self._reading.is_running(project),
            project=project,
            path=project_address(project["entity"], project["name"]),
            sweeps=self._reading.sweeps_of(project),
        )

    def sweep(self, request: Request) -> Response:
        """A sweep's trials and their losses."""
        project = self._project(request)
        sweep = self._reading.sweep(project, request.path_params["sweep"])
        if sweep is None:
            raise HTTPException(404)
        trials = self._reading.trials(sweep)
        begun = [trial["run"] for trial in trials if trial["run"] is not None]
        return render(
            "sweep.html.j2",
            title=f"Sweep {sweep['name']}",
            running=any(run.state == "running" for run in begun) or sweep["agent_count"] > 0,
            project=project,
            path=project_address(project["entity"], project["name"]),
            sweep=sweep,
            trials=trials,
            parameters=sorted({name for trial in trials for name in trial["arguments"]}),
            figure=self._losses(begun[:MOST_DRAWN], "Losses of the trials"),
        )

    def _project(self, request: Request) -> Row:
        project = self._reading.project(request.path_params["entity"], request.path_params["project"])
        if project is None:
            raise HTTPException(404)
        return project

    def _losses(self, runs: Sequence[RunLine], title: str) -> Figure | None:
        read = [(run, self._curves.losses(run.row, len(runs))) for run in runs]
        # One figure has one axis: that of the first run that has points.
        axis = next((losses.axis for _, losses in read if losses.train or losses.val), "")
        curves = [
            Curve(run.title, run.size, run.address, losses.train, losses.val)
            for run, losses in read
            if losses.axis == axis
        ]
        return draw(formats.plain(title), axis, curves, height=LARGE, logarithmic=True)

    def _metric(self, name: str, axis: str, points: Any, run: RunLine) -> Figure | None:
        curve = Curve(formats.plain(name), run.size, "", points, points if len(points) <= FEW_POINTS else [])
        return draw(formats.plain(name), axis, [curve], height=SMALL, logarithmic="loss" in name, named=False)


def _facts(content: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Names and values of a tree, inner names joined to outer ones by dots."""
    facts: list[tuple[str, str]] = []
    for name, value in content.items():
        if len(facts) >= MOST_FACTS:
            break
        if isinstance(value, dict) and value:
            facts += _facts(value, f"{before}{name}.")
        else:
            text = json.dumps(value) if isinstance(value, list | dict | bool) else formats.number(value)
            facts.append((formats.plain(f"{before}{name}"), formats.plain(text)))
    return sorted(facts[:MOST_FACTS]) if not before else facts


def _page_number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    return min(int(text), 10**6) - 1 if re.fullmatch(r"[1-9][0-9]{0,8}", text) else 0
