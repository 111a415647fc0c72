"""The model's values: a small cluster, each node's log and durable state, and what has been promised to clients.

A log is a tuple of entries, and an LSN is a number of entries: writes are 0, 1, ...; a term's row is 100 + term; a
shutdown checkpoint is 200. PostgreSQL's own behaviour is modelled here and in `hands`; rules are never copied.
"""

import hashlib
from functools import cache
from typing import Generic, NamedTuple, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.protocol import canonical
from aerodb.protocol.authority import Grant, Pledge, Standing
from aerodb.protocol.cluster import Cluster, Member
from aerodb.protocol.facts import Facts, Instance, Load, State, Unfinished
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import Signed, public_text, sign
from aerodb.rules.invariants import RULES
from aerodb.rules.position import (
    Noted,
    TermRow,
    lineage_of,
    position_down,
    position_running,
    quorum_down,
    told_of,
    voted,
)
from aerodb.rules.standing import genesis
from aerodb.rules.view import Peer, open_grant, open_pledge, peer_of

ROW, SHUTDOWN = 100, 200
FOLDER = "data"
QUIET = Load(
    sessions=0, longest_transaction_seconds=0, prepared_transactions=0, backups=0, logical_slots=0, waiting_commits=0
)
T = TypeVar("T")


class Bounds(NamedTuple):
    """What is explored: the members, and how often what may happen; `requests` are all that are made (none: any)."""

    data: int = 3
    witness: bool = False
    quorum: int = 1
    terms: int = 3
    writes: int = 1
    crashes: int = 0
    stops: int = 0
    cuts: int = 0
    stale: int = 0
    actions: tuple[str, ...] = ("demote", "fence", "follow", "promote", "renew", "start", "stop")
    requests: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Name the configuration in one line."""
        members = f"{self.data} data{' + witness' if self.witness else ''}"
        only = "" if self.actions == Bounds._field_defaults["actions"] else f", only {' '.join(self.actions)}"
        story = f", {len(self.requests)} requests alone" if self.requests else ""
        return (
            f"{members}, k={self.quorum}, terms {self.terms}, writes {self.writes}, crashes {self.crashes}, "
            f"stops {self.stops}, cuts {self.cuts}, stale plans {self.stale}{only}{story}"
        )


class Running(NamedTuple):
    """An operation begun and not ended: its order, the node's facts before it, and the hands' answers so far."""

    order: int
    own: int
    replies: tuple[object, ...]


class Node(NamedTuple):
    """One node. `recovery` is the signal file; `acting` the term in which its PostgreSQL takes writes (0: in none)."""

    standing: Standing
    state: State
    recovery: bool
    attached: str | None
    log: tuple[int, ...]
    history: tuple[tuple[int, int], ...]
    acting: int
    operation: Running | None


class Interned(Generic[T]):
    """A numbering of equal values."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}

    def number(self, value: T) -> int:
        """Return the number of `value`, a new one where it is new."""
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found


@cache
def key_of(name: str) -> Ed25519PrivateKey:
    """Return the node's key; always the same one, so that equal documents have equal signatures."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


@cache
def signed_by(name: str, document: Pledge | Grant) -> Signed:
    """Return `document`, signed by `name`."""
    return sign(document, name, key_of(name))


class RememberedCluster(Cluster, frozen=True):
    """A configuration whose digest is computed once: every judgement compares it."""

    @property
    def digest(self) -> str:
        """Return the digest of the configuration."""
        return _digest_of(self)


@cache
def _digest_of(cluster: RememberedCluster) -> str:
    return canonical.digest(canonical.encode(cluster))


@cache
def cluster_of(data: int, quorum: int, *, witness: bool) -> Cluster:
    """Return the configuration of a cluster of `data` nodes, and perhaps a witness, with n1 as its first primary."""
    names = [f"n{number + 1}" for number in range(data)] + (["w"] if witness else [])
    members = tuple(
        Member(name=name, witness=name == "w", agent="", postgres_host="", postgres_port=0,
               public_key=public_text(key_of(name)))
        for name in names
    )  # fmt: skip
    return RememberedCluster(
        name="explored", id="explored", members=members, operators=(), quorum=quorum, genesis="n1", log_key="",
        control="",
    )  # fmt: skip


def first_node(name: str) -> Node:
    """Return a node of a new cluster: everyone has the first term's row."""
    standing = genesis(name, "n1", witness=name == "w", folder="" if name == "w" else FOLDER)
    return Node(
        standing=standing,
        state=State.RUNNING,
        recovery=standing.role == "standby",
        attached=standing.upstream,
        log=() if name == "w" else (ROW + 1,),
        history=((1, 0),),
        acting=1 if name == "n1" else 0,
        operation=None,
    )


