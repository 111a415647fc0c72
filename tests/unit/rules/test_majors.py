"""Nothing is copied between major versions: a copy of one's data does not start with another's programs."""

import pytest

from aerodb.actions import catalogue
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Result, Verdict
from aerodb.rules.invariants import Invariant
from tests.unit.rules.scenes import CLUSTER, Scene, healthy, request_for, view_for, with_instance

DOWN = {"state": State.STOPPED, "receiver": None}


def verdict(scene: Scene, invariant: Invariant, action: str, target: str, **arguments: str) -> Verdict:
    """Return one verdict on a request."""
    view = view_for(request_for(catalogue()[action], target, arguments), scene, CLUSTER)
    return next(each for each in catalogue()[action].judge(view) if each.invariant == invariant)


@pytest.mark.parametrize("down", [{}, DOWN])
@pytest.mark.parametrize(
    ("version", "result"),
    [
        ("17.10", Result.VIOLATED),
        ("18beta1", Result.VIOLATED),
        ("", Result.VIOLATED),
        ("18.6", Result.HOLDS),
        ("18.1 (Debian 18.1-1.pgdg12+1)", Result.HOLDS),
        ("18", Result.HOLDS),
    ],
)
def test_a_copy_is_made_of_the_same_major_version_alone(version: str, result: Result, down: dict[str, object]) -> None:
    """Whether the node runs or not; which of them is newer does not matter; minor versions and packages may differ."""
    scene = with_instance(healthy(), "n3", version=version, **down)
    judged = verdict(scene, Invariant.RUNNING_FITS, "reclone", "n3", upstream="n1")
    assert judged.result is result
    assert (f"PostgreSQL on n1 is 18.6, and on n3 {version}: " in judged.evidence) is (result is Result.VIOLATED)


def test_a_node_of_another_major_version_keeps_nothing_else_from_being_done() -> None:
    """The cure does not need every node healthy: where nothing is copied from it or to it, it does not matter."""
    scene = with_instance(healthy(), "n3", version="17.10")
    assert verdict(scene, Invariant.RUNNING_FITS, "reclone", "n2", upstream="n1").result is Result.HOLDS
    fenced = catalogue()["fence"].judge(
        view_for(request_for(catalogue()["fence"], "n2", {"for": "n2"}), scene, CLUSTER)
    )
    assert [each.invariant for each in fenced if each.result is not Result.HOLDS] == []
