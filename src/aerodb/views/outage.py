"""What an action does to writes: from the sentences of a plan, and of a cell of the matrix.

The sentences are the plan's own, whose bytes are signed; only the headline above them is worded here.
Pure: no I/O, no clock.
"""

import re
from typing import NamedTuple

from aerodb.protocol.api import Cell
from aerodb.protocol.writes import Writes

NOW, MEANWHILE, AFTER, BOTH = "Writes now: ", "Writes meanwhile: ", "Writes afterwards: ", "Writes now and afterwards: "
ONCE = "Writes once "
"""How the sentence of a plan begins that comes after another request: what that one leaves."""
ACKNOWLEDGED = "acknowledged by "
SURVIVES = re.compile(r"survives the loss of (\d+) more")
STOPS_WRITES = "stops writes"
STOPPING_PRIMARY = frozenset({"demote", "stop", "restart"})
"""The actions that end a primary's serving, for good or for a moment."""
DETACHING_STANDBY = frozenset({"stop", "restart", "fence", "reclone"})
"""The actions by which a standby flushes nothing, for good or for a while."""


class Weight(NamedTuple):
    """One of the heavy parts of a plan: its label, its style, what weighs, and the sentences beneath that."""

    label: str
    style: str
    headlines: tuple[str, ...]
    facts: tuple[str, ...]


def writes_notes(notes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the notes, the first of every plan, that say whether commits can be acknowledged."""
    return tuple(each for each in notes if each.startswith("Writes "))


def _part(notes: tuple[str, ...], *heads: str) -> str | None:
    return next((note.removeprefix(head) for note in notes for head in heads if note.startswith(head)), None)


def _survived(said: str) -> int:
    """Return how many more losses writes survive by a sentence; -1 where it names none."""
    found = SURVIVES.search(said)
    return int(found[1]) if found else -1


def outage(notes: tuple[str, ...]) -> Weight:
    """Return what a plan's notes say of writes, as its first weight; the facts are the notes themselves, whole."""
    said = writes_notes(notes)
    style, headline = _outage_before(said) or _outage(said)
    return Weight("OUTAGE", style, (headline,), said)


def _outage(notes: tuple[str, ...]) -> tuple[str, str]:
    before, after, during = _part(notes, NOW, BOTH), _part(notes, AFTER, BOTH), _part(notes, MEANWHILE)
    if before is None or after is None:
        return "warn", "The plan does not say what becomes of writes."
    goes_on, comes = before.startswith(ACKNOWLEDGED), after.startswith(ACKNOWLEDGED)
    if before == after and during is None:
        same = "None by this: writes are not known to be acknowledged, before or after."
        return ("good", "None: writes go on as they are.") if goes_on else ("warn", same)
    if goes_on and not comes:
        return "bad", "It is not known that writes go on." if after.startswith("unknown") else "WRITES STOP."
    if goes_on and during is not None and not during.startswith(ACKNOWLEDGED):
        return "bad", "WRITES STOP meanwhile, and go on afterwards."
    if not goes_on and comes:
        return "good", "None by this: writes go on again afterwards."
    if not goes_on:
        return "warn", "None by this: writes are acknowledged neither now nor afterwards."
    left = min(_survived(each) for each in (after, during or after))
    if left < _survived(before):
        when = "afterwards" if _survived(after) == left else "meanwhile"
        return "warn", f"None, but writes survive fewer losses {when}."
    return "good", "None: writes go on."


def _outage_before(notes: tuple[str, ...]) -> tuple[str, str] | None:
    """Return what is said of writes where another request stops them before this one; None where none does."""
    if not any(note.startswith(ONCE) for note in notes):
        return None
    if (_part(notes, AFTER) or "").startswith(ACKNOWLEDGED):
        return "good", "None by this: it ends the outage of the request before it."
    return "warn", "None by this: writes are not known to be acknowledged after it either."


def notes_stop(notes: tuple[str, ...]) -> bool:
    """Tell whether a plan's notes say that writes, which are acknowledged now, stop."""
    return outage(notes).style == "bad"


def stops_writes(found: Writes, cell: Cell) -> bool:
    """Tell whether writes, which are acknowledged now, would stop by what a cell of the matrix is of.

    It is what the plan's own sentences say; a test holds the two to one another.
    """
    if found.acknowledged != "yes":
        return False
    if cell.node == found.node:
        return cell.action in STOPPING_PRIMARY
    if cell.node not in found.standbys or found.survives or not found.needed:
        return False
    away = cell.action == "follow" and cell.arguments.get("upstream") != found.node
    return away or cell.action in DETACHING_STANDBY
