"""A run's rows: taken in as the SDK streams them, and given out whole, by page, or thinned.

A row is kept as the line that came (NaN and Infinity are bare tokens in it), under its `_step`; of two lines with one
step the last counts, so that whatever is sent twice is there once.
"""

import json
import math
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scaling_lab.localserver.decoding import json_object, whole
from scaling_lab.localserver.graphql import Fault
from scaling_lab.localserver.store import EVALUATION, Row, Store

# Of a key that is of more types than W&B has, the rest are counted with the last.
MOST_KINDS = 50
# SQLite looks for no more words at once than this and some.
MOST_SAMPLES, MOST_KEYS = 100_000, 500
# Up to so many rows a run is read whole to be thinned; beyond, rows are looked up by their steps.
READ_WHOLE = 5_000


def add_history(connection: sqlite3.Connection, run: Row, lines: Sequence[str]) -> None:
    """Store rows, and bring up to date what the run's own row says of them."""
    rows = []
    keys = json.loads(run["history_keys"])
    step = run["last_step"]
    for line in lines:
        content = json_object(line, "a row")
        step = whole(content.get("_step", step + 1), "_step")
        rows.append((run["id"], step, line))
        _note_keys(keys, content)
    if not rows:
        return
    steps = [step for _, step, _ in rows]
    span = (run["id"], min(steps), max(steps))
    before = _count(connection, span)
    connection.executemany("INSERT OR REPLACE INTO history VALUES (?, ?, ?)", rows)
    added = _count(connection, span) - before
    connection.execute(
        "UPDATE runs SET history_lines = history_lines + ?, last_step = max(last_step, ?), history_keys = ? "
        "WHERE id = ?",
        (added, max(steps), json.dumps(keys), run["id"]),
    )


def add_events(connection: sqlite3.Connection, run: Row, lines: Sequence[str]) -> None:
    """Store system metrics by their time, and keep the newest of each."""
    rows = []
    newest = json.loads(run["system"])
    for line in lines:
        content = json_object(line, "a row")
        moment = content.get("_timestamp", 0)
        # SQLite takes NaN for no value.
        if not isinstance(moment, int | float) or math.isnan(moment):
            raise Fault("_timestamp is not a number")
        rows.append((run["id"], float(moment), line))
        newest |= plain(content)
    connection.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?)", rows)
    connection.execute(
        "UPDATE runs SET system = ?, event_lines = (SELECT count(*) FROM events WHERE run = ?) WHERE id = ?",
        (json.dumps(newest), run["id"], run["id"]),
    )


def add_logs(connection: sqlite3.Connection, run: Row, offset: int, lines: Sequence[str]) -> None:
    """Store lines of console output by their number."""
    if not all(isinstance(line, str) for line in lines):
        raise Fault("a line of console output is text")
    rows = [(run["id"], offset + place, line) for place, line in enumerate(lines)]
    connection.executemany("INSERT OR REPLACE INTO logs VALUES (?, ?, ?)", rows)
    connection.execute("UPDATE runs SET log_lines = max(log_lines, ?) WHERE id = ?", (offset + len(rows), run["id"]))


def page(store: Store, run: int, min_step: int, max_step: int, size: int) -> list[str]:
    """Lines with min_step <= step < max_step, in order, at most `size`."""
    sql = "SELECT line FROM history WHERE run = ? AND step >= ? AND step < ? ORDER BY step LIMIT ?"
    return [row["line"] for row in store.rows(sql, (run, min_step, max_step, size))]


def thinned(store: Store, run: Row, size: int) -> list[str]:
    """At most `size` lines of the whole, evenly spread, the first and the last among them."""
    if run["history_lines"] <= size:
        return page(store, run["id"], -(2**62), 2**62, size)
    if run["history_lines"] > READ_WHOLE:
        lines = _spread_by_step(store, run["id"], size)
        # Where steps lie in clumps, few of them are found by looking at even distances.
        if len(lines) > size // 2:
            return lines
    sql = "SELECT step FROM history WHERE run = ? ORDER BY step"
    steps = [row["step"] for row in store.rows(sql, (run["id"],))]
    return _lines_at(store, run["id"], _spread(steps, size))


def evaluations(store: Store, run: int, size: int) -> list[str]:
    """At most `size` lines that hold a metric of `val/`, evenly spread; an index knows them, few as they are."""
    # The index is named, and its condition repeated to the letter: without figures of its own SQLite would scan.
    sql = f"SELECT line FROM history INDEXED BY evaluations WHERE run = ? AND {EVALUATION} ORDER BY step"
    return _spread([row["line"] for row in store.rows(sql, (run,))], size)


def events(store: Store, run: int, size: int) -> list[str]:
    """At most `size` lines of system metrics, evenly spread over time."""
    lines = [row["line"] for row in store.rows("SELECT line FROM events WHERE run = ? ORDER BY time", (run,))]
    return _spread(lines, size)


def sampled(store: Store, run: Row, specs: Any) -> list[list[dict[str, Any]]]:
    """For each spec, the rows that hold all of its keys, with these keys alone; thinned where they are too many.

    A spec is JSON: {"keys": […], "samples": n, "minStep": first, "maxStep": last}; one alone stands for a list of one.
    """
    wanted = specs if isinstance(specs, list) else [specs]
    return [
        _sample(store, run, spec if isinstance(spec, dict) else json_object(spec, "a sampling spec")) for spec in wanted
    ]


