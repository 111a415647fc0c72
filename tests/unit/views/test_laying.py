"""Procedures as they are laid out. That what is foreseen is then so is held for every size in tests/exhaustive."""

from collections.abc import Callable

from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.chain import founded
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.procedure import ProcedureOrder, StepDone
from aerodb.rules.explain import peers_of
from aerodb.rules.ways import Step, Way, failover, failover_bare, given_up, planned, planned_bare
from aerodb.rules.writes import writes
from aerodb.views.laying import EARLIER_RULES, MOVING, ProcedureGround, laid_out
from tests.unit.rules.doing import streamed, walk
from tests.unit.rules.scenes import Scene, sized, snapshot_of, with_instance
from tests.unit.rules.test_ways import SIZES, begun

THREE = sized(3, 1)
Lay = Callable[[Cluster, str, str], Way]


def ground_of(scene: Scene, cluster: Cluster, *, speaks: bool = True) -> ProcedureGround:
    """Return what a procedure is judged on in a scene: its nodes' reports, signed and verified."""
    snapshot = snapshot_of(scene, cluster)
    everyone = peers_of(cluster, snapshot.reports, snapshot.nonce)
    missing = {name: "it is off" for name in cluster.data_nodes if name not in scene}
    return ProcedureGround(chain=founded(cluster), everyone=everyone, missing=missing, operator="ada", speaks=speaks)


def laid(scene: Scene, cluster: Cluster, way: Way, done: int = 0) -> ProcedureOrder:
    """Return a way as it is laid out when its first steps are done."""
    by = StepDone(request="r", at="2030-01-01", operator="ada")
    return laid_out(ground_of(scene, cluster), way, dict.fromkeys(way.steps[:done], by))


def states(order: ProcedureOrder) -> list[tuple[str, bool | None]]:
    """Return how each step of an order is judged."""
    return [(step.state, step.accepted) for step in order.steps]


def walked(scene: Scene, cluster: Cluster, way: Way) -> ProcedureOrder:
    """Walk a way, hold against it what was laid out at each stage, and return what was laid out first."""
    orders = [laid(scene, cluster, way)]
    for number, step in enumerate(way.steps, 1):
        now = orders[-1].steps[number - 1]
        assert (now.state, now.accepted) == ("judged now", True), now
        scene = walk(scene, cluster, step)
        found = writes(cluster, scene)
        for order in orders:
            foretold = order.steps[number - 1].writes
            assert foretold is None or foretold == found, (number, step)
        orders.append(laid(scene, cluster, way, number))
    assert all(step.state == "done" for step in orders[-1].steps)
    assert all(step.accepted for step in orders[0].steps)
    return orders[0]


def lost(cluster: Cluster, way: Way) -> Scene:
    """Return the cluster after n1 has crashed: its agent answers only if the way has a request for it."""
    scene = with_instance(begun(cluster), "n1", state=State.CRASHED, senders=())
    if not any(step.target == "n1" for step in way.steps):
        del scene["n1"]
    return streamed(scene)


def test_a_candidate_that_lacks_wal_is_foreseen_to_be_rejected() -> None:
    """Its fence and the others' are accepted; the promotion is foreseen to be rejected, by name, with the evidence."""
    way = failover(THREE, "n1", "n2")
    scene = lost(THREE, way)
    order = laid(further(scene, "n3", 88), THREE, way)
    assert states(order) == [("judged now", True), ("foreseen", True), ("foreseen", True), ("foreseen", False)]
    (failing,) = [each for each in order.steps[3].verdicts if each.result != "holds"]
    assert failing.invariant == "wal-prefix"
    assert "before n3" in failing.evidence
    assert order.steps[3].writes is None


def further(scene: Scene, node: str, more_bytes: int) -> Scene:
    """Return the scene in which a node has more WAL than it had."""
    instance = scene[node].instance
    assert instance is not None
    assert instance.position is not None
    end = Lsn(instance.position.lsn.value + more_bytes)
    return with_instance(scene, node, position=replace(instance.position, lsn=end))


def test_wal_beyond_the_new_timeline_is_foreseen_to_have_parted() -> None:
    """A standby that was not asked, and has more than the candidate, is foreseen not to be let follow it."""
    cluster = sized(5, 2)
    way = failover(cluster, "n1", "n2")
    assert way.steps[-1] == Step(action="follow", target="n5", other="n2")
    order = laid(further(lost(cluster, way), "n5", 88), cluster, way)
    assert [step.accepted for step in order.steps] == [*[True] * (len(way.steps) - 1), False]
    (failing,) = [each for each in order.steps[-1].verdicts if each.result != "holds"]
    assert failing.invariant == "wal-ancestry"
    assert "88 bytes" in failing.evidence


