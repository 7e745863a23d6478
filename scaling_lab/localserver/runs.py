"""Projects and runs, as nodes: what the SDK asks of them, and how it changes them."""

import json
import sqlite3
import time
from typing import Any

from scaling_lab.localserver import filters, history
from scaling_lab.localserver.decoding import json_object
from scaling_lab.localserver.graphql import Fault, Node
from scaling_lab.localserver.nodes import connection, node_id, page_bounds, paged, row_of
from scaling_lab.localserver.run_files import RunFiles
from scaling_lab.localserver.store import Row, Store, now

ENTITY = "local"
USER = {"name": "local user", "username": ENTITY}
TERMINAL = ("finished", "failed", "crashed", "killed", "preempted")


class Runs:
    """Reads and changes runs of one store; `base_url` is where its files are handed over."""

    def __init__(self, store: Store, base_url: str, crashed_after_seconds: float) -> None:
        self.store, self.base_url = store, base_url
        self.files = RunFiles(store, base_url)
        self.table = filters.runs_table(crashed_after_seconds)

    # Finding

    def project(self, entity: str | None, name: str | None) -> Row | None:
        """A project's row, or None."""
        sql = "SELECT * FROM projects WHERE entity = ? AND name = ?"
        return self.store.row(sql, (entity or ENTITY, name or "uncategorized"))

    def ensure_project(self, connection: sqlite3.Connection, entity: str | None, name: str | None) -> Row:
        """A project's row, made where there is none."""
        values = (named(entity or ENTITY), named(name or "uncategorized"))
        sql = "INSERT OR IGNORE INTO projects (entity, name, created_at) VALUES (?, ?, ?)"
        connection.execute(sql, (*values, now()))
        return connection.execute("SELECT * FROM projects WHERE entity = ? AND name = ?", values).fetchone()

    def run(self, entity: str | None, project: str | None, name: str) -> Row | None:
        """A run's row with its live state, or None."""
        found = self.project(entity, project)
        return self._find("runs.project = ? AND runs.name = ?", found["id"], name) if found else None

    def run_by_id(self, id_: str) -> Row:
        """The row of the run that an id names. Raises Fault."""
        run = self._find("runs.id = ?", row_of("Run", id_))
        if run is None:
            raise Fault("no such run", 404)
        return run

    def run_by_number(self, number: int) -> Row | None:
        """The run of a row's number, or None."""
        return self._find("runs.id = ?", number)

    def _find(self, condition: str, *values: Any) -> Row | None:
        return self.store.row(f"SELECT runs.* FROM {self.table} WHERE {condition}", values)

    # Nodes

    def run_node(self, run: Row) -> Node:
        """All that a query may ask of a run."""
        store = self.store
        return {
            "__typename": "Run",
            "id": node_id("Run", run["id"]),
            "internalId": node_id("RunInternal", run["id"]),
            "projectId": run["project"],
            "name": run["name"],
            "displayName": run["display_name"] or run["name"],
            "state": run["live_state"],
            "config": run["config"],
            "summaryMetrics": run["summary"],
            "systemMetrics": run["system"],
            "group": run["group_name"],
            "jobType": run["job_type"],
            "tags": json.loads(run["tags"]),
            "notes": run["notes"],
            "description": run["description"],
            "commit": run["commit_hash"],
            "host": run["host"],
            "readOnly": False,
            "sweepName": run["sweep"],
            "createdAt": run["created_at"],
            "updatedAt": run["heartbeat_at"],
            "heartbeatAt": run["heartbeat_at"],
            "user": {"__typename": "User", **USER},
            "project": lambda: self._project_of(run["project"]),
            # How it ended
            "exitcode": run["exit_code"],
            "shouldStop": bool(run["stop_asked"]),
            "stopped": bool(run["stop_asked"]),
            "running": run["live_state"] == "running",
            "failed": run["live_state"] in ("failed", "crashed"),
            # Rows
            "historyLineCount": run["history_lines"],
            "eventsLineCount": run["event_lines"],
            "logLineCount": run["log_lines"],
            "historyKeys": lambda: {
                "keys": json.loads(run["history_keys"]),
                "lastStep": max(0, run["last_step"]),
                "sets": [],
            },
            "historyTail": lambda: json.dumps(self._last("history", "step", run["id"])),
            "eventsTail": lambda: json.dumps(self._last("events", "time", run["id"])),
            "history": lambda samples=500, min_step=None, max_step=None: (
                history.thinned(store, run, samples)
                if min_step is None and max_step is None
                else history.page(store, run["id"], min_step or 0, 2**62 if max_step is None else max_step, samples)
            ),
            "events": lambda samples=500: history.events(store, run["id"], samples),
            "sampledHistory": lambda specs: history.sampled(store, run, specs),
            # Every row is live: what the SDK keeps of a parquet export never goes stale, and so would hide new rows.
            "parquetHistory": lambda live_keys=(): {"parquetUrls": [], "liveData": []},
            "wandbConfig": lambda keys=(): json.dumps(_wandb_config(run, keys)),
            "logLines": lambda first=None, after=None, last=None, use_improved_pagination=None: self._log_lines(
                run, first, after, last
            ),
            **self.files.fields(run),
        }

    def runs_of(self, project: Row, filter_text: Any, order: str | None, first: int | None, after: str | None) -> Node:
        """A page of a project's runs."""
        begin, size = page_bounds(first, after)
        condition, parameters = filters.where(filter_text)
        ordered, order_parameters = filters.order_by(order)
        sql = (
            f"SELECT runs.* FROM {self.table} WHERE runs.project = ? AND {condition} "
            f"ORDER BY {ordered} LIMIT ? OFFSET ?"
        )
        found = self.store.rows(sql, (project["id"], *parameters, *order_parameters, size + 1, begin))
        return connection(found[:size], self.run_node, begin=begin, more=len(found) > size)

    def count(self, project: Row, filter_text: Any) -> int:
        """How many runs of a project a filter is true of."""
        condition, parameters = filters.where(filter_text)
        sql = f"SELECT count(*) FROM {self.table} WHERE runs.project = ? AND {condition}"
        row = self.store.row(sql, (project["id"], *parameters))
        return row[0] if row else 0

    def resume_bucket(self, project: Row, name: str) -> Node | None:
        """The run that a process wants to go on with, or None where it is a new one."""
        run = self._find("runs.project = ? AND runs.name = ?", project["id"], name)
        return self.run_node(run) if run else None

    def _project_of(self, id_: int) -> Node:
        row = self.store.row("SELECT * FROM projects WHERE id = ?", (id_,))
        assert row is not None
        return project_node(row)

    def _last(self, table: str, order: str, run: int) -> list[str]:
        row = self.store.row(f"SELECT line FROM {table} WHERE run = ? ORDER BY {order} DESC LIMIT 1", (run,))
        return [row["line"]] if row else []

    def _log_lines(self, run: Row, first: int | None, after: str | None, last: int | None) -> Node:
        sql = "SELECT number, line FROM logs WHERE run = ? AND number >= ? ORDER BY number LIMIT ?"
        begin, size = page_bounds(first, after)
        if last is not None:
            begin, size = max(0, run["log_lines"] - last), max(1, min(last, 10_000))
        rows = self.store.rows(sql, (run["id"], begin, size + 1))
        return connection(rows[:size], _log_line, total=run["log_lines"], begin=begin, more=len(rows) > size)

    # Changing

    def upsert(
        self,
        *,
        id: str | None = None,
        name: str | None = None,
        model_name: str | None = None,
        entity_name: str | None = None,
        group_name: str | None = None,
        description: str | None = None,
        display_name: str | None = None,
        notes: str | None = None,
        commit: str | None = None,
        config: str | None = None,
        host: str | None = None,
        debug: bool | None = None,
        job_program: str | None = None,
        job_repo: str | None = None,
        job_type: str | None = None,
        state: str | None = None,
        sweep: str | None = None,
        tags: list[str] | None = None,
        summary_metrics: str | None = None,
    ) -> Node:
        """Make a run, or change what is given of one; a process that names a run by its name is running it."""
        values: dict[str, Any] = {
            "group_name": group_name,
            "description": description,
            "display_name": display_name,
            "notes": notes,
            "commit_hash": commit,
            "host": host,
            "program": job_program,
            "repo": job_repo,
            "job_type": job_type,
            "sweep": sweep,
            "config": _json_object(config, "config"),
            "summary": _json_object(summary_metrics, "summary"),
            "tags": None if tags is None else json.dumps(tags),
            "state": state,
        }
        values = {column: value for column, value in values.items() if value is not None}
        with self.store.write() as writer:
            if id is not None:
                run_id, inserted = self.run_by_id(id)["id"], False
            else:
                project = self.ensure_project(writer, entity_name, model_name)
                run_id, inserted = self._begin(writer, project["id"], named(name), values)
            _update(writer, run_id, values)
        run = self._find("runs.id = ?", run_id)
        assert run is not None
        return {"bucket": self.run_node(run), "inserted": inserted}

    def _begin(self, writer: sqlite3.Connection, project: int, name: str, values: dict[str, Any]) -> tuple[int, bool]:
        found = writer.execute("SELECT * FROM runs WHERE project = ? AND name = ?", (project, name)).fetchone()
        if found is None:
            sql = "INSERT INTO runs (project, name, created_at, heartbeat) VALUES (?, ?, ?, ?)"
            return int(writer.execute(sql, (project, name, now(), time.time())).lastrowid or 0), True
        # The SDK tells of a host when a process begins, and only then: such a run goes on, whatever ended it before.
        if "host" in values and found["state"] in (*TERMINAL, "pending"):
            values |= {"state": "running", "preempting": 0, "stop_asked": 0}
            writer.execute("UPDATE runs SET exit_code = NULL WHERE id = ?", (found["id"],))
        if "host" in values:
            values["heartbeat"] = time.time()
        return found["id"], False

    def delete(self, id: str) -> Node:
        """Remove a run with its rows and files; artifacts stay, others may use them."""
        run = self.run_by_id(id)
        with self.store.write() as writer:
            for table in ("history", "events", "logs"):
                writer.execute(f"DELETE FROM {table} WHERE run = ?", (run["id"],))
            writer.execute("DELETE FROM artifact_uses WHERE run = ?", (run["id"],))
            writer.execute("DELETE FROM runs WHERE id = ?", (run["id"],))
            self.files.delete_all(writer, run)
        return {"clientMutationId": None, "success": True}

    def stop(self, *, id: str) -> Node:
        """Ask a run to stop; its process hears of it with its next heartbeat."""
        run = self.run_by_id(id)
        with self.store.write() as writer:
            writer.execute("UPDATE runs SET stop_asked = 1 WHERE id = ?", (run["id"],))
        return {"clientMutationId": None, "success": True}

    def update_state(self, *, id: str, state: str) -> Node:
        """Put a run back in the queue, or give it up."""
        run = self.run_by_id(id)
        allowed = {"pending": ("running", "failed", "crashed", "preempted"), "failed": ("pending", "running")}
        if run["live_state"] not in allowed.get(state, ()):
            raise Fault(f"a run that is {run['live_state']} can't become {state}")
        with self.store.write() as writer:
            _update(writer, run["id"], {"state": state})
        return {"success": True}

    def create_files(self, *, entity_name: str, project_name: str, run_name: str, files: list[str]) -> Node:
        """Addresses that a run's files may be put to."""
        return self.files.create(self._named(entity_name, project_name, run_name), files)

    def mark_uploaded(self, *, entity_name: str, project_name: str, run_name: str, files: list[str]) -> Node:
        """The SDK says that files came; the server saw them come already."""
        self._named(entity_name, project_name, run_name)
        return {"success": True}

    def _named(self, entity: str, project: str, name: str) -> Row:
        run = self.run(entity, project, name)
        if run is None:
            raise Fault(f"no run {entity}/{project}/{name}", 404)
        return run


