"""A primary that dies in the middle of a record: its standbys hold a beginning whose end never comes."""

import contextlib
import os
import signal
import threading

import psycopg

from aerodb.local.demo import kill_postgres
from aerodb.local.writer import Writer
from tests.faults.behind import connect, instance_of, run
from tests.faults.conftest import Running
from tests.faults.waiting import wait_until

TORN_BYTES_MIN = 1 << 25  # So long that a good part of the time goes into reading it again.
LOOKS = 50
LONG_RECORD = "select pg_logical_emit_message(false, 'x', repeat('y', 100000000))"
TORN = "select pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn()"


def _write_long_records(dsn: str) -> None:
    with contextlib.suppress(psycopg.Error), psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            connection.execute(LONG_RECORD)


class Senders:
    """The primary's two WAL senders, held still when both standbys have a part of a long record."""

    def __init__(self, running: Running) -> None:
        self._pids = [row[0] for row in run(running, "n1", "select pid from pg_stat_replication")]
        self._standbys = [connect(running, node) for node in ("n2", "n3")]

    def close(self) -> None:
        """Close the connections."""
        for standby in self._standbys:
            standby.close()

    def _torn(self) -> bool:
        rows = [standby.execute(TORN).fetchone() for standby in self._standbys]
        return all(row is not None and row[0] > TORN_BYTES_MIN for row in rows)

    def send(self, number: signal.Signals) -> None:
        """Send both a signal."""
        for pid in self._pids:
            os.kill(pid, number)

    def held_in_a_record(self) -> bool:
        """Hold the senders; tell whether both standbys now have a beginning without its end, else let them go on."""
        if not self._torn():
            return False
        self.send(signal.SIGSTOP)
        if self._torn():
            return True
        self.send(signal.SIGCONT)
        return False


def test_a_failover_where_the_last_record_is_torn(fresh: Running) -> None:
    """What came of a record without its end is no part of a log: the failover goes on, and nothing is lost."""
    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(20)
    senders = Senders(fresh)
    long = threading.Thread(target=_write_long_records, args=(fresh.layout.dsn(),))
    long.start()
    wait_until(senders.held_in_a_record)
    kill_postgres(fresh.layout, "n1")
    senders.send(signal.SIGKILL)
    senders.close()
    fresh.stage.kill("n1")
    long.join()
    fresh.api.do("fence", "n2", for_="n2")
    fresh.api.do("fence", "n3", for_="n2")
    for node in ("n2", "n3"):
        assert len({instance_of(fresh, node).position for _ in range(LOOKS)}) == 1
    furthest = fresh.api.ask("promote", "n2")
    if not furthest.accepted:  # The other has received more: the election is anew for it.
        fresh.api.do("fence", "n2", for_="n3")
        fresh.api.do("fence", "n3", for_="n3")
    chosen, other = ("n2", "n3") if furthest.accepted else ("n3", "n2")
    fresh.api.do("promote", chosen)
    fresh.api.do("follow", other, upstream=chosen)
    assert writer.wait_for_more(20)
    fresh.stage.start_agent("n1", leave_down=True)
    fresh.stage.wait_for("n1")
    # The dead primary may hold the whole record, which nobody else has: then it has diverged, and its plan says so.
    follows = fresh.api.ask("follow", "n1", upstream=chosen).accepted
    fresh.api.do("follow" if follows else "reclone", "n1", upstream=chosen)
    assert writer.wait_for_more(20)
    writer.stop()
    assert writer.lost() == []
