"""What a node says of itself: the facts that its agent would see of the model's PostgreSQL.

The real functions of `aerodb.rules` say what a log's position, lineage and policy are; only what PostgreSQL shows them
is modelled here.
"""

from functools import cache

from msgspec.structs import replace

from aerodb.protocol.authority import Branch, Standing
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Instance, Load, Receiver, Sender, SettingsFiles, State, Unfinished
from aerodb.protocol.lsn import Lsn
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
from aerodb.rules.view import Peer, open_grant, open_pledge, peer_of
from tests.explorer.world import ROW, SHUTDOWN, Node, identity

SOUND = SettingsFiles(loaded="", faults=(), drift=(), pending=(), low=())
WEAK = replace(SOUND, drift=("synchronous_standby_names",))
"""What settings files hold that nobody, or somebody, has put a weaker policy into."""


def _rows(node: Node, name: str, quorum: int) -> tuple[TermRow, ...]:
    """Return the rows that the node can read: those that are replayed."""
    rows = []
    for place, entry in enumerate(node.log if node.paused < 0 else node.log[: node.paused]):
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


def _load(node: Node) -> Load:
    """Return what a node's sessions do: one that is to write a term's row late is still there."""
    return Load(
        sessions=0, longest_transaction_seconds=0, prepared_transactions=0, backups=0, logical_slots=0,
        waiting_commits=0, lingering=sum(late.kind == "row" for late in node.late),
    )  # fmt: skip


def _origin(node: Node, lineage: tuple[Branch, ...]) -> str | None:
    """Return the entry with which the last timeline begins, where its term is untold and the node has it."""
    begin = lineage[-1].begin.value if lineage else 0
    untold = len(lineage) > 1 and lineage[-1].term is None
    return f"entry {node.log[begin]}" if untold and begin < len(node.log) else None


def instance_of(node: Node, name: str, cluster: Cluster) -> Instance:
    """Return what the node's agent would see of its PostgreSQL."""
    standing, end = node.standing, Lsn(len(node.log))
    up = node.state is State.RUNNING
    rows = _rows(node, name, cluster.quorum) if up else ()
    folder = identity(node.folder)
    lineage = lineage_of([(number, Lsn(begin)) for number, begin in node.history], rows, told_of(standing, folder))
    quorum = min((row.quorum for row in rows), default=None)
    if up:
        position = position_running(lineage, end, rows, standing.followed if node.recovery else None)
    else:
        noted = _noted(cluster, name, standing)
        pledged = noted.pledge.position if noted.pledge else None
        position = position_down(lineage, end, standing, name, pledged)
        quorum = quorum_down(standing, name, noted, position)
    found = Instance(
        system="1", folder=folder, version="18", state=node.state, recovery=node.recovery,
        position=voted(position, standing, folder), lineage=lineage, quorum=quorum, attached=node.attached,
        restores=False, receiver=None, replayed=not 0 <= node.paused < len(node.log), senders=(),
        drift=("synchronous_standby_names",) if node.weak else (),
        shutdown=end if node.state is State.STOPPED and not node.recovery else None,
        load=_load(node), identity=folder, started=f"start {node.starts}" if up else None,
        served=None if up else node.served, origin=_origin(node, lineage), files=WEAK if node.weak else SOUND,
    )  # fmt: skip
    if standing.weakened:
        found = replace(found, quorum=None)
    if node.state is State.UNREACHABLE:
        return replace(found, recovery=None, position=None, lineage=(), quorum=None, origin=None)
    return found


def facts_of(node: Node, name: str, cluster: Cluster, *, under_way: bool) -> Facts:
    """Return the node's facts; `under_way` leaves its unfinished operation out, as the operation itself sees it."""
    unfinished = None
    if (node.operation is not None or node.left) and not under_way:
        unfinished = Unfinished(request="", action="", result="unknown", evidence="")
    return Facts(
        node=name,
        rules=RULES,
        configuration=cluster.digest,
        standing=node.standing,
        instance=None if name == "w" else instance_of(node, name, cluster),
        unfinished=unfinished,
        entries=0,
        checkpoint="",
    )


def streamed_to(facts: Facts, senders: tuple[str, ...]) -> Facts:
    """Return the facts of a node from which the `senders` stream."""
    if facts.instance is None or not senders:
        return facts
    return replace(facts, instance=replace(facts.instance, senders=tuple(map(_sender, senders))))


def receiving(facts: Facts, upstream: str) -> Facts:
    """Return the facts of a node that streams from another, as it says itself."""
    if facts.instance is None:
        return facts
    receiver = Receiver(status="streaming", upstream="", flushed=None)
    return replace(facts, instance=replace(facts.instance, state=State.RUNNING, attached=upstream, receiver=receiver))


def _sender(name: str) -> Sender:
    return Sender(node=name, state="streaming", sync_state="quorum", sent=None, flushed=None, replayed=None)


@cache
def _statements(cluster: Cluster, node: str, standing: Standing) -> Peer:
    blank = Facts(
        node=node, rules="", configuration="", standing=standing, instance=None, unfinished=None, entries=0,
        checkpoint="",
    )  # fmt: skip
    return peer_of(cluster, blank)


def verified(cluster: Cluster, facts: Facts) -> Peer:
    """Return the facts with their pledge and grant verified, by the real check, once for each standing."""
    return replace(_statements(cluster, facts.node, facts.standing), facts=facts)
