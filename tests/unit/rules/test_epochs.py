"""Epochs: everything says of which it is, an election counts its own alone, and what names none is of the first."""

import pytest
from msgspec.structs import asdict, replace

from aerodb.actions import catalogue
from aerodb.protocol import canonical
from aerodb.protocol.authority import Candidacy, Grant, GrantOne, Pledge, PledgeOne
from aerodb.protocol.epoch import EPOCH_FIRST
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Outcome, OutcomeOne, Plan
from aerodb.protocol.signed import open_signed, sign
from aerodb.rules.explain import explain
from aerodb.rules.invariants import Invariant
from tests.unit.rules.scenes import (
    CLUSTER,
    KEYS,
    Scene,
    demoted,
    grant_of,
    healthy,
    pledged,
    request_for,
    snapshot_of,
    with_standing,
)

OURS = Candidacy(term=2, node="n2")
NEW = ("format", "kind", "epoch")


def pledge_of(facts: Facts) -> Pledge:
    """Return the pledge in a node's standing, verified."""
    assert facts.standing.pledge is not None
    return open_signed(facts.standing.pledge, Pledge, CLUSTER.member(facts.node).public_key)


def signed_again(scene: Scene, node: str, pledge: object) -> Scene:
    """Return the scene with another document in the place of a node's pledge, signed by the node itself."""
    return with_standing(scene, node, pledge=sign(pledge, node, KEYS[node]))


def promotion(scene: Scene) -> Plan:
    """Return the plan to promote n2."""
    action = catalogue()["promote"]
    return explain(CLUSTER, action, request_for(action, "n2", {}), snapshot_of(scene))


def failed(plan: Plan) -> set[str]:
    """Return the invariants of a plan that do not hold."""
    return {each.invariant for each in plan.verdicts if each.result != "holds"}


def fenced() -> Scene:
    """Return n2 and n3 pledged to n2, which n1's silence leaves to elect it."""
    scene = pledged(pledged(healthy(), "n2", OURS), "n3", OURS)
    return {name: facts for name, facts in scene.items() if name != "n1"}


def test_a_pledge_of_another_epoch_is_none() -> None:
    """Whatever its node promised under other members or another k counts towards no election of this epoch."""
    scene = fenced()
    assert promotion(scene).accepted
    for epoch in (0, 2):
        other = signed_again(scene, "n3", replace(pledge_of(scene["n3"]), epoch=epoch))
        assert Invariant.ELECTION_QUORUM in failed(promotion(other))


def test_a_pledge_that_names_no_epoch_is_of_the_first() -> None:
    """One that was made before epochs were named counts as it did, byte for byte as it was signed."""
    scene = fenced()
    said = {name: value for name, value in asdict(pledge_of(scene["n3"])).items() if name not in NEW}
    earlier = signed_again(scene, "n3", PledgeOne(**said))
    assert earlier["n3"].standing.pledge is not None
    assert "epoch" not in earlier["n3"].standing.pledge.document
    assert pledge_of(earlier["n3"]) == pledge_of(scene["n3"])
    assert promotion(earlier).accepted


@pytest.mark.parametrize("action", ["promote", "fence"])
def test_nobody_elects_across_epochs(action: str) -> None:
    """People never block a failover; who has other members or another k in view does: it is another election."""
    scene = demoted()
    arguments = {"for": "n2"} if action == "fence" else {}
    target = "n3" if action == "fence" else "n2"
    request = request_for(catalogue()[action], target, arguments)
    assert explain(CLUSTER, catalogue()[action], request, snapshot_of(scene)).accepted
    ahead = {**scene, "n1": replace(scene["n1"], epoch=2)}
    plan = explain(CLUSTER, catalogue()[action], request, snapshot_of(ahead))
    assert Invariant.CONFIGURATION_AGREES in failed(plan)
    assert any("n1 is of epoch 2" in each.evidence for each in plan.verdicts)


def test_grants_and_outcomes_of_before_are_of_the_first_epoch() -> None:
    """Each is read by its own reader, in the words of now."""
    grant, _ = grant_of(healthy(), "n2", 2)
    said = {name: value for name, value in asdict(grant).items() if name not in NEW}
    assert canonical.decode(canonical.encode(GrantOne(**said)), Grant) == replace(grant, epoch=EPOCH_FIRST)
    first = OutcomeOne(
        cluster="c", node="n2", request="r", plan="", result="executed", established=False, code="", message="",
        evidence=(),
    )  # fmt: skip
    outcome = canonical.decode(canonical.encode(first), Outcome)
    assert (outcome.epoch, outcome.format) == (EPOCH_FIRST, 2)
