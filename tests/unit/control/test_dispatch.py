"""Dispatching alone: one order, sent once; an outcome is only what the target itself signs of this very plan.

The real control plane and agents; somebody stands between them, and answers in a node's place.
"""

from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from aerodb.audit.findings import Finding
from aerodb.errors import AeroError, Executed
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Done, Planned, Requests
from aerodb.protocol.plan import Outcome
from aerodb.protocol.signed import Signed, open_signed, sign
from aerodb.transport.errors import Interrupted, Refused
from aerodb.transport.problem import Problem, refused_by
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import ask, confirm, events, outcome, records
from tests.unit.neighbours.wire import Between

Genuine = Callable[[], bytes]
ORDERS, CHECKPOINT, REPORT, OUTCOMES = "/v1/orders", "/v1/checkpoint", "/v1/report", "/v1/outcomes"
REPEATABLE = Ask(action="checkpoint", target="n3", arguments={}, reason="a test")
DECOMPOSED, COMPOSED = "e\u0301", "\u00e9"


def at(path: str, says: Callable[[Genuine], bytes]) -> Between:
    """Return who answers in a node's place under one path."""
    return lambda asked, genuine: says(genuine) if asked.startswith(path) else genuine()


def problem(status: int = 409, **changes: object) -> AeroError:
    """Return an unsigned refusal, as it is read from an answer."""
    said = Problem(
        type="", title="", status=status, detail="because", code="kernel.boo", domain="kernel", executed="executed"
    )
    return refused_by(status, msgspec.json.encode(replace(said, **changes)))


def raising(error: AeroError) -> Callable[[Genuine], bytes]:
    """Return who answers with an error, and asks nobody."""

    def says(_: Genuine) -> bytes:
        raise error

    return says


def after(error: AeroError) -> Callable[[Genuine], bytes]:
    """Return who has the node answer, and passes an error on instead."""

    def says(genuine: Genuine) -> bytes:
        genuine()
        raise error

    return says


def state(room: MemoryCluster, planned: Planned) -> str:
    """Return a request's state, as the list shows it."""
    found = canonical.decode(room.caller("carol").get("/v1/requests"), Requests)
    return next(line.state for line in found.requests if line.request == planned.request)


def doubted(room: MemoryCluster, planned: Planned) -> list[Finding]:
    """Return what an auditor's verification of a request's records finds wrong with them."""
    found = room.plane._parts.reader.judged(planned.request)
    return [each for each in found if each.state not in ("holds", "noted")]


def resigned(room: MemoryCluster, signed: bytes, node: str = "n3", **changes: object) -> bytes:
    """Return an outcome with something else in it, signed by a node."""
    said = canonical.decode(canonical.decode(signed, Signed).document.encode(), Outcome)
    return canonical.encode(sign(replace(said, **changes), node, room.keys[node]))


# What comes back ------------------------------------------------------------------------------------------------------

LIES: dict[str, Callable[[MemoryCluster, bytes], bytes]] = {
    "nothing": lambda *_: b"",
    "garbage": lambda *_: b"\x00\xff<html>",
    "another document": lambda *_: b'{"size":1}',
    "unsigned": lambda _, said: canonical.encode(replace(canonical.decode(said, Signed), signature="")),
    "altered": lambda _, said: said.replace(b'\\"result\\":\\"executed\\"', b'\\"result\\":\\"unknown\\"'),
    "by another node": lambda room, said: resigned(room, said, "n2"),
    "in another node's name": lambda room, said: canonical.encode(
        replace(canonical.decode(resigned(room, said, "n2"), Signed), signer="n3")
    ),
    "of another node": lambda room, said: resigned(room, said, cluster="cluster-1", node="n2"),
    "of another cluster": lambda room, said: resigned(room, said, cluster="cluster-2"),
    "of another request": lambda room, said: resigned(room, said, request="1" * 8 + "-2222-4333-8444-555555555555"),
    "of another plan": lambda room, said: resigned(room, said, plan="sha256:" + "0" * 64),
    "executed, of no plan": lambda room, said: resigned(room, said, plan=""),
}


