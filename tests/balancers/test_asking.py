"""Whom the real HAProxy believes: agents here are played, each with a certificate that the test chooses."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.local.balancing import balancer_files
from aerodb.local.size import HOST
from aerodb.transport.certificates import Authority
from aerodb.transport.tls import BALANCER, caller_of, server_context, tls_in
from tests.balancers.programs import INSTALLED, MISSING, Balancer, running_balancer
from tests.faults.waiting import wait_until
from tests.unit.rules.scenes import CLUSTER

pytestmark = [pytest.mark.faults, pytest.mark.skipif(not INSTALLED, reason=MISSING)]
PRIMARY, NONE = b"HTTP/1.0 200 OK\r\n\r\nprimary\n", b"HTTP/1.0 503 Service Unavailable\r\n\r\nnone\n"


@contextmanager
def served(answer: "Answer", context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer each connection to a port in a thread of its own, until left; yield the port."""
    with socket.create_server((HOST, 0)) as listening:

        def serve(accepted: socket.socket) -> None:
            with suppress(OSError), accepted:
                speaking = context.wrap_socket(accepted, server_side=True) if context else accepted
                with speaking:
                    answer.to(speaking)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)


class Answer:
    """What a service says to each of its callers."""

    def to(self, caller: socket.socket) -> None:
        """Say it."""
        raise NotImplementedError


class Named(Answer):
    """A PostgreSQL that says its name, and nothing else, until its caller goes."""

    def __init__(self, name: str) -> None:
        """Take its name."""
        self._name = name

    def to(self, caller: socket.socket) -> None:
        """Say the name, and wait."""
        caller.sendall(self._name.encode())
        caller.recv(1)


class Agent(Answer):
    """An agent that remembers what it was asked, and by whom. It `says` what it is told, and of writes `first` once."""

    def __init__(self) -> None:
        """Be the primary."""
        self.says = PRIMARY
        self.first = list[bytes]()
        self.answered = 0
        self.asked = set[tuple[str, str, bytes]]()

    def to(self, caller: socket.socket) -> None:
        """Answer one question."""
        assert isinstance(caller, ssl.SSLSocket)
        who, line = caller_of(caller.getpeercert()), caller.recv(4096).partition(b"\r\n")[0]
        self.asked.add((who.name, who.kind, line))
        writes = b"/primary" in line
        caller.sendall(self.first.pop() if self.first and writes else self.says)
        self.answered += writes


class Played:
    """A cluster whose agents and PostgreSQL are played."""

    def __init__(self, folder: Path) -> None:
        """Begin with an authority and nobody."""
        self.folder = folder
        self.authority = Authority("c")
        self.agents = dict[str, Agent]()

    @contextmanager
    def led(self, certificates: dict[str, Path], ports_from: int) -> Iterator[Balancer]:
        """Run HAProxy in front of these nodes, each of which shows the certificate in a folder."""
        with ExitStack() as ending:
            members = []
            for name, shown in certificates.items():
                self.agents[name] = Agent()
                # It asks for a certificate of its caller, and trusts the cluster's authority, whatever its own is.
                context = server_context(replace(tls_in(shown), ca=self.folder / BALANCER / "ca.crt"))
                agent = ending.enter_context(served(self.agents[name], context))
                postgres = ending.enter_context(served(Named(name)))
                member = replace(CLUSTER.members[0], name=name, agent=f"{HOST}:{agent}", postgres_host=HOST)
                members.append(replace(member, postgres_port=postgres))
            cluster = replace(CLUSTER, members=tuple(members))
            for path, data in balancer_files(cluster).items():
                (self.folder / BALANCER / path).write_bytes(data)
            log = self.folder / "haproxy.log"
            yield ending.enter_context(running_balancer(self.folder / BALANCER, ports_from + 100, log))

    def certified(self, name: str, kind: str = "agent", authority: Authority | None = None) -> Path:
        """Return a folder with a certificate."""
        folder = self.folder / f"{name}-{kind}-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        (authority or self.authority).issue(folder, name, kind)
        return folder


@pytest.fixture
def played(tmp_path: Path) -> Played:
    """Return a cluster in which a balancer has its certificate."""
    found = Played(tmp_path)
    (tmp_path / BALANCER).mkdir()
    found.authority.issue(tmp_path / BALANCER, BALANCER, BALANCER)
    return found


def leads_to(balancer: Balancer) -> str:
    """Return the name of whom a new connection for writes leads to; nothing where it is closed."""
    with suppress(OSError), socket.create_connection((HOST, balancer.writes), 10) as client:
        return client.recv(16).decode()
    return ""


def test_it_asks_each_node_as_a_balancer_and_nothing_but_its_role(played: Played, ports_from: int) -> None:
    """By the certificate of the folder, and leads to the one that says 200."""
    asked = {(BALANCER, BALANCER, b"GET /primary HTTP/1.0"), (BALANCER, BALANCER, b"GET /standby?lag=16MB HTTP/1.0")}
    with played.led({"n1": played.certified("n1"), "n2": played.certified("n2")}, ports_from) as balancer:
        played.agents["n2"].says = NONE
        wait_until(lambda: leads_to(balancer) == "n1")
        wait_until(lambda: all(agent.asked == asked for agent in played.agents.values()))


@pytest.mark.parametrize("whose", ["another node", "another authority", "a balancer called so", "a person"])
def test_whoever_is_not_the_node_by_its_certificate_is_no_primary(played: Played, ports_from: int, whose: str) -> None:
    """It says 200 and is not believed, while the node itself would be: the first test shows that."""
    shown = {
        "another node": lambda: played.certified("n2"),
        "another authority": lambda: played.certified("n1", authority=Authority("c")),
        "a balancer called so": lambda: played.certified("n1", BALANCER),
        "a person": lambda: played.certified("ana", "person"),
    }[whose]()
    with played.led({"n1": shown}, ports_from) as balancer:
        wait_until(lambda: balancer.said("Server writes/n1 is DOWN, reason: Layer6 invalid response"))
        assert leads_to(balancer) == ""
        assert played.agents["n1"].asked == set()


def test_of_two_that_say_200_neither_is_led_to(played: Played, ports_from: int) -> None:
    """Until one of them takes it back; who is connected to that one is cut off then."""
    with played.led({"n1": played.certified("n1"), "n2": played.certified("n2")}, ports_from) as balancer:
        played.agents["n2"].says = NONE
        wait_until(lambda: leads_to(balancer) == "n1")
        with socket.create_connection((HOST, balancer.writes), 60) as client:
            assert client.recv(16) == b"n1"
            played.agents["n2"].says = PRIMARY
            wait_until(lambda: balancer.said("Server writes/n2 is UP"))
            assert leads_to(balancer) == ""
            played.agents["n1"].says = NONE
            assert client.recv(16) == b""  # It is cut off.
            wait_until(lambda: leads_to(balancer) == "n2")


def test_one_lost_answer_cuts_nobody_off(played: Played, ports_from: int) -> None:
    """Three in a row do: the test above shows that."""
    with played.led({"n1": played.certified("n1")}, ports_from) as balancer:
        wait_until(lambda: played.agents["n1"].asked != set())
        with socket.create_connection((HOST, balancer.writes), 60) as client:
            assert client.recv(16) == b"n1"
            played.agents["n1"].first.append(NONE)
            wait_until(lambda: not played.agents["n1"].first)
            answered = played.agents["n1"].answered
            wait_until(lambda: played.agents["n1"].answered > answered + 2)
            client.settimeout(0)
            with pytest.raises(BlockingIOError):
                client.recv(1)
