"""The search index over the log's records, in a file beside the log's folder (the folder itself is sealed).

- It is not trusted. It is built from the log alone, is neither signed nor sealed, and may be deleted at any time.
- Every hit is read from the log and checked against the query; a wrong hit makes the index be built anew.
- It stores the size and root of the tree up to which it was built. If the log never had that root, the index is built
  anew; if the log has grown since, it is continued.
- Appends do not touch it; the next search catches up. One search catches up a bounded number of records, and is refused
  if more are missing: a search is never answered from an index that lags behind.
- If it cannot be written (a full disk), a temporary index replaces it for as long as the log is open.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from aerodb.audit.search import Query, folded, instant
from aerodb.audit.store.errors import SearchBehind

ENDING = ".index"

T = TypeVar("T")

CATCH_UP_RECORDS_MAX = 200_000
"""How many records one search catches up at most: some seconds' work."""

BULK_RECORDS = 20_000
"""From this many records on, an empty index is filled first and indexed afterwards, which is several times faster."""

_ROWS_AT_ONCE = 5_000

_TABLES = """
CREATE TABLE built (size INTEGER NOT NULL, root BLOB NOT NULL) STRICT;
CREATE TABLE entry (
    sequence INTEGER PRIMARY KEY, request TEXT NOT NULL, event TEXT NOT NULL, operator TEXT NOT NULL,
    action TEXT NOT NULL, target TEXT NOT NULL, result TEXT NOT NULL, at TEXT NOT NULL, reason INTEGER NOT NULL
) STRICT;
CREATE TABLE reason (number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE invariant (
    name TEXT NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (name, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE request (first INTEGER PRIMARY KEY, request TEXT NOT NULL) STRICT;
INSERT INTO built VALUES (0, x'');
"""
_ORDERS = """
CREATE INDEX entry_request ON entry (request);
CREATE INDEX entry_event ON entry (event);
CREATE INDEX entry_operator ON entry (operator);
CREATE INDEX entry_action ON entry (action);
CREATE INDEX entry_target ON entry (target);
CREATE INDEX entry_result ON entry (result);
CREATE INDEX entry_at ON entry (at);
CREATE INDEX entry_reason ON entry (reason);
"""
_BEGIN_BULK = (
    "DROP INDEX entry_request; DROP INDEX entry_event; DROP INDEX entry_operator; DROP INDEX entry_action;"
    "DROP INDEX entry_target; DROP INDEX entry_result; DROP INDEX entry_at; DROP INDEX entry_reason;"
)
_REQUESTS = "INSERT INTO request SELECT min(sequence), request FROM entry WHERE request <> '' GROUP BY request;"
_EQUALS = (("operator", "operator"), ("event", "event"), ("action", "action"), ("node", "target"),
           ("outcome", "result"))  # fmt: skip


class Indexed(msgspec.Struct, frozen=True):
    """The parts of a record that searches use; not verified, because hits are checked against the log."""

    request: str
    event: str
    operator: str
    at: str
    action: str = ""
    target: str = ""
    result: str = ""
    reason: str = ""
    invariants: tuple[str, ...] = ()


_DECODER = msgspec.json.Decoder(Indexed)


class RecordSource(Protocol):
    """The log that an index is built from."""

    @property
    def size(self) -> int:
        """How many records there are now."""
        ...

    def records(self, start: int = 0, end: int | None = None) -> Iterable[tuple[int, bytes]]:
        """Yield number and bytes of records."""
        ...

    def root_at(self, size: int) -> bytes:
        """Return the root of the tree of the first `size` records."""
        ...


