"""Lots that a seed alone decides: the same on every machine, in every version of Python. Pure."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A sequence of lots: SHA-256 over the seed and a counter."""

    def __init__(self, seed: str) -> None:
        """Begin the sequence that belongs to `seed`."""
        self._seed, self._count = seed, 0

    def below(self, bound: int) -> int:
        """Return a number from 0 on, below `bound`."""
        self._count += 1
        digest = hashlib.sha256(f"{self._seed}/{self._count}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % bound

    def between(self, low: int, high: int) -> int:
        """Return a number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """Tell whether something happens that does so in `percent` of a hundred cases."""
        return self.below(100) < percent

    def pick(self, among: Sequence[T]) -> T:
        """Return one of several."""
        return among[self.below(len(among))]

    def weighed(self, among: Sequence[tuple[T, int]]) -> T:
        """Return one of several, each as often as its weight says."""
        left = self.below(sum(weight for _, weight in among))
        for value, weight in among:
            if left < weight:
                return value
            left -= weight
        raise AssertionError("the weights add up to more than they are")
