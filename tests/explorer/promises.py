"""What must never happen, and what has been promised to clients.

- P1: an acknowledged write is lost. P2: two primaries of one term. P3: a start by request against a higher grant.
  P4: two different histories are spliced. P5: an outcome is not what happened. P6: no request leads out.
  P7: a primary stops for a successor whose order is signed ahead, and which holds it no more.
- A write is taken as acknowledged at the first moment at which it could be: that is the hardest case.
- A node counts as elected from the moment at which its PostgreSQL can take writes in the term, before any grant.

What no rule can prevent is not promised, and stands here:

- What is written on a node that a person promoted past AeroDB, in no term, is promised to nobody.
- What is acknowledged by a node that a person started against the node's own pledge (the gate says no to it), once
  another has been elected above it. Before that election it is promised: the election has to see it.
- What is acknowledged under a synchronous policy that people emptied past AeroDB, where the node that did so does not
  report at the election. Where it reports, or where AeroDB brought that policy into force, it is promised.
"""

from typing import NamedTuple

from tests.explorer.world import BY_HAND, OURS, Node

WEAKLY = 1000
"""Added, times the place of the node and one, to the term of a write that was acknowledged under an emptied policy."""


class Broken(Exception):
    """A property does not hold."""


class Election(NamedTuple):
    """One election: the term, the node (by place), and which writes its log held then."""

    term: int
    node: int
    held: frozenset[int]


class Promises(NamedTuple):
    """What clients know and what elections there were.

    `writes` says of each write: -1 - n: its session waits on node n; 0: it is promised to nobody; t: acknowledged in
    term t; t + 1000 (n + 1): acknowledged in term t by node n alone, under an emptied policy.
    """

    writes: tuple[int, ...]
    elections: tuple[Election, ...]


def held_by(node: Node, writes: int) -> frozenset[int]:
    """Return the writes that the node's log holds."""
    return frozenset(entry for entry in node.log if entry < writes)


def highest_elected(promises: Promises) -> int:
    """Return the highest term in which anyone was elected."""
    return max(election.term for election in promises.elections)


def elected(promises: Promises, term: int, place: int, node: Node, reported: frozenset[int]) -> Promises:
    """Return the promises with an election of `node` (at `place`) in `term`; `reported` are those that it rests on.

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
        alone, before = divmod(status, WEAKLY) if status > 0 else (0, status)
        covered = alone == 0 or alone - 1 in reported
        if 0 < before < term and covered and write not in election.held:
            raise Broken(f"P1: write {write}, acknowledged in term {before}, is not with the primary of term {term}")
    return promises._replace(elections=tuple(sorted((*promises.elections, election))))


def acting(promises: Promises, term: int, place: int) -> None:
    """Check a primary that takes writes again.

    Raises:
        Broken: the term is another's.
    """
    if any(election.term == term and election.node != place for election in promises.elections):
        raise Broken(f"P2: two primaries in term {term}")


def waits(status: int) -> bool:
    """Tell whether a write can still be acknowledged by `k` standbys: it waits, or was acknowledged by one node."""
    return status < 0 or status > WEAKLY


def primary_of(status: int) -> int:
    """Return the place of the node on which a write that `waits` was made."""
    return -1 - status if status < 0 else status // WEAKLY - 1


def acknowledged(promises: Promises, write: int, node: Node, place: int, *, flushed: bool) -> Promises:
    """Return the promises with `write` acknowledged by `node`: its standbys have `flushed` it, or its policy is weak.

    Raises:
        Broken: a primary of a higher term was elected without it.
    """
    term = node.acting
    if term == BY_HAND or (node.lawless and highest_elected(promises) > term):
        return promises._replace(writes=_with(promises.writes, write, 0))
    if not flushed and node.weak != OURS:
        return promises._replace(writes=_with(promises.writes, write, term + WEAKLY * (place + 1)))
    for election in promises.elections:
        if election.term > term and write not in election.held:
            raise Broken(f"P1: write {write} is acknowledged in term {term}, and is not with {election.term}'s primary")
    return promises._replace(writes=_with(promises.writes, write, term))


def gone(promises: Promises, place: int) -> Promises:
    """Return the promises once the sessions on the node at `place` are gone."""
    return promises._replace(writes=tuple(0 if status == -1 - place else status for status in promises.writes))


def _with(writes: tuple[int, ...], write: int, status: int) -> tuple[int, ...]:
    return (*writes[:write], status, *writes[write + 1 :])
