"""Whether a pledge is kept: what a pledger's own report shows of its PostgreSQL, held against what it has promised.

- A pledger serves as no primary: its PostgreSQL is down, or in recovery.
- It receives from nobody but the upstream that it stands for, and from nobody at all where it stands detached.
- Where it stands detached, its WAL ends where its pledge says.
- What its report does not show is not known, and counts as not kept.

Pure: no I/O, no clock.
"""

import msgspec

from aerodb.protocol.authority import Pledge
from aerodb.protocol.facts import Instance, State
from aerodb.rules.condition import RECEIVER_SETTINGS
from aerodb.rules.view import Peer

DOWN = frozenset({State.STOPPED, State.CRASHED})
"""The states in which there surely is no process."""


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """Why a pledge does not count: what its maker's report shows, or (not `seen`) what it does not show."""

    why: str
    seen: bool


def breach(peer: Peer | None, pledge: Pledge) -> Breach | None:
    """Return why the pledge of a node does not count, by that node's own report; None where it is kept.

    A node that pledged, and is silent when its pledge is judged again, is none that is seen to keep it.
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
    """Return whether a detached WAL has gone beyond the place that was pledged; one that follows may."""
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
