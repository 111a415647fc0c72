"""Write authority: what counts as a pledge, who may pledge, and whether a successor can be elected at all."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.errors import AeroError
from aerodb.protocol.authority import Branch, Candidacy, Position
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Receiver, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Plan
from aerodb.rules.explain import explain
from aerodb.rules.operation import carry_out, learned
from tests.unit.rules.doing import hands_in, order_in
from tests.unit.rules.scenes import (
    CLUSTER,
    Scene,
    cluster_of,
    demoted,
    grant_of,
    healthy,
    pledged,
    request_for,
    snapshot_of,
    switched,
    view_for,
    with_instance,
    with_standing,
)

FOR_N2 = Candidacy(term=2, node="n2")


def plan_of(scene: Scene, action: str, target: str, cluster: Cluster = CLUSTER, **arguments: str) -> Plan:
    """Return the plan of a request in a scene."""
    named = {name.rstrip("_"): value for name, value in arguments.items()}
    chosen = catalogue()[action]
    return explain(cluster, chosen, request_for(chosen, target, named), snapshot_of(scene, cluster))


def failing(scene: Scene, action: str, target: str, cluster: Cluster = CLUSTER, **arguments: str) -> dict[str, str]:
    """Return the invariants that refuse a request in a scene, with their evidence."""
    plan = plan_of(scene, action, target, cluster, **arguments)
    return {verdict.invariant: verdict.evidence for verdict in plan.verdicts if verdict.result != "holds"}


def _received() -> Receiver:
    return Receiver(status="streaming", upstream="127.0.0.1:1", flushed=Lsn(6000))


BREACHES: dict[str, Callable[[Scene, str], Scene]] = {
    "runs out of recovery": lambda scene, name: with_instance(scene, name, state=State.RUNNING, recovery=False),
    "whether it serves": lambda scene, name: with_instance(scene, name, state=State.UNREACHABLE, recovery=None),
    "its settings name n1": lambda scene, name: with_instance(scene, name, attached="n1"),
    "receives WAL": lambda scene, name: with_instance(scene, name, receiver=_received()),
    "is at 0/1F40": lambda scene, name: with_instance(
        scene, name, position=Position(term=1, bound=1, timeline=1, lsn=Lsn(8000))
    ),
    "of timeline 2": lambda scene, name: with_instance(
        scene, name, position=Position(term=None, bound=None, timeline=2, lsn=Lsn(5000))
    ),
    "did not write": lambda scene, name: with_instance(scene, name, drift=("primary_conninfo",)),
    "where its WAL ends now": lambda scene, name: with_instance(scene, name, position=None),
}


@pytest.mark.parametrize("why", BREACHES)
def test_a_pledge_that_is_not_kept_elects_nobody(why: str) -> None:
    """Whatever the pledger's own report shows against its pledge: one invariant says so, and names it."""
    scene = demoted()
    assert failing(scene, "promote", "n2") == {}
    found = failing(BREACHES[why](scene, "n1"), "promote", "n2")
    assert set(found) == {"pledges-kept"}
    assert "n1" in found["pledges-kept"]
    assert why in found["pledges-kept"]
    assert plan_of(BREACHES[why](scene, "n1"), "promote", "n2").loss.claim == "cannot be proven"


def test_the_reason_why_a_loss_is_not_excluded_is_the_one_that_fails() -> None:
    """Who has not pledged is named only where a quorum lacks; WAL that goes further, a broken pledge: each is said."""
    head = "It cannot be proven that no acknowledged commit is lost: "
    assert failing(demoted(), "promote", "n2") == {}  # n1 and n2 suffice: n3 has not pledged, and need not.
    behind = with_instance(demoted(), "n2", position=Position(term=1, bound=1, timeline=1, lsn=Lsn(4000)))
    assert set(failing(behind, "promote", "n2")) == {"wal-prefix"}
    statement = plan_of(behind, "promote", "n2").loss.statement
    assert statement.startswith(f"{head}n2 ends at term 1, 0/FA0, before n1 at term 1, 0/1388")
    assert "no pledge" not in statement
    alone = plan_of(with_instance(healthy(), "n1", state=State.CRASHED), "promote", "n2")
    assert alone.loss.statement == f"{head}no pledge from n1, n3."
    broken = plan_of(BREACHES["did not write"](demoted(), "n1"), "promote", "n2").loss.statement
    assert broken.startswith(f"{head}the election needs a pledge that counts for nothing: n1 ")