def project_node(project: Row) -> Node:
    """What is asked of a project without asking for what it holds."""
    return {
        "__typename": "Project",
        "id": node_id("Project", project["id"]),
        "internalId": node_id("ProjectInternal", project["id"]),
        "name": project["name"],
        "entityName": project["entity"],
        "entity": {"__typename": "Entity", "id": node_id("Entity", project["entity"]), "name": project["entity"]},
        "createdAt": project["created_at"],
        "description": project["description"],
        "isBenchmark": False,
        "repo": None,
        "dockerImage": None,
        "readOnly": False,
        "access": "PRIVATE",
        "views": "{}",
        "user": user_node(),
    }


def user_node() -> Node:
    """All that a query may ask of the one user there is."""
    return {
        "__typename": "User",
        "id": node_id("User", 1),
        **USER,
        "entity": ENTITY,
        "email": None,
        "admin": True,
        "flags": "{}",
        "deletedAt": None,
        "teams": paged([{"name": ENTITY}], lambda team: {"__typename": "Entity", **team}, None, None),
        "apiKeys": paged([], dict, None, None),
    }


def named(name: object) -> str:
    """A name of an entity, a project, a run or a sweep, as one part of an address. Raises Fault."""
    text = str(name or "")
    if not text or len(text) > 128 or text in (".", "..") or any(sign in text for sign in '/\\#?%:"\0\r\n'):
        raise Fault(f"{text[:80]!r} can't be a name: 1 to 128 characters, none of / \\ # ? % : and no quotes")
    return text


