"""A snapshot as people look at it: each node's verified facts, and what follows from them.

What cannot be told is None, never a guess; interfaces show it as unknown. Pure: no I/O, no clock.
"""

from dataclasses import dataclass, field

from aerodb.errors import AeroError
from aerodb.protocol.api import Status
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Sender, State
from aerodb.protocol.plan import Snapshot
from aerodb.rules.position import is_of, said
from aerodb.rules.view import open_report

Remark = tuple[str, str]
"""A style's name, as in `aerodb.rules.render`, and a text."""


@dataclass
class Observed:
    """The verified facts by node, and of each node without them why."""

    facts: dict[str, Facts] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    forged: dict[str, str] = field(default_factory=dict)


def observe(cluster: Cluster, status: Status) -> Observed:
    """Return what the nodes' reports say in a status, each verified with the key that the configuration names."""
    return observe_snapshot(cluster, status.snapshot, status.facts)


def observe_snapshot(cluster: Cluster, snapshot: Snapshot, redacted: dict[str, Facts]) -> Observed:
    """Return what the nodes' reports say in a snapshot, each verified with the key that the configuration names.

    `redacted` are the facts of those whose reports are not shown to the reader, who must believe the control plane.
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
    """Return the facts of the primary of the highest granted term that anyone who reports knows, if it reports."""
    granted = [facts.standing.granted for facts in observed.facts.values()]
    newest = max(granted, key=lambda each: each.term, default=None)
    facts = observed.facts.get(newest.node) if newest else None
    return facts if facts and facts.standing.role == "primary" else None


def lag_bytes(facts: Facts, observed: Observed) -> int | None:
    """Return how far a node's log is behind that of the primary of the highest granted term, where both are known."""
    primary = primary_of(observed)
    ahead = primary.instance.position if primary and primary.instance else None
    own = facts.instance.position if facts.instance else None
    if ahead is None or own is None or own.timeline != ahead.timeline:
        return None
    return max(ahead.lsn - own.lsn, 0)  # The two were read one after the other.


def sync_state(name: str, upstream: str, observed: Observed) -> Remark | None:
    """Return how `upstream` sees the standby `name`, where it can be asked."""
    facts = observed.facts.get(upstream)
    if facts is None or facts.instance is None or facts.instance.state is State.UNREACHABLE:
        return None
    sender: Sender | None = next((each for each in facts.instance.senders if each.node == name), None)
    if sender is None:
        return "bad", "not streaming"
    if sender.state != "streaming":
        return "warn", sender.state
    return "good" if sender.sync_state in {"sync", "quorum"} else "plain", sender.sync_state


def node_remarks(facts: Facts) -> list[Remark]:
    """Return what is unusual about a node, as sentences without their subject."""
    standing, instance, found = facts.standing, facts.instance, list[Remark]()
    if standing.pledged.term > standing.granted.term:
        pledged = standing.pledged
        found.append(("warn", f"has pledged term {pledged.term} to {pledged.node}, not granted as far as it knows"))
    if standing.weakened:
        found.append(("bad", "served under a weaker policy: it may have acknowledged commits that it alone holds"))
    if standing.halted:
        found.append(("warn", "was stopped by a person, and stays down until a person starts it"))
    if facts.unfinished is not None:
        found.append(("bad", f"has an action without an outcome: aerodb outcome {facts.unfinished.request}"))
    if instance is not None and instance.damage:
        found.append(("bad", f"could not be read whole: {'; '.join(instance.damage)}"))
    if instance is not None and instance.drift:
        found.append(("bad", f"has settings that its agent did not write: {', '.join(instance.drift)}"))
    if instance is not None and standing.role != "witness" and not is_of(standing, instance.identity):
        found.append(("bad", "has a data folder in use that is not the one it remembers: reclone it"))
    if instance is not None and instance.position is not None and instance.position.owed is not None:
        owed = instance.position.owed
        found.append(
            ("warn", f"owes what a discarded log may have acknowledged, up to term {said(owed.term)}, {owed.lsn}")
        )
    if instance is not None and standing.role == "standby" and instance.attached != standing.upstream:
        found.append(("bad", f"should follow {standing.upstream or 'nobody'}; its settings say otherwise"))
    return found
