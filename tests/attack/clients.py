"""Clients: writers that remember every acknowledged commit, and those who ask `/primary`.

A write that has waited for long is given up by closing the connection: whether it is there is then unknown. A commit
whose wait was cancelled comes with a warning and does not count.
"""

import itertools
import select
import threading
import time

import psycopg
from psycopg import pq

from aerodb.errors import AeroError
from aerodb.protocol.cluster import Cluster
from aerodb.transport.client import Client
from aerodb.transport.tls import tls_in
from tests.attack.history import Ack, Told
from tests.faults.conftest import Running

TABLE = "create table if not exists ledger (n bigint primary key)"
INSERT = (
    b"insert into ledger values ($1) returning substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8), "
    b"current_setting('synchronous_standby_names'), current_setting('synchronous_commit')"
)
GIVEN_UP_SECONDS = 4.0
PAUSE_SECONDS = 0.03
ASKED_EVERY_SECONDS = 0.8
WRITER_ROWS = 10_000_000


def policy_of(cluster: Cluster) -> str:
    """Return the synchronous policy as the configuration has it."""
    names = ", ".join(f'"{name}"' for name in cluster.data_nodes)
    return f"ANY {cluster.quorum} ({names})"


class Writer:
    """Writes numbered rows, one a transaction, in a thread of its own."""

    def __init__(self, running: Running, name: str, index: int, node: str = "") -> None:
        """Write through the DSN; or, where `node` is given, to that node alone."""
        self.name, self._node = name, node
        dsn = running.layout.dsn()
        if node:
            member = running.cluster.member(node)
            tail = dsn.partition("/app?")[2]
            dsn = f"postgresql://app@{member.postgres_host}:{member.postgres_port}/app?{tail}"
        self._dsn, self._policy = dsn, policy_of(running.cluster)
        self._nodes = {m.postgres_port: m.name for m in running.cluster.members if not m.witness}
        self._numbers = itertools.count(index * WRITER_ROWS + 1)
        self._ending = threading.Event()
        self.acks: list[Ack] = []
        self._thread = threading.Thread(target=self._run, daemon=True, name=name)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ending.set()
        self._thread.join(GIVEN_UP_SECONDS + 20)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                connection = psycopg.connect(self._dsn, connect_timeout=2, autocommit=True, application_name=self.name)
            except psycopg.Error:
                self._ending.wait(0.25 if self._node else 0.05)
                continue
            try:
                self._write(connection.pgconn, self._nodes.get(connection.info.port, ""))
            finally:
                connection.close()

    def _write(self, connection: pq.abc.PGconn, node: str) -> None:
        warned: list[bool] = []
        connection.notice_handler = lambda _: warned.append(True)
        while not self._ending.is_set():
            number, begin = next(self._numbers), time.time()
            warned.clear()
            values = insert_in_time(connection, number, GIVEN_UP_SECONDS)
            if values is None:
                return
            if not warned:
                self.acks.append(self._ack(number, node, values, begin))
            self._ending.wait(PAUSE_SECONDS)

    def _ack(self, number: int, node: str, values: tuple[str, str, str], begin: float) -> Ack:
        timeline, names, commit = values
        right = names == self._policy and commit in {"on", "remote_apply"}
        return Ack(
            number=number, writer=self.name, node=node, timeline=int(timeline, 16),
            weak="" if right else f"{names!r}, {commit}", begin=begin, end=time.time(),
        )  # fmt: skip


def insert_in_time(connection: pq.abc.PGconn, number: int, seconds: float) -> tuple[str, str, str] | None:
    """Insert a row; return what an acknowledged insert shows, None where it was not acknowledged in time.

    Nothing but the end of the connection ends the wait without a word to the server, so the caller closes it then.
    """
    end = time.monotonic() + seconds
    rows: pq.abc.PGresult | None = None
    try:
        connection.send_query_params(INSERT, [str(number).encode()])
        while True:
            while connection.is_busy():
                left = end - time.monotonic()
                if left <= 0 or not select.select([connection.socket], [], [], left)[0]:
                    return None
                connection.consume_input()
            result = connection.get_result()
            if result is None:
                break
            rows = result
    except (psycopg.Error, OSError):
        return None
    if rows is None or rows.status != pq.ExecStatus.TUPLES_OK:
        return None
    found = [(rows.get_value(0, column) or b"").decode() for column in range(3)]
    return found[0], found[1], found[2]


class Balancer:
    """Asks one node `/primary` again and again, as a load balancer does."""

    def __init__(self, running: Running, node: str) -> None:
        """Ask nothing yet."""
        self._node = node
        tls = tls_in(running.layout.profile("observer"))
        self._client = Client(running.cluster.member(node).agent, tls, node, 5)
        self._ending = threading.Event()
        self.told: list[Told] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ending.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._ending.is_set():
            begin = time.time()
            try:
                self._client.get("/primary")
            except AeroError:
                said = False
            else:
                said = True
            self.told.append(Told(node=self._node, begin=begin, end=time.time(), primary=said))
            self._ending.wait(ASKED_EVERY_SECONDS)
