"""Nothing but proof has a held order run, once: whatever a hostile control plane forges, swaps, replays or sends early.

It holds the log's key and its own, and no node's: where a case has n1 sign something, it is what n1 would have signed
of something else. After each refusal n2's first answer stands for ever, and it is promoted by nobody.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.audit.comparison import path_texts
from aerodb.audit.cosignature import cosign, with_lines
from aerodb.audit.note import verifier_key
from aerodb.audit.record import RecordOne
from aerodb.audit.store import Log
from aerodb.kernel import locks
from aerodb.kernel.errors import CosignaturesTooFew, OrderNotHeld, RequestDuplicate
from aerodb.protocol import canonical
from aerodb.protocol.authority import Candidacy, Pledge
from aerodb.protocol.chain import changed
from aerodb.protocol.cluster import Cosigning
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Outcome, Trigger, late_nonce, plan_digest
from aerodb.protocol.signed import Signed, open_signed, sign
from aerodb.protocol.vkey import COSIGNATURE
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.turns import (
    Turn,
    come,
    electing_n2,
    hold_one,
    other_plan,
    outcome_of,
    record_of,
    report,
    said,
    saying,
    sent,
    with_plan,
)
from tests.unit.protocol.test_chain import revoke, text_of

OTHER = "11111111-2222-4333-8444-555555555555"
UNPROVEN, DIFFER = "kernel.turn-unproven", "kernel.verdicts-differ"
Case = Callable[[Turn], Trigger]


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


def answer(turn: Turn, signed: Signed) -> tuple[str, str]:
    """Return the result and the code that n2 has signed of the promotion."""
    outcome = open_signed(signed, Outcome, turn.room.cluster.member("n2").public_key)
    assert (outcome.request, outcome.node) == (turn.request, "n2")
    return outcome.result, outcome.code


def promoted(turn: Turn) -> bool:
    """Tell whether n2 was ever asked to leave recovery."""
    return "promote" in turn.room.servers["n2"].done


def stands(turn: Turn, first: Signed) -> None:
    """Demand that an answer of n2 is the last one, whoever asks in whatever way, before and after a restart."""
    genuine = sent(turn)
    for _ in range(2):
        assert not turn.agent.facts().held
        with pytest.raises(RequestDuplicate) as again:
            turn.agent.trigger(genuine)
        assert again.value.executed == answer(turn, first)[0]
        assert turn.agent.outcome(turn.request, turn.shown) == first
        assert turn.agent.withdraw(turn.request) == first
        turn.room.houses["n2"].again()


def test_what_is_genuine_is_executed_once(turn: Turn) -> None:
    """The same proof that each forgery below is made of; a second time the first outcome stands."""
    first = turn.agent.trigger(sent(turn))
    assert answer(turn, first) == ("executed", "")
    assert promoted(turn)
    stands(turn, first)
    assert turn.room.servers["n2"].done.count("promote") == 1


# Forged ---------------------------------------------------------------------------------------------------------------


def _plan(*, sealed: bool = True, **changes: Any) -> Case:
    """Return a case: n1 has executed another plan, and signed that."""
    return lambda turn: with_plan(turn, other_plan(turn, sealed=sealed, **changes))


def _then(text: Callable[[Turn], str | None]) -> Case:
    """Return a case: n1 has executed a demotion that has something else follow it, or nothing."""

    def case(turn: Turn) -> Trigger:
        named = text(turn)
        then = {} if named is None else {"then": named}
        return with_plan(turn, other_plan(turn, asked={"arguments": {"for": "n2", **then}}))

    return case


def _record(**changes: Any) -> Case:
    """Return a case: another record is logged, of this very outcome."""
    return lambda turn: sent(turn, record_of(turn, **changes))


def _outcome(key: str = "n1", signer: str = "", **changes: Any) -> Case:
    """Return a case: the record holds another outcome, which is signed."""
    return lambda turn: sent(turn, record_of(turn, outcome=outcome_of(turn, key, signer, **changes)))


def _other_event(request: Callable[[Turn], str]) -> Case:
    """Return a case: the record holds the outcome, and does not say that a turn has come."""

    def case(turn: Turn) -> Trigger:
        fields = {name: getattr(record_of(turn), name) for name in RecordOne.__struct_fields__ if name != "event"}
        return sent(turn, RecordOne(event="outcome", **{**fields, "request": request(turn)}))

    return case


def _proof_of_another(turn: Turn) -> Trigger:
    genuine = sent(turn)
    return replace(genuine, proof=turn.room.log.proof(0))


def _altered_record(turn: Turn) -> Trigger:
    genuine = sent(turn)
    return replace(genuine, record=genuine.record.replace("00:00:00.000Z", "00:00:00.001Z"))


def _another_log(turn: Turn, records: int, name: str = "another") -> Trigger:
    """Return what is proven in a log that begins anew, under the same key."""
    room = turn.room
    with Log.create(room.folder / name, room.cluster.origin, room.log_key) as log:
        sequence = log.append(record_of(turn))
        for _ in range(records - 1):
            log.append(record_of(turn))
        text, proof, path = log.record(sequence).decode(), log.proof(sequence), log.consistency(min(records, 3))
    return replace(sent(turn), record=text, proof=proof, consistency=path_texts(path), late=said(room, text))


def _another_key(turn: Turn) -> Trigger:
    room = turn.room
    with Log.create(room.folder / "another", room.cluster.origin, room.keys["n1"]) as log:
        log.append(record_of(turn))
        text, proof = log.record(0).decode(), log.proof(0)
    return replace(sent(turn), record=text, proof=proof, consistency=(), late=said(room, text))


def _of_other_digest(turn: Turn) -> str:
    return f"{turn.request}:{plan_digest(turn.first.plan)}"


def _of_other_id(turn: Turn) -> str:
    return f"{OTHER}:{plan_digest(turn.later.plan)}"


FORGED: dict[str, tuple[str, Case]] = {
    "no plan": (UNPROVEN, lambda turn: sent(turn, plan="")),
    "this one's own plan": (UNPROVEN, lambda turn: sent(turn, plan=turn.later.plan)),
    "the plan, a byte longer": (UNPROVEN, lambda turn: sent(turn, plan=f"{turn.first.plan} ")),
    "the plan, altered and sealed": (UNPROVEN, lambda turn: sent(turn, plan=other_plan(turn, title="another"))),
    "a plan that is not whole": (UNPROVEN, _plan(sealed=False, title="another")),
    "a plan of another cluster": (UNPROVEN, _plan(cluster="another")),
    "a plan of another action": (UNPROVEN, _plan(asked={"action": "stop"})),
    "a plan for another node": (UNPROVEN, _plan(asked={"target": "n3"})),
    "a plan of another request": (UNPROVEN, _plan(asked={"id": OTHER})),
    "a plan that nothing follows": (UNPROVEN, _then(lambda _: None)),
    "a plan that another request follows": (UNPROVEN, _then(_of_other_id)),
    "a plan that another plan follows": (UNPROVEN, _then(_of_other_digest)),
    "a plan that names no request as it must": (UNPROVEN, _then(lambda turn: turn.request)),
    "a record of another request": (UNPROVEN, _record(request=OTHER)),
    "a record of another plan": (UNPROVEN, lambda turn: _record(plan=plan_digest(turn.first.plan))(turn)),
    "a record without an outcome": (UNPROVEN, _record(outcome=None)),
    "a record of another event": (UNPROVEN, _other_event(lambda turn: turn.request)),
    "the demotion's own record": (UNPROVEN, _other_event(lambda turn: turn.first.request)),
    "no record": (UNPROVEN, lambda turn: replace(sent(turn), record="{}")),
    "no proof": (UNPROVEN, lambda turn: sent(turn, proof="")),
    "the proof of another record": (UNPROVEN, _proof_of_another),
    "a record that was altered since": (UNPROVEN, _altered_record),
    "a log of another key": (UNPROVEN, _another_key),
    "a log that begins anew": ("kernel.log-rewritten", lambda turn: _another_log(turn, 1)),
    "a longer log that begins anew": ("kernel.log-rewritten", lambda turn: _another_log(turn, 40)),
    "no path from what n2 has seen": ("kernel.log-rewritten", lambda turn: sent(turn, consistency=())),
    "an outcome of another cluster": (UNPROVEN, _outcome(cluster="another")),
    "an outcome of another node": (UNPROVEN, _outcome(node="n3")),
    "an outcome of another request": (UNPROVEN, _outcome(request=OTHER)),
    "an outcome of another plan": (UNPROVEN, _outcome(plan=f"sha256:{'0' * 64}")),
    "not executed": (UNPROVEN, _outcome(result="not executed")),
    "unknown": (UNPROVEN, _outcome(result="unknown")),
    "established": (UNPROVEN, _outcome(established=True)),
    "an outcome that n3 has signed as its own": (UNPROVEN, _outcome("n3", node="n3")),
    "an outcome that n3 has signed of n1": (UNPROVEN, _outcome("n3")),
    "an outcome that n3 has signed as n1": (UNPROVEN, _outcome("n3", "n1")),
    "an outcome that nobody known has signed": (UNPROVEN, _outcome("n3", "n9")),
}
"""By what is forged: the code of n2's refusal, and what is sent."""


