"""The rules' single checks of versions, each attacked where no other one stands behind it."""

import pytest
from msgspec.structs import replace

from aerodb.protocol.authority import Candidacy
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Result
from aerodb.rules.invariants import Invariant
from aerodb.rules.versions import contradicts, differ, untaken
from tests.unit.protocol.test_chain import revoke
from tests.unit.rules.scenes import demoted, healthy, switched, view_for, with_standing
from tests.unit.rules.test_versions import ONE, OTHER_TWO, THREE, TWO, configure, having, plan_of, said_of


def of(node: str, version: Cluster, epoch: int = 1) -> Facts:
    """Return what a node reports that has taken a version, of an epoch."""
    scene = healthy(ONE) if version is ONE else having(healthy(ONE), **{node: version})
    return replace(scene[node], epoch=epoch)


@pytest.mark.parametrize("elects", [False, True])
@pytest.mark.parametrize(
    ("own", "other", "why"),
    [
        (of("n1", TWO), of("n2", TWO, epoch=2), "epoch 2"),
        (of("n1", TWO), of("n2", ONE, epoch=2), "epoch 2"),
        (of("n1", ONE), of("n2", TWO, epoch=2), "epoch 2"),
        (of("n1", TWO, epoch=2), of("n2", ONE), "epoch 1"),
        (of("n1", TWO), of("n2", OTHER_TWO), "another configuration"),
        (of("n1", OTHER_TWO), of("n2", THREE), "another configuration"),
        (of("n1", TWO), of("n2", OTHER_TWO, epoch=2), "another configuration"),
    ],
)
def test_no_judgement_rests_on_another_epoch_or_branch(own: Facts, other: Facts, why: str, *, elects: bool) -> None:
    """An election looks at the epoch alone, and so at nothing else: of two epochs it is refused, whoever is ahead."""
    assert why in contradicts(own, other, elects=elects)


@pytest.mark.parametrize("elects", [False, True])
def test_who_is_behind_keeps_nobody_from_acting(*, elects: bool) -> None:
    """A node ahead of the others judges by all of them; one that is behind only where people are not asked after."""
    assert contradicts(of("n1", THREE), of("n2", ONE), elects=elects) == ""
    assert (contradicts(of("n1", ONE), of("n2", THREE), elects=elects) == "") == elects


def test_whether_all_have_taken_the_same_is_told_by_whoever_reports() -> None:
    """Alike they do not differ, whichever version it is; one that is behind or on another branch makes a difference."""
    request = configure("n1", ONE, revoke("bob"))
    for version, told in ((None, False), (TWO, True), (OTHER_TWO, True)):
        scene = healthy(ONE) if version is None else having(healthy(ONE), n2=version)
        assert differ(view_for(request, scene, ONE)) is told
    alone = {"n1": healthy(ONE)["n1"]}
    assert not differ(view_for(request, alone, ONE))


def test_who_reports_nothing_is_not_said_to_be_behind() -> None:
    """Without a report there is nothing to tell; of two versions the one who is behind is named, and nobody else."""
    assert untaken({}) == ()
    (told,) = untaken({"n1": of("n1", TWO), "n2": of("n2", ONE), "n3": of("n3", TWO)})
    assert told.startswith("n2 has taken version 1 of the configuration, of 2")


def test_a_primary_that_was_demoted_makes_no_version() -> None:
    """The newest grant names it still: it is a primary no more, and nobody is."""
    verdict = said_of(plan_of(configure("n1", ONE, revoke("bob")), demoted(ONE), ONE), Invariant.PRIMARY_FIRST)
    assert (verdict.result, "nobody who reports is the primary" in verdict.evidence) == (Result.UNKNOWN, True)


@pytest.mark.parametrize(
    "granted", [Candidacy(term=2, node="n2"), Candidacy(term=1, node="n1")], ids=["knows", "does not know"]
)
def test_of_two_that_run_as_primaries_the_newest_grant_decides(granted: Candidacy) -> None:
    """The earlier one came back, whether it knows of the new grant or not: it makes no version, and holds up none."""
    scene = with_standing(switched(ONE), "n1", role="primary", granted=granted, halted=False)
    for target, held in (("n1", False), ("n2", True)):
        verdict = said_of(plan_of(configure(target, ONE, revoke("bob")), scene, ONE), Invariant.PRIMARY_FIRST)
        assert (verdict.result is Result.HOLDS, "n2" in verdict.evidence) == (held, True)
        assert "term 2" in verdict.evidence
