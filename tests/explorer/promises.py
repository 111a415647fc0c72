"""What must never happen: an acknowledged write lost, two primaries of one term, a start against a higher grant.

- A write is taken as acknowledged at the first moment at which it could be: that is the hardest case.
- A node counts as elected from the moment at which its PostgreSQL can take writes in the term, before any grant.
"""

from typing import NamedTuple

from tests.explorer.world import Node


class Broken(Exception):
    """A property does not hold."""


class Election(NamedTuple):
    """One election: the term, the node (by place), and which writes its log held then."""

    term: int
    node: int
    held: frozenset[int]


class Promises(NamedTuple):
    """What clients know and what elections there were.

    `writes` says of each write: -1 - n: its session waits on node n; 0: the session is gone; t: acknowledged in term t.
    """

    writes: tuple[int, ...]
    elections: tuple[Election, ...]


def held_by(node: Node, writes: int) -> frozenset[int]:
    """Return the writes that the node's log holds."""
    return frozenset(entry for entry in node.log if entry < writes)


def highest_elected(promises: Promises) -> int:
    """Return the highest term in which anyone was elected."""
    return max(election.term for election in promises.elections)


def elected(promises: Promises, term: int, place: int, node: Node) -> Promises:
    """Return the promises with an election of `node` (at `place`) in `term`.

    Raises:
        Broken: another was elected in the term, or an acknowledged write of an earlier term is not in its log.
    """
    for election in promises.elections:
        if election.term == term:
            if election.node != place:
                raise Broken(f"P2: two primaries in term {term}")
            return promises
    election = Election(term, place, held_by(node, len(promises.writes)))
    for write, status in enumerate(promises.writes):
        if 0 < status < term and write not in election.held:
            raise Broken(f"P1: write {write}, acknowledged in term {status}, is not with the primary of term {term}")
    return promises._replace(elections=tuple(sorted((*promises.elections, election))))


def acting(promises: Promises, term: int, place: int) -> None:
    """Check a primary that takes writes again.

    Raises:
        Broken: the term is another's.
    """
    if any(election.term == term and election.node != place for election in promises.elections):
        raise Broken(f"P2: two primaries in term {term}")


def acknowledged(promises: Promises, write: int, term: int) -> Promises:
    """Return the promises with `write` acknowledged in `term`.

    Raises:
        Broken: a primary of a higher term was elected without it.
    """
    for election in promises.elections:
        if election.term > term and write not in election.held:
            raise Broken(f"P1: write {write} is acknowledged in term {term}, and is not with {election.term}'s primary")
    return promises._replace(writes=_with(promises.writes, write, term))


def gone(promises: Promises, place: int) -> Promises:
    """Return the promises once the sessions on the node at `place` are gone."""
    return promises._replace(writes=tuple(0 if status == -1 - place else status for status in promises.writes))


def _with(writes: tuple[int, ...], write: int, status: int) -> tuple[int, ...]:
    return (*writes[:write], status, *writes[write + 1 :])