def _rows(node: Node, name: str, quorum: int) -> tuple[TermRow, ...]:
    rows = []
    for place, entry in enumerate(node.log):
        if ROW < entry < SHUTDOWN:
            timeline = max(number for number, begin in node.history if begin <= place)
            rows.append(TermRow(term=entry - ROW, timeline=timeline, node=name, quorum=quorum))
    return tuple(rows)


@cache
def _noted(cluster: Cluster, name: str, standing: Standing) -> Noted:
    return Noted(
        pledge=open_pledge(cluster, name, standing.pledge) if standing.pledge else None,
        grant=open_grant(cluster, standing.grant) if standing.grant else None,
        genesis=cluster.genesis,
        configured=cluster.quorum,
    )


def instance_of(node: Node, name: str, cluster: Cluster) -> Instance:
    """Return what the node's agent would see of its PostgreSQL."""
    standing, end = node.standing, Lsn(len(node.log))
    up = node.state is State.RUNNING
    rows = _rows(node, name, cluster.quorum) if up else ()
    lineage = lineage_of([(number, Lsn(begin)) for number, begin in node.history], rows, told_of(standing, FOLDER))
    quorum = min((row.quorum for row in rows), default=None)
    if up:
        position = position_running(lineage, end, rows, standing.followed if node.recovery else None)
    else:
        noted = _noted(cluster, name, standing)
        pledged = noted.pledge.position if noted.pledge else None
        position = position_down(lineage, end, standing, name, pledged)
        quorum = quorum_down(standing, name, noted, position)
    return Instance(
        system="1", folder=FOLDER, version="18", state=node.state, recovery=node.recovery,
        position=voted(position, standing, FOLDER), lineage=lineage, quorum=quorum, attached=node.attached,
        restores=False, receiver=None, replayed=True, senders=(), drift=(),
        shutdown=end if node.state is State.STOPPED and not node.recovery else None, load=QUIET, identity=FOLDER,
        started="once",
    )  # fmt: skip


def facts_of(node: Node, name: str, cluster: Cluster, *, under_way: bool) -> Facts:
    """Return the node's facts; `under_way` leaves its unfinished operation out, as the operation itself sees it."""
    unfinished = None
    if node.operation is not None and not under_way:
        unfinished = Unfinished(request="", action="", result="unknown", evidence="")
    return Facts(
        node=name,
        rules=RULES,
        configuration=cluster.digest,
        standing=node.standing,
        instance=None if name == "w" else instance_of(node, name, cluster),
        unfinished=unfinished,
        entries=0,
        checkpoint=0,
    )


@cache
def _statements(cluster: Cluster, node: str, standing: Standing) -> Peer:
    blank = Facts(
        node=node, rules="", configuration="", standing=standing, instance=None, unfinished=None, entries=0,
        checkpoint=0,
    )  # fmt: skip
    return peer_of(cluster, blank)


def verified(cluster: Cluster, facts: Facts) -> Peer:
    """Return the facts with their pledge and grant verified, by the real check, once for each standing."""
    return replace(_statements(cluster, facts.node, facts.standing), facts=facts)
