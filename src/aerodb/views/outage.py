"""What an action does to writes: from the sentences of a plan, and of a cell of the matrix.

The sentences are the plan's own, whose bytes are signed; only the headline above them is worded here.
Pure: no I/O, no clock.
"""

import re
from typing import NamedTuple

from aerodb.protocol.api import Cell
from aerodb.protocol.writes import Writes
from aerodb.rules.foresight import AT_ONCE

NOW, MEANWHILE, AFTER, BOTH = "Writes now: ", "Writes meanwhile: ", "Writes afterwards: ", "Writes now and afterwards: "
ONCE = "Writes once "
"""How the sentence of a plan begins that comes after another request: what that one leaves."""
ACKNOWLEDGED = "acknowledged by "
SURVIVES = re.compile(r"survives the loss of (\d+) more")
UNSEEN_EARLIER = "no primary is observed; "
"""How the rules up to version 2 begin the sentence on a primary that may live, and that nobody can see."""
UNSEEN = re.compile(
    r"unknown: (.+?)(?:, primary of term \d+,)? (?:is|are) not observed|no primary is observed; last known (.+?),"
)
FLUSHING = re.compile(r"; ([^;]+) could flush for it|though (.+) stream,")
STOPS_WRITES, MAY_STOP_WRITES = "stops writes", "may stop writes"
IF_ACKNOWLEDGED = "if they are acknowledged now, which is not known"
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
    style, headline = _outage_before(said) or _outage_at_once(said) or _outage(said)
    return Weight("OUTAGE", style, (headline,), said)


def _outage(notes: tuple[str, ...]) -> tuple[str, str]:
    before, after, during = _part(notes, NOW, BOTH), _part(notes, AFTER, BOTH), _part(notes, MEANWHILE)
    if before is None or after is None:
        return "warn", "The plan does not say what becomes of writes."
    if before.startswith(ACKNOWLEDGED):
        return _outage_of_acknowledged(before, after, during)
    if in_doubt(before):
        return _outage_in_doubt(before, after, during)
    if after.startswith(ACKNOWLEDGED):
        return "good", "None by this: writes go on again afterwards."
    return "warn", "None by this: writes are acknowledged neither now nor afterwards."


def _outage_of_acknowledged(before: str, after: str, during: str | None) -> tuple[str, str]:
    """Return what is said where commits are acknowledged now."""
    if before == after and during is None:
        return "good", "None: writes go on as they are."
    if not after.startswith(ACKNOWLEDGED):
        return "bad", "It is not known that writes go on." if in_doubt(after) else "WRITES STOP."
    if during is not None and not during.startswith(ACKNOWLEDGED):
        return "bad", "WRITES STOP meanwhile, and go on afterwards."
    left = min(_survived(each) for each in (after, during or after))
    if left < _survived(before):
        when = "afterwards" if _survived(after) == left else "meanwhile"
        return "warn", f"None, but writes survive fewer losses {when}."
    return "good", "None: writes go on."


def in_doubt(said: str) -> bool:
    """Tell whether a sentence leaves open that commits are acknowledged now; earlier rules said so in two ways."""
    return said.startswith(("unknown", UNSEEN_EARLIER))


def _outage_in_doubt(before: str, after: str, during: str | None) -> tuple[str, str]:
    """Return what is said where commits may be acknowledged now, and nobody who reports knows: that is not no."""
    condition = _condition(before)
    for said, when in ((after, ""), (during, " meanwhile")):
        if said is not None and not said.startswith(ACKNOWLEDGED) and not in_doubt(said):
            return "bad", f"WRITES STOP{when}, {condition}."
    for said, when in ((after, ""), (during, " meanwhile")):
        if said is not None and in_doubt(said) and _takes_away(before, said):
            return "bad", f"WRITES MAY STOP{when}, {condition}."
    if after.startswith(ACKNOWLEDGED):
        return "good", "None by this: writes go on afterwards; whether they do now is not known."
    return "warn", "Not known: whether writes are acknowledged is known neither before nor after."


def _condition(before: str) -> str:
    """Return under which condition writes are acknowledged now, as a clause."""
    unseen = UNSEEN.match(before)
    return f"if {(unseen[1] or unseen[2]).replace(', ', ' or ')} still lives" if unseen else IF_ACKNOWLEDGED


def _takes_away(before: str, after: str) -> bool:
    """Tell whether afterwards a node flushes no longer that could before; by earlier rules that is not told."""
    if before.startswith(UNSEEN_EARLIER):
        return True
    first, then = (_flushing(each) for each in (before, after))
    return first is not None and not first <= (then or frozenset())


def _flushing(said: str) -> frozenset[str] | None:
    """Return who could flush for a primary in doubt, by a sentence; None where it does not tell."""
    found = FLUSHING.search(said)
    return frozenset((found[1] or found[2]).split(", ")) if found else None


def _outage_before(notes: tuple[str, ...]) -> tuple[str, str] | None:
    """Return what is said of writes where another request stops them before this one; None where none does."""
    if not any(note.startswith(ONCE) for note in notes):
        return None
    if (_part(notes, AFTER) or "").startswith(ACKNOWLEDGED):
        return "good", "None by this: it ends the outage of the request before it."
    return "warn", "None by this: writes are not known to be acknowledged after it either."


def _outage_at_once(notes: tuple[str, ...]) -> tuple[str, str] | None:
    """Return what is said of writes that stop until a promotion that nobody is asked for; None where none follows."""
    after = _part(notes, AFTER) or ""
    if AT_ONCE not in after or not (_part(notes, NOW) or "").startswith(ACKNOWLEDGED):
        return None
    until = after.partition(",")[0].removeprefix("none ")
    return "bad", f"WRITES STOP {until}, which follows at once."


def notes_stop(notes: tuple[str, ...]) -> bool:
    """Tell whether a plan's notes say that writes stop, which are acknowledged now, or may be."""
    return outage(notes).style == "bad"


def stops_writes(found: Writes, cell: Cell) -> str:
    """Return what is said of writes beside a cell of the matrix: that what it is of stops them, or may; or nothing.

    It is what the plan's own sentences say; a test holds the two to one another.
    """
    if found.acknowledged == "no":
        return ""
    if cell.node == found.node:
        stops = cell.action in STOPPING_PRIMARY
        return _stops(found, certain=True) if stops else ""
    if cell.node not in found.standbys or not found.needed:
        return ""
    away = cell.action == "follow" and cell.arguments.get("upstream") != found.node
    if not away and cell.action not in DETACHING_STANDBY:
        return ""
    if found.acknowledged == "yes":
        return "" if found.survives else STOPS_WRITES
    return _stops(found, certain=len(found.standbys) <= found.needed and not found.serves)


def _stops(found: Writes, *, certain: bool) -> str:
    """Return that writes stop, or may, under the condition that they are acknowledged now."""
    if found.acknowledged == "yes":
        return STOPS_WRITES
    return f"{STOPS_WRITES if certain else MAY_STOP_WRITES}, {_condition(found.headline)}"


def stop_label(before: Writes, after: Writes) -> str:
    """Return what becomes of writes from one answer to the next, in a few words; empty where nothing is taken away."""
    if before.acknowledged == "no" or after.acknowledged == "yes":
        return ""
    if before.acknowledged == "yes":
        return "Writes STOP"
    if after.acknowledged == "no":
        return f"Writes STOP, {_condition(before.headline)}"
    gone = _takes_away(before.headline, after.headline)
    return f"Writes may STOP, {_condition(before.headline)}" if gone else ""
