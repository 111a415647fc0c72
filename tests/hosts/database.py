"""Debian's PostgreSQL on three hosts, as a database administrator makes it by hand: nothing here knows of AeroDB.

It has a past, and habits of its own: a timeline above 1, since its primary was promoted by hand and the former one made
anew; settings by ALTER SYSTEM; both standbys by Debian's name for them; a slot for one of them, and one of a consumer;
a tablespace; passwords in connection strings.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.hosts.bed import ADDRESSES, NETWORK, Bed, Host, as_user
from tests.packages.guest import wait_until

NODES = ("n1", "n2", "n3")
SECRET = "b4ckstage"
"""The password by which standbys receive WAL."""
SPACE = "/srv/space"
TIMELINE = 2
SITE = """
listen_addresses = '*'
wal_level = logical
wal_keep_size = 64MB
"""
ACCESS = f"""
host replication repl {NETWORK}.0/24 scram-sha-256
host all         app  {NETWORK}.0/24 scram-sha-256
"""


class Database:
    """The cluster, and the hand of whoever runs it: n1 is the primary, n2 and n3 receive from it."""

    def __init__(self, bed: Bed, major: int) -> None:
        """Make it, of a major version that is installed."""
        self.hosts = {name: bed.hosts[name] for name in NODES}
        self.major, self.hands = major, list[tuple[float, float]]()
        self.data, self.settings = f"/var/lib/postgresql/{major}/main", f"/etc/postgresql/{major}/main"
        with ThreadPoolExecutor() as hands:
            list(hands.map(self._laid_out, self.hosts.values()))
        self._first_life()
        self._second_life()

    def _laid_out(self, host: Host) -> None:
        host.does("pg_createcluster", "-p", "5432", str(self.major), "main")
        host.path(f"{self.settings}/conf.d/site.conf").write_text(SITE, encoding="utf-8")
        with host.path(f"{self.settings}/pg_hba.conf").open("a", encoding="utf-8") as file:
            file.write(ACCESS)
        host.does("install", "-d", "-o", "postgres", "-g", "postgres", SPACE)

    def _first_life(self) -> None:
        """Have n2 be the primary, and n1 and n3 its standbys."""
        self.control("n2", "start")
        self.hosts["n2"].psql(
            f"create role repl replication login password '{SECRET}'",
            "create role app login password 'x'",
            "create schema app authorization app",
        )
        for name in ("n1", "n3"):
            self.copy(name, "n2")

    def _second_life(self) -> None:
        """Have n1 be promoted by hand, n3 follow it, and n2 be made anew from it."""
        self.control("n2", "stop")
        self.control("n1", "promote")
        primary, third = self.hosts["n1"], self.hosts["n3"]
        primary.psql("select pg_create_physical_replication_slot('n3')")
        third.psql(
            f"alter system set primary_conninfo to 'host={ADDRESSES['n1']} user=repl password={SECRET}'",
            "alter system set primary_slot_name to 'n3'",
            "select pg_reload_conf()",
        )
        primary.psql(
            "alter system set max_wal_size to '2GB'",
            "alter system set synchronous_commit to 'on'",
            "select pg_reload_conf()",
        )
        self.copy("n2", "n1")
        primary.psql(f"create tablespace space location '{SPACE}'")
        primary.psql("select pg_create_logical_replication_slot('orders', 'test_decoding')")
        wait_until(lambda: self.streaming() == 2, "both standbys of the cluster that was made by hand")

    @property
    def version(self) -> str:
        """Return PostgreSQL's version, as its server says it."""
        return self.hosts["n1"].psql("show server_version").partition(" ")[0]

    def streaming(self) -> int:
        """Return how many standbys stream from n1, as that says."""
        return int(self.hosts["n1"].psql("select count(*) from pg_stat_replication where state = 'streaming'"))

    def control(self, name: str, verb: str, *options: str) -> None:
        """Start, stop or promote a PostgreSQL as one does on Debian."""
        self.hosts[name].does("pg_ctlcluster", str(self.major), "main", verb, *options)

    def copy(self, name: str, source: str) -> None:
        """Make a standby anew, as a copy of another PostgreSQL, and start it."""
        host = self.hosts[name]
        host.does("bash", "-c", f"rm -rf {self.data} {SPACE}/*")
        host.does(
            *as_user("postgres"), "pg_basebackup", "-D", self.data,
            "-R", "-X", "stream", "-c", "fast", "-d", f"host={ADDRESSES[source]} user=repl password={SECRET}",
        )  # fmt: skip
        self.control(name, "start")

    @contextmanager
    def hand(self) -> Iterator[None]:
        """Note from when to when its administrator does something to it: what commits wait for meanwhile is theirs."""
        begin = time.monotonic()
        yield
        self.hands.append((begin, time.monotonic()))

    def waits_for(self, names: str) -> None:
        """Have commits wait for synchronous standbys; for none, if `names` is empty."""
        change = f"set synchronous_standby_names to '{names}'" if names else "reset synchronous_standby_names"
        self.hosts["n1"].psql(f"alter system {change}", "select pg_reload_conf()")
