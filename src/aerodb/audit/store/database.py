"""The log's SQLite database: its schema, its connections, and all statements that are run on it.

- A record's row holds the nodes of the tree that the record completed, the leaf first. So an append writes one page for
  the record and its nodes, one for the index over requests, and one for the checkpoint.
- Only the newest checkpoint is kept: it signs for everything before it, and the tree can prove that it extends any
  older one that somebody else has kept.

Source: SQLite's documentation of WAL mode and of PRAGMA synchronous: FULL makes each commit durable.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from aerodb.audit.tree import HASH_BYTES, completed_by

BUSY_TIMEOUT_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE record (
    sequence INTEGER PRIMARY KEY, request TEXT NOT NULL, event TEXT NOT NULL, nodes BLOB NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX record_request ON record (request, sequence);
CREATE TABLE checkpoint (size INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
CREATE TABLE blob (digest TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""

ABOVE_EVERY_TEXT = b""
"""SQLite sorts every blob after every text (Datatypes In SQLite, section 4.1); no text is above all others."""

DatabaseRow = tuple[int, str, str, bytes, bytes]
"""A record's number, request and event, the hashes of the nodes that it completed, and its bytes."""


class Database:
    """One connection to the log's database, for one thread at a time.

    Every method raises sqlite3.Error if the database refuses.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def insert_record(self, row: DatabaseRow) -> None:
        """Insert one record with the tree nodes that it completed."""
        self.connection.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?)", row)

    def insert_checkpoint(self, size: int, text: str) -> None:
        """Insert the first signed checkpoint."""
        self.connection.execute("INSERT INTO checkpoint VALUES (?, ?)", (size, text))

    def replace_checkpoint(self, old: tuple[int, str], new: tuple[int, str]) -> bool:
        """Replace the checkpoint `old` (size and text) by `new`; return whether `old` was there."""
        query = "UPDATE checkpoint SET size = ?, text = ? WHERE size = ? AND text = ?"
        return self.connection.execute(query, (*new, *old)).rowcount == 1

    def insert_blob(self, digest: str, data: bytes) -> None:
        """Insert one blob, unless there already is one with this digest."""
        self.connection.execute("INSERT OR IGNORE INTO blob VALUES (?, ?)", (digest, data))

    def body(self, sequence: int) -> bytes | None:
        """Return one record's bytes."""
        return self._bytes("SELECT body FROM record WHERE sequence = ?", sequence)

    def rows(self, start: int, end: int) -> list[DatabaseRow]:
        """Return the rows of the records from `start` up to, but not including, `end`."""
        query = "SELECT * FROM record WHERE sequence >= ? AND sequence < ? ORDER BY sequence"
        return self.connection.execute(query, (start, end)).fetchall()

    def row_and_checkpoint(self, sequence: int) -> tuple[object, ...] | None:
        """Return one record's row, then the checkpoint's size and text; None unless there is exactly one of each."""
        rows = self.connection.execute("SELECT * FROM record, checkpoint WHERE sequence = ?", (sequence,)).fetchall()
        return rows[0] if len(rows) == 1 else None

    def bodies(self, start: int, end: int) -> list[tuple[int, bytes]]:
        """Return number and bytes of the records from `start` up to, but not including, `end`."""
        query = "SELECT sequence, body FROM record WHERE sequence >= ? AND sequence < ? ORDER BY sequence"
        return self.connection.execute(query, (start, end)).fetchall()

    def all_bodies(self, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of the records below `end`, in order."""
        yield from self.connection.execute("SELECT sequence, body FROM record WHERE sequence < ? ORDER BY 1", (end,))

    def by_request(self, request_from: str, request_to: str | None, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of the records below `end`, ordered by request, of the requests in a range.

        The range excludes `request_to`; None means up to and including the last request.
        """
        query = (
            "SELECT sequence, body FROM record WHERE request >= ? AND request < ? AND sequence < ? "
            "ORDER BY request, sequence"
        )
        end_of_part = ABOVE_EVERY_TEXT if request_to is None else request_to
        yield from self.connection.execute(query, (request_from, end_of_part, end))

    def sequences(self, request: str) -> tuple[int, ...]:
        """Return the numbers of a request's records, in order."""
        query = "SELECT sequence FROM record WHERE request = ? ORDER BY sequence"
        return tuple(sequence for (sequence,) in self.connection.execute(query, (request,)))

    def node_hash(self, level: int, index: int) -> bytes:
        """Return the hash of a complete node."""
        query = "SELECT substr(nodes, ?, ?) FROM record WHERE sequence = ?"
        found = self._bytes(query, HASH_BYTES * level + 1, HASH_BYTES, completed_by(level, index))
        if found is None or len(found) != HASH_BYTES:
            raise sqlite3.DatabaseError(f"the node ({level}, {index}) of the tree is missing")
        return found

    def newest(self) -> tuple[int, str]:
        """Return the newest checkpoint: its size in records, and its text."""
        rows: list[tuple[int, str]] = self.connection.execute("SELECT size, text FROM checkpoint").fetchall()
        if len(rows) != 1:
            raise sqlite3.DatabaseError(f"there are {len(rows)} checkpoints, not one")
        return rows[0]

    def blob(self, digest: str) -> bytes | None:
        """Return one blob's bytes."""
        return self._bytes("SELECT data FROM blob WHERE digest = ?", digest)

    def has_blob(self, digest: str) -> bool:
        """Tell whether there is a blob with this digest."""
        return self.connection.execute("SELECT 1 FROM blob WHERE digest = ?", (digest,)).fetchone() is not None

    def blob_digests(self, after: str, count: int) -> list[str]:
        """Return the next `count` digests of blobs after the digest `after`, sorted as text."""
        query = "SELECT digest FROM blob WHERE digest > ? ORDER BY digest LIMIT ?"
        return [digest for (digest,) in self.connection.execute(query, (after, count))]

    def count(self) -> int:
        """Return how many records there are."""
        row: tuple[int] = self.connection.execute("SELECT count(*) FROM record").fetchone()
        return row[0]

    def count_blobs(self) -> int:
        """Return how many blobs there are."""
        row: tuple[int] = self.connection.execute("SELECT count(*) FROM blob").fetchone()
        return row[0]

    def _bytes(self, query: str, *values: int | str) -> bytes | None:
        row: tuple[bytes] | None = self.connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    def faults(self) -> list[str]:
        """Return what SQLite's integrity check finds wrong, and whether the schema is not ours; empty if nothing."""
        found = [text for (text,) in self.connection.execute("PRAGMA integrity_check") if text != "ok"]
        return found if schema_of(self.connection) == _expected_schema() else [*found, "the schema is not the log's"]


def schema_of(connection: sqlite3.Connection) -> list[tuple[str, str, str | None]]:
    """Return the type, name and SQL of every table, index, trigger and view."""
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


def create_scratch(path: Path) -> Database:
    """Make a temporary database at `path`, without durability, and begin a transaction."""
    database = Database(sqlite3.connect(path, isolation_level=None))
    for pragma in ("journal_mode = OFF", "synchronous = OFF"):
        database.connection.execute(f"PRAGMA {pragma}").fetchone()
    database.connection.execute("BEGIN")
    create_schema(database)
    return database


def create_scratch_copy(path: Path) -> Database:
    """Open the empty file at `path`, into which another database is copied; the copy must be verified before use."""
    return _open(path, "rw")


def open_to_read(path: Path, *, sealed: bool = False) -> Database:
    """Open the database at `path` read-only; if `sealed`, without SQLite's write-ahead log and locks."""
    database = _open(path, "ro&immutable=1" if sealed else "ro")
    database.connection.execute("PRAGMA query_only = ON")
    return database


def _open(path: Path, mode: str) -> Database:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return Database(
        sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    )


def create_schema(database: Database, but: tuple[str, ...] = ()) -> None:
    """Define all tables except `but`, inside the open transaction (which executescript would commit)."""
    for statement in _SCHEMA.strip().removesuffix(";").split(";\n"):
        if statement.split()[2] not in but:
            database.connection.execute(statement)
