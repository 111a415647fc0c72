"""A timeline whose term nobody has told: its WAL can be elected, and can vote, within the two bounds that are known."""

from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.authority import Branch, Candidacy, Position
from aerodb.protocol.facts import State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Result, Verdict
from aerodb.rules.invariants import Invariant
from tests.unit.rules.scenes import (
    CLUSTER,
    FIRST,
    Scene,
    carried,
    demoted,
    healthy,
    pledged,
    request_for,
    view_for,
    with_instance,
    with_standing,
)

SECOND = Branch(timeline=2, begin=Lsn(5000), term=2)


def told(scene: Scene, node: str, lsn: int = 5100) -> Scene:
    """Return the scene with a standby that came onto timeline 2, and was told that it is of term 2."""
    scene = with_standing(scene, node, granted=Candidacy(term=2, node="n2"), role="standby", since=(), halted=False)
    position = Position(term=2, bound=2, timeline=2, lsn=Lsn(lsn))
    return with_instance(
        scene, node, position=position, lineage=(*FIRST, SECOND), state=State.RUNNING, recovery=True, shutdown=None
    )


def without(scene: Scene, *names: str) -> Scene:
    """Return the scene with nodes that do not report."""
    return {name: facts for name, facts in scene.items() if name not in names}


def judged(scene: Scene, action: str, target: str, **arguments: str) -> dict[Invariant, Verdict]:
    """Return the verdicts on a request."""
    view = view_for(request_for(catalogue()[action], target, arguments), scene, CLUSTER)
    return {Invariant(each.invariant): each for each in catalogue()[action].judge(view)}


def refused(scene: Scene, action: str, target: str, **arguments: str) -> set[Invariant]:
    """Return the invariants by which a request is refused."""
    found = judged(scene, action, target, **arguments)
    return {invariant for invariant, each in found.items() if each.result is not Result.HOLDS}


LOST = without(carried(demoted(), "n3"), "n2")
"""n1 stepped down for n2; n2 promoted and is lost for good; n3, which streamed from it, has only the switch."""


def test_it_pledges_where_a_majority_has_promised_nobody_that_much() -> None:
    """n1 and n3 are a majority: whoever promoted timeline 2 did so in a term that one of them has pledged."""
    assert refused(LOST, "fence", "n3", **{"for": "n3"}) == set()
    assert refused(LOST, "fence", "n3", **{"for": "n1"}) == set()


def test_it_pledges_to_nobody_who_may_have_been_elected_in_that_term() -> None:
    """A candidate that pledged the term to itself, and is down, may have promoted: the timeline can be of that term."""
    promised = pledged(LOST, "n1", Candidacy(term=3, node="n1"))
    assert refused(promised, "fence", "n3", **{"for": "n1"}) == {Invariant.TERM_RISES, Invariant.POSITION_KNOWN}


def test_it_pledges_nothing_alone() -> None:
    """One of three is no majority: the timeline may be of any term."""
    found = judged(without(LOST, "n1"), "fence", "n3", **{"for": "n3"})
    assert found[Invariant.TERM_RISES].result is Result.UNKNOWN
    assert found[Invariant.POSITION_KNOWN].result is Result.UNKNOWN


def test_it_pledges_nothing_that_somebody_else_may_hold() -> None:
    """Where one who reports has promised somebody else more, timeline 2 may be of that term."""
    view = view_for(request_for(catalogue()["fence"], "n3", {"for": "n3"}), LOST, CLUSTER)
    for other in (Candidacy(term=view.term, node="n2"), Candidacy(term=view.term + 1, node="n2")):
        n1 = view.peers["n1"]
        standing = replace(n1.facts.standing, pledged=other)
        seen = replace(view, peers={"n1": replace(n1, facts=replace(n1.facts, standing=standing))})
        found = {each.invariant: each.result for each in catalogue()["fence"].judge(seen)}
        assert found[Invariant.TERM_RISES] is Result.UNKNOWN


def test_it_is_elected_over_a_log_that_it_contains() -> None:
    """n1's WAL does not go beyond the place where n3's history leaves timeline 1."""
    scene = pledged(LOST, "n1", Candidacy(term=3, node="n3"))
    scene = with_instance(scene, "n1", state=State.RUNNING, recovery=True)
    found = judged(scene, "promote", "n3")
    assert {name for name, each in found.items() if each.result is not Result.HOLDS} == set()
    assert "n3 cannot tell the term of its timeline 2" in found[Invariant.POSITION_KNOWN].evidence


