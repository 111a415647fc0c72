"""A held order: taken once, dropped for good, run in its turn or never; whatever comes at once, or dies in between.

The first answer on its request is the last one, and it is held by no process but the one that took it.
"""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import UNSET
from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.kernel.agent import Agent
from aerodb.kernel.errors import OrderHeld, OrderNotHeld, RequestDuplicate
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Planned
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.facts import Report
from aerodb.protocol.plan import Confirmation, Order, Outcome, Plan, Result, plan_digest, plan_in
from aerodb.protocol.refusals import SecondMissing
from aerodb.protocol.signed import Signed
from aerodb.protocol.sshsig import sign_with_key
from aerodb.rules.arguments import RequestMalformed
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE, ask, ask_for_seconds, confirm, sign_first
from tests.unit.neighbours.turns import Turn, after_demotion, come, electing_n2, hold_one, order_of, outcome_of, sent

STRANGER = Ed25519PrivateKey.generate()
DROPPED = ("not executed", "kernel.order-dropped")
ROUNDS = 8


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster of three and a witness in memory, in which the witness has pledged to n2."""
    made = electing_n2(tmp_path)
    yield made
    made.close()


@pytest.fixture
def turn(room: MemoryCluster) -> Turn:
    """Return a turn that has come, and that n2 was not told of."""
    return come(room)


@pytest.fixture
def order(room: MemoryCluster) -> Order:
    """Return the genuine order of a promotion that comes after a demotion; nobody has sent it."""
    return order_of(room, after_demotion(room))


def agent_of(room: MemoryCluster) -> Agent:
    """Return the agent of n2."""
    return room.houses["n2"].agent


def id_of(order: Order) -> str:
    """Return which request an order is of."""
    return plan_in(order.plan).request.id


def answer(signed: Signed) -> tuple[str, str]:
    """Return the result and the code of an outcome."""
    outcome = canonical.decode(signed.document.encode(), Outcome)
    return outcome.result, outcome.code


def held_by(room: MemoryCluster) -> str:
    """Return which request's order n2 reports to hold."""
    found = agent_of(room).facts().held
    return found.request if found else ""


def plain(room: MemoryCluster) -> Order:
    """Return the genuine order of something else for n2, which nobody has sent."""
    return order_of(room, ask(room, Ask(action="checkpoint", target="n2", arguments={}, reason="a test")))


def stands(room: MemoryCluster, order: Order, first: Signed) -> None:
    """Demand that an answer is the last one, whoever asks in whatever way, before and after a restart."""
    request, shown = id_of(order), Confirmation(plan=order.plan, signature=order.signature)
    for _ in range(2):
        for again in (agent_of(room).hold, agent_of(room).run):
            with pytest.raises(RequestDuplicate) as refused:
                again(order)
            assert refused.value.executed == answer(first)[0]
        assert agent_of(room).outcome(request, shown) == first
        assert agent_of(room).withdraw(request) == first
        assert held_by(room) != request
        room.houses["n2"].again()


def test_what_is_genuine_is_held_and_comes_once(room: MemoryCluster, order: Order) -> None:
    """Its report is made for its id; sent again it is refused, without a word on what becomes of it, and stays held."""
    report = canonical.decode(agent_of(room).hold(order).document.encode(), Report)
    assert (report.nonce, report.facts.held == agent_of(room).facts().held) == (id_of(order), True)
    held = report.facts.held
    assert held
    assert (held.request, held.plan, held.term) == (id_of(order), plan_digest(order.plan), 2)
    for again in (agent_of(room).hold, agent_of(room).run):
        with pytest.raises(RequestDuplicate) as refused:
            again(order)
        assert refused.value.executed == "unknown"
    with pytest.raises(OrderHeld):
        agent_of(room).outcome(id_of(order), Confirmation(plan="", signature=""))
    assert held_by(room) == id_of(order)


# Taken ----------------------------------------------------------------------------------------------------------------


def _plan(order: Order, *, sealed: bool = True, **changes: Any) -> str:
    """Return the text of an order's plan, changed; `asked` changes its request."""
    plan = plan_in(order.plan)
    asked = changes.pop("asked", {})
    plan = replace(plan, request=replace(plan.request, **asked), **changes)
    return canonical.encode(plan.sealed() if sealed else plan).decode()


