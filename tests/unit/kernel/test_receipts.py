"""What a hostile control plane can show n1 of an order that n2 held once, and holds no more: nothing stops for it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.protocol import canonical
from aerodb.protocol.api import Planned
from aerodb.protocol.facts import Report
from aerodb.protocol.plan import Order, Outcome, late_nonce
from aerodb.protocol.signed import Signed, sign
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import records
from tests.unit.neighbours.turns import electing_n2, hold_one, order_of, report


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster of three and a witness in memory, in which the witness has pledged to n2."""
    made = electing_n2(tmp_path)
    yield made
    made.close()


def answer(signed: Signed) -> tuple[str, str]:
    """Return the result and the code of an outcome."""
    outcome = canonical.decode(signed.document.encode(), Outcome)
    return outcome.result, outcome.code


class Once:
    """What n2 signed while it held the order: for that order, for the demotion's plan, and for another record."""

    def __init__(self, room: MemoryCluster, first: Planned, later: Planned) -> None:
        """Have it said, and n2 then drop the order."""
        self.room = room
        self.held = report(room, "n2", later.request)
        self.planned = report(room, "n2", first.request)
        earlier = records(room, later)[-1]
        self.other = report(room, "n2", late_nonce(canonical.encode(earlier).decode()))
        room.houses["n2"].agent.withdraw(later.request)

    def in_place(self, order: Order, signed: Signed | None) -> Order:
        """Return the demotion's order with this in the place of what n2 says since it was confirmed."""
        late = {name: each for name, each in order.late.items() if name != "n2"}
        return replace(order, late=late if signed is None else {**late, "n2": signed})

    def forged(self, order: Order, key: str) -> Signed:
        """Return what n2 says now, made to say that it holds what it held, and signed by somebody else."""
        now = canonical.decode(order.late["n2"].document.encode(), Report)
        then = canonical.decode(self.held.document.encode(), Report).facts.held
        return sign(replace(now, facts=replace(now.facts, held=then)), "n2", self.room.keys[key])


SHOWN: dict[str, Callable[[Once, Order], Signed | None]] = {
    "what it says now": lambda _, order: order.late["n2"],
    "nothing": lambda *_: None,
    "its receipt": lambda once, _: once.held,
    "what the plan was made from": lambda once, _: once.planned,
    "what it said for another record": lambda once, _: once.other,
    "a forgery by another node": lambda once, order: once.forged(order, "n3"),
    "a forgery by the witness": lambda once, order: once.forged(order, "w1"),
}


@pytest.mark.parametrize("shown", SHOWN)
def test_an_earlier_receipt_stops_nothing(room: MemoryCluster, shown: str) -> None:
    """What n2 holds is judged on what it has signed for the very record of the confirmation, or the answer is no."""
    first, later = hold_one(room)
    once = Once(room, first, later)
    order = order_of(room, first)
    result, _ = answer(room.houses["n1"].agent.run(once.in_place(order, SHOWN[shown](once, order))))
    assert (result, room.servers["n1"].running) == ("not executed", True)


def test_an_order_that_is_kept_back_until_its_successor_holds_no_more_has_nothing_follow_it(
    room: MemoryCluster,
) -> None:
    """What was signed for that record, while the order was held, is shown late: n1 stops, as by any late order."""
    first, later = hold_one(room)
    order = order_of(room, first)
    room.houses["n2"].agent.withdraw(later.request)
    assert answer(room.houses["n1"].agent.run(order)) == ("executed", "")
    assert (room.servers["n1"].running, "promote" in room.servers["n2"].done) == (False, False)
    assert room.houses["n2"].agent.facts().standing.role == "standby"
