"""Versions of the configuration in judgements: who has taken which, and what is made of it."""

import msgspec
import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol import canonical
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.chain import changed, step_of
from aerodb.protocol.change import Change, step_text
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import FactsOne, Report, ReportOne
from aerodb.protocol.plan import Plan, Request, Result, Verdict
from aerodb.rules.explain import explain
from aerodb.rules.invariants import Invariant
from aerodb.rules.specification import Order
from aerodb.rules.versions import taken
from tests.unit.protocol.test_chain import enrol, founding, key_of, revoke
from tests.unit.rules.doing import SceneHands
from tests.unit.rules.scenes import (
    Scene,
    demoted,
    healthy,
    pledged,
    possible,
    request_for,
    snapshot_of,
    switched,
    view_for,
)

ONE = founding()
TWO = changed(ONE, revoke("bob"))
OTHER_TWO = changed(ONE, enrol("mallory"))
THREE = changed(TWO, enrol("zoe"))
PATHS = {each.digest: path for path in ((ONE,), (ONE, TWO), (ONE, OTHER_TWO), (ONE, TWO, THREE)) for each in path[-1:]}
ELECTING = ("demote", "fence", "follow", "promote", "renew", "start")


def having(scene: Scene, **versions: Cluster) -> Scene:
    """Return a scene in which nodes have taken versions."""
    for name, cluster in versions.items():
        path = tuple(each.digest for each in PATHS[cluster.digest])
        scene = {**scene, name: replace(scene[name], configuration=cluster.digest, versions=path)}
    return scene


def configure(target: str, before: Cluster, change: Change) -> Request:
    """Return the request that has a node take the version that follows `before`."""
    return request_for(catalogue()["configure"], target, {"change": step_text(step_of(before, change))})


def plan_of(request: Request, scene: Scene, cluster: Cluster) -> Plan:
    """Return the plan of a request."""
    return explain(cluster, catalogue()[request.action], request, snapshot_of(scene, cluster))


def said_of(plan: Plan, invariant: Invariant) -> Verdict:
    """Return one verdict of a plan."""
    return next(each for each in plan.verdicts if each.invariant == invariant)


def test_the_granted_primary_makes_a_version() -> None:
    """On the primary to whom the newest known term is granted the change is all that is needed."""
    plan = plan_of(configure("n1", ONE, revoke("bob")), healthy(ONE), ONE)
    assert plan.accepted, plan.verdicts
    assert "Version 2 revokes bob, operator." in plan.notes
    assert any("bob could confirm there, they still can" in each for each in plan.notes)


@pytest.mark.parametrize("target", ["n2", "n3"])
def test_nobody_takes_a_version_before_the_primary(target: str) -> None:
    """Another node's version is refused as long as the granted primary does not state that it has taken it."""
    plan = plan_of(configure(target, ONE, revoke("bob")), healthy(ONE), ONE)
    verdict = said_of(plan, Invariant.PRIMARY_FIRST)
    assert (plan.accepted, verdict.result) == (False, Result.VIOLATED)
    assert "the primary takes it first" in verdict.evidence


def test_of_two_signed_versions_of_one_number_only_the_primarys_is_taken() -> None:
    """Shown the other document, a node refuses it, and says which version the primary has taken."""
    scene = having(healthy(ONE), n1=TWO)
    assert plan_of(configure("n2", ONE, revoke("bob")), scene, ONE).accepted
    shown = plan_of(configure("n2", ONE, enrol("mallory")), scene, ONE)
    assert said_of(shown, Invariant.PRIMARY_FIRST).result is Result.VIOLATED
    agrees = said_of(shown, Invariant.CONFIGURATION_AGREES)
    assert (agrees.result, TWO.digest in agrees.evidence, "fork" in agrees.evidence) == (Result.VIOLATED, True, True)


