"""Positions and histories, against WALs that are compared byte by byte."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.protocol.authority import Branch, Followed, Owed, Position
from aerodb.protocol.lsn import Lsn
from aerodb.rules.position import (
    TermRow,
    TermUntold,
    divergence,
    lineage_of,
    position_running,
    reaches,
    told_of,
    voted,
)
from aerodb.rules.standing import genesis

POSITIONS = st.builds(
    lambda term, lsn: Position(term=term, bound=term, timeline=1, lsn=Lsn(lsn)), st.integers(1, 4), st.integers(0, 4)
)
Log = tuple[tuple[int, ...], tuple[Branch, ...]]
"""A WAL as its bytes, each the term that wrote it, and the history that PostgreSQL would tell of it."""


@given(POSITIONS, POSITIONS, POSITIONS)
def test_reaching_is_a_total_preorder(one: Position, two: Position, three: Position) -> None:
    """Of two WALs one reaches the other; reaching is transitive; and it is the order of (term, LSN)."""
    assert reaches(one, one)
    assert reaches(one, two) or reaches(two, one)
    if reaches(one, two) and reaches(two, three):
        assert reaches(one, three)
    assert reaches(one, two) == ((one.term, one.lsn) >= (two.term, two.lsn))


@given(POSITIONS, POSITIONS, st.sampled_from(["candidate", "voter"]))
def test_an_unknown_term_reaches_nothing(one: Position, two: Position, whose: str) -> None:
    """Where a term cannot be told, it is unknown whether one WAL reaches the other: never yes."""
    unknown = Position(term=None, bound=None, timeline=1, lsn=one.lsn)
    assert (reaches(unknown, two) if whose == "candidate" else reaches(two, unknown)) is None


@given(POSITIONS, POSITIONS, POSITIONS)
def test_a_voter_that_discarded_a_log_votes_with_both(candidate: Position, old: Position, new: Position) -> None:
    """A candidate reaches the new WAL and what the old one may have acknowledged, or it does not reach the voter."""
    standing = replace(genesis("n2", "n1", witness=False, folder="f"), owed=Owed(term=old.bound, lsn=old.lsn))
    assert reaches(candidate, voted(new, standing, "f")) == (reaches(candidate, old) and reaches(candidate, new))


@given(POSITIONS, POSITIONS)
def test_what_is_owed_is_shown_until_it_is_reached(old: Position, new: Position) -> None:
    """A node owes nothing any more as soon as its own WAL provably reaches what the discarded one held."""
    standing = replace(genesis("n2", "n1", witness=False, folder="f"), owed=Owed(term=old.bound, lsn=old.lsn))
    assert (voted(new, standing, "f").owed is None) == reaches(new, old)
    untold = replace(new, term=None, bound=None)
    assert voted(untold, standing, "f").owed == standing.owed


@given(POSITIONS, POSITIONS)
def test_an_unknown_term_that_is_owed_is_reached_by_nobody(candidate: Position, new: Position) -> None:
    """Where the term of a discarded WAL was not known, no candidate is shown to reach its voter."""
    standing = replace(genesis("n2", "n1", witness=False, folder="f"), owed=Owed(term=None, lsn=Lsn(0)))
    assert not reaches(candidate, voted(new, standing, "f"))


@given(POSITIONS, st.sampled_from([None, "", "g"]))
def test_what_is_remembered_of_another_folder_is_not_known(position: Position, identity: str | None) -> None:
    """A folder whose identity is not the remembered one has no known terms, and no history that a grant told."""
    standing = genesis("n2", "n1", witness=False, folder="f")
    found = voted(position, standing, identity)
    assert (found.term, found.bound, found.timeline, found.lsn) == (None, None, position.timeline, position.lsn)
    assert told_of(standing, identity) == ()
    assert told_of(standing, "f") == standing.lineage


@st.composite
def histories(draw: st.DrawFn) -> list[Log]:
    """Return WALs that grew from one another: each a copy of a prefix of another, or promoted from one, and written."""
    logs: list[Log] = [((1, 1), (Branch(timeline=1, begin=Lsn(0), term=1),))]
    for term in range(2, draw(st.integers(3, 6))):
        data, branches = draw(st.sampled_from(logs))
        cut = draw(st.integers(0, len(data)))
        kept = tuple(branch for branch in branches if branch.begin.value <= cut) if cut else branches[:1]
        extra = draw(st.integers(0, 3))
        if draw(st.booleans()):  # A promotion: a new timeline, one above this log's newest, in a new term.
            branch = Branch(timeline=kept[-1].timeline + 1, begin=Lsn(cut), term=term)
            logs.append(((*data[:cut], *[term] * extra), (*kept, branch)))
        else:
            logs.append((data[:cut], kept))
    return logs


def _common(one: tuple[int, ...], two: tuple[int, ...]) -> int:
    """Return how many bytes two WALs share."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))


@given(histories())
def test_divergence_is_what_the_bytes_say(logs: list[Log]) -> None:
    """Whoever is held to be a prefix is one, byte by byte; where two part, they are the same up to there.

    The rules may refuse more than the bytes do (a timeline that was begun and not written to yet), never less.
    """
    for (own, own_branches), (theirs, their_branches) in itertools.permutations(logs, 2):
        found = divergence(own_branches, Lsn(len(own)), their_branches)
        shared = _common(own, theirs)
        if found is None:
            assert shared == min(len(own), len(theirs))
        else:
            assert min(found.fork.value, len(own), len(theirs)) <= shared
            assert found.excess_bytes == max(0, len(own) - found.fork.value)


