"""The filters and orders of `wandb.Api().runs(...)`, Mongo's way of writing them, as SQL over the table of runs."""

import json
import re
from collections.abc import Callable
from typing import Any

from scaling_lab.localserver.decoding import is_deeper, json_value
from scaling_lab.localserver.graphql import Fault

# A run that said nothing for this long has crashed. It is heard of at least every 30 s while it lives.
CRASHED_AFTER_SECONDS = 90.0

_COLUMNS = {
    "name": "runs.name",
    "displayName": "display_name",
    "display_name": "display_name",
    "state": "state",
    "group": "group_name",
    "jobType": "job_type",
    "job_type": "job_type",
    "sweep": "sweep",
    "description": "description",
    "notes": "notes",
    "host": "host",
    "commit": "commit_hash",
    "createdAt": "created_at",
    "created_at": "created_at",
    "heartbeatAt": "heartbeat_at",
    "heartbeat_at": "heartbeat_at",
    "historyLineCount": "history_lines",
    "tags": "tags",
    # There is one user.
    "username": "'local'",
    "user.username": "'local'",
}
# SQLite's parser keeps 100 symbols on its stack, its expressions are no deeper than 1000, and a query has no more than
# 32,766 parameters.
DEEPEST, MOST_KEYS, MOST_VALUES = 12, 400, 30_000
_COMPARED = {"$eq": "IS", "$ne": "IS NOT", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}

Sql = tuple[str, list[Any]]


def runs_table(crashed_after_seconds: float) -> str:
    """The runs with the state that they are in now: a running one that fell silent has crashed."""
    return (
        "(SELECT runs.*, CASE WHEN state = 'running' AND heartbeat < (julianday('now') - 2440587.5) * 86400 - "
        f"{float(crashed_after_seconds)} THEN 'crashed' ELSE state END AS live_state, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', heartbeat, 'unixepoch') AS heartbeat_at FROM runs) AS runs"
    )


def where(filters: Any) -> Sql:
    """A filter (JSON text, or parsed) as a condition with its parameters; no filter is true of every run."""
    if isinstance(filters, str):
        filters = json_value(filters or "{}", "a filter")
    if is_deeper(filters, DEEPEST):
        raise Fault(f"a filter is nested no deeper than {DEEPEST}")
    if _n_keys(filters) > MOST_KEYS:
        raise Fault(f"a filter has at most {MOST_KEYS} conditions; ask for many names or tags with $in")
    condition, parameters = _condition(filters or {})
    if len(parameters) > MOST_VALUES:
        raise Fault(f"a filter compares with at most {MOST_VALUES:,} values")
    return condition, parameters


def order_by(order: str | None) -> Sql:
    """`+created_at`, `-summary_metrics.loss`: the end of a query, with runs of one place in order of their creation."""
    if not order:
        return "created_at DESC, runs.id DESC", []
    words = order.split(",")
    if len(words) > MOST_KEYS:
        raise Fault(f"runs are ordered by at most {MOST_KEYS} keys")
    parts, parameters, direction = [], [], "DESC"
    for word in words:
        direction = "DESC" if word.strip().startswith("-") else "ASC"
        expression, values = _expression(word.strip().lstrip("+-"))
        parts.append(f"{expression} {direction}")
        parameters += values
    return ", ".join([*parts, "runs.id " + direction]), parameters


def _condition(filters: Any) -> Sql:
    if not isinstance(filters, dict):
        raise Fault(f"a filter is an object, not {str(filters)[:80]!r}")
    parts = [_one(key, value) for key, value in filters.items()]
    return _joined("AND", parts)


def _one(key: str, value: Any) -> Sql:
    if key in ("$and", "$or", "$nor"):
        if not isinstance(value, list):
            raise Fault(f"{key} takes a list of filters")
        text, parameters = _joined("AND" if key == "$and" else "OR", [_condition(part) for part in value])
        return (f"NOT ({text})" if key == "$nor" else text), parameters
    if key == "$not":
        return _negated(_condition(value))
    if isinstance(value, dict) and any(word.startswith("$") for word in value):
        return _joined("AND", [_compared(key, word, operand) for word, operand in value.items()])
    return _compared(key, "$eq", value)


