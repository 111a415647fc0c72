"""Where a WAL ends and in which term; which of two WALs is ahead; which is a prefix of which.

- A WAL's term is read from the WAL: from the rows that primaries write first in their terms, and from the timeline
  switch itself where a grant tells its term. A timeline whose term cannot be told makes the position unknown.
- A voter's bound is never below what it may have acknowledged; a candidate's claim is never above what its WAL shows.
- What a node remembers of a WAL counts only for the data folder that it is of: for another one it is not known.
- What a discarded WAL may have acknowledged is owed by its node's vote, until the WAL in use provably reaches it.
- Ancestry is judged from the histories' content. The same timeline number on two nodes proves nothing.

Pure: no I/O, no clock. Source: Raft (Ongaro and Ousterhout 2014), sections 5.4.1 and 5.4.2; PostgreSQL manual 26.3.6.
"""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from aerodb.protocol.authority import Branch, Followed, Grant, Owed, Pledge, Position, Standing
from aerodb.protocol.lsn import Lsn


class TermRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `aerodb.terms`: what a primary writes first in its term."""

    term: int
    timeline: int
    node: str
    quorum: int


def lineage_of(
    history: Sequence[tuple[int, Lsn]], rows: Sequence[TermRow], known: Sequence[Branch]
) -> tuple[Branch, ...]:
    """Return the node's history, oldest first, each timeline with the term it began in (None: cannot be told).

    `history` holds (timeline, where it began), from the history file's content; `rows` the term rows that the node
    can read; `known` the branches that a grant told it. What was told comes first: the row of the term that a timeline
    began in can be missing, and the smallest one there is then of a later term. A row of an earlier term contradicts
    what was told, and neither is believed.
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
    """Return the position of a WAL that PostgreSQL itself can read."""
    current = lineage[-1]
    term = None if current.term is None else max([current.term, *(row.term for row in rows)])
    bound = term
    received_since = followed is not None and (followed.lsn is None or lsn > followed.lsn)
    if followed is not None and term is not None and received_since:
        bound = max(term, followed.term)
    return Position(term=term, bound=bound, timeline=current.timeline, lsn=lsn)


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """What a node's durable standing holds of its own word: its last pledge, and the last grant that it knows.

    `genesis` is the first primary of the cluster, and `configured` the k that its first term began with.
    """

    pledge: Pledge | None
    grant: Grant | None
    genesis: str
    configured: int


def quorum_down(standing: Standing, node: str, noted: Noted, position: Position) -> int | None:
    """Return the weakest k that the WAL of a node shows which PostgreSQL is not there to read; None is unknown.

    It is what the node has signed of the very WAL that it has: as its primary, in its grant; as one that was detached,
    in its pledge.
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
    """Return the position of a WAL that PostgreSQL is not there to read.

    Only two cases can be told: a primary's own WAL, whose term is its grant's, and the WAL of a detached node, whose
    position its pledge has stated (`pledged`). A primary that has pledged a higher term to itself may have been
    renewed: the row of that term may be in its WAL.
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
    """Tell whether what the standing remembers of a WAL is of the data folder with that identity."""
    return bool(identity) and standing.folder == identity


def told_of(standing: Standing, identity: str | None) -> tuple[Branch, ...]:
    """Return the history that the node was told of the WAL in the data folder with that identity."""
    return standing.lineage if is_of(standing, identity) else ()


def voted(position: Position, standing: Standing, identity: str | None) -> Position:
    """Return a WAL's position as its node may vote with it, `identity` being that of the data folder in use.

    The terms are not known where what the node remembers is of another folder. `owed` is there as long as the WAL does
    not provably reach it.
    """
    if not is_of(standing, identity):
        position = replace(position, term=None, bound=None)
    owed = standing.owed
    return replace(position, owed=None if owed is None or reaches_owed(position, owed) else owed)


def reaches_owed(candidate: Position, owed: Owed) -> bool | None:
    """Tell whether a WAL reaches what a discarded one may have acknowledged; None where it cannot be told."""
    if candidate.term is None or owed.term is None:
        return None
    return (candidate.term, candidate.lsn) >= (owed.term, owed.lsn)


def reaches(candidate: Position, voter: Position) -> bool | None:
    """Tell whether the candidate's WAL reaches at least as far as the voter's; None where it cannot be told.

    A voter whose WAL was replaced votes as if it still had the old one too.
    """
    if candidate.term is None or voter.bound is None:
        return None
    if (candidate.term, candidate.lsn) < (voter.bound, voter.lsn):
        return False
    return True if voter.owed is None else reaches_owed(candidate, voter.owed)


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """Where two histories part, and how many bytes the node has beyond that place.

    `by_term` says that they part in a timeline of one number and one beginning, of which two different terms are known.
    """

    fork: Lsn
    excess_bytes: int
    by_term: bool = False


def divergence(own: Sequence[Branch], end: Lsn, upstream: Sequence[Branch]) -> Divergence | None:
    """Return None where the WAL that ends at `end` belongs to the upstream's history, else where they part.

    On one and the same last branch the two are prefixes of one WAL, whichever is ahead: a branch has one writer. And
    where both know the same term of a branch, all before it is the same, though the term of some of it is untold.

    Raises:
        TermUntold: a branch that decides it has no known term.
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
    """Tell whether the next branch whose term both know is the same: then all that came before it is, too."""
    for mine, theirs in zip(own, upstream, strict=False):
        if (mine.timeline, mine.begin) != (theirs.timeline, theirs.begin):
            return False
        if mine.term is not None and theirs.term is not None:
            return mine.term == theirs.term
    return False


class TermUntold(Exception):
    """A timeline's term is not known, so two histories cannot be told apart or held to be one."""

    def __init__(self, timeline: int) -> None:
        """Keep the timeline."""
        super().__init__(f"the term of timeline {timeline} is not known")
        self.timeline = timeline
