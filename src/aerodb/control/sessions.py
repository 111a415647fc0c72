"""Signing in to the admin UI without a password: a ticket that works once, and the session that it opens.

- A ticket is given only to a person whom their certificate named; a new one replaces the person's old one.
- Only the hashes of tickets and sessions are kept, in memory alone: they die with this process.
- A session says who, never what they may do: that is looked up in the configuration at every call.
"""

import hashlib
import secrets
import threading

from aerodb.control.errors import SessionUnknown, TicketSpent
from aerodb.protocol.cluster import Operator

SESSIONS_A_PERSON_MAX = 16
_TOKEN_BYTES = 32


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Sessions:
    """The tickets and the sessions of one control plane."""

    def __init__(self) -> None:
        """Begin with nobody signed in."""
        self._lock = threading.Lock()
        self._tickets: dict[str, str] = {}
        self._people: dict[str, str] = {}

    def ticket(self, person: Operator) -> str:
        """Return a ticket for `person`; an older one of theirs is worth nothing from now on."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with self._lock:
            self._tickets = {each: name for each, name in self._tickets.items() if name != person.name}
            self._tickets[_hash(token)] = person.name
        return token

    def enter(self, ticket: str) -> str:
        """Spend a ticket; return the token of the session that it opens.

        Where a person has more than SESSIONS_A_PERSON_MAX, their oldest one ends.

        Raises:
            TicketSpent: it is none, was used, or was replaced.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with self._lock:
            name = self._tickets.pop(_hash(ticket), None)
            if name is None:
                raise TicketSpent("the link was used, was replaced by a newer one, or the control plane began anew")
            mine = [each for each, whose in self._people.items() if whose == name]
            for oldest in mine[: max(0, len(mine) + 1 - SESSIONS_A_PERSON_MAX)]:
                del self._people[oldest]
            self._people[_hash(token)] = name
        return token

    def name(self, token: str) -> str:
        """Return the name of the person whose session this is.

        Raises:
            SessionUnknown: it is nobody's.
        """
        found = self._people.get(_hash(token))
        if found is None:
            raise SessionUnknown("nobody is signed in here")
        return found

    def leave(self, token: str) -> None:
        """End a session; one that is unknown has ended already."""
        with self._lock:
            self._people.pop(_hash(token), None)
