"""Two reads of all nodes: who is silent in the first is not waited for again, and neither is a silent PostgreSQL."""

import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.control.agents import Agents, Read, Rules
from aerodb.protocol.facts import State
from aerodb.protocol.plan import late_nonce
from aerodb.protocol.signed import Signed
from aerodb.transport.client import Client, Kept
from aerodb.transport.tls import Tls
from tests.unit.rules.scenes import CLUSTER, healthy, reports_of, with_instance

ANSWERING = reports_of(healthy())
HANGING = reports_of(with_instance(healthy(), "n2", state=State.UNREACHABLE))


class TwoReads(Agents):
    """Agents that give these reports, in the first read and in the second, and note who was asked."""

    def __init__(self, *reads: dict[str, Signed]) -> None:
        """Keep them; nothing is called."""
        self._cluster, self._reads = CLUSTER, list(reads)
        self._lock = threading.Lock()
        self._greetings: dict[str, Future[None]] = {}
        self.asked: list[list[str]] = []

    @contextmanager
    def _kept(self, node: str) -> Iterator[Kept]:
        """Give a connection over which nothing is ever sent."""
        nowhere = Tls(ca=Path(), certificate=Path(), key=Path())
        yield Kept(Client("127.0.0.1:1", nowhere, node, 1.0, ssl.create_default_context()))

    def _read(self, kept: dict[str, Kept], nonce: str, rules: Rules) -> Read:
        del nonce, rules
        self.asked.append(list(kept))
        reports = self._reads.pop(0)
        return (
            {name: reports[name] for name in kept if name in reports},
            {name: "silent" for name in kept if name not in reports},
        )


def without(reports: dict[str, Signed], node: str) -> dict[str, Signed]:
    """Return the reports of the others."""
    return {name: each for name, each in reports.items() if name != node}


def test_all_who_answer_are_read_twice() -> None:
    """And what the second read says is what comes of it."""
    later = reports_of(with_instance(healthy(), "n3", load=None))
    agents = TwoReads(ANSWERING, later)
    assert agents.read_twice("x") == ((ANSWERING, {}), (later, {}))
    assert agents.asked == [["n1", "n2", "n3"], ["n1", "n2", "n3"]]


def test_who_is_silent_is_waited_for_once() -> None:
    """A frozen node costs one wait, and is missing in both reads."""
    agents = TwoReads(without(ANSWERING, "n2"), ANSWERING)
    first, second = agents.read_twice("x")
    assert agents.asked == [["n1", "n2", "n3"], ["n1", "n3"]]
    assert first == second == (without(ANSWERING, "n2"), {"n2": "silent"})


def test_a_postgres_that_did_not_answer_is_waited_for_once() -> None:
    """Its report of the first read is that of the second, in the configuration's order."""
    agents = TwoReads(HANGING, ANSWERING)
    first, second = agents.read_twice("x")
    assert agents.asked == [["n1", "n2", "n3"], ["n1", "n3"]]
    assert first == second == (HANGING, {})
    assert list(second[0]) == ["n1", "n2", "n3"]


def test_who_falls_silent_between_the_reads_is_missing_in_the_second() -> None:
    """So that the two differ, and nothing is planned from them."""
    agents = TwoReads(ANSWERING, without(ANSWERING, "n3"))
    assert agents.read_twice("x") == ((ANSWERING, {}), (without(ANSWERING, "n3"), {"n3": "silent"}))


@pytest.mark.parametrize("document", ["", "{}", '{"facts":{"instance":3}}', "null"])
def test_what_is_no_report_is_read_again(document: str) -> None:
    """Whether it can be verified is judged later, and by others."""
    odd = {**ANSWERING, "n2": replace(ANSWERING["n2"], document=document)}
    agents = TwoReads(odd, odd)
    agents.read_twice("x")
    assert agents.asked[1] == ["n1", "n2", "n3"]


def test_a_late_read_asks_only_whom_it_is_told_to() -> None:
    """Once, at once; who was silent when the plan was made is not among them."""
    agents = TwoReads(ANSWERING)
    assert agents.read_late(["n2"], late_nonce("record")) == ({"n2": ANSWERING["n2"]}, {})
    assert agents.asked == [["n2"]]


def test_who_does_not_answer_a_greeting_holds_up_nobody() -> None:
    """What it is, is found when it is asked; the read waits until the greetings are over, and is as ever."""
    agents = TwoReads(ANSWERING, ANSWERING)
    agents._pool = ThreadPoolExecutor(2)
    agents.greet(["n1", "n2"])
    assert agents.read_late(["n2"], late_nonce("record")) == ({"n2": ANSWERING["n2"]}, {})
    assert set(agents._greetings) == {"n1"}
    agents._greetings["n1"] = Future()  # It is frozen, and nobody asks it: nobody waits for it.
    assert agents.read_late(["n2"], late_nonce("record")) == ({"n2": ANSWERING["n2"]}, {})
    agents._pool.shutdown()
    agents.greet(["n2"])  # The process ends: that it was not greeted is no failure of anything.
