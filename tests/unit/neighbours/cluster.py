"""A cluster in one process: the real control plane, its real API, real agents and a real log.

Two neighbours are in memory: each node's PostgreSQL, and the way between the services. Nothing else is put in place of
what is shipped.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.api.service import application as api_of
from aerodb.audit.store import Log, LogReplaced
from aerodb.control.agents import Agents
from aerodb.control.meters import Meters
from aerodb.control.plane import ControlPlane
from aerodb.errors import AeroError
from aerodb.kernel.agent import Agent
from aerodb.kernel.events.observed import NodeObserved
from aerodb.kernel.events.watch import Sight, Watch
from aerodb.kernel.node import Node, NodeFile
from aerodb.kernel.service import application as service_of
from aerodb.kernel.store import Store
from aerodb.protocol.cluster import Cluster, Member, Operator, Role
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import public_text
from aerodb.protocol.sshkey import of_public
from aerodb.rules.standing import genesis
from aerodb.transport.certificates import Authority
from aerodb.transport.errors import Interrupted, Unreachable
from aerodb.transport.tls import Caller, Tls, tls_in
from tests.unit.neighbours.postgres import MemoryPostgres, running
from tests.unit.neighbours.wire import Between, KeptWire, Wire
from tests.unit.protocol.authenticator import ORIGIN

NODES, WITNESS = ("n1", "n2", "n3"), "w1"
CONTROL = Caller(name="control", kind="control")


@cache
def _tls() -> Tls:
    """Return a certificate of which every control plane here makes its callers' context; it is shown to nobody."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    Authority("nobody").issue(folder, "control", "control")
    return tls_in(folder)


class MemoryNode(Node, frozen=True, kw_only=True):
    """A node's folder, whose PostgreSQL is in memory."""

    server: MemoryPostgres | None = None

    def postgres(self, purpose: str = "agent") -> MemoryPostgres | None:
        """Return the node's PostgreSQL."""
        del purpose
        return self.server


class House:
    """One node: its folder, its PostgreSQL, its agent, and the agent's service."""

    def __init__(self, folder: Path, cluster: Cluster, key: Ed25519PrivateKey, server: MemoryPostgres | None) -> None:
        """Make a new node, as `cluster` founds it, and its agent."""
        name = folder.name
        member = cluster.member(name)
        folder.mkdir()
        standing = genesis(name, cluster.genesis, witness=member.witness, folder="" if member.witness else name)
        Store.create(folder / "state", standing)
        (folder / "events").mkdir()
        file = NodeFile(name=name, home="", binaries="", account="", starts="no", watch_seconds=0)
        self.node = MemoryNode(folder=folder, file=file, cluster=cluster, key=key, server=server)
        self.begin()

    def begin(self) -> None:
        """Begin an agent, as its process does."""
        self.agent = Agent(self.node)
        self.observed = NodeObserved(self.agent, self.node)
        self.service = service_of(self.agent, self.observed)
        sight = Sight(self.agent)
        self._watch = Watch(sight, self.observed.journal, self.observed._lags, 1, self.observed._seen)

    def again(self) -> None:
        """Begin another agent, after one that was killed."""
        os.close(self.agent._alone)  # As the system does for whoever dies.
        self.begin()

    def observe(self) -> None:
        """Have the observer look once."""
        self._watch.turn()


class MemoryCluster:
    """A cluster of three nodes and a witness, founded; the people are named, and their keys made, by who makes it."""

    def __init__(self, folder: Path, people: dict[str, Role], **settings: Any) -> None:
        """Make everything anew in `folder`; `settings` change the configuration."""
        self.folder = folder
        self.keys = {name: Ed25519PrivateKey.generate() for name in (*NODES, WITNESS)}
        self.people = {name: Ed25519PrivateKey.generate() for name in people}
        self.log_key = Ed25519PrivateKey.generate()
        self.log = Log.create(folder / "log", "aerodb.log/cluster-1", self.log_key)
        self.cluster = msgspec.structs.replace(self._configured(people), **settings)
        self.servers = dict[str, MemoryPostgres]()
        for at, name in enumerate(NODES):
            facts = running(name, Lsn(0x3000000 - 0x100 * at), NODES[0], NODES[1:])
            self.servers[name] = MemoryPostgres(name, facts, self.servers)
        self.houses = {
            name: House(folder / name, self.cluster, key, self.servers.get(name)) for name, key in self.keys.items()
        }
        self.silent = dict[str, str]()
        """The nodes that nobody reaches, and why."""
        self.cut = dict[str, str]()
        """The nodes whose answers to an order, or to what became of one, never arrive, and why."""
        self.between = dict[str, Between]()
        """Who stands between the control plane and a node."""
        self.begin()

    def _operators(self, people: dict[str, Role]) -> tuple[Operator, ...]:
        return tuple(
            Operator(name=name, role=role, ssh_key=of_public(self.people[name].public_key()).line)
            for name, role in people.items()
        )

    def _configured(self, people: dict[str, Role]) -> Cluster:
        return Cluster(
            name="orders",
            id="cluster-1",
            members=tuple(self._member(name) for name in self.keys),
            operators=self._operators(people),
            quorum=1,
            genesis=NODES[0],
            log_key=self.log.verifier_key,
            control="localhost:1",
            web="localhost:7407",
            web_origin=ORIGIN,
        )

    def _member(self, name: str) -> Member:
        witness = name == WITNESS
        return Member(
            name=name,
            witness=witness,
            agent="localhost:2",
            postgres_host="" if witness else "localhost",
            postgres_port=0 if witness else 5432,
            public_key=public_text(self.keys[name]),
        )

    # The control plane ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a control plane, as its process does: whatever awaited a confirmation in an earlier one, does not."""
        room = self

        class MemoryAgents(Agents):
            """The agents of this cluster, reached without sockets."""

            def _client(self, node: str, seconds_max: float) -> Wire:
                del seconds_max
                return room.way(node)

            @contextmanager
            def _kept(self, node: str) -> Iterator[KeptWire]:
                yield KeptWire(room.way(node))

        self.plane = ControlPlane(self.cluster, _tls(), self.log, MemoryAgents)
        self.api = api_of(self.plane)

    @property
    def meters(self) -> Meters:
        """Return what the control plane counts."""
        return self.plane.meters

    def way(self, node: str) -> Wire:
        """Return the control plane's way to a node's agent."""
        wire = Wire(self.houses[node].service, CONTROL, lambda: self._silence(node), lambda: self._loss(node))
        wire.between = self.between.get(node, wire.between)
        return wire

    def _silence(self, node: str) -> AeroError | None:
        return Unreachable(self.silent[node]) if node in self.silent else None

    def _loss(self, node: str) -> AeroError | None:
        return Interrupted(self.cut[node], executed="unknown") if node in self.cut else None

    def caller(self, name: str, kind: str = "person") -> Wire:
        """Return somebody's way to the API."""
        return Wire(self.api, Caller(name=name, kind=kind))

    def close(self) -> None:
        """End the control plane's threads, close the log, and let the nodes' folders go."""
        self.plane._agents._pool.shutdown()
        with suppress(LogReplaced):  # A test may have had somebody touch it.
            self.log.close()
        for house in self.houses.values():
            os.close(house.agent._alone)
