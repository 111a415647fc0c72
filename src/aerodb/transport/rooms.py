"""Limits on how much of a service each kind of caller may use at once. Values alone: no I/O, no clock.

- Rooms do not share: however many people call, there is room for the control plane, for monitors and load balancers,
  and for strangers who have yet to say who they are.
- Within a room each caller has a limit too: a caller who reaches it is only in their own way.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping

import msgspec

from aerodb.transport.tls import BALANCER, Caller

SMALL_BODY_BYTES_MAX = 64 << 10
"""The largest body, unless its path has a bound of its own."""


class Share(msgspec.Struct, frozen=True):
    """A limit for all callers of a room together, and one for each of them."""

    all: int
    each: int


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What the callers of one kind may use of a service at once.

    `connections` are open ones; `calls` are under way, their request complete; `looks` are calls to the paths that are
    always answered; `body_bytes` have come of bodies under way. `bodies` maps the beginning of a path to its largest
    body in bytes.
    """

    name: str
    connections: Share
    calls: Share
    looks: Share
    body_bytes: Share
    bodies: Mapping[str, int] = {}

    def body_bytes_max(self, path: str) -> int:
        """Return how many bytes a body that is sent to `path` may have."""
        return next((size for begin, size in self.bodies.items() if path.startswith(begin)), SMALL_BODY_BYTES_MAX)


RoomOf = Callable[[Caller], Room]

CONTROL = Room(
    name="control", connections=Share(160, 160), calls=Share(48, 48), looks=Share(96, 96),
    body_bytes=Share(32 << 20, 32 << 20),
)  # fmt: skip
MONITORS = Room(
    name="monitors", connections=Share(64, 64), calls=Share(8, 8), looks=Share(48, 48),
    body_bytes=Share(1 << 20, 1 << 20),
)  # fmt: skip
PEOPLE = Room(
    name="people", connections=Share(160, 96), calls=Share(28, 12), looks=Share(96, 64),
    body_bytes=Share(4 << 20, 2 << 20),
)  # fmt: skip
STRANGERS_MAX = 128
"""How many connections may be open whose callers are not known yet, their handshakes being under way."""


def room_by_kind(caller: Caller) -> Room:
    """Return the room of a caller by the kind in its certificate."""
    return {"control": CONTROL, "monitor": MONITORS, BALANCER: MONITORS}.get(caller.kind, PEOPLE)


class RoomsHeld:
    """What is in use of one kind of share, by room and by caller."""

    def __init__(self) -> None:
        """Begin with nothing in use."""
        self._by_room, self._by_caller = Counter[str](), Counter[tuple[str, Hashable]]()

    def total(self) -> int:
        """Return how much all callers hold together."""
        return self._by_room.total()

    def take(self, room: str, who: Hashable, share: Share, amount: int = 1) -> bool:
        """Take `amount` for a caller; false, and nothing taken, if the caller's or the room's limit forbids it."""
        own = (room, who)
        if self._by_room[room] + amount > share.all or self._by_caller[own] + amount > share.each:
            return False
        self._by_room[room] += amount
        self._by_caller[own] += amount
        return True

    def give_back(self, room: str, who: Hashable, amount: int = 1) -> None:
        """Give back what was taken."""
        own = (room, who)
        self._by_room[room] -= amount
        self._by_caller[own] -= amount
        if not self._by_caller[own]:
            del self._by_caller[own]
