"""A snapshot for people: each node's verified facts, and what follows from them.

What cannot be told is None, never a guess, and is shown as unknown. Pure: no I/O, no clock.
"""

from dataclasses import dataclass, field

from aerodb.errors import AeroError
from aerodb.protocol.api import Status
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Sender, State, Unfinished
from aerodb.protocol.keeping import NOTHING_SEEN
from aerodb.protocol.plan import Snapshot
from aerodb.rules.position import is_of, said
from aerodb.rules.replaying import below, nearly_full, sized, stalled, wal_is_gone
from aerodb.rules.versions import untaken
from aerodb.rules.view import open_report

Remark = tuple[str, str]
"""A style's name, as in `aerodb.views.render`, and a text."""


@dataclass
class Observed:
    """The verified facts by node; and why there are none of a node: its report is missing, or forged."""

    facts: dict[str, Facts] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    forged: dict[str, str] = field(default_factory=dict)


def observe(cluster: Cluster, status: Status) -> Observed:
    """Return what the reports in a status say, each verified with its node's key in the configuration."""
    return observe_snapshot(cluster, status.snapshot, status.facts)


def observe_snapshot(cluster: Cluster, snapshot: Snapshot, redacted: dict[str, Facts]) -> Observed:
    """Return what the reports in a snapshot say, each verified with its node's key in the configuration.

    `redacted` are facts of nodes whose reports the reader may not see, and so must trust the control plane for.
    """
    observed = Observed()
    for member in cluster.members:
        signed = snapshot.reports.get(member.name)
        if signed is None and member.name in redacted:
            observed.facts[member.name] = redacted[member.name]
            continue
        if signed is None:
            observed.missing[member.name] = snapshot.missing.get(member.name, "it is not in the snapshot")
            continue
        try:
            observed.facts[member.name] = open_report(cluster, member.name, signed, snapshot.nonce).facts
        except AeroError as error:
            observed.forged[member.name] = error.message
    return observed


def primary_of(observed: Observed) -> Facts | None:
    """Return the facts of the primary of the highest granted term in any report, if it reports itself."""
    granted = [facts.standing.granted for facts in observed.facts.values()]
    newest = max(granted, key=lambda each: each.term, default=None)
    facts = observed.facts.get(newest.node) if newest else None
    return facts if facts and facts.standing.role == "primary" else None


def lag_bytes(facts: Facts, observed: Observed) -> int | None:
    """Return how far a node's WAL is behind that of `primary_of`; None if unknown or on another timeline."""
    primary = primary_of(observed)
    ahead = primary.instance.position if primary and primary.instance else None
    own = facts.instance.position if facts.instance else None
    if ahead is None or own is None or own.timeline != ahead.timeline:
        return None
    return max(ahead.lsn - own.lsn, 0)  # The two were read one after the other.


def sync_state(name: str, upstream: str, observed: Observed) -> Remark | None:
    """Return how `upstream` sees the standby `name`; None if it does not report."""
    facts = observed.facts.get(upstream)
    if facts is None or facts.instance is None or facts.instance.state is State.UNREACHABLE:
        return None
    sender: Sender | None = next((each for each in facts.instance.senders if each.node == name), None)
    if sender is None:
        return "bad", "not streaming"
    if sender.state != "streaming":
        return "warn", sender.state
    return "good" if sender.sync_state in {"sync", "quorum"} else "plain", sender.sync_state


def _running_remarks(facts: Facts) -> list[Remark]:
    """Return what is unusual about whether a node's PostgreSQL runs, and from whom it receives."""
    standing, instance, found = facts.standing, facts.instance, list[Remark]()
    if instance is None:
        return found
    if instance.state is State.UNREACHABLE:
        found.append(("bad", "has a PostgreSQL that does not answer: what it does is unknown"))
    elif instance.state is not State.RUNNING and not standing.halted:
        found.append(("bad", f"has no PostgreSQL that runs: it is {instance.state}"))
    if instance.position is None:
        found.append(("warn", "does not say where its WAL ends"))
    if standing.role == "standby" and instance.attached is None and standing.upstream is None:
        found.append(("warn", "is detached: it receives WAL from nobody"))
    return found


def _link_remark(name: str, facts: Facts, observed: Observed) -> list[Remark]:
    """Return what is unusual in how the upstream of a standby that runs sees it; what it does not say is unknown."""
    instance = facts.instance
    if instance is None or facts.standing.role != "standby" or instance.state is not State.RUNNING:
        return []
    if instance.attached is None:
        return []
    seen = sync_state(name, instance.attached, observed)
    if seen is None:
        return [("warn", f"{name}: whether it streams is unknown, since {instance.attached} does not say")]
    style, state = seen
    return [(style, f"{name}: {state}, as {instance.attached} sees it")] if style in ("bad", "warn") else []


def stream_remarks(observed: Observed) -> list[Remark]:
    """Return what is unusual in how nodes send, receive and replay WAL, with the cause, as whole sentences."""
    found: list[Remark] = [("warn", said) for said in untaken(observed.facts)]
    for name, facts in observed.facts.items():
        instance = facts.instance
        if instance is None:
            continue
        upstream = observed.facts.get(instance.attached or "")
        found += _link_remark(name, facts, observed)
        found += [("warn", f"{name}: {each}") for each in _kept_remarks(facts)]
        if instance.keeping.replay is not None and instance.keeping.replay.paused:
            found.append(("bad", f"{name}: replay is paused; it can be neither fenced nor promoted until it goes on"))
        primary = primary_of(observed)
        above = primary.instance.keeping.capacity if primary and primary.instance else None
        lower = below(instance.keeping.capacity, above)
        if lower and instance.recovery:
            found.append(("bad", f"{name}: settings below the primary's stop its replay, or will: {', '.join(lower)}"))
        if facts.standing.role == "standby" and wal_is_gone(facts, upstream):
            found.append(("bad", f"{name}: {instance.attached} no longer has the WAL that it needs next; reclone it"))
        end = instance.position.lsn if instance.position else None
        found += [
            ("bad", f"{name}: {each.node} is connected, and has said nothing for {each.silent_seconds} s")
            for each in instance.senders
            if stalled(each, end)
        ]
    return found + _rings(observed)


