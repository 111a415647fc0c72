"""A request's life, verb by verb: the real control plane, its API and its agents; PostgreSQL alone is in memory."""

import pytest
from msgspec.structs import replace

from aerodb.audit.record import read_record
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Decision, Planned, RequestLine, Status
from aerodb.protocol.classification import REDACTED
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Outcome
from aerodb.protocol.signed import open_signed
from aerodb.transport.errors import Refused
from tests.unit.neighbours.cluster import NODES, MemoryCluster
from tests.unit.neighbours.life import PEOPLE, STOP, act, ask, confirm, events, outcome, records
from tests.unit.neighbours.postgres import Fault

# Asking ---------------------------------------------------------------------------------------------------------------


def test_a_plan_is_recorded_before_it_is_shown(room: MemoryCluster) -> None:
    """The record names the exact plan and the snapshot that it was made from, and both are in the log."""
    planned = ask(room)
    (record,) = records(room, planned)
    assert (record.event, record.plan, record.operator) == ("requested", planned.digest, "alice")
    assert room.log.blob(record.plan) == planned.plan.encode()
    assert room.log.blob(record.snapshot) is not None
    assert room.servers["n3"].done == []


def test_a_rejection_is_final(room: MemoryCluster) -> None:
    """It is recorded with the invariants that failed, and a signature over it executes nothing."""
    planned = ask(room, Ask(action="start", target="n3", arguments={}, reason="a test"))
    assert (planned.accepted, events(room, planned)) == (False, ["rejected"])
    with pytest.raises(Refused) as refused:
        confirm(room, planned)
    assert (refused.value.code, refused.value.executed) == ("control.plan-rejected", "not executed")
    assert records(room, planned)[0].invariants == ("running-fits",)


def test_an_id_is_used_once(room: MemoryCluster) -> None:
    """The same question again is told what became of the first, another one that the id is taken."""
    planned = ask(room)
    for asked, code in (
        (STOP, "control.request-known"),
        (replace(STOP, target="n2"), "input.idempotency-key-reused"),
    ):
        with pytest.raises(Refused) as refused:
            ask(room, asked, request=planned.request)
        assert refused.value.code == code
    assert events(room, planned) == ["requested"]


@pytest.mark.parametrize("person", ["carol", "olga"])
def test_who_may_not_ask_is_refused_on_record(room: MemoryCluster, person: str) -> None:
    """Nothing is looked at for them, and that they tried stands in the log."""
    with pytest.raises(Refused) as refused:
        ask(room, person=person)
    assert refused.value.code == "control.role-denied"
    assert [read_record(data).event for _, data in room.log.records()] == ["refused"]


def test_a_silent_target_cannot_be_judged(room: MemoryCluster) -> None:
    """No plan is made from what others say of it."""
    room.silent["n3"] = "connection refused"
    with pytest.raises(Refused) as refused:
        ask(room)
    assert refused.value.code == "transport.target-silent"


# Explaining -----------------------------------------------------------------------------------------------------------


def test_an_explanation_records_nothing(room: MemoryCluster) -> None:
    """It is the plan that a request would have, and leaves no trace."""
    found = canonical.decode(room.caller("alice").get("/v1/explain?action=stop&target=n3"), Planned)
    assert (found.accepted, room.log.size) == (True, 0)


# Declining, and lapsing -----------------------------------------------------------------------------------------------


def test_only_its_requester_declines_a_plan_and_for_good(room: MemoryCluster) -> None:
    """Another operator is refused on record; once declined, a signature counts no more."""
    planned = ask(room)
    path = f"/v1/requests/{planned.request}/decline"
    with pytest.raises(Refused) as refused:
        room.caller("bob").post(path, b"{}")
    assert refused.value.code == "control.not-the-requester"
    line = canonical.decode(room.caller("alice").post(path, b"{}"), RequestLine)
    assert line.state == "declined"
    with pytest.raises(Refused) as gone:
        confirm(room, planned)
    assert gone.value.code == "control.plan-not-pending"
    assert events(room, planned) == ["requested", "refused", "declined", "refused"]


