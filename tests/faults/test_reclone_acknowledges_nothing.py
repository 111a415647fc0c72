"""A base backup reports what it has flushed, as a standby does: it must never count as one."""

import threading
from pathlib import Path

import psycopg

from aerodb.kernel.node import read_node
from aerodb.kernel.postgres.settings import SUPERUSER
from tests.faults.conftest import Running

STREAMS = "select application_name, sync_state from pg_stat_replication order by application_name"


def _connection(running: Running, node: str) -> psycopg.Connection[tuple[str, str]]:
    member = running.stage.cluster.member(node)
    home = Path(read_node(running.layout.node(node)).file.home)
    password = (home / "secret" / "superuser").read_text(encoding="ascii")
    return psycopg.connect(
        host=member.postgres_host, port=member.postgres_port, user=SUPERUSER, dbname="postgres", password=password,
        autocommit=True,
    )  # fmt: skip


def test_a_copy_in_the_making_acknowledges_no_commit(fresh: Running) -> None:
    """While a node is recloned, nothing but its own receiver streams under its name, or counts as synchronous."""
    seen: set[tuple[tuple[str, str], ...]] = set()
    worker = threading.Thread(target=lambda: fresh.api.do("reclone", "n3", upstream="n1"))
    with _connection(fresh, "n1") as connection:
        worker.start()
        while worker.is_alive():
            seen.add(tuple(connection.execute(STREAMS).fetchall()))
    copies = {stream for streams in seen for stream in streams if stream[0] not in {"n2", "n3"}}
    assert copies == {("copy for n3", "async")}
    assert all([name for name, _ in streams].count("n3") <= 1 for streams in seen)
