"""Every procedure, walked once on one real cluster: what was foreseen of each line is what then comes.

A line that is foreseen is held against the plan that a request for it gets once the lines before it were executed, and
what writes are foreseen to be against what the nodes then say.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Plan, plan_in
from aerodb.protocol.procedure import Procedure, ProcedureStep
from aerodb.rules.writes import writes
from aerodb.views.observed import observe
from tests.faults.behind import instance_of
from tests.faults.conftest import Running, _end_postgres
from tests.faults.people import new_id
from tests.faults.waiting import wait_until

Asked = tuple[str, str, tuple[tuple[str, str], ...]]


def asked(step: ProcedureStep) -> Asked:
    """Return what a line asks for."""
    return step.action, step.target, tuple(step.arguments.items())


class Walk:
    """One order of one procedure, walked under a ticket of its own, with all that was ever foreseen of its lines."""

    def __init__(self, running: Running, name: str, nodes: Mapping[str, str], order: int) -> None:
        """Lay it out: it is the order of that number, of those that sign nothing ahead, for as long as it is walked."""
        self.running, self.ticket = running, f"{name} {new_id()}"
        self._path = f"/v1/procedures/{name}?{urlencode({**nodes, 'reason': self.ticket})}"
        orders = [each for each in self._looked().orders if not any("after" in step.arguments for step in each.steps)]
        self.first = orders[order].steps
        self.foreseen: dict[Asked, list[ProcedureStep]] = {}

    def _looked(self) -> Procedure:
        return canonical.decode(self.running.api.client.get(self._path), Procedure)

    def laid(self) -> tuple[ProcedureStep, ...]:
        """Return the order as it is judged now, and remember what is foreseen."""
        lines = [asked(step) for step in self.first]
        steps = next(each.steps for each in self._looked().orders if [asked(step) for step in each.steps] == lines)
        for step in steps:
            if step.state != "done":
                self.foreseen.setdefault(asked(step), []).append(step)
        return steps

    def walk(self) -> None:
        """Execute each line, and hold what was foreseen of it against what comes."""
        for number, line in enumerate(self.first):
            now = self.laid()[number]
            assert (now.state, now.accepted) == ("judged now", True), now
            plan = self._executed(line)
            for told in self.foreseen[asked(line)]:
                if told.state != "not judged yet":
                    self._holds_of_the_plan(told, plan)
                if told.writes is not None:
                    self._holds_of_the_writes(told)
        assert {step.state for step in self.laid()} == {"done"}

    def _executed(self, line: ProcedureStep) -> Plan:
        api = self.running.api
        planned = api.ask(line.action, line.target, reason=self.ticket, **line.arguments)
        done = api.confirm(planned)
        assert done.result == "executed", (line, done)
        return plan_in(planned.plan)

    def _holds_of_the_plan(self, told: ProcedureStep, plan: Plan) -> None:
        foretold = {each.invariant: each.result for each in told.verdicts}
        assert told.accepted, (told, plan.verdicts)
        assert foretold == {each.invariant: each.result for each in plan.verdicts}, (told, plan.verdicts)
        assert (told.loss and told.loss.claim) == plan.loss.claim, (told, plan.loss)

    def _holds_of_the_writes(self, told: ProcedureStep) -> None:
        def so() -> bool:
            seen = observe(self.running.cluster, self.running.api.status())
            found = writes(self.running.cluster, seen.facts)
            assert told.writes is not None
            return replace(found, details=()) == replace(told.writes, details=())

        try:
            wait_until(so)
        except AssertionError:
            pytest.fail(f"foreseen of {asked(told)}, and not so: {told.writes}")


def walked(running: Running, name: str, order: int = 0, **nodes: str) -> list[str]:
    """Walk an order of a procedure, and return its lines that were foreseen from the beginning, by their actions."""
    walk = Walk(running, name, nodes, order)
    walk.walk()
    return [step.action for step in walk.first if step.state == "foreseen"]


def streams(running: Running, primary: str) -> bool:
    """Tell whether every other node streams, from the primary or through others."""
    seen = {node: instance_of(running, node) for node in running.cluster.data_nodes}
    return all(each.receiver is not None for node, each in seen.items() if node != primary)


def lose(running: Running, primary: str) -> None:
    """Lose the primary's machine: agent and PostgreSQL are gone, and whoever streamed has noticed it."""
    running.stage.kill(primary)
    _end_postgres(running, primary)
    others = [node for node in running.cluster.data_nodes if node != primary]
    wait_until(lambda: all(instance_of(running, node).receiver is None for node in others))


def come_back(running: Running, node: str) -> None:
    """Start the agent of a node that was lost, and leave its PostgreSQL down."""
    running.stage.start_agent(node, leave_down=True)
    running.stage.wait_for(node)
    wait_until(lambda: reported(running, node))


def reported(running: Running, node: str) -> bool:
    """Tell whether a node says that its PostgreSQL is down."""
    try:
        return instance_of(running, node).state is not State.RUNNING
    except AeroError:
        return False


def test_every_line_comes_as_it_was_foreseen(fresh: Running) -> None:
    """Each procedure, and each order of those that have two; what is done beforehand is what makes one needed."""
    assert walked(fresh, "maintenance", node="n3") == ["start"]
    assert walked(fresh, "switchover", primary="n1", successor="n2") == ["demote", "promote", "follow"]
    wait_until(lambda: streams(fresh, "n2"))
    assert walked(fresh, "maintenance", node="n2") == ["start"]
    wait_until(lambda: streams(fresh, "n2"))
    fresh.api.do("fence", "n3", for_="n3")
    assert walked(fresh, "give-up-election") == ["renew", "follow"]
    wait_until(lambda: streams(fresh, "n2"))
    assert walked(fresh, "switchover", primary="n2", successor="n1") == ["demote", "promote", "follow"]
    wait_until(lambda: streams(fresh, "n1"))
    lose(fresh, "n1")
    assert walked(fresh, "failover", candidate="n2") == ["fence", "follow", "promote"]
    come_back(fresh, "n1")
    assert walked(fresh, "return", node="n1") == []
    wait_until(lambda: streams(fresh, "n2"))
    lose(fresh, "n2")
    assert walked(fresh, "failover", 1, candidate="n3") == ["fence", "promote", "follow"]
    come_back(fresh, "n2")
    assert walked(fresh, "return", 1, node="n2") == []
    wait_until(lambda: streams(fresh, "n3"))