def plain(value: Any) -> Any:
    """The value with NaN and infinities as words, as W&B writes them where JSON has no token for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def _sample(store: Store, run: Row, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    keys = spec.get("keys") or []
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(keys) > MOST_KEYS:
        raise Fault(f"the keys of a sampling spec are a list of names, at most {MOST_KEYS}")
    if not keys:
        return []
    low, last = (whole(spec.get(name, end), name) for name, end in (("minStep", -(2**62)), ("maxStep", 2**62)))
    # Unlike the pages of whole rows, a spec's maxStep is itself asked for.
    high = last + 1
    size = max(1, min(whole(spec.get("samples", 500), "samples"), MOST_SAMPLES))
    if high - low <= size:
        return [plain(row) for row in _holding(page(store, run["id"], low, high, size), keys)]
    steps = _steps_with(store, run["id"], low, high, keys)
    chosen = _spread(steps, size)
    found = _holding(_lines_at(store, run["id"], chosen), keys)
    # A key's word in a line is nearly always that key: all lines are parsed only where it was something else.
    if len(found) < len(chosen):
        found = _spread(_holding(_lines_at(store, run["id"], steps), keys), size)
    return [plain(row) for row in found]


def _steps_with(store: Store, run: int, low: int, high: int, keys: Sequence[str]) -> list[int]:
    """Steps of the lines of a range that may hold the keys: SQLite looks for their words before any line is parsed."""
    # JSON has several spellings of some letters, and one of these. A dot may lead inward.
    words = [f'"{key.split(".")[0]}' for key in keys if re.fullmatch(r"[\w./ -]+", key, re.ASCII)]
    conditions = "".join(" AND instr(line, ?)" for _ in words)
    sql = f"SELECT step FROM history WHERE run = ? AND step >= ? AND step < ?{conditions} ORDER BY step"
    return [row["step"] for row in store.rows(sql, (run, low, high, *words))]


def _lines_at(store: Store, run: int, steps: Sequence[int]) -> list[str]:
    sql = "SELECT line FROM history WHERE run = ? AND step IN (SELECT value FROM json_each(?)) ORDER BY step"
    return [row["line"] for row in store.rows(sql, (run, json.dumps(steps)))]


def _spread_by_step(store: Store, run: int, size: int) -> list[str]:
    """Lines at `size` steps of even distance, or at the next step that there is: one look into the index each."""
    # Each end in a query of its own: asked for both at once, SQLite reads everything between.
    sql = "SELECT (SELECT min(step) FROM history WHERE run = ?), (SELECT max(step) FROM history WHERE run = ?)"
    ends = store.row(sql, (run, run))
    assert ends is not None
    low, high = ends
    wanted = [low + round(place * (high - low) / (size - 1)) for place in range(size)] if size > 1 else [high]
    sql = (
        "SELECT DISTINCT history.step, line FROM json_each(?) AS wanted CROSS JOIN history ON run = ? AND step = "
        "(SELECT min(step) FROM history WHERE run = ? AND step >= wanted.value) ORDER BY history.step"
    )
    return [row["line"] for row in store.rows(sql, (json.dumps(wanted), run, run))]


_MISSING = object()


def _holding(lines: Iterable[str], keys: Sequence[str]) -> list[dict[str, Any]]:
    """The rows that hold all of the keys, with these keys alone."""
    rows = [{key: _at(content, key) for key in keys} for content in map(json.loads, lines)]
    return [row for row in rows if _MISSING not in row.values()]


def _at(content: Mapping[str, Any], key: str) -> Any:
    """The value under a key, or under the path that its dots spell."""
    if key in content:
        return content[key]
    value: Any = content
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return _MISSING
        value = value[part]
    return value


def _spread(items: Sequence[Any], size: int) -> list[Any]:
    """At most `size` of the items, evenly spread, with both ends."""
    if len(items) <= size:
        return list(items)
    if size == 1:
        return [items[-1]]
    return [items[round(place * (len(items) - 1) / (size - 1))] for place in range(size)]


def _count(connection: sqlite3.Connection, span: tuple[int, int, int]) -> int:
    sql = "SELECT count(*) FROM history WHERE run = ? AND step BETWEEN ? AND ?"
    return connection.execute(sql, span).fetchone()[0]


def _note_keys(keys: dict[str, Any], content: Mapping[str, Any]) -> None:
    """Count, by key and type, what a row holds; W&B's own shape of `historyKeys.keys`, nested keys joined by dots."""
    for key, value in flat(content):
        entry = keys.setdefault(key, {"typeCounts": [], "monotonic": False, "previousValue": None})
        kind = _kind(value)
        count = next((count for count in entry["typeCounts"] if count["type"] == kind), None)
        if count is None and len(entry["typeCounts"]) >= MOST_KINDS:
            entry["typeCounts"][-1]["count"] += 1
        elif count is None:
            entry["typeCounts"].append({"type": kind, "count": 1})
        else:
            count["count"] += 1
        entry["previousValue"] = plain(value) if isinstance(value, int | float) else None


def flat(content: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    """A row's values by their keys, nested keys joined by dots."""
    for key, value in content.items():
        if isinstance(value, dict) and "_type" not in value:
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return str(value["_type"])[:100]
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", list: "list"}.get(type(value), "number")
