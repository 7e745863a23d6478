"""Artifacts, as nodes: what the SDK asks of them. Only committed ones are seen, but by who is logging one.

An artifact was logged to a sequence, and may be linked to portfolios; both are collections. Each collection that it is
a member of numbers it (v0, v1, …) and may call it by aliases.
"""

import json
import mimetypes
import re
from typing import Any, TypedDict

from scaling_lab.localserver import storage
from scaling_lab.localserver.graphql import Node
from scaling_lab.localserver.nodes import connection, node_id, page_bounds, paged, row_of
from scaling_lab.localserver.runs import Runs, project_node, user_node
from scaling_lab.localserver.store import Row, Store

# Each artifact as a member of each of its collections: `collection` is where it was logged, `place` where it is asked.
_MEMBERS = (
    "SELECT artifacts.*, memberships.id AS membership, memberships.collection AS place, memberships.version, "
    "memberships.created_at AS joined_at FROM artifacts JOIN memberships ON memberships.artifact = artifacts.id "
    "WHERE artifacts.state = 'COMMITTED' AND "
)
# Times to live are kept and given back, but nothing is ever removed by itself. This one stands for "as the collection".
INHERITED_TTL = -1


class _Entry(TypedDict):
    name: str


_VERSION = re.compile(r"v(\d{1,9})")


