"""What is unusual about nodes: a sentence each that says the cause, and since when it is so as far as that is known.

- Since when is what the node's own observer has signed, as a duration. What it does not say is unknown, never guessed.
- What follows from another deviation names that one's node, and stands beneath it.

Pure: no I/O, no clock.
"""

from typing import NamedTuple

from aerodb.protocol.facts import Facts, Instance, State, Unfinished
from aerodb.protocol.keeping import NOTHING_SEEN
from aerodb.rules.conditions import Condition, sender_condition, slot_condition, state_condition
from aerodb.rules.position import is_of, said
from aerodb.rules.reach import PUT_BACK
from aerodb.rules.replaying import below, nearly_full, sized, stalled, wal_is_gone
from aerodb.rules.versions import untaken
from aerodb.rules.watching import sees_upstream, watched_of
from aerodb.rules.writes import STREAMING
from aerodb.views.observed import Observed, primary_of, sync_state
from aerodb.views.topology import SLOT

UNKNOWN_SINCE = "since when is unknown"
MOMENT_SECONDS = 2
DOWN = {
    State.STOPPED: "it was shut down cleanly",
    State.CRASHED: "it ended without a shutdown",
    State.UNREADABLE: "its files do not tell how it ended",
}


class Unusual(NamedTuple):
    """One thing that is unusual: its style, what it is, and since when ("": of this moment, or the text says it).

    `node` is the one that it is about ("": none alone); `follows` the node whose deviation brings it about.
    """

    style: str
    text: str
    since: str = ""
    node: str = ""
    follows: str = ""