def _compared(key: str, word: str, operand: Any) -> Sql:
    if word == "$not":
        return _negated(_one(key, operand))
    if key == "tags" and word in ("$eq", "$ne", "$in", "$nin"):
        return _tagged(word, operand)
    expression, parameters = _expression(key)
    if word in _COMPARED:
        return f"{expression} {_COMPARED[word]} ?", [*parameters, _comparable(operand)]
    if word in ("$in", "$nin"):
        if not isinstance(operand, list):
            raise Fault(f"{word} takes a list of values")
        values = [_comparable(value) for value in operand]
        marks = ", ".join("?" * len(values))
        negation = "NOT " if word == "$nin" else ""
        return f"{negation}ifnull({expression} IN ({marks}), 0)", [*parameters, *values]
    if word == "$exists":
        return f"{expression} IS {'NOT ' if operand else ''}NULL", parameters
    if word == "$regex":
        return f"regexp(?, {expression})", [_pattern(operand), *parameters]
    raise Fault(f"filter {word} is not served here; use one of $eq $ne $gt $gte $lt $lte $in $nin $exists $regex $not")


def _tagged(word: str, operand: Any) -> Sql:
    tags = [str(tag) for tag in (operand if isinstance(operand, list) else [operand])]
    marks = ", ".join("?" * len(tags))
    negation = "NOT " if word in ("$ne", "$nin") else ""
    return f"{negation}EXISTS (SELECT 1 FROM json_each(runs.tags) WHERE value IN ({marks}))", list(tags)


def _expression(key: str) -> Sql:
    """What a key names: a column, or a place in config or summary, a key's own dots before dots that lead inward."""
    if key == "state":
        return "live_state", []
    if key in _COLUMNS:
        return _COLUMNS[key], []
    section, _, path = key.partition(".")
    column = {"config": "config", "summary_metrics": "summary", "summaryMetrics": "summary", "summary": "summary"}
    if section not in column or not path or "\0" in path:
        raise Fault(f"runs can't be filtered or ordered by {key!r}; use state, group, config.…, summary_metrics.…, …")
    if column[section] == "summary":
        paths = [_path(path), _path(*path.split("."))]
    else:
        path = path.removesuffix(".value")
        # A key may be called `value` itself.
        first, *rest = [part for part in path.split(".") if part != "value"] or [path]
        paths = [_path(path, "value"), _path(first, "value", *rest)]
    extracted = ", ".join(f"json_extract({column[section]}, ?)" for _ in paths)
    return f"coalesce({extracted})", list(paths)


def _path(*parts: str) -> str:
    return "$" + "".join('."' + part.replace('"', "") + '"' for part in parts)


def _comparable(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return json.dumps(value, separators=(",", ":")) if isinstance(value, dict | list) else value


def _pattern(operand: Any) -> str:
    try:
        return re.compile(str(operand)).pattern
    except (re.error, OverflowError, RecursionError) as error:
        raise Fault(f"$regex is no pattern: {error}") from None


def _n_keys(filters: Any) -> int:
    """How many keys a filter has, inner ones too."""
    if isinstance(filters, dict):
        return len(filters) + sum(map(_n_keys, filters.values()))
    return sum(map(_n_keys, filters)) if isinstance(filters, list) else 0


def _negated(condition: Sql) -> Sql:
    text, parameters = condition
    return f"NOT ifnull({text}, 0)", parameters


def _joined(word: str, parts: list[Sql]) -> Sql:
    if not parts:
        return "1", []
    texts, parameters = zip(*parts, strict=True)
    joined: Callable[[Any], str] = f" {word} ".join
    return "(" + joined(texts) + ")", [value for values in parameters for value in values]
