"""The rules for write authority, explored exhaustively at a reduced size."""

import pytest

from tests.explorer.mutants import MUTANTS, Mutant
from tests.explorer.orders import Dropped
from tests.explorer.search import search
from tests.explorer.sizes import REDUCED
from tests.explorer.world import Bounds


@pytest.mark.parametrize("bounds", REDUCED, ids=str)
def test_no_interleaving_breaks_a_promise(bounds: Bounds) -> None:
    """No sequence of requests, writes, crashes and late plans loses an acknowledged write or makes two primaries."""
    found = search(bounds, Dropped())
    assert not found.broken, "\n".join(found.path)
    assert found.complete


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_rule_is_needed(mutant: Mutant) -> None:
    """Without the rule, the explorer finds a sequence of steps that breaks a promise: it can tell right from wrong."""
    found = search(mutant.bounds, mutant.dropped)
    assert found.broken
    assert found.path
