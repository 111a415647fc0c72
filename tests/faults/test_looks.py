"""A PostgreSQL that hangs, and very many who look at it: the agent answers whatever it can all the same."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from aerodb.errors import AeroError
from aerodb.past.speaking import SPOKEN, stated
from aerodb.protocol import canonical
from aerodb.protocol.events import EventPage
from aerodb.protocol.facts import Report, State
from aerodb.protocol.plan import Plan
from aerodb.protocol.signed import Signed
from aerodb.transport.client import Client
from aerodb.transport.errors import Refused
from aerodb.transport.tls import tls_in
from tests.faults.conftest import Running
from tests.faults.holding import held
from tests.faults.people import UNCONFIRMED, new_id
from tests.faults.waiting import SECONDS_MAX, wait_until

LOOKERS = 120
"""Three times as many as the agent has worker threads."""


def agent(running: Running, node: str) -> Client:
    """Return the control plane's way to an agent."""
    return Client(running.cluster.member(node).agent, tls_in(running.layout.control), node, 60)


def state_of(body: bytes) -> State:
    """Return the state of PostgreSQL in a signed report."""
    document = canonical.decode(body, Signed).document
    instance = canonical.decode(document.encode(), Report).facts.instance
    assert instance is not None
    return instance.state


class Lookers:
    """Callers who look again and again, and count what they are told."""

    def __init__(self, running: Running, node: str) -> None:
        """Begin with none."""
        self._running, self._node = running, node
        self.ended = threading.Event()
        self.told: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Let them end afterwards, whatever happens."""
        try:
            yield
        finally:
            self.ended.set()

    def look(self, path: str) -> None:
        """Look until it is enough."""
        while not self.ended.is_set():
            try:
                agent(self._running, self._node).get(path.format(nonce=new_id()))
                said = "ok"
            except AeroError as error:
                said = error.code if isinstance(error, Refused) else f"{error.code}: {error.message}"
            with self._lock:
                self.told[path, said] += 1


REPORT = f"/v1/report?nonce={{nonce}}&rules={stated(SPOKEN)}"
PATHS = (REPORT, "/primary", "/standby", "/metrics")


def answered(ask: Callable[[], bytes]) -> bytes:
    """Return an answer; a service that turns callers away is asked again."""
    answers: list[bytes] = []

    def tried() -> bool:
        with suppress(AeroError):
            answers.append(ask())
        return bool(answers)

    wait_until(tried)
    return answers[0]


def refusal(running: Running, node: str) -> str:
    """Return the code by which the outcome of what nobody confirmed is refused."""
    with pytest.raises(AeroError) as error:
        agent(running, node).post(f"/v1/outcomes/{new_id()}", UNCONFIRMED)
    return error.value.code


def test_many_who_look_at_a_postgres_that_hangs_hold_up_nothing_else(fresh: Running) -> None:
    """Events, outcomes and refusals are answered; reports say that PostgreSQL is silent; then all is as before."""
    lookers = Lookers(fresh, "n2")
    with ThreadPoolExecutor(LOOKERS) as pool, lookers.looking(), held(fresh, "n2"):
        for at in range(LOOKERS):
            pool.submit(lookers.look, PATHS[at % len(PATHS)])
        wait_until(lambda: lookers.told[REPORT, "ok"] > 0)
        canonical.decode(answered(lambda: agent(fresh, "n2").get("/v1/events")), EventPage)
        wait_until(lambda: refusal(fresh, "n2") == "kernel.confirmation-missing")
        none = "transport.answer-malformed: HTTP 503: none: "
        told = ("/primary", f"{none}it stands as a standby\n"), ("/standby", f"{none}PostgreSQL does not answer\n")
        wait_until(lambda: all(lookers.told[each] > 0 for each in told))
        assert lookers.told["/standby", "ok"] == 0
    assert fresh.impostor.facts("n2").node == "n2"
    assert agent(fresh, "n2").get("/standby") == b"standby\n"
    fresh.api.do("checkpoint", "n2")


def test_a_crowd_is_no_failure_of_the_node(fresh: Running) -> None:
    """However many call, a load balancer is told what is; whoever wants more is told to come again, never by 503."""
    lookers = Lookers(fresh, "n1")
    wait_until(lambda: answered(lambda: agent(fresh, "n1").get("/primary")) == b"primary\n")
    with ThreadPoolExecutor(LOOKERS) as pool, lookers.looking():
        for at in range(LOOKERS):
            pool.submit(lookers.look, ("/primary", REPORT)[at % 2])
        wait_until(lambda: lookers.told["/primary", "ok"] > 5 * LOOKERS)
    said = {code for path, code in lookers.told if path == "/primary"}
    assert said == {"ok"}
    assert {code for path, code in lookers.told if path == REPORT} <= {
        "ok",
        "kernel.looks-too-many",
        "transport.calls-too-many",
    }


def states(running: Running) -> dict[str, State]:
    """Return the states of PostgreSQL that a status shows."""
    reports = running.api.status().snapshot.reports
    return {name: state_of(canonical.encode(signed)) for name, signed in reports.items()}


def test_a_postgres_that_hangs_is_reported_as_one_that_does_not_answer(fresh: Running) -> None:
    """Its agent reports the parts that need no PostgreSQL; a plan about it says unknown; later all is as before.

    The postmaster alone is stopped first, so that what is connected goes on; then every process of it.
    """
    assert set(states(fresh).values()) == {State.RUNNING}
    os.kill(fresh.postmaster("n3"), signal.SIGSTOP)
    assert states(fresh)["n3"] is State.RUNNING
    with held(fresh, "n3"):
        assert states(fresh) == {"n1": State.RUNNING, "n2": State.RUNNING, "n3": State.UNREACHABLE}
        planned = fresh.api.ask("checkpoint", "n3")
        verdicts = {each.invariant: each.result for each in canonical.decode(planned.plan.encode(), Plan).verdicts}
        assert (planned.accepted, verdicts["running-fits"]) == (False, "unknown")
    wait_until(lambda: states(fresh)["n3"] is State.RUNNING)


def test_an_agent_that_is_frozen_is_silent_and_holds_up_no_failover(fresh: Running) -> None:
    """Stopped with idle connections open, and then with none: it is missing, and n2 is elected beside it."""
    fresh.api.status()  # Leaves idle connections to every agent.
    frozen = fresh.stage.process("n1").pid
    with held(fresh, "n1"):
        os.kill(frozen, signal.SIGSTOP)
        try:
            for code in ("transport.interrupted", "transport.unreachable"):
                missing = fresh.api.status().snapshot.missing
                assert missing.keys() == {"n1"}
                assert missing["n1"].startswith(f"{code}: "), missing
            fresh.api.do("fence", "n3", for_="n2")
            fresh.api.do("fence", "n2", for_="n2")
            fresh.api.do("promote", "n2")
            done = fresh.api.confirm(fresh.api.ask("checkpoint", "n2"))
            assert done.result == "executed"
        finally:
            os.kill(frozen, signal.SIGCONT)
    wait_until(lambda: not fresh.api.status().snapshot.missing)


def test_an_order_for_an_agent_that_is_frozen_is_not_sent(fresh: Running) -> None:
    """It does not even say what it has seen of the log; so the outcome is certain: not executed."""
    planned = fresh.api.ask("checkpoint", "n3")
    frozen = fresh.stage.process("n3").pid
    os.kill(frozen, signal.SIGSTOP)
    try:
        done = fresh.api.confirm(planned)
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert (done.result, done.code) == ("not executed", "transport.interrupted")
    assert fresh.impostor.facts("n3").entries == 0


def test_an_agent_whose_looks_hang_ends_at_once(fresh: Running) -> None:
    """A held PostgreSQL keeps no agent from ending when it is told to, and the agent has not failed by itself."""
    lookers = Lookers(fresh, "n3")
    with ThreadPoolExecutor(1) as pool, lookers.looking(), held(fresh, "n3"):
        pool.submit(lookers.look, REPORT)
        wait_until(lambda: lookers.told[REPORT, "ok"] > 0)
        process = fresh.stage.process("n3")
        process.terminate()
        assert process.wait(SECONDS_MAX) == 0
    lines = (fresh.layout.logs / "n3.log").read_text(encoding="utf-8").splitlines()
    assert "internal failure" not in {json.loads(line)["event"] for line in lines}
