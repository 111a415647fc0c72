"""A PostgreSQL that hangs, and very many who look at it: the agent answers whatever it can all the same."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.events import EventPage
from aerodb.protocol.plan import Outcome
from aerodb.protocol.signed import Signed
from aerodb.transport.client import Client
from aerodb.transport.errors import Refused
from aerodb.transport.tls import tls_in
from tests.faults.conftest import Running
from tests.faults.holding import held
from tests.faults.people import new_id
from tests.faults.waiting import SECONDS_MAX, wait_until

LOOKERS = 120
"""Three times as many as the agent has worker threads."""


def agent(running: Running, node: str) -> Client:
    """Return the control plane's way to an agent."""
    return Client(running.cluster.member(node).agent, tls_in(running.layout.control), node, 60)


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


REPORT, PATHS = "/v1/report?nonce={nonce}", ("/v1/report?nonce={nonce}", "/primary", "/standby", "/metrics")


def answered(ask: Callable[[], bytes]) -> bytes:
    """Return an answer; a service that turns callers away is asked again."""
    answers: list[bytes] = []

    def tried() -> bool:
        with suppress(AeroError):
            answers.append(ask())
        return bool(answers)

    wait_until(tried)
    return answers[0]


def test_many_who_look_at_a_postgres_that_hangs_hold_up_nothing_else(fresh: Running) -> None:
    """Events, outcomes and refusals are answered; looks are refused with what is the matter; then all is as before."""
    lookers = Lookers(fresh, "n2")
    with ThreadPoolExecutor(LOOKERS) as pool, lookers.looking(), held(fresh, "n2"):
        for at in range(LOOKERS):
            pool.submit(lookers.look, PATHS[at % len(PATHS)])
        wait_until(lambda: lookers.told[REPORT, "kernel.look-unanswered"] > 0)
        canonical.decode(answered(lambda: agent(fresh, "n2").get("/v1/events")), EventPage)
        signed = canonical.decode(answered(lambda: agent(fresh, "n2").post(f"/v1/outcomes/{new_id()}", b"{}")), Signed)
        assert canonical.decode(signed.document.encode(), Outcome).result == "not executed"
        none = "transport.answer-malformed: HTTP 503: none: "
        told = ("/primary", f"{none}it stands as a standby\n"), ("/standby", f"{none}PostgreSQL does not answer\n")
        wait_until(lambda: all(lookers.told[each] > 0 for each in told))
        assert lookers.told["/standby", "ok"] == lookers.told[REPORT, "ok"] == 0
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


def test_a_status_says_why_a_node_that_hangs_gave_no_report(fresh: Running) -> None:
    """With its code, from the agent itself, and the other nodes are shown."""
    with held(fresh, "n3"):
        status = fresh.api.status()
    assert status.snapshot.missing.keys() == {"n3"}
    assert status.snapshot.missing["n3"].startswith("kernel.look-unanswered: ")
    assert status.snapshot.reports.keys() == {"n1", "n2"}


def test_an_agent_whose_looks_hang_ends_at_once(fresh: Running) -> None:
    """A held PostgreSQL keeps no agent from ending when it is told to, and the agent has not failed by itself."""
    lookers = Lookers(fresh, "n3")
    with ThreadPoolExecutor(1) as pool, lookers.looking(), held(fresh, "n3"):
        pool.submit(lookers.look, REPORT)
        wait_until(lambda: lookers.told[REPORT, "kernel.look-unanswered"] > 0)
        process = fresh.stage.process("n3")
        process.terminate()
        assert process.wait(SECONDS_MAX) == 0
    lines = (fresh.layout.logs / "n3.log").read_text(encoding="utf-8").splitlines()
    assert "internal failure" not in {json.loads(line)["event"] for line in lines}
