"""A service against whoever jams its door: connections, handshakes, headers, bodies, answers that nobody reads."""

import http.client
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aerodb.errors import AeroError
from aerodb.transport import counts
from aerodb.transport.certificates import Authority
from aerodb.transport.client import Client
from aerodb.transport.deadlines import Deadlines
from aerodb.transport.errors import Refused
from aerodb.transport.rooms import CONTROL, MONITORS, PEOPLE, STRANGERS_MAX
from aerodb.transport.server import CONNECTIONS_MAX, PAGE_CONNECTIONS_MAX, PAGES, PageServer, Server, listen
from aerodb.transport.tls import Tls, client_context, tls_in
from tests.faults.waiting import wait_until

PATIENT = Deadlines(handshake=600, header=600, body=600, reading=600, goodbye=0.2, idle=600)
FILES_MAX = 128
ANSWER_BYTES = 32 << 20
SLOW = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"


class Service:
    """A real service, whose answers may be held up."""

    def __init__(self, folder: Path) -> None:
        """Certify its callers."""
        authority = Authority("c")
        self._folder = folder
        for name, kind in (("control", "control"), ("eve", "person"), ("ada", "person"), ("balancer", "monitor")):
            (folder / name).mkdir()
            authority.issue(folder / name, name, kind)
        self.held = threading.Event()
        self.held.set()
        self.under_way = 0
        self.address = ""

    def tls(self, who: str) -> Tls:
        """Return somebody's certificate."""
        return tls_in(self._folder / who)

    def client(self, who: str) -> Client:
        """Return somebody as a caller."""
        return Client(self.address, self.tls(who), "control", 300.0)

    @property
    def application(self) -> Starlette:
        """Return what answers."""

        async def handle(request: Request) -> Response:
            self.under_way += 1
            try:
                size = len(await request.body())
                await run_in_threadpool(self.held.wait, 600)
            finally:
                self.under_way -= 1
            return Response(f"{size}")

        async def large(_: Request) -> Response:
            return Response(bytes(ANSWER_BYTES))

        return Starlette(
            routes=[Route("/", handle, methods=["GET", "POST"]), Route("/primary", handle), Route("/large", large)]
        )

    @contextmanager
    def serving(self, server: Server) -> Iterator[None]:
        """Serve meanwhile."""
        bound, ended = listen("127.0.0.1:0"), threading.Event()
        self.address = f"127.0.0.1:{bound.getsockname()[1]}"
        thread = threading.Thread(target=server.run_on, args=(bound, ended))
        thread.start()
        try:
            yield
        finally:
            self.held.set()
            ended.set()
            thread.join()


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """Return a service that is not served yet."""
    return Service(tmp_path)


def programs(service: Service, deadlines: Deadlines = PATIENT) -> Server:
    """Return a server for programs; whoever is late is late by what a test says, not by how slow the machine is."""
    return Server(service.application, service.tls("control"), frozenset({"/primary"}), deadlines=deadlines)


class Jam:
    """Somebody who opens connections, and keeps them."""

    def __init__(self, service: Service, ending: ExitStack) -> None:
        """Begin with none."""
        self._service, self._ending = service, ending

    def bare(self, sends: bytes = b"") -> socket.socket:
        """Open a connection without a byte of TLS, and send something over it."""
        host, port = self._service.address.split(":")
        opened = self._ending.enter_context(socket.create_connection((host, int(port)), 300))
        opened.sendall(sends)
        return opened

    def known(self, who: str, sends: bytes = b"") -> socket.socket:
        """Open a connection as somebody, and send something over it."""
        context = client_context(self._service.tls(who))
        opened = self._ending.enter_context(context.wrap_socket(self.bare(), server_hostname="control"))
        opened.sendall(sends)
        return opened


@contextmanager
def jam(service: Service) -> Iterator[Jam]:
    """Hold what somebody opens, meanwhile."""
    with ExitStack() as ending:
        yield Jam(service, ending)


def get(service: Service, path: str = "/") -> int:
    """Return the status of an answer over plain HTTP."""
    host, port = service.address.split(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=300)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def code_of(call: Callable[[], bytes]) -> str:
    """Return the code of a refusal; nothing where there is none."""
    try:
        call()
    except AeroError as error:
        return error.code
    return ""


def ends(connection: socket.socket) -> bool:
    """Tell whether the other side ends a connection; whatever it says before is read."""
    with suppress(ConnectionError, OSError):
        while connection.recv(1 << 16):
            pass
    return True


def test_the_rooms_of_a_service_fit_into_its_connections() -> None:
    """Whoever fills a room takes a seat from nobody else's; whoever is being answered leaves seats in their room."""
    rooms = (CONTROL, MONITORS, PEOPLE)
    assert sum(room.connections.all for room in rooms) + STRANGERS_MAX <= CONNECTIONS_MAX
    assert PAGES.connections.all + STRANGERS_MAX // 2 <= PAGE_CONNECTIONS_MAX
    for room in (*rooms, PAGES):
        assert room.calls.all + room.looks.all <= room.connections.all


def test_idle_connections_without_any_credential_silence_no_page(service: Service) -> None:
    """More of them than there are seats: whoever asks for a page gets it."""
    with service.serving(PageServer(service.application, None)), jam(service) as eve:
        for _ in range(PAGE_CONNECTIONS_MAX + 20):
            eve.bare()
        assert get(service) == 200


