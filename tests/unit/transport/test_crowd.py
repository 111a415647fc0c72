"""Who makes way where seats are scarce: never somebody of another room, whatever a room's own callers do."""

import asyncio
import socket

import pytest

from aerodb.transport.crowd import Crowd, Seat
from aerodb.transport.deadlines import USUAL
from aerodb.transport.door import Door
from aerodb.transport.rooms import CONTROL, MONITORS, PEOPLE, STRANGERS_MAX, Room
from aerodb.transport.server import CONNECTIONS_MAX, SEATS_LEAST


def comes(crowd: Crowd, who: str, room: Room, *, busy: bool) -> Seat | None:
    """Return the seat of a caller who came and said who they are; None where they were turned away."""
    seat = crowd.enter("192.0.2.1", lambda: None)
    if seat is None or not crowd.introduce(seat, who, room):
        return None
    crowd.turn(seat, "answered" if busy else "idle")
    return seat


@pytest.mark.parametrize("seats", [SEATS_LEAST, 64, 200, CONNECTIONS_MAX])
@pytest.mark.parametrize("busy", [True, False])
def test_a_room_that_is_full_costs_no_other_room_a_seat(seats: int, *, busy: bool) -> None:
    """People who hold all that they can, and read none of their answers, keep out neither control plane nor monitor."""
    crowd = Crowd(seats, STRANGERS_MAX, lambda _: None, CONNECTIONS_MAX)
    held = [seat for at in range(600) if (seat := comes(crowd, f"p{at % 5}", PEOPLE, busy=busy))]
    known = {"control": comes(crowd, "control", CONTROL, busy=False), "m": comes(crowd, "m", MONITORS, busy=False)}
    assert held
    assert all(known.values())
    for at in range(600):
        comes(crowd, f"p{at % 5}", PEOPLE, busy=busy)
        crowd.enter("192.0.2.2", lambda: None)
    assert len(crowd) <= seats
    assert [name for name, seat in known.items() if seat is None or seat.ended] == []


def test_a_caller_has_a_part_of_a_room_however_few_seats_there_are() -> None:
    """One caller's busy connections leave seats of the room to another."""
    crowd = Crowd(SEATS_LEAST, STRANGERS_MAX, lambda _: None, CONNECTIONS_MAX)
    for _ in range(100):
        comes(crowd, "eve", PEOPLE, busy=True)
    assert comes(crowd, "ada", PEOPLE, busy=True) is not None


def test_a_network_of_many_addresses_is_one_stranger() -> None:
    """Whoever has a network of IPv6 knocks from another address each time: they make way, and not who came before."""
    ends: list[socket.socket] = []

    async def knock() -> list[str]:
        crowd = Crowd(64, 4, lambda _: None)
        door = Door(crowd, None, lambda _: asyncio.Protocol(), USUAL)
        for address in ("203.0.113.1", *(f"2001:db8::{at}%eth0" for at in range(1, 8))):
            ours, theirs = socket.socketpair()
            ends.append(theirs)
            door._greet(ours, address)
        found = [seat.address for seat in crowd._strangers]
        crowd.end_strangers()
        await asyncio.sleep(0)
        return found

    try:
        assert asyncio.run(knock()) == ["203.0.113.1", *["2001:db8::/64"] * 3]
    finally:
        for end in ends:
            end.close()
