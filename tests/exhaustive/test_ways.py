"""The ways, for every size of cluster: every request is accepted, and writes stop and come back where it says."""

import pytest

from aerodb.protocol.facts import State
from aerodb.rules.ways import failover, planned
from tests.unit.rules.doing import streamed, walk
from tests.unit.rules.scenes import sized, with_instance
from tests.unit.rules.test_ways import SIZES, acknowledges, begun, written


@pytest.mark.parametrize(("data", "quorum", "witness"), SIZES)
def test_a_planned_switchover_goes_through_and_writes_stop_where_it_says(
    data: int, quorum: int, *, witness: bool
) -> None:
    """Every request is accepted; commits are acknowledged up to the step that stops them, and from that one on."""
    cluster = sized(data, quorum, witness=witness)
    way = planned(cluster, "n1", "n2")
    found = written(begun(cluster), cluster, way)
    assert way.stops is not None
    assert way.returns is not None
    assert found == [not way.stops < at <= way.returns for at in range(len(found))]
    assert bool(way.remarks) is (way.steps[way.stops].action != "demote")


@pytest.mark.parametrize(("data", "quorum", "witness"), SIZES)
def test_and_then_it_goes_back(data: int, quorum: int, *, witness: bool) -> None:
    """The way back goes through too: whoever was carried along untold is in nobody's way."""
    cluster = sized(data, quorum, witness=witness)
    scene = begun(cluster)
    for step in (*planned(cluster, "n1", "n2").steps, *planned(cluster, "n2", "n1").steps):
        scene = walk(scene, cluster, step)
    assert acknowledges(scene, cluster)
    assert scene["n1"].standing.granted.term == 3


@pytest.mark.parametrize(("data", "quorum", "witness"), SIZES)
def test_a_failover_goes_through_and_writes_come_back_with_promote(data: int, quorum: int, *, witness: bool) -> None:
    """Every request is accepted, and enough follow the candidate beforehand, wherever there are enough."""
    cluster = sized(data, quorum, witness=witness)
    way = failover(cluster, "n1", "n2")
    scene = with_instance(begun(cluster), "n1", state=State.CRASHED, senders=())
    if not any(step.target == "n1" for step in way.steps):
        del scene["n1"]
    found = written(streamed(scene), cluster, way)
    back = len(found) if way.returns is None else way.returns
    assert found == [at > back for at in range(len(found))]
    enough = data - 2 >= quorum
    promoted = next(at for at, step in enumerate(way.steps) if step.action == "promote")
    assert (way.returns == promoted) is enough
    assert bool(way.remarks) is (not enough or any(step.target == "n1" for step in way.steps))
