"""What is foreseen of each step of a procedure is what then is so, for every size of cluster."""

import pytest
from msgspec.structs import replace

from aerodb.rules.ways import Step, failover, failover_bare, given_up, planned, planned_bare
from aerodb.rules.writes import writes
from tests.unit.rules.doing import walk
from tests.unit.rules.scenes import sized
from tests.unit.rules.test_ways import SIZES, begun
from tests.unit.views.test_laying import Lay, laid, lost, walked


@pytest.mark.parametrize("lay", [planned, planned_bare])
@pytest.mark.parametrize(("data", "quorum", "witness"), SIZES)
def test_what_is_foreseen_of_a_switchover_is_then_so(data: int, quorum: int, lay: Lay, *, witness: bool) -> None:
    """Every step is foreseen to be accepted and is, and writes are after each what was foreseen, at every stage."""
    cluster = sized(data, quorum, witness=witness)
    walked(begun(cluster), cluster, lay(cluster, "n1", "n2"))


@pytest.mark.parametrize("lay", [planned, planned_bare])
@pytest.mark.parametrize(("data", "quorum", "witness"), SIZES)
def test_what_is_foreseen_of_a_switchover_signed_ahead_is_then_so(
    data: int, quorum: int, lay: Lay, *, witness: bool
) -> None:
    """Its promotion is foreseen to be accepted before its demotion; then both are, and writes are as foreseen."""
    cluster = sized(data, quorum, witness=witness)
    way = replace(lay(cluster, "n1", "n2"), form="ahead")
    scene, at = begun(cluster), way.pair_at
    assert at is not None
    for number in range(at + 1):
        order = laid(scene, cluster, way, number)
        assert all(step.accepted for step in order.steps[number:])
        assert (order.steps[at].action, order.steps[at + 1].action) == ("promote", "demote")
        assert order.steps[at].writes == (writes(cluster, scene) if number == at else order.steps[at - 1].writes)
        if number < at:
            scene = walk(scene, cluster, way.steps[number])
    first = laid(begun(cluster), cluster, way)
    for step in way.steps[at : at + 2]:
        scene = walk(scene, cluster, step)
    assert first.steps[at + 1].writes == writes(cluster, scene)
    for number, step in enumerate(way.steps[at + 2 :], at + 2):
        scene = walk(scene, cluster, step)
        assert first.steps[number].writes == writes(cluster, scene)


@pytest.mark.parametrize("lay", [failover, failover_bare])
@pytest.mark.parametrize(("data", "quorum", "witness"), SIZES)
def test_what_is_foreseen_of_a_failover_is_then_so(data: int, quorum: int, lay: Lay, *, witness: bool) -> None:
    """Likewise, while the primary is gone: promote rests on pledges that are foreseen."""
    cluster = sized(data, quorum, witness=witness)
    way = lay(cluster, "n1", "n2")
    first = walked(lost(cluster, way), cluster, way)
    promoted = next(step for step in first.steps if step.action == "promote")
    assert cluster.majority == 1 or "election-quorum" in promoted.only_then


@pytest.mark.parametrize(("data", "quorum", "witness"), SIZES)
def test_what_is_foreseen_of_an_election_that_is_given_up_is_then_so(data: int, quorum: int, *, witness: bool) -> None:
    """Likewise, for a standby that was fenced while the primary lives."""
    cluster = sized(data, quorum, witness=witness)
    fenced = f"n{data}"
    scene = walk(begun(cluster), cluster, Step(action="fence", target=fenced, other=fenced))
    walked(scene, cluster, given_up(cluster, "n1", [fenced]))
