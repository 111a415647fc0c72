"""What a process of its own does: a module of its own, since a spawned process cannot find what `__main__` defines."""

from tests.explorer.mutants import MUTANTS
from tests.explorer.orders import Dropped
from tests.explorer.search import Searched, search
from tests.explorer.world import Bounds


def explore(bounds: Bounds) -> Searched:
    """Explore one configuration under the real rules."""
    return search(bounds, Dropped(), quiet=False)


def hunt(number: int) -> Searched:
    """Explore one mutant up to its first harm."""
    mutant = MUTANTS[number]
    return search(mutant.bounds, mutant.dropped)
