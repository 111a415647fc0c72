"""The nodes as a request is foreseen to leave them, so that the next one can be judged before this one is executed.

- Foreseen is only what the action itself does: what it leaves of its own node is said in that action's own file. A
  standby that streams is foreseen to have received all that its upstream has.
- A foreseen pledge or grant is signed by nobody. It stands in a view, and never in a report, an order or a plan.
- Where a standby's WAL will end that is cut off while it still receives cannot be foreseen: see `source_of`.

Pure: no I/O, no clock.
"""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from aerodb.protocol.authority import Candidacy, Grant, Position, Standing
from aerodb.protocol.facts import Facts, Instance, State
from aerodb.rules.election import prospective_pledge
from aerodb.rules.foresight import scene_left
from aerodb.rules.operation import learned
from aerodb.rules.position import reaches_owed
from aerodb.rules.standing import detached, following, promised
from aerodb.rules.streaming import granted_term
from aerodb.rules.view import Peer, View
from aerodb.rules.writes import parted


def settled(everyone: Mapping[str, Peer]) -> dict[str, Peer]:
    """Return the nodes once every standby that receives has received all that its upstream has.

    The nodes were not read in one moment: a standby may show more than its primary did just before.
    """
    found = dict(everyone)
    for name, peer in everyone.items():
        ends = [each.position for each in _received_from(everyone, name) if each.position is not None]
        own = peer.facts.instance
        if own is not None and own.position is not None and own.recovery is False:
            further = [each.lsn for each in ends if each.timeline == own.position.timeline]
            lsn = max([own.position.lsn, *further])
            found[name] = with_instance(peer, position=replace(own.position, lsn=lsn))
    for _ in everyone:  # As often as a cascade may be long.
        found = {name: _caught_up(found, peer) for name, peer in found.items()}
    return {name: _sorted(peer) for name, peer in found.items()}


def _sorted(peer: Peer) -> Peer:
    """Return a node with its receivers in the order of their names, as a report has them."""
    instance = peer.facts.instance
    senders = tuple(sorted(instance.senders, key=lambda each: each.node)) if instance else ()
    return with_instance(peer, senders=senders) if senders else peer


def _received_from(everyone: Mapping[str, Peer], upstream: str) -> list[Instance]:
    """Return the PostgreSQLs that receive from a node, directly or through others."""
    found, left = dict[str, Instance](), [upstream]
    while left:
        current = left.pop()
        for name, peer in everyone.items():
            instance = peer.facts.instance
            if instance is not None and instance.attached == current and instance.receiver and name not in found:
                found[name] = instance
                left.append(name)
    return list(found.values())


def source_of(everyone: Mapping[str, Peer], node: str) -> str | None:
    """Return the node from which a node's WAL comes now, directly or through others; None if it receives nothing."""
    seen = list[str]()
    while (peer := everyone.get(node)) is not None and node not in seen:
        instance = peer.facts.instance
        if instance is None or instance.receiver is None or instance.attached is None:
            break
        seen.append(node)
        node = instance.attached
    return node if seen else None


def _caught_up(everyone: Mapping[str, Peer], peer: Peer) -> Peer:
    own = peer.facts.instance
    above = everyone.get(own.attached) if own is not None and own.attached else None
    theirs = above.facts.instance if above else None
    if own is None or own.receiver is None or theirs is None or theirs.state is not State.RUNNING:
        return peer
    if own.position is None or theirs.position is None or parted(peer.facts, theirs):
        return peer  # Its WAL is no part of its upstream's: it receives nothing more of use.
    further = own.lineage == theirs.lineage and own.position.lsn > theirs.position.lsn
    position = replace(theirs.position, lsn=own.position.lsn) if further else theirs.position
    owed = own.position.owed
    position = replace(position, owed=None if owed is None or reaches_owed(position, owed) else owed)
    return with_instance(peer, position=position, lineage=theirs.lineage, quorum=theirs.quorum)


Leaves = Callable[[View, Peer], Peer]
"""What an action leaves of its own node: from the view, and from the node once its PostgreSQL is as it is left."""


