"""The topology as a map: which node streams from which, as a tree whose every box can be a link to its node.

A node stands below the upstream that its own settings name; of one that gives no report, below whoever says that it
sends to it. If neither is known, it stands alone: a missing node has its place, and is said to be missing. The order
depends only on the names and the upstreams. Pure: no I/O, no clock.
"""

from dataclasses import dataclass, replace

from aerodb.protocol.classification import REDACTED
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, State
from aerodb.rules.replaying import sized
from aerodb.rules.watching import role_of, watched_of
from aerodb.rules.writes import STREAMING
from aerodb.views.observed import DEPOSED, Observed, Remark, deposed, lags, sync_state

SLOT = "aerodb_{node}"
"""How the agents name the slot of a node, on whatever it streams from."""
COUNTS = {"quorum": "counts for a commit", "sync": "counts for a commit", "async": "counts for no commit"}
"""What the upstream says of a standby that streams, in the words of a screen."""


@dataclass(frozen=True, kw_only=True)
class MapStream:
    """A stream of WAL into a node: how it stands, how far behind the node is, and what its slot holds."""

    style: str
    sync: str
    received: str
    replayed: str
    slot: str


@dataclass(frozen=True, kw_only=True)
class MapNode:
    """One node of the map; `lines` stand below its name and role, and `below` are the nodes that stream from it."""

    name: str
    role: str
    style: str
    lines: tuple[Remark, ...]
    stream: MapStream | None
    below: tuple["MapNode", ...]


def _upstream(name: str, observed: Observed) -> str | None:
    """Return the upstream that a node's own settings name, or who says that it sends to a node that is silent.

    A primary has none, whatever its settings name.
    """
    facts = observed.facts.get(name)
    if facts is not None:
        return facts.instance.attached if facts.instance and role_of(facts) != "primary" else None
    for other, seen in observed.facts.items():
        if seen.instance and any(each.node == name for each in seen.instance.senders):
            return other
    return None


def draw(cluster: Cluster, observed: Observed, *, addresses: bool = True) -> tuple[MapNode, ...]:
    """Return the map of a snapshot: its roots, each with what streams from it, in the configuration's order.

    Without `addresses` these are redacted.

    Nodes that stream from one another in a ring stand once each, below the first of them.
    """
    names = [member.name for member in cluster.members]
    upstreams = {name: _upstream(name, observed) for name in names}
    placed = set[str]()

    def grown(name: str) -> MapNode:
        placed.add(name)
        below = tuple(grown(each) for each in names if upstreams[each] == name and each not in placed)
        where = _address(cluster, name) if addresses else (("dim", REDACTED),)
        found = _node(name, upstreams[name], observed, below)
        return replace(found, lines=(*where, *found.lines))

    roots = [name for name in names if upstreams[name] not in names]
    return tuple(grown(name) for name in (*roots, *names) if name not in placed)


def _node(name: str, upstream: str | None, observed: Observed, below: tuple[MapNode, ...]) -> MapNode:
    facts = observed.facts.get(name)
    alone = facts is not None and deposed(facts, observed) is not None
    return MapNode(
        name=name,
        role=DEPOSED if alone else role_of(facts) if facts else "",
        style="down" if alone else _style(facts),
        lines=_lines(name, facts, observed),
        stream=None if upstream is None else _stream(name, upstream, observed),
        below=below,
    )


def _style(facts: Facts | None) -> str:
    if facts is None:
        return "absent"
    if facts.instance is not None and facts.instance.state is not State.RUNNING:
        return "down"
    return facts.standing.role


def _address(cluster: Cluster, name: str) -> tuple[Remark, ...]:
    """Return where a node's PostgreSQL is reached; of a witness, where its agent is."""
    member = cluster.member(name)
    if member.witness:
        return (("dim", f"agent {member.agent}"),)
    return (("plain", f"{member.postgres_host}:{member.postgres_port}"),)


def _lines(name: str, facts: Facts | None, observed: Observed) -> tuple[Remark, ...]:
    """Return what a box says of its node, besides its name, role and address."""
    if facts is None:
        return (("bad", "report not verified" if name in observed.forged else "not observed"),)
    instance = facts.instance
    if instance is None:
        return (("plain", "holds no data"), ("plain", f"pledged term {facts.standing.pledged.term}"))
    running = instance.state is State.RUNNING
    state: Remark = ("plain" if running else "bad", f"PostgreSQL {instance.version}" if running else instance.state)
    position, watched = instance.position, watched_of(facts) is not None
    if position is None:
        return (state, ("warn", "position unknown"))
    term = "watched" if watched else f"term {'unknown' if position.term is None else position.term}"
    return (state, ("plain", f"{term} · timeline {position.timeline}"), ("mono", str(position.lsn)))


def _stream(name: str, upstream: str, observed: Observed) -> MapStream:
    facts = observed.facts.get(name)
    style, sync = sync_state(name, upstream, observed) or ("warn", _unsaid(facts))
    received, replayed = ("unknown", "unknown") if facts is None else lags(name, facts, observed)
    return MapStream(
        style=style,
        sync=COUNTS.get(sync, sync),
        received=received,
        replayed=replayed,
        slot=slot_text(name, upstream, observed),
    )


def _unsaid(facts: Facts | None) -> str:
    """Return what is said of a stream of which the upstream says nothing: what the node that receives says."""
    receiver = facts.instance.receiver if facts and facts.instance else None
    return "streams, as it sees itself" if receiver and receiver.status == STREAMING else "not known whether it streams"


def slot_text(name: str, upstream: str, observed: Observed) -> str:
    """Return what the slot of a node on its upstream holds, if the upstream says that there is one."""
    above = observed.facts.get(upstream)
    slots = above.instance.keeping.slots if above and above.instance else None
    if slots is None:
        return "unknown"
    for each in slots:
        if each.name == SLOT.format(node=name):
            return f"{each.name}, lost" if each.lost else f"{each.name}, holds {sized(each.held_bytes or 0)}"
    return "none"
