"""The store: one folder with everything a server knows, in SQLite and in files. One process at a time serves it.

    store.sqlite   projects, runs, their rows, sweeps, artifacts (WAL mode: readers never wait for the writer)
    files/         what runs and artifacts uploaded
    key            the API key, readable by its owner alone
    lock           held by the process that serves the store

Writing goes through one connection, one transaction at a time; each thread reads through a connection of its own.
"""

import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scaling_lab.errors import CheckpointError, UsageError

STORE_FILE, KEY_FILE = "store.sqlite", "key"
SCHEMA_VERSION = 2

# The condition of a line that holds an evaluation. It stands in an index, and a query must repeat it to the letter.
EVALUATION = "instr(line, '\"val/') > 0"

# AUTOINCREMENT where clients keep ids: that of a removed run must not come to mean another.
_SCHEMA = """
CREATE TABLE projects (
    id INTEGER PRIMARY KEY, entity TEXT NOT NULL, name TEXT NOT NULL, description TEXT, created_at TEXT NOT NULL,
    UNIQUE (entity, name)
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL REFERENCES projects, name TEXT NOT NULL,
    display_name TEXT, description TEXT, notes TEXT, group_name TEXT, job_type TEXT, tags TEXT NOT NULL DEFAULT '[]',
    config TEXT NOT NULL DEFAULT '{}', summary TEXT NOT NULL DEFAULT '{}', system TEXT NOT NULL DEFAULT '{}',
    host TEXT, program TEXT, commit_hash TEXT, repo TEXT, sweep TEXT,
    state TEXT NOT NULL DEFAULT 'running', exit_code INTEGER, preempting INTEGER NOT NULL DEFAULT 0,
    stop_asked INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL, heartbeat REAL NOT NULL,
    history_lines INTEGER NOT NULL DEFAULT 0, event_lines INTEGER NOT NULL DEFAULT 0,
    log_lines INTEGER NOT NULL DEFAULT 0, last_step INTEGER NOT NULL DEFAULT -1,
    history_keys TEXT NOT NULL DEFAULT '{}',
    UNIQUE (project, name)
);
CREATE INDEX runs_by_sweep ON runs (project, sweep);
CREATE INDEX runs_by_time ON runs (project, created_at);
CREATE INDEX runs_live ON runs (created_at) WHERE state = 'running';
CREATE TABLE history (run INTEGER NOT NULL, step INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY (run, step))
    WITHOUT ROWID;
CREATE TABLE events (run INTEGER NOT NULL, time REAL NOT NULL, line TEXT NOT NULL, PRIMARY KEY (run, time))
    WITHOUT ROWID;
CREATE TABLE logs (run INTEGER NOT NULL, number INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY (run, number))
    WITHOUT ROWID;
CREATE TABLE run_files (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, name TEXT NOT NULL, bytes INTEGER, md5 TEXT, updated_at TEXT NOT NULL,
    UNIQUE (run, name)
);
CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY, project INTEGER NOT NULL REFERENCES projects, name TEXT NOT NULL, display_name TEXT,
    description TEXT, config TEXT NOT NULL, state TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    UNIQUE (project, name)
);
CREATE TABLE agents (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, sweep INTEGER NOT NULL REFERENCES sweeps, host TEXT,
    created_at TEXT NOT NULL, heartbeat REAL NOT NULL
);
CREATE TABLE trials (
    id INTEGER PRIMARY KEY, sweep INTEGER NOT NULL REFERENCES sweeps, number INTEGER NOT NULL, arguments TEXT NOT NULL,
    run TEXT NOT NULL, agent INTEGER REFERENCES agents, handed_at REAL,
    attempts INTEGER NOT NULL DEFAULT 0, reached INTEGER NOT NULL DEFAULT -1,
    UNIQUE (sweep, number)
);
CREATE TABLE views (
    id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL REFERENCES projects, type TEXT, name TEXT,
    display_name TEXT, description TEXT, spec TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE TABLE collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL REFERENCES projects, name TEXT NOT NULL,
    type TEXT NOT NULL, portfolio INTEGER NOT NULL, description TEXT, tags TEXT NOT NULL DEFAULT '[]',
    next_version INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    UNIQUE (project, name)
);
CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL REFERENCES collections, digest TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'PENDING', description TEXT, metadata TEXT, tags TEXT NOT NULL DEFAULT '[]',
    wanted_aliases TEXT NOT NULL DEFAULT '[]', ttl_seconds INTEGER NOT NULL DEFAULT -1, history_step INTEGER,
    run INTEGER, manifest TEXT, base INTEGER, incremental INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0, file_count INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE INDEX artifacts_by_digest ON artifacts (collection, digest);
CREATE TABLE memberships (
    id INTEGER PRIMARY KEY, collection INTEGER NOT NULL REFERENCES collections,
    artifact INTEGER NOT NULL REFERENCES artifacts, version INTEGER NOT NULL, created_at TEXT NOT NULL,
    UNIQUE (collection, artifact), UNIQUE (collection, version)
);
CREATE INDEX memberships_by_artifact ON memberships (artifact);
CREATE TABLE aliases (
    id INTEGER PRIMARY KEY, collection INTEGER NOT NULL REFERENCES collections, alias TEXT NOT NULL,
    artifact INTEGER NOT NULL REFERENCES artifacts, UNIQUE (collection, alias)
);
CREATE INDEX aliases_by_artifact ON aliases (artifact);
CREATE TABLE artifact_files (
    id INTEGER PRIMARY KEY, artifact INTEGER NOT NULL REFERENCES artifacts, name TEXT NOT NULL, digest TEXT NOT NULL,
    bytes INTEGER, reference TEXT, UNIQUE (artifact, name)
);
CREATE INDEX artifact_files_by_digest ON artifact_files (digest);
CREATE TABLE artifact_clients (client TEXT PRIMARY KEY, artifact INTEGER NOT NULL REFERENCES artifacts);
CREATE TABLE artifact_uses (
    artifact INTEGER NOT NULL REFERENCES artifacts, run INTEGER NOT NULL, role TEXT NOT NULL,
    PRIMARY KEY (artifact, run, role)
);
CREATE INDEX artifact_uses_by_run ON artifact_uses (run);
"""
_KEY = re.compile(r"local-[0-9a-f]{40}")
# What makes a store of an earlier version one of the next.
_CHANGES = {1: "ALTER TABLE trials ADD COLUMN reached INTEGER NOT NULL DEFAULT -1;"}
_EVALUATIONS = f"CREATE INDEX evaluations ON history (run, step) WHERE {EVALUATION};"

