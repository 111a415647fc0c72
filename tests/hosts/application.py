"""An application at the hub that commits all the time, and what became of its commits."""

import itertools
from collections.abc import Sequence

from aerodb.local.writer import Acknowledged, Writer
from tests.hosts.bed import ADDRESSES

DSN = f"host={ADDRESSES['n1']} dbname=postgres user=app password=x"


def longest_gap(acknowledged: Sequence[Acknowledged], hands: Sequence[tuple[float, float]]) -> float:
    """Return the longest time between two acknowledged commits, in seconds, beside those in which hands were at work.

    `hands` are spans of the same clock: a gap that touches one is not counted.
    """
    gaps = [
        later.at - earlier.at
        for earlier, later in itertools.pairwise(acknowledged)
        if not any(begin <= later.at and earlier.at <= end for begin, end in hands)
    ]
    return max(gaps)


class Application(Writer):
    """It writes at n1 alone, and never asks who the primary is."""

    def __init__(self) -> None:
        """Begin to write."""
        super().__init__(DSN)
        self.start()

    def goes_on(self, rows: int = 50) -> None:
        """See that further commits are acknowledged, from now on."""
        assert self.wait_for_more(rows), "writes have stopped"
