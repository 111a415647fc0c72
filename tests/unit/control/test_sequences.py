"""Signed ahead: a promotion is signed before the demotion that it comes after, is held, and has its turn once."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.audit.record import RecordOne, TurnRecord, read_record
from aerodb.protocol import canonical
from aerodb.protocol.ahead import Earlier, Later
from aerodb.protocol.api import Ask, Done, Planned, RequestLine, Requests, Status
from aerodb.protocol.plan import LaterPlan, Outcome, Plan, Result, plan_digest, plan_in
from aerodb.transport.errors import Interrupted, Refused
from aerodb.views.observed import Observed
from aerodb.views.status import status_remarks
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import act, ask, confirm, events, outcome, records
from tests.unit.neighbours.postgres import Fault
from tests.unit.neighbours.turns import electing_n2
from tests.unit.neighbours.wire import Killed


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster of three and a witness in memory, in which the witness has pledged to n2.

    Whatever then happened, the judge of the log accuses nobody of anything.
    """
    made = electing_n2(tmp_path)
    yield made
    assert accused(made) == []


def accused(room: MemoryCluster) -> list[str]:
    """Return what the judge of the log finds wrong or cannot check, with the events of the request that it is of."""
    found = []
    for request in dict.fromkeys(read_record(data).request for _, data in room.log.records()):
        wrong = [each for each in room.plane._parts.reader.judged(request) if each.state not in ("holds", "noted")]
        history = [read_record(room.log.record(at)).event for at in room.log.sequences_of(request)]
        found += [f"{' '.join(history)}: {each.part}: {each.said}" for each in wrong]
    return found


def refused(why: "pytest.ExceptionInfo[Refused]") -> tuple[str, str]:
    """Return the code of a refusal, and what it says of what was executed."""
    return why.value.code, why.value.executed


def ahead(room: MemoryCluster, first: str, primary: str = "n1", node: str = "n2", person: str = "alice") -> Planned:
    """Ask for a promotion that comes after the demotion of the id `first`."""
    after = str(Earlier(action="demote", target=primary, request=first))
    return ask(room, Ask(action="promote", target=node, arguments={"after": after}, reason="a test"), person)


def before(
    room: MemoryCluster, later: Planned, first: str, primary: str = "n1", node: str = "n2", person: str = "alice"
) -> Planned:
    """Ask for the demotion that a promotion comes after."""
    then = str(Later(request=later.request, plan=plan_digest(later.plan)))
    arguments = {"for": node, "then": then}
    return ask(room, Ask(action="demote", target=primary, arguments=arguments, reason="a test"), person, first)


def held(room: MemoryCluster) -> tuple[str, Planned]:
    """Have n2 hold the promotion; return the id of the demotion that is to come, and the promotion's plan."""
    first = str(uuid.uuid4())
    later = ahead(room, first)
    assert later.accepted
    assert confirm(room, later).result == "held"
    return first, later


def failing(planned: Planned) -> list[str]:
    """Return the invariants of a plan that do not hold, and are not foreseen."""
    return [each.invariant for each in plan_in(planned.plan).verdicts if each.result not in ("holds", "foreseen")]


def told(room: MemoryCluster, planned: Planned) -> str:
    """Return the state of a request in the list."""
    lines = canonical.decode(room.caller("alice").get("/v1/requests"), Requests)
    return next(each.state for each in lines.requests if each.request == planned.request)


def decline(room: MemoryCluster, planned: Planned, person: str = "alice") -> RequestLine:
    """Decline a plan, or an order that is held."""
    return canonical.decode(room.caller(person).post(f"/v1/requests/{planned.request}/decline", b"{}"), RequestLine)


def held_by(room: MemoryCluster, node: str = "n2") -> str:
    """Return which request's order a node reports to hold."""
    found = room.houses[node].agent.facts().held
    return found.request if found else ""


def said(done: Done) -> tuple[str, str]:
    """Return the result and the code that a node has signed of a request."""
    assert done.outcome is not None
    signed = canonical.decode(done.outcome.document.encode(), Outcome)
    assert (signed.result, signed.code) == (done.result, done.code)
    return signed.result, signed.code