def _rings(observed: Observed) -> list[Remark]:
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
        ("bad", f"{', '.join(ring)}: attached to one another, and to no primary; a follow of one of them ends that")
        for ring in sorted(found)
    ]


def _kept_remarks(facts: Facts) -> list[str]:
    """Return what is unusual in what a node keeps: disk, slots, cancelled queries."""
    keeping = facts.instance.keeping if facts.instance else NOTHING_SEEN
    found = list[str]()
    little = nearly_full(facts)
    if little:
        found.append(f"its disk is nearly full: {little}")
    for slot in keeping.slots or ():
        if slot.lost:
            found.append(f"slot {slot.name} has lost the WAL that it needs")
        elif not slot.active and slot.held_bytes:
            found.append(f"slot {slot.name} is used by nobody, and keeps {sized(slot.held_bytes)} of WAL")
    if keeping.replay is not None and keeping.replay.conflicts:
        found.append(f"replay has cancelled {keeping.replay.conflicts} queries since its statistics were reset")
    return found


def replayed_behind_bytes(facts: Facts, observed: Observed) -> int | None:
    """Return how far a standby's replay is behind the primary's WAL; None if unknown."""
    received, replay = lag_bytes(facts, observed), facts.instance.keeping.replay if facts.instance else None
    return None if received is None or replay is None else received + replay.unreplayed_bytes


def behind_text(count: int | None, milliseconds: int | None) -> str:
    """Return a lag for people, in bytes and, if they were measured, in seconds."""
    if count is None:
        return "unknown"
    if milliseconds is None:
        return f"{count} B" if count else "0 B, 0.0 s"
    return f"{count} B, {milliseconds // 1000}.{milliseconds % 1000 // 100} s"


def lags(name: str, facts: Facts, observed: Observed) -> tuple[str, str]:
    """Return a standby's lag of receiving and of replaying, each in bytes and seconds."""
    upstream = facts.instance.attached if facts.instance else None
    above = observed.facts.get(upstream or "")
    senders = above.instance.senders if above and above.instance else ()
    sender = next((each for each in senders if each.node == name), None)
    received, replayed = lag_bytes(facts, observed), replayed_behind_bytes(facts, observed)
    flush, replay = (sender.flush_lag_milliseconds, sender.replay_lag_milliseconds) if sender else (None, None)
    return behind_text(received, flush), behind_text(replayed, replay)


def unfinished_remark(unfinished: Unfinished) -> Remark:
    """Return what a node says of a request without an outcome: what it does for it, or how to ask what became of it."""
    if unfinished.step:
        return "warn", f"has {unfinished.action} under way: {unfinished.step} (aerodb show {unfinished.request})"
    return "bad", f"has an action without an outcome: aerodb outcome {unfinished.request}"


def step_of(observed: Observed, node: str, request: str) -> str:
    """Return what a node does for a request now, in words; empty if it is not known to work at it."""
    facts = observed.facts.get(node)
    unfinished = facts.unfinished if facts else None
    return unfinished.step if unfinished is not None and unfinished.request == request else ""


def node_remarks(facts: Facts) -> list[Remark]:
    """Return what is unusual about a node, as sentences without their subject."""
    standing, instance, found = facts.standing, facts.instance, _running_remarks(facts)
    if standing.pledged.term > standing.granted.term:
        pledged = standing.pledged
        found.append(("warn", f"has pledged term {pledged.term} to {pledged.node}, not granted as far as it knows"))
    if standing.weakened:
        found.append(("bad", "served under a weaker policy: it may have acknowledged commits that it alone holds"))
    if facts.held:
        order, after = facts.held, " ".join(facts.held.after.split(":")[:2])  # A node may say anything: not parsed.
        found.append(
            ("plain", f"holds the order to {order.action} (request {order.request}), until {after} is executed")
        )
    if standing.halted:
        found.append(("warn", "was stopped by a person, and stays down until a person starts it"))
    if facts.unfinished is not None:
        found.insert(0, unfinished_remark(facts.unfinished))  # What else is unusual may be its doing.
    if instance is not None and instance.damage:
        found.append(("bad", f"could not be read whole: {'; '.join(instance.damage)}"))
    if instance is not None and instance.unused:
        kept = ", ".join(f"{each.name} ({each.bytes / (1 << 20):,.0f} MB)" for each in instance.unused)
        found.append(("plain", f"keeps data folders that are not in use: {kept}"))
    if instance is not None and instance.drift:
        found.append(("bad", f"has settings that its agent did not write: {', '.join(instance.drift)}"))
    if instance is not None and standing.role != "witness" and not is_of(standing, instance.identity):
        found.append(("bad", "has a data folder in use that is not the one it remembers: reclone it"))
    if instance is not None and instance.position is not None and instance.position.owed is not None:
        owed = instance.position.owed
        found.append(
            ("warn", f"owes what a discarded WAL may have acknowledged, up to term {said(owed.term)}, {owed.lsn}")
        )
    if instance is not None and standing.role == "standby" and instance.attached != standing.upstream:
        found.append(("bad", f"should follow {standing.upstream or 'nobody'}; its settings say otherwise"))
    return found
