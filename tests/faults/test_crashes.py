"""Kill -9 at every step of every action: what became of it is established, and nothing runs twice."""

from collections.abc import Callable, Mapping

import pytest

from aerodb.actions import catalogue
from aerodb.errors import AeroError
from aerodb.local.demo import kill_postgres
from aerodb.protocol.facts import State
from tests.faults.behind import facts_of
from tests.faults.conftest import Running
from tests.faults.dying import dying_agent
from tests.faults.people import new_id, order_of
from tests.faults.restoring import restored_log
from tests.faults.waiting import wait_until
from tests.unit.rules.scenes import enrolling

Setup = Callable[[Running], Mapping[str, str] | None]


def _nothing(running: Running) -> None:
    del running


def _pledged(running: Running) -> None:
    running.api.do("demote", "n1", for_="n2")


def _fenced_for_n1(running: Running) -> None:
    running.api.do("fence", "n3", for_="n1")


def _promoted(running: Running) -> None:
    _pledged(running)
    running.api.do("promote", "n2")


def _stopped(running: Running) -> None:
    running.api.do("stop", "n3")


def _log_restored(running: Running) -> Mapping[str, str]:
    """Put an older log back than n3 has seen; return what n3 would give up."""
    running.api.do("stop", "n3")
    return restored_log(running, lambda: running.api.do("start", "n3")).named("n3")


def _enrolling(running: Running) -> Mapping[str, str]:
    """Return the step that enrols somebody into the configuration as it is."""
    return {"change": enrolling(running.layout.cluster())}


CASES: list[tuple[str, str, dict[str, str], Setup, list[str]]] = [
    ("accept-log", "n3", {}, _log_restored, ["not executed", "executed"]),
    ("checkpoint", "n1", {}, _nothing, ["not executed", "executed"]),
    ("checkpoint", "n3", {}, _nothing, ["not executed", "executed"]),
    ("reload", "n1", {}, _nothing, ["not executed", "executed"]),
    ("reload", "n3", {}, _nothing, ["not executed", "executed"]),
    ("restart", "n1", {}, _nothing, ["not executed", "not executed", *["executed"] * 3]),
    ("restart", "n3", {}, _nothing, ["not executed", *["executed"] * 4]),
    ("configure", "n1", {}, _enrolling, ["not executed", "executed"]),
    ("fence", "n2", {"for_": "n2"}, _nothing, ["not executed", "not executed", "executed"]),
    ("demote", "n1", {"for_": "n2"}, _nothing, ["not executed", "not executed", "executed", "executed"]),
    ("promote", "n2", {}, _pledged, ["not executed", "not executed", "unknown", "executed", "executed", "executed"]),
    ("renew", "n1", {}, _fenced_for_n1, ["not executed", "not executed", "executed", "executed"]),
    ("follow", "n1", {"upstream": "n2"}, _promoted, [*["not executed"] * 3, *["executed"] * 3]),
    ("follow", "n3", {"upstream": "n2"}, _nothing, ["not executed", "not executed", "executed", "executed"]),
    ("start", "n3", {}, _stopped, ["not executed", "over", "executed", "executed"]),
    ("stop", "n1", {}, _nothing, ["not executed", "not executed", "executed", "executed"]),
    (
        "reclone",
        "n3",
        {"upstream": "n1"},
        _nothing,
        [*["not executed"] * 5, *["executed"] * 4],
    ),
]
"""Each action, and what was executed if the agent dies right after the first, second, ... thing that it did.

To cross is such a thing: a promotion that has crossed may be under way; nobody can tell until PostgreSQL is stopped.
"over" is an unknown outcome that is the last one: a server that is down may have run in between.
"""


def test_every_action_is_killed() -> None:
    """The table above misses no action of the catalogue."""
    assert {case[0] for case in CASES} == set(catalogue())


@pytest.mark.parametrize(
    ("action", "target", "arguments", "setup", "step", "expected"),
    [
        pytest.param(action, target, arguments, setup, step, expected, id=f"{action}-{target}-{step}")
        for action, target, arguments, setup, results in CASES
        for step, expected in enumerate(results, start=1)
    ],
)
def test_an_agent_killed_at_any_step(
    fresh: Running, action: str, target: str, arguments: dict[str, str], setup: Setup, step: int, expected: str
) -> None:
    """The outcome is unknown at first, then established; the id is spent; a new request finishes what was begun."""
    arguments = {**arguments, **(setup(fresh) or {})}
    planned = fresh.api.ask(action, target, **arguments)
    assert planned.accepted, planned.plan
    done = _confirm_with_dying_agent(fresh, planned.request, target, step)
    assert (done, fresh.api.events(planned.request)) == ("unknown", ["requested", "confirmed", "outcome"])
    established = fresh.api.outcome(planned.request)
    result = "unknown" if expected == "over" else expected
    assert established.result == result, established
    assert fresh.api.events(planned.request)[-1] == "established"
    assert fresh.api.outcome(planned.request).result == result
    assert (facts_of(fresh, target).unfinished is None) == (expected != "unknown")
    if expected == "unknown":
        fresh.api.do("stop", target)
        assert fresh.api.outcome(planned.request).result == "not executed"
        fresh.api.do("start", target)
        expected = "not executed"
    seen = fresh.impostor.seen(target)
    with pytest.raises(AeroError) as error:
        fresh.impostor.run(target, order_of(fresh.api, planned.request, seen))
    said = "unknown" if expected == "over" else expected
    assert (error.value.code, error.value.executed) == ("kernel.request-duplicate", said)
    if expected in {"not executed", "over"}:
        _start_if_down(fresh, action, target)
        fresh.api.do(action, target, **arguments)


