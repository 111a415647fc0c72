"""Clients behind the real HAProxy and PgBouncer, by the files that a cluster is made with, while the primary changes.

They know one address each, and nothing of nodes. Nothing that was acknowledged to them is lost.
"""

import itertools
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg
import pytest

from aerodb.local.size import HOST
from aerodb.local.writer import Writer
from aerodb.protocol.plan import plan_digest
from tests.balancers.programs import INSTALLED, MISSING, Balancer, Pool
from tests.faults.behind import instance_of, run, serves
from tests.faults.conftest import Running
from tests.faults.people import new_id
from tests.faults.waiting import wait_until

pytestmark = [
    pytest.mark.faults, pytest.mark.xdist_group("balancers"), pytest.mark.skipif(not INSTALLED, reason=MISSING)
]  # fmt: skip


class Client(Writer):
    """A writer that prepares nothing on a server, and counts from a number of its own."""

    def __init__(self, dsn: str, first: int) -> None:
        """Connect by `dsn`, and number its rows from `first` on."""
        self._first = first
        super().__init__(dsn)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        connection = super()._connect()
        connection.prepare_threshold = None  # A pool of transactions gives each one another server connection.
        return connection

    def _run(self) -> None:
        numbers = itertools.count(self._first)
        while not self._ending.is_set():
            with suppress(psycopg.Error), self._connect() as connection:
                self._write(connection, numbers)


def through(running: Running, port: int) -> str:
    """Return how an application connects that knows one port, and no node."""
    return f"postgresql://app@{HOST}:{port}/app?passfile={running.layout.profile('operator') / 'app.pgpass'}"


def led_to(running: Running, port: int) -> list[tuple[object, ...]]:
    """Return where a new connection leads: the port of PostgreSQL, and whether it is in recovery."""
    with psycopg.connect(through(running, port), autocommit=True) as connection:
        return connection.execute("select inet_server_port(), pg_is_in_recovery()").fetchall()


def is_led_to(running: Running, port: int, *nodes: str) -> bool:
    """Tell whether a new connection leads to one of these nodes."""
    ports = {running.cluster.member(node).postgres_port for node in nodes}
    with suppress(psycopg.Error):
        return led_to(running, port)[0][0] in ports
    return False


def switch(running: Running) -> None:
    """Switch over from n1 to n2, by a promotion that is signed ahead."""
    running.api.do("follow", "n3", upstream="n2")
    wait_until(lambda: [each.state for each in instance_of(running, "n2").senders] == ["streaming"])
    first = new_id()
    later = running.api.ask("promote", "n2", after=f"demote:n1:{first}")
    assert running.api.confirm(later).result == "held"
    planned = running.api.ask("demote", "n1", first, for_="n2", then=f"{later.request}:{plan_digest(later.plan)}")
    assert running.api.confirm(planned).result == "executed"


def fail_over(running: Running) -> None:
    """Have n1 take over from n2, of which nothing is left."""
    for node in ("n1", "n3"):
        running.api.do("fence", node, for_="n1")
    running.api.do("follow", "n3", upstream="n1")
    running.api.do("promote", "n1")


def lose(running: Running, node: str) -> None:
    """Kill a node's PostgreSQL and its agent."""
    running.stage.kill(node)
    os.kill(running.postmaster(node), signal.SIGKILL)


@pytest.mark.timeout(300)
def test_clients_are_led_to_the_new_primary_and_lose_nothing(
    fresh: Running, balancer: Balancer, pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a switchover and in a failover, through HAProxy alone and through PgBouncer in front of it.

    Beside them is one that has no balancer, and names every node to libpq.
    """
    wait_until(lambda: all(is_led_to(fresh, port, "n1") for port in (balancer.writes, pool.port)))
    ways = {
        "HAProxy": through(fresh, balancer.writes),
        "PgBouncer and HAProxy": through(fresh, pool.port),
        "libpq alone": fresh.layout.dsn(),
    }
    writers = {name: Client(dsn, at * 10_000_000) for at, (name, dsn) in enumerate(ways.items())}
    for writer in writers.values():
        writer.start()
        assert writer.wait_for_more(20)
    gaps = list[str]()

    def goes_on(what: str, change: Callable[[Running], None]) -> None:
        """Change the primary; the clients go on by themselves, and each one's longest gap is noted."""
        begun = time.monotonic()
        change(fresh)
        for name, writer in writers.items():
            assert writer.wait_for_more(50), (what, name)
            gap = writer.longest_gap(begun, time.monotonic())
            gaps.append(f"{what}, {name}: longest gap {1_000 * gap:.0f} ms")

    goes_on("switchover", switch)
    assert is_led_to(fresh, balancer.writes, "n2")
    wait_until(lambda: is_led_to(fresh, balancer.reads, "n3"))
    fresh.api.do("follow", "n1", upstream="n2")
    wait_until(lambda: serves(fresh, "n1", "/standby") == "standby")
    lose(fresh, "n2")
    goes_on("failover", fail_over)
    assert is_led_to(fresh, balancer.writes, "n1")
    for writer in writers.values():
        writer.stop()
        assert writer.lost() == []
    with capsys.disabled():
        print("", *gaps, sep="\n")


def test_reads_are_led_to_standbys_that_keep_up(fresh: Running, balancer: Balancer) -> None:
    """Never to the primary, and not to one whose replay stands still."""
    wait_until(lambda: balancer.said("Server reads/n1 is DOWN"))  # Before its first answer HAProxy believes everybody.
    for node in ("n2", "n3"):
        wait_until(lambda node=node: is_led_to(fresh, balancer.reads, node))  # type: ignore[misc]
    assert all(led_to(fresh, balancer.reads)[0][1] for _ in range(10))
    run(fresh, "n3", "select pg_wal_replay_pause()")
    wait_until(lambda: balancer.said("Server reads/n3 is DOWN"))
    assert all(is_led_to(fresh, balancer.reads, "n2") for _ in range(10))
