"""Can commits be acknowledged now? One judgement over what the nodes report, for every screen, plan and health check.

- Only the holder of the newest grant acknowledges commits, while it runs out of recovery. If k standbys must flush
  first, k of them must stream from it whose WAL is not seen to have parted from its own.
- A standby counts if the primary says that it streams and counts, and if neither report contradicts that, by a WAL that
  has parted or a standby that says that it receives nothing.
- Unknown is neither yes nor no: a node that does not report may still run, and may have been granted a newer term than
  anybody who reports knows. It can acknowledge only what k others could flush.

Pure: no I/O, no clock.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from aerodb.protocol.authority import Candidacy
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Instance, Sender, State
from aerodb.protocol.writes import Writes
from aerodb.rules.policy import changed
from aerodb.rules.position import TermUntold, divergence
from aerodb.rules.watching import watched_writes

SYNCHRONOUS = frozenset({"quorum", "sync"})
STREAMING = "streaming"
WAIT_SECONDS = 5
"""If a commit waits this long although standbys stream, they do not flush."""


def newest_grant(facts: Mapping[str, Facts]) -> Candidacy | None:
    """Return the newest grant that any node that reports knows."""
    granted = (each.standing.granted for each in facts.values())
    return max(granted, key=lambda each: (each.term, each.node), default=None)


def parted(standby: Facts | None, primary: Instance) -> bool:
    """Tell whether a standby's own report shows that its WAL is not part of the primary's history."""
    own = standby.instance if standby else None
    if own is None or own.position is None or not own.lineage or not primary.lineage:
        return False
    try:
        return divergence(own.lineage, own.position.lsn, primary.lineage) is not None
    except TermUntold:
        return False


def denied(standby: Facts | None, primary: str) -> bool:
    """Tell whether a standby itself reports that it receives nothing from the primary."""
    if standby is None or (standby.instance and standby.instance.state is State.UNREACHABLE):
        return False
    own = standby.instance
    return own is None or own.state is not State.RUNNING or own.receiver is None or own.attached != primary


def cut_off(standby: Facts | None, primary: str) -> bool:
    """Tell whether a standby's own report shows that it will not receive from the primary again by itself."""
    if standby is None or (standby.instance and standby.instance.state is State.UNREACHABLE):
        return False
    own = standby.instance
    return own is None or own.state is not State.RUNNING or own.attached != primary


def flushes(sender: Sender) -> bool:
    """Tell whether the sending primary counts a standby's flushes."""
    return sender.state == STREAMING and sender.sync_state in SYNCHRONOUS


def _answer(cluster: Cluster, granted: Candidacy, answer: str, headline: str, *details: str) -> Writes:
    """Return an answer for a primary that does not serve, or is not seen to."""
    return Writes(
        acknowledged="unknown" if answer == "unknown" else "no",
        node=granted.node,
        term=granted.term,
        serves=False,
        needed=cluster.quorum,
        standbys=(),
        survives=0,
        headline=headline,
        details=details,
    )


def writes(cluster: Cluster, facts: Mapping[str, Facts]) -> Writes:
    """Return whether commits can be acknowledged now, as far as the reports in `facts` tell."""
    if cluster.watched:
        return watched_writes(cluster, facts)
    granted = newest_grant(facts)
    if granted is None:
        nobody = Candidacy(term=0, node="")
        return _answer(cluster, nobody, "unknown", "unknown: no node gave a report")
    found = _by_the_newest_grant(cluster, facts, granted)
    heirs = () if found.acknowledged != "no" or found.serves else _elected_unseen(cluster, facts, granted)
    return _inherited(cluster, facts, granted, heirs) if heirs else found