def test_a_switchover_that_is_signed_ahead(room: MemoryCluster) -> None:
    """The promotion is read and signed first; the demotion's confirmation is the last human act, and runs both."""
    first, later = held(room)
    plan = plan_in(later.plan)
    assert isinstance(plan, LaterPlan)
    assert {each.invariant for each in plan.verdicts if each.result is Result.FORESEEN} == {
        "pledges-kept", "election-quorum", "commit-quorum", "wal-prefix",
    }  # fmt: skip
    assert (events(room, later), told(room, later)) == (["requested", "confirmed"], "awaits its turn")
    planned = before(room, later, first)
    assert planned.accepted, failing(planned)
    assert type(plan_in(planned.plan)) is Plan
    done = confirm(room, planned)
    assert isinstance(done.then, Done)
    assert (done.result, done.then.result, done.then.message) == ("executed", "executed", "")
    assert [type(each) for each in records(room, later)] == [RecordOne, RecordOne, TurnRecord, RecordOne]
    assert events(room, later) == ["requested", "confirmed", "triggered", "outcome"]
    assert records(room, later)[2].outcome == done.outcome
    assert told(room, later) == "executed"
    assert room.servers["n2"].instance.recovery is False
    assert "promote" in " ".join(room.servers["n2"].done)
    for node in ("n1", "n3"):
        act(room, "follow", node, upstream="n2")


# What ends it ---------------------------------------------------------------------------------------------------------

DROPPED = ("not executed", "kernel.order-dropped")


@pytest.mark.parametrize(("fault", "result"), [(Fault.BEFORE, "not executed"), (Fault.LOST, "unknown")])
def test_what_is_not_executed_has_nothing_follow_it(room: MemoryCluster, fault: Fault, result: str) -> None:
    """The held order is withdrawn, signed and recorded; that the first is executed is found out too late for it."""
    first, later = held(room)
    planned = before(room, later, first)
    room.servers["n1"].fault = fault
    done = confirm(room, planned)
    assert isinstance(done.then, Done)
    assert (done.result, said(done.then)) == (result, DROPPED)
    assert f"demote n1, which it comes after, is {result}" in done.then.message
    assert (events(room, later), held_by(room)) == (["requested", "confirmed", "outcome"], "")
    assert "promote" not in room.servers["n2"].done
    with pytest.raises(Refused) as why:
        confirm(room, later)
    assert (why.value.code, why.value.executed) == ("control.confirmation-replayed", "not executed")
    with pytest.raises(Refused) as why:
        confirm(room, planned)
    assert (why.value.code, why.value.executed) == ("control.confirmation-replayed", result)


def test_what_is_executed_and_not_recorded_has_nothing_follow_it(room: MemoryCluster) -> None:
    """The answer of the first one is lost: whatever became of it, this call does not have it in hand."""
    first, later = held(room)
    planned = before(room, later, first)
    room.cut["n1"] = "the cable was cut"
    done = confirm(room, planned)
    assert isinstance(done.then, Done)
    assert (done.result, said(done.then)) == ("unknown", DROPPED)
    room.cut.clear()
    assert outcome(room, planned).result == "executed"
    act(room, "promote", "n2")  # By a request of its own.


def test_it_is_declined_by_who_asked_and_by_nobody_else(room: MemoryCluster) -> None:
    """It is dropped by its node, signed and recorded; what names it is then a rejection."""
    first, later = held(room)
    with pytest.raises(Refused) as why:
        decline(room, later, "bob")
    assert refused(why) == ("control.not-the-requester", "not executed")
    assert held_by(room) == later.request
    assert decline(room, later).state == "not executed"
    assert (said(outcome(room, later)), held_by(room)) == (DROPPED, "")
    assert failing(before(room, later, first)) == ["successor-holds"]


def test_a_demotion_is_rejected_unless_its_successor_holds_the_very_order(room: MemoryCluster) -> None:
    """Of another request, of another plan, after another id: each is named, and nothing is stopped."""
    first, later = held(room)
    assert failing(before(room, later, str(uuid.uuid4()))) == ["successor-holds"]
    assert failing(before(room, replace(later, request=str(uuid.uuid4())), str(uuid.uuid4()))) == ["successor-holds"]
    assert failing(before(room, replace(later, plan=later.plan + " "), str(uuid.uuid4()))) == ["successor-holds"]
    assert before(room, later, first).accepted


