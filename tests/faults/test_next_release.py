"""The last release beside a build whose rules have moved, once people have changed: they work together.

That build is this one; if its rules are the released ones still, they are frozen and their version is moved. So what a
release signs, names and reports can be acted on by its successor: once it is out, that cannot be mended any more.
"""

import threading
from pathlib import Path

import pytest

from aerodb.local.stage import READY_SECONDS_MAX
from aerodb.past.held import number_of
from aerodb.past.releases import MADE_BY
from aerodb.rules.invariants import RULES
from release import past
from tests.builds import Build, later, moved
from tests.faults.conftest import Running
from tests.faults.releases import MixedStage, types, unpacked
from tests.faults.test_configure import second_operator
from tests.faults.test_upgrade import NODES, does, switches, verifies, writing

LAST = max(MADE_BY, key=lambda each: number_of(each) or 0)
"""The rules of the last release."""
MOVED = RULES if RULES != LAST else later(1)
"""The rules of the next one."""


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Return the code of the next build: None is this one, if its rules have moved since the last release."""
    if RULES != LAST:
        return None
    folder = tmp_path_factory.mktemp("next")
    folder.chmod(0o755)
    return Build(folder, released=True).frozen("the one before").mended(moved(1)).folder


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the code of the last release."""
    return unpacked(past.versions()[-1], tmp_path_factory.mktemp("released") / "last")


@pytest.fixture
def stage(fresh: Running, released: Path) -> MixedStage:
    """Return a cluster of the last release, whose configuration has later versions: its parts can be replaced."""
    second_operator(fresh)
    fresh.stage.stop_with_postgres()
    made = MixedStage(fresh.layout, released)
    fresh.stage = made
    assert not made.start_what_starts(threading.Event(), READY_SECONDS_MAX)
    return made


def test_agents_first(fresh: Running, stage: MixedStage, ahead: Path | None, released: Path) -> None:
    """Next agents judge what the earlier control plane plans, by its rules and by their own, and nothing is lost."""
    with writing(fresh) as writer:
        for node, primary, successor in (("n3", "n1", "n2"), ("n1", "n2", "n3"), ("n2", "n3", "n1")):
            stage.replace(node, ahead)
            assert switches(fresh, primary, successor) == {LAST}
            assert writer.wait_for_more(1)
        for release in (ahead, released):
            assert types(fresh.layout, release, "status")[0] == 0
        stage.replace("control", ahead)
        assert switches(fresh, "n1", "n2") == {RULES}  # Who asks speaks no later rules.
        code, said = types(fresh.layout, ahead, "explain", "checkpoint", "n3")
        assert (code, f"By {LAST}" in said) == (0, False), said
    verifies(fresh)


def test_the_control_plane_first(fresh: Running, stage: MixedStage, ahead: Path | None) -> None:
    """The next control plane plans in the rules that the earlier agents speak, and says so."""
    with writing(fresh) as writer:
        stage.replace("control", ahead)
        for node, primary, successor in (("n2", "n1", "n2"), ("n1", "n2", "n1"), ("n3", "n1", "n3")):
            code, text = types(fresh.layout, ahead, "explain", "checkpoint", node)
            said = " ".join(text.split())
            assert (code, f"By {LAST} (AeroDB {MADE_BY[LAST]})" in said, f"Here they are {MOVED}" in said) == (
                0,
                True,
                True,
            )
            assert switches(fresh, primary, successor) == {LAST}
            stage.replace(node, ahead)
            assert writer.wait_for_more(1)
        assert {does(fresh, "checkpoint", each) for each in NODES} == {RULES}
    verifies(fresh)
