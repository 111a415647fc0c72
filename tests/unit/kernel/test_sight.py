"""A look lasts, and a request may begin or end within it: its mark stands before what it changed, and its end after."""

from typing import cast

from aerodb.kernel.events.watch import Sight
from aerodb.kernel.looking import Looking
from aerodb.protocol.events import JournalMark, Kind, Sighting
from aerodb.protocol.facts import Facts
from aerodb.rules.transitions import Seen, see, transitions
from tests.unit.rules.scenes import healthy, with_standing

BEGUN, ENDED = JournalMark(request="r1", result=""), JournalMark(request="r1", result="executed")
BEFORE = healthy()["n3"]
AFTER = with_standing(healthy(), "n3", upstream="n2")["n3"]


class Busy:
    """An agent that journals while somebody looks at its node."""

    def __init__(self, known: tuple[JournalMark, ...], during: tuple[JournalMark, ...], seen: Facts) -> None:
        self.trail, self._during, self._seen = known, during, seen

    def eye(self, _: str) -> "Busy":
        """Look at one's own node."""
        return self

    def facts(self) -> Facts:
        """Return the facts, after what was journaled meanwhile."""
        self.trail += self._during
        return self._seen

    def trace(self) -> None:
        """Have no PostgreSQL of one's own to ask."""


def look(known: tuple[JournalMark, ...], *during: JournalMark, seen: Facts) -> Sighting:
    """Return what a look sees while `during` is journaled."""
    agent = Busy(known, during, seen)
    return Sight(cast("Looking", agent)).glance()


def written(*sightings: Sighting) -> list[tuple[Kind, str]]:
    """Return what is written of several looks in a row, the first one's aside."""
    seen = see(None, sightings[0])
    found: list[tuple[Kind, str]] = []
    for sighting in sightings[1:]:
        now: Seen = see(seen, sighting)
        found += [(each.kind, each.after) for each in transitions(seen, now)]
        seen = now
    return found


WHOLE = [(Kind.REQUEST, "begun"), (Kind.UPSTREAM, "n2"), (Kind.REQUEST, "ended: executed")]


def test_what_began_during_a_look_stands_before_what_it_changed() -> None:
    """The look saw the change, so it names the request; what ended after it stands last, whenever that is told."""
    sightings = look((), seen=BEFORE), look((), BEGUN, seen=AFTER), look((BEGUN, ENDED), seen=AFTER)
    assert written(*sightings) == WHOLE


def test_what_ended_during_a_look_stands_after_what_only_the_next_one_saw() -> None:
    """The look may have read before the request changed anything."""
    sightings = look((), seen=BEFORE), look((), BEGUN, ENDED, seen=BEFORE), look((BEGUN, ENDED), seen=AFTER)
    assert written(*sightings) == WHOLE
