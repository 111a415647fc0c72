"""How an election deals with a WAL that ends on a timeline of unknown term.

A standby is carried onto its upstream's new timeline at once. If the new primary is lost for good before its term's row
arrived, nobody may be left who knows the term; if the upstream was promoted by hand, there is none.

- As a candidate it is compared with each voter by ancestry, not by term: it must contain the voter's whole WAL. Whether
  two such standbys have the same last timeline is told by that timeline's first record.
- As a voter, its WAL counts with the highest term that was possible. That term is known: its primary had the pledges of
  a majority, which has a member in common with the majority that pledges now, and each pledge names the last grant and
  every candidacy since.

Pure: no I/O, no clock. Source: Raft (Ongaro and Ousterhout 2014), section 5.4.1, on two majorities.
"""

from msgspec.structs import replace

from aerodb.past.rules_2.protocol.authority import Candidacy, Pledge, Position
from aerodb.past.rules_2.protocol.facts import Facts, Instance, State
from aerodb.past.rules_2.rules.position import TermUntold, divergence, is_of
from aerodb.past.rules_2.rules.view import Peer, View


def is_untold(facts: Facts) -> bool:
    """Tell whether a standby knows the terms of its WAL except that of its last timeline."""
    standing, instance = facts.standing, facts.instance
    if standing.role != "standby" or instance is None or instance.position is None or len(instance.lineage) <= 1:
        return False
    *earlier, last = (branch.term for branch in instance.lineage)
    known = instance.position.term is None and last is None and earlier[-1] is not None
    return known and is_of(standing, instance.identity)


def began_below(view: View, candidacy: Candidacy) -> bool:
    """Tell whether no term at or above the candidacy's can have been granted before the reports were made.

    That is so if a majority reports, none of them has pledged that term or a higher one to another candidate, and the
    candidate itself has not pledged it yet or is seen to be in recovery.
    """
    everyone = view.everyone()
    pledged = [peer.facts.standing.pledged for peer in everyone.values()]
    free = all(each == candidacy or each.term < candidacy.term for each in pledged)
    return free and len(pledged) >= view.cluster.majority and _unelected(everyone.get(candidacy.node), candidacy)


def _unelected(candidate: Peer | None, candidacy: Candidacy) -> bool:
    if candidate is None:
        return False
    standing, instance = candidate.facts.standing, candidate.facts.instance
    if standing.pledged != candidacy:
        return True
    return (
        standing.role == "standby"
        and instance is not None
        and instance.state is State.RUNNING
        and bool(instance.recovery)
    )


def contains(view: View, voter: str, pledge: Pledge) -> bool | None:
    """Tell whether the target's WAL contains the whole WAL that the voter pledged with; None if unknown.

    The voter's own report tells its history; if its pledge is kept, its WAL ends where the pledge says.
    """
    own, peer, position = view.own.facts.instance, view.peers.get(voter), pledge.position
    other = peer.facts.instance if peer else None
    if own is None or peer is None or other is None or position is None or position.owed is not None:
        return None
    if not is_of(peer.facts.standing, other.identity) or not other.lineage:
        return None
    if other.lineage[-1].timeline != position.timeline:
        return None
    if own.lineage[-1] == other.lineage[-1] and own.lineage[-1].term is None:
        return _has_more(own, other, position)
    try:
        return divergence(other.lineage, position.lsn, own.lineage) is None
    except TermUntold:
        return None


def _has_more(own: Instance, other: Instance, position: Position) -> bool | None:
    """Tell whether WAL `own` contains `other`, if both end on untold timelines of the same number and beginning.

    The timelines' first records tell whether they are one timeline, or two that were begun independently.
    """
    if own.position is None or own.origin is None or other.origin is None:
        return None
    return own.origin == other.origin and position.lsn <= own.position.lsn


def bounded(view: View, pledges: dict[str, Pledge], voter: str, position: Position) -> Position:
    """Return a voter's pledged position; if its term is untold, with the highest possible term, by the `pledges`."""
    peer = view.peers.get(voter)
    if position.bound is not None or peer is None or len(pledges) < view.cluster.majority or not is_untold(peer.facts):
        return position
    granted = [pledge.granted.term for pledge in pledges.values()]
    since = [each.term for pledge in pledges.values() for each in pledge.since if each.term < view.term]
    return replace(position, bound=max(granted + since))