class Index:
    """The index of the log in one folder. Safe to use from several threads; opened when first used."""

    def __init__(
        self,
        folder: Path,
        source: RecordSource,
        *,
        catch_up_records_max: int = CATCH_UP_RECORDS_MAX,
        bulk_records: int = BULK_RECORDS,
    ) -> None:
        """Index the records of `source` in a file beside `folder`; nothing is opened yet."""
        self._catch_up_records_max, self._bulk_records = catch_up_records_max, bulk_records
        self._path = folder.with_name(folder.name + ENDING)
        self._source = source
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._size = 0
        self._bulk = False

    # Following the log -------------------------------------------------------------------------------------------

    def _insert(self, rows: list[tuple[int, Indexed]], root: bytes) -> None:
        """Insert records in one transaction; `root` is the tree's root after the last of them."""
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        try:
            _insert_rows(connection, rows)
            if not self._bulk:
                _insert_requests(connection, rows)
            size = rows[-1][0] + 1
            connection.execute("UPDATE built SET size = ?, root = ?", (size, root))
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        self._size = size

    def _catch_up(self) -> None:
        """Insert the missing records in batches, so that memory use is bounded.

        Raises:
            SearchBehind: more are missing than one search catches up; the next search goes on.
        """
        begun = self._size
        if begun == 0 and not self._bulk and self._source.size >= self._bulk_records:
            self._opened().executescript(f"BEGIN;{_BEGIN_BULK}COMMIT;")
            self._bulk = True
        while self._size < self._source.size:
            if self._size - begun >= self._catch_up_records_max:
                raise SearchBehind(f"the index for searches covers {self._size} of {self._source.size} records so far")
            end = min(self._size + _ROWS_AT_ONCE, begun + self._catch_up_records_max, self._source.size)
            found = self._source.records(self._size, end)
            self._insert([(sequence, _DECODER.decode(data)) for sequence, data in found], self._source.root_at(end))
        if self._bulk:
            self._opened().executescript(f"BEGIN;{_ORDERS}{_REQUESTS}COMMIT;")
        if self._bulk or self._size - begun >= _ROWS_AT_ONCE:
            self._opened().execute("ANALYZE")  # So that SQLite applies the most selective condition first.
        self._bulk = False

    # Opening -----------------------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._open()
        if self._connection is None:
            raise sqlite3.OperationalError("the index cannot be opened")
        return self._connection

    def _open(self) -> None:
        """Open the file if it is an index of this log, else make a new one."""
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._connection = _connected(self._path)
            self._size = self._built(self._connection)
        except (sqlite3.Error, OSError, TypeError, ValueError):
            self._rebuild()

    def _built(self, connection: sqlite3.Connection) -> int:
        """Return how many records the file covers.

        Raises:
            sqlite3.Error: it is not an index, or not of this log.
        """
        if not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
            _create(connection)
        if _definitions(connection) != _expected():
            raise sqlite3.DatabaseError("it is no index of this form")
        rows: list[tuple[int, bytes]] = connection.execute("SELECT size, root FROM built").fetchall()
        size, root = rows[0] if len(rows) == 1 else (-1, b"")
        if not 0 <= size <= self._source.size or (size and root != self._source.root_at(size)):
            raise sqlite3.DatabaseError("it is not an index of this log")
        return size

    def _rebuild(self) -> None:
        """Begin an empty index in the file, or in a temporary one if the file cannot be written."""
        self._disconnect()
        try:
            for ending in ("", "-wal", "-shm", "-journal"):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            self._connection = _connected(self._path)
            _create(self._connection)
        except (sqlite3.Error, OSError):
            self._rebuild_aside()
        self._size = 0

    def _rebuild_aside(self) -> None:
        """Begin an empty index in a temporary database of SQLite's."""
        self._disconnect()
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        _create(self._connection)
        self._size = 0

    def _disconnect(self) -> None:
        self._bulk = False
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Close the file; a search opens it again."""
        with self._lock:
            self._disconnect()

    # Finding -----------------------------------------------------------------------------------------------------

    def rebuild(self) -> None:
        """Empty the index, because it contradicts the log; the next search builds it anew."""
        with self._lock:
            self._rebuild()

    def find(self, query: Query, before: int, limit: int) -> list[int]:
        """Return the numbers of the newest `limit` records below `before` that match, the newest first.

        Raises:
            sqlite3.Error: it cannot be read, and cannot be built.
            SearchBehind: it is not built yet; asking again goes on with that.
        """
        return self._asked(lambda connection: _find(connection, query, before, limit))

    def requests(self, before: int, limit: int) -> list[tuple[str, int]]:
        """Return the newest `limit` requests whose first record is below `before`, with that record's number.

        Raises:
            sqlite3.Error: it cannot be read, and cannot be built.
            SearchBehind: it is not built yet; asking again goes on with that.
        """
        statement = "SELECT request, first FROM request WHERE first < ? ORDER BY first DESC LIMIT ?"
        return self._asked(lambda connection: connection.execute(statement, (before, limit)).fetchall())

    def _asked(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Catch up with the log, then return what `ask` does; a damaged file is built anew, once."""
        with self._lock:
            try:
                self._opened()
                self._catch_up()
                return ask(self._opened())
            except sqlite3.Error:
                self._rebuild()
            try:
                self._catch_up()
            except sqlite3.Error:  # The disk is full: continue with a temporary index elsewhere.
                self._rebuild_aside()
                self._catch_up()
            return ask(self._opened())


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection whose commits are ordered but need not be durable: what is lost is caught up."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _create(connection: sqlite3.Connection) -> None:
    connection.executescript(f"BEGIN;{_TABLES}{_ORDERS}COMMIT;")