def test_a_plan_lapses_with_its_process(room: MemoryCluster) -> None:
    """One that ends says so itself; of one that was killed the next one says it; neither plan can be confirmed."""
    ended = ask(room)
    room.plane.close()
    killed = ask(room)
    room.begin()
    room.plane.begin(room.plane.left_over())
    for planned in (ended, killed):
        assert events(room, planned) == ["requested", "lapsed"]
        with pytest.raises(Refused) as refused:
            confirm(room, planned)
        assert refused.value.code == "control.plan-not-pending"
    assert room.servers["n3"].done == []


# Confirming, and dispatching ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "key", "code"),
    [("bob", "bob", "control.not-the-requester"), ("alice", "bob", "kernel.signature-invalid")],
)
def test_only_the_requesters_own_signature_counts(room: MemoryCluster, person: str, key: str, code: str) -> None:
    """Another operator's, or another's key in the requester's name, is refused on record; the plan awaits as before."""
    planned = ask(room)
    with pytest.raises(Refused) as refused:
        confirm(room, planned, person, key)
    assert refused.value.code == code
    assert events(room, planned) == ["requested", "refused"]
    assert confirm(room, planned).result == "executed"


def test_a_confirmation_is_logged_sent_once_and_its_outcome_recorded(room: MemoryCluster) -> None:
    """The node did it once, and its signed word stands in the log; the same confirmation again is refused."""
    planned = ask(room)
    done = confirm(room, planned)
    assert events(room, planned) == ["requested", "confirmed", "outcome"]
    assert done.outcome is not None
    said = open_signed(done.outcome, Outcome, room.cluster.member("n3").public_key)
    assert (said.request, said.plan, said.result) == (planned.request, planned.digest, "executed")
    with pytest.raises(Refused) as refused:
        confirm(room, planned)
    assert (refused.value.code, refused.value.executed) == ("control.confirmation-replayed", "executed")
    with pytest.raises(Refused) as declined:
        room.caller("alice").post(f"/v1/requests/{planned.request}/decline", b"{}")
    assert declined.value.executed == "executed"
    with pytest.raises(Refused) as known:
        ask(room, request=planned.request)
    assert (known.value.code, known.value.executed) == ("control.request-known", "executed")
    assert room.servers["n3"].done == ["stop"]
    logged = [(record.event, record.result) for record in records(room, planned)]
    assert logged.count(("refused", "not executed")) == 2  # The log says of a refusal what that itself had executed.


def test_a_node_judges_again(room: MemoryCluster) -> None:
    """What changed between plan and order is found by the node, which executes nothing and names the invariant."""
    planned = ask(room)
    room.servers["n3"].change(state=State.CRASHED)
    done = confirm(room, planned)
    assert (done.result, done.code) == ("not executed", "kernel.verdicts-differ")
    assert room.servers["n3"].done == []


def test_an_agent_that_is_not_reached_has_executed_nothing(room: MemoryCluster) -> None:
    """Nothing was sent: that is the outcome, on record; it is not tried again by itself."""
    planned = ask(room)
    room.silent["n3"] = "connection refused"
    done = confirm(room, planned)
    assert (done.result, done.code, done.outcome) == ("not executed", "transport.unreachable", None)
    del room.silent["n3"]
    assert room.servers["n3"].done == []
    assert events(room, planned) == ["requested", "confirmed", "outcome"]


# Outcomes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "result"), [(Fault.BEFORE, "not executed"), (Fault.AFTER, "executed"), (Fault.LOST, "unknown")]
)
def test_a_failure_is_judged_by_what_postgresql_shows(room: MemoryCluster, fault: Fault, result: str) -> None:
    """Not by what failed: a shutdown that was said to have failed and is done was executed."""
    room.servers["n3"].fault = fault
    planned = ask(room)
    done = confirm(room, planned)
    assert (done.result, done.code) == (result, "kernel.postgres-stop-unfinished")