@pytest.mark.parametrize("why", BREACHES)
def test_a_broken_pledge_is_no_dead_end(why: str) -> None:
    """Where the others suffice, the election goes on without it, and the plan says who is not counted."""
    scene = BREACHES[why](pledged(demoted(), "n3", FOR_N2), "n1")
    plan = plan_of(scene, "promote", "n2")
    assert plan.accepted
    assert plan.loss.claim == "none"
    said = {verdict.invariant: verdict.evidence for verdict in plan.verdicts}
    assert "not counted: n1" in said["pledges-kept"]
    assert "n1" not in said["election-quorum"].partition("(")[2]


def test_a_pledger_that_lawfully_follows_keeps_its_pledge() -> None:
    """A fenced standby that follows the candidate, which has pledged alike, receives and moves on, as it may."""
    scene = pledged(pledged(healthy(), "n2", FOR_N2), "n3", FOR_N2)
    assert failing(scene, "follow", "n3", upstream="n2") == {}
    scene = with_standing(scene, "n3", upstream="n2")
    moved = Position(term=1, bound=1, timeline=1, lsn=Lsn(8000))
    scene = with_instance(scene, "n3", attached="n2", receiver=_received(), position=moved)
    assert failing(scene, "promote", "n2") == {}
    elsewhere = with_instance(scene, "n3", attached="n1")
    assert set(failing(elsewhere, "promote", "n2")) == {"pledges-kept"}


# A primary that is down ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.STOPPED, State.CRASHED])
def test_a_primary_that_is_down_can_pledge(state: State) -> None:
    """Stopped or crashed, with the end of its own WAL; running, it cannot."""
    scene = with_instance(healthy(), "n1", senders=())
    assert set(failing(scene, "fence", "n1", for_="n2")) == {"running-fits"}
    plan = plan_of(with_instance(scene, "n1", state=state), "fence", "n1", for_="n2")
    assert plan.accepted
    assert any("becomes a detached standby" in note for note in plan.notes)


def test_two_data_nodes_and_a_witness_have_a_way_out() -> None:
    """n1 stopped, the witness fenced for n2, n2 lost: n1 and the witness elect n1 in a higher term."""
    cluster = cluster_of(witness=True)
    scene = pledged(with_instance(healthy(cluster), "n1", state=State.STOPPED, senders=()), "w", FOR_N2, cluster)
    del scene["n2"]
    assert set(failing(scene, "start", "n1", cluster)) == {"no-higher-grant"}
    plan = plan_of(scene, "fence", "n1", cluster, for_="n1")
    assert (plan.accepted, plan.term) == (True, 3)
    third = Candidacy(term=3, node="n1")
    scene = pledged(with_instance(scene, "n1", quorum=1), "n1", third, cluster)
    assert failing(scene, "fence", "w", cluster, for_="n1") == {}
    scene = pledged(scene, "w", third, cluster)
    assert failing(scene, "start", "n1", cluster) == {}
    scene = with_instance(scene, "n1", state=State.RUNNING, recovery=True)
    assert failing(scene, "promote", "n1", cluster) == {}