def test_what_is_not_the_nodes_word_on_this_plan_is_unknown(room: MemoryCluster) -> None:
    """Whatever else comes back: the order was sent, so its outcome is unknown until the node's own word is asked for.

    The node did it once, the log never says otherwise, and what it holds of the request verifies.
    """
    for lie, told in LIES.items():
        planned = ask(room, REPEATABLE)
        room.between["n3"] = at(ORDERS, lambda genuine, told=told: told(room, genuine()))  # type: ignore[misc]
        done = confirm(room, planned)
        assert (done.result, done.outcome, done.sequence is None) == ("unknown", None, False), lie
        assert done.code in {"transport.outcome-forged", "transport.answer-malformed"}, lie
        room.between["n3"] = at(OUTCOMES, lambda genuine, told=told: told(room, genuine()))  # type: ignore[misc]
        with pytest.raises(Refused) as refused:
            outcome(room, planned)
        assert (refused.value.executed, state(room, planned)) == ("unknown", "unknown"), lie
        del room.between["n3"]
        assert outcome(room, planned).result == "executed", lie
        assert events(room, planned) == ["requested", "confirmed", "outcome", "established"], lie
        assert doubted(room, planned) == [], lie
    assert room.servers["n3"].done == ["checkpoint"] * len(LIES)


@pytest.mark.parametrize("executed", ["executed", "not executed"])
def test_an_unsigned_word_on_a_sent_order_counts_for_nothing(room: MemoryCluster, executed: Executed) -> None:
    """A refusal that is not signed says neither that it was executed nor that it was not."""
    planned = ask(room)
    room.between["n3"] = at(ORDERS, after(problem(executed=executed)))
    assert (confirm(room, planned).result, doubted(room, planned)) == ("unknown", [])
    room.between["n3"] = at(OUTCOMES, raising(problem(executed=executed)))
    with pytest.raises(Refused) as refused:
        outcome(room, planned)
    assert (refused.value.code, refused.value.executed) == ("kernel.boo", "unknown")


@pytest.mark.parametrize("executed", ["executed", "unknown"])
def test_what_was_never_sent_was_not_executed(room: MemoryCluster, executed: Executed) -> None:
    """Whatever a node says, unsigned, before it has the order: nobody is told otherwise, nor does the log say so."""
    planned = ask(room)
    room.between["n3"] = at(CHECKPOINT, raising(problem(executed=executed)))
    done = confirm(room, planned)
    assert (done.result, done.code, done.outcome) == ("not executed", "kernel.boo", None)
    assert (room.servers["n3"].done, doubted(room, planned)) == ([], [])


def test_who_asks_a_silent_node_what_became_of_it_is_told_that_it_is_unknown(room: MemoryCluster) -> None:
    """The question did not arrive; that says nothing about the order, which the node has carried out."""
    planned = ask(room)
    room.cut["n3"] = "the connection broke"
    confirm(room, planned)
    room.silent["n3"] = "connection refused"
    with pytest.raises(Refused) as refused:
        outcome(room, planned)
    assert (refused.value.code, refused.value.executed) == ("transport.unreachable", "unknown")
    assert room.servers["n3"].done == ["stop"]


def test_an_answer_that_comes_twice_is_one_outcome(room: MemoryCluster) -> None:
    """Whoever repeats an order in between has it carried out once; the repeated one is refused by the node."""
    planned = ask(room)

    def twice(genuine: Genuine) -> bytes:
        first = genuine()
        with pytest.raises(Refused) as refused:
            genuine()
        assert (refused.value.code, refused.value.executed) == ("kernel.request-duplicate", "executed")
        return first

    room.between["n3"] = at(ORDERS, twice)
    assert confirm(room, planned).result == "executed"
    assert (room.servers["n3"].done, events(room, planned).count("outcome")) == (["stop"], 1)


def test_an_order_that_is_asked_for_while_it_is_on_its_way_is_ruled_out(room: MemoryCluster) -> None:
    """The node promises that it will never run it, and keeps that; the answer that then comes late takes nothing back.

    What the list says is what the node signed, not that it is unknown; and the log verifies.
    """
    planned, promised = ask(room), list[Done]()

    def asked_meanwhile(genuine: Genuine) -> bytes:
        promised.append(outcome(room, planned))
        return genuine()

    room.between["n3"] = at(ORDERS, asked_meanwhile)
    done = confirm(room, planned)
    assert (promised[0].result, done.result, done.code) == ("not executed", "unknown", "kernel.request-duplicate")
    assert events(room, planned) == ["requested", "confirmed", "established", "outcome"]
    assert (state(room, planned), room.servers["n3"].done, doubted(room, planned)) == ("not executed", [], [])
    with pytest.raises(Refused) as refused:
        confirm(room, planned)
    assert "its outcome: not executed" in refused.value.message


