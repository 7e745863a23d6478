"""Logging artifacts: pending while files arrive, then committed as a whole; and changing what is said of them.

Content lies under its MD5, once, whichever artifacts hold it: a file that is there already is never asked for, and one
that arrives with another MD5 than was announced is refused. An artifact is committed only if all that its manifest
names is there, so a broken upload is never seen; logged again, it goes on where it was. A committed artifact's content
never changes. Logging content that a collection has already gives the version that has it.
"""

import base64
import hashlib
import json
import os
import secrets
import sqlite3
from pathlib import Path
from typing import Any, TypedDict

from scaling_lab.localserver import storage
from scaling_lab.localserver.artifact_edits import ArtifactEdits
from scaling_lab.localserver.artifact_nodes import INHERITED_TTL, ArtifactNodes
from scaling_lab.localserver.artifact_rows import (
    AliasName,
    Tag,
    artifact_row,
    change_tags,
    ensure_collection,
    join,
    json_text,
    plain_alias,
    set_aliases,
)
from scaling_lab.localserver.decoding import whole
from scaling_lab.localserver.graphql import Fault, Node
from scaling_lab.localserver.nodes import node_id, row_of
from scaling_lab.localserver.runs import Runs, named
from scaling_lab.localserver.store import Row, Store, now

LARGEST_MANIFEST_BYTES = 512 * 2**20


class _FileSpec(TypedDict):
    artifactID: str
    name: str
    md5: str


