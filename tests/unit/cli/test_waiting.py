"""Who waits for an outcome sees what the node does meanwhile; nothing hangs on it, and nothing is changed by it."""

import threading
from pathlib import Path

from aerodb.cli.session import Session
from aerodb.cli.terminal import Terminal
from aerodb.cli.waiting import telling
from aerodb.protocol import canonical
from aerodb.protocol.api import Planned
from aerodb.protocol.plan import Plan
from aerodb.transport.errors import Unreachable
from tests.faults.waiting import wait_until
from tests.unit.cli.stage import Screen, Stage, stage_in
from tests.unit.neighbours.life import ask, confirm

STATUS = "GET /v1/status"
STEP = "the agent waits for PostgreSQL to shut down: still the receiver n2"


class _Held:
    """The stop of n3, held in its midst until it is let go; `screens` are the waiting person's."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.let, self.reached = stage, threading.Event(), threading.Event()
        self.planned: Planned = ask(stage.room)
        self.plan = canonical.decode(self.planned.plan.encode(), Plan)
        self.screens = Screen(), Screen(), Screen()
        self.session = Session(terminal=Terminal(*self.screens), connect=stage._connect, folder=stage.profile)
        stage.room.servers["n3"].meanwhile = self._hold
        self.working = threading.Thread(target=lambda: confirm(stage.room, self.planned))
        self.working.start()
        wait_until(self.reached.is_set)

    def _hold(self) -> None:
        self.reached.set()
        assert self.let.wait(60)

    def go_on(self) -> None:
        """Let the stop end."""
        self.let.set()
        self.working.join()


def test_what_the_node_does_is_shown_while_it_is_waited_for(tmp_path: Path) -> None:
    """Its step, with what that waits for; taken away when the wait ends, after which nothing is asked or shown."""
    with stage_in(tmp_path) as stage:
        held = _Held(stage)
        size, err = stage.log.size, held.screens[2]
        with telling(held.session, held.session.profile(), held.plan.request, 0.001):
            wait_until(lambda: STEP in err.getvalue())
            assert stage.log.size == size
        shown = err.getvalue()
        assert shown.endswith("\r\x1b[K")
        held.go_on()
        assert err.getvalue() == shown


def test_a_look_that_fails_disturbs_nobody(tmp_path: Path) -> None:
    """Where the control plane does not answer a look the wait goes on, and nothing is shown."""
    with stage_in(tmp_path) as stage:
        stage.fail[STATUS] = Unreachable("away")
        held = _Held(stage)
        with telling(held.session, held.session.profile(), held.plan.request, 0.001):
            wait_until(lambda: sum(path == "/v1/status" for _, path, _ in stage.sent) > 2)
        held.go_on()
        assert held.screens[2].getvalue() == ""


def test_where_nobody_watches_nobody_asks(tmp_path: Path) -> None:
    """Without a terminal no node is looked at beside the call that is waited for."""
    with stage_in(tmp_path) as stage:
        held = _Held(stage)
        held.screens[2].terminal = False
        with telling(held.session, held.session.profile(), held.plan.request, 0.001):
            held.go_on()
        assert stage.sent == []


def test_a_status_calls_it_under_way(tmp_path: Path) -> None:
    """While it is, and only then, it is no action without an outcome: whoever asks in any way is told its step."""
    with stage_in(tmp_path) as stage:
        held = _Held(stage)
        during = stage.run("status").plain
        shown = stage.run("show", held.planned.request).plain
        asked = stage.run("outcome", held.planned.request)
        held.go_on()
        assert f"UNDER WAY on n3: {STEP}" in shown
        assert (asked.code, STEP.partition(":")[0] in asked.err) == (3, True)
        assert f"n3 has stop under way: {STEP}" in " ".join(during.split())
        assert "without an outcome" not in during
        assert "under way" not in stage.run("status").plain


def test_what_nobody_works_at_has_no_outcome(tmp_path: Path) -> None:
    """A stop that nobody can tell the end of is called an action without an outcome, with the command that asks."""
    with stage_in(tmp_path) as stage:
        stage.fails_with("unknown")
        planned = ask(stage.room)
        confirm(stage.room, planned)
        said = stage.run("status").plain
        assert f"aerodb outcome {planned.request}" in said
        assert f"n3 has an action without an outcome: aerodb outcome {planned.request}" in " ".join(said.split())
        assert "under way" not in said
