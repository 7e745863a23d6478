"""Sweeps: trials, and the agents that ask for them every few seconds.

A trial is one point of the search with a run's id of its own, which it keeps however often it is handed out. It is
handed out again when it was preempted (it stopped and wants to go on), when its run crashed, or when it never began;
the latter two until MOST_ATTEMPTS in a row have got it no further. A trial that failed by itself is done: it would fail
again. An agent with nothing to do waits while others' trials run, for it may have to take one over.
"""

import itertools
import json
import secrets
import sqlite3
import time
from typing import Any

from scaling_lab.localserver.decoding import json_object
from scaling_lab.localserver.graphql import Fault, Node
from scaling_lab.localserver.nodes import connection, node_id, paged, row_of
from scaling_lab.localserver.runs import Runs, project_node
from scaling_lab.localserver.search import grid_size, parse_sweep, points
from scaling_lab.localserver.store import Row, Store, moment, now

MOST_ATTEMPTS = 6
# An agent asks every five seconds. Taken for gone too soon it loses nothing: a trial whose run lives is not handed out.
AGENT_GONE_AFTER_SECONDS = 30.0
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_OVER = ("FINISHED", "CANCELED")


class Sweeps:
    """Reads and changes sweeps of one store. `silent_after_seconds`: an agent not heard of for so long is gone."""

    def __init__(self, store: Store, runs: Runs, silent_after_seconds: float) -> None:
        self.store, self.runs, self._silent_after = store, runs, silent_after_seconds

    # Nodes

    def sweep(self, project: Row | None, name: str) -> Row | None:
        """A sweep's row, of one project or of any, or None."""
        sql = "SELECT * FROM sweeps WHERE name = ? AND ? IN (project, 0)"
        return self.store.row(sql, (name, project["id"] if project else 0))

    def sweeps_of(self, project: Row, first: int | None = None, after: str | None = None) -> Node:
        """A page of a project's sweeps, the newest first."""
        rows = self.store.rows("SELECT * FROM sweeps WHERE project = ? ORDER BY id DESC", (project["id"],))
        return paged(rows, self.sweep_node, first, after)

    def sweep_node(self, sweep: Row) -> Node:
        """All that a query may ask of a sweep."""
        config = parse_sweep(sweep["config"])

        def agents() -> list[Row]:
            return self.store.rows("SELECT * FROM agents WHERE sweep = ? ORDER BY id", (sweep["id"],))

        return {
            "__typename": "Sweep",
            "id": node_id("Sweep", sweep["id"]),
            "name": sweep["name"],
            "displayName": sweep["display_name"] or config.get("name"),
            "method": config["method"],
            "state": sweep["state"],
            "description": sweep["description"],
            "config": sweep["config"],
            "createdAt": sweep["created_at"],
            "updatedAt": sweep["updated_at"],
            "heartbeatAt": sweep["updated_at"],
            "bestLoss": lambda: self._best_loss(sweep, config),
            "controller": None,
            "controllerRunName": None,
            "scheduler": None,
            "earlyStopJobRunning": False,
            "runCount": lambda: len(self._runs(sweep)),
            "runCountExpected": grid_size(config) if config["method"] == "grid" else config.get("run_cap"),
            "runs": lambda first=None, after=None: paged(self._runs(sweep), self.runs.run_node, first or 10_000, after),
            "agents": lambda: connection(agents(), self._agent_node),
            "agent": lambda agent_name: next(
                (self._agent_node(row) for row in agents() if agent_name in (row["name"], node_id("Agent", row["id"]))),
                None,
            ),
            "project": lambda: self._project_node(sweep),
        }

    def _agent_node(self, agent: Row) -> Node:
        sql = f"SELECT runs.* FROM {self.runs.table} JOIN trials ON trials.run = runs.name WHERE trials.agent = ?"

        def runs() -> list[Row]:
            return self.store.rows(sql, (agent["id"],))

        return {
            "__typename": "Agent",
            "id": node_id("Agent", agent["id"]),
            "name": agent["name"],
            "host": agent["host"],
            "state": "FINISHED" if self._is_gone(agent["heartbeat"]) else "RUNNING",
            "totalRuns": lambda: len(runs()),
            "createdAt": agent["created_at"],
            "heartbeatAt": moment(agent["heartbeat"]),
            "runs": lambda first=None, after=None, before=None, last=None, order=None: paged(
                runs(), self.runs.run_node, first, after
            ),
        }

    def _project_node(self, sweep: Row) -> Node:
        project = self.store.row("SELECT * FROM projects WHERE id = ?", (sweep["project"],))
        assert project is not None
        return project_node(project)

    def _runs(self, sweep: Row) -> list[Row]:
        sql = f"SELECT runs.* FROM {self.runs.table} WHERE project = ? AND sweep = ? ORDER BY created_at, runs.id"
        return self.store.rows(sql, (sweep["project"], sweep["name"]))

    def _best_loss(self, sweep: Row, config: dict[str, Any]) -> float | None:
        metric = (config.get("metric") or {}).get("name")
        found = [json.loads(run["summary"]).get(metric) for run in self._runs(sweep)]
        numbers = [value.get("min") if isinstance(value, dict) else value for value in found]
        return min((value for value in numbers if isinstance(value, int | float)), default=None)

    # Changing

    def upsert(
        self,
        *,
        id: str | None = None,
        config: str | None = None,
        description: str | None = None,
        entity_name: str | None = None,
        project_name: str | None = None,
        controller: str | None = None,
        launch_scheduler: str | None = None,
        template_variable_values: str | None = None,
        scheduler: str | None = None,
        state: str | None = None,
        prior_runs_filters: str | None = None,
        display_name: str | None = None,
    ) -> Node:
        """Make a sweep, or change state, words or configuration of one."""
        parsed = None if config is None else parse_sweep(config)
        with self.store.write() as writer:
            if id is None:
                if parsed is None:
                    raise Fault("a new sweep needs a config")
                project = self.runs.ensure_project(writer, entity_name, project_name or parsed.get("project"))
                row = self._insert(writer, project["id"], str(config), parsed)
            else:
                row = row_of("Sweep", id)
            changes = {"state": state, "description": description, "display_name": display_name, "config": config}
            changes = {column: value for column, value in changes.items() if value is not None}
            if state is not None and state not in ("PENDING", "RUNNING", "PAUSED", *_OVER):
                raise Fault(f"{state!r} is no state of a sweep")
            columns = "".join(f"{column} = ?, " for column in changes)
            if state == "RUNNING":
                # Who resumes a sweep has seen to what made its trials fail: those that were given up have a new chance.
                writer.execute("UPDATE trials SET attempts = 0 WHERE sweep = ? AND agent IS NULL", (row,))
            writer.execute(f"UPDATE sweeps SET {columns}updated_at = ? WHERE id = ?", (*changes.values(), now(), row))
            sweep = writer.execute("SELECT * FROM sweeps WHERE id = ?", (row,)).fetchone()
        if sweep is None:
            raise Fault("no such sweep", 404)
        ignored = []
        if parsed is not None and "early_terminate" in parsed:
            ignored.append("early_terminate is not served here: every trial runs to its end")
        if prior_runs_filters is not None:
            ignored.append("runs of before are not counted here: a grid and a random search have no use for them")
        return {"sweep": self.sweep_node(sweep), "configValidationWarnings": ignored}

    def create_agent(
        self, *, host: str, sweep: str, project_name: str | None = None, entity_name: str | None = None
    ) -> Node:
        """Take on an agent; a sweep that waited for one runs from now on."""
        project = self.runs.project(entity_name, project_name)
        found = self.sweep(project, sweep) if project or project_name is None else None
        if found is None:
            raise Fault(f"no sweep {sweep}", 404)
        with self.store.write() as writer:
            sql = "INSERT INTO agents (name, sweep, host, created_at, heartbeat) VALUES (?, ?, ?, ?, ?)"
            values = (_new_name(), found["id"], host, now(), time.time())
            agent = writer.execute(sql, values).lastrowid
            writer.execute("UPDATE sweeps SET state = 'RUNNING' WHERE id = ? AND state = 'PENDING'", (found["id"],))
        row = self.store.row("SELECT * FROM agents WHERE id = ?", (agent,))
        assert row is not None
        return {"agent": self._agent_node(row)}

    def heartbeat(self, *, id: str, metrics: str | None = None, run_state: str | None = None) -> Node:
        """Hear of an agent which runs it has, and tell it what to do: run, resume or stop one, or leave.

        Raises:
            Fault: 404 if agent or sweep are gone; the SDK then lets what runs end, and leaves.
        """
        running = {name for name, runs in json_object(run_state or "{}", "runState").items() if runs}
        with self.store.write() as writer:
            agent = writer.execute("SELECT * FROM agents WHERE id = ?", (row_of("Agent", id),)).fetchone()
            if agent is None:
                raise Fault("no such agent", 404)
            sweep = writer.execute("SELECT * FROM sweeps WHERE id = ?", (agent["sweep"],)).fetchone()
            writer.execute("UPDATE agents SET heartbeat = ? WHERE id = ?", (time.time(), agent["id"]))
            self._let_go(writer, sweep, agent, running)
            commands = self._commands(writer, sweep, agent, running)
        return {"agent": {"id": id}, "commands": json.dumps(commands)}

    def _insert(self, writer: sqlite3.Connection, project: int, text: str, config: dict[str, Any]) -> int:
        name = _new_name()
        sql = (
            "INSERT INTO sweeps (project, name, description, config, state, created_at, updated_at) "
            "VALUES (?, ?, ?, ?, 'PENDING', ?, ?)"
        )
        values = (project, name, config.get("description"), text, now(), now())
        row = int(writer.execute(sql, values).lastrowid or 0)
        if config["method"] == "grid":
            for number, point in enumerate(points(config, name)):
                _add_trial(writer, row, number, point)
        return row

    def _let_go(self, writer: sqlite3.Connection, sweep: Row, agent: Row, running: set[str]) -> None:
        """Take back trials that the agent has no more; a run among them that didn't say how it ended has crashed."""
        for trial in writer.execute("SELECT * FROM trials WHERE agent = ?", (agent["id"],)).fetchall():
            if trial["run"] in running:
                continue
            writer.execute("UPDATE trials SET agent = NULL WHERE id = ?", (trial["id"],))
            sql = "UPDATE runs SET state = 'crashed' WHERE project = ? AND name = ? AND state = 'running'"
            writer.execute(sql, (sweep["project"], trial["run"]))

    def _commands(self, writer: sqlite3.Connection, sweep: Row, agent: Row, running: set[str]) -> list[dict[str, Any]]:
        if running:
            sql = "SELECT name FROM runs WHERE project = ? AND stop_asked AND name IN (SELECT value FROM json_each(?))"
            asked = {row["name"] for row in writer.execute(sql, (sweep["project"], json.dumps(sorted(running))))}
            stopped = running if sweep["state"] == "CANCELED" else asked
            return [{"type": "stop", "run_id": name} for name in sorted(stopped)]
        if sweep["state"] in _OVER:
            return [{"type": "exit"}]
        if sweep["state"] != "RUNNING":
            return []
        trial, waiting = self._next_trial(writer, sweep)
        if trial is not None:
            return [self._hand_out(writer, sweep, agent, trial)]
        if waiting:
            return []
        writer.execute("UPDATE sweeps SET state = 'FINISHED', updated_at = ? WHERE id = ?", (now(), sweep["id"]))
        return [{"type": "exit"}]

    def _next_trial(self, writer: sqlite3.Connection, sweep: Row) -> tuple[Row | None, bool]:
        """The trial to hand out, one that was begun before a new one; and else whether any still runs elsewhere."""
        sql = (
            "SELECT trials.*, runs.live_state AS state, runs.heartbeat AS run_heartbeat, runs.last_step AS last_step, "
            "agents.heartbeat AS agent_heartbeat FROM trials "
            f"LEFT JOIN {self.runs.table} ON runs.name = trials.run AND runs.project = ? "
            "LEFT JOIN agents ON agents.id = trials.agent WHERE trials.sweep = ? ORDER BY trials.attempts = 0, number"
        )
        waiting = False
        trials = writer.execute(sql, (sweep["project"], sweep["id"])).fetchall()
        for trial in trials:
            state = self._state_of(trial)
            if state == "wanted":
                return trial, True
            waiting |= state == "running"
        config = parse_sweep(sweep["config"])
        if config["method"] == "random":
            drawn = next(itertools.islice(points(config, sweep["name"]), len(trials), None), None)
            if drawn is not None:
                row = _add_trial(writer, sweep["id"], len(trials), drawn)
                sql = "SELECT *, NULL AS state, NULL AS last_step FROM trials WHERE id = ?"
                return writer.execute(sql, (row,)).fetchone(), True
        return None, waiting

    def _state_of(self, trial: Row) -> str:
        """running: somebody has it. wanted: to be handed out. done: to be left alone."""
        # A run that said since then how it ended is let go at once: its agent may have been stopped with it.
        said = trial["state"] in ("finished", "failed", "preempted") and trial["run_heartbeat"] > trial["handed_at"]
        held = trial["agent"] is not None and not said and not self._is_gone(trial["agent_heartbeat"])
        if held or trial["state"] == "running":
            return "running"
        if trial["state"] in ("preempted", "pending"):
            return "wanted"
        if trial["state"] in (None, "crashed") and _attempts(trial) < MOST_ATTEMPTS:
            return "wanted"
        return "done"

    def _hand_out(self, writer: sqlite3.Connection, sweep: Row, agent: Row, trial: Row) -> dict[str, Any]:
        # Preemption is no failure, and so doesn't count as an attempt.
        attempts = _attempts(trial) + (trial["state"] != "preempted")
        sql = "UPDATE trials SET agent = ?, handed_at = ?, attempts = ?, reached = ? WHERE id = ?"
        writer.execute(sql, (agent["id"], time.time(), attempts, _reached(trial), trial["id"]))
        config = parse_sweep(sweep["config"])
        return {
            "type": "run" if trial["state"] is None else "resume",
            "run_id": trial["run"],
            "program": config.get("program"),
            "args": {name: {"value": value} for name, value in json.loads(trial["arguments"]).items()},
        }

    def _is_gone(self, heartbeat: float | None) -> bool:
        return heartbeat is None or heartbeat < time.time() - self._silent_after


def _add_trial(writer: sqlite3.Connection, sweep: int, number: int, point: dict[str, Any]) -> int:
    sql = "INSERT INTO trials (sweep, number, arguments, run) VALUES (?, ?, ?, ?)"
    return int(writer.execute(sql, (sweep, number, json.dumps(point), _new_name())).lastrowid or 0)


def _attempts(trial: Row) -> int:
    """How often a trial was handed out since its run last got further."""
    return 0 if _reached(trial) > trial["reached"] else trial["attempts"]


def _reached(trial: Row) -> int:
    """The last step that its run logged; -1 where there is none."""
    return -1 if trial["last_step"] is None else trial["last_step"]


def _new_name() -> str:
    """An id as the SDK makes them: eight letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(8))
