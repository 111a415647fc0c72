"""How many records a second the audit log takes, beside bare SQLite commits of the same bytes on the same disk.

An append is a record, its tree nodes and a signed checkpoint in one durable transaction, read back afterwards. The
limit is one INSERT of the record's bytes in one transaction, durable in the same way (WAL, synchronous=FULL).
"""

import sqlite3
import statistics
import time
import uuid
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.record import Record, encode_record
from aerodb.audit.store import Log
from benchmarks.clusters import Clusters
from benchmarks.measured import Measured, ratio_interval, say, spread

ROUNDS, ROUNDS_QUICK = 20, 4
APPENDS = 100


def _record(number: int) -> Record:
    """Return a record like that of a confirmation."""
    digest = "sha256:" + "5" * 64
    return Record(
        event="confirmed",
        at="2026-01-01T00:00:00.000Z",
        clock="system clock of somewhere",
        request=str(uuid.UUID(int=number)),
        operator="operator",
        action="promote",
        target="n2",
        reason="a measurement of the log, with a reason of ordinary length",
        configuration=digest,
        signature="-----BEGIN SSH SIGNATURE-----\n" + "U1NIU0lHAAAAAQ" * 28 + "\n-----END SSH SIGNATURE-----\n",
    )


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE record (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
    return connection


def _append(log: Log, numbers: range) -> float:
    """Return appends a second."""
    records = [_record(number) for number in numbers]
    begun = time.perf_counter()
    for record in records:
        log.append(record)
    return len(records) / (time.perf_counter() - begun)


def _commit(connection: sqlite3.Connection, numbers: range) -> float:
    """Return commits a second."""
    bodies = [encode_record(_record(number)) for number in numbers]
    begun = time.perf_counter()
    for body in bodies:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO record (body) VALUES (?)", (body,))
        connection.execute("COMMIT")
    return len(bodies) / (time.perf_counter() - begun)


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure in turn, a hundred at a time."""
    folder = clusters.folder("log")
    ours: list[float] = []
    limit: list[float] = []
    connection = _bare(folder / "bare.db")
    with Log.create(folder / "log", "aerodb.log/measured", Ed25519PrivateKey.generate()) as log:
        for number in range(ROUNDS_QUICK if quick else ROUNDS):
            numbers = range(number * APPENDS, (number + 1) * APPENDS)
            if number % 2:
                ours.append(_append(log, numbers))
            limit.append(_commit(connection, numbers))
            if not number % 2:
                ours.append(_append(log, numbers))
    connection.close()
    medians = statistics.median(ours), statistics.median(limit)
    low, _, high = ratio_interval(ours, limit)
    say(f"  {len(ours)} rounds of {APPENDS}: ours {medians[0]:.0f} a second, limit {medians[1]:.0f} a second")
    return Measured(
        unit="a second",
        ours=medians[0],
        limit=medians[1],
        ratio=medians[0] / medians[1],
        more={"rounds": len(ours), "interval": [low, high], "record_bytes": len(encode_record(_record(1))),
              **spread("ours_min_median_max", ours), **spread("limit_min_median_max", limit)},
    )  # fmt: skip