def test_a_new_primary_makes_no_other_version_where_one_is_known() -> None:
    """Who was elected without the version takes that one first, as soon as anybody who reports has taken it."""
    scene = having(switched(ONE), n3=TWO)
    assert plan_of(configure("n2", ONE, revoke("bob")), scene, ONE).accepted
    other = plan_of(configure("n2", ONE, enrol("mallory")), scene, ONE)
    assert said_of(other, Invariant.CONFIGURATION_AGREES).result is Result.VIOLATED


def test_an_earlier_primary_makes_none() -> None:
    """A primary above whom a majority has promised another term makes no version, whatever it thinks it is."""
    scene = healthy(ONE)
    for name in ("n2", "n3"):
        scene = pledged(scene, name, Candidacy(term=2, node="n2"), ONE)
    verdict = said_of(plan_of(configure("n1", ONE, revoke("bob")), scene, ONE), Invariant.PRIMARY_FIRST)
    assert verdict.result is Result.VIOLATED


def test_without_a_granted_primary_there_is_none() -> None:
    """Between a demotion and the promotion nobody makes or takes a version; nor where the primary is silent."""
    for target in ("n1", "n2", "n3"):
        plan = plan_of(configure(target, ONE, revoke("bob")), demoted(ONE), ONE)
        assert said_of(plan, Invariant.PRIMARY_FIRST).result is not Result.HOLDS
    silent = {name: facts for name, facts in having(healthy(ONE), n3=TWO).items() if name != "n1"}
    verdict = said_of(plan_of(configure("n2", ONE, revoke("bob")), silent, ONE), Invariant.PRIMARY_FIRST)
    assert verdict.result is Result.UNKNOWN


def test_a_node_takes_one_version_after_the_other() -> None:
    """Two behind, a node takes the next, by the primary's statement of all that it has taken; not the one after."""
    scene = having(healthy(ONE), n1=THREE, n2=THREE)
    assert plan_of(configure("n3", ONE, revoke("bob")), scene, ONE).accepted
    skipped = plan_of(configure("n3", TWO, enrol("zoe")), scene, ONE)
    assert "take version 2 first" in said_of(skipped, Invariant.STEP_FOLLOWS).evidence
    back = plan_of(configure("n1", ONE, revoke("bob")), scene, THREE)
    assert "a step back" in said_of(back, Invariant.STEP_FOLLOWS).evidence


def test_a_digest_that_the_change_does_not_make_is_refused() -> None:
    """The version is computed again: a digest of something else under the same change is no step."""
    forged = replace(step_of(ONE, revoke("bob")), digest=OTHER_TWO.digest)
    request = request_for(catalogue()["configure"], "n1", {"change": step_text(forged)})
    assert said_of(plan_of(request, healthy(ONE), ONE), Invariant.STEP_FOLLOWS).result is Result.VIOLATED


@pytest.mark.parametrize("action", ["checkpoint", "stop"])
def test_a_node_refuses_to_act_by_a_version_that_others_left(action: str) -> None:
    """Where a report shows a later version, an action that elects nobody is refused, and says what comes first."""
    request = request_for(catalogue()[action], "n2", {})
    plan = plan_of(request, having(healthy(ONE), n1=TWO), ONE)
    verdict = said_of(plan, Invariant.CONFIGURATION_AGREES)
    assert (verdict.result, "take version 2 first" in verdict.evidence) == (Result.VIOLATED, True)
    ahead = plan_of(request_for(catalogue()[action], "n1", {}), having(healthy(ONE), n1=TWO), TWO)
    assert said_of(ahead, Invariant.CONFIGURATION_AGREES).result is Result.HOLDS


@pytest.mark.parametrize("action", ELECTING)
def test_people_never_block_a_failover(action: str) -> None:
    """What an election needs is judged by the epoch: a version that changed people alone stands in nobody's way."""
    fenced = pledged(healthy(ONE), "n3", Candidacy(term=2, node="n1"), ONE)
    scenes = (healthy(ONE), demoted(ONE), switched(ONE), fenced)
    tried = 0
    for scene in scenes:
        for request in possible(catalogue()[action], ONE):
            before = plan_of(request, scene, ONE)
            for others in (TWO, THREE):
                ahead = having(scene, **{name: others for name in scene if name != request.target})
                after = plan_of(request, ahead, ONE)
                assert after.accepted == before.accepted
                tried += before.accepted
    assert tried


