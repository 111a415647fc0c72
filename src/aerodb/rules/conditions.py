"""What on a node is not as it should be, each under a name: what an observer counts the seconds of, for people to see.

No rule judges by these names; a view shows, of each that it tells, since when it was seen. Pure: no I/O, no clock.
"""

from collections.abc import Iterator
from enum import StrEnum

from aerodb.protocol.facts import Facts, Instance, State
from aerodb.rules.position import is_of
from aerodb.rules.replaying import nearly_full
from aerodb.rules.watching import sees_upstream, watched_of
from aerodb.rules.writes import STREAMING


class Condition(StrEnum):
    """What can be so on a node. Of a state, a sender or a slot, a colon and which one follow."""

    STATE = "state"
    UNFINISHED = "unfinished"
    HALTED = "halted"
    POSITION = "position unknown"
    DETACHED = "detached"
    PLEDGED = "pledged"
    WEAKENED = "weakened"
    DAMAGE = "damage"
    DRIFT = "drift"
    FOLDER = "another folder"
    OWED = "owed"
    UPSTREAM = "another upstream"
    RECEIVER = "receives nothing"
    SENDER = "sender"
    PAUSED = "replay paused"
    DISK = "disk nearly full"
    SLOT = "slot"


def state_condition(state: State) -> str:
    """Return the name of a state's condition."""
    return f"{Condition.STATE}:{state}"


def sender_condition(node: str) -> str:
    """Return the name of the condition that a receiver is connected and does not stream."""
    return f"{Condition.SENDER}:{node}"


def slot_condition(at: int) -> str:
    """Return the name of a slot's condition: that of its place among the node's slots, as its own is sensitive."""
    return f"{Condition.SLOT}:{at}"


def conditions(facts: Facts) -> dict[str, str]:
    """Return what is so on a node: each name, and what must stay the same for it to be still the same one."""
    standing, instance = facts.standing, facts.instance
    found = dict[str, str]()
    if facts.unfinished is not None:
        found[Condition.UNFINISHED] = f"{Condition.UNFINISHED} {facts.unfinished.request}"
    whether = {
        Condition.HALTED: standing.halted,
        Condition.PLEDGED: standing.pledged.term > standing.granted.term,
        Condition.WEAKENED: bool(standing.weakened),
        Condition.DISK: bool(nearly_full(facts)),
    }
    if instance is not None:
        whether |= _of_instance(facts, instance)
        found |= dict(_named(instance))
    return found | {name: name for name, so in whether.items() if so}


def _of_instance(facts: Facts, instance: Instance) -> dict[Condition, bool]:
    standing, position, replay = facts.standing, instance.position, instance.keeping.replay
    own = watched_of(facts) is None  # Of a node that is only watched nothing is remembered, and nothing is asked.
    follows = standing.role == "standby" and instance.attached is not None
    streams = instance.receiver is not None and instance.receiver.status == STREAMING
    return {
        Condition.POSITION: position is None,
        Condition.DETACHED: sees_upstream(facts)
        and standing.role == "standby"
        and instance.attached is None
        and standing.upstream is None,
        Condition.DAMAGE: bool(instance.damage),
        Condition.DRIFT: bool(instance.drift),
        Condition.FOLDER: own and standing.role != "witness" and not is_of(standing, instance.identity),
        Condition.OWED: position is not None and position.owed is not None,
        Condition.UPSTREAM: own and standing.role == "standby" and instance.attached != standing.upstream,
        Condition.RECEIVER: follows and instance.state is State.RUNNING and not streams,
        Condition.PAUSED: replay is not None and replay.paused,
    }


def _named(instance: Instance) -> Iterator[tuple[str, str]]:
    """Yield the conditions that say of which one they are."""
    if instance.state is not State.RUNNING:
        yield (state_condition(instance.state),) * 2
    for sender in instance.senders:
        if sender.state != STREAMING:
            yield (sender_condition(sender.node),) * 2
    for at, slot in enumerate(instance.keeping.slots or ()):
        if slot.lost or not slot.active:
            yield slot_condition(at), f"slot {slot.name} {slot.lost}"