class Artifacts:
    """Changes artifacts of one store."""

    def __init__(self, store: Store, runs: Runs) -> None:
        self.store, self._runs = store, runs
        self.nodes = ArtifactNodes(store, runs)
        self.edits = ArtifactEdits(store, runs, self.nodes)

    # Logging

    def create(
        self,
        *,
        artifact_type_name: str,
        entity_name: str,
        project_name: str,
        digest: str,
        artifact_collection_names: list[str] | None = None,
        artifact_collection_name: str | None = None,
        run_name: str | None = None,
        aliases: list[AliasName] | None = None,
        tags: list[Tag] | None = None,
        description: str | None = None,
        metadata: str | None = None,
        digest_algorithm: str = "MANIFEST_MD5",
        client_id: str | None = None,
        sequence_client_id: str | None = None,
        ttl_duration_seconds: int = INHERITED_TTL,
        history_step: int | None = None,
        enable_digest_deduplication: bool = False,
        storage_region: str | None = None,
    ) -> Node:
        """A pending artifact to put files to, or the one that holds the same: then only its aliases and tags change."""
        if digest_algorithm != "MANIFEST_MD5":
            raise Fault(f"digests here are MD5, not {digest_algorithm}")
        name = named(artifact_collection_name or (artifact_collection_names or [""])[0])
        wanted = [plain_alias(alias["alias"]) for alias in aliases or ()]
        run = self._runs.run(entity_name, project_name, run_name) if run_name else None
        with self.store.write() as writer:
            project = self._runs.ensure_project(writer, entity_name, project_name)
            collection = ensure_collection(writer, project["id"], name, named(artifact_type_name), portfolio=False)
            latest = self.nodes.member(collection, "latest")
            found = _same(writer, collection["id"], digest) if enable_digest_deduplication else None
            id_ = found["id"] if found else _insert(writer, collection["id"], digest, run)
            if found and found["state"] == "COMMITTED":
                set_aliases(writer, collection["id"], id_, wanted)
            else:
                # Others may be logging the same at this moment; nobody's aliases are lost.
                asked = json.loads(found["wanted_aliases"]) if found else []
                wanted = list(dict.fromkeys([*asked, *wanted]))
                values = (description, json_text(metadata), json.dumps(wanted), ttl_duration_seconds, history_step, id_)
                sql = "description = ?, metadata = ?, wanted_aliases = ?, ttl_seconds = ?, history_step = ?"
                writer.execute(f"UPDATE artifacts SET {sql} WHERE id = ?", values)
            change_tags(writer, "artifacts", id_, add=tags)
            if client_id:
                writer.execute("INSERT OR REPLACE INTO artifact_clients VALUES (?, ?)", (client_id, id_))
            if run:
                writer.execute("INSERT OR IGNORE INTO artifact_uses VALUES (?, ?, 'output')", (id_, run["id"]))
            artifact = artifact_row(writer, id_)
        sequence = self.nodes.collection_node(collection)
        # What was the latest before this one.
        sequence["latestArtifact"] = self.nodes.artifact_node(latest) if latest else None
        return {"artifact": {**self.nodes.artifact_node(artifact), "artifactSequence": sequence}}

    def create_manifest(
        self,
        *,
        artifact_id: str,
        name: str,
        digest: str,
        entity_name: str | None = None,
        project_name: str | None = None,
        run_name: str | None = None,
        base_artifact_id: str | None = None,
        type: str = "FULL",
    ) -> Node:
        """Announce the list of an artifact's files; with its digest, it gets an address to be put to."""
        if type not in ("FULL", "INCREMENTAL"):
            raise Fault(f"a manifest of type {type} is not served here")
        id_ = row_of("Artifact", artifact_id)
        base = row_of("Artifact", base_artifact_id) if base_artifact_id else None
        return self._announce_manifest(id_, digest, base, incremental=type == "INCREMENTAL")

    def update_manifest(
        self, *, artifact_manifest_id: str, digest: str | None = None, base_artifact_id: str | None = None
    ) -> Node:
        """Announce the digest of a list of files that was announced without one."""
        base = row_of("Artifact", base_artifact_id) if base_artifact_id else None
        return self._announce_manifest(row_of("ArtifactManifest", artifact_manifest_id), digest, base)

    def _announce_manifest(
        self, id_: int, digest: str | None, base: int | None, *, incremental: bool | None = None
    ) -> Node:
        with self.store.write() as writer:
            sql = (
                "UPDATE artifacts SET base = coalesce(?, base), incremental = coalesce(?, incremental) "
                "WHERE id = ? AND state = 'PENDING'"
            )
            writer.execute(sql, (base, incremental, id_))
            artifact = artifact_row(writer, id_)
        return {"artifactManifest": self.nodes.manifest_node(artifact, digest)}

    def create_files(self, *, artifact_files: list[_FileSpec], storage_layout: str = "V2") -> Node:
        """Addresses to put files to, and none for content that is here already."""
        edges = []
        with self.store.write() as writer:
            for spec in artifact_files:
                id_, md5, name = row_of("Artifact", spec["artifactID"]), spec["md5"], storage.plain_name(spec["name"])
                if artifact_row(writer, id_)["state"] == "PENDING":
                    # Content that a pending artifact counts on is not removed.
                    sql = "INSERT OR REPLACE INTO artifact_files (artifact, name, digest) VALUES (?, ?, ?)"
                    writer.execute(sql, (id_, name, md5))
                here = storage.artifact_blob(self.store, md5).is_file()
                node = {
                    "__typename": "File",
                    "id": node_id("PendingFile", id_, name),
                    "name": name,
                    "displayName": name,
                    "storagePath": md5,
                    "uploadUrl": None if here else self.nodes.content_url(id_, md5),
                    "uploadHeaders": [],
                    "uploadMultipartUrls": None,
                    "artifact": {"__typename": "Artifact", "id": node_id("Artifact", id_)},
                }
                edges.append({"node": node})
        return {"files": {"edges": edges}}

    def manifest_came(self, id_: int, md5: str) -> None:
        """A manifest of an artifact arrived: its own from now on, unless it is committed.

        Several processes that log the same at once share the pending artifact, and each brings a manifest, which says
        the same in other words. So the manifest is the last that arrived, not the last that was announced.
        """
        with self.store.write() as writer:
            before = artifact_row(writer, id_)["manifest"]
            sql = "UPDATE artifacts SET manifest = ? WHERE id = ? AND state = 'PENDING'"
            writer.execute(sql, (md5, id_))
            self.edits.drop_unheld(writer, {before, md5})

    def commit(self, *, artifact_id: str) -> Node:
        """Make a pending artifact the next version of its collection. Raises Fault if any of its content is missing."""
        with self.store.write() as writer:
            artifact = artifact_row(writer, row_of("Artifact", artifact_id))
            if artifact["state"] == "PENDING":
                self._commit(writer, artifact)
                artifact = artifact_row(writer, artifact["id"])
        return {"artifact": self.nodes.artifact_node(artifact)}

    def _commit(self, writer: sqlite3.Connection, artifact: Row) -> None:
        id_, collection = artifact["id"], artifact["collection"]
        entries = self._entries(writer, artifact)
        files = [self._file(id_, name, entry) for name, entry in entries.items()]
        writer.execute("DELETE FROM artifact_files WHERE artifact = ?", (id_,))
        sql = "INSERT INTO artifact_files (artifact, name, digest, bytes, reference) VALUES (?, ?, ?, ?, ?)"
        writer.executemany(sql, files)
        join(writer, collection, id_)
        total = sum(size for _, _, _, size, _ in files)
        sql = "UPDATE artifacts SET state = 'COMMITTED', bytes = ?, file_count = ?, updated_at = ? WHERE id = ?"
        writer.execute(sql, (total, len(files), now(), id_))
        set_aliases(writer, collection, id_, ["latest", *json.loads(artifact["wanted_aliases"])])

    def _entries(self, writer: sqlite3.Connection, artifact: Row) -> dict[str, Any]:
        """What an artifact's manifest names; an incremental one is completed by its base's, and written anew."""
        content = self._manifest(artifact)
        if not artifact["incremental"] or artifact["base"] is None:
            return content["contents"]
        base = self._manifest(artifact_row(writer, artifact["base"]))
        content["contents"] = base["contents"] | content["contents"]
        text = json.dumps(content).encode()
        md5 = base64.b64encode(hashlib.md5(text, usedforsecurity=False).digest()).decode()
        _write(storage.artifact_blob(self.store, md5), text)
        writer.execute("UPDATE artifacts SET manifest = ? WHERE id = ?", (md5, artifact["id"]))
        return content["contents"]

    def _manifest(self, artifact: Row) -> dict[str, Any]:
        path = storage.artifact_blob(self.store, artifact["manifest"] or "")
        if not artifact["manifest"] or not path.is_file():
            raise Fault("the artifact's manifest did not arrive", 409)
        if path.stat().st_size > LARGEST_MANIFEST_BYTES:
            raise Fault("the artifact's manifest is too large", 413)
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise Fault(f"the artifact's manifest is not JSON: {error}") from None
        if not isinstance(content, dict) or not isinstance(content.get("contents"), dict):
            raise Fault("the artifact's manifest has no contents")
        return content

    def _file(self, artifact: int, name: str, entry: Any) -> tuple[int, str, str, int, str | None]:
        """A row of artifact_files from a manifest's entry. Raises Fault if its content isn't here."""
        storage.plain_name(name)
        if not isinstance(entry, dict) or not isinstance(entry.get("digest"), str):
            raise Fault(f"{name}: an entry of a manifest has a digest")
        if entry.get("ref"):
            return artifact, name, entry["digest"], whole(entry.get("size") or 0, f"{name}: size"), str(entry["ref"])
        path = storage.artifact_blob(self.store, entry["digest"])
        if not path.is_file():
            raise Fault(f"{name}: its content did not arrive", 409)
        return artifact, name, entry["digest"], path.stat().st_size, None

    # Finding

    def content_by_hex(self, digest: str) -> Path | None:
        """Where content with an MD5, in hexadecimal, lies, if a committed artifact holds it."""
        try:
            md5 = base64.b64encode(bytes.fromhex(digest)).decode()
        except ValueError:
            return None
        sql = (
            "SELECT 1 FROM artifact_files JOIN artifacts ON artifacts.id = artifact "
            "WHERE artifact_files.digest = ? AND reference IS NULL AND state = 'COMMITTED'"
        )
        return storage.artifact_blob(self.store, md5) if self.store.row(sql, (md5,)) else None

    def client_mapping(self, client_id: str) -> Node | None:
        """The artifact that a process called by an id of its own."""
        row = self.store.row("SELECT artifact FROM artifact_clients WHERE client = ?", (client_id,))
        return {"serverID": node_id("Artifact", row["artifact"])} if row else None

    def by_id(self, id: str) -> Node | None:
        """A committed artifact, or None."""
        row = self.nodes.artifact(row_of("Artifact", id))
        return self.nodes.artifact_node(row) if row else None


def _same(writer: sqlite3.Connection, collection: int, digest: str) -> Row | None:
    """The artifact of a collection with a digest, a committed one first."""
    sql = "SELECT * FROM artifacts WHERE collection = ? AND digest = ? ORDER BY state, id"
    return writer.execute(sql, (collection, digest)).fetchone()


def _insert(writer: sqlite3.Connection, collection: int, digest: str, run: Row | None) -> int:
    moment = now()
    sql = "INSERT INTO artifacts (collection, digest, run, created_at, updated_at) VALUES (?, ?, ?, ?, ?)"
    return int(writer.execute(sql, (collection, digest, run and run["id"], moment, moment)).lastrowid or 0)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f".{secrets.token_hex(8)}"
    aside.write_bytes(content)
    os.replace(aside, path)
