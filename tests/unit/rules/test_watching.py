"""A cluster that is only watched: nothing is accepted of it, and of its writes only what PostgreSQL says is said."""

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol import canonical
from aerodb.protocol.authority import Position
from aerodb.protocol.chain import founded
from aerodb.protocol.cluster import read_configuration
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Result
from aerodb.protocol.watched import OVERRIDES, SettingSet, Stranger, Watched
from aerodb.rules.conditions import conditions
from aerodb.rules.explain import check_request, explain_unsafe, opened_view
from aerodb.rules.invariants import Invariant
from aerodb.rules.specification import Action
from aerodb.rules.view import peer_of
from aerodb.rules.watching import role_of, waited_for
from aerodb.rules.writes import writes
from aerodb.views.facts import role_text
from aerodb.views.observed import Observed, lag_bytes, primary_of
from aerodb.views.status import aspects, deviations
from aerodb.views.topology import draw
from aerodb.views.unusual import node_remarks, stream_remarks
from aerodb.views.watching import watched_remarks
from tests.unit.rules.scenes import CLUSTER, Scene, healthy, possible, snapshot_of, with_instance
from tests.unit.rules.watching import SURVEY, WATCHED, watched, watched_facts, watched_instance

ADDRESS = "10.9.8.7"


def _told(facts: Facts) -> Watched:
    assert isinstance(facts.watched, Watched)
    return facts.watched


def _with(scene: Scene, node: str, **changes: object) -> Scene:
    return {**scene, node: replace(scene[node], watched=replace(_told(scene[node]), **changes))}


def test_the_founding_document_is_of_a_form_of_its_own() -> None:
    """Earlier builds refuse it, and this one reads it back; it names no first primary, and no k."""
    text = canonical.encode(WATCHED)
    assert b'"format":3' in text
    found = founded(read_configuration(text)).founding
    assert (found.watched, found.genesis, found.quorum, found.digest) == (True, "", 0, WATCHED.digest)
    assert not CLUSTER.watched
    with pytest.raises(canonical.NotCanonical):
        read_configuration(text.replace(b'"genesis":""', b'"genesis":"n1"'))


@pytest.mark.parametrize("action", catalogue().values(), ids=lambda action: action.name)
def test_every_action_is_rejected_of_who_is_only_watched(action: Action) -> None:
    """Whatever else would hold; and by itself also where only the node, or only the cluster, is watched."""
    scenes = ((WATCHED, watched()), (WATCHED, healthy()), (CLUSTER, watched()))
    asked = 0
    for cluster, scene in scenes:
        for request in possible(action, cluster):
            check_request(cluster, action, request)
            everyone = {name: peer_of(cluster, facts) for name, facts in scene.items()}
            snapshot = snapshot_of(scene, cluster)
            plan = explain_unsafe(cluster, action, request, snapshot, everyone)
            failed = [each.invariant for each in plan.verdicts if each.result is not Result.HOLDS]
            assert not plan.accepted
            assert failed[0] == Invariant.IN_CHARGE
            assert opened_view(cluster, action, request, everyone, snapshot).cluster is cluster
            asked += 1
    assert asked


def test_where_charge_was_taken_it_holds() -> None:
    """It is judged of every action, first, and stands in the way of none."""
    for action in catalogue().values():
        assert action.invariants[0] is Invariant.IN_CHARGE
        for request in possible(action, CLUSTER):
            scene = healthy()
            everyone = {name: peer_of(CLUSTER, facts) for name, facts in scene.items()}
            plan = explain_unsafe(CLUSTER, action, request, snapshot_of(scene, CLUSTER), everyone)
            assert (plan.verdicts[0].invariant, plan.verdicts[0].result) == (Invariant.IN_CHARGE, Result.HOLDS)


# Writes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "commits", "count"),
    [
        ("", "on", 0),
        ("  ", "on", 0),
        ("*", "on", 1),
        ("n2, n3", "on", 1),
        ("first, any", "on", 1),
        ("2 (n2, n3)", "on", 2),
        ("FIRST 2 (n2, n3)", "remote_apply", 2),
        ('any 3("n2", n3, n4)', "on", 3),
        ("ANY 1 (n2, n3)", "off", 0),
        ("ANY 1 (n2, n3)", "local", 0),
        ("ANY 1 (n2, n3)", "remote_write", 0),
    ],
)
def test_what_a_commit_waits_for_is_read_as_postgresql_does(names: str, commits: str, count: int) -> None:
    """Two keywords, a list alone, nothing; and a setting with which no commit waits for a flush."""
    assert waited_for(names, commits) == count


def test_writes_of_a_watched_cluster_are_what_postgresql_says() -> None:
    """Who takes them, what a commit waits for, and how many more may go."""
    found = writes(WATCHED, watched())
    assert (found.acknowledged, found.node, found.needed, found.standbys, found.survives) == (
        "yes", "n1", 1, ("n2", "n3"), 1,
    )  # fmt: skip
    alone = writes(WATCHED, _with(watched(), "n1", survey=replace(SURVEY, waits_for=0)))
    assert (alone.acknowledged, alone.headline) == ("yes", "acknowledged by n1 alone")
    two = writes(WATCHED, _with(watched(), "n1", survey=replace(SURVEY, waits_for=3)))
    assert (two.acknowledged, two.headline) == ("no", "waiting at n1; 2 synchronous standby(s) stream, 3 needed")


