"""A node judges a plan of earlier rules by those and by its own: nobody weakens a proof by choosing the rules."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.kernel.judging import judge_of, stricter
from aerodb.kernel.store import Begun, BegunOne, Store
from aerodb.past import held
from aerodb.past.speaking import FIRST, facts_in, report_in, said_in
from aerodb.protocol import canonical
from aerodb.protocol.authority import Pledge, Standing
from aerodb.protocol.plan import Plan, Request, Result, Snapshot, Verdict
from aerodb.protocol.signed import Signed, sign
from aerodb.rules.explain import explain, peers_of, view_of
from aerodb.rules.invariants import RULES
from tests.builds import SOURCE, Build, Mended
from tests.unit.rules.scenes import CLUSTER, KEYS, REQUEST, Scene, demoted, having_seen, healthy, request_for

AGREES = "configuration-agrees"


def pledged_then(scene: Scene) -> Scene:
    """Return a scene whose pledges were signed in the words of the first rules, as while nodes speak them."""
    return {name: replace(facts, standing=_then(name, facts.standing)) for name, facts in scene.items()}


def _then(name: str, standing: Standing) -> Standing:
    if standing.pledge is None:
        return standing
    pledge = canonical.decode(standing.pledge.document.encode(), Pledge)
    return replace(standing, pledge=sign(said_in(FIRST, pledge), name, KEYS[name]))


SCENE, DEMOTED = having_seen(healthy()), pledged_then(having_seen(demoted()))
CHECKPOINT = request_for(catalogue()["checkpoint"], "n1", {})
PROMOTE = request_for(catalogue()["promote"], "n2", {})


def reports_in(rules: str | Mapping[str, str], scene: Scene) -> dict[str, Signed]:
    """Return every node's genuine report, asked in some rules: one for all, or each node's."""
    asked = rules if isinstance(rules, Mapping) else dict.fromkeys(scene, rules)
    return {
        name: sign(report_in(asked[name], CLUSTER.id, REQUEST, facts), name, KEYS[name])
        for name, facts in scene.items()
    }


def snapshot_in(rules: str | Mapping[str, str], scene: Scene) -> Snapshot:
    """Return the snapshot of these reports."""
    return Snapshot(cluster=CLUSTER.id, nonce=REQUEST, reports=reports_in(rules, scene), missing={})


def plan_one(request: Request, scene: Scene) -> Plan:
    """Return the plan that the first rules make."""
    texts = (canonical.encode(each).decode() for each in (CLUSTER, request, snapshot_in(FIRST, scene)))
    return canonical.decode(held.explained(FIRST, *texts).encode(), Plan)


def judged(plan: Plan, scene: Scene, peers: dict[str, Signed], late: dict[str, Signed]) -> dict[str, Verdict]:
    """Return what the target finds, given its own facts and its peers' reports, by invariant."""
    target = plan.request.target
    others = {name: signed for name, signed in peers.items() if name != target}
    view = view_of(CLUSTER, plan.request, scene[target], others, REQUEST, plan.term)
    said = {name: peer for name, peer in peers_of(CLUSTER, late, REQUEST).items() if name != target}
    return {each.invariant: each for each in judge_of(plan, said)(view)}


@pytest.mark.parametrize(("request_", "scene"), [(CHECKPOINT, SCENE), (PROMOTE, DEMOTED)])
def test_a_plan_of_the_release_before_holds(request_: Request, scene: Scene) -> None:
    """Made, reported and reported late in its words: each verdict is the one that it was made with."""
    plan, reports = plan_one(request_, scene), reports_in(FIRST, scene)
    found = judged(plan, scene, reports, reports)
    assert plan.accepted
    assert {name: each.result for name, each in found.items()} == {
        each.invariant: Result.HOLDS for each in plan.verdicts
    }


