"""An agent that dies before each step that an action takes on PostgreSQL; another begins, and says what became of it.

The whole cluster is real but for PostgreSQL, which is in memory. The steps are those of a planned switchover.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Status
from aerodb.transport.errors import Refused
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE, act, ask, confirm, events, outcome
from tests.unit.neighbours.wire import Killed

STORY: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("checkpoint", "n1", {}),
    ("follow", "n3", {"upstream": "n2"}),
    ("fence", "w1", {"for": "n2"}),
    ("demote", "n1", {"for": "n2"}),
    ("promote", "n2", {}),
    ("follow", "n1", {"upstream": "n2"}),
    ("start", "n1", {}),
)
STEPS_MAX = 12
"""More than any action takes on PostgreSQL."""


class Dying(list[str]):
    """What was asked of PostgreSQL; who asks for the step of a number is killed before it has any effect."""

    def __init__(self, at: int) -> None:
        """Let so many steps be taken."""
        super().__init__()
        self._at, self.died = at, False

    def append(self, step: str, /) -> None:
        """Note a step, or kill who asks for it."""
        if len(self) == self._at and not self.died:
            self.died = True
            raise Killed
        super().append(step)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster as it was founded."""
    made = MemoryCluster(tmp_path, PEOPLE)
    yield made
    made.close()


def becomes(room: MemoryCluster, action: str, target: str, arguments: dict[str, str], at: int) -> str:
    """Have a target's agent die before a step; return what became of the request, as the next agent has it."""
    steps = Dying(at)
    if target in room.servers:
        room.servers[target].done = steps
    planned = ask(room, Ask(action=action, target=target, arguments=arguments, reason="a test"))
    assert planned.accepted, (action, at, planned.plan)
    done = confirm(room, planned)
    if not steps.died:
        assert done.result == "executed", (action, at, done.message)
        return "executed"
    assert (done.result, done.outcome) == ("unknown", None), (action, at)
    taken = list(steps)
    room.houses[target].again()
    with pytest.raises(Refused) as refused:
        confirm(room, planned)
    assert refused.value.code == "control.confirmation-replayed"
    if outcome(room, planned).result == "unknown" and action == "promote":
        # It may still leave recovery: the way out, which the outcome names, is to stop the node.
        act(room, "stop", target)
        taken = list(steps)
    first, again = outcome(room, planned), outcome(room, planned)
    assert (first.result, first.outcome) == (again.result, again.outcome), (action, at)
    assert first.outcome is not None
    row = ["write term 2"] if action == "promote" and first.result == "executed" else []
    assert list(steps) in (taken, taken + row), (action, at)  # It never rolls forward: but the row names the term.
    if room.servers[target].gone and action == "promote":
        act(room, "start", target)
    assert events(room, planned)[:3] == ["requested", "confirmed", "outcome"]
    found = room.plane._parts.reader.judged(planned.request)
    assert all(each.state in ("holds", "noted") for each in found), (action, at)
    return first.result


def test_an_agent_may_die_before_any_step_and_the_switchover_is_finished(room: MemoryCluster) -> None:
    """What is said not to be executed can be asked for anew, and is; what is said to be executed has its effect.

    Nothing is done by the agent that comes after, but what it is asked for. So in the end all is as without a death.
    """
    deaths = 0
    for action, target, arguments in STORY:
        for at in range(STEPS_MAX):
            result = becomes(room, action, target, arguments, at)
            # Whether a start that failed had accepted connections in between, nobody can tell; it can be asked anew.
            assert result in {"executed", "not executed", "unknown" if action == "start" else ""}, (action, at)
            deaths += at
            if result == "executed":
                break
        else:
            pytest.fail(f"{action} on {target} takes more steps than thought")
    assert deaths > len(STORY)
    status = canonical.decode(room.caller("alice").get("/v1/status"), Status)
    assert (status.writes.acknowledged, status.writes.node, status.writes.term) == ("yes", "n2", 2)
    assert [each.node for each in room.servers["n2"].instance.senders] == ["n3", "n1"]
