"""What becomes of logical slots and of archiving when another node takes the writes: said, and never judged.

- Which slots there are, and what is archived, is the DBA's: nothing here refuses anything.
- A slot goes on only where the successor reports a copy that is ready. What is not reported is not known, never lost.
- On a version that copies no slots no successor can have one, whatever it reports.

Pure: no I/O, no clock. Source: PostgreSQL manual 29.3 (logical replication failover: a copy is ready if it is synced,
not temporary, and valid), 47.2.3 (slot synchronisation), 20.5 (archiving).
"""

from enum import StrEnum
from typing import NamedTuple

from msgspec.structs import replace

from aerodb.protocol.carrying import Carrying, LogicalSlot
from aerodb.protocol.facts import Facts, State
from aerodb.rules.replaying import sized
from aerodb.rules.view import View

SLOT = "Logical slot "
"""How every note begins that says what becomes of one."""
GOES_ON, IS_LOST, MAY_BE_LOST, WAS_LOST = "goes on at", "IS LOST", "MAY BE LOST", "cannot be used any more"
"""What such a note says after the slot's name, in these words."""


class Fate(StrEnum):
    """What becomes of a logical slot when a certain node takes the writes."""

    READY = "ready"
    USELESS = "useless"  # It cannot be used any more even where it is.
    NO_VERSION = "no version"
    NO_COPY = "no copy"
    NOT_READY = "not ready"
    INVALID = "invalid"
    ITS_OWN = "its own"
    UNKNOWN = "unknown"


LOST = frozenset({Fate.NO_VERSION, Fate.NO_COPY, Fate.NOT_READY, Fate.INVALID, Fate.ITS_OWN})
"""The fates in which the changes that a slot's reader has not read are lost to it."""


class SlotFate(NamedTuple):
    """What becomes of a slot, and why, as a clause that names the successor."""

    fate: Fate
    why: str


def carrying_of(facts: Facts | None) -> Carrying | None:
    """Return what a node says of its slots and of archiving; None if it says nothing."""
    instance = facts.instance if facts else None
    carrying = instance.carrying if instance else None
    return carrying if isinstance(carrying, Carrying) else None


def fate(slot: LogicalSlot, node: str, successor: str, facts: Facts | None) -> SlotFate:
    """Return what becomes of a slot of `node` when `successor` takes the writes, which says these facts of itself."""
    if slot.invalid:
        return SlotFate(Fate.USELESS, f"it is invalid on {node} already ({slot.invalid})")
    there = carrying_of(facts)
    if there is None:
        return SlotFate(Fate.UNKNOWN, _silent(successor, facts))
    if not there.copies:
        major = facts.instance.major if facts and facts.instance else ""
        return SlotFate(Fate.NO_VERSION, f"PostgreSQL {major} cannot copy it to {successor}, or to any standby")
    copy = next((each for each in there.logical if each.name == slot.name), None)
    if copy is None:
        unmarked = "" if slot.failover else f", and it is no failover slot on {node}"
        return SlotFate(Fate.NO_COPY, f"{successor} has no such slot{unmarked}")
    if not copy.synced:
        return SlotFate(Fate.ITS_OWN, f"the slot of that name on {successor} is its own, and no copy of this one")
    if copy.invalid:
        return SlotFate(Fate.INVALID, f"the copy on {successor} is invalid ({copy.invalid})")
    if copy.temporary:
        return SlotFate(Fate.NOT_READY, f"the copy on {successor} is not ready yet, and its promotion drops it")
    return SlotFate(Fate.READY, f"{successor} has it, synchronised and ready")


def copy_text(slot: LogicalSlot) -> str:
    """Return what a standby's slot is worth there, in a word or two."""
    if slot.invalid:
        return f"invalid: {slot.invalid}"
    if not slot.synced:
        return "its own, no copy"
    return "a copy, not ready yet" if slot.temporary else "a ready copy"


def _silent(node: str, facts: Facts | None) -> str:
    instance = facts.instance if facts else None
    if facts is None:
        return f"{node} did not report"
    if instance is not None and instance.state is not State.RUNNING:
        return f"PostgreSQL on {node} is {instance.state}, and does not say which slots it has"
    return f"{node} does not say which slots it has"


def _note(slot: LogicalSlot, told: SlotFate, successor: str) -> str:
    head = f"{SLOT}{slot.name} (database {slot.database})"
    if told.fate is Fate.READY:
        return f"{head} {GOES_ON} {successor}: {told.why}."
    if told.fate is Fate.USELESS:
        return f"{head} {WAS_LOST}: {told.why}."
    if told.fate is Fate.UNKNOWN:
        return f"{head} {MAY_BE_LOST}: {told.why}."
    return f"{head} {IS_LOST}: {told.why}. Its reader misses changes, and has to be set up anew."


