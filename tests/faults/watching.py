"""PostgreSQLs that others made, each by itself, and agents without hands beside them."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import psycopg
from msgspec.structs import replace

from aerodb.kernel.events.observed import NodeObserved
from aerodb.kernel.events.watch import Sight, Watch
from aerodb.kernel.looking import Eye
from aerodb.kernel.node import WatchedPlace
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.watching.agent import WatchingAgent, WatchingEye
from aerodb.protocol.events import Event
from aerodb.protocol.facts import Facts, Instance
from aerodb.protocol.watched import WATCH_ROLE, Survey, Watched
from tests.faults.alone import Database, folder_for_postgres
from tests.faults.waiting import wait_until
from tests.unit.kernel.watching.places import CLUSTER, MEMBERS, NAMES, watched_node

HOST = {"n1": "127.0.0.9", "n2": "127.0.0.1", "n3": "127.0.0.3"}
"""Where each member's PostgreSQL is; whoever connects from this machine comes from n2's address."""
WATCHES = (f"create role {WATCH_ROLE} login", f"grant pg_monitor to {WATCH_ROLE}")
"""What a superuser runs so that a node can be watched."""
LOGINS = f"""
local all postgres trust
local postgres {WATCH_ROLE} peer map=watching
host all,replication postgres 127.0.0.0/8 trust
"""


class Others(Database):
    """A PostgreSQL that others made: alone, or as a standby that was copied from another one."""

    def __init__(self, installation: Installation, folder: Path, port: int, source: "Others | None" = None) -> None:
        """Make it; nothing is started."""
        self.port, self.watchers = port, list["Watcher"]()
        if source is None:
            super().__init__(installation, folder)
        else:
            self.installation, self.data, self._socket = installation, folder / "data", folder
            self.major = installation.major
            if installation.account:
                os.chown(folder, *installation.account.owner)
            where = f"host={HOST['n1']} port={source.port} user=postgres"
            self._run("pg_basebackup", "-D", self.data, "-R", "-c", "fast", "-N", "-d", where)
        (self.data / "pg_hba.conf").write_text(LOGINS, encoding="utf-8")
        (self.data / "pg_ident.conf").write_text(f"watching {getpass.getuser()} {WATCH_ROLE}\n", encoding="utf-8")

    @property
    def place(self) -> WatchedPlace:
        """Return where an agent finds it."""
        return WatchedPlace(socket=str(self._socket), port=self.port)

    def start(self, *settings: str) -> None:
        """Start it, where this machine alone can reach it."""
        super().start(f"listen_addresses={HOST['n1']}", f"port={self.port}", "autovacuum=off", *settings)

    def session(self, user: str = "postgres", options: str = "") -> psycopg.Connection:
        """Return a new session."""
        return psycopg.connect(
            host=str(self._socket), port=self.port, user=user, dbname="postgres", options=options, autocommit=True
        )

    def postmaster(self) -> int:
        """Return the postmaster's process id."""
        return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")[0])


@contextmanager
def others(installation: Installation, port: int, source: Others | None = None) -> Iterator[Others]:
    """Yield a PostgreSQL that is not started yet, and ends with the test."""
    with folder_for_postgres() as folder:
        made = Others(installation, folder, port, source)
        try:
            yield made
        finally:
            for each in made.watchers:
                each.close()
            made.end()


class Watcher:
    """An agent without hands, and its observer, in this process."""

    def __init__(self, folder: Path, name: str, database: Others) -> None:
        """Begin it, in a folder of its own."""
        first = database.port - NAMES.index(name)
        members = tuple(
            replace(each, postgres_host=HOST[each.name], postgres_port=first + at)
            for at, each in enumerate(MEMBERS.values())
        )
        place = database.place
        self.node = watched_node(
            folder, name, replace(CLUSTER, members=members), socket=place.socket, port=place.port, login=place.login
        )
        self.agent = WatchingAgent(self.node)
        self.observed = NodeObserved(self.agent, self.node)
        observed, self._sight = self.observed, Sight(self.agent)
        self._watch = Watch(self._sight, observed.journal, observed._lags, 1, observed._seen)
        self.eyes: list[Eye] = [self._sight._eye, observed._sight._eye]
        database.watchers.append(self)

    def close(self) -> None:
        """Close its connections."""
        for look in (self.agent._look, *(each._look for each in self.eyes if isinstance(each, WatchingEye))):
            look._session.close()

    def facts(self) -> Facts:
        """Return the facts now."""
        return self.agent.facts()

    def instance(self) -> Instance:
        """Return the instance's facts now."""
        instance = self.facts().instance
        assert instance is not None
        return instance

    def watched(self) -> Watched:
        """Return what is said beside the facts now."""
        watched = self.facts().watched
        assert isinstance(watched, Watched)
        return watched

    def survey(self) -> Survey:
        """Return what stands between watching and taking charge."""
        survey = self.watched().survey
        assert survey is not None
        return survey

    def observe(self) -> None:
        """Have the observer look once."""
        self._watch.turn()

    def events(self, kind: str) -> list[tuple[str, str, str]]:
        """Return what the observer wrote down of one kind."""
        events: tuple[Event, ...] = self.observed.page(0, 1000).events
        return [(each.subject, each.before, each.after) for each in events if each.kind.value == kind]

    def sees(self, kind: str, subject: str, after: str) -> None:
        """Have the observer look until it has written down that something of a subject came to be so."""

        def seen() -> bool:
            self.observe()
            found = [(of, what) for of, _, what in self.events(kind)]
            return bool(found) and (subject, after) in found[-2:]

        wait_until(seen)


def digest(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return all that is below a folder: what and whose it is, when it was last changed, its content's digest."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (
            status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns, content,
        )  # fmt: skip
    return found
