"""What the facts show to be in the way of replay, promotion or shutdown.

- A standby whose replay is paused, by hand or because its settings are below the primary's, cannot be promoted. Its
  position cannot be made final either, because what it received is not replayed.
- A shutdown of a primary waits for every receiver, until it has everything or `wal_sender_timeout` is over.

Pure: no I/O, no clock.
"""

from aerodb.past.rules_2.protocol.facts import Facts, Instance, Sender, State
from aerodb.past.rules_2.protocol.keeping import Capacity
from aerodb.past.rules_2.protocol.lsn import Lsn
from aerodb.past.rules_2.protocol.plan import Verdict
from aerodb.past.rules_2.rules.invariants import Invariant, holds, violated
from aerodb.past.rules_2.rules.view import View

SILENT_SECONDS = 30
"""If there is nothing to send, a receiver reports every 10 seconds (`wal_receiver_status_interval`).

If that is set to longer or never, it reports when the sender asks, after half of `wal_sender_timeout` (60 s).
"""
STALLED_SECONDS = 2
"""A receiver that has WAL left to flush reports whenever it flushes, so it falls silent sooner."""
HELD_UP_BYTES = 64 << 20
"""From this much left to send on, a shutdown is delayed noticeably."""
ROOM_SHARE, ROOM_BYTES = 20, 1 << 30
"""A volume is nearly full if less than a twentieth, or less than 1 GB (`max_wal_size` here), is free."""


def replay_runs(view: View) -> Verdict:
    """Judge whether the target, if it is a running standby, replays what it receives."""
    instance = view.own.facts.instance
    if instance is None or instance.state is not State.RUNNING or not instance.recovery:
        return holds(Invariant.REPLAY_RUNS, f"{view.node} has nothing to replay")
    if instance.keeping.replay is not None and instance.keeping.replay.paused:
        return violated(
            Invariant.REPLAY_RUNS,
            f"replay on {view.node} is paused, so where its WAL ends cannot be made final, and it cannot be promoted; "
            "resume it there (pg_wal_replay_resume), or, where a setting is below the primary's, raise it and stop and "
            "start the node",
        )
    return holds(Invariant.REPLAY_RUNS, f"{view.node} replays what it receives")


def below(standby: Capacity | None, primary: Capacity | None) -> tuple[str, ...]:
    """Return the settings of a standby that are below its primary's, with both values; empty if either is unknown."""
    if standby is None or primary is None:
        return ()
    pairs = ((name, getattr(standby, name), getattr(primary, name)) for name in Capacity.__struct_fields__)
    return tuple(f"{name} {own}, the primary's {other}" for name, own, other in pairs if own < other)


def stalled(sender: Sender, end: Lsn | None) -> bool:
    """Tell whether a receiver is silent for too long: the limit is shorter while it has WAL left to flush."""
    if sender.silent_seconds is None:
        return False
    owes = end is not None and sender.flushed is not None and sender.flushed < end
    return sender.silent_seconds >= (STALLED_SECONDS if owes else SILENT_SECONDS)


def hold_ups(instance: Instance) -> tuple[str, ...]:
    """Return the receivers that a shutdown of this primary would wait for long, and why."""
    end, found = instance.position.lsn if instance.position else None, list[str]()
    for each in instance.senders:
        left = end - each.sent if end is not None and each.sent is not None else 0
        if stalled(each, end):
            found.append(f"{each.node} has said nothing for {each.silent_seconds} s")
        elif left >= HELD_UP_BYTES:
            found.append(f"{each.node} has {sized(left)} still to receive")
    if instance.load is not None and instance.load.other_senders:
        found.append(f"{instance.load.other_senders} receiver(s) are no node of the cluster")
    return tuple(found)


def ahead(instance: Instance) -> tuple[str, ...]:
    """Return the nodes that stream from this one although their WAL is longer than what it has sent them.

    A sender that shuts down waits until its receiver has flushed exactly what was sent (walsender.c, WalSndDone). Here
    that never comes, and no time limit ends it, because the receiver answers.
    """
    return tuple(
        each.node
        for each in instance.senders
        if each.sent is not None and each.flushed is not None and each.flushed > each.sent
    )


def nearly_full(facts: Facts) -> str:
    """Return how little disk space a node has left; empty if it has enough, or if that is unknown."""
    volume = facts.instance.keeping.volume if facts.instance else None
    if volume is None or not (volume.free_bytes < ROOM_BYTES or volume.free_bytes * ROOM_SHARE < volume.size_bytes):
        return ""
    return f"{sized(volume.free_bytes)} of {sized(volume.size_bytes)} are free"


def wal_is_gone(standby: Facts, upstream: Facts | None) -> bool:
    """Tell whether the upstream no longer has the WAL that its standby, which does not stream, needs next."""
    own, above = standby.instance, upstream.instance if upstream else None
    wal = above.keeping.wal if above else None
    if own is None or own.position is None or wal is None or wal.begin is None:
        return False
    return own.receiver is None and own.position.lsn < wal.begin


def sized(count: int) -> str:
    """Return a number of bytes for people, in whole units."""
    value, units = count, ["B", "kB", "MB", "GB", "TB"]
    while value >= 10 << 10 and len(units) > 1:
        value, _ = value >> 10, units.pop(0)
    return f"{value} {units[0]}"