def test_without_synchronous_standbys_the_last_primary_pledges_while_it_is_down() -> None:
    """With k = 0 only its pledge can prove that nothing acknowledged is lost."""
    cluster = cluster_of(quorum=0)
    scene = with_instance(healthy(cluster), "n1", state=State.CRASHED, senders=())
    scene = pledged(pledged(scene, "n2", FOR_N2, cluster), "n3", FOR_N2, cluster)
    assert set(failing(scene, "promote", "n2", cluster)) == {"commit-quorum"}
    assert failing(scene, "fence", "n1", cluster, for_="n2") == {}
    scene = pledged(scene, "n1", FOR_N2, cluster)
    assert failing(scene, "promote", "n2", cluster) == {}


# A successor that can be elected -------------------------------------------------------------------------------------


def _of_four() -> Cluster:
    """Return four data nodes, of which three are a majority."""
    cluster = cluster_of()
    fourth = replace(cluster.members[2], name="n4", public_key=cluster_of().members[0].public_key)
    return replace(cluster, members=(*cluster.members, fourth))


def test_a_demotion_judges_the_election_that_follows() -> None:
    """Four data nodes: writes do not stop until a third has pledged, and the verdict says how many are lacking."""
    cluster = _of_four()
    scene = healthy(cluster)
    del scene["n4"]
    found = failing(scene, "demote", "n1", cluster, for_="n2")
    assert set(found) == {"successor-electable"}
    assert "fence 1 more for n2 beforehand" in found["successor-electable"]
    fenced = pledged(scene, "n3", FOR_N2, cluster)
    plan = plan_of(fenced, "demote", "n1", cluster, for_="n2")
    assert (plan.accepted, plan.term) == (True, 2)
    broken = with_instance(fenced, "n3", receiver=_received())
    assert set(failing(broken, "demote", "n1", cluster, for_="n2")) == {"successor-electable"}


def test_a_successor_that_has_promised_better_is_not_electable() -> None:
    """A candidate pledged since the last grant may have been a primary: it too must have pledged where k is 0."""
    cluster = cluster_of(quorum=0)
    scene = pledged(healthy(cluster), "n3", Candidacy(term=2, node="n3"), cluster)
    scene = with_standing(scene, "n2", since=(Candidacy(term=2, node="n3"),))
    found = failing(scene, "demote", "n1", cluster, for_="n2")
    assert set(found) == {"successor-electable"}
    assert "n3" in found["successor-electable"]


def test_an_error_names_a_node_that_is_not_there() -> None:
    """A successor that no configuration knows is refused before anything is judged."""
    with pytest.raises(AeroError, match="no node"):
        plan_of(healthy(), "demote", "n1", for_="n9")


# Wherever a node begins to stream -----------------------------------------------------------------------------------


def _stopped(scene: Scene, node: str = "n3") -> Scene:
    return with_instance(scene, node, state=State.STOPPED, receiver=None)


def _promoted_by_hand(scene: Scene, node: str = "n3") -> Scene:
    """Return the scene in which a standby was promoted by hand, wrote, and was stopped."""
    lineage = (Branch(timeline=1, begin=Lsn(0), term=1), Branch(timeline=2, begin=Lsn(4000), term=None))
    position = Position(term=None, bound=None, timeline=2, lsn=Lsn(9000))
    return with_instance(scene, node, lineage=lineage, position=position, recovery=False)


def _silent(scene: Scene) -> Scene:
    return {name: facts for name, facts in scene.items() if name != "n1"}


