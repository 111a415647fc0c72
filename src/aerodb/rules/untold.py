"""A WAL that ends on a timeline of which nobody has told the term: how an election does without knowing it.

A standby is carried onto its upstream's new timeline at once. Where the new primary is lost for good before its term's
row came, nobody may be left who could tell the term; where a hand promoted the upstream, there is none.

- As a candidate it is held against each voter by ancestry, not by terms: it must contain the voter's whole WAL. Two
  that were both carried along are known by the record with which their last timeline begins.
- As a voter its WAL counts as of the highest term that was possible: whoever was elected had the pledges of a majority.
  Another majority, with pledges for this term, meets that one, and each of its pledges names the last grant and every
  candidacy since.

Pure: no I/O, no clock. Source: Raft (Ongaro and Ousterhout 2014), section 5.4.1, on two majorities.
"""

from msgspec.structs import replace

from aerodb.protocol.authority import Candidacy, Pledge, Position
from aerodb.protocol.facts import Facts, Instance, State
from aerodb.rules.position import TermUntold, divergence, is_of
from aerodb.rules.view import Peer, View


def is_untold(facts: Facts) -> bool:
    """Tell whether a standby can tell the terms of its WAL, but for the timeline that it ends on."""
    standing, instance = facts.standing, facts.instance
    if standing.role != "standby" or instance is None or instance.position is None or len(instance.lineage) <= 1:
        return False
    *earlier, last = (branch.term for branch in instance.lineage)
    known = instance.position.term is None and last is None and earlier[-1] is not None
    return known and is_of(standing, instance.identity)


def began_below(view: View, candidacy: Candidacy) -> bool:
    """Tell whether no term from the candidacy's on can have been granted before those who report said what they say.

    It can where a majority reports, nobody of it has pledged that term or a higher one to anybody else, and the
    candidate itself has not pledged it yet, or is seen to be in recovery.
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
    """Tell whether the target's WAL contains the whole WAL that the voter pledged with; None where it cannot be told.

    The voter's own report tells its history; a pledge that is kept has its WAL where the pledge says.
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
    """Tell whether the first of two WALs that end on untold timelines of one number and one beginning has the other.

    The record that such a timeline begins with tells whether it is one timeline, or two that were begun apart.
    """
    if own.position is None or own.origin is None or other.origin is None:
        return None
    return own.origin == other.origin and position.lsn <= own.position.lsn


def bounded(view: View, pledges: dict[str, Pledge], voter: str, position: Position) -> Position:
    """Return what a voter's pledged position has to be taken for, among the `pledges` of a majority for one term."""
    peer = view.peers.get(voter)
    if position.bound is not None or peer is None or len(pledges) < view.cluster.majority or not is_untold(peer.facts):
        return position
    granted = [pledge.granted.term for pledge in pledges.values()]
    since = [each.term for pledge in pledges.values() for each in pledge.since if each.term < view.term]
    return replace(position, bound=max(granted + since))
