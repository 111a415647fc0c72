"""This build beside the one after it, whose rules have moved, once people have changed: they work together.

The next build is this one with its rules frozen and their version moved. So what a released build signs, names and
reports can be acted on by its successor, which is the only time at which that can still be mended.
"""

import threading
from pathlib import Path

import pytest

from aerodb.local.stage import READY_SECONDS_MAX
from aerodb.rules.invariants import RULES
from tests.builds import Build, later, moved
from tests.faults.conftest import Running
from tests.faults.releases import MixedStage, types
from tests.faults.test_configure import second_operator
from tests.faults.test_upgrade import NODES, does, switches, verifies, writing


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the code of the next build."""
    folder = tmp_path_factory.mktemp("next")
    folder.chmod(0o755)
    return Build(folder, released=True).frozen("the one before").mended(moved(1)).folder


@pytest.fixture
def stage(fresh: Running) -> MixedStage:
    """Return a cluster of this build, whose configuration has later versions, as one whose parts can be replaced."""
    second_operator(fresh)
    fresh.stage.stop_with_postgres()
    made = MixedStage(fresh.layout, None)
    fresh.stage = made
    assert not made.start_what_starts(threading.Event(), READY_SECONDS_MAX)
    return made


def test_agents_first(fresh: Running, stage: MixedStage, ahead: Path) -> None:
    """Next agents judge what this control plane plans, by its rules and by their own, and nothing is lost."""
    with writing(fresh) as writer:
        for node, primary, successor in (("n3", "n1", "n2"), ("n1", "n2", "n3"), ("n2", "n3", "n1")):
            stage.replace(node, ahead)
            assert switches(fresh, primary, successor) == {RULES}
            assert writer.wait_for_more(1)
        for release in (ahead, None):
            assert types(fresh.layout, release, "status")[0] == 0
        stage.replace("control", ahead)
        assert switches(fresh, "n1", "n2") == {RULES}  # Who asks is of this build still.
        code, said = types(fresh.layout, ahead, "explain", "checkpoint", "n3")
        assert (code, f"By {RULES}" in said) == (0, False), said
    verifies(fresh)


def test_the_control_plane_first(fresh: Running, stage: MixedStage, ahead: Path) -> None:
    """The next control plane plans in the rules that this build's agents speak, and says so."""
    with writing(fresh) as writer:
        stage.replace("control", ahead)
        for node, primary, successor in (("n2", "n1", "n2"), ("n1", "n2", "n1"), ("n3", "n1", "n3")):
            code, said = types(fresh.layout, ahead, "explain", "checkpoint", node)
            assert (code, f"By {RULES}" in said, f"Here they are {later(1)}" in said) == (0, True, True), said
            assert switches(fresh, primary, successor) == {RULES}
            stage.replace(node, ahead)
            assert writer.wait_for_more(1)
        assert {does(fresh, "checkpoint", each) for each in NODES} == {RULES}
    verifies(fresh)
