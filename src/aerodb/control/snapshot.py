"""A snapshot: every agent's facts, read twice.

Where the structural facts differ, they are not one state, and no plan is made from them; they are never mixed.
"""

from contextlib import suppress

import msgspec

from aerodb.control.agents import Agents, Read
from aerodb.control.errors import SnapshotInconsistent
from aerodb.errors import AeroError
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import structural
from aerodb.protocol.plan import Plan, Snapshot, late_nonce
from aerodb.protocol.signed import Signed
from aerodb.rules.view import Peer, open_report
from aerodb.tracing import span


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """The second of two reads, what its reports say, and the nodes whose structural facts differ between the two."""

    snapshot: Snapshot
    everyone: dict[str, Peer]
    differ: tuple[str, ...]


def collect(cluster: Cluster, agents: Agents, nonce: str) -> Collected:
    """Return two reads as one snapshot."""
    (first, _), (second, missing) = agents.read_twice(nonce)
    before = _opened(cluster, first, nonce, {})
    # Of most nodes nothing has changed; the same bytes under the same signature say the same.
    same = {name: peer for name, peer in before.items() if first[name] == second.get(name)}
    everyone = _opened(cluster, second, nonce, same)
    differ = tuple(name for name in (member.name for member in cluster.members) if not _agree(name, before, everyone))
    snapshot = _snapshot(cluster, nonce, (second, missing), everyone)
    return Collected(snapshot=snapshot, everyone=everyone, differ=differ)


def collect_late(cluster: Cluster, agents: Agents, plan: Plan, record: str) -> Collected:
    """Return what the nodes that a plan rests on say now that its confirmation's `record` is in the log.

    One read, since nothing is planned from it: each node that judges by it judges one report of each peer. Who was
    silent when the plan was made is not waited for again, in an outage least of all: no verdict rests on it.
    """
    nonce = late_nonce(record)
    with span("late", request=plan.request.id):
        read = agents.read_late(plan.reports, nonce)
        everyone = _opened(cluster, read[0], nonce, {})
        return Collected(snapshot=_snapshot(cluster, nonce, read, everyone), everyone=everyone, differ=())


def _snapshot(cluster: Cluster, nonce: str, read: Read, everyone: dict[str, Peer]) -> Snapshot:
    """Return a read as a snapshot; `everyone` are the nodes whose reports could be verified."""
    reports, missing = read
    genuine = {name: reports[name] for name in everyone}
    forged = {name: "its report cannot be verified" for name in reports if name not in genuine}
    return Snapshot(cluster=cluster.id, nonce=nonce, reports=genuine, missing={**missing, **forged})


def _agree(name: str, before: dict[str, Peer], now: dict[str, Peer]) -> bool:
    """Tell whether two reads say the same of a node's structure, or both nothing."""
    pair = before.get(name), now.get(name)
    return pair[0] is pair[1] or (
        pair[0] is not None and pair[1] is not None and structural(pair[0].facts) == structural(pair[1].facts)
    )


def _opened(cluster: Cluster, reports: dict[str, Signed], nonce: str, known: dict[str, Peer]) -> dict[str, Peer]:
    """Return what reports say, in the configuration's order; `known` are those that have been verified already."""
    found = {}
    for member in cluster.members:
        if member.name in known:
            found[member.name] = known[member.name]
        elif member.name in reports:
            with suppress(AeroError):  # What cannot be verified was not said.
                found[member.name] = open_report(cluster, member.name, reports[member.name], nonce)
    return found


def collect_consistent(cluster: Cluster, agents: Agents, nonce: str) -> Collected:
    """Return a snapshot whose two reads agree.

    Raises:
        SnapshotInconsistent: they do not.
    """
    with span("snapshot"):
        collected = collect(cluster, agents, nonce)
        if collected.differ:
            raise SnapshotInconsistent(f"changed between two reads: {', '.join(collected.differ)}; ask again")
    return collected
