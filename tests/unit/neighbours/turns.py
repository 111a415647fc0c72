"""A turn that has come, in the hands of whoever holds the control plane's keys: they log and send what they like.

n2 holds the promotion, n1 has executed the demotion before it, and what would have n2 run the promotion was never sent.
"""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from aerodb.audit.comparison import path_texts
from aerodb.audit.record import Record, TurnRecord
from aerodb.control.dispatch import LoggedAt
from aerodb.kernel.agent import Agent
from aerodb.protocol import canonical
from aerodb.protocol.ahead import Earlier, Later
from aerodb.protocol.api import Ask, Planned
from aerodb.protocol.facts import Report
from aerodb.protocol.plan import Confirmation, Order, Outcome, Plan, Snapshot, Trigger, late_nonce, plan_digest, plan_in
from aerodb.protocol.signed import Signed, sign
from aerodb.protocol.sshsig import sign_with_key
from aerodb.transport.errors import Interrupted
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE, act, ask, confirm, records


def electing_n2(folder: Path) -> MemoryCluster:
    """Return a cluster of three and a witness in memory, in which the witness has pledged to n2."""
    made = MemoryCluster(folder, PEOPLE)
    act(made, "fence", "w1", **{"for": "n2"})
    return made


class Turn(NamedTuple):
    """A held promotion, the demotion before it, and what n1 has signed of that."""

    room: MemoryCluster
    first: Planned
    later: Planned
    outcome: Signed

    @property
    def agent(self) -> Agent:
        """Return the agent of n2."""
        return self.room.houses["n2"].agent

    @property
    def request(self) -> str:
        """Return the promotion's id."""
        return self.later.request

    @property
    def shown(self) -> Confirmation:
        """Return the logged confirmation of the promotion."""
        confirmed = next(each for each in records(self.room, self.later) if each.event == "confirmed")
        return Confirmation(plan=self.later.plan, signature=confirmed.signature)


def hold_one(room: MemoryCluster, person: str = "alice") -> tuple[Planned, Planned]:
    """Have n2 hold a promotion; return the plan of the demotion that it comes after, not confirmed yet, and its own."""
    first = str(uuid.uuid4())
    later = after_demotion(room, first, person)
    assert confirm(room, later, person).result == "held"
    then = str(Later(request=later.request, plan=plan_digest(later.plan)))
    arguments = {"for": "n2", "then": then}
    return ask(room, Ask(action="demote", target="n1", arguments=arguments, reason="a test"), person, first), later


def no_trigger(path: str, genuine: Callable[[], bytes]) -> bytes:
    """Let everything pass but what has a held order run."""
    if path.endswith("/trigger"):
        raise Interrupted("it was dropped on its way", executed="unknown")
    return genuine()


def come(room: MemoryCluster) -> Turn:
    """Have the turn of a held promotion come, and nobody tell n2."""
    first, later = hold_one(room)
    room.between["n2"] = no_trigger
    done = confirm(room, first)
    del room.between["n2"]
    assert (done.result, done.outcome is None) == ("executed", False)
    assert done.outcome is not None
    return Turn(room, first, later, done.outcome)


def order_of(room: MemoryCluster, planned: Planned, person: str = "alice") -> Order:
    """Log somebody's confirmation of a plan, and return the genuine order, which nobody has sent."""
    plan, signature = plan_of(planned), sign_with_key(room.people[person], planned.plan.encode())
    signed = Confirmation(plan=planned.plan, signature=signature)
    sequence = room.plane._recorder.confirmed(plan, signed, touch=False)
    nonce, target = late_nonce(room.log.record(sequence).decode()), plan.request.target
    others = {name: report(room, name, nonce) for name in room.houses if name != target}
    late = Snapshot(cluster=room.cluster.id, nonce=nonce, reports=others, missing={})
    seen = room.houses[target].agent.holder.seen_size()
    return room.plane._parts.dispatcher.order(plan, signed, LoggedAt(sequence, ""), seen, late)


def after_demotion(room: MemoryCluster, first: str = "", person: str = "alice") -> Planned:
    """Ask for a promotion of n2 that comes after a demotion of n1."""
    after = str(Earlier(action="demote", target="n1", request=first or str(uuid.uuid4())))
    return ask(room, Ask(action="promote", target="n2", arguments={"after": after}, reason="a test"), person)


# What is made of it ---------------------------------------------------------------------------------------------------


def record_of(turn: Turn, **changes: Any) -> TurnRecord:
    """Return the record that the turn has come, changed."""
    plan = plan_in(turn.later.plan)
    asked = plan.request
    record = TurnRecord(
        event="triggered", at="2026-01-01T00:00:00.000Z", clock="none", request=asked.id, operator=asked.operator,
        action=asked.action, target=asked.target, arguments=asked.arguments, reason=asked.reason,
        configuration=plan.configuration, plan=plan_digest(turn.later.plan), outcome=turn.outcome,
    )  # fmt: skip
    return replace(record, **changes)


def sent(turn: Turn, record: Record | None = None, **changes: Any) -> Trigger:
    """Log a record, ask all others what they say then, and return what has n2 run the promotion, changed."""
    log, sequence = turn.room.log, turn.room.log.append(record or record_of(turn))
    text = log.record(sequence).decode()
    made = Trigger(
        request=turn.request,
        plan=turn.first.plan,
        record=text,
        proof=log.proof(sequence),
        consistency=path_texts(log.consistency(turn.agent.holder.seen_size())),
        late=said(turn.room, text),
    )
    return replace(made, **changes)


def said(room: MemoryCluster, text: str) -> dict[str, Signed]:
    """Return what everybody but n2 says, once a record is logged."""
    return {name: report(room, name, late_nonce(text)) for name in room.houses if name != "n2"}


def report(room: MemoryCluster, node: str, nonce: str) -> Signed:
    """Return what a node says of itself now."""
    agent = room.houses[node].agent
    return agent.report(nonce, agent.facts())


def outcome_of(turn: Turn, key: str = "n1", signer: str = "", **changes: Any) -> Signed:
    """Return the outcome of the demotion, changed, as a node's key signs it."""
    genuine = canonical.decode(turn.outcome.document.encode(), Outcome)
    return sign(replace(genuine, **changes), signer or key, turn.room.keys[key])


def other_plan(turn: Turn, *, sealed: bool = True, **changes: Any) -> str:
    """Return the text of the demotion's plan, changed; `asked` changes its request."""
    plan = plan_in(turn.first.plan)
    asked = changes.pop("asked", {})
    plan = replace(plan, request=replace(plan.request, **asked), **changes)
    return canonical.encode(plan.sealed() if sealed else plan).decode()


def with_plan(turn: Turn, text: str, **changes: Any) -> Trigger:
    """Return what would be sent if n1 had executed the plan in `text`, as the one before this."""
    signed = outcome_of(turn, plan=plan_digest(text), **changes)
    return sent(turn, record_of(turn, outcome=signed), plan=text)


def saying(turn: Turn, node: str, **changes: Any) -> Trigger:
    """Return the genuine thing, in which one node says something else of itself, signed with its key."""
    made = sent(turn)
    genuine = canonical.decode(made.late[node].document.encode(), Report)
    lie = replace(genuine, facts=replace(genuine.facts, **changes))
    return replace(made, late={**made.late, node: sign(lie, node, turn.room.keys[node])})


def plan_of(planned: Planned) -> Plan:
    """Return a plan."""
    return plan_in(planned.plan)
