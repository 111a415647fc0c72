"""A primary that dies in the middle of a record: its standbys hold a beginning whose end never comes."""

import contextlib
import threading

import psycopg

from aerodb.local.demo import kill_postgres
from aerodb.local.writer import Writer
from tests.faults.conftest import Running
from tests.faults.waiting import wait_until

TORN_BYTES_MIN = 1 << 20
LONG_RECORD = "select pg_logical_emit_message(false, 'x', repeat('y', 100000000))"


def _write_a_long_record(dsn: str) -> None:
    with contextlib.suppress(psycopg.Error), psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(LONG_RECORD)


def _torn_bytes(running: Running, node: str) -> int:
    """Return how far beyond its last whole record a standby has received."""
    member = running.stage.cluster.member(node)
    password = (running.layout.profile("operator") / "app.pgpass").read_text(encoding="ascii").strip().split(":")[-1]
    with psycopg.connect(
        host=member.postgres_host, port=member.postgres_port, user="app", dbname="app", password=password
    ) as connection:
        row = connection.execute("select pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn()").fetchone()
    assert row is not None
    return int(row[0])


def test_a_failover_where_the_last_record_is_torn(fresh: Running) -> None:
    """What came of a record without its end is no part of a log: the failover goes on, and nothing is lost."""
    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(20)
    long = threading.Thread(target=_write_a_long_record, args=(fresh.layout.dsn(),))
    long.start()
    wait_until(lambda: min(_torn_bytes(fresh, node) for node in ("n2", "n3")) > TORN_BYTES_MIN)
    kill_postgres(fresh.layout, "n1")
    fresh.stage.kill("n1")
    long.join()
    wait_until(lambda: (instance := fresh.impostor.facts("n2").instance) is not None and instance.replayed)
    assert _torn_bytes(fresh, "n2") > TORN_BYTES_MIN
    fresh.api.do("fence", "n2", for_="n2")
    fresh.api.do("fence", "n3", for_="n2")
    fresh.api.do("promote", "n2")
    fresh.api.do("follow", "n3", upstream="n2")
    assert writer.wait_for_more(20)
    fresh.stage.start_agent("n1", leave_down=True)
    fresh.stage.wait_for("n1")
    # The dead primary may hold the whole record, which nobody else has: then it has diverged, and its plan says so.
    follows = fresh.api.ask("follow", "n1", upstream="n2").accepted
    fresh.api.do("follow" if follows else "reclone", "n1", upstream="n2")
    assert writer.wait_for_more(20)
    writer.stop()
    assert writer.lost() == []
