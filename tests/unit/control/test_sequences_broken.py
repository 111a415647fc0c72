"""A sequence of which a message is lost, or a node dies: people are told what the node has signed, or nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aerodb.protocol.api import Done
from aerodb.transport.errors import Interrupted, Refused
from tests.unit.control.test_sequences import DROPPED, before, decline, held, held_by, said
from tests.unit.kernel.test_holding_at_once import Meanwhile
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import act, confirm, events, outcome
from tests.unit.neighbours.turns import electing_n2
from tests.unit.neighbours.wire import Between, Killed


@pytest.fixture
def room(tmp_path: Path) -> MemoryCluster:
    """Return a cluster of three and a witness in memory, in which the witness has pledged to n2."""
    return electing_n2(tmp_path)


def loses(end: str) -> Between:
    """Return who lets everything pass but the answers to what is sent by one way."""

    def between(path: str, genuine: Callable[[], bytes]) -> bytes:
        answer = genuine()
        if path.endswith(end):
            raise Interrupted("the answer was lost", executed="unknown")
        return answer

    return between


@pytest.mark.parametrize("how", [outcome, decline])
def test_the_answer_in_its_turn_is_lost(room: MemoryCluster, how: Callable[..., object]) -> None:
    """It was executed: whoever asks, or declines it, is told so, and nothing runs again."""
    first, later = held(room)
    planned = before(room, later, first)
    room.between["n2"] = loses("/trigger")
    done = confirm(room, planned)
    assert isinstance(done.then, Done)
    assert (done.result, done.then.result, done.then.outcome) == ("executed", "unknown", None)
    room.between.clear()
    how(room, later)
    assert said(outcome(room, later)) == ("executed", "")
    assert events(room, later)[:5] == ["requested", "confirmed", "triggered", "outcome", "established"]
    assert room.servers["n2"].done.count("promote") == 1


def test_the_answer_of_the_hold_is_lost(room: MemoryCluster) -> None:
    """It is withdrawn at once, signed: nothing is held that nobody here knows to be."""
    room.between["n2"] = loses("/v1/holds")
    with pytest.raises(AssertionError):
        held(room)
    assert held_by(room) == ""


def test_what_was_begun_in_its_turn_is_not_declined(room: MemoryCluster) -> None:
    """Its agent died over it: a person is told to ask what became of it, and never that it was dropped."""

    def dies() -> None:
        raise Killed

    first, later = held(room)
    planned = before(room, later, first)
    room.servers["n2"].done = Meanwhile("promote", dies)
    done = confirm(room, planned)
    assert isinstance(done.then, Done)
    assert (done.result, done.then.result) == ("executed", "unknown")
    room.houses["n2"].again()
    with pytest.raises(Refused) as why:
        decline(room, later)
    assert (why.value.code, why.value.executed) == ("kernel.order-not-held", "unknown")
    assert outcome(room, later).result == "unknown"
    act(room, "stop", "n2")
    assert outcome(room, later).result == "not executed"
    assert said(outcome(room, later)) != DROPPED