@given(histories(), st.data())
def test_a_copy_of_a_prefix_always_follows(logs: list[Log], data: st.DataObject) -> None:
    """No false alarm: a standby that was cut off anywhere in its upstream's WAL is a prefix of it."""
    theirs, branches = data.draw(st.sampled_from(logs))
    cut = data.draw(st.integers(0, len(theirs)))
    kept = tuple(branch for branch in branches if branch.begin.value < cut) or branches[:1]
    assert divergence(kept, Lsn(cut), branches) is None


def _forgotten(branches: tuple[Branch, ...], which: set[int]) -> tuple[Branch, ...]:
    """Return a history of which nobody told some of the terms."""
    return tuple(replace(each, term=None) if index in which else each for index, each in enumerate(branches))


@given(histories(), st.data())
def test_an_untold_term_is_never_held_to_be_the_same(logs: list[Log], data: st.DataObject) -> None:
    """Whatever terms are not known, of either: where it is told at all how two WALs stand, the bytes say the same."""
    (own, ours), (theirs, branches) = data.draw(st.sampled_from(logs)), data.draw(st.sampled_from(logs))
    indices = st.sets(st.integers(0, max(len(ours), len(branches)) - 1))
    ours, branches = _forgotten(ours, data.draw(indices)), _forgotten(branches, data.draw(indices))
    try:
        found = divergence(ours, Lsn(len(own)), branches)
    except TermUntold:
        return
    shared = _common(own, theirs)
    if found is None:
        assert shared == min(len(own), len(theirs))
    else:
        assert min(found.fork.value, len(own), len(theirs)) <= shared


@given(histories(), st.data())
def test_a_told_branch_tells_of_all_before_it(logs: list[Log], data: st.DataObject) -> None:
    """One history is itself, whatever is not known of it, as long as the last branch is; and else that is not told."""
    _, branches = data.draw(st.sampled_from(logs))
    last = len(branches) - 1
    hidden = data.draw(st.sets(st.integers(0, last)))
    if last in hidden:
        with pytest.raises(TermUntold):
            divergence(_forgotten(branches, hidden), Lsn(100), branches)
    else:
        assert divergence(_forgotten(branches, hidden), Lsn(100), branches) is None
        assert divergence(branches, Lsn(100), _forgotten(branches, hidden)) is None


@given(st.integers(1, 9), st.one_of(st.none(), st.integers(0, 9)), st.integers(0, 9), st.integers(1, 4))
def test_a_voters_bound_is_never_below_its_log(term: int, since: int | None, end: int, followed: int) -> None:
    """The bound covers the WAL's own term, and the followed term as soon as anything was received under it."""
    lineage = (Branch(timeline=1, begin=Lsn(0), term=1),)
    rows = (TermRow(term=term, timeline=1, node="n1", quorum=1),)
    position = position_running(
        lineage, Lsn(end), rows, Followed(term=followed, lsn=None if since is None else Lsn(since))
    )
    assert position.term == max(1, term)
    assert position.bound is not None
    assert position.bound >= position.term
    if since is None or end > since:
        assert position.bound >= followed


def test_what_a_grant_told_of_a_timeline_comes_first() -> None:
    """For that very branch what was told counts, then the rows; else nothing is known.

    The row of the term that the timeline began in may be missing, and a renewal's row be the smallest there is.
    """
    history = [(1, Lsn(0)), (2, Lsn(50))]
    known = (Branch(timeline=2, begin=Lsn(50), term=2),)
    renewed = (TermRow(term=3, timeline=2, node="n2", quorum=1),)
    assert [each.term for each in lineage_of(history, renewed, known)] == [None, 2]
    assert [each.term for each in lineage_of(history, renewed, ())] == [None, 3]
    assert [each.term for each in lineage_of(history, (), known)] == [None, 2]
    elsewhere = (Branch(timeline=2, begin=Lsn(51), term=2),)
    assert [each.term for each in lineage_of(history, (), elsewhere)] == [None, None]


def test_a_row_that_contradicts_what_was_told_leaves_neither_known() -> None:
    """A timeline cannot begin in a term above one that was written in it: then its term is not known."""
    rows = (TermRow(term=2, timeline=2, node="n2", quorum=1),)
    known = (Branch(timeline=2, begin=Lsn(50), term=7),)
    assert lineage_of([(2, Lsn(50))], rows, known)[0].term is None


def test_a_prefix_whose_first_row_was_lost_is_no_divergence() -> None:
    """Of a timeline whose first row is missing and which was renewed, a standby that was told is still a prefix."""
    history, known = (
        [(1, Lsn(0)), (2, Lsn(50))],
        tuple(Branch(timeline=at, begin=Lsn(begin), term=at) for at, begin in ((1, 0), (2, 50))),
    )
    first = TermRow(term=1, timeline=1, node="n1", quorum=1)
    renewed = TermRow(term=3, timeline=2, node="n2", quorum=1)
    primary = lineage_of(history, (first, renewed), known)
    down = lineage_of(history, (), known)
    assert divergence(down, Lsn(60), primary) is None
