"""Breadth-first search over every state; the first broken property found is a shortest one."""

import sys
import time
from typing import NamedTuple

from tests.explorer.effects import Whole
from tests.explorer.orders import Dropped
from tests.explorer.steps import Explored
from tests.explorer.world import Bounds

PROGRESS_STATES = 100_000


class Searched(NamedTuple):
    """What a search found: how many states and steps, the broken property ("": none), and the steps that lead to it."""

    states: int
    steps_total: int
    seconds: float
    complete: bool
    broken: str = ""
    path: tuple[str, ...] = ()


def search(bounds: Bounds, dropped: Dropped, states_max: int | None = None, *, quiet: bool = True) -> Searched:
    """Explore everything within `bounds` (or up to `states_max` states), up to the first broken property."""
    explored, begun = Explored(bounds, dropped), time.monotonic()
    parents: dict[Whole, Whole | None] = {explored.first(): None}
    level, taken = list(parents), 0
    while level and (states_max is None or len(parents) < states_max):
        following: list[Whole] = []
        for state in level:
            for found in explored.steps(state):
                taken += 1
                if found.broken:
                    path = (*_path(explored, parents, state), f"{found.label}: {found.broken}")
                    seconds = time.monotonic() - begun
                    return Searched(len(parents), taken, seconds, complete=False, broken=found.broken, path=path)
                if found.state not in parents:
                    parents[found.state] = state
                    stuck = explored.stuck(found.state) if bounds.ways else ""
                    if stuck:
                        path = (*_path(explored, parents, found.state), stuck)
                        seconds = time.monotonic() - begun
                        return Searched(len(parents), taken, seconds, complete=False, broken=stuck, path=path)
                    following.append(found.state)
                    if not quiet and len(parents) % PROGRESS_STATES == 0:
                        print(f"  {bounds}: {len(parents)} states", file=sys.stderr, flush=True)
        level = following
    return Searched(len(parents), taken, time.monotonic() - begun, complete=not level)


def _path(explored: Explored, parents: dict[Whole, Whole | None], state: Whole) -> tuple[str, ...]:
    """Return the steps from the first state to `state`."""
    labels: list[str] = []
    here: Whole = state
    while (before := parents[here]) is not None:
        labels.append(next(found.label for found in explored.steps(before) if found.state == here))
        here = before
    return tuple(reversed(labels))
