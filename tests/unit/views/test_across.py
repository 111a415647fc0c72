"""What is unusual across nodes is found by their reports together, where each alone says nothing of it."""

from msgspec.structs import replace

from aerodb.protocol.authority import Branch, Candidacy, Position
from aerodb.protocol.facts import State, Unfinished
from aerodb.protocol.lsn import Lsn
from aerodb.views.across import across_remarks
from aerodb.views.facts import role_text
from aerodb.views.observed import DEPOSED, Observed, deposed
from aerodb.views.topology import draw
from aerodb.views.unusual import node_remarks
from tests.unit.rules.scenes import (
    CLUSTER,
    Scene,
    demoted,
    healthy,
    pledged,
    scenes,
    switched,
    with_instance,
    with_standing,
)


def _observed(scene: Scene) -> Observed:
    return Observed(facts=scene)


def _said(scene: Scene) -> list[str]:
    return [each.text for each in across_remarks(_observed(scene))]


def _waiting(scene: Scene, node: str, count: int, seconds: int) -> Scene:
    instance = scene[node].instance
    assert instance is not None
    assert instance.load is not None
    load = replace(instance.load, waiting_commits=count, longest_wait_seconds=seconds)
    return with_instance(scene, node, load=load)


def _returned() -> Scene:
    """Return n1, the primary of term 1, back and running, while n2 was granted term 2 and serves."""
    return {**switched(), "n1": healthy()["n1"]}


def test_nothing_is_said_where_nothing_is_unusual() -> None:
    """A healthy cluster, and one after a switchover."""
    assert _said(healthy()) == []
    assert _said(with_instance(switched(), "n3", attached="n2")) == []


def test_a_second_primary_that_runs_is_said_though_it_knows_nothing_of_it() -> None:
    """It stands as the primary of its own term, and says nothing unusual of itself: another one knows better."""
    scene = _returned()
    assert node_remarks(scene["n1"]) == []
    (found,) = [each for each in across_remarks(_observed(scene)) if each.text.startswith("n1 ")]
    assert (found.style, found.node) == ("bad", "n1")
    assert found.text.startswith("n1 runs as a primary, and is none: term 2 is granted to n2, as n2 said")
    assert role_text("n1", _observed(scene)) == ("bad", DEPOSED)
    assert role_text("n2", _observed(scene)) == ("plain", "primary")
    (box,) = [each for each in draw(CLUSTER, _observed(scene)) if each.name == "n1"]
    assert (box.role, box.style) == (DEPOSED, "down")


def test_a_promotion_under_way_makes_no_second_primary() -> None:
    """It has left recovery, and not yet written its grant: what it is then is told by its outcome alone."""
    unfinished = Unfinished(request="r", action="promote", result="unknown", evidence="")
    promoted = with_instance(demoted(), "n2", recovery=False)
    scene = {**promoted, "n2": replace(promoted["n2"], unfinished=unfinished)}
    assert deposed(scene["n2"], _observed(scene)) is None
    assert not [each for each in _said(scene) if each.startswith("n2 ")]
    assert [each for each in _said(promoted) if each.startswith("n2 ")]


def test_one_that_is_stopped_or_in_recovery_is_no_second_primary() -> None:
    """It takes no writes; one that does not answer may."""
    scene = _returned()
    for changes in ({"state": State.STOPPED}, {"state": State.CRASHED}, {"recovery": True}):
        assert deposed(with_instance(scene, "n1", **changes)["n1"], _observed(scene)) is None
    hung = with_instance(scene, "n1", state=State.UNREACHABLE, recovery=None)
    assert "n1 may run as a primary, and is none" in " ".join(_said(hung))


def test_the_only_primary_is_not_deposed_by_an_older_grant_or_its_own() -> None:
    """Others that still know the term before do not depose it."""
    behind = {**switched(), "n1": demoted()["n1"]}
    assert deposed(behind["n2"], _observed(behind)) is None
    assert deposed(healthy()["n1"], _observed(healthy())) is None


def test_who_is_attached_to_a_deposed_primary_is_said() -> None:
    """It could flush for it."""
    assert "n3 is attached to n1, which is no primary: it can flush commits for it" in _said(_returned())


def test_commits_that_wait_are_said_at_once_on_a_deposed_primary_and_else_once_they_wait_long() -> None:
    """A commit that waits for a moment is nothing unusual; one that nobody can flush is."""
    text = "2 commits wait on n1, the oldest for 1 s: not acknowledged"
    assert text in _said(_waiting(_returned(), "n1", 2, 1))
    assert _said(_waiting(healthy(), "n1", 2, 1)) == []
    assert _said(_waiting(healthy(), "n1", 1, 173)) == ["1 commit waits on n1, the oldest for 173 s: not acknowledged"]


def test_a_role_that_postgresql_does_not_have_is_said() -> None:
    """Promoted by hand; or a primary's PostgreSQL in recovery."""
    by_hand = with_instance(healthy(), "n2", recovery=False)
    assert any("promoted by hand" in each or "n2 runs as a primary, and is none" in each for each in _said(by_hand))
    alone = {"n2": with_standing(by_hand, "n2", granted=Candidacy(term=1, node="n2"))["n2"]}
    assert _said(alone) == ["n2 stands as a standby, and its PostgreSQL takes writes: it was promoted by hand"]
    recovering = _said(with_instance(healthy(), "n1", recovery=True))
    assert recovering == ["n1 stands as a primary, and its PostgreSQL is in recovery: it takes no writes"]


def test_wal_that_the_primary_has_not_is_said() -> None:
    """Of what follows the primary, and of what is down."""
    apart = (Branch(timeline=1, begin=Lsn(0), term=1), Branch(timeline=2, begin=Lsn(4000), term=2))
    position = Position(term=2, bound=2, timeline=2, lsn=Lsn(6000))
    scene = with_instance(healthy(), "n3", lineage=apart, position=position, state=State.STOPPED)
    assert _said(scene) == ["n3 holds WAL that is no part of n1's, the primary: it cannot follow it as it is"]


def test_a_pledge_is_open_only_as_long_as_no_report_shows_the_grant() -> None:
    """A node that has not heard of the grant is nothing unusual; a pledge that nobody was granted is."""
    open_pledge = pledged(healthy(), "n3", Candidacy(term=2, node="n2"))
    assert _said(open_pledge) == ["n3 has pledged term 2 to n2, not granted as far as who reports knows"]
    after = switched()
    assert after["n1"].standing.pledged.term > after["n1"].standing.granted.term
    assert not [each for each in _said(after) if "pledged" in each]
    assert any("n1 has pledged term 2" in each for each in _said({"n1": after["n1"]}))  # Nobody who knows reports.


def test_two_grants_of_one_term_and_two_systems_are_said() -> None:
    """What no rule allows is said if it is reported."""
    twice = with_standing(healthy(), "n3", granted=Candidacy(term=1, node="n3"))
    assert "Term 1 is granted to n1 and to n3, as their reports say: trust neither" in _said(twice)
    assert "The nodes hold different database systems: n1 7, n2 8, n3 7" in _said(
        with_instance(healthy(), "n2", system="8")
    )


def test_every_scene_can_be_told() -> None:
    """Nothing that is reported makes telling it fail, whoever is silent."""
    for scene in scenes().values():
        for silent in (None, *scene):
            _said({name: facts for name, facts in scene.items() if name != silent})