def _by_the_newest_grant(cluster: Cluster, facts: Mapping[str, Facts], granted: Candidacy) -> Writes:
    """Judge by the newest grant that anybody who reports knows, as if there were none above it."""
    own = facts.get(granted.node)
    if own is None:
        return _unobserved(cluster, facts, granted)
    instance = own.instance
    none = f"no primary; last known {granted.node}, term {granted.term}"
    if instance is None:
        return _answer(cluster, granted, "no", none, f"{granted.node} holds no data.")
    if instance.state is State.UNREACHABLE or (instance.state is State.RUNNING and instance.recovery is None):
        unseen = f"unknown: PostgreSQL on {granted.node}, primary of term {granted.term}, does not answer"
        return _doubted(cluster, facts, granted, unseen)
    if instance.state is not State.RUNNING or instance.recovery:
        return _answer(cluster, granted, "no", none, *_why_down(own, instance))
    if own.standing.role != "primary" or own.standing.granted != granted:
        against = (
            f"unknown: PostgreSQL on {own.node} takes writes, and its standing ({own.standing.role}) does not allow it"
        )
        return _doubted(cluster, facts, granted, against)
    return _serving(cluster, facts, own, instance)


def _able(cluster: Cluster, facts: Mapping[str, Facts], primary: str) -> tuple[str, ...]:
    """Return the nodes that could flush for a primary that cannot be seen itself: who is silent may."""
    return tuple(name for name in cluster.data_nodes if name != primary and not cut_off(facts.get(name), primary))


def _doubted(cluster: Cluster, facts: Mapping[str, Facts], primary: Candidacy, headline: str, *details: str) -> Writes:
    """Return the answer that is not known, with who could flush for the primary: a plan tells by that what it ends."""
    able = _able(cluster, facts, primary.node)
    by = f"; {', '.join(able)} could flush for it" if able and cluster.quorum else ""
    return replace(_answer(cluster, primary, "unknown", headline + by, *details), standbys=able)


def _elected_unseen(cluster: Cluster, facts: Mapping[str, Facts], granted: Candidacy) -> tuple[str, ...]:
    """Return the silent nodes that may have been granted a term above the newest that anybody who reports knows.

    It takes a majority's pledges, which who reports would show, and k others that could flush.
    """
    silent = {member.name for member in cluster.members if member.name not in facts}
    found = list[str]()
    for name in cluster.data_nodes:
        promised = sum(
            any(
                each.node == name and each.term > granted.term for each in (held.standing.pledged, *held.standing.since)
            )
            for held in facts.values()
        )
        could = len(silent) + promised >= cluster.majority and len(_able(cluster, facts, name)) >= cluster.quorum
        if name in silent and name != granted.node and could:
            found.append(name)
    return tuple(found)


def _inherited(cluster: Cluster, facts: Mapping[str, Facts], granted: Candidacy, heirs: tuple[str, ...]) -> Writes:
    """Return the answer where nodes that do not report may have been elected since the newest known grant."""
    are, have = ("is", "has") if len(heirs) == 1 else ("are", "one of them has")
    headline = (
        f"unknown: {', '.join(heirs)} {are} not observed, and perhaps {have} been granted a term above {granted.term}"
    )
    last = f"The newest grant that anybody who reports knows is {granted.node}'s, of term {granted.term}."
    return _doubted(cluster, facts, Candidacy(term=granted.term, node=heirs[0]), headline, last)


def _why_down(own: Facts, instance: Instance) -> tuple[str, ...]:
    """Say why the holder of the newest grant does not serve now."""
    pledged, seen = own.standing.pledged, "in recovery" if instance.recovery else instance.state
    said = f"PostgreSQL on {own.node} is {seen if instance.state is State.RUNNING else instance.state}."
    if pledged.term <= own.standing.granted.term:
        return (said,)
    return (said, f"{own.node} has pledged term {pledged.term} to {pledged.node}, which is not granted yet.")


