"""A client that commits numbered rows, one per transaction, and remembers each one that was acknowledged.

It reconnects like any application: by the multi-host DSN, to the node that takes writes. A row whose commit was not
acknowledged is never counted, whether it is in the table or not.
"""

import itertools
import threading
import time

import msgspec
import psycopg

TABLE = "create table if not exists ledger (n bigint primary key, at timestamptz not null default now())"
PAUSE_SECONDS = 0.002


class Acknowledged(msgspec.Struct, frozen=True):
    """A row whose commit was acknowledged, and when, in seconds of the monotonic clock."""

    number: int
    at: float


class Writer:
    """Writes in its own thread until told to stop."""

    def __init__(self, dsn: str) -> None:
        """Make the table; write nothing yet."""
        self._dsn = dsn
        self._ending = threading.Event()
        self.acknowledged: list[Acknowledged] = []
        self._warned = False
        with self._connect() as connection:
            connection.execute(TABLE)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        connection = psycopg.connect(self._dsn, connect_timeout=2, autocommit=True, application_name="writer")
        connection.add_notice_handler(self._notice)
        return connection

    def _notice(self, notice: psycopg.errors.Diagnostic) -> None:
        """Note PostgreSQL's warning that waiting for a standby was cancelled: such a commit does not count."""
        if notice.severity_nonlocalized == "WARNING":
            self._warned = True

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait at most 30 s for the last write to end."""
        self._ending.set()
        self._thread.join(30)

    def _run(self) -> None:
        numbers = itertools.count(1)
        while not self._ending.is_set():
            try:
                with self._connect() as connection:
                    self._write(connection, numbers)
            except psycopg.Error:
                self._ending.wait(PAUSE_SECONDS)

    def _write(self, connection: psycopg.Connection[tuple[object, ...]], numbers: "itertools.count[int]") -> None:
        while not self._ending.is_set():
            number, self._warned = next(numbers), False
            connection.execute("insert into ledger (n) values (%s)", (number,))
            if not self._warned:
                self.acknowledged.append(Acknowledged(number, time.monotonic()))
            self._ending.wait(PAUSE_SECONDS)

    def wait_for_more(self, rows: int, seconds_max: float = 60) -> bool:
        """Wait until `rows` more rows are acknowledged; return whether that happened in time."""
        wanted, end = len(self.acknowledged) + rows, time.monotonic() + seconds_max
        while len(self.acknowledged) < wanted and time.monotonic() < end:
            time.sleep(0.01)
        return len(self.acknowledged) >= wanted

    def longest_gap(self, begin: float, end: float) -> float:
        """Return the longest gap between acknowledged rows, in seconds, that overlaps [begin, end]."""
        times = [each.at for each in self.acknowledged]
        gaps = (later - earlier for earlier, later in itertools.pairwise(times) if later >= begin and earlier <= end)
        return max(gaps, default=0.0)

    def lost(self) -> list[int]:
        """Return the acknowledged rows that the cluster no longer has."""
        with self._connect() as connection:
            there = {row[0] for row in connection.execute("select n from ledger")}
        return [each.number for each in self.acknowledged if each.number not in there]
