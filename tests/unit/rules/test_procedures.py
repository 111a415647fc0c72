"""Which requests a procedure consists of, by the cluster as it is: a way that is laid out can be walked to its end."""

import pytest
from msgspec.structs import replace

from aerodb.protocol.facts import State
from aerodb.protocol.lsn import Lsn
from aerodb.rules.procedures import KINDS, ProcedureGiven
from aerodb.rules.ways import Step, Way
from tests.unit.rules.scenes import CLUSTER, Scene, healthy, switched, with_instance


def ways(kind: str, scene: Scene, *executed: Step, **named: str) -> tuple[Way, ...]:
    """Return the orders of a procedure."""
    return KINDS[kind].ways(ProcedureGiven(cluster=CLUSTER, facts=scene, named=named, executed=executed))


def typed(kind: str, scene: Scene, *executed: Step, **named: str) -> list[list[str]]:
    """Return the lines of each order."""
    return [[str(step) for step in way.steps] for way in ways(kind, scene, *executed, **named)]


def came_back(state: State) -> Scene:
    """Return the cluster in which n1 came back as the primary that it was, while n2 holds the newest grant."""
    was = healthy()["n1"]
    return with_instance({**switched(), "n1": was}, "n1", state=state)


@pytest.mark.parametrize("state", [State.RUNNING, State.UNREACHABLE])
def test_a_former_primary_that_runs_is_stopped_before_it_returns(state: State) -> None:
    """Both orders begin with it, also once it is done; one that is down is not stopped again."""
    follow, reclone = "aerodb follow n1 --upstream n2", "aerodb reclone n1 --upstream n2"
    stop = Step(action="stop", target="n1")
    assert typed("return", came_back(state), node="n1") == [[str(stop), follow], [str(stop), reclone]]
    assert typed("return", came_back(State.STOPPED), stop, node="n1") == [[str(stop), follow], [str(stop), reclone]]
    assert typed("return", came_back(State.STOPPED), node="n1") == [[follow], [reclone]]
    assert typed("return", switched(), node="n3") == [
        ["aerodb follow n3 --upstream n2"],
        ["aerodb reclone n3 --upstream n2"],
    ]


def headless(more_bytes: int, receiving: str = "") -> Scene:
    """Return the cluster without n1, whose standbys receive nothing any more; n3 has that much more WAL than n2."""
    scene = {name: facts for name, facts in healthy().items() if name != "n1"}
    for name in scene:
        if name != receiving:
            scene = with_instance(scene, name, receiver=None)
    instance = scene["n3"].instance
    assert instance is not None
    assert instance.position is not None
    end = Lsn(instance.position.lsn.value + more_bytes)
    return with_instance(scene, "n3", position=replace(instance.position, lsn=end))


def test_a_failover_names_who_has_more_wal_than_its_candidate() -> None:
    """With the procedure that elects that one; where nobody has, or what is received still grows, nobody is named."""
    for way in ways("failover", headless(88), candidate="n2"):
        (said,) = [each for each in way.remarks if "more WAL" in each]
        assert said.startswith("n3 has more WAL than n2")
        assert said.endswith("aerodb procedure failover n3")
    for scene, candidate in ((headless(88), "n3"), (headless(0), "n2"), (headless(88, "n3"), "n2")):
        assert not [
            each for way in ways("failover", scene, candidate=candidate) for each in way.remarks if "more" in each
        ]