Row = sqlite3.Row


class ServedError(UsageError):
    """Another process serves the store."""


class Store:
    """A store, open and locked by this process. `folder` is made if it doesn't exist.

    Raises:
        ServedError: if another process serves it.
        UsageError: if it can't be written, or a later version made it.
        CheckpointError: if it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self._lock = _lock_folder(folder)
        self.files.mkdir(exist_ok=True)
        self.api_key = api_key_of(folder)
        self.secret = self.api_key.encode()
        self._readers = threading.local()
        self._writing = threading.RLock()
        try:
            self._writer = self._connect()
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._lock.close()
            path = folder / STORE_FILE
            raise CheckpointError(f"{path}: can't be opened ({error}); bring a copy back, or move it away") from None

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """The writing connection in a transaction: kept when the block ends, undone if it raises."""
        with self._writing:
            nested = self._writer.in_transaction
            if not nested:
                self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                if not nested:
                    self._writer.rollback()
                raise
            if not nested:
                self._writer.commit()

    def rows(self, sql: str, parameters: Any = ()) -> list[Row]:
        """Every row of a query, read without waiting for any writer."""
        return self._reader().execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Any = ()) -> Row | None:
        """The first row of a query, or None."""
        return self._reader().execute(sql, parameters).fetchone()

    def close(self) -> None:
        """Fold the write-ahead log into the store and let it go."""
        with self._writing:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._writer.close()
        self._lock.close()

    def _reader(self) -> sqlite3.Connection:
        connection = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._readers.connection = self._connect()
            connection.execute("PRAGMA query_only = 1")
        return connection

    def _connect(self) -> sqlite3.Connection:
        # Transactions are begun by hand, and the connection of a thread that ended is closed by whoever collects it.
        connection = sqlite3.connect(
            self.folder / STORE_FILE, timeout=30, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        # In WAL mode a killed process loses nothing committed; only a power cut may take the last transactions.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.create_function("regexp", 2, _matches, deterministic=True)
        return connection

    def _prepare(self) -> None:
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise UsageError(f"{self.folder}: a later scaling-lab made this store; upgrade, or give another --store")
        if version == 0:
            changes = f"{_SCHEMA} {_EVALUATIONS}"
        else:
            changes = " ".join(_CHANGES[earlier] for earlier in range(version, SCHEMA_VERSION))
        if changes:
            self._writer.executescript(f"BEGIN; {changes} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")


def api_key_of(folder: Path) -> str:
    """The store's API key, made when it is first asked for; in the form that the SDK takes of a private server.

    Raises:
        UsageError: if it can't be written, or is none: an empty one would let everybody in.
    """
    path = folder / KEY_FILE
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "is not text"
        raise UsageError(f"{path}: can't be read or written ({problem}); give another --store") from None
    if not _KEY.fullmatch(key):
        raise UsageError(f"{path}: holds no key; remove it, and a new one is made")
    return key


def _make_key(path: Path) -> None:
    # Made whole under another name first: a second process may read it at this very moment, and the power may go.
    aside = path.with_name(f".{KEY_FILE}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(f"local-{secrets.token_hex(20)}\n")
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):  # the other process was faster, and its key is as good
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def proof_of_key(api_key: str, challenge: str) -> str:
    """What only one who knows the key can say of a challenge."""
    return hmac.new(api_key.encode(), f"healthz {challenge}".encode(), hashlib.sha256).hexdigest()


def now() -> str:
    """This moment as the store and the SDK write it."""
    return moment(time.time())


def moment(seconds: float) -> str:
    """A moment, given in seconds since 1970, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _lock_folder(folder: Path) -> Any:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise UsageError(f"{folder}: can't be written ({error.strerror}); give another --store") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ServedError(
            f"{folder}: another process serves this store; use that one, or give another --store"
        ) from None
    return lock


def _matches(pattern: str, value: object) -> bool:
    """SQL's `value REGEXP pattern`."""
    try:
        return value is not None and re.search(pattern, str(value)) is not None
    except re.error:
        return False
