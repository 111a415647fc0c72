"""Breadth-first search over every state; the first broken property found is a shortest one."""

import sys
import time
from typing import NamedTuple

from tests.explorer.orders import Dropped
from tests.explorer.steps import Explored, Whole
from tests.explorer.world import Bounds

PROGRESS_STATES = 100_000


class Searched(NamedTuple):
    """What a search found: how many states, the broken property ("": none), and the steps that lead to it."""

    states: int
    steps_total: int
    complete: bool
    broken: str
    path: tuple[str, ...]
    seconds: float


def search(bounds: Bounds, dropped: Dropped, states_max: int | None = None, *, quiet: bool = True) -> Searched:
    """Explore everything within `bounds`, up to the first broken property."""
    explored, begun = Explored(bounds, dropped), time.monotonic()
    first = explored.first()
    parents: dict[Whole, Whole | None] = {first: None}
    level, taken, depth = [first], 0, 0
    while level:
        following: list[Whole] = []
        for state in level:
            for found in explored.steps(state):
                taken += 1
                if found.broken:
                    path = (*_path(explored, parents, state), f"{found.label}: {found.broken}")
                    return Searched(len(parents), taken, False, found.broken, path, time.monotonic() - begun)
                if found.state not in parents:
                    parents[found.state] = state
                    following.append(found.state)
                    if not quiet and len(parents) % PROGRESS_STATES == 0:
                        print(f"  {bounds}: {len(parents)} states, depth {depth}", file=sys.stderr, flush=True)
            if states_max is not None and len(parents) > states_max:
                return Searched(len(parents), taken, False, "", (), time.monotonic() - begun)
        level, depth = following, depth + 1
    return Searched(len(parents), taken, True, "", (), time.monotonic() - begun)


def _path(explored: Explored, parents: dict[Whole, Whole | None], state: Whole) -> tuple[str, ...]:
    """Return the steps from the first state to `state`."""
    labels: list[str] = []
    here: Whole = state
    while (before := parents[here]) is not None:
        labels.append(next(found.label for found in explored.steps(before) if found.state == here))
        here = before
    return tuple(reversed(labels))