def _start_if_down(running: Running, action: str, target: str) -> None:
    instance = running.impostor.facts(target).instance
    assert instance is not None
    if action == "reclone" and instance.state is not State.RUNNING:
        running.api.do("start", target)


def _confirm_with_dying_agent(running: Running, request: str, target: str, step: int) -> str:
    """Confirm while the target's agent is one that dies; return what the operator was told."""
    planned = running.api.decision(request).plan
    assert planned is not None
    with dying_agent(running, target, step):
        from aerodb.protocol.api import Planned
        from aerodb.protocol.plan import plan_digest

        done = running.api.confirm(Planned(request=request, accepted=True, plan=planned, digest=plan_digest(planned)))
    return done.result


def test_the_control_plane_killed_before_the_outcome(fresh: Running) -> None:
    """With the confirmation logged and the outcome not, an operator asks, and the agent's answer is recorded."""
    planned = fresh.api.ask("stop", "n3")
    fresh.stage.kill("n3")
    fresh.api.confirm(planned)
    fresh.stage.start_agent("n3", leave_down=True)
    fresh.stage.wait_for("n3")
    fresh.stage.kill("control")
    fresh.stage.start_control()
    fresh.stage.wait_for("control")
    found = fresh.api.outcome(planned.request)
    assert (found.result, found.code) == ("not executed", "kernel.request-unknown")
    seen = fresh.impostor.seen("n3")
    with pytest.raises(AeroError) as error:  # It now never will.
        fresh.impostor.run("n3", order_of(fresh.api, planned.request, seen))
    assert error.value.code == "kernel.request-duplicate"


def test_plans_die_with_the_control_plane(fresh: Running) -> None:
    """A confirmation after a restart finds no plan that awaits it; it is refused, recorded, and nothing is executed."""
    planned = fresh.api.ask("stop", "n3")
    fresh.stage.kill("control")
    fresh.stage.start_control()
    fresh.stage.wait_for("control")
    with pytest.raises(AeroError) as error:
        fresh.api.confirm(planned)
    assert (error.value.code, error.value.executed) == ("control.plan-not-pending", "not executed")
    wait_until(lambda: "lapsed" in fresh.api.events(planned.request))  # Once the nodes were asked what they have seen.
    found = sorted(zip(fresh.api.events(planned.request), fresh.api.codes(planned.request), strict=True))
    assert found == [("lapsed", ""), ("refused", "control.plan-not-pending"), ("requested", "")]


def test_a_confirmation_counts_once(fresh: Running) -> None:
    """Sent again, the same confirmation is refused, and names the first outcome."""
    planned = fresh.api.ask("stop", "n3")
    assert fresh.api.confirm(planned).result == "executed"
    with pytest.raises(AeroError) as error:
        fresh.api.confirm(planned)
    assert error.value.code == "control.confirmation-replayed"
    assert "executed" in error.value.message
    assert fresh.impostor.facts("n3").entries == 1


def test_a_state_that_changed_since_the_plan(fresh: Running) -> None:
    """The agent judges again: what held when the plan was made, and does not now, is named, and nothing is executed."""
    planned, other = fresh.api.ask("demote", "n1", for_="n2"), fresh.api.ask("stop", "n2")
    assert fresh.api.confirm(other).result == "executed"
    done = fresh.api.confirm(planned)
    assert (done.result, done.code) == ("not executed", "kernel.verdicts-differ")
    assert "successor-streams" in done.message
    instance = fresh.impostor.facts("n1").instance
    assert instance is not None
    assert instance.state is State.RUNNING


def test_without_the_control_plane_the_cluster_works_on(fresh: Running) -> None:
    """Control plane and agents killed: PostgreSQL goes on; a killed primary, started on request, has lost nothing."""
    from aerodb.local.writer import Writer

    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(20)
    fresh.stage.kill("control")
    for name in ("n1", "n2", "n3"):
        fresh.stage.kill(name)
    assert writer.wait_for_more(20)
    kill_postgres(fresh.layout, "n1")
    for name in ("n1", "n2", "n3"):
        fresh.stage.start_agent(name, leave_down=True)
    fresh.stage.start_control()
    for name in ("n1", "n2", "n3", "control"):
        fresh.stage.wait_for(name)
    fresh.api.do("start", "n1")
    assert writer.wait_for_more(20)
    writer.stop()
    assert writer.lost() == []


def test_nothing_is_asked_for_twice(fresh: Running) -> None:
    """Asking for what was never confirmed, or never asked, says so."""
    planned = fresh.api.ask("stop", "n3")
    for request, code in ((planned.request, "control.never-confirmed"), (new_id(), "input.request-unknown")):
        with pytest.raises(AeroError) as error:
            fresh.api.outcome(request)
        assert (error.value.code, error.value.executed) == (code, "not executed")
