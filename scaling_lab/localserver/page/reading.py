"""What the pages show, read from the store; nothing here changes anything."""

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from scaling_lab.localserver import storage
from scaling_lab.localserver.page import formats
from scaling_lab.localserver.page.curves import TRAIN_LOSS, VAL_LOSS
from scaling_lab.localserver.runs import Runs
from scaling_lab.localserver.store import Row
from scaling_lab.localserver.sweeps import MOST_ATTEMPTS

PAGE_SIZE = 100
MOST_DRAWN = 30
MOST_LISTED = 500
SPEED = "perf/tokens_per_second"


@dataclass(frozen=True)
class RunLine:
    """A run as tables show it."""

    row: Row
    name: str
    title: str
    address: str
    project_address: str
    project_name: str
    state: str
    size: str
    seed: str
    step: int
    steps: int | None
    loss: Any
    val_loss: Any
    speed: Any
    created: float
    heartbeat: float


@dataclass(frozen=True)
class Studied:
    """The runs whose curves a page draws, and what they have in common."""

    title: str
    lines: list[RunLine]


class Reading:
    """Reads for the pages, through the same eyes as the SDK's questions."""

    def __init__(self, runs: Runs, silent_after_seconds: float) -> None:
        self._runs, self._store, self._silent_after = runs, runs.store, silent_after_seconds
        self._lines = (
            f"SELECT runs.*, projects.entity AS entity, projects.name AS project_name FROM {runs.table} "
            "JOIN projects ON projects.id = runs.project"
        )

    # Projects and runs

    def projects(self) -> list[dict[str, Any]]:
        """Every project with how many runs it has, the one that was begun last first."""
        sql = (
            "SELECT projects.*, (SELECT count(*) FROM runs WHERE project = projects.id) AS run_count, "
            "(SELECT count(*) FROM sweeps WHERE project = projects.id) AS sweep_count, "
            "(SELECT max(created_at) FROM runs WHERE project = projects.id) AS newest FROM projects "
            f"ORDER BY newest DESC, id DESC LIMIT {MOST_LISTED}"
        )
        return [{**dict(row), "address": project_address(row["entity"], row["name"])} for row in self._store.rows(sql)]

    def project(self, entity: str, name: str) -> Row | None:
        """A project's row, or None."""
        return self._runs.project(entity, name)

    def newest(self, size: int) -> list[RunLine]:
        """The newest runs of all projects."""
        # By id, which rises with time: no index orders the runs of all projects by their moment.
        return self._run_lines(f"{self._lines} ORDER BY runs.id DESC LIMIT ?", size)

    def runs_of(self, project: Row, group: str | None, page: int) -> tuple[list[RunLine], int]:
        """A page of a project's runs, or of one group's, the newest first; and how many there are."""
        condition, values = ("project = ?", [project["id"]])
        if group is not None:
            condition, values = f"{condition} AND group_name = ?", [*values, group]
        total = self._store.row(f"SELECT count(*) FROM runs WHERE {condition}", values)
        sql = f"{self._lines} WHERE {condition} ORDER BY created_at DESC, runs.id DESC LIMIT ? OFFSET ?"
        return self._run_lines(sql, *values, PAGE_SIZE, page * PAGE_SIZE), total[0] if total else 0

    def groups(self, project: Row) -> list[Row]:
        """The groups of a project that hold more than one run, the newest first."""
        sql = (
            "SELECT group_name AS name, count(*) AS run_count FROM runs WHERE project = ? AND group_name IS NOT NULL "
            "GROUP BY group_name HAVING run_count > 1 ORDER BY max(id) DESC LIMIT 12"
        )
        return self._store.rows(sql, (project["id"],))

    def studied(self, project: Row | None = None, group: str | None = None) -> Studied | None:
        """What is worth a look: the study that trains now, else the newest one; or a group asked for."""
        if project is not None and group is not None:
            return Studied(group, self._group(project["id"], group))
        newest = self._newest_running(project) or self._newest_run(project)
        if newest is None:
            return None
        now = "Training now" if newest["live_state"] == "running" else "Newest"
        if newest["group_name"]:
            lines = self._group(newest["project"], newest["group_name"])
            return Studied(f"{now}: {newest['group_name']}" if len(lines) > 1 else f"{now}: {lines[0].title}", lines)
        line = _line(newest)
        return Studied(f"{now}: {line.title}", [line])

    def run(self, entity: str, project: str, name: str) -> RunLine | None:
        """A run, or None."""
        sql = f"{self._lines} WHERE projects.entity = ? AND projects.name = ? AND runs.name = ?"
        return next(iter(self._run_lines(sql, entity, project, name)), None)

    def is_running(self, project: Row | None = None) -> bool:
        """Whether any run, or any of a project, is running."""
        return self._newest_running(project) is not None

    def _group(self, project: int, group: str) -> list[RunLine]:
        sql = f"{self._lines} WHERE runs.project = ? AND group_name = ? ORDER BY created_at DESC LIMIT {MOST_DRAWN}"
        return self._run_lines(sql, project, group)

    def _newest_running(self, project: Row | None) -> Row | None:
        # These words and no others let SQLite use the index of running runs.
        chosen, values = ("AND project = ?", (project["id"],)) if project is not None else ("", ())
        sql = f"{self._lines} WHERE runs.state = 'running' AND heartbeat > ? {chosen} ORDER BY created_at DESC LIMIT 1"
        return self._store.row(sql, (time.time() - self._silent_after, *values))

    def _newest_run(self, project: Row | None) -> Row | None:
        chosen, values = ("WHERE runs.project = ?", (project["id"],)) if project is not None else ("", ())
        return self._store.row(f"{self._lines} {chosen} ORDER BY runs.id DESC LIMIT 1", values)

    def _run_lines(self, sql: str, *values: Any) -> list[RunLine]:
        return [_line(row) for row in self._store.rows(sql, values)]

    # Of one run

    def console(self, run: Row, size: int) -> list[str]:
        """The last lines of console output."""
        sql = "SELECT line FROM logs WHERE run = ? AND number >= ? ORDER BY number LIMIT ?"
        rows = self._store.rows(sql, (run["id"], run["log_lines"] - size, size))
        return [formats.console(row["line"]) for row in rows]

    def files(self, run: Row) -> list[dict[str, Any]]:
        """Files of a run, each with the address to fetch it at."""
        sql = f"SELECT * FROM run_files WHERE run = ? AND bytes IS NOT NULL ORDER BY name LIMIT {MOST_LISTED}"
        return [
            {
                "name": formats.plain(row["name"]),
                "size": formats.size_in_bytes(row["bytes"]),
                "address": storage.address(self._store, "", "runs", str(run["id"]), row["name"]),
            }
            for row in self._store.rows(sql, (run["id"],))
        ]

    def artifacts(self, run: Row) -> list[dict[str, Any]]:
        """Artifacts that a run made, and those it used."""
        sql = (
            "SELECT role, bytes, file_count, collections.name, collections.type, version, "
            "(SELECT group_concat(alias, ', ') FROM aliases WHERE artifact = artifacts.id "
            "AND collection = artifacts.collection) AS aliases FROM artifact_uses "
            "JOIN artifacts ON artifacts.id = artifact_uses.artifact "
            "JOIN collections ON collections.id = artifacts.collection "
            "JOIN memberships ON memberships.artifact = artifacts.id AND memberships.collection = artifacts.collection "
            f"WHERE artifact_uses.run = ? ORDER BY role, artifacts.id LIMIT {MOST_LISTED}"
        )
        rows = self._store.rows(sql, (run["id"],))
        return [{**dict(row), "how": "made" if row["role"] == "output" else "used"} for row in rows]

    # Sweeps

    def sweeps_of(self, project: Row) -> list[dict[str, Any]]:
        """Sweeps of a project, the newest first."""
        sql = (
            "SELECT sweeps.*, (SELECT count(*) FROM trials WHERE sweep = sweeps.id) AS trial_count, "
            "(SELECT count(*) FROM agents WHERE sweep = sweeps.id AND heartbeat > ?) AS agent_count "
            f"FROM sweeps WHERE project = ? ORDER BY id DESC LIMIT {MOST_LISTED}"
        )
        rows = self._store.rows(sql, (time.time() - self._silent_after, project["id"]))
        base = project_address(project["entity"], project["name"])
        return [{**dict(row), "address": f"{base}/sweeps/{quote(row['name'])}"} for row in rows]

    def sweep(self, project: Row, name: str) -> dict[str, Any] | None:
        """A sweep, or None."""
        return next((sweep for sweep in self.sweeps_of(project) if sweep["name"] == name), None)

    def trials(self, sweep: dict[str, Any]) -> list[dict[str, Any]]:
        """Trials in their order: what each tries, who has it, and the run that it is or will be."""
        sql = (
            "SELECT trials.*, agents.name AS agent_name, agents.host AS agent_host FROM trials "
            f"LEFT JOIN agents ON agents.id = trials.agent WHERE trials.sweep = ? ORDER BY number LIMIT {MOST_LISTED}"
        )
        begun = f"{self._lines} WHERE runs.project = ? AND runs.sweep = ?"
        runs = {line.name: line for line in self._run_lines(begun, sweep["project"], sweep["name"])}
        return [_trial(row, runs.get(row["run"])) for row in self._store.rows(sql, (sweep["id"],))]


