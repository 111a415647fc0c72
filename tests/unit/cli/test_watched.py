"""The commands of a cluster that is only watched: each action is shown rejected, and nothing is claimed of a node."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.actions import catalogue
from aerodb.audit.record import read_record
from aerodb.cli.failures import REJECTED
from aerodb.rules.specification import Action
from tests.unit.cli.stage import Stage, stage_in
from tests.unit.neighbours.others import OthersCluster
from tests.unit.rules.scenes import possible


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield a control plane in front of a cluster that others made."""
    with stage_in(tmp_path, "bob", made=OthersCluster) as made:
        yield made


def words_of(stage: Stage, action: Action) -> list[str]:
    """Return what a person types to ask for an action."""
    if action.name == "configure":
        return ["configure", "n1", "--revoke", "bob"]
    request, words = next(possible(action, stage.cluster)), list[str]()
    for argument in action.needed:
        words += [argument.option, request.arguments[argument.name]]
    return [action.name, request.target, *words]


@pytest.mark.parametrize("action", catalogue().values(), ids=lambda action: action.name)
def test_every_action_is_shown_rejected(stage: Stage, action: Action) -> None:
    """With the invariant and why; a record says that it was asked for."""
    shown = stage.run(*words_of(stage, action), "--reason", "a test")
    assert shown.code == REJECTED, shown.plain + shown.err
    assert "in-charge" in shown.plain
    assert "is only watched: its agent has no hands" in shown.plain
    (record,) = [read_record(data) for _, data in stage.log.records() if read_record(data).action]
    assert (record.event, record.action, record.invariants[0]) == ("rejected", action.name, "in-charge")