def _signed(room: MemoryCluster, order: Order, person: str = "alice", **changes: Any) -> Order:
    """Return an order of another plan, which somebody has signed."""
    text = _plan(order, **changes)
    return replace(order, plan=text, signature=sign_with_key(room.people[person], text.encode()))


Forged = Callable[[MemoryCluster, Order], Order]
UNSIGNED: dict[str, tuple[str, Forged]] = {
    "no signature": ("kernel.signature-invalid", lambda _, order: replace(order, signature="x")),
    "a stranger's signature": (
        "kernel.signature-invalid",
        lambda _, order: replace(order, signature=sign_with_key(STRANGER, order.plan.encode())),
    ),
    "another operator's signature": ("kernel.signature-invalid", lambda room, order: _signed(room, order, "bob")),
    "an altered plan": ("kernel.signature-invalid", lambda _, order: replace(order, plan=_plan(order, term=7))),
    "a plan that is not whole": ("kernel.plan-altered", lambda room, order: _signed(room, order, sealed=False, term=7)),
    "a plan for another node": (
        "kernel.plan-foreign", lambda room, order: _signed(room, order, asked={"target": "n3"})),
    "a plan of another cluster": ("kernel.plan-foreign", lambda room, order: _signed(room, order, cluster="another")),
    "an id that leads elsewhere": (
        "input.malformed", lambda room, order: _signed(room, order, asked={"id": "../standing"})),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSIGNED)
def test_what_nobody_signed_is_not_held_and_uses_nothing_up(room: MemoryCluster, name: str) -> None:
    """And it drops nothing: what was held, is."""
    _, before = hold_one(room)
    order = order_of(room, after_demotion(room))
    code, forged = UNSIGNED[name]
    with pytest.raises(AeroError) as refused:
        agent_of(room).hold(forged(room, order))
    assert (refused.value.code, held_by(room)) == (code, before.request)
    agent_of(room).hold(order)
    assert held_by(room) == id_of(order)


UNPROVEN: dict[str, tuple[str, Forged]] = {
    "no record": ("kernel.not-logged", lambda _, order: replace(order, record="{}")),
    "no proof": ("kernel.not-logged", lambda _, order: replace(order, proof="")),
    "no reports": ("kernel.plan-altered", lambda _, order: replace(order, reports={})),
    "a confirmation that was never logged": ("kernel.not-logged", lambda room, order: _signed(room, order, term=7)),
    "a rejection": ("kernel.plan-rejected", lambda room, order: _signed(room, order, accepted=False)),
    "after a request of no form": (
        "input.sequence-malformed", lambda room, order: _signed(room, order, asked={"arguments": {"after": "n1"}})),
}  # fmt: skip


@pytest.mark.parametrize("name", UNPROVEN)
def test_what_is_not_proven_is_not_held_and_is_used_up(room: MemoryCluster, name: str) -> None:
    """It is refused for what is wrong in it, signed, for ever; what was held, is."""
    _, before = hold_one(room)
    order = order_of(room, after_demotion(room))
    code, forged = UNPROVEN[name]
    first = agent_of(room).hold(forged(room, order))
    assert (answer(first), held_by(room)) == (("not executed", code), before.request)
    stands(room, order, first)


def _promised_more(room: MemoryCluster) -> None:
    standing, more = agent_of(room).standing, Candidacy(term=5, node="n3")
    agent_of(room)._store.write_standing(replace(standing, pledged=more, pledge=None, since=(*standing.since, more)))


