"""The role that an action itself demands is demanded of who asks and of who confirms; it is not only displayed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.actions import catalogue
from aerodb.audit.record import decode_record
from aerodb.audit.store import Log
from aerodb.control import explain
from aerodb.control.agents import Agents
from aerodb.control.comparison import Comparisons
from aerodb.control.cosigning import LogWitnesses
from aerodb.control.dispatch import Dispatcher
from aerodb.control.explain import Explainer
from aerodb.control.gaps import Gaps
from aerodb.control.meters import Meters
from aerodb.control.record import Recorder
from aerodb.control.roles import require_authority
from aerodb.control.sequences import Sequences
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask
from aerodb.protocol.cluster import Operator, Role
from aerodb.rules.specification import Action
from aerodb.transport.errors import CallerRefused
from tests.unit.protocol.authenticator import cluster

REQUEST = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """Return a new log."""
    log = Log.create(tmp_path / "log", "aerodb.log/cluster-1", Ed25519PrivateKey.generate())
    yield log
    log.close()


class Unasked(Agents):
    """Agents that must not be asked."""

    def __init__(self) -> None:
        """Know nobody."""


@pytest.mark.parametrize("authority", [Role.AUDITOR, Role.OBSERVER])
def test_an_action_of_another_role_is_refused_before_anything_is_looked_at(
    log: Log, monkeypatch: pytest.MonkeyPatch, authority: Role
) -> None:
    """Where an action's specification demands another role, an operator may not ask for it, and that is recorded."""

    def demanding(name: str) -> Action:
        return replace(catalogue()[name], authority=authority)

    monkeypatch.setattr(explain, "action_named", demanding)
    meters = Meters(log)
    recorder = Recorder(log, canonical.encode(cluster()), meters)
    comparisons = Comparisons(cluster(), log, meters)
    agents, gaps = Unasked(), Gaps(cluster(), Unasked(), log, comparisons)
    dispatcher = Dispatcher(cluster(), agents, recorder, comparisons, LogWitnesses(cluster(), log, {}))
    sequences = Sequences(cluster(), agents, recorder, dispatcher, comparisons)
    explainer = Explainer(cluster(), agents, recorder, comparisons, gaps, sequences)
    person = Operator(name="ana", role=Role.OPERATOR)
    with pytest.raises(CallerRefused, match=f"stop is for the {authority} alone"):
        explainer.ask(person, REQUEST, Ask(action="stop", target="n1", arguments={}, reason="a test"))
    (left,) = [decode_record(data) for _, data in log.records()]
    assert (left.event, left.code) == ("refused", "control.role-denied")


def test_each_role_has_its_own_authority() -> None:
    """One role's authority is no other's."""
    for role in Role:
        for authority in Role:
            person = Operator(name="x", role=role)
            if role is authority:
                require_authority(person, "stop", authority)
            else:
                with pytest.raises(CallerRefused):
                    require_authority(person, "stop", authority)
