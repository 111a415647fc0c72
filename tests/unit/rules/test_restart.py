"""What restart proves before it ends anything, and what is said of one that was cut off."""

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.actions.restart import established
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.plan import Plan
from aerodb.rules.explain import explain
from aerodb.rules.invariants import Invariant
from aerodb.rules.operation import carry_out
from tests.unit.rules.doing import hands_in, order_in
from tests.unit.rules.scenes import (
    CLUSTER,
    FILES,
    Scene,
    healthy,
    request_for,
    snapshot_of,
    with_files,
    with_instance,
)

SCENE = with_files(healthy())
ACTION = catalogue()["restart"]


def plan_of(node: str, scene: Scene = SCENE) -> Plan:
    """Return a plan of the action."""
    return explain(CLUSTER, ACTION, request_for(ACTION, node, {}), snapshot_of(scene))


def failed(scene: Scene, node: str) -> list[str]:
    """Return the invariants that stand in the way."""
    return [verdict.invariant for verdict in plan_of(node, scene).verdicts if verdict.result != "holds"]


@pytest.mark.parametrize(
    ("node", "steps"),
    [
        ("n1", ["checkpoint", "cross", "stop", "start", "write standing"]),
        ("n2", ["cross", "stop", "attach n1", "start", "write standing"]),
    ],
)
def test_nothing_is_ended_before_it_has_crossed(node: str, steps: list[str]) -> None:
    """The journal holds that it may have ended PostgreSQL before it does; the standing is what it was, and runs."""
    hands = hands_in(SCENE, node)
    carry_out(ACTION, hands, order_in(SCENE, "restart", node))
    assert hands.done == steps
    assert hands.standing() == replace(SCENE[node].standing, halted=False)


def test_a_standby_whose_upstream_is_silent_comes_back_detached_and_says_so_before() -> None:
    """What start would not let stream, a restart does not either; whoever signs has read it."""
    scene = {name: facts for name, facts in SCENE.items() if name != "n1"}
    assert any("DETACHED" in note for note in plan_of("n2", scene).notes)
    hands = hands_in(scene, "n2")
    carry_out(ACTION, hands, order_in(scene, "restart", "n2"))
    assert "detach" in hands.done
    assert "attach n1" not in hands.done
    assert hands.standing().upstream is None


def test_a_primary_that_could_not_start_again_is_not_stopped() -> None:
    """Without a majority that has promised nobody a higher term its start is unproven, and so nothing is ended."""
    alone = {"n1": SCENE["n1"]}
    assert Invariant.NO_HIGHER_GRANT in failed(alone, "n1")
    assert failed(SCENE, "n1") == []


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_files_with_which_it_would_not_come_back_end_nothing(node: str) -> None:
    """An error in a file, and what would weaken a proof, is found before PostgreSQL is down."""
    for files in (replace(FILES, faults=("a.conf line 3: syntax error",)), replace(FILES, drift=("fsync",))):
        assert failed(with_files(healthy(), files), node) == [Invariant.SETTINGS_LOADABLE]


def test_a_standby_that_would_start_no_more_is_not_stopped() -> None:
    """With less than its WAL asks for a standby does not start; a primary does, and nobody is held up by a reload."""
    scene = with_files(healthy(), replace(FILES, low=("max_connections is 50, and the WAL asks for 100",)))
    assert failed(scene, "n2") == [Invariant.SETTINGS_LOADABLE]
    assert failed(scene, "n1") == []
    reload = catalogue()["reload"]
    assert explain(CLUSTER, reload, request_for(reload, "n2", {}), snapshot_of(scene)).accepted


def test_what_it_takes_up_is_said() -> None:
    """A setting that waited for a start is named in the plan."""
    scene = with_files(healthy(), replace(FILES, pending=("max_connections",)))
    assert "Taken up by this restart: max_connections." in plan_of("n1", scene).notes


def test_the_outage_stands_in_the_plan() -> None:
    """A primary's plan says that there is no primary meanwhile, and what is afterwards."""
    said = " ".join(plan_of("n1").notes)
    assert "Writes meanwhile: no primary" in said
    assert "Writes meanwhile" not in " ".join(explain(
        CLUSTER, catalogue()["reload"], request_for(catalogue()["reload"], "n1", {}), snapshot_of(SCENE)
    ).notes)  # fmt: skip


def now(**changes: object) -> Facts:
    """Return n1's facts after the request, with parts of its PostgreSQL changed."""
    return with_instance(SCENE, "n1", **{"started": "yesterday", **changes})["n1"]


@pytest.mark.parametrize(
    ("after", "result"),
    [
        (now(), "not executed"),
        (now(stopping=True), "unknown"),
        (now(started="today"), "executed"),
        (now(started=None), "unknown"),
        (now(state=State.STOPPED, started=None), "executed"),
        (now(state=State.CRASHED, started=None), "executed"),
        (now(state=State.UNREACHABLE, started=None), "unknown"),
        (now(state=State.UNREADABLE, started=None), "unknown"),
    ],
)
def test_what_is_established(after: Facts, result: str) -> None:
    """The end of the PostgreSQL that ran is what counts; that no other runs is said aloud."""
    found = established(plan_of("n1"), now(), after, True)  # noqa: FBT003 - it has crossed.
    assert found.result == result
    down = after.instance is not None and after.instance.state in {State.STOPPED, State.CRASHED}
    assert ("DOES NOT RUN" in found.evidence) is down
    assert established(plan_of("n1"), now(), after, False).result == "not executed"  # noqa: FBT003 - it has not.
