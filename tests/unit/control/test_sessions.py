"""Tickets and sessions: each ticket opens one session, for one program, for a time; nothing kept opens another."""

import pytest

from aerodb.control.errors import SessionUnknown, TicketSpent
from aerodb.control.sessions import (
    SESSION_SECONDS_MAX,
    SESSIONS_A_PERSON_MAX,
    TICKET_SECONDS,
    UNUSED_SECONDS_MAX,
    Sessions,
)
from aerodb.transport.peer import PeerProgram

BROWSER = PeerProgram(account=1000, process=7, begun=70, program="browser")


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def test_a_ticket_opens_one_session() -> None:
    """The second use of a ticket opens nothing and says who used it first; the first session goes on."""
    sessions = Sessions()
    ticket = sessions.ticket("ada")
    assert sessions.asker(ticket) == sessions.asker(ticket) == "ada"
    token, session = sessions.enter(ticket, BROWSER)
    with pytest.raises(TicketSpent, match=r"process 7 \(browser\) of account 1000") as error:
        sessions.enter(ticket, BROWSER)
    assert session.id in error.value.message
    with pytest.raises(TicketSpent):
        sessions.asker(ticket)
    assert sessions.of(token) is session


def test_a_new_ticket_replaces_the_persons_own() -> None:
    """An older ticket of the same person is worth nothing; another person's is untouched."""
    sessions = Sessions()
    old, other, new = (sessions.ticket(name) for name in ("ada", "bob", "ada"))
    with pytest.raises(TicketSpent):
        sessions.enter(old, None)
    assert sessions.enter(other, None)[1].person == "bob"
    assert sessions.enter(new, None)[1].person == "ada"


def test_a_ticket_lapses() -> None:
    """A ticket that was not used in time opens nothing."""
    time = Time()
    sessions = Sessions(time)
    ticket = sessions.ticket("ada")
    time.now += TICKET_SECONDS + 1
    with pytest.raises(TicketSpent):
        sessions.enter(ticket, BROWSER)


@pytest.mark.parametrize("step", [UNUSED_SECONDS_MAX + 1, UNUSED_SECONDS_MAX - 1], ids=["unused", "used all the time"])
def test_a_session_ends_by_time(step: float) -> None:
    """A session ends when nobody used it for long, and at the latest after its whole time; what ends is told once."""
    time = Time()
    sessions = Sessions(time)
    token, session = sessions.enter(sessions.ticket("ada"), BROWSER)
    for _ in range(int(SESSION_SECONDS_MAX // step) + 1):
        sessions.used(sessions.of(token))
        time.now += step
        if step > UNUSED_SECONDS_MAX:
            break
    with pytest.raises(SessionUnknown):
        sessions.of(token)
    assert sessions.all() == []
    assert [each.id for ended in sessions.swept() for each in ended.sessions] == [session.id]
    assert [each.id for ended in sessions.swept() for each in ended.sessions] == []


def test_ending_one_session_leaves_the_other() -> None:
    """Whoever ends a session first is told which it was; the other window stays signed in."""
    sessions = Sessions()
    (first, one), (second, _) = (sessions.enter(sessions.ticket("ada"), BROWSER) for _ in range(2))
    assert sessions.end(one.id) is one
    assert sessions.end(one.id) is None
    with pytest.raises(SessionUnknown):
        sessions.of(first)
    assert sessions.of(second).person == "ada"


def test_sessions_are_bounded() -> None:
    """A person's oldest session ends where they open more than are kept."""
    sessions = Sessions()
    tokens = [sessions.enter(sessions.ticket("ada"), BROWSER)[0] for _ in range(SESSIONS_A_PERSON_MAX + 1)]
    assert sum(len(ended.sessions) for ended in sessions.swept()) == 1
    with pytest.raises(SessionUnknown):
        sessions.of(tokens[0])
    assert {sessions.of(token).person for token in tokens[1:]} == {"ada"}


def test_neither_ticket_nor_token_is_kept() -> None:
    """What this process holds opens nothing to whoever reads its memory into a file."""
    sessions = Sessions()
    ticket = sessions.ticket("ada")
    token, _ = sessions.enter(sessions.ticket("bob"), BROWSER)
    kept = repr(vars(sessions))
    assert ticket not in kept
    assert token not in kept