def _unobserved(cluster: Cluster, facts: Mapping[str, Facts], granted: Candidacy) -> Writes:
    """Judge a primary that does not report, by how many others could still flush for it."""
    able = _able(cluster, facts, granted.node)
    if cluster.quorum and len(able) < cluster.quorum:
        cannot = (
            f"{granted.node} may still run, and can acknowledge nothing: of the {cluster.quorum} needed, "
            f"{len(able)} standby(s) could stream from it."
        )
        ended = f"no primary; last known {granted.node}, term {granted.term}, which can acknowledge nothing"
        return _answer(cluster, granted, "no", ended, cannot)
    headline = f"unknown: {granted.node}, primary of term {granted.term}, is not observed"
    may = f"{granted.node} may still run, and acknowledge commits."
    idle = [name for name in able if name in facts and denied(facts[name], granted.node)]
    who, verb = ", ".join(idle), "receives" if len(idle) == 1 else "receive"
    again = (f"{who} {verb} nothing now, and connect again by themselves: not fenced.",)
    return _doubted(cluster, facts, granted, headline, may, *(again if idle and cluster.quorum else ()))


def _serving(cluster: Cluster, facts: Mapping[str, Facts], own: Facts, instance: Instance) -> Writes:
    """Judge a primary that serves, by the standbys that stream from it."""
    node, need = own.node, cluster.quorum
    found = [each for each in instance.senders if flushes(each)]
    strays = [each.node for each in found if each.ahead or parted(facts.get(each.node), instance)]
    counted = tuple(each.node for each in found if each.node not in strays and not denied(facts.get(each.node), node))
    stray = tuple(f"{name} streams from {node}, and its WAL is no part of {node}'s history." for name in strays)
    base = Writes(
        acknowledged="no",
        node=node,
        term=own.standing.granted.term,
        serves=True,
        needed=need,
        standbys=counted,
        survives=0,
        headline=f"waiting at {node}; {_streaming(len(counted), cluster)}",
        details=stray,
    )
    by = f"; {', '.join(counted)} could flush for it" if counted else ""
    by_hand = changed(instance)
    if by_hand:
        return replace(
            base,
            acknowledged="unknown",
            headline=f"unknown: {node} takes writes, and what a commit waits for was changed by hand{by}",
            details=(f"Not as configured: {', '.join(by_hand)}.", *stray),
        )
    if need == 0:
        alone = "A commit waits for no standby: what the primary alone has is lost with it."
        return replace(base, acknowledged="yes", headline=f"acknowledged by {node} alone", details=(alone,))
    if instance.quorum is None or (len(counted) < need and len(counted) + len(strays) >= need):
        unknown = f"unknown: {node} takes writes, and what a commit waits for is not known{by}"
        return replace(base, acknowledged="unknown", headline=unknown)
    if len(counted) < need:
        return replace(base, details=(*_waiting(instance), *stray))
    waits_seconds = instance.load.longest_wait_seconds if instance.load else 0
    if waits_seconds >= WAIT_SECONDS:
        said = f"unknown: commits wait at {node} though {', '.join(counted)} stream, the oldest for {waits_seconds} s"
        return replace(base, acknowledged="unknown", headline=said)
    spare = len(counted) - need
    survives = f"survives the loss of {spare} more node{'' if spare == 1 else 's'}"
    waits = f"A commit waits for {need} of {', '.join(counted)}."
    return replace(
        base,
        acknowledged="yes",
        survives=spare,
        headline=f"acknowledged by {node}, {survives}",
        details=(waits, *stray),
    )


def _waiting(instance: Instance) -> tuple[str, ...]:
    load = instance.load
    if load is None or not load.waiting_commits:
        return ()
    return (f"{load.waiting_commits} commit(s) wait, the oldest for {load.longest_wait_seconds} s.",)


def _streaming(count: int, cluster: Cluster) -> str:
    others, need = len(cluster.data_nodes) - 1, cluster.quorum
    plural, verb = "" if others == 1 else "s", "is" if need == 1 else "are"
    return f"{count} of {others} standby{plural} stream, {need} {verb} needed"
