"""A second person: the requester signs first, another operator signs the same plan, and only then is anything sent."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.audit.record import LaterRecord, RecordOne
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Decision, Done, Planned, RequestLine, Requests
from aerodb.protocol.chain import step_of
from aerodb.protocol.change import Change, step_text
from aerodb.protocol.cluster import Role
from aerodb.protocol.plan import Plan
from aerodb.protocol.sshkey import of_public
from aerodb.transport.errors import Refused
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import (
    PEOPLE,
    ask,
    ask_for_seconds,
    change,
    confirm,
    events,
    outcome,
    records,
    second_person,
    sign_first,
)

RUNNING = "running"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster of three operators."""
    made = MemoryCluster(tmp_path, {**PEOPLE, "dora": Role.OPERATOR})
    yield made
    made.close()


def state(room: MemoryCluster, planned: Planned) -> str:
    """Return a request's state, as the list shows it."""
    found = canonical.decode(room.caller("carol").get("/v1/requests"), Requests)
    return next(line.state for line in found.requests if line.request == planned.request)


def asks(room: MemoryCluster) -> list[str]:
    """Return the classes of actions for which a second person is asked now."""
    return list(room.plane.cluster.second_asked)


def refused(why: pytest.ExceptionInfo[Refused]) -> tuple[str, str]:
    """Return a refusal's code, and what it says of what was executed."""
    return why.value.code, why.value.executed


def asked(room: MemoryCluster) -> Planned:
    """Have every node ask for a second person to run anything, and plan a stop."""
    ask_for_seconds(room)
    return ask(room)


def revoked(name: str) -> Change:
    """Return the change that revokes an operator."""
    return Change(kind="revoke", name=name, before="operator", after="revoked")


def act_by_two(room: MemoryCluster, question: Ask, first: str = "alice", second: str = "bob") -> Done:
    """Ask, sign first, sign second, and return the outcome."""
    planned = ask(room, question, first)
    sign_first(room, planned, first)
    return confirm(room, planned, second)


# Its life -------------------------------------------------------------------------------------------------------------


def test_both_sign_the_same_plan_and_both_signatures_are_logged(room: MemoryCluster) -> None:
    """The requester's first, in a record of its own, and nothing is sent; then both in one, and the order is run."""
    planned = asked(room)
    plan = canonical.decode(planned.plan.encode(), Plan)
    assert [note for note in plan.notes if "SECOND PERSON" in note] == [
        "A SECOND PERSON must sign this plan after alice, before anything is sent: version 2 of the configuration asks "
        "for that for actions of the class running. Could: bob, dora."
    ]
    line = sign_first(room, planned)
    assert (line.state, state(room, planned), room.servers["n3"].done) == (*["awaits a second person"] * 2, [])
    done = confirm(room, planned, "bob")
    assert (done.result, state(room, planned)) == ("executed", "executed")
    assert events(room, planned) == ["requested", "signed", "confirmed", "outcome"]
    first, signed, confirmed, ended = records(room, planned)
    assert [type(each) for each in (first, signed, confirmed, ended)] == [
        RecordOne, LaterRecord, LaterRecord, RecordOne,
    ]  # fmt: skip
    assert confirmed.seconded is not None
    seen = canonical.decode(room.caller("olga").get(f"/v1/requests/{planned.request}"), Decision)
    assert [each.operator for each in seen.events] == ["alice", "alice", "alice and bob", "alice"]
    assert (confirmed.signature, confirmed.seconded.operator, confirmed.operator) == (signed.signature, "bob", "alice")


def test_what_is_not_asked_for_needs_nobody_else(room: MemoryCluster) -> None:
    """A fence is of another class: its plan says nothing of a second person, and its records are of version 1."""
    ask_for_seconds(room, "authority")
    planned = ask(room)
    assert "SECOND" not in planned.plan
    with pytest.raises(Refused) as why:
        sign_first(room, planned)
    assert refused(why) == ("kernel.second-refused", "not executed")
    assert confirm(room, planned).result == "executed"
    assert {type(each) for each in records(room, planned)} == {RecordOne}


@pytest.mark.parametrize(
    ("person", "key", "code"),
    [
        ("alice", "", "kernel.second-refused"),  # Who asked is no second person.
        ("alice", "bob", "kernel.second-refused"),
        ("bob", "alice", "kernel.second-refused"),  # Not with somebody else's key.
        ("carol", "", "control.role-denied"),
        ("olga", "", "control.role-denied"),
    ],
)
def test_nobody_but_another_operator_is_the_second_person(
    room: MemoryCluster, person: str, key: str, code: str
) -> None:
    """Whatever else comes is refused on record; the plan waits on, and another operator can still sign it."""
    planned = asked(room)
    sign_first(room, planned)
    with pytest.raises(Refused) as why:
        confirm(room, planned, person, key)
    assert refused(why) == (code, "not executed")
    assert (events(room, planned), room.servers["n3"].done) == (["requested", "signed", "refused"], [])
    assert confirm(room, planned, "bob").result == "executed"