class ArtifactNodes:
    """Reads artifacts of one store."""

    def __init__(self, store: Store, runs: Runs) -> None:
        self.store, self.runs = store, runs

    # Finding

    def collection(self, project: int, name: str) -> Row | None:
        """A project's collection, or None."""
        return self.store.row("SELECT * FROM collections WHERE project = ? AND name = ?", (project, name))

    def member(self, collection: Row, alias: str) -> Row | None:
        """The artifact that a collection calls by an alias, a version or a digest, or None."""
        sql = (
            _MEMBERS + "place = ? AND artifacts.id = (SELECT artifact FROM aliases WHERE collection = ? AND alias = ?)"
        )
        found = self.store.row(sql, (collection["id"], collection["id"], alias))
        if found is None and (version := _VERSION.fullmatch(alias)):
            found = self.store.row(_MEMBERS + "place = ? AND version = ?", (collection["id"], int(version[1])))
        return found or self.store.row(_MEMBERS + "place = ? AND digest = ?", (collection["id"], alias))

    def membership(self, collection: Row, artifact: int) -> Row | None:
        """An artifact as a member of a collection, or None."""
        return self.store.row(_MEMBERS + "place = ? AND artifacts.id = ?", (collection["id"], artifact))

    def artifact(self, id_: int) -> Row | None:
        """A committed artifact as a member of the sequence that it was logged to, or None."""
        return self.store.row(_MEMBERS + "artifacts.id = ? AND place = artifacts.collection", (id_,))

    def collection_by_id(self, id: str) -> Node | None:
        """The node of the collection that an id names, or None."""
        return self._collection(row_of("ArtifactCollection", id))

    # What projects and runs have of artifacts

    def project_fields(self, project: Row) -> Node:
        """What may be asked of a project about its artifacts."""

        def named(name: str) -> Row | None:
            collection, _, alias = name.partition(":")
            found = self.collection(project["id"], collection)
            return self.member(found, alias or "latest") if found else None

        def collections(
            first: int | None = None, after: str | None = None, filters: Any = None, order: Any = None
        ) -> Node:
            return self._collections(project, None, first, after)

        return {
            "artifactTypes": lambda first=None, after=None: paged(
                self._types(project), lambda row: self._type_node(project, row), first, after
            ),
            "artifactType": lambda name: next(
                (self._type_node(project, row) for row in self._types(project) if row["type"] == name), None
            ),
            "artifactCollections": collections,
            "artifactCollection": lambda name: self._optional_collection(self.collection(project["id"], name)),
            "artifactCollectionMembership": lambda name: self._optional(self.membership_node, named(name)),
            "artifact": lambda name: self._optional(self.artifact_node, named(name)),
        }

    def run_fields(self, run: Row) -> Node:
        """What may be asked of a run about artifacts."""

        def used(role: str, first: int | None, after: str | None) -> Node:
            sql = (
                _MEMBERS + "place = artifacts.collection AND artifacts.id IN "
                "(SELECT artifact FROM artifact_uses WHERE run = ? AND role = ?) ORDER BY artifacts.id"
            )
            return paged(self.store.rows(sql, (run["id"], role)), self.artifact_node, first, after)

        return {
            "inputArtifacts": lambda first=None, after=None: used("input", first, after),
            "outputArtifacts": lambda first=None, after=None: used("output", first, after),
        }

    # Nodes

    def artifact_node(self, artifact: Row) -> Node:
        """All that a query may ask of an artifact, itself and not as a member of a collection."""
        store, id_ = self.store, artifact["id"]

        def sequence() -> Row:
            row = store.row("SELECT * FROM collections WHERE id = ?", (artifact["collection"],))
            assert row is not None
            return row

        def memberships() -> list[Row]:
            return store.rows(_MEMBERS + "artifacts.id = ? ORDER BY membership", (id_,))

        def by_entries(
            entries: list[_Entry] | None = None,
            storage_layout: Any = None,
            manifest_version: Any = None,
            storage_region: Any = None,
        ) -> Node:
            return self._files(artifact, [entry["name"] for entry in entries or ()], 10_000, None)

        return {
            "__typename": "Artifact",
            "id": node_id("Artifact", id_),
            "artifactSequence": lambda: self.collection_node(sequence()),
            "artifactType": lambda: {"__typename": "ArtifactType", "name": sequence()["type"]},
            "versionIndex": lambda: self._version(id_, artifact["collection"]),
            "description": artifact["description"],
            "metadata": artifact["metadata"],
            "ttlDurationSeconds": artifact["ttl_seconds"],
            "ttlIsInherited": artifact["ttl_seconds"] == INHERITED_TTL,
            "tags": [tag_node(tag) for tag in json.loads(artifact["tags"])],
            "historyStep": artifact["history_step"],
            "state": artifact["state"],
            "size": artifact["bytes"],
            "digest": artifact["digest"],
            "digestAlgorithm": "MANIFEST_MD5",
            "commitHash": None,
            "fileCount": artifact["file_count"],
            "createdAt": artifact["created_at"],
            "updatedAt": artifact["updated_at"],
            "aliases": lambda: self._aliases("artifact = ?", id_),
            "artifactMemberships": lambda: paged(memberships(), self.membership_node, 10_000, None),
            "currentManifest": lambda: self.manifest_node(artifact),
            "filesByManifestEntries": by_entries,
            "createdBy": lambda: self._creator(artifact["run"]),
            "usedBy": lambda: paged(self._users(id_), self.runs.run_node, 10_000, None),
        }

    def membership_node(self, member: Row) -> Node:
        """All that a query may ask of an artifact in a collection."""
        return {
            "__typename": "ArtifactCollectionMembership",
            "id": node_id("ArtifactCollectionMembership", member["membership"]),
            "versionIndex": member["version"],
            "createdAt": member["joined_at"],
            "aliases": lambda: self._aliases("artifact = ? AND collection = ?", member["id"], member["place"]),
            "artifactCollection": lambda: self._collection(member["place"]),
            "artifact": lambda: self.artifact_node(member),
            "files": lambda names=(), first=None, after=None: self._files(member, names, first, after),
        }

    def collection_node(self, collection: Row) -> Node:
        """All that a query may ask of a collection: a sequence (logged to), or a portfolio (linked to)."""

        def artifacts(
            first: int | None = None, after: str | None = None, order: Any = None, filters: Any = None
        ) -> Node:
            begin, size = page_bounds(first, after)
            sql = _MEMBERS + "place = ? ORDER BY version DESC"
            rows = self.store.rows(sql, (collection["id"],))
            page = connection(
                rows[begin : begin + size], dict, total=len(rows), begin=begin, more=begin + size < len(rows)
            )
            for edge in page["edges"]:
                member = edge["node"]
                edge |= {"version": f"v{member['version']}", "node": self.artifact_node(member)}
            return page

        return {
            "__typename": "ArtifactPortfolio" if collection["portfolio"] else "ArtifactSequence",
            "id": node_id("ArtifactCollection", collection["id"]),
            "name": collection["name"],
            "description": collection["description"],
            "state": "READY",
            "createdAt": collection["created_at"],
            "updatedAt": collection["updated_at"],
            "digestAlgorithm": "MANIFEST_MD5",
            "project": lambda: self._project(collection["project"]),
            "defaultArtifactType": {"__typename": "ArtifactType", "name": collection["type"]},
            "tags": paged(json.loads(collection["tags"]), tag_node, 10_000, None),
            "aliases": lambda first=None, after=None: paged(
                self._aliases("collection = ?", collection["id"]), dict, first, after
            ),
            "latestArtifact": lambda: self._optional(self.artifact_node, self.member(collection, "latest")),
            "artifactMembership": lambda alias_name: self._optional(
                self.membership_node, self.member(collection, alias_name)
            ),
            "artifacts": artifacts,
        }

    def manifest_node(self, artifact: Row, announced: str | None = None) -> Node:
        """An artifact's list of files, itself a file: the one announced by its MD5, or else the one that arrived."""
        md5 = announced or artifact["manifest"]
        return {
            "__typename": "ArtifactManifest",
            "id": node_id("ArtifactManifest", artifact["id"]),
            "file": self._manifest_file(artifact["id"], md5) if md5 else None,
        }

    def content_url(self, artifact: int, md5: str) -> str:
        """Where content of an artifact is fetched, and put if it isn't there."""
        return storage.address(self.store, self.runs.base_url, "artifacts", str(artifact), md5)

    # Parts

    def _manifest_file(self, artifact: int, md5: str) -> Node:
        name = "wandb_manifest.json"
        return {
            "__typename": "File",
            "id": node_id("ManifestFile", artifact),
            "name": name,
            "displayName": name,
            "directUrl": self.content_url(artifact, md5),
            "uploadUrl": storage.address(self.store, self.runs.base_url, "manifests", str(artifact), md5),
            "uploadHeaders": [],
        }

    def _files(self, artifact: Row, names: Any, first: int | None, after: str | None) -> Node:
        begin, size = page_bounds(first, after)
        condition = "artifact = ? AND (? = '[]' OR name IN (SELECT value FROM json_each(?)))"
        wanted = json.dumps(list(names or ()))
        values = (artifact["id"], wanted, wanted)
        total = self.store.row(f"SELECT count(*) FROM artifact_files WHERE {condition}", values)
        sql = f"SELECT * FROM artifact_files WHERE {condition} ORDER BY name LIMIT ? OFFSET ?"
        rows = self.store.rows(sql, (*values, size, begin))
        assert total is not None
        more = begin + size < total[0]
        return connection(rows, lambda row: self._file_node(artifact, row), total=total[0], begin=begin, more=more)

    def _file_node(self, artifact: Row, file: Row) -> Node:
        url = file["reference"] or self.content_url(artifact["id"], file["digest"])
        return {
            "__typename": "File",
            "id": node_id("ArtifactFile", file["id"]),
            "name": file["name"],
            "displayName": file["name"],
            "url": lambda upload=False: url,
            "directUrl": url,
            "storagePath": None,
            "sizeBytes": file["bytes"] or 0,
            "mimetype": mimetypes.guess_type(file["name"])[0] or "application/octet-stream",
            "updatedAt": artifact["updated_at"],
            "digest": file["digest"],
            "md5": file["digest"],
        }

    def _types(self, project: Row) -> list[Row]:
        sql = (
            "SELECT type, min(id) AS id, min(created_at) AS created_at FROM collections WHERE project = ? GROUP BY type"
        )
        return self.store.rows(sql, (project["id"],))

    def _type_node(self, project: Row, row: Row) -> Node:
        def collection(name: str) -> Node | None:
            found = self.collection(project["id"], name)
            return self._optional_collection(found if found and found["type"] == row["type"] else None)

        return {
            "__typename": "ArtifactType",
            "id": node_id("ArtifactType", row["id"]),
            "name": row["type"],
            "description": None,
            "createdAt": row["created_at"],
            "artifactCollection": collection,
            "artifactCollections": lambda first=None, after=None, filters=None, order=None: self._collections(
                project, row["type"], first, after
            ),
        }

    def _collections(self, project: Row, type_: str | None, first: int | None, after: str | None) -> Node:
        # One that nothing was ever committed to is not seen.
        sql = (
            "SELECT * FROM collections WHERE project = ? AND (? IS NULL OR type = ?) AND "
            "EXISTS (SELECT 1 FROM memberships WHERE collection = collections.id) ORDER BY name"
        )
        return paged(self.store.rows(sql, (project["id"], type_, type_)), self.collection_node, first, after)

    def _aliases(self, condition: str, *values: Any) -> list[Node]:
        return [
            {
                "__typename": "ArtifactAlias",
                "id": node_id("ArtifactAlias", row["id"]),
                "alias": row["alias"],
                "artifactCollection": self._collection(row["collection"]),
            }
            for row in self.store.rows(f"SELECT * FROM aliases WHERE {condition} ORDER BY id", values)
        ]

    def _version(self, artifact: int, collection: int) -> int | None:
        sql = "SELECT version FROM memberships WHERE artifact = ? AND collection = ?"
        row = self.store.row(sql, (artifact, collection))
        return row["version"] if row else None

    def _creator(self, run: int | None) -> Node | None:
        found = self.runs.run_by_number(run) if run is not None else None
        return self.runs.run_node(found) if found else user_node()

    def _users(self, artifact: int) -> list[Row]:
        sql = "SELECT run FROM artifact_uses WHERE artifact = ? AND role = 'input' ORDER BY run"
        found = [self.runs.run_by_number(row["run"]) for row in self.store.rows(sql, (artifact,))]
        return [run for run in found if run is not None]

    def _project(self, id_: int) -> Node:
        row = self.store.row("SELECT * FROM projects WHERE id = ?", (id_,))
        assert row is not None
        return project_node(row)

    def _collection(self, id_: int) -> Node | None:
        return self._optional_collection(self.store.row("SELECT * FROM collections WHERE id = ?", (id_,)))

    def _optional_collection(self, row: Row | None) -> Node | None:
        return self.collection_node(row) if row is not None else None

    def _optional(self, node: Any, row: Row | None) -> Node | None:
        return node(row) if row is not None else None


def tag_node(tag: str) -> Node:
    """All that a query may ask of a tag."""
    return {"__typename": "Tag", "id": node_id("Tag", tag), "name": tag}
