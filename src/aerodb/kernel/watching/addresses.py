"""At which addresses the members' PostgreSQLs are, so that a receiver is known by where it comes from.

- What is an address already is one. A name is asked for once in a while, by a thread of its own: a resolver that hangs
  holds up the first look for a moment, and no other.
- What was found stays until something else is; of a name that nobody knows there is no address.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping

RESOLVE_EVERY_SECONDS = 60.0
FIRST_SECONDS_MAX = 1.0
"""How long the first look waits for the names."""

Known = Mapping[str, frozenset[str]]


def plain(address: str) -> str | None:
    """Return an address in its one form, an IPv4 address in IPv6 as IPv4; None if it is none."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def resolved(host: str) -> frozenset[str]:
    """Return the addresses of a host; none if nobody knows it."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(filter(None, (plain(str(each[4][0])) for each in found)))


class Addresses:
    """The addresses of some hosts, each of a member. Any thread may ask."""

    def __init__(
        self,
        hosts: Mapping[str, str],
        resolve: Callable[[str], Iterable[str]] = resolved,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask for nothing yet. `hosts` are the members' hosts, by the members' names; `clock` counts seconds."""
        self._resolve, self._clock = resolve, clock
        self._known = {name: frozenset(filter(None, [plain(host)])) for name, host in hosts.items()}
        self._named = {name: host for name, host in hosts.items() if not self._known[name]}
        self._lock = threading.Lock()
        self._asked: float | None = None
        self._first = threading.Event()

    def known(self) -> Known:
        """Return the addresses of each member by its name, as far as they are known."""
        if self._named:
            with self._lock:
                due = self._asked is None or self._clock() - self._asked >= RESOLVE_EVERY_SECONDS
                if due:
                    self._asked = self._clock()
                    threading.Thread(target=self._ask, name="addresses", daemon=True).start()
            self._first.wait(FIRST_SECONDS_MAX)
            self._first.set()
        return dict(self._known)

    def _ask(self) -> None:
        for name, host in self._named.items():
            found = frozenset(self._resolve(host))
            if found:
                self._known[name] = found
        self._first.set()