def test_the_second_does_not_sign_before_the_first(room: MemoryCluster) -> None:
    """In neither way: the order of the signatures is that of the request's life."""
    planned = asked(room)
    for signs in (confirm, sign_first):
        with pytest.raises(Refused) as why:
            signs(room, planned, "bob")
        assert refused(why) == ("control.not-the-requester", "not executed")
    with pytest.raises(Refused) as why:
        confirm(room, planned)  # The requester alone confirms nothing.
    assert refused(why) == ("kernel.second-missing", "not executed")
    assert room.servers["n3"].done == []


def test_the_requester_signs_once(room: MemoryCluster) -> None:
    """A double click leaves one record, and the plan waits on; nor does somebody else's key sign first."""
    planned = asked(room)
    with pytest.raises(Refused) as why:
        sign_first(room, planned, "alice", "bob")
    assert why.value.code == "kernel.signature-invalid"
    sign_first(room, planned)
    with pytest.raises(Refused) as why:
        sign_first(room, planned)
    assert refused(why) == ("control.confirmation-replayed", "not executed")
    assert events(room, planned) == ["requested", "refused", "signed", "refused"]


def test_a_first_signature_that_was_checked_before_another_was_logged_is_not_logged(room: MemoryCluster) -> None:
    """Two windows sign first at once: one signature is logged, the other's plan is not what was looked at any more."""
    planned = asked(room)
    explainer = room.plane._parts.explainer
    looked_at = explainer.pending(planned.request)
    assert looked_at is not None
    sign_first(room, planned)
    with explainer.taken(looked_at) as taken:
        assert not taken
    assert explainer.awaits(planned.request)
    assert confirm(room, planned, "bob").result == "executed"
    assert events(room, planned) == ["requested", "signed", "confirmed", "outcome"]


def test_a_signature_of_another_requests_plan_counts_for_nothing(room: MemoryCluster) -> None:
    """What the second person signed of one plan confirms no other, however alike they are."""
    planned = asked(room)
    other = ask(room)
    sign_first(room, planned)
    with pytest.raises(Refused) as why:
        confirm(room, replace(planned, plan=other.plan), "bob")
    assert refused(why) == ("kernel.second-refused", "not executed")