def slots_of(node: str, own: Facts | None, successor: str, facts: Facts | None) -> tuple[str, ...]:
    """Say what becomes of each logical slot of `node` when `successor` takes the writes; nothing where it has none."""
    here = carrying_of(own)
    if here is None:
        return _copies_of(successor, facts, f"{_silent(node, own)}, so whether it has logical slots is not known")
    told = [(slot, fate(slot, node, successor, facts)) for slot in here.logical]
    notes = tuple(_note(slot, each, successor) for slot, each in told)
    if not any(each.fate is Fate.READY for _, each in told):
        return notes
    return (
        *notes,
        f"The logical slots stay on {node} as well: before {node} can copy those of {successor} as its standby, they "
        "have to be dropped there.",
    )


def _copies_of(successor: str, facts: Facts | None, unseen: str) -> tuple[str, ...]:
    """Say of each copy on the successor what becomes of it, where the slots that they are copies of are `unseen`."""
    there = carrying_of(facts)
    if there is None:
        return (f"{unseen}: those that {successor} has no ready copy of are lost.",)
    if not there.copies:
        return (f"{unseen}: no standby of this version has copies, so any is lost.",)
    copies = [each for each in there.logical if each.synced]
    notes = tuple(_note(each, fate(replace(each, invalid=""), "", successor, facts), successor) for each in copies)
    return (*notes, f"{unseen}: any that {successor} has no ready copy of is lost.")


def bound_of(facts: Facts | None) -> str:
    """Say, as a part of a sentence, up to how much WAL a slot of a node may keep; empty where that is not known."""
    carrying = carrying_of(facts)
    if carrying is None:
        return ""
    if carrying.slots_keep_bytes_max is None:
        return ", without a bound (max_slot_wal_keep_size is -1)"
    return f", up to {sized(carrying.slots_keep_bytes_max)} each (max_slot_wal_keep_size)"


# Archiving ------------------------------------------------------------------------------------------------------------


def archives(carrying: Carrying | None) -> bool | None:
    """Tell whether a node's settings have it archive WAL as a primary; None is not known."""
    return None if carrying is None else carrying.archive_mode != "off" and bool(carrying.archives_by)


def archiving_of(node: str, own: Facts | None, successor: str, facts: Facts | None) -> tuple[str, ...]:
    """Say whether archiving goes on when `successor` takes the writes of `node`; nothing where neither archives."""
    there, before, after = carrying_of(facts), archives(carrying_of(own)), archives(carrying_of(facts))
    if there is None:
        if before is False:
            return ()
        return (f"Whether WAL will be archived at {successor} is not known: it does not say.",)
    if after:
        begins = ", as it was not at " + node if before is False else ""
        said = f"archive_mode is {there.archive_mode} there, and {there.archives_by} is set"
        return (f"WAL will be archived at {successor}{begins}: {said}. Whether that works is not seen here.",)
    if there.archive_mode != "off":
        return (
            f"WAL will NOT BE ARCHIVED at {successor}, and pg_wal there grows without end, until a command is set: "
            f"archive_mode is {there.archive_mode} there, and neither archive_command nor archive_library is set.",
        )
    if before is False:
        return ()
    was = f"as it is at {node}" if before else f"whether it was at {node} is not known"
    return (
        f"WAL will NOT BE ARCHIVED at {successor}, {was}: archive_mode is off there, which changes by a restart alone.",
    )


# Plans ----------------------------------------------------------------------------------------------------------------


def carried_over(view: View, successor: str) -> tuple[str, ...]:
    """Say what a successor of the target carries on of its logical slots and of its archiving."""
    peer = view.everyone().get(successor)
    facts = peer.facts if peer else None
    own = view.own.facts
    return (*slots_of(view.node, own, successor, facts), *archiving_of(view.node, own, successor, facts))


def taken_over(view: View) -> tuple[str, ...]:
    """Say what the target carries on, when it is promoted, of the primary before it."""
    granted = (each.facts.standing.granted for each in view.everyone().values())
    former = max(granted, key=lambda each: (each.term, each.node)).node
    if former in ("", view.node):
        return ()
    peer, own = view.peers.get(former), view.own.facts
    facts = peer.facts if peer else None
    return (*slots_of(former, facts, view.node, own), *archiving_of(former, facts, view.node, own))