@pytest.mark.parametrize("name", FORGED)
def test_what_is_forged_has_nothing_run(turn: Turn, name: str) -> None:
    """It is refused for what is forged in it, signed, and that uses the held order up: there is no second try."""
    code, case = FORGED[name]
    first = turn.agent.trigger(case(turn))
    assert (answer(turn, first), promoted(turn)) == (("not executed", code), False)
    stands(turn, first)


# Said late ------------------------------------------------------------------------------------------------------------


def _pledge(**changes: Any) -> Case:
    """Return a case: n1 says that it has pledged something else, and its own report agrees with that."""

    def case(turn: Turn) -> Trigger:
        standing = turn.room.houses["n1"].agent.standing
        assert standing.pledge is not None
        pledge = replace(canonical.decode(standing.pledge.document.encode(), Pledge), **changes)
        pledged = Candidacy(term=pledge.term, node=pledge.candidate)
        signed = sign(pledge, "n1", turn.room.keys["n1"])
        return saying(turn, "n1", standing=replace(standing, pledged=pledged, pledge=signed))

    return case


def _without(node: str) -> Case:
    def case(turn: Turn) -> Trigger:
        genuine = sent(turn)
        return replace(genuine, late={name: each for name, each in genuine.late.items() if name != node})

    return case


def _made_for(nonce: Callable[[Turn, Trigger], str]) -> Case:
    """Return a case: n1's report was made for something else, when it was as it is now."""

    def case(turn: Turn) -> Trigger:
        genuine = sent(turn)
        return replace(genuine, late={**genuine.late, "n1": report(turn.room, "n1", nonce(turn, genuine))})

    return case


