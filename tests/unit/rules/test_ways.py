"""The ways that are laid out, and the pages that tell them. Each is walked in tests/exhaustive, for every size."""

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
