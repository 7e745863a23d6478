"""The stream of a run: rows, summary, console output and signs of life, as the SDK posts them every few seconds."""

import json
import sqlite3
import time
from typing import Any

from scaling_lab.localserver import history
from scaling_lab.localserver.decoding import json_object, whole
from scaling_lab.localserver.graphql import Fault
from scaling_lab.localserver.store import Row, Store


def take_in(store: Store, run: Row, body: Any) -> dict[str, Any]:
    """Store one post of a run as a whole, and answer it.

    Raises:
        Fault: if it is malformed; nothing of it is stored then.
    """
    if not isinstance(body, dict) or not isinstance(body.get("files") or {}, dict):
        raise Fault("a stream's post is an object, and so are its files")
    with store.write() as writer:
        # Read anew inside the transaction: two posts of one run may come at once.
        current = writer.execute("SELECT * FROM runs WHERE id = ?", (run["id"],)).fetchone()
        for name, chunk in (body.get("files") or {}).items():
            _take_file(writer, current, name, chunk)
        _take_signs(writer, current, body)
    return {"exitcode": None, "limits": {}, "stopped": bool(current["stop_asked"])}


def _take_file(writer: sqlite3.Connection, run: Row, name: str, chunk: Any) -> None:
    if not isinstance(chunk, dict) or not isinstance(chunk.get("content"), list):
        raise Fault(f"{name}: a chunk holds a list of lines")
    lines = chunk["content"]
    if name == "wandb-history.jsonl":
        history.add_history(writer, run, lines)
    elif name == "wandb-events.jsonl":
        history.add_events(writer, run, lines)
    elif name == "output.log":
        history.add_logs(writer, run, whole(chunk.get("offset", 0), f"{name}: offset"), lines)
    elif name == "wandb-summary.json" and lines:
        summary = history.plain(json_object(lines[-1], name))
        writer.execute("UPDATE runs SET summary = ? WHERE id = ?", (json.dumps(summary), run["id"]))


def _take_signs(writer: sqlite3.Connection, run: Row, body: dict[str, Any]) -> None:
    """What a post says of the process: that it lives, is about to be preempted, or ended and how."""
    state, exit_code = "running", None
    preempting = bool(body.get("preempting") or run["preempting"])
    if body.get("complete"):
        exit_code = whole(body.get("exitcode") or 0, "exitcode")
        state = "finished" if exit_code == 0 else "preempted" if preempting else "failed"
    writer.execute(
        "UPDATE runs SET state = ?, exit_code = ?, preempting = ?, heartbeat = ? WHERE id = ?",
        (state, exit_code, preempting, time.time(), run["id"]),
    )