def _update(writer: sqlite3.Connection, run: int, values: dict[str, Any]) -> None:
    if values:
        columns = ", ".join(f"{column} = ?" for column in values)
        writer.execute(f"UPDATE runs SET {columns} WHERE id = ?", (*values.values(), run))


def _json_object(text: str | None, what: str) -> str | None:
    """JSON text of an object as the store keeps it: words for NaN and infinities, so that SQL reads it."""
    return None if text is None else json.dumps(history.plain(json_object(text, what)))


def _wandb_config(run: Row, keys: Any) -> dict[str, Any]:
    """What the SDK itself keeps in a config, under `_wandb`."""
    wrapped = json.loads(run["config"]).get("_wandb")
    values = wrapped.get("value") if isinstance(wrapped, dict) else None
    return {key: values[key] for key in keys if key in values} if isinstance(values, dict) else {}


def _log_line(row: Row) -> Node:
    """A line of console output; the SDK puts level and time before the text: `ERROR 2026-01-02T03:04:05.678 text`."""
    level, _, rest = row["line"].partition(" ")
    if level != "ERROR":
        level, rest = "INFO", row["line"]
    timestamp, _, line = rest.partition(" ")
    if not (len(timestamp) > 18 and timestamp[10] == "T"):
        timestamp, line = "", rest
    return {
        "__typename": "LogLine",
        "number": row["number"],
        "timestamp": timestamp or None,
        "level": level.lower(),
        "label": "",
        "line": line,
    }
