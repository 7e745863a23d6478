"""Artifacts once they are logged: used, named, tagged, described, linked to other collections, and removed."""

import sqlite3

from scaling_lab.localserver import storage
from scaling_lab.localserver.artifact_nodes import ArtifactNodes, tag_node
from scaling_lab.localserver.artifact_rows import (
    Alias,
    AliasName,
    Tag,
    artifact_row,
    change_tags,
    ensure_collection,
    join,
    json_text,
    latest_is_newest,
    plain_alias,
    set_aliases,
)
from scaling_lab.localserver.graphql import Fault, Node
from scaling_lab.localserver.nodes import row_of
from scaling_lab.localserver.runs import Runs, named
from scaling_lab.localserver.store import Row, Store, now


class ArtifactEdits:
    """Changes what is said of the artifacts of one store."""

    def __init__(self, store: Store, runs: Runs, nodes: ArtifactNodes) -> None:
        self.store, self._runs, self._nodes = store, runs, nodes

    # Versions

    def use(
        self,
        *,
        artifact_id: str,
        entity_name: str,
        project_name: str,
        run_name: str,
        used_as: str | None = None,
        artifact_entity_name: str | None = None,
        artifact_project_name: str | None = None,
    ) -> Node:
        """Note that a run reads an artifact."""
        run = self._runs.run(entity_name, project_name, run_name)
        if run is None:
            raise Fault(f"no run {entity_name}/{project_name}/{run_name}", 404)
        with self.store.write() as writer:
            artifact = artifact_row(writer, row_of("Artifact", artifact_id))
            writer.execute("INSERT OR IGNORE INTO artifact_uses VALUES (?, ?, 'input')", (artifact["id"], run["id"]))
        return {"artifact": self._nodes.artifact_node(artifact)}

    def update(
        self,
        *,
        artifact_id: str,
        description: str | None = None,
        metadata: str | None = None,
        tags_to_add: list[Tag] | None = None,
        tags_to_delete: list[Tag] | None = None,
        ttl_duration_seconds: int | None = None,
    ) -> Node:
        """Change what is said of an artifact."""
        id_ = row_of("Artifact", artifact_id)
        with self.store.write() as writer:
            sql = (
                "UPDATE artifacts SET description = coalesce(?, description), metadata = coalesce(?, metadata), "
                "ttl_seconds = coalesce(?, ttl_seconds), updated_at = ? WHERE id = ?"
            )
            writer.execute(sql, (description, json_text(metadata), ttl_duration_seconds, now(), id_))
            change_tags(writer, "artifacts", id_, add=tags_to_add, remove=tags_to_delete)
            artifact = artifact_row(writer, id_)
        return {"artifact": self._nodes.artifact_node(artifact)}

    def add_aliases(self, *, artifact_id: str, aliases: list[Alias]) -> Node:
        """Call an artifact by more names in its collections; who had one of them loses it."""
        id_ = row_of("Artifact", artifact_id)
        with self.store.write() as writer:
            for alias in aliases:
                collection = self._collection_of(alias)
                if self._nodes.membership(collection, id_) is None:
                    raise Fault(f"the artifact is not in collection {collection['name']}")
                set_aliases(writer, collection["id"], id_, [plain_alias(alias["alias"])])
        return {"success": True}

    def delete_aliases(self, *, artifact_id: str, aliases: list[Alias]) -> Node:
        """Call an artifact no more by these names."""
        id_ = row_of("Artifact", artifact_id)
        sql = "DELETE FROM aliases WHERE collection = ? AND artifact = ? AND alias = ?"
        with self.store.write() as writer:
            for alias in aliases:
                writer.execute(sql, (self._collection_of(alias)["id"], id_, alias["alias"]))
        return {"success": True}

    def _collection_of(self, alias: Alias) -> Row:
        return self._collection_named(alias["entityName"], alias["projectName"], alias["artifactCollectionName"])

    def _collection_named(self, entity: str, project: str, name: str) -> Row:
        found = self._runs.project(entity, project)
        collection = self._nodes.collection(found["id"], name) if found else None
        if collection is None:
            raise Fault(f"no collection {entity}/{project}/{name}", 404)
        return collection

    # Links

    def link(
        self,
        *,
        artifact_portfolio_name: str,
        entity_name: str,
        project_name: str,
        artifact_id: str | None = None,
        client_id: str | None = None,
        artifact_portfolio_id: str | None = None,
        aliases: list[AliasName] | None = None,
    ) -> Node:
        """Make an artifact a member of a portfolio too, which is made if there is none."""
        with self.store.write() as writer:
            artifact = artifact_row(writer, self._which(artifact_id, client_id))
            if artifact["state"] != "COMMITTED":
                raise Fault("an artifact is linked once it is committed", 409)
            sql = "SELECT type FROM collections WHERE id = ?"
            type_ = writer.execute(sql, (artifact["collection"],)).fetchone()["type"]
            project = self._runs.ensure_project(writer, entity_name, project_name)
            name = named(artifact_portfolio_name)
            collection = ensure_collection(writer, project["id"], name, type_, portfolio=True)
            version = join(writer, collection["id"], artifact["id"])
            wanted = [plain_alias(alias["alias"]) for alias in aliases or ()]
            set_aliases(writer, collection["id"], artifact["id"], ["latest", *wanted])
        member = self._nodes.member(collection, f"v{version}")
        return {"versionIndex": version, "artifactMembership": self._nodes.membership_node(member) if member else None}

    def unlink(self, *, artifact_id: str, artifact_portfolio_id: str) -> Node:
        """Take an artifact out of a portfolio; it stays where it was logged."""
        artifact, id_ = row_of("Artifact", artifact_id), row_of("ArtifactCollection", artifact_portfolio_id)
        with self.store.write() as writer:
            if not _collection(writer, id_)["portfolio"]:
                raise Fault("an artifact can't be unlinked from where it was logged; delete it")
            _leave(writer, id_, artifact)
        return {"success": True}

    def _which(self, artifact_id: str | None, client_id: str | None) -> int:
        if artifact_id:
            return row_of("Artifact", artifact_id)
        row = self.store.row("SELECT artifact FROM artifact_clients WHERE client = ?", (client_id,))
        if row is None:
            raise Fault("no such artifact", 404)
        return row["artifact"]

    # Collections

    def update_sequence(
        self, *, artifact_sequence_id: str, name: str | None = None, description: str | None = None
    ) -> Node:
        """Rename a sequence, or describe it."""
        return self._update_collection(artifact_sequence_id, name=name, description=description)

    def update_portfolio(
        self, *, artifact_portfolio_id: str, name: str | None = None, description: str | None = None
    ) -> Node:
        """Rename a portfolio, or describe it."""
        return self._update_collection(artifact_portfolio_id, name=name, description=description)

    def move_sequence(self, *, artifact_sequence_id: str, destination_artifact_type_name: str) -> Node:
        """Give a sequence's artifacts another type."""
        return self._update_collection(artifact_sequence_id, type=named(destination_artifact_type_name))

    def _update_collection(self, collection_id: str, **values: str | None) -> Node:
        given = {column: value for column, value in values.items() if value is not None}
        given["updated_at"] = now()
        id_ = row_of("ArtifactCollection", collection_id)
        with self.store.write() as writer:
            collection = _collection(writer, id_)
            if "name" in given and given["name"] != collection["name"]:
                sql = "SELECT 1 FROM collections WHERE project = ? AND name = ?"
                if writer.execute(sql, (collection["project"], named(given["name"]))).fetchone():
                    raise Fault(f"there is a collection {given['name']} already")
            columns = ", ".join(f"{column} = ?" for column in given)
            writer.execute(f"UPDATE collections SET {columns} WHERE id = ?", (*given.values(), id_))
            collection = _collection(writer, id_)
        return {"artifactCollection": self._nodes.collection_node(collection)}

    def tag_collection(
        self, *, entity_name: str, project_name: str, artifact_collection_name: str, tags: list[Tag]
    ) -> Node:
        """Add tags to a collection."""
        collection = self._collection_named(entity_name, project_name, artifact_collection_name)
        with self.store.write() as writer:
            change_tags(writer, "collections", collection["id"], add=tags)
        return {"tags": [tag_node(tag["tagName"]) for tag in tags]}

    def untag_collection(
        self, *, entity_name: str, project_name: str, artifact_collection_name: str, tags: list[Tag]
    ) -> Node:
        """Remove tags of a collection."""
        collection = self._collection_named(entity_name, project_name, artifact_collection_name)
        with self.store.write() as writer:
            change_tags(writer, "collections", collection["id"], remove=tags)
        return {"success": True}

    def delete_sequence(self, *, artifact_sequence_id: str) -> Node:
        """Remove a sequence with every version that was logged to it, links to them included."""
        id_ = row_of("ArtifactCollection", artifact_sequence_id)
        with self.store.write() as writer:
            for artifact in writer.execute("SELECT * FROM artifacts WHERE collection = ?", (id_,)).fetchall():
                self.remove(writer, artifact)
            return self._without(writer, id_)

    def delete_portfolio(self, *, artifact_portfolio_id: str) -> Node:
        """Remove a portfolio; what was linked to it stays where it was logged."""
        id_ = row_of("ArtifactCollection", artifact_portfolio_id)
        with self.store.write() as writer:
            writer.execute("DELETE FROM aliases WHERE collection = ?", (id_,))
            writer.execute("DELETE FROM memberships WHERE collection = ?", (id_,))
            return self._without(writer, id_)

    def _without(self, writer: sqlite3.Connection, id_: int) -> Node:
        node = self._nodes.collection_node(_collection(writer, id_))
        writer.execute("DELETE FROM collections WHERE id = ?", (id_,))
        return {"artifactCollection": {**node, "state": "DELETED"}}

    # Removing

    def delete(self, *, artifact_id: str, delete_aliases: bool = False) -> Node:
        """Remove a version, and its content where no other holds it. Raises Fault if it has aliases, unless told to."""
        with self.store.write() as writer:
            artifact = artifact_row(writer, row_of("Artifact", artifact_id))
            aliases = writer.execute("SELECT alias FROM aliases WHERE artifact = ?", (artifact["id"],)).fetchall()
            if aliases and not delete_aliases:
                names = ", ".join(row["alias"] for row in aliases)
                raise Fault(f"the artifact has aliases ({names}); remove them, or delete it with delete_aliases=True")
            self.remove(writer, artifact)
        return {"artifact": self._nodes.artifact_node(artifact)}

    def delete_logged_by(self, run: Row) -> None:
        """Remove every version that a run logged first."""
        with self.store.write() as writer:
            for artifact in writer.execute("SELECT * FROM artifacts WHERE run = ?", (run["id"],)).fetchall():
                self.remove(writer, artifact)

    def remove(self, writer: sqlite3.Connection, artifact: Row) -> None:
        """Remove a version in a transaction under way."""
        id_ = artifact["id"]
        places = writer.execute("SELECT collection FROM memberships WHERE artifact = ?", (id_,)).fetchall()
        sql = "SELECT digest FROM artifact_files WHERE artifact = ? AND reference IS NULL"
        contents = {row["digest"] for row in writer.execute(sql, (id_,))} | {artifact["manifest"]}
        for table in ("aliases", "memberships", "artifact_files", "artifact_clients", "artifact_uses"):
            writer.execute(f"DELETE FROM {table} WHERE artifact = ?", (id_,))
        writer.execute("DELETE FROM artifacts WHERE id = ?", (id_,))
        for place in places:
            latest_is_newest(writer, place["collection"])
        self.drop_unheld(writer, contents)

    def drop_unheld(self, writer: sqlite3.Connection, contents: set[str | None]) -> None:
        """Remove content, given by its MD5, that no artifact holds or counts on."""
        for md5 in contents - {None}:
            sql = (
                "SELECT 1 FROM artifact_files WHERE digest = ? AND reference IS NULL "
                "UNION SELECT 1 FROM artifacts WHERE manifest = ?"
            )
            if writer.execute(sql, (md5, md5)).fetchone() is None:
                storage.artifact_blob(self.store, str(md5)).unlink(missing_ok=True)


def _collection(writer: sqlite3.Connection, id_: int) -> Row:
    row = writer.execute("SELECT * FROM collections WHERE id = ?", (id_,)).fetchone()
    if row is None:
        raise Fault("no such collection", 404)
    return row


def _leave(writer: sqlite3.Connection, collection: int, artifact: int) -> None:
    for table in ("aliases", "memberships"):
        writer.execute(f"DELETE FROM {table} WHERE collection = ? AND artifact = ?", (collection, artifact))
    latest_is_newest(writer, collection)