def test_it_is_not_elected_over_a_log_that_goes_beyond_where_its_timeline_began() -> None:
    """n1 went on in term 1 while a hand promoted n3's upstream: however far n3's WAL reaches, it lacks that."""
    scene = pledged(LOST, "n1", Candidacy(term=3, node="n3"))
    scene = with_instance(scene, "n1", state=State.RUNNING, recovery=True)
    position = Position(term=1, bound=1, timeline=1, lsn=Lsn(5001))
    beyond = pledged(with_instance(scene, "n1", position=position), "n1", Candidacy(term=3, node="n3"))
    assert refused(beyond, "promote", "n3") == {Invariant.WAL_PREFIX}


def test_it_is_not_elected_over_a_log_of_the_term_that_it_cannot_tell() -> None:
    """n1 was told that timeline 2 is of term 2: what n3 has of it may be less, or another one of that number."""
    scene = told(LOST, "n1", lsn=5050)
    scene = pledged(scene, "n1", Candidacy(term=3, node="n3"))
    assert refused(scene, "promote", "n3") == {Invariant.WAL_PREFIX}


def test_its_vote_counts_as_of_the_newest_term_that_was_possible() -> None:
    """n1, whose WAL is of term 2, is elected with n3's pledge where it reaches as far; a WAL of term 1 is not."""
    for_n1 = Candidacy(term=3, node="n1")
    for own, expected in ((5100, set()), (5099, {Invariant.WAL_PREFIX})):
        scene = pledged(pledged(told(LOST, "n1", lsn=own), "n3", for_n1), "n1", for_n1)
        assert refused(scene, "promote", "n1") == expected
    older = with_instance(LOST, "n1", state=State.RUNNING, recovery=True, shutdown=None)
    older = pledged(pledged(older, "n3", for_n1), "n1", for_n1)
    assert Invariant.WAL_PREFIX in refused(older, "promote", "n1")


def test_another_folder_claims_nothing() -> None:
    """What is remembered is of another data folder: the terms of this one's timelines are nobody's word."""
    scene = with_instance(LOST, "n3", identity="a folder that was put there by hand")
    found = judged(scene, "fence", "n3", **{"for": "n3"})
    assert found[Invariant.POSITION_KNOWN].result is Result.UNKNOWN


def _both_carried(*origins: str | None, lsns: tuple[int, int] = (5100, 5050)) -> Scene:
    """Return n2 and n3 on timeline 2, of which nobody told the term, n2 with a pledge for n3; n1 is lost."""
    scene = carried(carried(healthy(), "n3", lsns[0]), "n2", lsns[1])
    for name, origin in zip(("n3", "n2"), origins, strict=True):
        scene = with_instance(scene, name, origin=origin)
    return without(pledged(scene, "n2", Candidacy(term=2, node="n3")), "n1")


def test_one_that_was_carried_along_is_elected_over_another_on_the_same_timeline() -> None:
    """The record that it begins with is the same, and n3 has all that n2 has of it."""
    assert refused(_both_carried("recovered then", "recovered then"), "promote", "n3") == set()


def test_it_is_not_elected_over_one_that_has_more_or_is_on_another_timeline_of_that_number() -> None:
    """Shorter, or begun apart: it lacks something. Not known to have been begun together: that is not known."""
    for scene, result in (
        (_both_carried("recovered then", "recovered then", lsns=(5049, 5050)), Result.VIOLATED),
        (_both_carried("recovered then", "recovered later"), Result.VIOLATED),
        (_both_carried("recovered then", None), Result.UNKNOWN),
        (_both_carried(None, None), Result.UNKNOWN),
    ):
        assert judged(scene, "promote", "n3")[Invariant.WAL_PREFIX].result is result


def test_nobody_is_made_to_pledge_to_a_node_without_a_readable_log() -> None:
    """It could not be elected, and would count as one that may have been primary; who is silent may be back."""
    lost = with_instance(healthy(), "n2", state=State.UNREADABLE, position=None, damage=("control file: it is gone",))
    found = judged(lost, "fence", "n3", **{"for": "n2"})
    assert found[Invariant.CANDIDATE_READABLE].result is Result.VIOLATED
    assert "control file: it is gone" in found[Invariant.CANDIDATE_READABLE].evidence
    assert refused(without(lost, "n2"), "fence", "n3", **{"for": "n2"}) == set()
