"""The connections of one service, and which one is evicted when there are too many. No I/O, no clock.

- A connection is a stranger's until its caller is known. The number of strangers is bounded: the next one evicts the
  oldest of the address that has most, so a caller who completes the handshake promptly gets in.
- A known caller has a seat in a room. If the room is full, its least recently active connection is evicted: one of the
  same caller, or one of the caller who holds most of the room. So nobody loses a seat to another room.
- A connection that is being answered is never evicted; one whose request is not complete may be.
- The total is bounded too, so that file descriptors are left for everything else. If there are fewer seats than all
  rooms together want, the share of each room, of each caller and of strangers shrinks in proportion.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Literal

from aerodb.transport.rooms import Room

Doing = Literal["idle", "sending", "answered"]
"""Doing nothing; sending a request that is not complete yet; being answered."""


class Seat:
    """One connection; calling `end` closes it at once."""

    def __init__(self, address: str, end: Callable[[], None], at: int) -> None:
        """Begin as a stranger's at `address` (IPv6: a /64 network); `at` comes from the crowd's count of events."""
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
        """Begin with none; `turned_away` is called with the reason of each eviction.

        The rooms' shares and `strangers_max` assume `seats_wanted` seats (0: `seats_max`), and shrink with fewer.
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
        """Return a share, reduced in proportion if there are fewer seats than were wanted."""
        return max(1, share * self._seats_max // self._seats_wanted)

    def enter(self, address: str, end: Callable[[], None]) -> Seat | None:
        """Return a seat for a stranger; None if all seats are taken and all are being answered."""
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
        """Return the oldest stranger of the address that has the most strangers."""
        held = Counter(seat.address for seat in self._strangers)
        most = max(held.values(), default=0)
        return next((seat for seat in self._strangers if held[seat.address] == most), None)

    def introduce(self, seat: Seat, who: Hashable, room: Room) -> bool:
        """Move a stranger whose caller is known now into a room; false if the room has no seat to give."""
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
        """Evict the least recently active connection of the caller who has most; false if all are being answered."""
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
        """Forget a connection that has ended."""
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
    """Return the least recently active connection, idle ones first; None if all are being answered."""
    return min(
        (seat for seat in seats if seat.doing != "answered"),
        key=lambda seat: (seat.doing != "idle", seat.used),
        default=None,
    )
