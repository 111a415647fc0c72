"""One record of the audit log: what was asked, answered, confirmed, or came of it.

A record is its canonical bytes; the tree is over exactly those. Version 1 is what release 0.1.0 wrote, byte for byte.
Only a record that says something new is of a later version: of a second person of version 2, of the turn of a request
that comes after another one of version 3. Pure: no I/O, no clock.
"""

from functools import lru_cache
from typing import Any, ClassVar, Literal

import msgspec

from aerodb.errors import AeroError
from aerodb.protocol import canonical, formats
from aerodb.protocol.formats import Format
from aerodb.protocol.plan import Request, Second
from aerodb.protocol.signed import Signed

RECORD_BYTES_MAX = 65_535
MESSAGE_CHARACTERS_MAX = 4_000
"""How much of an outcome's or a refusal's message is recorded."""

RecordEventOne = Literal[
    "requested",
    "rejected",
    "refused",
    "confirmed",
    "outcome",
    "established",
    "endorsed",
    "read",
    "declined",
    "lapsed",
    "signed-in",
    "signed-out",
]
"""The events of version 1."""

RecordEventTwo = Literal[RecordEventOne, "signed"]
"""The events of version 2: "signed" is of a requester's confirmation that awaits a second person's."""

RecordEvent = Literal[RecordEventTwo, "triggered"]
"""All events: "triggered" is of a request that comes after another one, which its node has just executed."""


class RecordTooLarge(AeroError):
    """The record's canonical bytes are more than a record may have."""

    code = "control.record-too-large"
    status = 413
    title = "The record is too large for the audit log"


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record, of whichever version. What does not apply to its event is empty.

    `at` is RFC 3339 in UTC, as read from the clock that `clock` names; order is the log's own, never `at`'s.
    `plan`, `snapshot` and `endorsement` are digests of blobs in the log; `signature` is the operator's confirmation of
    the plan, or their armored SSH signature over the endorsement, and `touch` whether it shows that a security key or
    an authenticator was touched; `configuration` is the digest of the cluster's configuration. `late` is the digest of
    the blob with what the target's peers said after the confirmation, as the order carried it. `request` is empty where
    the record is about a person and no request: of a sensitive read, `arguments` say what was read; of signing
    in and out, which session, and which program opened it.
    """

    kind: Literal["record"] = "record"
    event: RecordEvent
    at: str
    clock: str
    request: str
    operator: str
    action: str = ""
    target: str = ""
    arguments: dict[str, str] = msgspec.field(default_factory=dict)
    reason: str = ""
    configuration: str = ""
    plan: str = ""
    snapshot: str = ""
    late: str = ""
    endorsement: str = ""
    signature: str = ""
    touch: bool = False
    result: str = ""
    code: str = ""
    message: str = ""
    invariants: tuple[str, ...] = ()
    outcome: Signed | None = None

    @property
    def seconded(self) -> Second | None:
        """Return the second person's confirmation; None where none is recorded, as in all of version 1."""
        return None

    @property
    def second_touched(self) -> bool:
        """Tell whether it shows that the second person's security key or authenticator was touched."""
        return False

    @property
    def people(self) -> str:
        """Return who asked, and who signed as the second person where that is recorded, for people."""
        return self.operator if self.seconded is None else f"{self.operator} and {self.seconded.operator}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the digests of the blobs without which this record could not be judged again."""
        rests = (self.plan, self.snapshot, self.endorsement) if self.event in _RESTING else ()
        return tuple(digest for digest in (*rests, self.late) if digest)

    @property
    def asked(self) -> Request:
        """Return the request that this record is about."""
        return Request(
            id=self.request, action=self.action, target=self.target, arguments=self.arguments,
            operator=self.operator, reason=self.reason,
        )  # fmt: skip


