"""A cluster that is only watched, through the control plane: whatever is asked is planned, rejected, and on record."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.api import Ask, Planned
from aerodb.protocol.plan import Request, Result, plan_in
from aerodb.rules.invariants import Invariant
from aerodb.rules.specification import Action
from aerodb.transport.errors import Refused
from tests.unit.neighbours.life import PEOPLE, ask, records
from tests.unit.neighbours.others import OthersCluster
from tests.unit.rules.scenes import possible, sequenced


@pytest.fixture
def others(tmp_path: Path) -> Iterator[OthersCluster]:
    """Yield a cluster that others made."""
    made = OthersCluster(tmp_path, PEOPLE)
    yield made
    made.close()


def asked_of(request: Request) -> Ask:
    """Return the question that a request is."""
    return Ask(action=request.action, target=request.target, arguments=request.arguments, reason="a test")


@pytest.mark.parametrize("action", catalogue().values(), ids=lambda action: action.name)
def test_every_action_is_planned_rejected_and_recorded(others: OthersCluster, action: Action) -> None:
    """By in-charge, which its plan names first: alone and signed ahead, of each kind of node."""
    requests = [*possible(action, others.cluster), *sequenced(action, others.cluster)]
    of_each = {(each.target, *each.arguments): each for each in requests}
    assert {each.target for each in of_each.values()} == {"n1", "n2", "n3"}
    for each in of_each.values():
        planned = ask(others, asked_of(each))
        plan = plan_in(planned.plan)
        first = next(verdict for verdict in plan.verdicts if verdict.result is not Result.HOLDS)
        assert (planned.accepted, first.invariant) == (False, Invariant.IN_CHARGE)
        (record,) = records(others, planned)
        assert (record.event, record.action, record.target) == ("rejected", action.name, each.target)
        assert Invariant.IN_CHARGE in record.invariants


@pytest.mark.parametrize("action", catalogue().values(), ids=lambda action: action.name)
def test_looking_at_what_an_action_would_do_says_the_same(others: OthersCluster, action: Action) -> None:
    """And records nothing."""
    request, size = next(possible(action, others.cluster)), others.log.size
    person = others.cluster.operators[0]
    _, plan, _ = others.plane._parts.explainer.look(person, asked_of(request))
    assert plan.verdicts[0].invariant == Invariant.IN_CHARGE
    assert (plan.accepted, others.log.size) == (False, size)


def test_of_a_node_that_nobody_reaches_nothing_is_planned_whatever_is_asked(others: OthersCluster) -> None:
    """It is refused as silent, on record: there is no report of which it could be judged."""
    others.silent["n2"] = "no route"
    for action in catalogue().values():
        request = replace(next(possible(action, others.cluster)), target="n2")
        if "n2" in request.arguments.values():
            request = replace(request, arguments=dict.fromkeys(request.arguments, "n1"))
        key = str(uuid.uuid4())
        with pytest.raises(Refused) as error:
            ask(others, asked_of(request), request=key)
        assert error.value.code == "transport.target-silent"
        (record,) = records(others, Planned(request=key, accepted=False, plan="", digest=""))
        assert (record.event, record.code, record.target) == ("refused", "transport.target-silent", "n2")
