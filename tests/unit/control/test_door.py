"""The door of the admin UI over a real log: what is recorded, what happens where it cannot be, and how much is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.record import Record, decode_record
from aerodb.audit.store import Log
from aerodb.control.door import REFUSALS_RECORDED_MAX, REFUSALS_SECONDS, SignIn
from aerodb.control.errors import SessionForeign, SessionNotFound, SessionUnknown, TicketSpent
from aerodb.control.meters import Meters
from aerodb.control.record import Recorder
from aerodb.control.sessions import UNUSED_SECONDS_MAX
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Operator, Role
from aerodb.transport.errors import CallerRefused
from aerodb.transport.peer import PeerProgram
from tests.unit.control.test_sessions import BROWSER, Time
from tests.unit.protocol.authenticator import cluster

OTHER = PeerProgram(account=1000, process=8, begun=80, program="other")
ANA, BEN, CIA = (Operator(name=name, role=role) for name, role in zip(
    ("ana", "ben", "cia"), (Role.OPERATOR, Role.OBSERVER, Role.AUDITOR), strict=True))  # fmt: skip


class Failing(Recorder):
    """A recorder whose log can be made unwritable."""

    full = False

    def signed(self, *words: object, **more: object) -> int:
        """Refuse, where the log is full."""
        if self.full:
            raise AeroError("the log cannot be written")
        return super().signed(*words, **more)  # type: ignore[arg-type]


class Hall:
    """A door, its log and its time."""

    def __init__(self, log: Log) -> None:
        """Build it."""
        self.log, self.time = log, Time()
        configuration = cluster(operators=(ANA, BEN, CIA))
        self.recorder = Failing(log, canonical.encode(configuration), Meters(log))
        self.door = SignIn(self.recorder, self.time)

    def records(self) -> list[Record]:
        """Return every record."""
        return [decode_record(data) for _, data in self.log.records()]

    def events(self) -> list[tuple[str, str, str]]:
        """Return event, person and code of every record."""
        return [(each.event, each.operator, each.code) for each in self.records()]

    def enter(self, person: Operator, peer: PeerProgram | None = BROWSER) -> str:
        """Sign a person in; return the session's token."""
        return self.door.enter(self.door.ticket(person).ticket, peer)


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """Return a door over a new log."""
    log = Log.create(tmp_path / "log", "aerodb.log/cluster-1", Ed25519PrivateKey.generate())
    yield Hall(log)
    log.close()


def test_only_the_program_that_signed_in_goes_on(hall: Hall) -> None:
    """Another process, another account, and another machine are each refused; the first try ends the session."""
    for thief in (OTHER, BROWSER.its_account, PeerProgram(account=0, process=7, begun=70, program="browser"), None):
        token = hall.enter(ANA)
        assert hall.door.visitor(token, BROWSER) == ANA
        with pytest.raises(SessionForeign):
            hall.door.visitor(token, thief)
        with pytest.raises(SessionUnknown):
            hall.door.visitor(token, BROWSER)
        assert [event for event, _, _ in hall.events()[-3:]] == ["signed-in", "refused", "signed-out"]


def test_a_sign_in_that_cannot_be_recorded_does_not_take_place(hall: Hall) -> None:
    """Where the log is full nobody comes in; who is in goes on, and can be put out."""
    inside = hall.enter(ANA)
    hall.recorder.full = True
    with pytest.raises(AeroError):
        hall.enter(ANA)
    assert hall.door.visitor(inside, BROWSER) == ANA
    (line,) = hall.door.listed(ANA).sessions
    assert hall.door.end(ANA, line.session) == line
    with pytest.raises(SessionUnknown):
        hall.door.visitor(inside, BROWSER)


def test_an_end_by_time_is_recorded_once(hall: Hall) -> None:
    """Whoever calls next, for whatever, has the end of all that lapsed recorded."""
    lapsed, going_on = hall.enter(BEN), hall.enter(ANA)
    hall.time.now += UNUSED_SECONDS_MAX / 2
    hall.door.visitor(going_on, BROWSER)
    hall.time.now += UNUSED_SECONDS_MAX / 2 + 1
    for _ in range(2):
        assert hall.door.visitor(going_on, BROWSER) == ANA
    with pytest.raises(SessionUnknown):
        hall.door.visitor(lapsed, BROWSER)
    assert hall.events()[2:] == [("signed-out", "ben", "")]
    assert hall.records()[2].message == "its time was over"


def test_who_sees_and_ends_which_sessions(hall: Hall) -> None:
    """One's own, each role; everyone's, an operator; and who may not is not told whether there is one."""
    tokens = {person.name: hall.enter(person) for person in (ANA, BEN, CIA)}
    names = {person.name: [each.person for each in hall.door.listed(person).sessions] for person in (ANA, BEN, CIA)}
    assert names == {"ana": ["ana", "ben", "cia"], "ben": ["ben"], "cia": ["cia"]}
    by_person = {each.person: each.session for each in hall.door.listed(ANA).sessions}
    for session in (by_person["ana"], by_person["cia"], "none"):
        with pytest.raises(CallerRefused):
            hall.door.end(BEN, session)
    with pytest.raises(SessionNotFound):
        hall.door.end(ANA, "none")
    assert hall.door.end(BEN, by_person["ben"]).person == "ben"
    assert hall.door.end(ANA, by_person["cia"]).person == "cia"
    assert hall.door.visitor(tokens["ana"], BROWSER) == ANA


def test_strangers_cannot_fill_the_log(hall: Hall) -> None:
    """So many refusals an hour are recorded; the next record after that says how many were not."""
    for _ in range(REFUSALS_RECORDED_MAX + 25):
        with pytest.raises(TicketSpent):
            hall.door.enter("made up", OTHER)
    assert len(hall.records()) == REFUSALS_RECORDED_MAX
    hall.time.now += REFUSALS_SECONDS + 1
    with pytest.raises(TicketSpent):
        hall.door.enter("made up", OTHER)
    assert hall.records()[-1].message.endswith("(25 refusals before it were not recorded)")


def test_a_ticket_shown_by_a_second_program_ends_the_session(hall: Hall) -> None:
    """The first program's session ends, since one of the two is a thief; shown twice by one program it goes on."""
    ticket = hall.door.ticket(ANA).ticket
    token = hall.door.enter(ticket, BROWSER)
    with pytest.raises(TicketSpent):
        hall.door.enter(ticket, BROWSER)
    assert hall.door.visitor(token, BROWSER) == ANA
    with pytest.raises(TicketSpent):
        hall.door.enter(ticket, OTHER)
    with pytest.raises(SessionUnknown):
        hall.door.visitor(token, BROWSER)
    assert hall.events() == [
        ("signed-in", "ana", ""),
        ("refused", "ana", "control.ticket-spent"),
        ("refused", "ana", "control.ticket-spent"),
        ("signed-out", "ana", ""),
    ]
