"""Several people at once on one cluster, each with a sequence or without: nothing runs that nobody read on what is so.

However they meet, the primary is demoted by one plan, at most one order follows it, and no order is left held that has
no turn, unless its node is asked to drop it by whoever asked for it.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.protocol.ahead import Earlier
from aerodb.protocol.api import Ask, Done, Planned
from aerodb.transport.errors import Refused
from tests.unit.control.test_sequences import (
    DROPPED,
    accused,
    ahead,
    before,
    decline,
    failing,
    held,
    held_by,
    refused,
    said,
    told,
)
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import act, ask, confirm, events, outcome
from tests.unit.neighbours.turns import electing_n2

PLAIN = Ask(action="demote", target="n1", arguments={"for": "n2"}, reason="a test")


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster as in the tests of sequences; the judge of the log accuses nobody of anything afterwards."""
    made = electing_n2(tmp_path)
    yield made
    assert accused(made) == []


def bob_orders(room: MemoryCluster, action: str, node: str, **arguments: str) -> None:
    """Have bob ask for something, confirm it, and see it executed."""
    asked = Ask(action=action, target=node, arguments=arguments, reason="a test")
    assert confirm(room, ask(room, asked, "bob"), "bob").result == "executed"


def held_for_n3(room: MemoryCluster, first: str) -> Planned:
    """Have the witness fenced for n3, and n3 hold a promotion after a demotion of the id `first`, for bob."""
    act(room, "fence", "w1", **{"for": "n3"})
    later = ahead(room, first, node="n3", person="bob")
    assert later.accepted, failing(later)
    assert confirm(room, later, "bob").result == "held"
    return later


def executed(done: Done) -> None:
    """Demand that both requests of a sequence were executed."""
    assert isinstance(done.then, Done)
    assert (done.result, done.then.result) == ("executed", "executed")


def test_two_sequences_for_two_successors(room: MemoryCluster) -> None:
    """Bob's election took the witness: alice's demotion is rejected, and her order withdrawn; his is executed."""
    first, later = held(room)
    second = str(uuid.uuid4())
    bobs = held_for_n3(room, second)
    assert "successor-holds" in failing(before(room, later, first))
    assert (said(outcome(room, later)), held_by(room)) == (DROPPED, "")
    executed(confirm(room, before(room, bobs, second, node="n3", person="bob"), "bob"))
    assert "promote" not in room.servers["n2"].done


def test_two_orders_held_after_one_and_the_same_demotion(room: MemoryCluster) -> None:
    """The demotion names one of them; the other one has no turn, and is withdrawn once the first has had its own."""
    first, later = held(room)
    bobs = held_for_n3(room, first)
    done = confirm(room, before(room, bobs, first, node="n3", person="bob"), "bob")
    executed(done)
    assert (said(outcome(room, later)), held_by(room)) == (DROPPED, "")
    assert "promote" not in room.servers["n2"].done


def test_a_demotion_of_that_id_which_names_nothing_has_nothing_follow_it(room: MemoryCluster) -> None:
    """It is the id alone that was named: n1 is demoted, and the promotion takes a request of its own."""
    first, later = held(room)
    done = confirm(room, ask(room, PLAIN, request=first))
    assert (done.result, done.then or None) == ("executed", None)
    assert (said(outcome(room, later)), held_by(room)) == (DROPPED, "")
    assert "promote" not in room.servers["n2"].done
    act(room, "promote", "n2")


def test_an_old_plan_to_demote_from_before_the_hold(room: MemoryCluster) -> None:
    """Bob confirms what he was shown before: nothing follows it, and what alice has held has no turn any more."""
    old = ask(room, PLAIN, "bob")
    first, later = held(room)
    assert confirm(room, old, "bob").result == "executed"
    assert "promote" not in room.servers["n2"].done
    assert "running-fits" in failing(before(room, later, first))
    assert (said(outcome(room, later)), held_by(room)) == (DROPPED, "")
    act(room, "promote", "n2")