CHANGED: dict[str, Callable[[MemoryCluster], object]] = {
    "its settings": lambda room: room.servers["n2"].change(drift=("primary_conninfo",)),
    "its promise": _promised_more,
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_has_changed_since_its_plan_is_not_held(room: MemoryCluster, order: Order, name: str) -> None:
    """What holds, and what is foreseen, is judged when the order comes as it was when it was planned."""
    CHANGED[name](room)
    first = agent_of(room).hold(order)
    assert answer(first) == ("not executed", "kernel.verdicts-differ")
    stands(room, order, first)


DOCTORED: dict[str, tuple[str, Callable[[Plan], Plan]]] = {
    "all is said to hold now": (
        "kernel.verdicts-differ",
        lambda plan: replace(plan, verdicts=tuple(replace(each, result=Result.HOLDS) for each in plan.verdicts)),
    ),
    "a verdict is left out": ("kernel.verdicts-differ", lambda plan: replace(plan, verdicts=plan.verdicts[1:])),
    "another term": ("kernel.verdicts-differ", lambda plan: replace(plan, term=1)),
    "earlier rules": ("control.rules-apart", lambda plan: replace(plan, rules="rules 2")),
}


@pytest.mark.parametrize("name", DOCTORED)
def test_what_is_foreseen_must_be_what_the_plan_says(room: MemoryCluster, name: str) -> None:
    """A plan that says something else of what is foreseen is not held, though it is signed and logged."""
    code, doctored = DOCTORED[name]
    planned = after_demotion(room)
    plan = doctored(plan_in(planned.plan)).sealed()
    text = canonical.encode(plan).decode()
    room.plane._recorder.planned(plan, text, room.log.blob(plan.snapshot) or b"", ())
    forged = order_of(room, replace(planned, plan=text))
    first = agent_of(room).hold(forged)
    assert (answer(first), held_by(room)) == (("not executed", code), "")
    stands(room, forged, first)


def test_what_comes_after_nothing_is_not_held(room: MemoryCluster) -> None:
    """And what comes after something is not run: each is refused, used up for ever, and has no effect."""
    made = plain(room)
    first = agent_of(room).hold(made)
    assert answer(first) == ("not executed", "kernel.order-not-held")
    stands(room, made, first)
    later = order_of(room, after_demotion(room))
    first = agent_of(room).run(later)
    assert answer(first) == ("not executed", "kernel.order-not-held")
    stands(room, later, first)
    assert not {"checkpoint", "promote"} & set(room.servers["n2"].done)


def test_it_is_not_run_by_the_plain_way_though_all_holds(turn: Turn) -> None:
    """Once the demotion is executed, the order of a promotion that comes after one is refused there, too."""
    turn.agent.withdraw(turn.request)
    planned = ask(turn.room, Ask(action="promote", target="n2", arguments={}, reason="a test"))
    assert planned.accepted
    with pytest.raises(RequestDuplicate):
        turn.agent.run(order_of(turn.room, turn.later))
    assert "promote" not in turn.room.servers["n2"].done


def test_a_second_person_must_have_signed(tmp_path: Path) -> None:
    """Where n2's configuration asks for one: nobody's signature alone has anything held, or used up."""
    room = MemoryCluster(tmp_path, PEOPLE)
    ask_for_seconds(room, "authority", ("n1", "n2", "n3", "w1"))
    fence = ask(room, Ask(action="fence", target="w1", arguments={"for": "n2"}, reason="a test"))
    sign_first(room, fence)
    assert confirm(room, fence, "bob").result == "executed"
    planned = after_demotion(room)
    assert planned.accepted
    made = order_of(room, planned)
    assert made.second is UNSET
    with pytest.raises(SecondMissing):
        agent_of(room).hold(made)
    assert (held_by(room), agent_of(room)._store.knows(planned.request)) == ("", False)
    room.close()


# Dropped --------------------------------------------------------------------------------------------------------------


DROPS: dict[str, Callable[[MemoryCluster, str], object]] = {
    "withdrawn": lambda room, request: agent_of(room).withdraw(request),
    "another order came": lambda room, _: agent_of(room).run(plain(room)),
    "another order came to be held": lambda room, _: hold_one(room),
    "an order that was refused came": lambda room, _: agent_of(room).run(replace(plain(room), proof="")),
    "the agent ended": lambda room, _: agent_of(room).end(),
    "the agent died": lambda room, _: room.houses["n2"].again(),
}


@pytest.mark.parametrize("name", DROPS)
def test_what_is_dropped_is_so_for_ever(room: MemoryCluster, name: str) -> None:
    """By whatever means: its node says so, the same to everybody, and its turn never comes."""
    first, later = hold_one(room)
    shown = order_of(room, later)
    DROPS[name](room, later.request)
    said = agent_of(room).withdraw(later.request)
    assert answer(said) == DROPPED
    stands(room, shown, said)
    with pytest.raises(RequestDuplicate):
        agent_of(room).trigger(sent(Turn(room, first, later, _nothing(room, first))))
    assert "promote" not in room.servers["n2"].done


def _nothing(room: MemoryCluster, first: Planned) -> Signed:
    """Return what n1 would sign of the demotion, if it had executed it."""
    made = Outcome(
        cluster=room.cluster.id, node="n1", epoch=1, request=first.request, plan=plan_digest(first.plan),
        result="executed", established=False, code="", message="", evidence=(),
    )  # fmt: skip
    turn = Turn(room, first, first, Signed(document=canonical.encode(made).decode(), signer="n1", signature=""))
    return outcome_of(turn)


def test_what_was_never_held_cannot_be_withdrawn(room: MemoryCluster, order: Order) -> None:
    """It uses nothing up: the genuine order is held afterwards. What is no id is refused as such."""
    entries = agent_of(room).facts().entries
    with pytest.raises(OrderNotHeld):
        agent_of(room).withdraw(id_of(order))
    for wrong in ("", "../standing", "x"):
        with pytest.raises(RequestMalformed):
            agent_of(room).withdraw(wrong)
    assert agent_of(room).facts().entries == entries
    agent_of(room).hold(order)
    with pytest.raises(OrderNotHeld):
        agent_of(room).withdraw(str(uuid.uuid4()))
    assert held_by(room) == id_of(order)


# The disk -------------------------------------------------------------------------------------------------------------


def _in_the_way(room: MemoryCluster, request: str, kind: str) -> Path:
    """Have the disk refuse an entry of n2's journal."""
    path = room.folder / "n2" / "state" / "journal" / f".{request}.{kind}.new"
    path.unlink(missing_ok=True)
    path.mkdir()
    return path


def test_a_disk_that_cannot_note_it(room: MemoryCluster, order: Order) -> None:
    """Nothing is held, and that is the answer for ever."""
    _in_the_way(room, id_of(order), "held")
    first = agent_of(room).hold(order)
    assert answer(first) == ("not executed", "kernel.no-room")
    stands(room, order, first)


def test_a_disk_that_cannot_note_anything(room: MemoryCluster, order: Order) -> None:
    """Nothing is held, nothing is promised, and nothing is used up: once there is room, it is held."""
    left = [_in_the_way(room, id_of(order), kind) for kind in ("held", "ended.json")]
    with pytest.raises(OSError, match=r"held|ended"):
        agent_of(room).hold(order)
    assert held_by(room) == ""
    with pytest.raises(OrderNotHeld):
        agent_of(room).withdraw(id_of(order))
    for path in left:
        path.rmdir()
    agent_of(room).hold(order)
    assert held_by(room) == id_of(order)


def test_a_disk_that_cannot_note_that_it_is_dropped(room: MemoryCluster) -> None:
    """It is not held any more all the same; what becomes of it is said once there is room, and is what it was."""
    first, later = hold_one(room)
    path = _in_the_way(room, later.request, "ended.json")
    with pytest.raises(OSError, match="ended"):
        agent_of(room).withdraw(later.request)
    assert held_by(room) == ""
    with pytest.raises(RequestDuplicate):
        agent_of(room).trigger(sent(Turn(room, first, later, _nothing(room, first))))
    path.rmdir()
    said = agent_of(room).withdraw(later.request)
    assert answer(said) == DROPPED
    stands(room, order_of(room, later), said)


def test_an_agent_ends_though_the_disk_is_full(room: MemoryCluster) -> None:
    """The order goes with its memory; the next agent says so."""
    _, later = hold_one(room)
    path = _in_the_way(room, later.request, "ended.json")
    agent_of(room).end()
    assert held_by(room) == ""
    path.rmdir()
    room.houses["n2"].again()
    assert answer(agent_of(room).withdraw(later.request)) == DROPPED


def test_an_agent_that_dies_between_the_note_and_its_memory(room: MemoryCluster, order: Order) -> None:
    """The id is used, and nothing is held: that it was not executed is said as established afterwards."""
    agent_of(room)._store.hold(id_of(order))  # All that it has done until then.
    room.houses["n2"].again()
    assert held_by(room) == ""
    shown = Confirmation(plan=order.plan, signature=order.signature)
    first = agent_of(room).outcome(id_of(order), shown)
    assert answer(first) == DROPPED
    assert canonical.decode(first.document.encode(), Outcome).established
    stands(room, order, first)
