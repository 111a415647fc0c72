"""A snapshot for people: each node's verified facts, and what follows from them.

What cannot be told is None, never a guess, and is shown as unknown. Pure: no I/O, no clock.
"""

from dataclasses import dataclass, field

from aerodb.errors import AeroError
from aerodb.protocol.api import Status
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Sender, State
from aerodb.protocol.plan import Snapshot
from aerodb.rules.view import open_report
from aerodb.rules.watching import taking_writes, watched_of
from aerodb.rules.writes import newest_grant

Remark = tuple[str, str]
"""A style's name, as in `aerodb.views.render`, and a text."""
DEPOSED = "deposed primary"
"""What stands as the role of a node that serves, or may, although another one was granted a higher term since."""


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
    """Return the facts of the primary of the highest granted term in any report, if it reports itself.

    Where nodes are only watched it is the one that takes writes, if no other does.
    """
    if any(watched_of(facts) for facts in observed.facts.values()):
        alone = taking_writes(observed.facts)
        return observed.facts[alone[0]] if len(alone) == 1 else None
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
    if facts.instance.state is not State.RUNNING:
        return "bad", f"{upstream} is {facts.instance.state}"
    sender: Sender | None = next((each for each in facts.instance.senders if each.node == name), None)
    if sender is None:
        return "bad", "not streaming"
    if sender.state != "streaming":
        return "warn", sender.state
    return "good" if sender.sync_state in {"sync", "quorum"} else "plain", sender.sync_state


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


def step_of(observed: Observed, node: str, request: str) -> str:
    """Return what a node does for a request now, in words; empty if it is not known to work at it."""
    facts = observed.facts.get(node)
    unfinished = facts.unfinished if facts else None
    return unfinished.step if unfinished is not None and unfinished.request == request else ""


def deposed(facts: Facts, observed: Observed) -> Candidacy | None:
    """Return the grant above its own by which a node is no primary that stands or serves as one; None if it is not.

    It may know nothing of it: then only another one's report shows it.
    """
    newest = newest_grant(observed.facts)
    if newest is None or newest.node == facts.node or newest.term <= _own_term(facts) or being_promoted(facts):
        return None
    return newest if _serves(facts) else None


def being_promoted(facts: Facts) -> bool:
    """Tell whether a node's promotion has begun and has no outcome: what it serves as is told by that outcome."""
    return facts.unfinished is not None and facts.unfinished.action == "promote"


def _own_term(facts: Facts) -> int:
    """Return the term that a node itself was granted last, as far as it knows; 0 if another one was since, or none."""
    granted = facts.standing.granted
    return granted.term if granted.node == facts.node else 0


def _serves(facts: Facts) -> bool:
    """Tell whether a node's PostgreSQL takes writes, or may."""
    instance = facts.instance
    if instance is None or instance.state not in {State.RUNNING, State.UNREACHABLE}:
        return False
    return instance.recovery is False or (instance.recovery is None and facts.standing.role == "primary")
