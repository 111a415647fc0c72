"""Which facts are public, sensitive or secret: one table, a class for each field, and their redaction.

- *Public*: what a person needs in order to see how the cluster stands: roles, terms, positions, states, counts.
- *Sensitive*: what helps an intruder, or says what the database's users do: addresses, folders, settings by name,
  transactions and their times.
- *Secret*: keys and passwords. They never leave the agent, so no fact may be of this class.
- A field without a class cannot be redacted, and so cannot be shown: a new field must be classed here.
- What is taken out is marked as such, in its place, and named by its path; nothing is left out unsaid.

Pure: no I/O, no clock.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import TypeVar

import msgspec

from aerodb.protocol.ahead import Held
from aerodb.protocol.authority import Branch, Candidacy, Followed, Owed, Position, Standing
from aerodb.protocol.carrying import Carrying, LogicalSlot
from aerodb.protocol.events import STRANGER_AT, Kind
from aerodb.protocol.facts import (
    Commit,
    Facts,
    Instance,
    Load,
    Receiver,
    SeenFor,
    Sender,
    SettingsFiles,
    Unfinished,
    UnusedFolder,
)
from aerodb.protocol.keeping import Capacity, Keeping, Replay, Slot, Volume, Wal
from aerodb.protocol.signed import Signed
from aerodb.protocol.watched import SettingSet, Stranger, StreamName, Survey, Watched

T = TypeVar("T")

REDACTED = "[redacted]"
"""What stands in place of a text that was taken out."""

REDACTED_NUMBER = -1
"""What stands in place of a number that was taken out; no fact is negative."""


class Class(StrEnum):
    """Who may see a fact."""

    PUBLIC = "public"
    SENSITIVE = "sensitive"
    SECRET = "secret"  # noqa: S105 - the name of a class.


def _fields(public: str, sensitive: str) -> dict[str, Class]:
    return {**dict.fromkeys(public.split(), Class.PUBLIC), **dict.fromkeys(sensitive.split(), Class.SENSITIVE)}


CLASSES: dict[type[msgspec.Struct], dict[str, Class]] = {
    Facts: _fields(
        "node rules configuration standing instance unfinished entries checkpoint gave_up versions epoch held seen_for "
        "watched",
        "",
    ),
    Standing: _fields(
        "role upstream halted pledged pledge granted grant since followed lineage folder owed weakened", ""
    ),
    Signed: _fields("document signer signature", ""),  # Pledges and grants, which hold terms and positions alone.
    Candidacy: _fields("term node", ""),
    Followed: _fields("term lsn", ""),
    Branch: _fields("timeline begin term", ""),
    Position: _fields("term bound timeline lsn owed", ""),
    Owed: _fields("term lsn", ""),
    Instance: _fields(
        "system version state recovery position lineage quorum attached restores receiver replayed senders shutdown "
        "load commits commits_since checkpoint identity unused started stopping served origin keeping files "
        "carrying",
        "folder drift damage",
    ),
    SettingsFiles: _fields("loaded", "faults drift pending low"),
    UnusedFolder: _fields("bytes", "name"),
    Receiver: _fields("status flushed", "upstream"),
    Sender: _fields(
        "node state sync_state sent flushed replayed ahead silent_seconds flush_lag_milliseconds "
        "replay_lag_milliseconds",
        "",
    ),
    Load: _fields(
        "sessions longest_transaction_seconds prepared_transactions backups logical_slots waiting_commits checkpoints "
        "lingering longest_wait_seconds other_senders",
        "",
    ),
    Keeping: _fields("replay capacity slots wal volume unlogged", ""),
    Replay: _fields("paused unreplayed_bytes conflicts", ""),
    Capacity: _fields(" ".join(Capacity.__struct_fields__), ""),
    Slot: _fields("kind active lost held_bytes", "name"),
    Carrying: _fields("copies logical slots_keep_bytes_max archive_mode archives_by", "asks_slot"),
    LogicalSlot: _fields("failover synced temporary invalid confirmed", "name database plugin"),
    Wal: _fields("size_bytes begin", ""),
    Volume: _fields("size_bytes free_bytes", ""),
    Commit: _fields("lsn", "xid time"),
    Unfinished: _fields("request action result evidence", ""),
    Held: _fields("request action plan after term", ""),
    SeenFor: _fields("what seconds found", ""),
    Watched: _fields("unseen strangers survey", ""),
    Stranger: _fields("state sync_state flushed", "address application"),
    Survey: _fields(
        "waits_for names settings wal_apart rewindable archiving archive_command",
        "tablespaces logical_slots managers",
    ),
    StreamName: _fields("node", "application"),
    SettingSet: _fields("name", "value place"),
}


SENSITIVE_KINDS = frozenset({Kind.FOLDER, Kind.DRIFT, Kind.SETTING, Kind.SLOT, Kind.GAP})
"""The transitions whose texts are sensitive: folders, settings and slots by name, and why an observer failed."""

UPSTREAM_AFTER = " from "
"""What stands in a receiver's texts before the address of its upstream, which is sensitive."""


