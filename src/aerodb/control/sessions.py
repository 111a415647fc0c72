"""Signing in to the admin UI without a password: a ticket that works once, and the session that it opens.

- A ticket is given only to a person whom their certificate named; a newer one replaces it, and it lapses.
- Only the hashes of tickets and sessions are kept, in memory alone: they die with this process.
- A session is bound to the program that opened it, by the kernel's word: to any other its cookie is worthless.
- It ends by hand, after a time unused, and after a time at all; which is found when anybody next calls.
- A ticket that is shown again by another program ends the session that it opened: one of the two is a thief.
- A session says who, never what they may do: that is looked up in the configuration at every call.

Source of the rule of the ticket that is shown again: RFC 6749, section 4.1.2.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aerodb.control.errors import SessionUnknown, TicketSpent
from aerodb.transport.peer import PeerProgram

SESSIONS_A_PERSON_MAX = 16
TICKET_SECONDS = 300
SESSION_SECONDS_MAX = 12 * 3_600
UNUSED_SECONDS_MAX = 3_600
_TOKEN_BYTES = 32
_ID_BYTES = 4
Clock = Callable[[], float]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(kw_only=True)
class WebSession:
    """One person's session: who, bound to whom (None: to nobody on this machine), and the times of its life."""

    id: str
    person: str
    peer: PeerProgram | None
    begun: float
    used: float

    @property
    def came_from(self) -> str:
        """Return who opened it, as people read it."""
        return said_of(self.peer)


@dataclass(kw_only=True)
class _Ticket:
    person: str
    made: float
    opened: WebSession | None = None


@dataclass(kw_only=True)
class SessionEnded:
    """Sessions that ended, and why."""

    why: str
    sessions: list[WebSession] = field(default_factory=list)


def said_of(peer: PeerProgram | None) -> str:
    """Return who shows something, as people read it."""
    return "another machine" if peer is None else str(peer)


class Sessions:
    """The tickets and the sessions of one control plane."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        """Begin with nobody signed in; `clock` gives seconds that only rise."""
        self._clock = clock
        self._lock = threading.Lock()
        self._tickets: dict[str, _Ticket] = {}
        self._sessions: dict[str, WebSession] = {}

    # Signing in -------------------------------------------------------------------------------------------------------

    def ticket(self, person: str) -> str:
        """Return a ticket for `person`; an older one of theirs is worth nothing from now on."""
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock()
        with self._lock:
            self._tickets = {
                key: each
                for key, each in self._tickets.items()
                if (each.person != person or each.opened) and now - each.made <= TICKET_SECONDS
            }
            self._tickets[_hash(token)] = _Ticket(person=person, made=now)
        return token

    def asker(self, ticket: str) -> str:
        """Return whom a ticket would sign in; it is not spent by this.

        Raises:
            TicketSpent: nobody.
        """
        with self._lock:
            return self._good(ticket).person

    def _good(self, ticket: str) -> _Ticket:
        found = self._tickets.get(_hash(ticket))
        if found is None or self._clock() - found.made > TICKET_SECONDS:
            raise TicketSpent("it was replaced by a newer one, its time is over, or the control plane began anew")
        if found.opened is not None:
            one = found.opened
            raise TicketSpent(f"{one.came_from} used it before; that was not you? End it: aerodb web --end {one.id}")
        return found

    def enter(self, ticket: str, peer: PeerProgram | None) -> tuple[str, WebSession]:
        """Spend a ticket; return the token of the session that it opens to `peer`, and the session.

        Raises:
            TicketSpent: it is none, was used, was replaced, or its time is over.
        """
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock()
        with self._lock:
            found = self._good(ticket)
            session = WebSession(id=secrets.token_hex(_ID_BYTES), person=found.person, peer=peer, begun=now, used=now)
            found.opened = session
            self._sessions[_hash(token)] = session
        return token, session

    def opened_by(self, ticket: str) -> WebSession | None:
        """Return the session that a ticket opened, while the ticket is remembered."""
        with self._lock:
            found = self._tickets.get(_hash(ticket))
            return found.opened if found else None

    # Being signed in --------------------------------------------------------------------------------------------------

    def of(self, token: str) -> WebSession:
        """Return the session of a token, whoever shows it.

        Raises:
            SessionUnknown: it is nobody's, or has ended.
        """
        with self._lock:
            found = self._sessions.get(_hash(token))
        if found is None or self._over(found):
            raise SessionUnknown("nobody is signed in here, or the session has ended")
        return found

    def used(self, session: WebSession) -> None:
        """Note that its own person uses a session now."""
        session.used = self._clock()

    def _over(self, session: WebSession) -> bool:
        now = self._clock()
        return now - session.begun > SESSION_SECONDS_MAX or now - session.used > UNUSED_SECONDS_MAX

    def all(self) -> list[WebSession]:
        """Return every session that goes on, the oldest first."""
        with self._lock:
            return [each for each in self._sessions.values() if not self._over(each)]

    def seconds_left(self, session: WebSession) -> tuple[int, int]:
        """Return after how many seconds a session ends, where it is not used, and at the latest."""
        now = self._clock()
        return int(session.used + UNUSED_SECONDS_MAX - now), int(session.begun + SESSION_SECONDS_MAX - now)

    # Ending -----------------------------------------------------------------------------------------------------------

    def end(self, session: str) -> WebSession | None:
        """End the session of that id, and return it; None where there is none."""
        return next(iter(self._ended(lambda each: each.id == session)), None)

    def swept(self) -> list[SessionEnded]:
        """Forget the sessions whose time is over, and the oldest ones of who has too many; return them."""
        late = SessionEnded(why="its time was over", sessions=self._ended(self._over))
        with self._lock:
            everyone = list(self._sessions.values())
        mine: dict[str, list[WebSession]] = {}
        for each in everyone:
            mine.setdefault(each.person, []).append(each)
        excess = {one.id for each in mine.values() for one in each[: max(0, len(each) - SESSIONS_A_PERSON_MAX)]}
        many = SessionEnded(why="newer ones took its place", sessions=self._ended(lambda each: each.id in excess))
        return [late, many]

    def _ended(self, which: Callable[[WebSession], bool]) -> list[WebSession]:
        with self._lock:
            found = {key: each for key, each in self._sessions.items() if which(each)}
            for key in found:
                del self._sessions[key]
        return list(found.values())