def test_another_order_for_the_node_drops_it(room: MemoryCluster) -> None:
    """Also between the plan of the demotion and its order: then that one is refused, and stops nothing."""
    first, later = held(room)
    planned = before(room, later, first)
    checkpoint = ask(room, Ask(action="checkpoint", target="n2", arguments={}, reason="a test"))
    done = confirm(room, checkpoint)
    assert done.result == "executed"
    assert isinstance(done.dropped, tuple)
    assert [(each.request, *said(each)) for each in done.dropped] == [(later.request, *DROPPED)]
    assert (events(room, later), told(room, later)) == (["requested", "confirmed", "outcome"], "not executed")
    assert (said(outcome(room, later)), held_by(room)) == (DROPPED, "")
    with pytest.raises(Refused) as why:
        confirm(room, planned)
    assert refused(why) == ("control.successor-unknown", "not executed")
    assert room.servers["n1"].running


def test_another_order_to_be_held_drops_it(room: MemoryCluster) -> None:
    """A node holds one: the newest that a person has signed."""
    _, later = held(room)
    newer = ahead(room, str(uuid.uuid4()))
    done = confirm(room, newer)
    assert done.result == "held"
    assert isinstance(done.dropped, tuple)
    assert [(each.request, *said(each)) for each in done.dropped] == [(later.request, *DROPPED)]
    assert (held_by(room), told(room, newer)) == (newer.request, "awaits its turn")
    assert said(outcome(room, later)) == DROPPED


def test_an_order_that_drops_nothing_asks_for_nothing(room: MemoryCluster) -> None:
    """Of another node, or refused before it could drop anything: what is held is held, and nothing is recorded."""
    _, later = held(room)
    for node in ("n3", "n2"):
        planned = ask(room, Ask(action="checkpoint", target=node, arguments={}, reason="a test"))
        if node == "n2":
            room.silent["n2"] = "it is frozen"
        done = confirm(room, planned)
        assert not done.dropped
    room.silent.clear()
    assert (held_by(room), told(room, later)) == (later.request, "awaits its turn")


def test_what_a_node_reports_to_hold_no_more_is_said_to_be_asked_for(room: MemoryCluster) -> None:
    """Once somebody has looked, and not before: no look records anything, or asks what became of it."""
    _, later = held(room)
    status = canonical.decode(room.caller("alice").get("/v1/status"), Status)
    assert (told(room, later), status.unheld or {}) == ("awaits its turn", {})
    room.houses["n2"].again()
    assert told(room, later) == "awaits its turn"
    size = room.log.size
    status = canonical.decode(room.caller("alice").get("/v1/status"), Status)
    assert (told(room, later), status.unheld) == ("no longer held: ask", {"n2": later.request})
    remarks = [each.text for each in status_remarks(status, Observed())]
    assert f"n2 no longer holds what awaited its turn: ask `aerodb outcome {later.request}`" in remarks
    assert room.log.size == size
    assert said(outcome(room, later)) == DROPPED
    status = canonical.decode(room.caller("alice").get("/v1/status"), Status)
    assert (told(room, later), status.unheld or {}) == ("not executed", {})


def test_an_agent_that_dies_drops_it(room: MemoryCluster) -> None:
    """It was in memory alone: after a restart it is not there, is never held again, and is said never to have run."""
    first, later = held(room)
    planned = before(room, later, first)
    room.houses["n2"].again()
    done = confirm(room, planned)
    assert (done.result, done.code) == ("not executed", "kernel.verdicts-differ")
    assert isinstance(done.then, Done)
    assert said(done.then) == DROPPED
    assert "promote" not in room.servers["n2"].done


def test_an_agent_that_ends_drops_it(room: MemoryCluster) -> None:
    """As it is told to end, and says so."""
    _, later = held(room)
    room.houses["n2"].agent.end()
    assert held_by(room) == ""
    assert said(outcome(room, later)) == DROPPED


def test_another_control_plane_carries_on_nothing(room: MemoryCluster) -> None:
    """The order is held still, and only this process's call would have had its turn come: it can be declined alone."""
    first, later = held(room)
    room.begin()
    planned = before(room, later, first)
    assert planned.accepted
    with pytest.raises(Refused) as why:
        confirm(room, planned)
    assert refused(why) == ("control.successor-unknown", "not executed")
    assert (room.servers["n1"].running, held_by(room)) == (True, later.request)
    with pytest.raises(Refused) as asked:
        outcome(room, later)
    assert refused(asked)[0] == "kernel.order-held"
    decline(room, later)
    assert said(outcome(room, later)) == DROPPED


def test_a_control_plane_that_ends_withdraws_it(room: MemoryCluster) -> None:
    """What waits for its turn does not outlive who would have carried it."""
    _, later = held(room)
    room.plane.close()
    assert (events(room, later), held_by(room)) == (["requested", "confirmed", "outcome"], "")


