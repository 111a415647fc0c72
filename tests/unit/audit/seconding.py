"""Logs that lie of a second person: each is signed by the log's key, and holds less than two people's word."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from aerodb.audit import findings as part
from aerodb.audit.record import LaterRecord, Record, RecordOne, read_record
from aerodb.audit.trust import Trust
from aerodb.protocol.change import Change
from aerodb.protocol.cluster import Cluster, Role
from aerodb.protocol.plan import Second
from aerodb.protocol.sshsig import sign_with_key
from tests.unit.audit.forging import STRANGER, Forged, Forgery
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE, ask, ask_for_seconds, change, confirm, second_person, sign_first

REVOKING, RULE, STOPPING, DROPPING, END = 0, 6, 12, 16, 20
"""The numbers of the records at which the requests begin; of the first two there are two each, on n1 and on n3."""
FIRST, BOTH, OUTCOME = STOPPING + 1, STOPPING + 2, STOPPING + 3


@dataclass
class Seconded(Forged):
    """The content of a log in which a second person was asked for: with all the versions of its configuration."""

    versions: tuple[Cluster, ...] = ()
    people: dict[str, Any] = field(default_factory=dict)

    @property
    def trust(self) -> Trust:
        """Return trust in all the versions."""
        return Trust(clusters=tuple(reversed(self.versions)))

    def copy(self) -> "Seconded":
        """Return the same content, to be changed."""
        return Seconded(
            self.cluster, self.log_key, self.keys, self.operator, list(self.records), dict(self.blobs),
            versions=self.versions, people=self.people,
        )  # fmt: skip

    def by(self, name: str, key: str = "", at: int = STOPPING) -> Second:
        """Return somebody's second signature of the plan of a record, by their own key or another's."""
        private = STRANGER if key == "stranger" else self.people[key or name]
        return Second(operator=name, signature=sign_with_key(private, self.blobs[self.records[at].plan]))


def lived(room: MemoryCluster) -> None:
    """Revoke dora, ask for a second person to run anything, have two stop a node, and have two drop the rule."""
    revoking = change(room, "n1", Change(kind="revoke", name="dora", before="operator", after="revoked"))
    for node in ("n1", "n3"):
        assert confirm(room, ask(room, replace(revoking, target=node))).result == "executed"
    ask_for_seconds(room)
    for asked in (None, change(room, "n1", second_person("running", asked=False))):
        planned = ask(room) if asked is None else ask(room, asked)
        sign_first(room, planned)
        assert confirm(room, planned, "bob").result == "executed"


def seconded(folder: Path) -> Seconded:
    """Return the content of a log in which everything holds."""
    room = MemoryCluster(folder, {**PEOPLE, "dora": Role.OPERATOR})
    try:
        lived(room)
        records = [read_record(data) for _, data in room.log.records()]
        made = Seconded(
            room.cluster, room.log_key, room.keys, room.people["alice"], records, dict(room.log.blobs()),
            versions=room.plane._recorder.versions.chain.versions, people=room.people,
        )  # fmt: skip
    finally:
        room.close()
    assert len(records) == END
    return made


def as_one(record: Record) -> RecordOne:
    """Return what a record says, as version 1 can say it."""
    said = asdict(record)
    return RecordOne(**{name: said[name] for name in RecordOne.__struct_fields__})


def as_later(record: Record, **changes: Any) -> LaterRecord:
    """Return what a record says, as version 2 says it, changed."""
    return LaterRecord(**{**{name: getattr(record, name) for name in RecordOne.__struct_fields__}, **changes})


def _second(name: str, key: str = "", at: int = STOPPING) -> Callable[[Forged], None]:
    def make(log: Forged) -> None:
        assert isinstance(log, Seconded)
        log.change(BOTH, second=log.by(name, key, at))

    return make


def _dropped(log: Forged) -> None:
    log.records[BOTH] = as_one(log.records[BOTH])


def _unasked_first(log: Forged) -> None:
    log.records.insert(REVOKING + 1, as_later(log.records[REVOKING + 1], event="signed"))


def _unasked_second(log: Forged) -> None:
    assert isinstance(log, Seconded)
    log.records[REVOKING + 1] = as_later(log.records[REVOKING + 1], second=log.by("bob", at=REVOKING))


def _needless(log: Forged) -> None:
    log.records[OUTCOME] = as_later(log.records[OUTCOME])


def _twice(log: Forged) -> None:
    log.records.insert(BOTH, log.records[FIRST])


def _first_with_both(log: Forged) -> None:
    assert isinstance(log, Seconded)
    log.change(FIRST, second=log.by("bob"))


def _by_another_first(log: Forged) -> None:
    assert isinstance(log, Seconded)
    log.change(FIRST, signature=log.by("bob").signature)


SECOND_FORGERIES = (
    Forgery("no second signature", _dropped, BOTH, part.SECOND),
    Forgery("no second signature, in version 2", lambda log: log.change(BOTH, second=None), BOTH, part.SECOND),
    Forgery("the requester's own twice", _second("alice"), BOTH, part.SECOND),
    Forgery("the requester's own in another's name", _second("bob", "alice"), BOTH, part.SECOND),
    Forgery("the second's in the requester's name", _second("alice", "bob"), BOTH, part.SECOND),
    Forgery("a second by a stranger's key", _second("bob", "stranger"), BOTH, part.SECOND),
    Forgery("a second by an unenrolled name", _second("mallory", "stranger"), BOTH, part.SECOND),
    Forgery("a second by an auditor", _second("carol"), BOTH, part.SECOND),
    Forgery("a second by one who is revoked", _second("dora"), BOTH, part.SECOND),
    Forgery("a second of another plan", _second("bob", at=DROPPING), BOTH, part.SECOND),
    Forgery("a second's touch that was none", lambda log: log.change(BOTH, second_touch=True), BOTH, part.SECOND),
    Forgery("a second before the first", lambda log: log.records.__delitem__(FIRST), FIRST, part.SECOND),
    Forgery("another first signature", lambda log: log.change(FIRST, signature="x"), BOTH, part.SECOND),
    Forgery("a first signature by somebody else", _by_another_first, FIRST, part.CONFIRMATION),
    Forgery("a first signature that nobody asked for", _unasked_first, REVOKING + 1, part.CONFIRMATION),
    Forgery("a second signature that nobody asked for", _unasked_second, REVOKING + 1, part.SECOND),
    Forgery("a later form that says nothing", _needless, OUTCOME, part.FORM),
    Forgery("a first signature that holds both", _first_with_both, FIRST, part.FORM),
    Forgery("a first signature twice", _twice, BOTH, part.ORDER),
    Forgery("an outcome of one signature", lambda log: log.records.__delitem__(BOTH), BOTH, part.ORDER),
    Forgery("a touch of the first that was none", lambda log: log.change(FIRST, touch=True), FIRST, part.CONFIRMATION),
)
"""Each with the record that the judge must name, and the part of it."""
