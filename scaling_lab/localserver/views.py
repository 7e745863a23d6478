"""W&B Reports as a client saves them: kept and given back, not drawn."""

from scaling_lab.localserver.graphql import Fault, Node
from scaling_lab.localserver.nodes import node_id, paged, row_of
from scaling_lab.localserver.runs import Runs, project_node, user_node
from scaling_lab.localserver.store import Row, Store, now


class Views:
    """Reads and changes views of one store."""

    def __init__(self, store: Store, runs: Runs) -> None:
        self._store, self._runs = store, runs

    def view(self, id: str) -> Node | None:
        """The view that an id names, or None."""
        row = self._store.row("SELECT * FROM views WHERE id = ?", (row_of("View", id),))
        return self._node(row) if row else None

    def views_of(
        self,
        project: Row,
        view_type: str | None = None,
        view_name: str | None = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Node:
        """A page of a project's views, the newest first."""
        sql = (
            "SELECT * FROM views WHERE project = ? AND (? IS NULL OR type = ?) AND (? IS NULL OR name = ?) "
            "ORDER BY id DESC"
        )
        rows = self._store.rows(sql, (project["id"], view_type, view_type, view_name, view_name))
        return paged(rows, self._node, first, after)

    def upsert(
        self,
        *,
        spec: str,
        id: str | None = None,
        entity_name: str | None = None,
        project_name: str | None = None,
        name: str | None = None,
        display_name: str | None = None,
        description: str | None = None,
        type: str | None = None,
        created_using: str | None = None,
    ) -> Node:
        """Keep a view, or a new state of one."""
        with self._store.write() as writer:
            if id is None:
                project = self._runs.ensure_project(writer, entity_name, project_name)
                sql = "INSERT INTO views (project, created_at, updated_at, spec) VALUES (?, ?, ?, '')"
                row = writer.execute(sql, (project["id"], now(), now())).lastrowid
            else:
                row = row_of("View", id)
            sql = (
                "UPDATE views SET spec = ?, name = coalesce(?, name), display_name = coalesce(?, display_name), "
                "description = coalesce(?, description), type = coalesce(?, type), updated_at = ? WHERE id = ?"
            )
            writer.execute(sql, (spec, name, display_name, description, type, now(), row))
            view = writer.execute("SELECT * FROM views WHERE id = ?", (row,)).fetchone()
        if view is None:
            raise Fault("no such view", 404)
        return {"view": self._node(view), "inserted": id is None}

    def delete(self, *, id: str, delete_drafts: bool = False) -> Node:
        """Remove a view."""
        with self._store.write() as writer:
            writer.execute("DELETE FROM views WHERE id = ?", (row_of("View", id),))
        return {"__typename": "DeleteViewPayload", "success": True, "pendingDrafts": None}

    def _node(self, view: Row) -> Node:
        def project() -> Node:
            row = self._store.row("SELECT * FROM projects WHERE id = ?", (view["project"],))
            assert row is not None
            return project_node(row)

        return {
            "__typename": "View",
            "id": node_id("View", view["id"]),
            "name": view["name"],
            "displayName": view["display_name"],
            "description": view["description"],
            "type": view["type"],
            "spec": view["spec"],
            "createdAt": view["created_at"],
            "updatedAt": view["updated_at"],
            "user": lambda: {**user_node(), "photoUrl": None},
            "project": project,
        }