def test_a_sequence_is_one_persons(room: MemoryCluster) -> None:
    """Whoever asked for the promotion confirms the demotion."""
    first, later = held(room)
    planned = before(room, later, first, person="bob")
    with pytest.raises(Refused) as why:
        confirm(room, planned, "bob")
    assert refused(why) == ("control.successor-unknown", "not executed")
    assert (room.servers["n1"].running, held_by(room)) == (True, later.request)


def test_another_term_is_another_election(room: MemoryCluster) -> None:
    """Where somebody has pledged more meanwhile, the demotion would pledge another term than the held order's."""
    first, later = held(room)
    act(room, "fence", "w1", **{"for": "n3"})
    planned = before(room, later, first)
    assert "successor-holds" in failing(planned)
    assert "for term 2; this would pledge term" in planned.plan


def test_a_node_that_nobody_reaches_in_its_turn(room: MemoryCluster) -> None:
    """Nothing was sent, and it cannot be withdrawn: what becomes of it is unknown until its node says so."""
    first, later = held(room)
    planned = before(room, later, first)
    silenced = room.servers["n1"].meanwhile

    def stops() -> None:
        silenced()
        room.silent["n2"] = "it is gone"

    room.servers["n1"].meanwhile = stops
    done = confirm(room, planned)
    assert isinstance(done.then, Done)
    assert (done.result, done.then.result, done.then.outcome) == ("executed", "unknown", None)
    assert events(room, later) == ["requested", "confirmed", "triggered", "outcome"]
    room.silent.clear()
    decline(room, later)
    assert said(outcome(room, later)) == DROPPED
    assert events(room, later)[3:] == ["outcome", "established", "established"]
    act(room, "promote", "n2")


@pytest.mark.parametrize("sent", [False, True])
def test_a_control_plane_that_dies_in_its_turn(room: MemoryCluster, *, sent: bool) -> None:
    """Whether the trigger was sent or not: the next one can have it dropped, and records what its node signs of it."""
    first, later = held(room)
    planned = before(room, later, first)

    def dies(path: str, genuine: Callable[[], bytes]) -> bytes:
        if path.endswith("/trigger"):
            if sent:
                genuine()
            raise Killed
        return genuine()

    room.between["n2"] = dies
    with pytest.raises(Interrupted):
        confirm(room, planned)
    room.between.clear()
    room.begin()
    assert (events(room, later), told(room, later)) == (["requested", "confirmed", "triggered"], "triggered")
    assert held_by(room) == ("" if sent else later.request)
    assert decline(room, later).state == ("executed" if sent else "not executed")
    assert events(room, later)[2:] == ["triggered", "established"]


def test_nothing_is_held_that_would_not_be_accepted(room: MemoryCluster) -> None:
    """A demotion that would be rejected, and a node that is no successor: both are rejections from the start."""
    room.servers["n2"].change(drift=("primary_conninfo",))
    assert set(failing(ahead(room, str(uuid.uuid4())))) >= {"receiver-known"}
    room.servers["n2"].change(drift=())
    planned = ahead(room, str(uuid.uuid4()), node="n3")
    assert set(failing(planned)) == {"pledges-kept", "election-quorum", "commit-quorum", "wal-prefix"}
    assert "demote n1 would be rejected" in planned.plan


def test_what_changed_before_it_is_held_is_refused_by_its_node(room: MemoryCluster) -> None:
    """Signed, refused and recorded, as any order would be."""
    later = ahead(room, str(uuid.uuid4()))
    room.servers["n2"].change(drift=("primary_conninfo",))
    done = confirm(room, later)
    assert said(done) == ("not executed", "kernel.verdicts-differ")
    assert held_by(room) == ""


@pytest.mark.parametrize("wrong", ["n1", "demote:n1", "stop:n1:{}", "demote:n2:{}", "demote:w1:{}", "demote:n9:{}"])
def test_the_request_before_is_named_in_one_form(room: MemoryCluster, wrong: str) -> None:
    """Anything else is refused before anything is looked at."""
    text = wrong.format(uuid.uuid4())
    with pytest.raises(Refused) as why:
        ask(room, Ask(action="promote", target="n2", arguments={"after": text}, reason="a test"))
    assert why.value.executed == "not executed"
    assert why.value.code in {"input.sequence-malformed", "input.malformed", "input.node-unknown"}
