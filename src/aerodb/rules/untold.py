"""A log that ends on a timeline of which nobody has told the term: how an election does without knowing it.

A standby is carried onto its upstream's new timeline at once. Where the new primary is lost for good before its term's
row came, nobody may be left who could tell the term. Two bounds are known all the same:

- From below: that timeline began in a term above all that came before it in the log. A candidate claims that much.
- From above: whoever was elected had the pledges of a majority. Another majority, with pledges for this term, meets
  that one, and each of its pledges names the last grant and every candidacy since. A voter's log counts as of the
  highest of these.

Pure: no I/O, no clock. Source: Raft (Ongaro and Ousterhout 2014), section 5.4.1, on two majorities.
"""

from msgspec.structs import replace

from aerodb.protocol.authority import Candidacy, Pledge, Position
from aerodb.protocol.facts import Facts
from aerodb.rules.position import is_of
from aerodb.rules.view import View


def is_untold(facts: Facts) -> bool:
    """Tell whether a standby can tell the terms of its log, but for the timeline that it ends on."""
    standing, instance = facts.standing, facts.instance
    if standing.role != "standby" or instance is None or instance.position is None or len(instance.lineage) <= 1:
        return False
    *earlier, last = (branch.term for branch in instance.lineage)
    known = instance.position.term is None and last is None and earlier[-1] is not None
    return known and is_of(standing, instance.identity)


def began_below(view: View, candidacy: Candidacy) -> bool:
    """Tell whether no term from the candidacy's on can have been granted before those who report said what they say.

    It can where a majority reports, and nobody of it has pledged that term or a higher one to anybody else.
    """
    pledged = [peer.facts.standing.pledged for peer in view.everyone().values()]
    return len(pledged) >= view.cluster.majority and all(
        each == candidacy or each.term < candidacy.term for each in pledged
    )


def claimed(position: Position | None, facts: Facts) -> Position | None:
    """Return what a candidate with these facts may claim of the position that it would pledge."""
    if position is None or facts.instance is None or not is_untold(facts):
        return position
    return replace(position, term=facts.instance.lineage[-2].term)


def bounded(view: View, pledges: dict[str, Pledge], voter: str, position: Position) -> Position:
    """Return what a voter's pledged position has to be taken for, among the `pledges` of a majority for one term."""
    peer = view.peers.get(voter)
    if position.bound is not None or peer is None or len(pledges) < view.cluster.majority or not is_untold(peer.facts):
        return position
    granted = [pledge.granted.term for pledge in pledges.values()]
    since = [each.term for pledge in pledges.values() for each in pledge.since if each.term < view.term]
    return replace(position, bound=max(granted + since))
