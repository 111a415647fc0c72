"""The log's SQLite database: its schema, its connections, and each statement that is run on it.

Source: SQLite's documentation of WAL mode and of PRAGMA synchronous: FULL makes each commit durable.
"""

import sqlite3
from pathlib import Path

from aerodb.audit.tree import Node

BUSY_TIMEOUT_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE record (
    sequence INTEGER PRIMARY KEY, request TEXT NOT NULL, event TEXT NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX record_request ON record (request, sequence);
CREATE TABLE node (
    level INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE blob (digest TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""


class Database:
    """One connection to the log's database; it is used by one thread at a time.

    Every method raises sqlite3.Error where the database cannot do what is asked.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def insert_record(self, sequence: int, request: str, event: str, body: bytes) -> None:
        """Insert one record."""
        self.connection.execute("INSERT INTO record VALUES (?, ?, ?, ?)", (sequence, request, event, body))

    def insert_node(self, node: Node) -> None:
        """Insert one complete node of the tree."""
        self.connection.execute("INSERT INTO node VALUES (?, ?, ?)", (node.level, node.index, node.hash))

    def insert_checkpoint(self, size: int, text: str) -> None:
        """Insert one signed checkpoint."""
        self.connection.execute("INSERT INTO checkpoint VALUES (?, ?)", (size, text))

    def insert_blob(self, digest: str, data: bytes) -> None:
        """Insert one blob, unless there is one with this digest already."""
        self.connection.execute("INSERT OR IGNORE INTO blob VALUES (?, ?)", (digest, data))

    def body(self, sequence: int) -> bytes | None:
        """Return one record's bytes."""
        return self._bytes("SELECT body FROM record WHERE sequence = ?", sequence)

    def rows(self, start: int, end: int) -> list[tuple[int, str, str, bytes]]:
        """Return (sequence, request, event, body) of the records from `start` up to but without `end`."""
        query = "SELECT sequence, request, event, body FROM record WHERE sequence >= ? AND sequence < ? ORDER BY 1"
        return self.connection.execute(query, (start, end)).fetchall()

    def sequences(self, request: str) -> tuple[int, ...]:
        """Return the numbers of a request's records."""
        query = "SELECT sequence FROM record WHERE request = ? ORDER BY sequence"
        return tuple(sequence for (sequence,) in self.connection.execute(query, (request,)))

    def node_hash(self, level: int, index: int) -> bytes:
        """Return the hash of a complete node."""
        query = "SELECT hash FROM node WHERE level = ? AND position = ?"
        found = self._bytes(query, level, index)
        if found is None:
            raise sqlite3.DatabaseError(f"the node ({level}, {index}) of the tree is missing")
        return found

    def checkpoint(self, size: int) -> str | None:
        """Return the checkpoint that was signed at `size`."""
        query = "SELECT text FROM checkpoint WHERE size = ?"
        row: tuple[str] | None = self.connection.execute(query, (size,)).fetchone()
        return None if row is None else row[0]

    def newest(self) -> tuple[int, str]:
        """Return the greatest size that was signed, and its checkpoint."""
        query = "SELECT size, text FROM checkpoint ORDER BY size DESC LIMIT 1"
        row: tuple[int, str] | None = self.connection.execute(query).fetchone()
        if row is None:
            raise sqlite3.DatabaseError("there is no checkpoint")
        return row

    def blob(self, digest: str) -> bytes | None:
        """Return one blob's bytes."""
        return self._bytes("SELECT data FROM blob WHERE digest = ?", digest)

    def has_blob(self, digest: str) -> bool:
        """Tell whether there is a blob with this digest."""
        return self.connection.execute("SELECT 1 FROM blob WHERE digest = ?", (digest,)).fetchone() is not None

    def blob_digests(self, after: str, count: int) -> list[str]:
        """Return the next `count` digests of blobs after the digest `after`, in their order as text."""
        query = "SELECT digest FROM blob WHERE digest > ? ORDER BY digest LIMIT ?"
        return [digest for (digest,) in self.connection.execute(query, (after, count))]

    def counts(self) -> tuple[int, int, int]:
        """Return how many records, nodes and checkpoints there are."""
        query = "SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM node), (SELECT count(*) FROM checkpoint)"
        row: tuple[int, int, int] = self.connection.execute(query).fetchone()
        return row

    def _bytes(self, query: str, *values: int | str) -> bytes | None:
        row: tuple[bytes] | None = self.connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    def faults(self) -> list[str]:
        """Return what SQLite's own check finds wrong, and whether the schema is not ours; nothing where all is well."""
        found = [text for (text,) in self.connection.execute("PRAGMA integrity_check") if text != "ok"]
        return found if schema_of(self.connection) == _expected_schema() else [*found, "the schema is not the log's"]


def schema_of(connection: sqlite3.Connection) -> list[tuple[str, str, str | None]]:
    """Return the type, name and text of everything that the database defines: tables, indexes, triggers, views."""
    return connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()


def _expected_schema() -> list[tuple[str, str, str | None]]:
    connection = sqlite3.connect(":memory:")
    try:
        create_schema(Database(connection))
        return schema_of(connection)
    finally:
        connection.close()


def open_to_write(path: Path) -> Database:
    """Open the database at `path`, which exists, so that each commit is durable."""
    database = _open(path, "rw")
    database.connection.execute("PRAGMA journal_mode = WAL").fetchone()
    database.connection.execute("PRAGMA synchronous = FULL")
    return database


def open_to_read(path: Path, *, sealed: bool = False) -> Database:
    """Open the database at `path` without ever changing it; where `sealed`, without its write-ahead log."""
    database = _open(path, "ro&immutable=1" if sealed else "ro")
    database.connection.execute("PRAGMA query_only = ON")
    return database


def _open(path: Path, mode: str) -> Database:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return Database(
        sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    )


def create_schema(database: Database) -> None:
    """Define the tables, inside the transaction that is open (executescript would commit it)."""
    for statement in _SCHEMA.strip().removesuffix(";").split(";\n"):
        database.connection.execute(statement)