def test_what_is_unknown_is_established_by_asking(room: MemoryCluster) -> None:
    """As long as PostgreSQL shows nothing it stays unknown; then its state decides, once, and that is recorded."""
    room.servers["n3"].fault = Fault.LOST
    planned = ask(room)
    assert confirm(room, planned).result == "unknown"
    assert outcome(room, planned).result == "unknown"
    room.servers["n3"].change(state=State.STOPPED)
    first = outcome(room, planned)
    assert first.result == "executed"
    assert outcome(room, planned).outcome == first.outcome
    assert events(room, planned)[:4] == ["requested", "confirmed", "outcome", "established"]
    assert room.servers["n3"].done == ["stop"]
    assert room.houses["n3"].agent.standing.halted


def test_there_is_no_outcome_of_what_was_never_confirmed(room: MemoryCluster) -> None:
    """Nothing is asked of the node, and no id is used up."""
    planned = ask(room)
    with pytest.raises(Refused) as refused:
        outcome(room, planned)
    assert refused.value.code == "control.never-confirmed"
    assert confirm(room, planned).result == "executed"


# Disclosing -----------------------------------------------------------------------------------------------------------


def test_a_role_sees_what_it_may(room: MemoryCluster) -> None:
    """An operator sees signed reports, an observer none; an auditor who asks for them leaves exactly one record."""
    seen = {name: canonical.decode(room.caller(name).get("/v1/status"), Status) for name in PEOPLE}
    assert set(seen["alice"].snapshot.reports) == {*NODES, "w1"}
    for name in ("carol", "olga"):
        assert not seen[name].snapshot.reports
        assert seen[name].redacted
    assert room.log.size == 0
    asked = canonical.decode(room.caller("carol").get("/v1/status?sensitive=1"), Status)
    assert asked.snapshot.reports
    record = read_record(room.log.record(0))
    assert (record.event, record.operator, record.arguments["read"]) == ("read", "carol", "status")
    with pytest.raises(Refused):
        room.caller("olga").get("/v1/status?sensitive=1")


def test_a_decision_shows_its_snapshot_to_who_asked(room: MemoryCluster) -> None:
    """Not to another operator, and to an observer neither plan nor records as they are."""
    planned = ask(room)
    shown = {
        name: canonical.decode(room.caller(name).get(f"/v1/requests/{planned.request}"), Decision) for name in PEOPLE
    }
    assert shown["alice"].snapshot is not None
    assert (shown["bob"].snapshot, shown["bob"].plan) == (None, planned.plan)
    assert (shown["olga"].plan, shown["olga"].records) == (None, ())
    assert [each.event for each in shown["olga"].events] == ["requested"]


def test_nobody_learns_from_a_silence_where_a_node_is(room: MemoryCluster) -> None:
    """Why it cannot be reached may name an address: an observer is told the kind of failure alone."""
    room.silent["n2"] = "10.0.0.7:5432 refuses"
    told = {
        name: canonical.decode(room.caller(name).get("/v1/status"), Status).snapshot.missing["n2"] for name in PEOPLE
    }
    assert "10.0.0.7" in told["alice"]
    assert told["olga"] == f"transport.unreachable: {REDACTED}"


# A whole story --------------------------------------------------------------------------------------------------------


def test_a_planned_switchover_and_the_way_back(room: MemoryCluster) -> None:
    """Step by step, each explained, signed and judged by the nodes: writes end up where the second primary is."""
    act(room, "follow", "n3", upstream="n2")
    act(room, "fence", "w1", **{"for": "n2"})
    act(room, "demote", "n1", **{"for": "n2"})
    act(room, "promote", "n2")
    act(room, "follow", "n1", upstream="n2")
    status = canonical.decode(room.caller("alice").get("/v1/status"), Status)
    assert (status.writes.acknowledged, status.writes.node, status.writes.term) == ("yes", "n2", 2)
    assert [each.node for each in room.servers["n2"].instance.senders] == ["n3", "n1"]
    assert all(house.agent.standing.granted.term <= 2 for house in room.houses.values())