def duration_text(seconds: int) -> str:
    """Return a duration for people, by its two largest units."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes == 0:
        return f"{seconds} s"
    if hours == 0:
        return f"{minutes} min {seconds % 60} s"
    return f"{hours} h {minutes % 60} min" if days == 0 else f"{days} d {hours % 24} h"


def since(facts: Facts | None, what: str) -> str:
    """Return since when something is so on a node, as its observer has seen it."""
    found = next((each for each in (facts.seen_for or () if facts else ()) if each.what == what), None)
    if facts is None or found is None:
        return UNKNOWN_SINCE
    seen = f"as {facts.node} has seen it"
    if found.found:
        return f"for at least {duration_text(found.seconds)}, {seen}"
    if found.seconds < MOMENT_SECONDS:
        return f"for less than {MOMENT_SECONDS} s, {seen}"
    return f"for {duration_text(found.seconds)}, {seen}"


def silent_since(name: str, observed: Observed) -> str:
    """Return since when a node that gives no report may be gone: what others have seen of it, or that it is unknown."""
    others = (
        f"{other} has received nothing from it {since(facts, Condition.RECEIVER)}"
        for other, facts in observed.facts.items()
        if facts.instance is not None and facts.instance.attached == name
        and since(facts, Condition.RECEIVER) != UNKNOWN_SINCE
    )  # fmt: skip
    return next(others, UNKNOWN_SINCE)


# One node -------------------------------------------------------------------------------------------------------------


def node_remarks(facts: Facts) -> list[Unusual]:
    """Return what is unusual about a node, as sentences without their subject."""
    found = [*_standing_remarks(facts), *(_instance_remarks(facts, facts.instance) if facts.instance else ())]
    if facts.unfinished is not None:
        found.insert(0, unfinished_remark(facts, facts.unfinished))  # What else is unusual may be its doing.
    return found


def unfinished_remark(facts: Facts, unfinished: Unfinished) -> Unusual:
    """Return what a node says of a request without an outcome: what it does for it, or how to ask what became of it."""
    so = since(facts, Condition.UNFINISHED)
    if unfinished.step:
        text = f"has {unfinished.action} under way: {unfinished.step} (aerodb show {unfinished.request})"
        return Unusual("warn", text, so, facts.node)
    return Unusual("bad", f"has an action without an outcome: aerodb outcome {unfinished.request}", so, facts.node)


def _standing_remarks(facts: Facts) -> list[Unusual]:
    standing, found, node = facts.standing, list[Unusual](), facts.node
    if standing.halted:
        text = "was stopped by a person, and stays down"
        found.append(Unusual("warn", text, since(facts, Condition.HALTED), node))
    if standing.weakened:
        text = "served under a weaker policy: it may have acknowledged commits that it alone holds"
        found.append(Unusual("bad", text, since(facts, Condition.WEAKENED), node))
    if facts.held:
        order, (after, request) = facts.held, _named(facts.held.after)
        until = f"until {after} is executed by the request {request}, and by no other"
        text = f"holds the order to {order.action} (request {order.request}), {until}"
        found.append(Unusual("plain", text, "", node))
    return found


def _named(after: str) -> tuple[str, str]:
    """Return the words and the id of the request before a held order; a node may say anything, so it is not parsed."""
    parts = after.split(":", 2)
    return " ".join(parts[:2]), "".join(parts[2:])


def _instance_remarks(facts: Facts, instance: Instance) -> list[Unusual]:
    """Return what is unusual about a node's PostgreSQL: whether it runs, from whom it receives, what it holds."""
    standing, position = facts.standing, instance.position
    found = list[tuple[str, str, str]]()
    down, own = state_condition(instance.state), watched_of(facts) is None
    if instance.state is State.UNREACHABLE and not own:  # All that its agent sees of it is why it sees nothing.
        why = "; ".join(each.partition(": ")[2] for each in instance.damage)
        return [Unusual("bad", f"is not seen, so what it does is unknown: {why}", since(facts, down), facts.node)]
    if instance.state is State.UNREACHABLE:
        found.append(("bad", "has a PostgreSQL that does not answer: what it does is unknown", down))
    elif instance.state is not State.RUNNING and not standing.halted:
        found.append(("bad", f"is down: {DOWN[instance.state]}", down))
    if position is None:
        found.append(("warn", "does not say where its WAL ends", Condition.POSITION))
    if standing.role == "standby" and sees_upstream(facts) and instance.attached is standing.upstream is None:
        found.append(("warn", "is detached: it receives WAL from nobody", Condition.DETACHED))
    if instance.damage:
        found.append(("bad", f"could not be read whole: {'; '.join(instance.damage)}", Condition.DAMAGE))
    if instance.drift:
        text = f"has settings that its agent did not write: {', '.join(instance.drift)}"
        found.append(("bad", text, Condition.DRIFT))
    if own and standing.role != "witness" and not is_of(standing, instance.identity):
        text = (
            "has an earlier state of its data folder in use, without WAL that it has held, and may have acknowledged: "
            "reclone it"
            if instance.identity == PUT_BACK
            else "has a data folder in use that is not the one it remembers: reclone it"
        )
        found.append(("bad", text, Condition.FOLDER))
    if position is not None and position.owed is not None:
        owed = position.owed
        text = f"owes what a discarded WAL may have acknowledged, up to term {said(owed.term)}, {owed.lsn}"
        found.append(("warn", text, Condition.OWED))
    if own and standing.role == "standby" and instance.attached != standing.upstream:
        text = f"should follow {standing.upstream or 'nobody'}; its settings say otherwise"
        found.append(("bad", text, Condition.UPSTREAM))
    told = [Unusual(style, text, since(facts, what), facts.node) for style, text, what in found]
    if instance.unused:
        kept = ", ".join(f"{each.name} ({each.bytes / (1 << 20):,.0f} MB)" for each in instance.unused)
        told.append(Unusual("plain", f"keeps data folders that are not in use: {kept}", "", facts.node))
    return told


# Between nodes --------------------------------------------------------------------------------------------------------


def _link_remark(name: str, facts: Facts, observed: Observed) -> list[Unusual]:
    """Return what is unusual in how a standby that runs gets WAL; what its upstream does not say is unknown."""
    instance = facts.instance
    if instance is None or facts.standing.role != "standby" or instance.state is not State.RUNNING:
        return []
    if instance.attached is None:
        return []
    above, upstream = observed.facts.get(instance.attached), instance.attached
    seen, own = sync_state(name, upstream, observed), since(facts, Condition.RECEIVER)
    if above is not None and above.instance is not None and above.instance.state in DOWN:
        text = f"{name} receives no WAL: {upstream} is {above.instance.state}"
        return [Unusual("warn", text, own, name, upstream)]
    if seen is None and instance.receiver is None:
        text = f"{name} receives no WAL: {upstream} does not {'report' if above is None else 'answer'}"
        return [Unusual("warn", text, own, name, upstream)]
    if seen is None:
        unseen = f"since {upstream} does not say"
        text = f"{name}: whether it streams is unknown, {unseen}"
        if instance.receiver is not None and instance.receiver.status == STREAMING:
            text = f"{name} streams from {upstream}, as it sees itself; whether that counts is unknown, {unseen}"
        return [Unusual("warn", text, "", name, upstream)]
    style, state = seen
    if style not in ("bad", "warn"):
        return []
    so = own if instance.receiver is None or instance.receiver.status != STREAMING else UNKNOWN_SINCE
    if style == "warn":
        so = since(above, sender_condition(name))
    return [Unusual(style, f"{name}: {state}, as {upstream} sees it", so, name)]