def test_an_order_is_asked_for_while_the_node_works_on_it(room: MemoryCluster) -> None:
    """It cannot tell yet, and promises nothing; nothing is recorded, and the order goes on."""
    planned, found = ask(room), list[tuple[str, str]]()

    def ask_meanwhile() -> None:
        with pytest.raises(Refused) as refused:
            outcome(room, planned)
        found.append((refused.value.code, refused.value.executed))

    room.servers["n3"].meanwhile = ask_meanwhile
    assert confirm(room, planned).result == "executed"
    assert (found, events(room, planned)) == ([("kernel.busy", "unknown")], ["requested", "confirmed", "outcome"])


def test_what_a_node_signs_twice_is_recorded_as_it_says(room: MemoryCluster) -> None:
    """A node that takes its signed word back is not believed over the log: whoever verifies it is told."""
    planned = ask(room)
    confirm(room, planned)
    room.between["n3"] = at(OUTCOMES, lambda genuine: resigned(room, genuine(), result="not executed"))
    outcome(room, planned)
    assert [each.state for each in doubted(room, planned)] == ["fails"]


# Texts in which nodes fail --------------------------------------------------------------------------------------------


def test_no_nodes_words_keep_an_outcome_from_being_told(room: MemoryCluster) -> None:
    """A refusal in a form of Unicode that is never stored, by the target or by a peer: the outcome is true, on record.

    Told "not executed" of what was executed, a person would do it again.
    """
    error = problem(detail=DECOMPOSED, title=DECOMPOSED, invariants=(DECOMPOSED,), more={DECOMPOSED: DECOMPOSED})
    results = []
    for node, path in (("n2", REPORT), ("n3", CHECKPOINT), ("n3", ORDERS)):
        planned = ask(room, REPEATABLE)
        room.between[node] = at(path, after(error))
        done = confirm(room, planned)
        assert (events(room, planned), done.sequence is None) == (["requested", "confirmed", "outcome"], False)
        assert done.message == ("" if done.result == "executed" else COMPOSED)
        results.append(done.result)
        del room.between[node]
    assert results == ["executed", "not executed", "unknown"]
    assert room.servers["n3"].done == ["checkpoint"] * 2


def test_no_nodes_words_keep_anybody_from_planning(room: MemoryCluster) -> None:
    """One node fails in such words: every other node is planned for, and seen, as if it were silent."""
    room.between["n2"] = at(REPORT, raising(problem(detail=DECOMPOSED)))
    assert ask(room).accepted
    assert COMPOSED in room.caller("alice").get("/v1/status").decode()


def test_an_operation_that_fails_in_any_words_has_a_signed_outcome(room: MemoryCluster) -> None:
    """What PostgreSQL says of its own failure cannot keep the node from signing what became of the request."""
    planned = ask(room)

    def fails() -> None:
        room.servers["n3"]._shut_down()
        raise RuntimeError(f"{DECOMPOSED} \ud800")

    room.servers["n3"].meanwhile = fails
    done = confirm(room, planned)
    assert done.outcome is not None
    said = open_signed(done.outcome, Outcome, room.cluster.member("n3").public_key)
    assert (said.result, said.code) == ("executed", "kernel.operation-failed")
    assert COMPOSED in said.message


# What cannot be done before it is sent --------------------------------------------------------------------------------


def test_an_interruption_before_the_order_is_no_execution(room: MemoryCluster) -> None:
    """The node is asked what it has seen and hangs up: nothing was sent, and that is the outcome."""
    planned = ask(room)
    room.between["n3"] = at(CHECKPOINT, raising(Interrupted("hung up", executed="unknown")))
    done = confirm(room, planned)
    assert (done.result, done.code) == ("not executed", "transport.interrupted")
    del room.between["n3"]
    assert outcome(room, planned).code == "kernel.request-unknown"
    assert (room.servers["n3"].done, doubted(room, planned)) == ([], [])


def test_an_order_carries_what_peers_said_after_the_confirmation(room: MemoryCluster) -> None:
    """A peer's report of before is none of those: it is left out, and the log says so."""
    reports = dict[str, bytes]()

    def replayed(genuine: Genuine) -> bytes:
        return reports.setdefault("n2", genuine())

    room.between["n2"] = at(REPORT, replayed)
    planned = ask(room)
    done = confirm(room, planned)
    late = records(room, planned)[-1].late
    assert done.result == "executed"
    assert b"its report cannot be verified" in (room.log.blob(late) or b"")
    assert doubted(room, planned) == []
