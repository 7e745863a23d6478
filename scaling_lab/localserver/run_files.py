"""The files of runs: what the SDK puts beside a run's rows (its config, requirements, console log, saved files)."""

import mimetypes
import posixpath
import sqlite3
from typing import Any

from scaling_lab.localserver import storage
from scaling_lab.localserver.graphql import Fault, Node
from scaling_lab.localserver.nodes import node_id, paged, row_of
from scaling_lab.localserver.storage import LONGEST_NAME
from scaling_lab.localserver.store import Row, Store, now


class RunFiles:
    """Reads and changes files of one store's runs; `base_url` is where they are handed over."""

    def __init__(self, store: Store, base_url: str) -> None:
        self._store, self._base_url = store, base_url

    def fields(self, run: Row) -> Node:
        """What may be asked of a run about its files."""
        return {
            "fileCount": lambda: len(self._files(run["id"])),
            "files": lambda names=(), pattern=None, first=None, after=None: paged(
                self._files(run["id"], names, pattern), self._node, first, after
            ),
        }

    def create(self, run: Row, names: list[str]) -> Node:
        """Addresses that a run's files may be put to. Raises Fault if a name can't be one."""
        names = [storage.plain_name(name) for name in names]
        return {
            "runID": node_id("Run", run["id"]),
            "uploadHeaders": [],
            "files": [{"name": name, "uploadUrl": self._address(run["id"], name)} for name in names],
        }

    def came(self, run: int, name: str, received: storage.Received) -> None:
        """Note a file of a run that was put."""
        sql = (
            "INSERT INTO run_files (run, name, bytes, md5, updated_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (run, name) DO UPDATE "
            "SET bytes = excluded.bytes, md5 = excluded.md5, updated_at = excluded.updated_at"
        )
        with self._store.write() as writer:
            writer.execute(sql, (run, name, received.bytes, received.md5, now()))

    def delete(self, *, files: list[str], project_id: int | None = None) -> Node:
        """Remove files of runs."""
        rows = [row_of("File", file) for file in files]
        for id_ in rows:
            file = self._store.row("SELECT * FROM run_files WHERE id = ?", (id_,))
            if file is not None:
                storage.run_file(self._store, file["run"], file["name"]).unlink(missing_ok=True)
        with self._store.write() as writer:
            writer.executemany("DELETE FROM run_files WHERE id = ?", [(id_,) for id_ in rows])
        return {"success": True}

    def delete_all(self, writer: sqlite3.Connection, run: Row) -> None:
        """Remove every file of a run, in a transaction under way."""
        writer.execute("DELETE FROM run_files WHERE run = ?", (run["id"],))
        for path in storage.run_file(self._store, run["id"], "any").parent.glob("*"):
            path.unlink()

    def _files(self, run: int, names: Any = (), pattern: str | None = None) -> list[Row]:
        if len(pattern or "") > LONGEST_NAME:
            raise Fault(f"no file's name is longer than {LONGEST_NAME}; give a shorter pattern")
        sql = "SELECT * FROM run_files WHERE run = ? AND bytes IS NOT NULL AND name LIKE ? ORDER BY name"
        wanted = {posixpath.normpath(name) for name in names or ()}
        return [row for row in self._store.rows(sql, (run, pattern or "%")) if not wanted or row["name"] in wanted]

    def _node(self, file: Row) -> Node:
        url = self._address(file["run"], file["name"])
        return {
            "__typename": "File",
            "id": node_id("File", file["id"]),
            "name": file["name"],
            "url": lambda upload=False: url,
            "directUrl": url,
            "sizeBytes": file["bytes"],
            "mimetype": mimetypes.guess_type(file["name"])[0] or "application/octet-stream",
            "updatedAt": file["updated_at"],
            "md5": file["md5"],
        }

    def _address(self, run: int, name: str) -> str:
        return storage.address(self._store, self._base_url, "runs", str(run), name)
