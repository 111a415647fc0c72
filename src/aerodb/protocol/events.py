"""What an agent sees change on its own node, and the pages in which it hands that out.

Events are observations for people. Nothing is decided by them; the clock in them is shown and never trusted.
Pure: no I/O, no clock.
"""

from enum import StrEnum
from typing import ClassVar

import msgspec

from aerodb.protocol.facts import Facts
from aerodb.protocol.formats import Format
from aerodb.protocol.lags import LagSample
from aerodb.protocol.lsn import Lsn


class Kind(StrEnum):
    """What changed. The first group is the agent's own standing, the second its PostgreSQL, the third its journals."""

    ROLE = "role"
    PLEDGED = "pledged"
    GRANTED = "granted"
    UPSTREAM = "upstream"
    HALTED = "halted"
    STATE = "state"
    RECOVERY = "recovery"
    TERM = "term"
    TIMELINE = "timeline"
    FOLDER = "folder"
    RECEIVER = "receiver"
    SENDER = "sender"
    RESTART = "restart"
    CRASH_RECOVERY = "crash recovery"
    SETTING = "setting"
    DRIFT = "drift"
    SLOT = "slot"
    REQUEST = "request"
    GAP = "gap"


STRANGER_AT = " at "
"""What stands before the address of a receiver that is no member, in the subject of what is said of it."""
RUNS_AS = "PostgreSQL"
"""The subject of the role of a node that is only watched: it stands for nothing, and PostgreSQL runs as something."""
OBSERVER_FAILED = "observer failed"
"""The subject of a gap in which the observer itself failed; `after` then says how."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What a running PostgreSQL says of itself beyond its facts, for events alone.

    `started` is when its postmaster started, `engine` when its checkpointer did (later, if PostgreSQL recovered from a
    crash by itself); `settings` are the watched ones without secrets; `slots` tells why each slot is invalid ("": it
    is not). `receiver_lag_bytes` is what a receiver knows that its upstream has and it has not flushed,
    `unreplayed_bytes` what it has received and not replayed (None: no receiver, no standby).
    """

    started: str
    engine: str
    settings: dict[str, str]
    slots: dict[str, str]
    receiver_lag_bytes: int | None = None
    unreplayed_bytes: int | None = None


class JournalMark(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the agent's journal of requests: `result` is empty where a request was begun."""

    request: str
    result: str


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """One look: the facts, or why there are none; what PostgreSQL said beyond them; the journal's steps so far."""

    facts: Facts | None
    failure: str
    trace: Trace | None
    journal: tuple[JournalMark, ...]


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change: of what (`subject`: a node, a setting, a slot, a request; else empty), from what, to what."""

    kind: Kind
    subject: str = ""
    before: str = ""
    after: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change, where it was seen. A gap names in `before` and `after` the sequences between which nothing is known.

    `sequence` rises by one for ever, on one node. `term` and `lsn` are the node's WAL position at that look (None:
    unknown), `writing` whether its PostgreSQL was out of recovery and running then; `entries` counts the requests in
    its journal. `at` is RFC 3339 in UTC as the clock that `clock` names showed it.
    """

    FORMAT: ClassVar[Format] = Format(kind="journal event")

    sequence: int
    node: str
    kind: Kind
    subject: str
    before: str
    after: str
    term: int | None
    lsn: Lsn | None
    writing: bool
    entries: int
    at: str
    clock: str


class Lost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sequences that the journal once gave out and does not hold: rotated away, damaged, or never written."""

    first: int
    last: int


class EventPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events of one node, rising. `last` is the newest sequence of all; `lost` is what is missing in this page.

    `lags` are the samples of the standbys' lag that the agent holds, rising, whatever page this is.
    """

    node: str
    last: int
    lost: tuple[Lost, ...]
    events: tuple[Event, ...]
    lags: tuple[LagSample, ...] = ()