def test_who_has_parted_is_not_foreseen_to_acknowledge_anything() -> None:
    """A standby that follows the candidate, and has more than it, does not count once that is promoted."""
    cluster = sized(3, 1, witness=True)
    fences = tuple(Step(action="fence", target=name, other="n2") for name in ("n2", "n1", "w"))
    follow = Step(action="follow", target="n3", other="n2")
    way = Way(steps=(*fences, follow, Step(action="promote", target="n2")), stops=None, returns=None)
    order = laid(further(lost(cluster, way), "n3", 88), cluster, way)
    assert all(step.accepted for step in order.steps)
    assert order.steps[-1].writes is not None
    assert order.steps[-1].writes.acknowledged == "unknown"
    agreed = laid(lost(cluster, way), cluster, way).steps[-1].writes
    assert agreed is not None
    assert agreed.acknowledged == "yes"


def test_where_a_wal_will_end_that_still_grows_is_not_guessed() -> None:
    """While the primary lives, what the standbys have when they are cut off is not known: promote is not judged yet."""
    order = laid(begun(THREE), THREE, failover(THREE, "n1", "n2"))
    assert states(order)[3] == ("not judged yet", None)
    assert (order.steps[3].rests_on, order.steps[3].why) == ((1, 2), MOVING)
    assert order.steps[3].verdicts == ()
    assert order.steps[3].writes is None


def test_a_primary_whose_settings_name_an_upstream_is_foreseen_to_keep_them() -> None:
    """A demotion writes none: its pledge would count for nothing, and the promotion is foreseen to be rejected."""
    scene = with_instance(begun(THREE), "n1", attached="n3")
    steps = {step.action: step for step in laid(scene, THREE, planned_bare(THREE, "n1", "n2")).steps}
    promoted = {each.invariant: each.result for each in steps["promote"].verdicts}
    assert (steps["promote"].accepted, promoted["pledges-kept"]) == (False, "violated")


def test_nothing_is_judged_on_what_a_rejected_step_would_leave() -> None:
    """Every step behind one that would be rejected says that it rests on that one."""
    scene = with_instance(begun(THREE), "n3", drift=("primary_conninfo",))
    order = laid(scene, THREE, planned(THREE, "n1", "n2"))
    assert states(order) == [("judged now", False), *[("not judged yet", None)] * 3]
    assert [step.rests_on for step in order.steps[1:]] == [(1,)] * 3


def test_a_node_that_gives_no_report_is_not_judged() -> None:
    """It says why, and so does the step that rests on it."""
    scene = begun(THREE)
    del scene["n3"]
    order = laid(scene, THREE, planned(THREE, "n1", "n2"))
    assert order.steps[0].why == "n3 gives no report: it is off"
    assert states(order) == [("not judged yet", None)] * 4
    assert order.steps[1].rests_on == (1,)


def test_reports_in_earlier_rules_are_not_judged() -> None:
    """Which other rules would say what they say is not guessed."""
    ground = ground_of(begun(THREE), THREE, speaks=False)
    order = laid_out(ground, planned(THREE, "n1", "n2"), {})
    assert states(order) == [("not judged yet", None)] * 4
    assert order.steps[0].why == EARLIER_RULES


def test_reports_of_two_moments_are_no_divergence() -> None:
    """A standby that was read later than its primary, and shows more WAL, is not foreseen to be in anybody's way."""
    scene = begun(THREE)
    for name, more in (("n2", 8), ("n3", 80)):
        scene = further(scene, name, more)
    for lay in (planned, planned_bare):
        assert all(step.accepted for step in laid(scene, THREE, lay(THREE, "n1", "n2")).steps)


def test_what_each_line_leaves_is_foreseen() -> None:
    """There is no line of any procedure after which the next one would be judged as if nothing had been done."""
    lays: tuple[Lay, ...] = (planned, planned_bare, failover, failover_bare)
    clusters = [sized(data, quorum, witness=witness) for data, quorum, witness in SIZES]
    steps = [step for cluster in clusters for lay in lays for step in lay(cluster, "n1", "n2").steps]
    steps += [step for cluster in clusters for step in given_up(cluster, "n1", ["n2"]).steps]
    asked = {step.action for step in steps} | {"start", "stop", "reclone"}
    assert asked == {name for name, action in catalogue().items() if action.leaves is not None}


def test_looking_changes_nothing() -> None:
    """The same ground gives the same order, and stays as it was."""
    ground = ground_of(begun(THREE), THREE)
    before = dict(ground.everyone)
    way = planned(THREE, "n1", "n2")
    assert laid_out(ground, way, {}) == laid_out(ground, way, {})
    assert ground.everyone == before