def test_idle_connections_of_one_certificate_silence_nobody(service: Service) -> None:
    """Not the control plane, not a balancer, not another person, and not even their owner."""
    with service.serving(programs(service)), jam(service) as eve:
        for _ in range(CONNECTIONS_MAX + 20):
            eve.known("eve")
        for who in ("control", "balancer", "ada", "eve"):
            assert service.client(who).get("/primary") == b"0"


def test_connections_that_never_shake_hands_keep_nobody_out(service: Service) -> None:
    """However many there are, whoever shakes hands without dawdling is let in, and what is left is little."""
    server = programs(service)
    with service.serving(server), jam(service) as eve:
        for _ in range(3 * STRANGERS_MAX):
            eve.bare()
        assert service.client("control").get("/") == b"0"
        assert len(server._crowd) <= STRANGERS_MAX + 1


def test_requests_that_are_never_whole_hold_up_nobody(service: Service) -> None:
    """Bodies that do not come are no calls under way: for their owner, who has many, nor for anybody else."""
    with service.serving(programs(service)), jam(service) as eve:
        for _ in range(70):
            eve.known("eve", SLOW)
        for who in ("control", "ada", "eve"):
            assert service.client(who).post("/", b"12") == b"2"


def test_one_caller_has_so_many_calls_and_is_told_so(service: Service) -> None:
    """By 429 and a code, never by 503; another person, the control plane and balancers are answered meanwhile."""
    ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with service.serving(programs(service)), jam(service) as eve:
        service.held.clear()
        for _ in range(PEOPLE.calls.each):
            eve.known("eve", ask)
        wait_until(lambda: service.under_way == PEOPLE.calls.each)
        with pytest.raises(Refused) as refused:
            service.client("eve").get("/")
        assert (refused.value.code, refused.value.status) == ("transport.calls-too-many", 429)
        others = [eve.known(who, ask) for who in ("ada", "control", "balancer")]
        wait_until(lambda: service.under_way == PEOPLE.calls.each + len(others))
        service.held.set()
        assert all(each.recv(15) == b"HTTP/1.1 200 OK" for each in others)


HALF_A_HEADER = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("part", "sends", "why"),
    [
        ("handshake", None, "handshake"),
        ("header", b"", "late first header"),
        ("header", b"GET / HT", "late header"),
        ("header", HALF_A_HEADER, "late header"),
        ("body", SLOW, "transport.body-late"),
        ("reading", b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", "late reader"),
    ],
    ids=["no handshake", "nothing", "half a line", "half a header", "half a body", "unread answer"],
)  # fmt: skip
def test_whatever_does_not_come_in_time_is_ended(service: Service, part: str, sends: bytes | None, why: str) -> None:
    """A handshake, a header, a body, and an answer that its caller does not read: each has its time, and no other."""
    reasons = {why, "late first header"} if part == "header" else {why}  # A slow machine sends nothing in time.

    def ended() -> int:
        return sum(counts.counted().get(each, 0) for each in reasons)

    server, before = programs(service, replace(PATIENT, **{part: 0.2})), ended()
    with service.serving(server), jam(service) as eve:
        slow = eve.bare() if sends is None else eve.known("eve")
        with suppress(OSError):
            slow.sendall(sends or b"")
        wait_until(lambda: ended() > before)
        assert ends(slow)
        wait_until(lambda: len(server._crowd) == 0)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(service: Service) -> None:
    """Announced or not, it takes up no more than its route's bound."""
    with service.serving(programs(service)), jam(service) as eve:
        announced = eve.known("eve", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n")
        assert announced.recv(12) == b"HTTP/1.1 413"
        chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
        silent = eve.known("eve", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk)
        assert silent.recv(12) == b"HTTP/1.1 413"


def test_bodies_under_way_are_bounded_in_sum(service: Service) -> None:
    """Many large bodies at once, none of them whole: those beyond the room's bytes are turned away by 429."""
    before = counts.counted().get("transport.bodies-too-many", 0)
    each = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n" + bytes(65_000)
    with service.serving(programs(service)), jam(service) as eve:
        for _ in range(PEOPLE.body_bytes.each // 65_000 + 8):
            eve.known("eve", each)
        wait_until(lambda: counts.counted().get("transport.bodies-too-many", 0) >= before + 8)
        assert service.client("ada").post("/", bytes(60_000)) == b"60000"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000])
def test_an_answer_arrives_whole_however_it_is_sent(service: Service, size: int) -> None:
    """Its pieces are its bytes, whatever its size."""
    app = Starlette(routes=[Route("/", lambda _: Response(bytes(range(250)) * (size // 250) + bytes(size % 250)))])
    server = Server(app, service.tls("control"))
    with service.serving(server):
        assert service.client("eve").get("/") == bytes(range(250)) * (size // 250) + bytes(size % 250)


def test_descriptors_are_never_exhausted(service: Service) -> None:
    """Far more connections than files may be open: the service answers, and its log holds a few lines of it."""
    command = f'ulimit -n {FILES_MAX}; exec "$0" -m tests.service.scarce "$1"'
    arguments = ["sh", "-c", command, sys.executable, str(service.tls("control").ca.parent)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            service.address = process.stdout.readline().strip()
            with jam(service) as eve:
                for _ in range(5 * FILES_MAX):
                    eve.bare(b"no TLS at all")
                    eve.bare()
                assert service.client("control").get("/") == b"here"
        finally:
            process.terminate()
        said = process.stdout.read()
    assert '"no descriptor"' not in said
    assert "Traceback" not in said
    assert len(said.splitlines()) < 20, said