class RecordOne(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record. What does not apply to its event is empty."""

    FORMAT: ClassVar[Format] = Format(kind="record")

    event: RecordEventOne


def _as_it_is(first: RecordOne) -> RecordOne:
    """Return a record of version 1: it stays what it is, since its bytes are a leaf of the log."""
    return first


class LaterRecord(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record that says something of a second person: that one is awaited, or how they confirmed.

    `second` is their confirmation, and `second_touch` whether it shows that a security key or an authenticator was
    touched. `signature` is the requester's, who signed first.
    """

    FORMAT: ClassVar[Format] = Format(kind="record", version=2, earlier=RecordOne, lifted=_as_it_is)

    event: RecordEventTwo
    format: Literal[2] = 2
    second: Second | None = None
    second_touch: bool = False

    @property
    def seconded(self) -> Second | None:
        """Return the second person's confirmation."""
        return self.second

    @property
    def second_touched(self) -> bool:
        """Tell whether it shows a touch."""
        return self.second_touch


def _later_as_it_is(later: LaterRecord) -> LaterRecord:
    """Return a record of an earlier version: it stays what it is, since its bytes are a leaf of the log."""
    return later


class TurnRecord(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record that a request's turn has come: the one before it was executed.

    `outcome` is what the earlier request's node has signed of that one; `plan` names the plan of this one.
    """

    FORMAT: ClassVar[Format] = Format(kind="record", version=3, earlier=LaterRecord, lifted=_later_as_it_is)

    event: Literal["triggered"]
    format: Literal[3] = 3


_RESTING = frozenset({"requested", "rejected", "signed", "confirmed", "endorsed"})
"""The events whose records name what they rest on."""


_ALWAYS = ("kind", "format", "event", "at", "clock", "request", "operator", "configuration")
_WORDS = ("action", "target", "arguments", "reason")
_MORE: dict[RecordEvent, tuple[str, ...]] = {
    "requested": (*_WORDS, "plan", "snapshot", "invariants"),
    "rejected": (*_WORDS, "plan", "snapshot", "invariants"),
    "refused": (*_WORDS, "plan", "result", "code", "message", "invariants"),
    "signed": (*_WORDS, "plan", "snapshot", "signature", "touch"),
    "confirmed": (*_WORDS, "plan", "snapshot", "signature", "touch", "second", "second_touch"),
    "triggered": (*_WORDS, "plan", "outcome"),
    "outcome": (*_WORDS, "plan", "late", "result", "code", "message", "outcome"),
    "established": (*_WORDS, "plan", "late", "result", "code", "message", "outcome"),
    "endorsed": ("endorsement", "signature", "touch"),
    "read": ("arguments", "snapshot"),
    "declined": (*_WORDS, "plan"),
    "lapsed": (*_WORDS, "plan", "message"),
    "signed-in": ("arguments",),
    "signed-out": ("arguments", "message"),
}
"""What a record of each event may say beside what every record says."""


def out_of_place(record: Record) -> tuple[str, ...]:
    """Return the fields that a record has, and that say nothing in a record of its event.

    So is the number of version 2 in one that says nothing new.
    """
    bare = type(record)(event=record.event, at="", clock="", request="", operator="")
    others = set(record.__struct_fields__) - {*_ALWAYS, *_MORE[record.event]}
    found = {name for name in others if getattr(record, name) != getattr(bare, name)}
    later = isinstance(record, LaterRecord)
    needless = {"format"} if later and record.event != "signed" and record.seconded is None else set()
    return tuple(sorted(found | needless))


def encode_record(record: Record) -> bytes:
    """Return the bytes of `record` as they stand in the log.

    Raises:
        RecordTooLarge: they are more than `RECORD_BYTES_MAX`.
        NotCanonical: a text is not NFC.
    """
    data = canonical.encode(record)
    if len(data) > RECORD_BYTES_MAX:
        raise RecordTooLarge(f"the record has {len(data)} bytes; at most {RECORD_BYTES_MAX} are kept")
    return data


def decode_record(data: bytes) -> Record:
    """Return the record that `data` are the bytes of.

    Raises:
        RecordTooLarge: they are more than `RECORD_BYTES_MAX`.
        NotCanonical: they are not the canonical form of a record.
    """
    if len(data) > RECORD_BYTES_MAX:
        raise RecordTooLarge(f"the record has {len(data)} bytes; at most {RECORD_BYTES_MAX} are kept")
    return canonical.decode(data, TurnRecord)


def read_record(data: bytes) -> Record:
    """Return the record that `data` are, which were read from a log that checked them; the form is not checked again.

    Raises:
        msgspec.DecodeError: they are none.
        MadeLater: they are a later version's.
    """
    return formats.read(data, TurnRecord, _read)


def _read(data: bytes, kind: Any) -> Any:
    return _decoder_of(kind).decode(data)


@lru_cache(maxsize=8)
def _decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