def test_an_old_plan_of_the_first_whose_order_was_dropped_and_another_held(room: MemoryCluster) -> None:
    """The plan names an order by its digest: another of the same person, held for the same id, is not it."""
    first, later = held(room)
    old, another = before(room, later, first), ahead(room, first)
    assert confirm(room, another).result == "held"
    assert said(outcome(room, later)) == DROPPED
    with pytest.raises(Refused) as why:
        confirm(room, old)
    assert refused(why) == ("control.successor-unknown", "not executed")
    assert (held_by(room), room.servers["n1"].running) == (another.request, True)
    decline(room, old)
    assert (said(outcome(room, another)), held_by(room)) == (DROPPED, "")


def _confirmed(room: MemoryCluster, plan: Planned) -> Done | None:
    """Confirm a plan; None where the control plane knows that what is to follow is held no more, and sends nothing."""
    try:
        return confirm(room, plan)
    except Refused as error:
        if (error.code, error.executed) != ("control.successor-unknown", "not executed"):
            raise
        return None


ORDERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "the successor is restarted": ("restart", "n2", {}),
    "the successor is stopped": ("stop", "n2", {}),
    "the successor is fenced for another": ("fence", "n2", {"for": "n3"}),
    "the primary is stopped": ("stop", "n1", {}),
    "the primary runs a checkpoint": ("checkpoint", "n1", {}),
    "the other standby is fenced for another": ("fence", "n3", {"for": "n3"}),
}


GO_ON = {("the primary runs a checkpoint", True), ("the primary runs a checkpoint", False)}
"""After which a sequence is executed all the same, planned before it or after it."""
GO_ON |= {("the other standby is fenced for another", True)}  # The three others elect n2 in the earlier term.


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("planned", [True, False])
def test_what_somebody_else_orders_between_the_hold_and_the_demotion(
    room: MemoryCluster, order: str, *, planned: bool
) -> None:
    """Either both are executed on what is so by then, or neither; and nothing is left held."""
    action, node, arguments = ORDERS[order]
    first, later = held(room)
    plan = before(room, later, first) if planned else None
    bob_orders(room, action, node, **arguments)
    plan = plan or before(room, later, first)
    done = _confirmed(room, plan) if plan.accepted else None
    if (order, planned) in GO_ON:
        assert done is not None
        executed(done)
        assert room.servers["n2"].instance.recovery is False
    else:
        assert done is None or done.result == "not executed"
        assert said(outcome(room, later)) == DROPPED
        assert "promote" not in room.servers["n2"].done
    assert held_by(room) == ""


def test_what_names_another_persons_order_is_refused_and_ends_it_if_it_takes_its_id(room: MemoryCluster) -> None:
    """Bob's demotion is not sent; the id that alice's order names is his now, so hers has no turn once he declines."""
    first, later = held(room)
    bobs = before(room, later, first, person="bob")
    with pytest.raises(Refused) as why:
        confirm(room, bobs, "bob")
    assert refused(why) == ("control.successor-unknown", "not executed")
    with pytest.raises(Refused) as used:
        before(room, later, first)
    assert refused(used) == ("input.idempotency-key-reused", "not executed")
    assert (room.servers["n1"].running, held_by(room)) == (True, later.request)
    decline(room, bobs, "bob")
    assert (said(outcome(room, later)), told(room, later), held_by(room)) == (DROPPED, "not executed", "")


def test_a_hold_while_its_node_does_something_else(room: MemoryCluster) -> None:
    """It is refused, signed and recorded: nothing waits behind what somebody else has under way."""
    after = str(Earlier(action="demote", target="n1", request=str(uuid.uuid4())))
    asked = Ask(action="promote", target="n2", arguments={"after": after}, reason="a test")
    later, answers = ask(room, asked), list[Done]()
    room.servers["n2"].meanwhile = lambda: answers.append(confirm(room, later))
    bob_orders(room, "stop", "n2")
    (done,) = answers
    assert said(done) == ("not executed", "kernel.busy")
    assert (events(room, later), held_by(room)) == (["requested", "confirmed", "outcome"], "")
