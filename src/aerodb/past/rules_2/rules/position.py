"""The position of a WAL, by term and end; which of two WALs is ahead, and whether one is a prefix of the other.

- A WAL's term is read from the WAL: from the rows that primaries write first in their terms, or from the timeline
  switch if a grant gives its term. If the term of a timeline is unknown, so is the position.
- A voter's bound is never below what it may have acknowledged; a candidate's claim is never above what its WAL shows.
- What a node remembers of a WAL counts only for the data folder of that WAL; for any other it is unknown.
- What a discarded WAL may have acknowledged is owed by its node's vote, until the WAL in use provably reaches it.
- Ancestry is judged by the content of the histories. The same timeline number on two nodes proves nothing.

Pure: no I/O, no clock. Source: Raft (Ongaro and Ousterhout 2014), sections 5.4.1 and 5.4.2; PostgreSQL manual 26.3.6.
"""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from aerodb.past.rules_2.protocol.authority import Branch, Followed, Grant, Owed, Pledge, Position, Standing
from aerodb.past.rules_2.protocol.lsn import Lsn


class TermRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `aerodb.terms`: what a primary writes first in its term."""

    term: int
    timeline: int
    node: str
    quorum: int


def lineage_of(
    history: Sequence[tuple[int, Lsn]], rows: Sequence[TermRow], known: Sequence[Branch]
) -> tuple[Branch, ...]:
    """Return the node's history, oldest first, each timeline with the term it began in (None: unknown).

    `history` are pairs (timeline, where it began) from the history file's content; `rows` the term rows that the node
    can read; `known` the branches that a grant told it. These take precedence over rows: the row of a timeline's first
    term can be missing, and the smallest row is then of a later term. If a row is of an earlier term than told, they
    contradict one another, and the term is unknown.
    """
    told = {(branch.timeline, branch.begin): branch.term for branch in known}
    found = []
    for timeline, begin in history:
        first = min((row.term for row in rows if row.timeline == timeline), default=None)
        term = told.get((timeline, begin))
        if term is None:
            term = first
        elif first is not None and first < term:
            term = None
        found.append(Branch(timeline=timeline, begin=begin, term=term))
    return tuple(found)


def position_running(
    lineage: Sequence[Branch], lsn: Lsn, rows: Sequence[TermRow], followed: Followed | None
) -> Position:
    """Return the position of a WAL whose PostgreSQL runs, so that its rows can be read."""
    current = lineage[-1]
    term = None if current.term is None else max([current.term, *(row.term for row in rows)])
    bound = term
    received_since = followed is not None and (followed.lsn is None or lsn > followed.lsn)
    if followed is not None and term is not None and received_since:
        bound = max(term, followed.term)
    return Position(term=term, bound=bound, timeline=current.timeline, lsn=lsn)


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """The verified statements in a node's durable standing: its last pledge, and the last grant that it knows.

    `genesis` is the first primary of the cluster, and `configured` the k that its first term began with.
    """

    pledge: Pledge | None
    grant: Grant | None
    genesis: str
    configured: int


def quorum_down(standing: Standing, node: str, noted: Noted, position: Position) -> int | None:
    """Return the weakest k in the WAL of a node whose PostgreSQL does not run; None is unknown.

    It is what the node has signed about this very WAL: in its grant if it is the primary, in its pledge if detached.
    """
    if standing.role == "primary" and standing.granted.node == node:
        if noted.grant is not None and (noted.grant.node, noted.grant.term) == (node, standing.granted.term):
            return noted.grant.quorum
        return noted.configured if (standing.granted.term, node) == (1, noted.genesis) else None
    if noted.pledge is not None and position.term is not None and noted.pledge.position == position:
        return noted.pledge.quorum
    return None


def position_down(
    lineage: Sequence[Branch], lsn: Lsn, standing: Standing, node: str, pledged: Position | None
) -> Position:
    """Return the position of a WAL whose PostgreSQL does not run.

    Its term is known in only two cases: for a primary's own WAL, the grant's term; for a detached node's WAL, what its
    pledge has stated (`pledged`). A primary that has pledged a higher term to itself may have been renewed, so the row
    of that term may be in its WAL.
    """
    timeline = lineage[-1].timeline
    if standing.role == "primary" and standing.granted.node == node:
        term = standing.granted.term
        renewed = standing.pledged.term if standing.pledged.node == node else term
        return Position(term=term, bound=max(term, renewed), timeline=timeline, lsn=lsn)
    if standing.upstream is None and pledged is not None and (pledged.timeline, pledged.lsn) == (timeline, lsn):
        return pledged
    return Position(term=None, bound=None, timeline=timeline, lsn=lsn)


def said(term: int | None) -> str:
    """Return a term as people read it."""
    return "unknown" if term is None else str(term)


def is_of(standing: Standing, identity: str | None) -> bool:
    """Tell whether what the standing remembers of a WAL concerns the data folder with this identity."""
    return bool(identity) and standing.folder == identity


def told_of(standing: Standing, identity: str | None) -> tuple[Branch, ...]:
    """Return the history that the node was told, if it concerns the data folder with this identity."""
    return standing.lineage if is_of(standing, identity) else ()


def voted(position: Position, standing: Standing, identity: str | None) -> Position:
    """Return a WAL's position as its node may vote with it; `identity` is that of the data folder in use.

    If what the node remembers concerns another folder, the terms are unknown. `owed` stays until the WAL provably
    reaches it.
    """
    if not is_of(standing, identity):
        position = replace(position, term=None, bound=None)
    owed = standing.owed
    return replace(position, owed=None if owed is None or reaches_owed(position, owed) else owed)


def reaches_owed(candidate: Position, owed: Owed) -> bool | None:
    """Tell whether a WAL reaches what a discarded one may have acknowledged; None if unknown."""
    if candidate.term is None or owed.term is None:
        return None
    return (candidate.term, candidate.lsn) >= (owed.term, owed.lsn)


def reaches(candidate: Position, voter: Position) -> bool | None:
    """Tell whether the candidate's WAL reaches at least as far as the voter's; None if unknown.

    A voter whose WAL was replaced also votes with what the old one may have acknowledged.
    """
    if candidate.term is None or voter.bound is None:
        return None
    if (candidate.term, candidate.lsn) < (voter.bound, voter.lsn):
        return False
    return True if voter.owed is None else reaches_owed(candidate, voter.owed)


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """Where two histories part, and how many bytes the node has beyond that.

    `by_term` says that they part in timelines with the same number and beginning but different terms.
    """

    fork: Lsn
    excess_bytes: int
    by_term: bool = False


def divergence(own: Sequence[Branch], end: Lsn, upstream: Sequence[Branch]) -> Divergence | None:
    """Return where the WAL that ends at `end` and the upstream's history part; None if the WAL belongs to it.

    If the last branch is the same, both are prefixes of one WAL, whichever is ahead, because a branch has one writer.
    If both know the same term of a branch, all before it is the same too, even branches whose terms are unknown.

    Raises:
        TermUntold: the term of a branch that decides it is unknown.
    """
    shared, by_term = 0, False
    for mine, theirs in zip(own, upstream, strict=False):
        if (mine.timeline, mine.begin) != (theirs.timeline, theirs.begin):
            break
        if mine.term is None or theirs.term is None:
            if not _told_later(own[shared + 1 :], upstream[shared + 1 :]):
                raise TermUntold(mine.timeline)
        elif mine.term != theirs.term:
            by_term = True
            break
        shared += 1
    if shared == 0:
        return Divergence(fork=Lsn(0), excess_bytes=end.value, by_term=by_term)
    ends = [branches[shared].begin for branches in (own, upstream) if shared < len(branches)]
    if not ends:
        return None
    fork = min(ends)
    if shared < len(own) or end > fork:
        return Divergence(fork=fork, excess_bytes=max(0, end - fork), by_term=by_term)
    return None


def _told_later(own: Sequence[Branch], upstream: Sequence[Branch]) -> bool:
    """Tell whether the next branch whose term both know is the same; then all before it is the same too."""
    for mine, theirs in zip(own, upstream, strict=False):
        if (mine.timeline, mine.begin) != (theirs.timeline, theirs.begin):
            return False
        if mine.term is not None and theirs.term is not None:
            return mine.term == theirs.term
    return False


class TermUntold(Exception):
    """A timeline's term is unknown, so it cannot be told whether two histories are the same."""

    def __init__(self, timeline: int) -> None:
        """Keep the timeline."""
        super().__init__(f"the term of timeline {timeline} is not known")
        self.timeline = timeline
