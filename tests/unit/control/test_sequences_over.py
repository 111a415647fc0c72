"""Where the first request of a sequence will not be executed: what becomes of the order that was to follow it."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from aerodb.control.access import Access
from aerodb.past.speaking import SPOKEN
from aerodb.protocol.api import Ask, Done, Planned
from aerodb.protocol.plan import plan_in
from aerodb.protocol.sshsig import sign_with_key
from aerodb.rules.invariants import RULES
from aerodb.transport.errors import Refused
from tests.unit.control.test_sequences import (
    DROPPED,
    accused,
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


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster as in the tests of sequences; the judge of the log accuses nobody of anything afterwards."""
    made = electing_n2(tmp_path)
    yield made
    assert accused(made) == []


def rejected(room: MemoryCluster, first: str, later: Planned) -> None:
    """Have the demotion rejected: nobody reaches n3, so that it is not known which term is the highest."""
    room.silent["n2"] = "frozen"
    assert not before(room, later, first).accepted
    room.silent.clear()


def declined(room: MemoryCluster, first: str, later: Planned) -> None:
    """Decline the demotion."""
    planned = before(room, later, first)
    assert planned.accepted
    assert decline(room, planned).state == "declined"


def switches_over(room: MemoryCluster) -> None:
    """Demand that a sequence which is asked for anew is executed."""
    first, later = held(room)
    done = confirm(room, before(room, later, first))
    assert isinstance(done.then, Done)
    assert (done.result, done.then.result) == ("executed", "executed")


def test_a_declined_demotion_has_the_held_order_withdrawn(room: MemoryCluster) -> None:
    """At once, signed and recorded: nothing is held that has no turn; both are asked for anew."""
    first, later = held(room)
    declined(room, first, later)
    assert (events(room, later), held_by(room)) == (["requested", "confirmed", "outcome"], "")
    assert (said(outcome(room, later)), told(room, later)) == (DROPPED, "not executed")
    switches_over(room)


def test_a_rejected_demotion_has_the_held_order_withdrawn(room: MemoryCluster) -> None:
    """What the held order was read on, that the demotion would be accepted, is no more."""
    first, later = held(room)
    room.silent["n3"] = "away"
    room.servers["n1"].change(senders=())
    assert "successor-streams" in failing(before(room, later, first))
    assert (events(room, later), held_by(room)) == (["requested", "confirmed", "outcome"], "")
    assert said(outcome(room, later)) == DROPPED


def test_an_order_that_cannot_be_withdrawn_is_said_to_be_unknown(room: MemoryCluster) -> None:
    """Its node is silent: nobody says that it was dropped before its node has signed that."""
    first, later = held(room)
    rejected(room, first, later)
    assert (told(room, later), held_by(room)) == ("unknown", later.request)
    assert decline(room, later).state == "not executed"
    assert (said(outcome(room, later)), held_by(room)) == (DROPPED, "")
    switches_over(room)


@pytest.mark.parametrize("end", [rejected, declined])
def test_an_id_under_which_a_plan_was_made_is_used(
    room: MemoryCluster, end: Callable[[MemoryCluster, str, Planned], None]
) -> None:
    """There is one plan under an id, and it is final: it is said what becomes of the order that was to follow."""
    first, later = held(room)
    end(room, first, later)
    with pytest.raises(Refused) as why:
        before(room, later, first)
    assert refused(why) == ("control.request-known", "not executed")
    assert "The order that was to follow has no other turn, and is withdrawn" in why.value.message


def test_asked_for_twice_it_is_said_how_to_go_on_and_nothing_is_said_to_be_over(room: MemoryCluster) -> None:
    """Its plan awaits its confirmation, by which both run; and once they have run, neither was withdrawn."""
    first, later = held(room)
    planned = before(room, later, first)
    with pytest.raises(Refused) as why:
        before(room, later, first)
    assert refused(why) == ("control.request-known", "not executed")
    assert f"it awaits its confirmation: aerodb confirm {first}" in why.value.message
    assert "withdrawn" not in why.value.message
    assert held_by(room) == later.request
    confirm(room, planned)
    with pytest.raises(Refused) as known:
        before(room, later, first)
    assert refused(known) == ("control.request-known", "executed")
    assert "withdrawn" not in known.value.message


