"""What a checkpoint that was cut off is said to be: only what the control file and the checkpointer show."""

from typing import Literal

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.actions.checkpoint import established
from aerodb.protocol import canonical
from aerodb.protocol.facts import UNDER_WAY, Facts, Instance, State, Unfinished, structural
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Plan
from aerodb.rules.explain import explain
from tests.unit.rules.scenes import CLUSTER, healthy, possible, snapshot_of

SCENE = healthy()
CROSSED = (True,)
"""Whether the operation came to the first step by which its effect can happen."""


def plan_of() -> Plan:
    """Return a plan of the action."""
    action = catalogue()["checkpoint"]
    return explain(CLUSTER, action, next(possible(action)), snapshot_of(SCENE))


def changed(
    node: str, checkpoint: int, *, under_way: int = 0, lingering: int = 0, state: State = State.RUNNING
) -> Instance:
    """Return a node's PostgreSQL after the request: its log had ended at 5000, its last checkpoint began at 1000."""
    instance = SCENE[node].instance
    assert instance is not None
    assert instance.load is not None
    load = replace(instance.load, checkpoints=under_way, lingering=lingering) if state is State.RUNNING else None
    return replace(instance, checkpoint=Lsn(checkpoint), load=load, state=state)


@pytest.mark.parametrize(
    ("node", "now", "result"),
    [
        ("n1", changed("n1", 5000), "executed"),
        ("n1", changed("n1", 1000), "not executed"),
        ("n1", changed("n1", 4999), "not executed"),  # It had begun before the request did.
        ("n1", changed("n1", 1000, under_way=1), "unknown"),
        ("n1", changed("n1", 1000, lingering=1), "unknown"),  # It may not have begun yet.
        ("n1", changed("n1", 1000, state=State.UNREACHABLE), "unknown"),
        ("n1", changed("n1", 1000, state=State.CRASHED), "not executed"),
        ("n2", changed("n2", 1001), "executed"),
        ("n2", changed("n2", 1000), "not executed"),
        ("n2", changed("n2", 1000, under_way=2), "unknown"),
    ],
)
def test_what_is_established(node: str, now: Instance, result: Literal["executed", "not executed", "unknown"]) -> None:
    """A newer checkpoint is executed, one under way unknown, none not executed; unknown passes by itself."""
    found = established(plan_of(), SCENE[node], replace(SCENE[node], instance=now), *CROSSED)
    assert found.result == result


def test_a_running_nodes_checkpoint_is_not_structural() -> None:
    """PostgreSQL checkpoints by itself, so two reads of a working node may differ in it; those of a stopped may not."""
    moved = {state: changed("n1", 2000, state=state) for state in (State.RUNNING, State.STOPPED)}
    for state, same in ((State.RUNNING, True), (State.STOPPED, False)):
        first = replace(SCENE["n1"], instance=changed("n1", 1000, state=state))
        second = replace(SCENE["n1"], instance=moved[state])
        assert (canonical.encode(structural(first)) == canonical.encode(structural(second))) is same


def test_how_far_an_operation_is_is_not_structural() -> None:
    """While a node works at a request, plans elsewhere are made all the same; another request is another state."""

    def at(request: str, evidence: str) -> Facts:
        unfinished = Unfinished(request=request, action="reclone", result="unknown", evidence=evidence)
        return structural(replace(SCENE["n1"], unfinished=unfinished))

    assert at("a", f"{UNDER_WAY}1 MB") == at("a", f"{UNDER_WAY}2 MB")
    assert at("a", f"{UNDER_WAY}1 MB") != at("b", f"{UNDER_WAY}1 MB")
    assert at("a", f"{UNDER_WAY}1 MB") != at("a", "it is stopped")
    assert at("a", "it runs") != at("a", "it is stopped")