def left_by(view: View, leaves: Leaves | None) -> dict[str, Peer]:
    """Return every node as the view's request is foreseen to leave it, once it is executed.

    `leaves` is what its action's own file says; None: it leaves its own node's standing as it was.
    """
    view = _told(replace(view, **_parts(settled(view.everyone()), view.node)))
    scene, before = scene_left(view), view.everyone()
    after = {name: _seen(before[name], facts, before[name].facts) for name, facts in scene.items()}
    if leaves is not None:
        after[view.node] = leaves(view, after[view.node])
    return settled(after)


def _parts(everyone: dict[str, Peer], node: str) -> dict[str, object]:
    return {"own": everyone[node], "peers": {name: peer for name, peer in everyone.items() if name != node}}


def _told(view: View) -> View:
    """Return the view once the target has been told which grants its peers' reports prove, as its agent is."""
    return replace(view, own=with_standing(view.own, learned(view.own.facts.standing, view)))


def _seen(peer: Peer, facts: Facts, before: Facts) -> Peer:
    """Return a node with foreseen facts; its WAL does not become shorter by streaming from a node that has less."""
    old, new = before.instance, facts.instance
    if old is not None and new is not None and _ends(old.position) > _ends(new.position):
        facts = replace(facts, instance=replace(new, position=old.position, lineage=old.lineage))
    return replace(peer, facts=facts)


def _ends(position: Position | None) -> tuple[int, int]:
    return (position.term or 0, position.lsn.value) if position is not None else (0, 0)


# What several actions leave of their own node ------------------------------------------------------------------------


def with_instance(peer: Peer, **changes: object) -> Peer:
    """Return a node with parts of its PostgreSQL changed, if it has one."""
    facts = peer.facts
    if facts.instance is None:
        return peer
    return replace(peer, facts=replace(facts, instance=replace(facts.instance, **changes)))


def with_standing(peer: Peer, standing: Standing) -> Peer:
    """Return a node with another standing."""
    return replace(peer, facts=replace(peer.facts, standing=standing))


def pledging(view: View, peer: Peer) -> Peer:
    """Return a node that has pledged the view's term to the one that it is asked for, detached."""
    candidacy = Candidacy(term=view.term, node=view.argument("for"))
    standing = promised(detached(view.own.facts.standing), candidacy)
    return replace(with_standing(peer, standing), pledge=prospective_pledge(view, candidacy))


def attached(view: View, peer: Peer) -> Peer:
    """Return a standby of its upstream, which knows of the grant that this holds."""
    upstream, standing = view.argument("upstream"), view.own.facts.standing
    term = granted_term(view, upstream)
    if term is not None:
        standing = _aware(standing, Candidacy(term=term, node=upstream))
    own = view.own.facts.instance
    end = own.position.lsn if own is not None and own.position is not None else None
    return with_standing(peer, following(standing, upstream, term or 0, end))


def _aware(standing: Standing, grant: Candidacy) -> Standing:
    """Return a standing that knows of a grant, which settles what was pledged at or below its term."""
    pledged = grant if grant.term > standing.pledged.term else standing.pledged
    if grant.term < standing.granted.term:
        return replace(standing, pledged=pledged)
    since = tuple(each for each in standing.since if each.term > grant.term)
    return replace(standing, pledged=pledged, granted=grant, grant=None, since=since)


def granted(view: View, peer: Peer) -> Peer:
    """Return the primary of the view's term, with a grant that nobody has signed."""
    instance = peer.facts.instance
    if instance is None or instance.position is None:
        return peer
    position = replace(instance.position, term=view.term, bound=view.term)
    candidacy = Candidacy(term=view.term, node=view.node)
    lineage = instance.lineage
    grant = Grant(
        cluster=view.cluster.id,
        node=view.node,
        epoch=peer.facts.epoch,
        term=view.term,
        begin=lineage[-1].begin if lineage else position.lsn,
        lineage=lineage,
        quorum=view.cluster.quorum,
        pledges=(),
    )
    standing = replace(
        _aware(view.own.facts.standing, candidacy), role="primary", upstream=None, followed=None, lineage=lineage
    )
    return replace(with_instance(with_standing(peer, standing), position=position), grant=grant)