def project_address(entity: str, name: str) -> str:
    """Where a project's page is."""
    return f"/{quote(entity, safe='')}/{quote(name, safe='')}"


def config_of(run: Row) -> dict[str, Any]:
    """A run's configuration as it was given: the SDK wraps each value, and adds some of its own."""
    content = _object(run["config"])
    return {
        key: entry["value"] if isinstance(entry, dict) and "value" in entry else entry
        for key, entry in content.items()
        if key != "_wandb"
    }


def summary_of(run: Row) -> dict[str, Any]:
    """A run's summary without what the SDK adds: its version, its clock."""
    return {key: value for key, value in _object(run["summary"]).items() if not key.startswith("_")}


def _line(row: Row) -> RunLine:
    config, summary = config_of(row), summary_of(row)
    base = project_address(row["entity"], row["project_name"])
    steps = config.get("steps")
    return RunLine(
        row=row,
        name=row["name"],
        title=formats.plain(row["display_name"] or row["name"], 120),
        address=f"{base}/runs/{quote(row['name'], safe='')}",
        project_address=base,
        project_name=row["project_name"],
        state=row["live_state"],
        size=formats.plain(config.get("size", ""), 24),
        seed=formats.plain(config.get("seed", ""), 24),
        step=row["last_step"],
        steps=steps if isinstance(steps, int) else None,
        loss=_measured(summary.get(TRAIN_LOSS)),
        val_loss=_measured(summary.get(VAL_LOSS)),
        speed=_whole(_measured(summary.get(SPEED))),
        created=formats.seconds_of(row["created_at"]),
        heartbeat=row["heartbeat"],
    )


def _trial(row: Row, run: RunLine | None) -> dict[str, Any]:
    return {
        "number": row["number"] + 1,
        "arguments": _object(row["arguments"]),
        "attempts": row["attempts"],
        "agent": row["agent_name"],
        "host": row["agent_host"],
        "run": run,
        "state": run.state if run else _state_without_run(row),
    }


def _state_without_run(trial: Row) -> str:
    if trial["agent"]:
        return "started"  # an agent has it, and its process hasn't said a word so far
    return "given up" if trial["attempts"] >= MOST_ATTEMPTS else "waiting"


def _measured(value: Any) -> Any:
    """A summary's value; where a metric was defined by its least or its last, that."""
    if isinstance(value, dict):
        return next((value[key] for key in ("min", "max", "mean", "last") if key in value), None)
    return value


def _whole(value: Any) -> Any:
    return round(value) if isinstance(value, float) and 10 <= value < 1e15 else value


def _object(text: str | None) -> dict[str, Any]:
    content = json.loads(text or "{}")
    return content if isinstance(content, dict) else {}
