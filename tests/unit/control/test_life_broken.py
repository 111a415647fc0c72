"""A request's life where something breaks in its midst: no step is taken twice, and none without the one before.

The real control plane, its API and its agents; PostgreSQL alone is in memory. Whoever is killed leaves what they wrote.
"""

import os
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress

import pytest

from aerodb.audit.record import read_record
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Confirm, Done, Planned, RequestLine, Status
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Confirmation, Plan
from aerodb.protocol.sshsig import sign_with_key
from aerodb.rules.explain import LOOK_ID
from aerodb.transport.errors import Refused
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import ask, confirm, events, outcome, records
from tests.unit.neighbours.wire import Killed

MANY = 6


def touch_log(room: MemoryCluster) -> None:
    """Have somebody write the log's file."""
    os.utime(room.folder / "log" / "log.db", ns=(0, 0))


def logged_and_not_sent(room: MemoryCluster, planned: Planned) -> tuple[Confirmation, int]:
    """Log a confirmation and do no more, as a control plane does that is killed there; return it and its record."""
    signature = sign_with_key(room.people["alice"], planned.plan.encode())
    plan = canonical.decode(planned.plan.encode(), Plan)
    signed = Confirmation(plan=planned.plan, signature=signature)
    sequence = room.plane._recorder.confirmed(plan, signed, touch=False)
    room.begin()
    return signed, sequence


def at_once(*calls: Callable[[], None]) -> None:
    """Call all of them at once, each in a thread."""
    begin = threading.Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        begin.wait()
        call()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# Asking ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_id", ["", "x", "../status", LOOK_ID, "A" * 36])
def test_what_is_no_id_names_no_request(room: MemoryCluster, request_id: str) -> None:
    """Nothing is looked at and nothing is planned for it, and the log gets no request of that name."""
    with pytest.raises(Refused) as refused:
        room.caller("alice").post(
            "/v1/requests",
            b'{"action":"stop","arguments":{},"reason":"a test","target":"n3"}',
            {"Idempotency-Key": request_id} if request_id else {},
        )
    assert refused.value.status == 400
    assert all(read_record(data).event == "refused" for _, data in room.log.records())


def test_many_who_ask_under_one_id_get_one_plan(room: MemoryCluster) -> None:
    """However they meet, one is given a plan, and the others are told that the id is known."""
    request_id, found = str(uuid.uuid4()), list[str]()

    def one() -> None:
        try:
            found.append(ask(room, request=request_id).digest)
        except AeroError as error:
            found.append(error.code)

    at_once(*[one] * MANY)
    assert sorted(found)[:-1] == ["control.request-known"] * (MANY - 1)
    assert [read_record(data).event for _, data in room.log.records()].count("requested") == 1


# Confirming -----------------------------------------------------------------------------------------------------------


def test_many_confirmations_at_once_are_one_order(room: MemoryCluster) -> None:
    """Whoever sends the genuine confirmation again and again has it carried out once, and logged once."""
    planned, results = ask(room), list[str]()

    def one() -> None:
        try:
            results.append(confirm(room, planned).result)
        except AeroError as error:
            results.append(error.code)

    at_once(*[one] * MANY)
    assert results.count("executed") == 1
    assert set(results) <= {"executed", "control.confirmation-replayed", "control.plan-not-pending"}
    assert (room.servers["n3"].done, events(room, planned).count("confirmed")) == (["stop"], 1)


def test_a_plan_is_confirmed_or_declined_and_never_both(room: MemoryCluster) -> None:
    """However the two meet: what was declined was not executed."""
    planned, won = ask(room), list[str]()

    def decline() -> None:
        with suppress(AeroError):
            body = room.caller("alice").post(f"/v1/requests/{planned.request}/decline", b"{}")
            won.append(canonical.decode(body, RequestLine).state)

    def accept() -> None:
        with suppress(AeroError):
            won.append(confirm(room, planned).result)

    at_once(decline, accept)
    assert won in (["declined"], ["executed"])
    executed = won == ["executed"]
    assert ("confirmed" in events(room, planned), "declined" in events(room, planned)) == (executed, not executed)
    assert room.servers["n3"].done == (["stop"] if executed else [])


@pytest.mark.parametrize("of", ["another plan", "the digest alone", "nothing"])
def test_a_signature_over_anything_else_counts_for_nothing(room: MemoryCluster, of: str) -> None:
    """It is the requester's own key, and not this plan: refused on record, nothing is logged as confirmed or sent."""
    planned, other = ask(room), ask(room)
    said = {"another plan": other.plan, "the digest alone": planned.digest, "nothing": ""}[of]
    signature = sign_with_key(room.people["alice"], said.encode())
    with pytest.raises(Refused) as refused:
        room.caller("alice").post(
            f"/v1/requests/{planned.request}/confirmation", canonical.encode(Confirm(signature=signature))
        )
    assert (refused.value.code, refused.value.executed) == ("kernel.signature-invalid", "not executed")
    assert (events(room, planned), room.servers["n3"].done) == (["requested", "refused"], [])