STARTS: dict[str, tuple[Callable[[Scene], Scene], str]] = {
    "proven": (lambda scene: scene, ""),
    "diverged": (_promoted_by_hand, "diverged"),
    "silent": (_silent, "did not report"),
    "another has promised better": (
        lambda scene: with_standing(scene, "n3", pledged=Candidacy(term=9, node="n2")),
        "pledged term 9",
    ),
    "in a ring": (lambda scene: with_standing(scene, "n1", upstream="n3"), "n1 follows n3"),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_standby_starts_streaming_only_by_the_rule_of_follow(name: str) -> None:
    """Where it is not proven that it may stream from its upstream, it starts detached, and the plan says why."""
    change, why = STARTS[name]
    scene = change(_stopped(healthy()))
    plan = plan_of(scene, "start", "n3")
    hands = hands_in(scene, "n3")
    evidence = carry_out(catalogue()["start"], hands, order_in(scene, "start", "n3"))
    refused = failing(scene, "follow", "n3", upstream="n1")
    assert plan.accepted
    assert bool(why) is bool(set(refused) & {"upstream-authority", "wal-ancestry", "no-cycle"})
    assert (hands.attached, hands.standing().upstream) == ((None, None) if why else ("n1", "n1"))
    assert ("detached" in evidence[0]) is bool(why)
    assert any("DETACHED" in note and why in note for note in plan.notes) is bool(why)
    assert hands.done.index("detach" if why else "attach n1") < hands.done.index("start")


# What a node is told -------------------------------------------------------------------------------------------------


def test_whoever_was_carried_along_is_told_by_the_next_request() -> None:
    """Witness, detached standby, and a standby whose own WAL is of the term: each learns of the newest grant shown."""
    cluster = cluster_of(witness=True)
    scene = switched(cluster)
    view = view_for(request_for(catalogue()["fence"], "w", {"for": "n1"}), scene, cluster)
    told = learned(scene["w"].standing, view)
    assert (told.granted, told.pledged, told.since) == (FOR_N2, FOR_N2, ())
    scene = switched()
    carried = with_instance(scene, "n3", position=Position(term=2, bound=2, timeline=2, lsn=Lsn(7000)))
    view = view_for(request_for(catalogue()["stop"], "n3", {}), carried)
    assert learned(carried["n3"].standing, view).granted == FOR_N2
    detached_one = with_standing(scene, "n3", upstream=None)
    view = view_for(request_for(catalogue()["stop"], "n3", {}), detached_one)
    assert learned(detached_one["n3"].standing, view).granted == FOR_N2


def test_nobody_is_told_what_its_receiver_would_belie() -> None:
    """A standby that streams on from an earlier primary, and a node that stands as one, keep the standing they have."""
    scene = switched()
    for node in ("n3", "n1"):
        subject = with_standing(scene, node, role="primary" if node == "n1" else "standby", upstream="n1")
        view = view_for(request_for(catalogue()["stop"], node, {}), subject)
        assert learned(subject[node].standing, view) == subject[node].standing


def test_a_history_is_told_only_where_the_nodes_own_wal_says_the_same() -> None:
    """A node that was promoted by hand at the very place of the election is not taken for one that was carried."""
    scene = switched()
    ours = (Branch(timeline=1, begin=Lsn(0), term=1), Branch(timeline=2, begin=Lsn(5000), term=2))
    _, signed = grant_of(with_instance(scene, "n2", lineage=ours), "n2", 2)
    scene = with_standing(scene, "n2", grant=signed)
    by_hand = (*ours[:1], replace(ours[1], term=None))
    for lineage, told in ((ours, ours), (by_hand, scene["n3"].standing.lineage)):
        subject = with_instance(with_standing(scene, "n3", upstream=None), "n3", lineage=lineage)
        view = view_for(request_for(catalogue()["stop"], "n3", {}), subject)
        after = learned(subject["n3"].standing, view)
        assert (after.granted, after.lineage) == (FOR_N2, told)


def test_a_demotion_judges_again_before_anything_stops() -> None:
    """The successor is lost during the checkpoint: nothing is stopped, nothing pledged."""
    hands = hands_in(healthy(), "n1")
    hands.after_checkpoint = {"senders": ()}
    with pytest.raises(AeroError) as refused:
        carry_out(catalogue()["demote"], hands, order_in(healthy(), "demote", "n1", for_="n2"))
    assert refused.value.invariants == ("successor-streams",)
    assert hands.done == ["checkpoint"]
    assert hands.standing() == healthy()["n1"].standing
