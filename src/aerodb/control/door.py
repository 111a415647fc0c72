"""The door of the admin UI: who comes in, who is in, and who goes out; each of them a record.

- A sign-in that cannot be recorded does not take place; a session ends whether that can be recorded or not.
- Who shows another program's cookie gets nothing, and the session ends: its cookie is known to others.
- Strangers could fill the log with refusals: so many an hour are recorded, and the next record counts the others.
- A session that ends by its time is recorded when somebody next signs in, calls or looks; one that ends with this
  process is not.
"""

import threading
import time
from contextlib import suppress

from aerodb.control.errors import SessionForeign, SessionNotFound, TicketSpent
from aerodb.control.record import Recorder
from aerodb.control.roles import ALLOWED, Right, person_of, require
from aerodb.control.sessions import TICKET_SECONDS, Clock, Sessions, WebSession, said_of
from aerodb.errors import AeroError
from aerodb.protocol.api import SessionLine, SignedIn, Ticket
from aerodb.protocol.cluster import Operator
from aerodb.protocol.plan import Request
from aerodb.transport.peer import PeerProgram
from aerodb.transport.tls import Caller

REFUSALS_RECORDED_MAX = 60
REFUSALS_SECONDS = 3_600


class _Bound:
    """So many in so long; whatever is more is counted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun, self._done, self.dropped = clock(), 0, 0

    def let(self) -> bool:
        """Tell whether one more may be; else count it."""
        now = self._clock()
        if now - self._begun > REFUSALS_SECONDS:
            self._begun, self._done = now, 0
        self._done += 1
        if self._done > REFUSALS_RECORDED_MAX:
            self.dropped += 1
            return False
        return True

    def taken(self) -> int:
        """Return how many were dropped, and count anew."""
        dropped, self.dropped = self.dropped, 0
        return dropped


class SignIn:
    """The sessions of one control plane's admin UI, with everything that is recorded of them."""

    def __init__(self, recorder: Recorder, clock: Clock = time.monotonic) -> None:
        """Begin with nobody signed in; `clock` gives seconds that only rise."""
        self._recorder, self._sessions = recorder, Sessions(clock)
        self._lock = threading.Lock()
        self._in_order = threading.Lock()
        self._bound = _Bound(clock)

    # In ---------------------------------------------------------------------------------------------------------------

    def ticket(self, person: Operator) -> Ticket:
        """Return a ticket with which `person` signs in, once.

        Raises:
            CallerRefused: they may not.
        """
        require(person, Right.SIGN_IN)
        return Ticket(ticket=self._sessions.ticket(person.name), seconds=TICKET_SECONDS)

    def asker(self, ticket: str) -> str:
        """Return whom a ticket would sign in; it is not spent by this.

        Raises:
            TicketSpent: nobody.
        """
        return self._sessions.asker(ticket)

    def enter(self, ticket: str, peer: PeerProgram | None) -> str:
        """Spend a ticket; return the token of the session that it opens to the program that shows it.

        Raises:
            TicketSpent: it opens none.
            LogUnavailable: the sign-in cannot be recorded, and so does not take place; the ticket is spent.
        """
        try:
            token = self._entered(ticket, peer)
        except TicketSpent as error:
            self._turned_away(ticket, peer, error)
            raise
        self._sweep()
        return token

    def _entered(self, ticket: str, peer: PeerProgram | None) -> str:
        """Open a session and record it, before anybody can end it: the log has each begin before its end."""
        with self._in_order:
            token, session = self._sessions.enter(ticket, peer)
            try:
                self._recorder.signed(session.person, "in", _about(session))
            except AeroError:
                self._sessions.end(session.id)
                raise
            return token

    def _turned_away(self, ticket: str, peer: PeerProgram | None, error: AeroError) -> None:
        """Record who showed a ticket that opens nothing; one that somebody else used before ends what it opened."""
        opened = self._sessions.opened_by(ticket)
        self._refused(opened.person if opened else "", f"{said_of(peer)} showed a ticket: {error.message}", error)
        if opened is not None and opened.peer != peer:
            self._end(opened, f"{said_of(peer)} showed its ticket too, so one of the two should not have had it")

    # Inside -----------------------------------------------------------------------------------------------------------

    def visitor(self, token: str, peer: PeerProgram | None) -> Operator:
        """Return the enrolled person whose session `peer` shows the token of.

        Raises:
            SessionUnknown: it is nobody's, or has ended.
            SessionForeign: another program opened it; it has ended now.
            CallerUnknown, CallerRevoked: the person is not enrolled, or no more.
        """
        self._sweep()
        session = self._sessions.of(token)
        if session.peer != peer:
            error = SessionForeign("only the program that signed in can go on: sign in anew")
            why = f"{said_of(peer)} showed the cookie of {session.came_from}"
            self._refused(session.person, why, error)
            self._end(session, why)
            raise error
        self._sessions.used(session)
        return person_of(self._recorder.versions.newest, Caller(name=session.person, kind="person"))

    def listed(self, person: Operator) -> SignedIn:
        """Return the sessions that a person may see: their own, or everyone's.

        Raises:
            CallerRefused: they may have none.
        """
        require(person, Right.SIGN_IN)
        self._sweep()
        everyone = Right.END_SESSIONS in ALLOWED[person.role]
        return SignedIn(
            sessions=tuple(self._line(each) for each in self._sessions.all() if everyone or each.person == person.name)
        )

    def _line(self, session: WebSession) -> SessionLine:
        unused, left = self._sessions.seconds_left(session)
        return SessionLine(
            session=session.id, person=session.person, came_from=session.came_from, unused_seconds_left=unused,
            seconds_left=left,
        )  # fmt: skip

    # Out --------------------------------------------------------------------------------------------------------------

    def leave(self, token: str) -> None:
        """Sign a person out, whose call `visitor` has just let in.

        Raises:
            SessionUnknown: it has ended meanwhile.
        """
        self._end(self._sessions.of(token), "signed out")

    def end(self, person: Operator, session: str) -> SessionLine:
        """End a session of the person's own, or of somebody else's where they may.

        Raises:
            CallerRefused: it is not theirs, and they may not.
            SessionNotFound: there is none.
        """
        found = next((each for each in self._sessions.all() if each.id == session), None)
        if found is None or found.person != person.name:
            require(person, Right.END_SESSIONS)
        if found is None:
            raise SessionNotFound(f"no session {session!r} goes on", field="session")
        self._end(found, f"ended by {person.name}")
        return self._line(found)

    def _sweep(self) -> None:
        for ended in self._sessions.swept():
            for session in ended.sessions:
                self._record_end(session, ended.why)

    def _end(self, session: WebSession, why: str) -> None:
        """End a session; whoever ends it first is the one who records it."""
        with self._in_order:
            ended = self._sessions.end(session.id)
        if ended is not None:
            self._record_end(session, why)

    def _record_end(self, session: WebSession, why: str) -> None:
        with suppress(AeroError):
            self._recorder.signed(session.person, "out", _about(session), why)

    def _refused(self, person: str, why: str, error: AeroError) -> None:
        with self._lock:
            if not self._bound.let():
                return
            dropped = self._bound.taken()
        more = f" ({dropped} refusals before it were not recorded)" if dropped else ""
        with suppress(AeroError):
            asked = Request(id="", action="", target="", arguments={}, operator=person, reason="")
            self._recorder.refused(asked, error, message=f"{why}{more}")


def _about(session: WebSession) -> dict[str, str]:
    return {"session": session.id, "by": session.came_from}