@pytest.mark.parametrize(
    ("rules", "told"),
    [(RULES, FIRST), (FIRST, RULES), (RULES, {"n1": RULES, "n2": FIRST, "n3": RULES})],
    ids=["version 1 in a plan of version 2", "version 2 in a plan of version 1", "one peer of two"],
)
def test_words_of_other_rules_are_no_ground(rules: str, told: str | Mapping[str, str]) -> None:
    """A genuine report that was asked for in other rules than the plan's, to leave something out, proves nothing."""
    plan = plan_one(CHECKPOINT, SCENE)
    if rules == RULES:
        plan = explain(CLUSTER, catalogue()["checkpoint"], CHECKPOINT, snapshot_in(RULES, SCENE))
    found = judged(plan, SCENE, reports_in(told, SCENE), reports_in(rules, SCENE))
    assert plan.accepted
    assert found[AGREES].result is Result.VIOLATED


@pytest.mark.parametrize(("rules", "told"), [(RULES, FIRST), (FIRST, RULES)])
def test_late_words_of_other_rules_are_no_ground(rules: str, told: str) -> None:
    """Nor what is told in other rules once the confirmation is logged."""
    scene = DEMOTED
    plan = plan_one(PROMOTE, scene)
    if rules == RULES:
        plan = explain(CLUSTER, catalogue()["promote"], PROMOTE, snapshot_in(RULES, scene))
    found = judged(plan, scene, reports_in(rules, scene), reports_in(told, scene))
    assert plan.accepted
    assert Result.VIOLATED in {each.result for each in found.values()}


def test_a_mend_holds_against_a_plan_of_the_rules_before_it(tmp_path: Path) -> None:
    """What the newest rules refuse is refused whichever rules a plan names: a downgrade takes no mend back."""
    mend = 'return violated(Invariant.RUNNING_FITS, "the mend")'
    build = Build(tmp_path).mended(Mended("rules/condition.py", "return holds(Invariant.RUNNING_FITS, evidence)", mend))
    shutil.copytree(SOURCE / "past" / "rules_1", build.package / "past" / "rules_1")
    said = build.says(
        "from tests.unit.kernel.test_judging import *\n"
        "plan, reports = plan_one(CHECKPOINT, SCENE), reports_in(FIRST, SCENE)\n"
        "found = judged(plan, SCENE, reports, reports)['running-fits']\n"
        "print(plan.accepted, found.result, found.evidence)"
    )
    assert said.strip() == f"True violated by this node's own {RULES}: the mend"


def test_the_stricter_of_two_judgements_counts() -> None:
    """Of each invariant; one that only the newer rules have counts too. What the plan's rules refuse stays theirs."""

    def verdict(invariant: str, result: Result, evidence: str = "") -> Verdict:
        return Verdict(invariant=invariant, result=result, evidence=evidence)

    then = (verdict("a", Result.HOLDS), verdict("b", Result.VIOLATED, "then"), verdict("c", Result.HOLDS))
    now = (verdict("a", Result.UNKNOWN), verdict("b", Result.UNKNOWN), verdict("c", Result.HOLDS),
           verdict("d", Result.VIOLATED), verdict("e", Result.HOLDS))  # fmt: skip
    found = stricter(then, now)
    assert [(each.invariant, each.result) for each in found] == [
        ("a", Result.UNKNOWN), ("b", Result.VIOLATED), ("c", Result.HOLDS), ("d", Result.VIOLATED),
    ]  # fmt: skip
    assert found[1].evidence == "then"


@pytest.mark.parametrize("rules", [FIRST, RULES])
def test_what_was_begun_is_written_in_the_plans_version(rules: str, tmp_path: Path) -> None:
    """So that the release before can settle what was begun by its own rules; it reads as the same either way."""
    (tmp_path / "journal").mkdir()
    (tmp_path / "standing.json").write_bytes(canonical.encode(SCENE["n1"].standing))
    store = Store(tmp_path)
    store.begin(REQUEST, "plan", facts_in(rules, SCENE["n1"]))
    (path,) = (tmp_path / "journal").glob("*.begun.json")
    kind: type = BegunOne if rules == FIRST else Begun
    assert canonical.encode(canonical.decode(path.read_bytes(), kind)) == path.read_bytes()
    begun = store.begun(REQUEST)
    assert begun is not None
    assert replace(begun.before, rules=RULES) == SCENE["n1"]
