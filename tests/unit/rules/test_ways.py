"""The ways that are laid out: walked, request by request, by the real rules, for every size."""

import itertools
import re
from pathlib import Path

import pytest

from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import State
from aerodb.rules.ways import Way, failover, planned
from tests.unit.rules.doing import streamed, walk
from tests.unit.rules.scenes import Scene, healthy, sized, with_instance

ROOT = Path(__file__).parents[3]
SIZES = [
    (data, quorum, witness)
    for data, quorum, witness in itertools.product(range(2, 8), range(4), (False, True))
    if quorum < data
]


def begun(cluster: Cluster) -> Scene:
    """Return the cluster with n1 as its first primary, its k in force, and everyone streaming from it."""
    scene = healthy(cluster)
    for name in cluster.data_nodes:
        scene = with_instance(scene, name, quorum=cluster.quorum)
    return streamed(scene)


def acknowledges(scene: Scene, cluster: Cluster) -> bool:
    """Tell whether a commit can be acknowledged: a primary of the newest grant runs, and enough stream from it."""
    newest = max((facts.standing.granted for facts in scene.values()), key=lambda each: each.term)
    facts = scene.get(newest.node)
    if facts is None or facts.instance is None or facts.standing.role != "primary":
        return False
    instance = facts.instance
    serves = instance.state is State.RUNNING and instance.recovery is False
    return serves and len(instance.senders) >= cluster.quorum


def written(scene: Scene, cluster: Cluster, way: Way) -> list[bool]:
    """Return whether commits are acknowledged before the first request, and after each."""
    found = [acknowledges(scene, cluster)]
    for step in way.steps:
        scene = walk(scene, cluster, step)
        found.append(acknowledges(scene, cluster))
    return found


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


def _told_in(page: str, way: Way) -> bool:
    """Tell whether a page has a block in which the requests of a way stand one after the other."""
    text = (ROOT / page).read_text(encoding="utf-8")
    ahead = r"^(aerodb promote n\d) --after demote:n\d (.*)\n(aerodb demote n\d --for n\d) --then REQUEST (.*)$"
    text = re.sub(ahead, r"\3 \4\n\1 \2", text, flags=re.MULTILINE)  # What is signed first runs second.
    blocks = [re.findall(r"^(aerodb \w+ n\d(?: --(?:for|upstream) n\d)?) --reason", block, re.MULTILINE)
              for block in text.split("```")]  # fmt: skip
    return [str(step) for step in way.steps] in blocks


@pytest.mark.parametrize("page", ["README.md", "docs/operating.md"])
def test_the_pages_tell_the_ways_of_three_nodes(page: str) -> None:
    """A switchover from n1 to n2, and a failover from n2 to n1, as they are laid out."""
    cluster = sized(3, 1)
    assert _told_in(page, planned(cluster, "n1", "n2"))
    assert _told_in(page, failover(cluster, "n2", "n1"))
    assert not _told_in(page, failover(cluster, "n1", "n2"))
