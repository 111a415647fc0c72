"""What reload may take up, and what is said of one that was cut off: only what PostgreSQL says of its own files."""

import msgspec
import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.actions.reload import established, judge
from aerodb.protocol.facts import Instance, SettingsFiles, State, structural
from aerodb.protocol.plan import Plan, Result
from aerodb.rules.explain import explain
from aerodb.rules.invariants import Invariant
from aerodb.rules.operation import carry_out
from tests.unit.rules.doing import LATER, hands_in, order_in
from tests.unit.rules.scenes import (
    CLUSTER,
    FILES,
    Scene,
    healthy,
    request_for,
    snapshot_of,
    view_for,
    with_files,
    with_instance,
)

SCENE = with_files(healthy())
ACTION = catalogue()["reload"]

CROSSED, NOT_CROSSED = (True,), (False,)
"""Whether the operation came to the first step by which its effect can happen."""


def verdict_in(scene: Scene, node: str) -> tuple[Result, str]:
    """Return how the files of a node are judged, and why."""
    found = {each.invariant: each for each in judge(view_for(request_for(ACTION, node, {}), scene))}
    return found[Invariant.SETTINGS_LOADABLE].result, found[Invariant.SETTINGS_LOADABLE].evidence


def plan_of(node: str = "n1") -> Plan:
    """Return a plan of the action."""
    return explain(CLUSTER, ACTION, request_for(ACTION, node, {}), snapshot_of(SCENE))


def test_it_crosses_and_then_reloads_once() -> None:
    """The signal is sent once, after the journal holds that it may have been; the standing stays as it is."""
    hands = hands_in(SCENE, "n1")
    (said,) = carry_out(ACTION, hands, order_in(SCENE, "reload", "n1"))
    assert hands.done == ["cross", "reload"]
    assert LATER in said
    assert hands.standing() == SCENE["n1"].standing


@pytest.mark.parametrize("node", ["n1", "n2"])
@pytest.mark.parametrize(
    ("changes", "result", "said"),
    [
        ({}, Result.HOLDS, "no error"),
        ({"files": msgspec.UNSET}, Result.UNKNOWN, "cannot be read"),
        ({"damage": ("settings: gone",)}, Result.UNKNOWN, "cannot be read"),
        ({"files": replace(FILES, faults=("a.conf line 3: syntax error",))}, Result.VIOLATED, "a.conf line 3"),
        ({"files": replace(FILES, drift=("synchronous_standby_names",))}, Result.VIOLATED, "synchronous_standby_names"),
        ({"drift": ("primary_conninfo",)}, Result.VIOLATED, "from whom it receives"),
        (
            {"drift": ("synchronous_standby_names",)},
            Result.HOLDS,
            "no error",
        ),  # In force alone: the cure.
        ({"drift": ("restore_command",)}, Result.HOLDS, "no error"),
        ({"files": replace(FILES, pending=("max_connections",))}, Result.HOLDS, "no error"),
    ],
)
def test_what_may_be_taken_up(node: str, changes: dict[str, object], result: Result, said: str) -> None:
    """A reload weakens nothing that proofs rest on and begins no streaming; it may mend what is in force."""
    judged = verdict_in(with_instance(SCENE, node, **changes), node)
    assert judged[0] is result
    assert said in judged[1]


def test_what_waits_for_a_start_is_said() -> None:
    """A setting that only a start takes up is named in the plan, so that nobody takes it for in force."""
    scene = with_files(healthy(), replace(FILES, pending=("max_connections", "shared_buffers")))
    plan = explain(CLUSTER, ACTION, request_for(ACTION, "n1", {}), snapshot_of(scene))
    assert any("max_connections, shared_buffers" in note for note in plan.notes)


def now(*, loaded: str = FILES.loaded, state: State = State.RUNNING, told: bool = True) -> Instance:
    """Return n1's PostgreSQL after the request."""
    instance = SCENE["n1"].instance
    assert instance is not None
    return replace(instance, state=state, files=replace(FILES, loaded=loaded) if told else msgspec.UNSET)


@pytest.mark.parametrize(
    ("after", "result", "final"),
    [
        (now(loaded=LATER), "executed", False),
        (now(), "not executed", False),
        (now(loaded="2030-01-31T12:29:59.000000Z"), "unknown", True),
        (now(told=False), "unknown", True),
        (now(state=State.UNREACHABLE, told=False), "unknown", False),
        (now(state=State.STOPPED, told=False), "unknown", True),
        (now(state=State.CRASHED, told=False), "unknown", True),
    ],
)
def test_what_is_established(after: Instance, result: str, *, final: bool) -> None:
    """Only a later time of reading is executed; a silent server may still take the signal up; down, nothing is said."""
    found = established(plan_of(), SCENE["n1"], replace(SCENE["n1"], instance=after), *CROSSED)
    assert (found.result, found.final) == (result, final)
    assert (
        established(plan_of(), SCENE["n1"], replace(SCENE["n1"], instance=after), *NOT_CROSSED).result == "not executed"
    )


def test_a_reload_by_hand_is_no_other_state() -> None:
    """Two looks between which somebody reloaded are one state, as far as the files hold the same."""
    again, other = with_files(healthy(), replace(FILES, loaded=LATER)), replace(FILES, drift=("fsync",))
    assert structural(SCENE["n1"]) == structural(again["n1"])
    assert structural(SCENE["n1"]) != structural(with_files(healthy(), other)["n1"])
    assert isinstance(FILES, SettingsFiles)
