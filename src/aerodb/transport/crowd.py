"""The connections of one service, and which of them makes way when there are too many. No I/O, no clock.

- A connection is a stranger's until it is known who calls. There are only so many strangers: the one who has been one
  for longest makes way for the next, so whoever completes a handshake without dawdling gets in.
- A caller who is known has a seat in a room. Where the room is full, the one who has been quiet for longest makes way:
  one of the same caller, or of the caller who holds most of the room. So nobody loses a seat to another room.
- Whoever is being answered never makes way; whoever has not sent a whole request does.
- There are never more connections than so many, whatever their callers: descriptors are left for everything else.
  Where there are fewer seats than the rooms together have, each room, each caller and strangers have fewer alike.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Literal

from aerodb.transport.rooms import Room

Doing = Literal["idle", "sending", "answered"]
"""Nothing; a request that is not whole yet; a request that is whole and not answered yet."""


class Seat:
    """One connection. `end` ends it at once."""

    def __init__(self, address: str, end: Callable[[], None], at: int) -> None:
        """Hold it for a stranger at `address` (for IPv6, their network), who came at `at` of the crowd's own count."""
        self.address, self.end, self.used = address, end, at
        self.who: Hashable = None
        self.room: Room | None = None
        self.doing: Doing = "idle"
        self.ended = False


class Crowd:
    """The connections of one service."""

    def __init__(
        self, seats_max: int, strangers_max: int, turned_away: Callable[[str], None], seats_wanted: int = 0
    ) -> None:
        """Begin with none; whoever has to leave is told to `turned_away`, by the reason.

        The rooms' shares, and `strangers_max`, are meant for `seats_wanted` (0: as many as there are).
        """
        self._seats_max, self._seats_wanted = seats_max, max(seats_wanted, seats_max)
        self._strangers_max = self._cut(strangers_max)
        self._turned_away = turned_away
        self._seats: dict[Seat, None] = {}
        self._strangers: dict[Seat, None] = {}
        self._count = itertools.count()

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._seats)

    def _cut(self, share: int) -> int:
        """Return what is left of a share where there are fewer seats than were wanted."""
        return max(1, share * self._seats_max // self._seats_wanted)

    def enter(self, address: str, end: Callable[[], None]) -> Seat | None:
        """Return a stranger's seat, or None where everybody who is there is being answered."""
        if len(self._strangers) >= self._strangers_max:
            self._end(self._first_stranger(), "stranger")
        if len(self._seats) >= self._seats_max:
            leaves = self._first_stranger() or _quietest(self._seats)
            if leaves is None:
                self._turned_away("full")
                return None
            self._end(leaves, "full")
        seat = Seat(address, end, next(self._count))
        self._seats[seat] = self._strangers[seat] = None
        return seat

    def _first_stranger(self) -> Seat | None:
        """Return the oldest stranger of the address that has most of them."""
        held = Counter(seat.address for seat in self._strangers)
        most = max(held.values(), default=0)
        return next((seat for seat in self._strangers if held[seat.address] == most), None)

    def introduce(self, seat: Seat, who: Hashable, room: Room) -> bool:
        """Give a stranger who is known now a seat in a room; false where there is none to be had."""
        mates = [each for each in self._seats if each.room is not None and each.room.name == room.name]
        own = [each for each in mates if each.who == who]
        all_max, each_max = self._cut(room.connections.all), self._cut(room.connections.each)
        if len(own) >= each_max and not self._make_way(own):
            return False
        if len(mates) >= all_max and len(own) < each_max and not self._make_way(mates):
            return False
        self._strangers.pop(seat, None)
        seat.who, seat.room = who, room
        return True

    def _make_way(self, mates: list[Seat]) -> bool:
        """End the connection that has been quiet for longest, of the caller who has most; false where all are busy."""
        held = Counter(each.who for each in mates)
        leaves = next(
            (seat for who, _ in held.most_common() if (seat := _quietest(m for m in mates if m.who == who))), None
        )
        if leaves is None:
            self._turned_away("room full")
            return False
        self._end(leaves, "caller")
        return True

    def turn(self, seat: Seat, doing: Doing) -> None:
        """Note what a connection does from now on."""
        seat.doing, seat.used = doing, next(self._count)

    def leave(self, seat: Seat) -> None:
        """Let a connection go that has ended."""
        self._seats.pop(seat, None)
        self._strangers.pop(seat, None)

    def _end(self, seat: Seat | None, why: str) -> None:
        if seat is not None:
            self.leave(seat)
            self._turned_away(why)
            seat.ended = True
            seat.end()

    def end_strangers(self) -> None:
        """End every stranger's connection, as the service ends."""
        for seat in list(self._strangers):
            self.leave(seat)
            seat.ended = True
            seat.end()


def _quietest(seats: Iterable[Seat]) -> Seat | None:
    """Return who has been quiet for longest, the idle first; None where all are being answered."""
    return min(
        (seat for seat in seats if seat.doing != "answered"),
        key=lambda seat: (seat.doing != "idle", seat.used),
        default=None,
    )
