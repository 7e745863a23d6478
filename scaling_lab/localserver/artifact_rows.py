"""Rows of artifacts and their collections, as a transaction under way changes them."""

import json
import sqlite3
from typing import TypedDict

from scaling_lab.localserver.decoding import json_value
from scaling_lab.localserver.graphql import Fault
from scaling_lab.localserver.runs import named
from scaling_lab.localserver.store import Row, now


# What a client says of aliases and tags, by the names that it uses.
class AliasName(TypedDict):
    alias: str


class Alias(TypedDict):
    alias: str
    entityName: str
    projectName: str
    artifactCollectionName: str


class Tag(TypedDict):
    tagName: str


def artifact_row(writer: sqlite3.Connection, id_: int) -> Row:
    row = writer.execute("SELECT * FROM artifacts WHERE id = ?", (id_,)).fetchone()
    if row is None:
        raise Fault("no such artifact", 404)
    return row


def ensure_collection(writer: sqlite3.Connection, project: int, name: str, type_: str, *, portfolio: bool) -> Row:
    """A project's collection, made where there is none. Raises Fault if there is one of another kind."""
    moment = now()
    sql = (
        "INSERT OR IGNORE INTO collections (project, name, type, portfolio, created_at, updated_at) "
        "VALUES (?, ?, ?, ?, ?, ?)"
    )
    writer.execute(sql, (project, name, type_, portfolio, moment, moment))
    sql = "SELECT * FROM collections WHERE project = ? AND name = ?"
    found = writer.execute(sql, (project, name)).fetchone()
    if found["type"] != type_:
        raise Fault(f"collection {name} holds artifacts of type {found['type']}, not {type_}")
    if found["portfolio"] != portfolio:
        raise Fault(f"collection {name} is one that artifacts are {'linked' if found['portfolio'] else 'logged'} to")
    return found


def join(writer: sqlite3.Connection, collection: int, artifact: int) -> int:
    """Make an artifact a member of a collection; its version there. Numbers of removed versions are not given again."""
    sql = "SELECT version FROM memberships WHERE collection = ? AND artifact = ?"
    found = writer.execute(sql, (collection, artifact)).fetchone()
    if found:
        return found["version"]
    sql = (
        "UPDATE collections SET next_version = next_version + 1, updated_at = ? WHERE id = ? RETURNING next_version - 1"
    )
    version = writer.execute(sql, (now(), collection)).fetchone()[0]
    sql = "INSERT INTO memberships (collection, artifact, version, created_at) VALUES (?, ?, ?, ?)"
    writer.execute(sql, (collection, artifact, version, now()))
    return version


def set_aliases(writer: sqlite3.Connection, collection: int, artifact: int, aliases: list[str]) -> None:
    sql = (
        "INSERT INTO aliases (collection, alias, artifact) VALUES (?, ?, ?) "
        "ON CONFLICT (collection, alias) DO UPDATE SET artifact = excluded.artifact"
    )
    writer.executemany(sql, [(collection, alias, artifact) for alias in aliases])


def latest_is_newest(writer: sqlite3.Connection, collection: int) -> None:
    """Let `latest` name the newest version left, if the one it named is gone."""
    sql = (
        "INSERT OR IGNORE INTO aliases (collection, alias, artifact) "
        "SELECT collection, 'latest', artifact FROM memberships WHERE collection = ? ORDER BY version DESC LIMIT 1"
    )
    writer.execute(sql, (collection,))


def change_tags(
    writer: sqlite3.Connection, table: str, id_: int, *, add: list[Tag] | None = None, remove: list[Tag] | None = None
) -> list[str]:
    """Add and remove tags of an artifact or a collection; those it has then. Raises Fault if there is none."""
    row = writer.execute(f"SELECT tags FROM {table} WHERE id = ?", (id_,)).fetchone()
    if row is None:
        raise Fault("no such artifact or collection", 404)
    gone = {tag["tagName"] for tag in remove or ()}
    tags = [tag for tag in json.loads(row["tags"]) if tag not in gone]
    tags += [tag["tagName"] for tag in add or () if tag["tagName"] not in tags]
    writer.execute(f"UPDATE {table} SET tags = ? WHERE id = ?", (json.dumps(tags), id_))
    return tags


def plain_alias(name: object) -> str:
    """An alias as one part of a name. Raises Fault for one that would be read as a version."""
    text = named(name)
    if text[0] == "v" and text[1:].isdigit():
        raise Fault(f"{text}: an alias can't look like a version")
    return text


def json_text(text: str | None) -> str | None:
    """The text of an artifact's metadata, if it is JSON. Raises Fault."""
    if text is not None:
        json_value(text, "metadata")
    return text
