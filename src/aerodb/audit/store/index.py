"""The index: a way to find records quickly, in a file of its own beside the log's folder, in which every byte counts.

- It is no truth. It is made from the log alone, is neither signed nor sealed, and may be deleted at any time.
- Whatever it finds is read from the log and held to the query; what does not fit makes it be built anew.
- It names the checkpoint that it was built up to. One that the log never signed at that size makes it be built anew;
  one that is older is carried on from there.
- It never fails an append: what it missed is caught up at the next search.
- Where it cannot be written (a full disk), a temporary one takes its place for as long as the log is open.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from aerodb.audit.record import Record
from aerodb.audit.search import Query, folded, instant

ENDING = ".index"

T = TypeVar("T")

_ROWS_AT_ONCE = 5_000
_SCHEMA = """
CREATE TABLE built (size INTEGER NOT NULL, checkpoint TEXT NOT NULL) STRICT;
CREATE TABLE entry (
    sequence INTEGER PRIMARY KEY, request TEXT NOT NULL, event TEXT NOT NULL, operator TEXT NOT NULL,
    action TEXT NOT NULL, target TEXT NOT NULL, result TEXT NOT NULL, at TEXT NOT NULL, reason INTEGER NOT NULL
) STRICT;
CREATE INDEX entry_request ON entry (request);
CREATE INDEX entry_event ON entry (event);
CREATE INDEX entry_operator ON entry (operator);
CREATE INDEX entry_action ON entry (action);
CREATE INDEX entry_target ON entry (target);
CREATE INDEX entry_result ON entry (result);
CREATE INDEX entry_at ON entry (at);
CREATE INDEX entry_reason ON entry (reason);
CREATE TABLE reason (number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE invariant (
    name TEXT NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (name, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE request (request TEXT PRIMARY KEY, first INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX request_first ON request (first);
INSERT INTO built VALUES (0, '');
"""
_EQUALS = (("operator", "operator"), ("event", "event"), ("action", "action"), ("node", "target"),
           ("outcome", "result"))  # fmt: skip


class Indexed(msgspec.Struct, frozen=True):
    """The parts of a record that it is found by; nothing is verified here, for nothing is believed."""

    request: str
    event: str
    operator: str
    at: str
    action: str = ""
    target: str = ""
    result: str = ""
    reason: str = ""
    invariants: tuple[str, ...] = ()


class Source(Protocol):
    """What an index is built from."""

    @property
    def size(self) -> int:
        """How many records there are now."""
        ...

    def records(self, start: int = 0, end: int | None = None) -> Iterable[tuple[int, bytes]]:
        """Yield number and bytes of records."""
        ...

    def checkpoint_at(self, size: int) -> str | None:
        """Return the checkpoint that was signed at `size`."""
        ...


class Index:
    """The index of the log in one folder. Safe to use from several threads; it opens when it is first used."""

    def __init__(self, folder: Path, source: Source) -> None:
        """Keep where it lies and what it is built from."""
        self._path = folder.with_name(folder.name + ENDING)
        self._source = source
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._size = 0

    # Following the log -------------------------------------------------------------------------------------------

    def add(self, sequence: int, record: Record, checkpoint: str) -> None:
        """Note one record that was just appended, if all before it are noted; never wait, never fail."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            with suppress(sqlite3.Error):
                if self._connection is not None and self._size == sequence:
                    parts = Indexed(*(getattr(record, each) for each in Indexed.__struct_fields__))
                    self._insert([(sequence, parts)], checkpoint)
        finally:
            self._lock.release()

    def _insert(self, rows: list[tuple[int, Indexed]], checkpoint: str) -> None:
        """Note records in one transaction, up to the checkpoint that covers the last of them."""
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sequence, record in rows:
                _insert_row(connection, sequence, record)
            size = rows[-1][0] + 1
            connection.execute("UPDATE built SET size = ?, checkpoint = ?", (size, checkpoint))
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        self._size = size

    def _catch_up(self) -> None:
        """Note what is missing, many records at a time, so that memory stays flat."""
        begun = self._size
        while self._size < self._source.size:
            end = min(self._size + _ROWS_AT_ONCE, self._source.size)
            found = self._source.records(self._size, end)
            rows = [(sequence, msgspec.json.decode(data, type=Indexed)) for sequence, data in found]
            self._insert(rows, self._source.checkpoint_at(end) or "")
        if self._size - begun >= _ROWS_AT_ONCE:
            self._opened().execute("ANALYZE")  # So that SQLite knows which condition leaves the fewest records.

    # Opening -----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the file, so that appends are noted from now on; what is missing waits for the first search."""
        with self._lock, suppress(sqlite3.Error):
            self._open()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._open()
        if self._connection is None:
            raise sqlite3.OperationalError("the index cannot be opened")
        return self._connection

    def _open(self) -> None:
        """Open the file if it is an index of this log; else make a new one."""
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
        rows: list[tuple[int, str]] = connection.execute("SELECT size, checkpoint FROM built").fetchall()
        size, checkpoint = rows[0] if len(rows) == 1 else (-1, "")
        if not 0 <= size <= self._source.size or (size and checkpoint != self._source.checkpoint_at(size)):
            raise sqlite3.DatabaseError("it is not an index of this log")
        return size

    def _rebuild(self) -> None:
        """Begin an empty index: in its file, or, where that cannot be, in a temporary one."""
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
        """Begin an empty index in SQLite's own temporary place."""
        self._disconnect()
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        _create(self._connection)
        self._size = 0

    def _disconnect(self) -> None:
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
        """Build it anew at the next search: it said what the log does not."""
        with self._lock:
            self._rebuild()

    def find(self, query: Query, before: int, limit: int) -> list[int]:
        """Return the numbers of the newest `limit` records below `before` that match, falling.

        Raises:
            sqlite3.Error: it cannot be read, and cannot be built.
        """
        return self._asked(lambda connection: _find(connection, query, before, limit))

    def requests(self, before: int, limit: int) -> list[tuple[str, int]]:
        """Return the newest `limit` requests whose first record lies below `before`, with that record's number.

        Raises:
            sqlite3.Error: it cannot be read, and cannot be built.
        """
        statement = "SELECT request, first FROM request WHERE first < ? ORDER BY first DESC LIMIT ?"
        return self._asked(lambda connection: connection.execute(statement, (before, limit)).fetchall())

    def _asked(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a question gives, once everything is noted; a damaged file is built anew, once."""
        with self._lock:
            try:
                self._opened()
                self._catch_up()
                return ask(self._opened())
            except sqlite3.Error:
                self._rebuild()
            try:
                self._catch_up()
            except sqlite3.Error:  # The file's disk is full: a temporary one lies elsewhere.
                self._rebuild_aside()
                self._catch_up()
            return ask(self._opened())


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection whose commits are ordered, and need not be durable: what is lost is caught up."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _create(connection: sqlite3.Connection) -> None:
    connection.executescript(f"BEGIN;{_SCHEMA}COMMIT;")


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


def _insert_row(connection: sqlite3.Connection, sequence: int, record: Indexed) -> None:
    text = folded(record.reason)
    connection.execute("INSERT OR IGNORE INTO reason (text) VALUES (?)", (text,))
    connection.execute(
        "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT number FROM reason WHERE text = ?))",
        (sequence, record.request, record.event, record.operator, record.action, record.target, record.result,
         instant(record.at) or "", text),
    )  # fmt: skip
    for name in dict.fromkeys(record.invariants):
        connection.execute("INSERT INTO invariant VALUES (?, ?)", (name, sequence))
    if record.request:
        connection.execute("INSERT OR IGNORE INTO request VALUES (?, ?)", (record.request, sequence))


def _find(connection: sqlite3.Connection, query: Query, before: int, limit: int) -> list[int]:
    """Return the numbers that match. Every condition is one of a fixed set; what was typed is only ever a value."""
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