def test_what_cannot_be_logged_is_not_sent_and_reading_goes_on(room: MemoryCluster) -> None:
    """A log whose file somebody wrote takes no confirmation: no order leaves, and the state is still shown."""
    planned = ask(room)
    touch_log(room)
    with pytest.raises(Refused) as refused:
        confirm(room, planned)
    assert (refused.value.code, refused.value.executed) == ("control.log-replaced", "not executed")
    assert room.servers["n3"].done == []
    assert canonical.decode(room.caller("alice").get("/v1/status"), Status).writes.acknowledged == "yes"


# Dispatching ----------------------------------------------------------------------------------------------------------


def test_an_outcome_that_never_arrives_is_unknown_until_it_is_asked_for(room: MemoryCluster) -> None:
    """The node did it and its word was lost: that is recorded as unknown, asked for later, and done once."""
    planned = ask(room)
    room.cut["n3"] = "the connection broke"
    done = confirm(room, planned)
    assert (done.result, done.code, done.outcome) == ("unknown", "transport.interrupted", None)
    with pytest.raises(Refused):
        outcome(room, planned)  # It cannot say so now either, and then nothing is recorded.
    del room.cut["n3"]
    assert outcome(room, planned).result == "executed"
    assert events(room, planned) == ["requested", "confirmed", "outcome", "established"]
    assert room.servers["n3"].done == ["stop"]


def test_an_outcome_that_cannot_be_recorded_is_still_told(room: MemoryCluster) -> None:
    """The log fails while the node works: who confirmed is told what became of it, and that it is not on record."""
    planned = ask(room)
    room.servers["n3"].meanwhile = lambda: touch_log(room)
    done = confirm(room, planned)
    assert (done.result, done.sequence) == ("executed", None)
    assert "could not be recorded" in done.message
    assert done.outcome is not None


# What became of it ----------------------------------------------------------------------------------------------------


def test_what_was_logged_and_never_sent_is_given_up_for_good(room: MemoryCluster) -> None:
    """The node signs that it was never asked; the genuine order, sent after that, is refused with that same answer."""
    planned = ask(room)
    signed, sequence = logged_and_not_sent(room, planned)
    assert events(room, planned) == ["requested", "confirmed"]
    given_up = outcome(room, planned)
    assert (given_up.result, given_up.code) == ("not executed", "kernel.request-unknown")
    plan = canonical.decode(planned.plan.encode(), Plan)
    late: Done = room.plane._parts.dispatcher.dispatch(plan, signed, sequence)
    assert (late.result == "executed", room.servers["n3"].done) == (False, [])
    assert outcome(room, planned).outcome == given_up.outcome


@pytest.mark.parametrize("executed", [False, True])
def test_an_agent_that_is_killed_runs_nothing_again(room: MemoryCluster, *, executed: bool) -> None:
    """Killed before its operation had its effect or after: the next agent tells what PostgreSQL shows, no more."""
    server, house = room.servers["n3"], room.houses["n3"]

    def dies() -> None:
        server.meanwhile = lambda: None
        if executed:
            server._shut_down()
        raise Killed

    server.meanwhile = dies
    planned = ask(room)
    assert confirm(room, planned).result == "unknown"
    house.again()
    assert server.done == ["stop"]
    unfinished = house.agent.facts().unfinished
    assert unfinished is not None
    assert unfinished.request == planned.request
    established = outcome(room, planned)
    assert (established.result, server.done) == ("executed" if executed else "not executed", ["stop"])
    assert (server.instance.state is State.STOPPED) == executed
    assert house.agent.standing.halted == executed
    house.again()
    assert outcome(room, planned).outcome == established.outcome
    assert house.agent.facts().unfinished is None


def test_what_became_of_it_is_asked_by_who_may(room: MemoryCluster) -> None:
    """Neither an auditor nor an observer makes a node promise anything; that they tried is on record."""
    planned = ask(room)
    logged_and_not_sent(room, planned)
    for person in ("carol", "olga"):
        with pytest.raises(Refused) as refused:
            room.caller(person).post(f"/v1/requests/{planned.request}/outcome", b"{}")
        assert refused.value.code == "control.role-denied"
    assert events(room, planned) == ["requested", "confirmed", "refused", "refused"]
    assert [each.operator for each in records(room, planned)] == ["alice"] * 4
    assert planned.request not in room.houses["n3"].agent._store.requests