def test_who_speaks_earlier_rules_is_told_of_no_order_that_was_dropped(room: MemoryCluster) -> None:
    """Their release knows no such field, and would not understand what became of their own request."""
    _, later = held(room)
    alice = room.plane.cluster.operator("alice")
    assert alice is not None
    planned = ask(room, Ask(action="checkpoint", target="n2", arguments={}, reason="a test"))
    access = Access(room.plane._parts, alice, tuple(each for each in SPOKEN if each != RULES))
    done = access.confirm(planned.request, sign_with_key(room.people["alice"], planned.plan.encode()))
    assert (done.result, done.dropped) == ("executed", msgspec.UNSET)
    assert told(room, later) == "not executed"


def test_what_is_dropped_while_the_demotion_runs_is_told_with_it(room: MemoryCluster) -> None:
    """Somebody else's order comes to n2 meanwhile: who switches over is told that nothing follows, as it is signed."""
    first, later = held(room)
    planned = before(room, later, first)
    other = Ask(action="checkpoint", target="n2", arguments={}, reason="a test")

    def meanwhile() -> None:
        assert confirm(room, ask(room, other, "bob"), "bob").result == "executed"

    room.servers["n1"].meanwhile = meanwhile
    done = confirm(room, planned)
    assert isinstance(done.then, Done)
    assert (done.result, said(done.then), done.then.request) == ("executed", DROPPED, later.request)
    assert "promote" not in room.servers["n2"].done
    act(room, "promote", "n2")


def test_what_was_told_once_and_is_told_again_is_established(room: MemoryCluster) -> None:
    """Declined in one call and withdrawn by another: the log holds one outcome, and what was found out after it."""
    _, later = held(room)
    decline(room, later)
    room.plane._parts.sequences._ended(plan_in(later.plan), later.plan, "a test", "kernel.sequence-ended")
    assert events(room, later) == ["requested", "confirmed", "outcome", "established"]
    assert said(outcome(room, later)) == DROPPED


def test_an_id_under_which_nothing_was_planned_comes_again(room: MemoryCluster) -> None:
    """The cluster could not be judged for a moment: the demotion is asked for again, by the id that it must have."""
    first, later = held(room)
    room.silent["n1"] = "a cable"
    for _ in range(2):
        with pytest.raises(Refused) as why:
            before(room, later, first)
        assert refused(why) == ("transport.target-silent", "not executed")
    assert held_by(room) == later.request
    room.silent.clear()
    planned = before(room, later, first)
    assert planned.accepted
    done = confirm(room, planned)
    assert isinstance(done.then, Done)
    assert (done.result, done.then.result) == ("executed", "executed")
    assert events(room, planned) == ["refused", "refused", "requested", "confirmed", "outcome"]


def test_an_id_that_names_nothing_after_it_does_not_come_again(room: MemoryCluster) -> None:
    """Whoever asks for something else draws a new id: a refusal is an answer to this one."""
    room.silent["n1"] = "a cable"
    request = str(uuid.uuid4())
    asked = Ask(action="demote", target="n1", arguments={"for": "n2"}, reason="a test")
    for code in ("transport.target-silent", "control.request-known"):
        with pytest.raises(Refused) as why:
            ask(room, asked, request=request)
        assert refused(why)[0] == code


def test_what_others_are_refused_ends_nothing(room: MemoryCluster) -> None:
    """A demotion of another id, whoever asks for it, may be rejected or declined: the order is held as before."""
    first, later = held(room)
    assert not before(room, later, str(uuid.uuid4()), person="bob").accepted
    asked = Ask(action="demote", target="n1", arguments={"for": "n2"}, reason="a test")
    decline(room, ask(room, asked, "bob"), "bob")
    assert held_by(room) == later.request
    assert before(room, later, first).accepted


def test_whose_id_somebody_else_uses_up_is_withdrawn_too(room: MemoryCluster) -> None:
    """The id that the held order names has a final plan: there is no other turn, whoever made it."""
    first, later = held(room)
    asked = Ask(action="stop", target="n3", arguments={}, reason="a test")
    decline(room, ask(room, asked, "bob", first), "bob")
    assert (said(outcome(room, later)), held_by(room)) == (DROPPED, "")