def redacted_event(kind: str, texts: dict[str, str]) -> dict[str, str]:
    """Return those of an event's texts that must be replaced, by their fields, as they are then shown."""
    if kind == Kind.RECEIVER:
        return {
            name: f"{text.partition(UPSTREAM_AFTER)[0]}{UPSTREAM_AFTER}{REDACTED}"
            for name, text in texts.items()
            if UPSTREAM_AFTER in text
        }
    if kind == Kind.SENDER:  # A member is named; of a stranger stands where it is, and what it calls itself.
        return {"subject": REDACTED} if STRANGER_AT in texts.get("subject", "") else {}
    if kind not in SENSITIVE_KINDS:
        return {}
    return {name: REDACTED for name, text in texts.items() if text}


class Clean(str):
    """A text that was made to be shown to who may not see sensitive facts; only the control plane's veil makes it."""

    __slots__ = ()


def sensitive_values(value: object) -> Iterator[object]:
    """Yield every text and number of a fact that is sensitive, as it is.

    Raises:
        Unclassed: a field has no class.
    """
    if isinstance(value, tuple):
        for each in value:
            yield from sensitive_values(each)
    if not isinstance(value, msgspec.Struct):
        return
    classes = CLASSES.get(type(value), {})
    for name in value.__struct_fields__:
        if name not in classes:
            raise Unclassed(f"{type(value).__name__}.{name} has no class")
        inside = getattr(value, name)
        yield from sensitive_values(inside) if classes[name] is Class.PUBLIC else _leaves(inside)


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, tuple):
        for each in value:
            yield from _leaves(each)
    elif value is not None and value != "":
        yield value


class Unclassed(TypeError):
    """A field has no class: it must be given one in CLASSES."""


def redacted(value: T, path: str) -> tuple[T, tuple[str, ...]]:
    """Return `value` without its sensitive parts, and the paths of those that were taken out.

    Raises:
        Unclassed: a field has no class.
    """
    taken: list[str] = []
    return _redacted(value, path, taken), tuple(taken)


def _redacted(value: T, path: str, taken: list[str]) -> T:
    if isinstance(value, tuple):
        return tuple(_redacted(each, f"{path}[{at}]", taken) for at, each in enumerate(value))  # type: ignore[return-value]
    if not isinstance(value, msgspec.Struct):
        return value
    classes = CLASSES.get(type(value), {})
    changes = {}
    for name in value.__struct_fields__:
        if name not in classes:
            raise Unclassed(f"{type(value).__name__}.{name} has no class")
        inside, at = getattr(value, name), f"{path}.{name}"
        changes[name] = _redacted(inside, at, taken) if classes[name] is Class.PUBLIC else _marked(inside, at, taken)
    return msgspec.structs.replace(value, **changes)


def _marked(value: object, path: str, taken: list[str]) -> object:
    """Return the mark that stands in place of `value`; how many a list has is not taken out."""
    if isinstance(value, tuple):
        return tuple(_marked(each, f"{path}[{at}]", taken) for at, each in enumerate(value))
    if value is None:
        return None
    taken.append(path)
    return REDACTED_NUMBER if isinstance(value, int) else REDACTED