def _definitions(connection: sqlite3.Connection) -> list[tuple[str, str | None]]:
    query = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name"
    return connection.execute(query).fetchall()


def _expected() -> list[tuple[str, str | None]]:
    connection = sqlite3.connect(":memory:")
    try:
        _create(connection)
        return _definitions(connection)
    finally:
        connection.close()


def _insert_rows(connection: sqlite3.Connection, rows: list[tuple[int, Indexed]]) -> None:
    texts = [folded(record.reason) for _, record in rows]
    connection.executemany("INSERT OR IGNORE INTO reason (text) VALUES (?)", ((text,) for text in dict.fromkeys(texts)))
    connection.executemany(
        "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT number FROM reason WHERE text = ?))",
        ((sequence, record.request, record.event, record.operator, record.action, record.target, record.result,
          instant(record.at) or "", text) for (sequence, record), text in zip(rows, texts, strict=True)),
    )  # fmt: skip
    connection.executemany(
        "INSERT OR IGNORE INTO invariant VALUES (?, ?)",
        ((name, sequence) for sequence, record in rows for name in record.invariants),
    )


def _insert_requests(connection: sqlite3.Connection, rows: list[tuple[int, Indexed]]) -> None:
    """Insert the requests that begin with one of the records, which are already in the entries."""
    connection.executemany(
        "INSERT INTO request SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM entry WHERE request = ?2 AND sequence < ?1)",
        ((sequence, record.request) for sequence, record in rows if record.request),
    )


def _find(connection: sqlite3.Connection, query: Query, before: int, limit: int) -> list[int]:
    """Return the numbers that match. Conditions come from a fixed set; what a person typed is always a bound value."""
    conditions, values = ["entry.sequence < ?"], list[str | int]([before])
    tables = "entry"
    for name, column in _EQUALS:
        if wanted := getattr(query, name):
            conditions.append(f"{column} = ?")
            values.append(wanted)
    if query.invariant:
        tables = "invariant CROSS JOIN entry USING (sequence)"
        conditions += ["name = ?", "invariant.sequence < ?"]
        values += [query.invariant, before]
    if query.since or query.until:
        conditions.append("at >= ? AND at < ?")
        values += [query.since or "0", query.until or "a"]
    if query.request:
        conditions.append("request >= ? AND request < ?")
        values += [query.request, query.request + "\U0010ffff"]
    if query.text:
        conditions.append("reason IN (SELECT number FROM reason WHERE instr(text, ?))")
        values.append(folded(query.text))
    order = "invariant.sequence" if query.invariant else "entry.sequence"
    statement = f"SELECT {order} FROM {tables} WHERE {' AND '.join(conditions)} ORDER BY {order} DESC LIMIT ?"  # noqa: S608
    return [sequence for (sequence,) in connection.execute(statement, (*values, limit))]