def _of_confirmation(turn: Turn, request: str) -> str:
    """Return what is asked with after a confirmation: what n1 says then is on the way already."""
    sequences = turn.room.log.sequences_of(request)
    return late_nonce(turn.room.log.record(sequences[1]).decode())


def _swapped(turn: Turn) -> Trigger:
    genuine = sent(turn)
    return replace(genuine, late={**genuine.late, "n1": genuine.late["n3"]})


def _granted_more(turn: Turn) -> Trigger:
    standing = turn.room.houses["n3"].agent.standing
    more = Candidacy(term=9, node="n3")
    return saying(turn, "n3", standing=replace(standing, pledged=more, granted=more, since=()))


def _serves_again(turn: Turn) -> Trigger:
    turn.room.servers["n1"].change(state=State.RUNNING, recovery=False, shutdown=None)
    return sent(turn)


LATE: dict[str, tuple[str, Case]] = {
    "n1 says nothing": (UNPROVEN, _without("n1")),
    "nobody says anything": (UNPROVEN, lambda turn: sent(turn, late={})),
    "n1 has no pledge": (UNPROVEN, lambda turn: saying(turn, "n1", standing=turn.room.houses["n3"].agent.standing)),
    "n1 has pledged a higher term": (UNPROVEN, _pledge(term=3)),
    "n1 has pledged a lower term": (UNPROVEN, _pledge(term=1)),
    "n1 has pledged to another": (UNPROVEN, _pledge(candidate="n3")),
    "n1 has pledged under another epoch": (UNPROVEN, _pledge(epoch=2)),
    "n1's pledge is another's": ("kernel.pledge-forged", _pledge(node="n3")),
    "n1 spoke before its turn came: its own confirmation's": (
        "kernel.report-stale", _made_for(lambda turn, _: _of_confirmation(turn, turn.request))),
    "n1 spoke before its turn came: the demotion's": (
        "kernel.report-stale", _made_for(lambda turn, _: _of_confirmation(turn, turn.first.request))),
    "n1 spoke for the plan": ("kernel.report-stale", _made_for(lambda turn, _: turn.request)),
    "n1 spoke for another record of this turn": (
        "kernel.report-stale", _made_for(lambda turn, _: late_nonce(sent(turn, record_of(turn, clock="2")).record))),
    "n3's report is given out as n1's": ("kernel.report-forged", _swapped),
    "the witness says nothing": (DIFFER, _without("w1")),
    "somebody was granted a higher term": (DIFFER, _granted_more),
    "n1 serves again": (DIFFER, _serves_again),
}  # fmt: skip
"""By what is said in its turn: the code of n2's refusal, and what is sent."""


@pytest.mark.parametrize("name", LATE)
def test_every_invariant_is_judged_on_what_is_said_in_its_turn(turn: Turn, name: str) -> None:
    """What was foreseen counts for nothing, and so does what was said before."""
    code, case = LATE[name]
    first = turn.agent.trigger(case(turn))
    assert (answer(turn, first), promoted(turn)) == (("not executed", code), False)
    stands(turn, first)


