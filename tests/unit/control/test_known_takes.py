"""What the control plane knows of which node has taken what: what was confirmed too late for its node is told by it."""

import pytest
from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.audit.store import Log
from aerodb.control.versions import KnownVersions, makers
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Plan
from aerodb.protocol.refusals import PlanNotPending
from aerodb.rules.explain import explain
from aerodb.rules.view import peer_of
from tests.unit.control import test_known_versions
from tests.unit.control.test_known_versions import FIRST, FORK, ONE, SECOND
from tests.unit.control.test_known_versions_checks import recorded
from tests.unit.rules.scenes import healthy, request_for, snapshot_of
from tests.unit.rules.test_versions import OTHER_TWO, THREE, TWO, having

log = test_known_versions.log
ELSEWHERE = replace(SECOND, target="n2")


def plan_under(cluster: Cluster, node: str = "n1") -> Plan:
    """Return a plan for a node that was made under a version."""
    action = action_named("stop")
    made = explain(ONE, action, request_for(action, node, {}), snapshot_of(healthy(ONE)))
    return replace(made, configuration=cluster.digest)


def known() -> KnownVersions:
    """Return what is known where n1 has taken two versions, and n2 none."""
    versions = KnownVersions(ONE)
    versions.executed(FIRST)
    versions.executed(SECOND)
    return versions


def report(versions: KnownVersions, **taken: Cluster) -> None:
    """Have nodes report which version they have taken."""
    for name, cluster in taken.items():
        versions.reported({name: peer_of(ONE, having(healthy(ONE), **{name: cluster})[name])})


@pytest.mark.parametrize(
    ("under", "node", "passed"),
    [(ONE, "n1", 3), (TWO, "n1", 3), (THREE, "n1", 0), (ONE, "n2", 0), (ONE, "n3", 0), (OTHER_TWO, "n1", 0)],
)
def test_which_plans_are_of_a_version_that_their_node_has_left(under: Cluster, node: str, passed: int) -> None:
    """By its own signed outcome: it has taken a later one than the plan names; of an unknown one nothing is said."""
    assert known().passed(plan_under(under, node)) == passed


def test_a_confirmation_for_a_version_that_its_node_has_left_is_refused_before_it_is_logged() -> None:
    """It says which node, and which version, and of which request; where the node has left none, nothing is refused."""
    plan = plan_under(ONE)
    with pytest.raises(PlanNotPending, match="n1 has taken version 3 of the configuration since the plan") as refused:
        known().refuse_passed(plan)
    assert refused.value.request == plan.request.id
    known().refuse_passed(plan_under(THREE))


def test_a_report_tells_as_an_outcome_does_and_nothing_is_untold() -> None:
    """Of a node on this chain; an older report than what is known takes nothing back, nor does one of a fork."""
    versions = known()
    report(versions, n2=TWO)
    assert versions.passed(plan_under(ONE, "n2")) == 2
    report(versions, n1=TWO, n3=OTHER_TWO)
    assert (versions.passed(plan_under(TWO)), versions.passed(plan_under(ONE, "n3"))) == (3, 0)
    report(versions, n3=ONE)
    assert versions.passed(plan_under(ONE, "n3")) == 0


def test_an_outcome_that_comes_late_takes_nothing_back() -> None:
    """A version that was taken before a later one is established afterwards: the later one is what counts."""
    versions = known()
    versions.executed(ELSEWHERE)
    assert versions.passed(plan_under(TWO, "n2")) == 3
    versions.executed(replace(FIRST, target="n2"))
    assert versions.passed(plan_under(TWO, "n2")) == 3
    versions.executed(replace(FORK, target="n3"))
    assert versions.passed(plan_under(ONE, "n3")) == 0


def test_who_made_each_version_is_read_from_its_confirmation(log: Log) -> None:
    """In the chain's order, of every version after the first, and not of what else was recorded of the request."""
    for request in (FIRST, SECOND):
        log.append(recorded(replace(request, reason="asked"), "requested"), {})
        log.append(recorded(replace(request, reason=f"{request.id} confirmed"), "confirmed"), {})
        log.append(recorded(replace(request, reason="outcome"), "outcome", result="executed"), {})
    versions = known()
    found = makers(versions, versions.chain, log)
    assert [(each.request, each.reason) for each in found] == [
        (each.id, f"{each.id} confirmed") for each in (FIRST, SECOND)
    ]
