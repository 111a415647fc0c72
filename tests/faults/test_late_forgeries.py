"""Late reports that a hostile control plane shows in the place of genuine ones: the node refuses each by itself.

The operator has signed, the log holds it, and the plan's own reports are genuine: what was said after the confirmation
is all that is left to refuse by.
"""

from collections.abc import Iterator, Mapping

import pytest
from msgspec.structs import replace

from aerodb.protocol.facts import State
from aerodb.protocol.plan import Order, Plan, Snapshot, late_nonce
from aerodb.protocol.signed import Signed
from tests.faults.behind import instance_of
from tests.faults.conftest import Ground
from tests.faults.hostile import Hostile, node_key
from tests.faults.people import new_id
from tests.faults.test_late import elect_n2


@pytest.fixture(scope="module")
def hostile(ground: Ground) -> Iterator[tuple[Hostile, Plan, Snapshot]]:
    """Return a hostile control plane that kept what all said before n2 was elected."""
    running = ground.begin()
    running.api.do("stop", "n1")
    found = Hostile(running)
    request = found.request("start", "n1")
    plan, snapshot = found.plan(request)
    assert plan.accepted
    found.close()
    running.restart_control()
    elect_n2(running)
    found = Hostile(running)
    yield found, plan, snapshot
    found.close()
    ground.end()


def _nothing(hostile: Hostile, plan: Plan, snapshot: Snapshot, order: Order) -> Mapping[str, Signed]:
    del hostile, plan, snapshot, order
    return {}


def _what_they_said_before(hostile: Hostile, plan: Plan, snapshot: Snapshot, order: Order) -> Mapping[str, Signed]:
    """Genuine in every byte, and made before the confirmation."""
    del hostile, order
    return {name: signed for name, signed in snapshot.reports.items() if name in plan.reports}


def _said_for_another(hostile: Hostile, plan: Plan, snapshot: Snapshot, order: Order) -> Mapping[str, Signed]:
    del snapshot, order
    return hostile.running.impostor.reports(plan.reports, late_nonce("another record"))


def _doctored(hostile: Hostile, snapshot: Snapshot, order: Order, key: str) -> Mapping[str, Signed]:
    """Return what they said before, as if it had been said after the confirmation, signed by the key of `key`."""
    reports = {name: hostile.opened(snapshot.reports[name]) for name in ("n2", "n3")}
    nonce = late_nonce(order.record)
    return {
        name: hostile.resigned(replace(report, nonce=nonce), node_key(hostile.running, key), name)
        for name, report in reports.items()
    }


def _forged(hostile: Hostile, plan: Plan, snapshot: Snapshot, order: Order) -> Mapping[str, Signed]:
    del plan
    return _doctored(hostile, snapshot, order, "n1")


def _another_nodes(hostile: Hostile, plan: Plan, snapshot: Snapshot, order: Order) -> Mapping[str, Signed]:
    """n1's own report, made for this confirmation, in the others' place."""
    del plan, snapshot
    own = hostile.report("n1", late_nonce(order.record))
    return {"n2": own, "n3": own}


def _the_truth(hostile: Hostile, plan: Plan, snapshot: Snapshot, order: Order) -> Mapping[str, Signed]:
    del hostile, plan, snapshot
    return order.late


@pytest.mark.parametrize(
    ("show", "code"),
    [
        (_nothing, "kernel.verdicts-differ"),
        (_what_they_said_before, "kernel.report-stale"),
        (_said_for_another, "kernel.report-stale"),
        (_forged, "kernel.report-forged"),
        (_another_nodes, "kernel.report-forged"),
        (_the_truth, "kernel.verdicts-differ"),
    ],
)
def test_whatever_is_shown_in_the_place_of_late_reports_starts_nothing(
    hostile: tuple[Hostile, Plan, Snapshot], show: object, code: str
) -> None:
    """Signed by the operator and logged, with the plan's genuine reports: the node refuses, and stays down."""
    control, old, snapshot = hostile
    request = replace(old.request, id=new_id())
    reports = {
        name: control.resigned(replace(control.opened(signed), nonce=request.id))
        for name, signed in snapshot.reports.items()
    }
    known = replace(snapshot, nonce=request.id, reports=reports)
    order = control.order(control.says_yes(replace(old, request=request), known), known)
    assert callable(show)
    late = show(control, old, snapshot, order)
    outcome = control.running.impostor.run("n1", replace(order, late=dict(late)))
    assert (outcome.result, outcome.code) == ("not executed", code), outcome
    assert instance_of(control.running, "n1").state is State.STOPPED
