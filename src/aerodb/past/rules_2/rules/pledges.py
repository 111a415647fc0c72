"""Whether a pledge is kept: compares what a pledger's own report shows of its PostgreSQL with what it promised.

- A pledger does not serve as a primary: its PostgreSQL is down, or in recovery.
- It receives only from the upstream of its standing; if its standing is detached, it receives nothing.
- If its standing is detached, its WAL has not gone beyond its pledge.
- What its report does not show is unknown, and counts as not kept.

Pure: no I/O, no clock.
"""

import msgspec

from aerodb.past.rules_2.protocol.authority import Pledge
from aerodb.past.rules_2.protocol.facts import Instance, State
from aerodb.past.rules_2.rules.condition import RECEIVER_SETTINGS
from aerodb.past.rules_2.rules.view import Peer

DOWN = frozenset({State.STOPPED, State.CRASHED})
"""The states in which there certainly is no process."""


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """Why a pledge does not count: what its maker's report shows (`seen`), or fails to show."""

    why: str
    seen: bool


def breach(peer: Peer | None, pledge: Pledge) -> Breach | None:
    """Return why a node's pledge does not count, by that node's own report; None if it is kept.

    A node that is silent when its pledge is judged is not seen to keep it.
    """
    if peer is None:
        return Breach(why="did not report", seen=False)
    return _superseded(peer, pledge) or _broken(peer, pledge)


def _superseded(peer: Peer, pledge: Pledge) -> Breach | None:
    pledged = peer.facts.standing.pledged
    if pledged.term <= pledge.term:
        return None
    return Breach(why=f"has pledged term {pledged.term} to {pledged.node} since", seen=True)


def _broken(peer: Peer, pledge: Pledge) -> Breach | None:
    standing, instance = peer.facts.standing, peer.facts.instance
    if standing.role == "witness":
        return None
    if standing.role == "primary":
        return Breach(why="stands as a primary", seen=True)
    if instance is None:
        return Breach(why="shows nothing of its PostgreSQL", seen=False)
    return _serving(instance) or _receiving(instance, standing.upstream) or _moved(peer, instance, pledge)


def _serving(instance: Instance) -> Breach | None:
    if instance.state in DOWN or (instance.state is State.RUNNING and instance.recovery is True):
        return None
    if instance.recovery is False:
        return Breach(why="has a PostgreSQL that runs out of recovery", seen=True)
    return Breach(why="has a PostgreSQL of which it cannot be seen whether it serves", seen=False)


def _receiving(instance: Instance, upstream: str | None) -> Breach | None:
    if instance.attached != upstream:
        stands = f"to follow {upstream}" if upstream else "detached"
        return Breach(why=f"stands {stands}, and its settings name {instance.attached or 'nobody'}", seen=True)
    if upstream is None and (instance.receiver is not None or instance.restores):
        return Breach(why="stands detached, and receives WAL", seen=True)
    changed = [name for name in RECEIVER_SETTINGS if name in instance.drift]
    if changed:
        return Breach(why=f"has settings that its agent did not write: {', '.join(changed)}", seen=True)
    return None


def _moved(peer: Peer, instance: Instance, pledge: Pledge) -> Breach | None:
    """Return a breach if a detached node's WAL has gone beyond its pledge; a node that follows may go on."""
    pledged, now = pledge.position, instance.position
    if peer.facts.standing.upstream is not None or pledged is None:
        return None
    if now is None:
        return Breach(why="cannot tell where its WAL ends now", seen=False)
    if now.timeline == pledged.timeline and now.lsn <= pledged.lsn:
        return None
    return Breach(
        why=f"pledged with its WAL at {pledged.lsn} of timeline {pledged.timeline}, and is at {now.lsn} of timeline "
        f"{now.timeline}",
        seen=True,
    )
