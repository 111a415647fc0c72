"""Tickets and sessions: each ticket opens one session, and nothing that is kept could open another."""

import pytest

from aerodb.control.errors import SessionUnknown, TicketSpent
from aerodb.control.sessions import SESSIONS_A_PERSON_MAX, Sessions
from aerodb.protocol.cluster import Operator, Role

ADA = Operator(name="ada", role=Role.OPERATOR)
BOB = Operator(name="bob", role=Role.AUDITOR)


def test_a_ticket_opens_one_session() -> None:
    """The second use of a ticket opens nothing, and the first session goes on."""
    sessions = Sessions()
    ticket = sessions.ticket(ADA)
    token = sessions.enter(ticket)
    with pytest.raises(TicketSpent):
        sessions.enter(ticket)
    assert sessions.name(token) == "ada"


def test_a_new_ticket_replaces_the_persons_own() -> None:
    """An older ticket of the same person is worth nothing; another person's is untouched."""
    sessions = Sessions()
    old, other, new = sessions.ticket(ADA), sessions.ticket(BOB), sessions.ticket(ADA)
    with pytest.raises(TicketSpent):
        sessions.enter(old)
    assert sessions.name(sessions.enter(other)) == "bob"
    assert sessions.name(sessions.enter(new)) == "ada"


def test_leaving_ends_one_session() -> None:
    """Signing out in one window leaves the other signed in."""
    sessions = Sessions()
    first, second = (sessions.enter(sessions.ticket(ADA)) for _ in range(2))
    sessions.leave(first)
    sessions.leave(first)
    with pytest.raises(SessionUnknown):
        sessions.name(first)
    assert sessions.name(second) == "ada"


def test_sessions_are_bounded() -> None:
    """A person's oldest session ends where they open more than are kept."""
    sessions = Sessions()
    tokens = [sessions.enter(sessions.ticket(ADA)) for _ in range(SESSIONS_A_PERSON_MAX + 1)]
    with pytest.raises(SessionUnknown):
        sessions.name(tokens[0])
    assert {sessions.name(token) for token in tokens[1:]} == {"ada"}


def test_neither_ticket_nor_token_is_kept() -> None:
    """What this process holds opens nothing to whoever reads its memory into a file."""
    sessions = Sessions()
    ticket = sessions.ticket(ADA)
    token = sessions.enter(sessions.ticket(BOB))
    kept = repr(vars(sessions))
    assert ticket not in kept
    assert token not in kept
