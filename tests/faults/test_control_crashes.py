"""Kill -9 of the control plane at every step of a request's life: its outcome is established, nothing runs twice."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aerodb.audit.note import stated_size
from aerodb.errors import AeroError
from aerodb.protocol.api import Done
from aerodb.protocol.facts import State
from tests.faults.behind import instance_of
from tests.faults.conftest import Running
from tests.faults.people import new_id, order_of
from tests.faults.waiting import wait_until

ROOT = Path(__file__).parents[2]
UNRECORDED, UNCONFIRMED = "input.request-unknown", "control.never-confirmed"
UNSENT, EXECUTED = "not executed", "executed"
CASES = [
    ("before report", 1, UNRECORDED),
    ("before report", 4, UNRECORDED),
    ("before append", 1, UNRECORDED),
    ("before read back", 1, UNCONFIRMED),
    ("after append", 1, UNCONFIRMED),
    ("before append", 2, UNCONFIRMED),
    ("before read back", 2, UNSENT),
    ("after append", 2, UNSENT),
    ("before report", 7, UNSENT),
    ("before run", 1, UNSENT),
    ("sent", 1, EXECUTED),
    ("after run", 1, EXECUTED),
    ("before append", 3, EXECUTED),
    ("before read back", 3, EXECUTED),
    ("after append", 3, EXECUTED),
]
"""Where it dies, at the how manieth time, and what is found out afterwards.

One life: six reports, the request's record, its confirmation's record, one report, the order, the outcome's record.
"""


@contextmanager
def dying_control(running: Running, point: str, number: int) -> Iterator[None]:
    """Hold a dying control plane in the place of the real one, which comes back afterwards."""
    running.stage.kill("control")
    folder = str(running.layout.control)
    dying = subprocess.Popen([sys.executable, "-m", "tests.faults.dying_control", folder, point, str(number)], cwd=ROOT)
    try:
        wait_until(lambda: dying.poll() is not None or _answers(running))
        yield
        assert dying.wait(60) == -9
    finally:
        dying.kill()
        dying.wait()
        running.stage.start_control()
        running.stage.wait_for("control")


def _answers(running: Running) -> bool:
    try:
        running.api.client.get("/v1/whoami")
    except AeroError:
        return False
    return True


def _ask_and_confirm(running: Running, request: str) -> None:
    """Ask and confirm; the connection breaks somewhere, and the operator is told that the outcome is unknown."""
    with pytest.raises(AeroError) as error:
        running.api.confirm(running.api.ask("stop", "n3", request))
    assert (error.value.code, error.value.executed) == ("transport.interrupted", "unknown")


def _established(running: Running, request: str) -> Done | str:
    """Return the outcome, or the code that says why there is none; an action that is under way is waited for."""
    found: list[Done | str] = []

    def asked() -> bool:
        try:
            found.append(running.api.outcome(request))
        except AeroError as error:
            if error.code == "kernel.busy":
                return False
            found.append(error.code)
        return True

    wait_until(asked)
    return found[0]


@pytest.mark.parametrize(("point", "number", "expected"), CASES)
def test_a_control_plane_killed_at_any_step(fresh: Running, point: str, number: int, expected: str) -> None:
    """The outcome is established; what is logged as confirmed is spent; nothing is executed later, or again."""
    request = new_id()
    with dying_control(fresh, point, number):
        _ask_and_confirm(fresh, request)
    found = _established(fresh, request)
    assert (found.result if isinstance(found, Done) else found) == expected
    state = instance_of(fresh, "n3").state
    assert state is (State.STOPPED if expected == EXECUTED else State.RUNNING)
    if expected == UNRECORDED:
        assert fresh.api.ask("stop", "n3", request).accepted  # Nobody has heard of it: its id is still free.
        return
    with pytest.raises(AeroError) as error:
        fresh.api.ask("stop", "n3", request)
    assert error.value.code == "control.request-known"
    if isinstance(found, Done):
        _nothing_runs_again(fresh, request, expected)
    else:
        assert fresh.impostor.facts("n3").entries == 0


def _nothing_runs_again(running: Running, request: str, expected: str) -> None:
    facts = running.impostor.facts("n3")
    assert facts.entries == 1
    with pytest.raises(AeroError) as error:
        running.impostor.run("n3", order_of(running.api, request, stated_size(facts.checkpoint)))
    assert (error.value.code, error.value.executed) == ("kernel.request-duplicate", expected)
    found = _established(running, request)
    assert isinstance(found, Done)
    assert found.result == expected
    assert running.api.events(request)[:2] == ["requested", "confirmed"]
    log = (running.home("n3") / "run" / "postgres.log").read_text(encoding="utf-8")
    assert log.count("received fast shutdown request") == (1 if expected == EXECUTED else 0)