def test_two_at_once_send_one_order(room: MemoryCluster) -> None:
    """Of several at once one is the second person; the others are told so, and nothing is repeated."""
    planned = asked(room)
    sign_first(room, planned)
    found = list[str]()
    together = threading.Barrier(4)

    def signs() -> None:
        together.wait()
        try:
            found.append(confirm(room, planned, "bob").result)
        except AeroError as error:
            found.append(error.code)

    threads = [threading.Thread(target=signs) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found.count("executed") == 1
    # Which of the two others are told hangs on whether the first is still under way, or over.
    assert set(found) <= {"executed", "control.confirmation-replayed", "control.plan-not-pending"}
    assert events(room, planned).count("confirmed") == 1


# Declining, and dying -------------------------------------------------------------------------------------------------


def test_only_the_requester_declines_and_then_nobody_signs(room: MemoryCluster) -> None:
    """One operator's no is not everybody's: another's decline is refused, and the plan waits on for a third."""
    planned = asked(room)
    sign_first(room, planned)
    path = f"/v1/requests/{planned.request}/decline"
    with pytest.raises(Refused) as why:
        room.caller("bob").post(path, b"{}")
    assert (why.value.code, state(room, planned)) == ("control.not-the-requester", "awaits a second person")
    assert canonical.decode(room.caller("alice").post(path, b"{}"), RequestLine).state == "declined"
    with pytest.raises(Refused) as why:
        confirm(room, planned, "bob")
    assert refused(why) == ("control.plan-not-pending", "not executed")
    assert room.servers["n3"].done == []


def test_what_awaits_a_second_person_lapses_with_its_process(room: MemoryCluster) -> None:
    """Of a control plane that ended, and of one that was killed: the first signature alone confirms nothing, ever."""
    ended = asked(room)
    sign_first(room, ended)
    room.plane.close()
    room.begin()
    killed = ask(room)
    sign_first(room, killed)
    room.begin()
    room.plane.begin(room.plane.left_over())
    for planned in (ended, killed):
        assert (events(room, planned), state(room, planned)) == (["requested", "signed", "lapsed"], "lapsed")
        with pytest.raises(Refused) as why:
            confirm(room, planned, "bob")
        assert refused(why) == ("control.plan-not-pending", "not executed")
        with pytest.raises(Refused) as why:
            outcome(room, planned)
        assert why.value.code == "control.never-confirmed"
    assert room.servers["n3"].done == []


def test_an_order_that_was_lost_is_asked_for_with_both_signatures(room: MemoryCluster) -> None:
    """Killed between the record and the order, nothing is sent again; who asks has the node rule it out for good."""
    planned = asked(room)
    sign_first(room, planned)
    room.silent["n3"] = "connection refused"
    assert confirm(room, planned, "bob").result == "not executed"
    room.begin()
    del room.silent["n3"]
    found = outcome(room, planned)
    assert (found.result, found.code) == ("not executed", "kernel.request-unknown")
    assert room.servers["n3"].done == []


# The rule itself ------------------------------------------------------------------------------------------------------


def test_the_rule_is_dropped_by_two(room: MemoryCluster) -> None:
    """Once anything needs a second person, each change of the configuration does: nobody enrols another self, alone."""
    ask_for_seconds(room, "authority")
    for made in (second_person("authority", asked=False), second_person("data"), revoked("olga")):
        question = change(room, "n1", replace(made, before="observer") if made.kind == "revoke" else made)
        planned = ask(room, question)
        assert "wherever it is asked for anything (authority)" in planned.plan
        with pytest.raises(Refused) as why:
            confirm(room, planned)
        assert refused(why) == ("kernel.second-missing", "not executed")
    assert asks(room) == ["authority"]
    done = act_by_two(room, change(room, "n1", second_person("authority", asked=False)))
    assert done.result == "executed"
    assert asks(room) == []
    assert confirm(room, ask(room, change(room, "n1", second_person("log")))).result == "executed"


def test_two_operators_are_left_where_a_second_person_is_asked(room: MemoryCluster) -> None:
    """With two, neither is revoked or made something else: the plan is a rejection, which says why."""
    assert confirm(room, ask(room, change(room, "n1", revoked("dora")))).result == "executed"
    assert confirm(room, ask(room, change(room, "n1", second_person("log")))).result == "executed"
    step = replace(step_of(replace(room.plane.cluster, second=()), revoked("bob")), digest="sha256:0")
    planned = ask(room, Ask(action="configure", target="n1", arguments={"change": step_text(step)}, reason="a test"))
    plan = canonical.decode(planned.plan.encode(), Plan)
    said = next(each.evidence for each in plan.verdicts if each.invariant == "step-follows")
    assert (planned.accepted, "fewer than two operators" in said) == (False, True)


def test_a_node_before_the_rule_needs_one_person_and_says_so(room: MemoryCluster) -> None:
    """What the node has not taken does not hold there yet: its plan names who is behind, and asks for nobody else."""
    ask_for_seconds(room, nodes=("n1",))
    planned = ask(room)
    assert ("n3 has taken version 1 of the configuration, of 2" in planned.plan, "SECOND" in planned.plan) == (
        True, False,
    )  # fmt: skip


def test_the_plan_of_the_rule_says_where_it_does_not_hold_yet(room: MemoryCluster) -> None:
    """Who asks for the rule reads that other nodes must take it too."""
    planned = ask(room, change(room, "n1", second_person(RUNNING)))
    assert "until then what the version before asks is enough there" in planned.plan


# People who change meanwhile ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (revoked("dora"), "control.caller-revoked"),
        (Change(kind="re-role", name="dora", before="operator", after="observer"), "control.role-denied"),
    ],
)
def test_who_is_an_operator_no_more_is_no_second_person(room: MemoryCluster, made: Change, code: str) -> None:
    """Revoked or re-roled between the two signatures, they are refused; the plan waits on for somebody else."""
    planned = asked(room)
    sign_first(room, planned)
    assert act_by_two(room, change(room, "n1", made)).result == "executed"
    with pytest.raises(Refused) as why:
        confirm(room, planned, "dora")
    assert refused(why) == (code, "not executed")
    assert (state(room, planned), room.servers["n3"].done) == ("awaits a second person", [])


def test_a_plan_of_the_version_before_is_not_executed(room: MemoryCluster) -> None:
    """Where the node took the revocation meanwhile, both signatures count, and the plan does not: neither is logged."""
    planned = asked(room)
    sign_first(room, planned)
    question = change(room, "n1", revoked("dora"))
    for node in ("n1", "n3"):
        assert act_by_two(room, replace(question, target=node)).result == "executed"
    with pytest.raises(Refused) as why:
        confirm(room, planned, "bob")
    assert (*refused(why), room.servers["n3"].done) == ("control.plan-not-pending", "not executed", [])
    assert (events(room, planned), state(room, planned)) == (["requested", "signed", "refused"], "lapsed")


def test_a_plan_of_the_version_before_is_not_signed_first(room: MemoryCluster) -> None:
    """The requester is told at once that nobody can make a confirmation of it, and the log holds no signature."""
    planned = asked(room)
    question = change(room, "n1", revoked("dora"))
    for node in ("n1", "n3"):
        assert act_by_two(room, replace(question, target=node)).result == "executed"
    with pytest.raises(Refused) as why:
        sign_first(room, planned)
    assert (refused(why), events(room, planned)) == (
        ("control.plan-not-pending", "not executed"), ["requested", "refused"],
    )  # fmt: skip


def test_who_is_enrolled_since_is_no_second_person_yet(room: MemoryCluster) -> None:
    """They are in no version that the node has taken: it could not check them."""
    room.people["erik"] = Ed25519PrivateKey.generate()
    planned = asked(room)
    sign_first(room, planned)
    line = of_public(room.people["erik"].public_key()).line
    made = Change(kind="enrol", name="erik", before="", after=f"operator {line}")
    assert act_by_two(room, change(room, "n1", made)).result == "executed"
    with pytest.raises(Refused) as why:
        confirm(room, planned, "erik")
    assert refused(why) == ("control.version-untaken", "not executed")