def _promised_more(turn: Turn) -> None:
    standing, more = turn.agent.standing, Candidacy(term=5, node="n3")
    turn.agent._store.write_standing(replace(standing, pledged=more, pledge=None, since=(*standing.since, more)))


OWN: dict[str, Callable[[Turn], None]] = {
    "it has promised more": _promised_more,
    "its settings were changed": lambda turn: turn.room.servers["n2"].change(drift=("primary_conninfo",)),
    "it was promoted by hand": lambda turn: turn.room.servers["n2"].change(recovery=False),
    "it is down": lambda turn: turn.room.servers["n2"].change(state=State.STOPPED, receiver=None),
}


@pytest.mark.parametrize("name", OWN)
def test_it_judges_itself_as_it_is_in_its_turn(turn: Turn, name: str) -> None:
    """What it was when it took the order counts for nothing."""
    OWN[name](turn)
    first = turn.agent.trigger(sent(turn))
    assert (answer(turn, first), promoted(turn)) == (("not executed", DIFFER), False)
    stands(turn, first)


def test_as_many_log_witnesses_as_are_demanded(turn: Turn) -> None:
    """So many must have cosigned the checkpoint that the turn is proven under, as n2 has its configuration."""
    order, made, seen = turn.agent._holding._order, sent(turn), turn.agent._store.seen
    assert order is not None
    key = Ed25519PrivateKey.generate()
    vkey = verifier_key("w/1", key.public_key().public_bytes_raw(), COSIGNATURE)
    demanding = replace(turn.room.cluster, cosigning=Cosigning(witnesses=(vkey,), demanded=1))
    with pytest.raises(CosignaturesTooFew):
        locks.check_turn(demanding, order, made, seen)
    line = cosign(made.proof.partition("\n\n")[2], "w/1", key, 5)
    found = locks.check_turn(demanding, order, replace(made, proof=with_lines(made.proof, [line])), seen)
    assert (found.size, line in found.checkpoint) == (turn.room.log.size, True)


# Early, and of another ------------------------------------------------------------------------------------------------


def test_early(room: MemoryCluster) -> None:
    """Before the demotion is executed nothing has the promotion run, and n1 then refuses the demotion in its turn."""
    first, later = hold_one(room)
    lie = sign(
        Outcome(
            cluster=room.cluster.id, node="n1", epoch=1, request=first.request, plan=plan_digest(first.plan),
            result="executed", established=False, code="", message="", evidence=(),
        ),
        "n1", room.log_key,
    )  # fmt: skip
    turn = Turn(room, first, later, lie)
    refusal = turn.agent.trigger(sent(turn))
    assert (answer(turn, refusal), promoted(turn)) == (("not executed", UNPROVEN), False)
    stands(turn, refusal)


def test_of_a_request_that_is_not_held(turn: Turn) -> None:
    """It is refused without a signed word, uses nothing up, and drops nothing."""
    with pytest.raises(OrderNotHeld):
        turn.agent.trigger(sent(turn, request=OTHER))
    with pytest.raises(OrderNotHeld):
        turn.agent.trigger(sent(turn, request=turn.first.request))
    with pytest.raises(OrderNotHeld):
        turn.room.houses["n3"].agent.trigger(sent(turn))
    assert turn.agent.facts().held
    assert answer(turn, turn.agent.trigger(sent(turn))) == ("executed", "")


def test_a_disk_that_fails_in_its_turn_is_said_to_be_nothing_else(turn: Turn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is held no more, and its one answer blames no agent that would have ended: this one lives."""

    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    trigger = sent(turn)
    with monkeypatch.context() as patched:
        patched.setattr(turn.agent._store, "write_seen", fails)
        with pytest.raises(OSError, match="Input/output error"):
            turn.agent.trigger(trigger)
    dropped = turn.agent.withdraw(turn.request)
    assert answer(turn, dropped) == ("not executed", "kernel.order-dropped")
    assert "ended" not in dropped.document
    assert "holds it no more" in dropped.document
    assert not promoted(turn)
    stands(turn, dropped)


def test_a_configuration_that_has_moved_on(turn: Turn) -> None:
    """Whoever signed may be nobody by now: n2 asks by the version that it has in its turn, however it came by that."""
    turn.agent._versions.take(text_of(changed(turn.room.cluster, revoke("alice"))))
    assert turn.agent.facts().held
    first = turn.agent.trigger(sent(turn))
    assert (answer(turn, first), promoted(turn)) == (("not executed", "kernel.version-passed"), False)
    stands(turn, first)