@pytest.mark.parametrize("action", [*ELECTING, "checkpoint", "stop", "reclone"])
def test_nothing_rests_on_another_branch(action: str) -> None:
    """A node on another branch of the chain agrees with nobody, an election included."""
    for scene in (healthy(ONE), demoted(ONE), switched(ONE)):
        for request in possible(catalogue()[action], ONE):
            others = {name: OTHER_TWO for name in scene if name != request.target}
            forked = having(scene, **{request.target: TWO}, **others)
            verdict = said_of(plan_of(request, forked, TWO), Invariant.CONFIGURATION_AGREES)
            assert (verdict.result, "another configuration" in verdict.evidence) == (Result.VIOLATED, True)


def test_a_plan_says_where_a_version_does_not_hold_yet() -> None:
    """Each node that is behind is named in every plan; where nobody is, plans are what they were."""
    request = request_for(catalogue()["checkpoint"], "n1", {})
    notes = plan_of(request, having(healthy(ONE), n1=TWO, n2=TWO), TWO).notes
    told = [each for each in notes if "has taken version" in each]
    assert len(told) == 1
    assert told[0].startswith("n3 has taken version 1 of the configuration, of 2")
    assert not [each for each in plan_of(request, healthy(ONE), ONE).notes if "version" in each]


def test_taking_a_version_is_one_write_and_says_who_has_not() -> None:
    """The operation crosses, writes once, and its evidence names the change and those who have not taken it."""
    request, scene = configure("n1", ONE, revoke("bob")), healthy(ONE)
    view, hands = view_for(request, scene, ONE), SceneHands(scene["n1"])
    action = catalogue()["configure"]
    evidence = action.operate(hands, Order(plan=plan_of(request, scene, ONE), view=view, judge=action.judge))
    assert hands.done == ["cross", "take version"]
    assert hands.facts.configuration == TWO.digest
    assert "n1 has taken version 2" in evidence[0]
    assert "n2, n3" in evidence[1]


@pytest.mark.parametrize(
    ("now", "crossed", "result"),
    [
        (ONE, False, "not executed"),
        (ONE, True, "not executed"),
        (TWO, True, "executed"),
        (THREE, True, "executed"),
        (OTHER_TWO, True, "not executed"),
    ],
)
def test_what_became_of_it_is_seen_in_what_the_node_has_taken(now: Cluster, crossed: bool, result: str) -> None:  # noqa: FBT001
    """Executed is said of the very version that was named, however many came after it; else not executed."""
    scene = healthy(ONE)
    plan = plan_of(configure("n1", ONE, revoke("bob")), scene, ONE)
    after = scene["n1"] if now is ONE else having(scene, n1=now)["n1"]
    found = catalogue()["configure"].established(plan, scene["n1"], after, crossed)
    assert (found.result, found.ends) == (result, True)


def test_a_report_of_before_is_of_a_node_that_has_version_one_alone() -> None:
    """The first version of a report has no versions: read by its own reader, it says that its node took nothing."""
    facts = healthy(ONE)["n1"]
    later = ("versions", "epoch", "held", "seen_for", "watched")
    said = {name: value for name, value in msgspec.structs.asdict(facts).items() if name not in later}
    first = ReportOne(cluster=ONE.id, node="n1", nonce="x", facts=FactsOne(**said))
    assert canonical.decode(canonical.encode(first), Report).facts == facts
    assert taken(facts) == (ONE.digest,)


def test_what_a_change_would_enrol_is_shown() -> None:
    """The plan shows role and whole key of whom it enrols, and who can act afterwards."""
    notes = plan_of(configure("n1", ONE, enrol("zoe")), healthy(ONE), ONE).notes
    assert f"Version 2 enrols zoe as operator, with the key {key_of('zoe')}." in notes
    assert "Operators with a key afterwards: ada, bob, zoe." in notes