@pytest.mark.parametrize("survey", [None, replace(SURVEY, waits_for=None)])
def test_what_is_not_seen_of_the_policy_is_unknown(survey: object) -> None:
    """Neither yes nor no is said where it is not seen what a commit waits for."""
    assert writes(WATCHED, _with(watched(), "n1", survey=survey)).acknowledged == "unknown"


def test_two_that_take_writes_are_named_and_nothing_is_claimed() -> None:
    """Somebody promoted another one by hand: it is the first thing that is said."""
    scene = {**watched(), "n3": watched_facts("n3", watched_instance(primary=True), SURVEY)}
    found = writes(WATCHED, scene)
    assert found.acknowledged == "unknown"
    assert "n1 and n3 take writes at once" in found.headline
    remarks = watched_remarks(Observed(facts=scene))
    assert deviations(found, remarks).deviating[0].style == "bad"
    assert primary_of(Observed(facts=scene)) is None


@pytest.mark.parametrize("unseen", ["silent", "unreachable"])
def test_a_node_that_is_not_seen_may_take_writes_too(unseen: str) -> None:
    """With a primary that is seen a doubt is said; with none nothing is known, and never "no"."""

    def without(scene: Scene, node: str) -> Scene:
        if unseen == "silent":
            return {name: each for name, each in scene.items() if name != node}
        return with_instance(scene, node, state=State.UNREACHABLE, recovery=None)

    found = writes(WATCHED, without(watched(), "n3"))
    assert (found.acknowledged, "n3 is not observed" in " ".join(found.details)) == ("yes", True)
    assert writes(WATCHED, without(watched(), "n1")).acknowledged == "unknown"
    assert writes(WATCHED, {}).acknowledged == "unknown"
    none = with_instance(watched(), "n1", recovery=True)
    assert (writes(WATCHED, none).acknowledged, writes(WATCHED, none).serves) == ("no", False)


def test_a_receiver_that_is_no_member_counts_and_its_address_is_not_told() -> None:
    """A commit may wait for it; where it is, is sensitive, and stands among the facts alone."""
    stranger = Stranger(address=ADDRESS, application="archive", state="streaming", sync_state="sync", flushed=None)
    scene = _with(with_instance(watched(), "n1", senders=()), "n1", strangers=(stranger,))
    found = writes(WATCHED, scene)
    assert (found.acknowledged, found.survives) == ("yes", 0)
    assert ADDRESS.encode() not in canonical.encode(found)
    assert ADDRESS in " ".join(each.text for each in watched_remarks(Observed(facts=scene)))


# What is shown ----------------------------------------------------------------------------------------------------


def test_a_healthy_watched_cluster_deviates_in_nothing() -> None:
    """What an agent remembers of its own nodes is asked of none: no folder, no upstream, no settings."""
    scene = watched()
    assert [node_remarks(facts) for facts in scene.values()] == [[], [], []]
    assert stream_remarks(Observed(facts=scene)) == []
    assert [conditions(facts) for facts in scene.values()] == [{}, {}, {}]
    assert [each.style for each in watched_remarks(Observed(facts=scene))] == ["plain"]


def test_lag_is_counted_from_the_one_that_takes_writes() -> None:
    """There is no grant to go by."""
    behind = Position(term=None, bound=None, timeline=7, lsn=Lsn(4000))
    scene = with_instance(watched(), "n2", position=behind)
    assert primary_of(Observed(facts=scene)) == scene["n1"]
    assert [lag_bytes(scene[name], Observed(facts=scene)) for name in ("n2", "n3")] == [1000, 0]


def test_of_one_that_is_not_seen_nothing_but_that_is_said() -> None:
    """Its standing names the role in which it was last seen, which is no claim; why it is not seen is one line."""
    why = ("process: nobody answers at the socket",)
    scene = with_instance(watched(), "n1", state=State.UNREACHABLE, recovery=None, position=None, damage=why)
    observed = Observed(facts=scene)
    assert (role_of(scene["n1"]), role_of(scene["n2"]), role_of(healthy()["n1"])) == ("unknown", "standby", "primary")
    assert role_text("n1", observed) == ("warn", "unknown")
    assert [box.role for box in draw(WATCHED, observed) if box.name == "n1"] == ["unknown"]
    said = node_remarks(scene["n1"])
    assert [each.text for each in said] == ["is not seen, so what it does is unknown: nobody answers at the socket"]


def test_one_that_was_promoted_by_hand_is_shown_as_what_it_runs_as() -> None:
    """Whatever its standing, or a setting that it keeps, says; and the table has no term that nobody founded."""
    scene = with_instance(watched(), "n3", recovery=False, attached=None, receiver=None)
    observed = Observed(facts=scene)
    assert (scene["n3"].standing.role, role_text("n3", observed)) == ("standby", ("plain", "primary"))
    assert [each.name for each in aspects(observed)] == ["STATE", "TIMELINE"]
    assert [each.name for each in aspects(Observed(facts=healthy()))] == ["STATE", "TERM", "TIMELINE"]


def test_roles_that_wait_for_nothing_are_told_of() -> None:
    """That a commit waits for a standby is no promise to them."""
    lower = SettingSet(name=OVERRIDES, value="2", place="pg_db_role_setting")
    said = writes(WATCHED, _with(watched(), "n1", survey=replace(SURVEY, settings=(lower,)))).details
    assert said[0] == "A commit waits for 1 of n2, n3."
    assert "they wait for none" in said[1]
    assert len(writes(WATCHED, watched()).details) == 1
