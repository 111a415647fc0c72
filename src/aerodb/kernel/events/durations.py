"""For how long the observer has seen what deviates on its node: only in memory, for people to see.

- It counts seconds of a clock that only counts, and goes on while the machine sleeps; no time of day is used.
- What the first look saw may have been so before: that is said. So it is after a look that failed, or could not see.
- Nothing is counted of what no look saw. An agent that restarts begins anew.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from aerodb.protocol.events import Sighting
from aerodb.protocol.facts import Facts, SeenFor, State
from aerodb.rules.conditions import Condition, conditions

RECENT_SECONDS = 2.0
"""Of what began after the last look, the beginning is known only if that look is no older than this."""


def _counted() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class _Known(NamedTuple):
    """What one look knew: when it was, when each thing was first seen and whether it was found so, and if it saw all.

    `open` are the requests that were begun, of the first `marks` steps of the journal, and have not ended.
    """

    at: float
    since: dict[str, tuple[float, bool]]
    whole: bool
    marks: int
    open: frozenset[str]


class Durations:
    """The durations of one node. One thread looks; any may read."""

    def __init__(self, clock: Callable[[], float] = _counted) -> None:
        """Begin with none; `clock` counts seconds."""
        self._clock = clock
        self._known: _Known | None = None

    def saw(self, sighting: Sighting) -> None:
        """Take in one look. One that failed ends all that was counted."""
        facts, before, now = sighting.facts, self._known, self._clock()
        if facts is None:
            self._known = None
            return
        marks, requests = (before.marks, set(before.open)) if before else (0, set[str]())
        for mark in sighting.journal[marks:]:
            (requests.discard if mark.result else requests.add)(mark.request)
        names = {*conditions(facts).values(), *(f"{Condition.UNFINISHED} {each}" for each in requests)}
        found = before is None or not before.whole
        earlier = before.since if before else {}
        whole = facts.instance is None or facts.instance.state is not State.UNREACHABLE
        since = {name: earlier.get(name, (now, found)) for name in names}
        self._known = _Known(now, since, whole, len(sighting.journal), frozenset(requests))

    def told(self, facts: Facts) -> Facts:
        """Return facts with since when what deviates in them does, as far as that was seen."""
        known, now = self._known, self._clock()
        if known is None:
            return facts
        recent = known.whole and now - known.at <= RECENT_SECONDS
        said = []
        for name, same in conditions(facts).items():
            if same in known.since:
                first, found = known.since[same]
                said.append(SeenFor(what=name, seconds=int(now - first), found=found))
            elif recent and name != Condition.UNFINISHED:  # It may have been begun before this agent.
                said.append(SeenFor(what=name, seconds=0))
        return msgspec.structs.replace(facts, seen_for=tuple(said) or msgspec.UNSET)