def stream_remarks(observed: Observed) -> list[Unusual]:
    """Return what is unusual in how nodes send, receive and replay WAL, with the cause, as whole sentences."""
    found = [Unusual("warn", said, UNKNOWN_SINCE) for said in untaken(observed.facts)]
    for name, facts in observed.facts.items():
        if facts.instance is not None:
            found += _streaming_remarks(name, facts, facts.instance, observed)
    return found + _rings(observed)


def _streaming_remarks(name: str, facts: Facts, instance: Instance, observed: Observed) -> list[Unusual]:
    upstream, found = observed.facts.get(instance.attached or ""), list[Unusual]()
    found += _link_remark(name, facts, observed)
    found += _kept_remarks(name, facts, observed)
    if instance.keeping.replay is not None and instance.keeping.replay.paused:
        own = watched_of(facts) is None
        text = f"{name}: replay is paused" + ("; it can be neither fenced nor promoted until it goes on" if own else "")
        found.append(Unusual("bad", text, since(facts, Condition.PAUSED), name))
    primary = primary_of(observed)
    above = primary.instance.keeping.capacity if primary and primary.instance else None
    lower = below(instance.keeping.capacity, above)
    if lower and instance.recovery:
        text = f"{name}: settings below the primary's stop its replay, or will: {', '.join(lower)}"
        found.append(Unusual("bad", text, UNKNOWN_SINCE, name))
    if facts.standing.role == "standby" and wal_is_gone(facts, upstream):
        text = f"{name}: {instance.attached} no longer has the WAL that it needs next"
        text += "; reclone it" if watched_of(facts) is None else ""
        found.append(Unusual("bad", text, UNKNOWN_SINCE, name))
    end = instance.position.lsn if instance.position else None
    return found + [
        Unusual("bad", f"{name}: {each.node} is connected, and has said nothing for {each.silent_seconds} s")
        for each in instance.senders
        if stalled(each, end)
    ]


def _rings(observed: Observed) -> list[Unusual]:
    """Return the nodes that are attached to one another in a ring, as two requests confirmed at once can cause."""
    above = {name: facts.instance.attached for name, facts in observed.facts.items() if facts.instance}
    found = set[tuple[str, ...]]()
    for name in above:
        path, current = list[str](), name
        while current in above and current not in path:
            path.append(current)
            current = above[current] or ""
        if current in path:
            found.add(tuple(sorted(path[path.index(current) :])))
    return [
        Unusual(
            "bad",
            f"{', '.join(ring)}: attached to one another, and to no primary; a follow of one of them ends that",
            UNKNOWN_SINCE,
        )
        for ring in sorted(found)
    ]


def _kept_remarks(name: str, facts: Facts, observed: Observed) -> list[Unusual]:
    """Return what is unusual in what a node keeps: disk, slots, cancelled queries."""
    keeping = facts.instance.keeping if facts.instance else NOTHING_SEEN
    found, owners = list[Unusual](), {SLOT.format(node=node): node for node in (*observed.facts, *observed.missing)}
    little = nearly_full(facts)
    if little:
        text = f"{name}: its disk is nearly full: {little}"
        found.append(Unusual("warn", text, since(facts, Condition.DISK), name))
    for at, slot in enumerate(keeping.slots or ()):
        so, follows = since(facts, slot_condition(at)), owners.get(slot.name, "")
        if slot.lost:
            text = f"{name}: slot {slot.name} has lost the WAL that it needs"
            found.append(Unusual("warn", text, so, name))
        elif not slot.active and slot.held_bytes:
            text = f"{name}: slot {slot.name} is used by nobody, and keeps {sized(slot.held_bytes)} of WAL"
            found.append(Unusual("warn", text, so, name, follows))
    if keeping.replay is not None and keeping.replay.conflicts:
        text = f"{name}: replay has cancelled {keeping.replay.conflicts} queries since its statistics were reset"
        found.append(Unusual("warn", text, "", name))
    return found
