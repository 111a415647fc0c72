"""A cluster that others made, in one process: the real control plane over real agents without hands.

PostgreSQL, and the way between the services, are in memory: what an agent would see of its own is put before it.
"""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.audit.store import Log
from aerodb.kernel.events.observed import NodeObserved
from aerodb.kernel.events.watch import Sight, Watch
from aerodb.kernel.node import Node, WatchedNodeFile, WatchedPlace
from aerodb.kernel.postgres.errors import PostgresUnreachable
from aerodb.kernel.service import watching_application
from aerodb.kernel.watching.agent import WatchingAgent
from aerodb.kernel.watching.seen import unanswered
from aerodb.protocol.cluster import Role, WatchedCluster
from aerodb.protocol.events import Trace
from aerodb.protocol.facts import Facts, Instance
from aerodb.protocol.watched import Watched
from aerodb.rules.serving import Serving
from tests.unit.neighbours.cluster import NODES, MemoryCluster
from tests.unit.protocol.authenticator import ORIGIN
from tests.unit.rules.watching import SURVEY, watched

TRACE = Trace(started="then", engine="then", settings={}, slots={})


class MemoryLook:
    """A look at a PostgreSQL of others in memory."""

    def __init__(self, instance: Instance, beside: Watched) -> None:
        """See this."""
        self.instance, self.beside = instance, beside

    def down(self) -> None:
        """Have nobody answer any more."""
        self.instance, self.beside = unanswered("nobody answers at the socket")

    def now(self) -> tuple[Instance, Watched]:
        """Return the facts."""
        return self.instance, self.beside

    def serving(self) -> Serving | None:
        """Return what a load balancer's answer rests on."""
        if self.instance.recovery is None:
            return None
        receiver = self.instance.receiver
        return Serving(
            recovery=self.instance.recovery, senders=(), receiver=receiver.status if receiver else "", behind_bytes=0,
            paused=False,
        )  # fmt: skip

    def trace(self) -> Trace:
        """Return what PostgreSQL tells of itself."""
        if self.instance.recovery is None:
            raise PostgresUnreachable("nobody answers at the socket")
        return TRACE


def _look(facts: Facts) -> MemoryLook:
    """Return what an agent whose role has pg_monitor sees where facts are so."""
    assert facts.instance is not None
    instance = replace(facts.instance, folder="/var/lib/postgresql/15/main")
    return MemoryLook(instance, Watched(unseen=(), strangers=(), survey=SURVEY))


class MemoryWatching(WatchingAgent):
    """An agent without hands whose PostgreSQL is in memory."""

    def __init__(self, node: Node, look: MemoryLook) -> None:
        """Look by `look`."""
        self.seen = look
        super().__init__(node)

    def _look_for(self, purpose: str) -> Any:
        del purpose
        return self.seen


class WatchedHouse:
    """One node of others: its folder, what is seen of its PostgreSQL, its agent, and the agent's service."""

    def __init__(self, folder: Path, cluster: WatchedCluster, key: Ed25519PrivateKey, look: MemoryLook) -> None:
        """Make a new node, and its agent."""
        folder.mkdir()
        (folder / "events").mkdir()
        place = WatchedPlace(socket=str(folder), port=5432)
        file = WatchedNodeFile(name=folder.name, watch_seconds=0, watched=place)
        self.look, self.node = look, Node(folder=folder, file=file, cluster=cluster, key=key)
        self.agent = MemoryWatching(self.node, look)
        self.observed = NodeObserved(self.agent, self.node)
        self.service = watching_application(self.agent, self.observed)
        observed = self.observed
        self._watch = Watch(Sight(self.agent), observed.journal, observed._lags, 1, observed._seen)

    def observe(self) -> None:
        """Have the observer look once."""
        self._watch.turn()


class OthersCluster(MemoryCluster):
    """Three nodes that others made: n1 takes writes, and the others stream from it."""

    def __init__(self, folder: Path, people: dict[str, Role]) -> None:
        """Watch them anew, in `folder`."""
        self.folder = folder
        self.keys = {name: Ed25519PrivateKey.generate() for name in NODES}
        self.people = {name: Ed25519PrivateKey.generate() for name in people}
        self.log_key = Ed25519PrivateKey.generate()
        self.log = Log.create(folder / "log", "aerodb.log/cluster-1", self.log_key)
        self.cluster = cluster = WatchedCluster(
            name="orders",
            id="cluster-1",
            members=tuple(self._member(name) for name in self.keys),
            operators=self._operators(people),
            log_key=self.log.verifier_key,
            control="localhost:1",
            web="localhost:7407",
            web_origin=ORIGIN,
        )
        self.servers = {}
        self.looks = {name: _look(facts) for name, facts in watched().items()}
        self.watchers = {
            name: WatchedHouse(folder / name, cluster, self.keys[name], self.looks[name]) for name in NODES
        }
        self.houses: Any = self.watchers
        self.silent = dict[str, str]()
        self.cut, self.between = {}, {}
        self.begin()
