"""Answers that are taken line by line: as they come, however long; cut short, they are never taken for whole."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from aerodb.transport.certificates import Authority
from aerodb.transport.client import ANSWER_BYTES_MAX, JUST_SECONDS, Client, Kept, LineTooLong, lines_of
from aerodb.transport.errors import AnswerMalformed, Interrupted, Refused, Unreachable, plainly
from aerodb.transport.server import Server, listen
from aerodb.transport.tls import client_context, server_context, tls_in

PROBLEM = (
    b'{"type":"t","title":"t","status":403,"detail":"no","code":"control.no","domain":"control",'
    b'"executed":"not executed"}'
)
LINE = b"x" * ((1 << 20) - 1) + b"\n"
PATIENCE_SECONDS = 300.0
"""Against hanging alone: a machine may be slow."""
Parts = Callable[[], AsyncIterator[bytes]]


@contextmanager
def serving(folder: Path, answer: Callable[[Request], Response]) -> Iterator[Client]:
    """Hold a real service over mutual TLS whose every answer is `answer`; give a caller of it."""
    Authority("c").issue(folder, "control", "control")
    bound, ended = listen("127.0.0.1:0"), threading.Event()

    async def handle(request: Request) -> Response:
        await request.body()  # An answer before that would end the connection.
        return answer(request)

    server = Server(Starlette(routes=[Route("/", handle, methods=["GET", "POST"])]), tls_in(folder))
    thread = threading.Thread(target=server.run_on, args=(bound, ended))
    thread.start()
    try:
        yield Client(f"127.0.0.1:{bound.getsockname()[1]}", tls_in(folder), "control", PATIENCE_SECONDS)
    finally:
        ended.set()
        thread.join()


def streamed(parts: Parts) -> Callable[[Request], Response]:
    """Return what answers with a stream."""
    return lambda _: StreamingResponse(parts())


@given(lines=st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), max_size=9),
       last=st.binary(max_size=9), cuts=st.lists(st.integers(0, 99), max_size=9))  # fmt: skip
def test_lines_are_the_same_however_the_blocks_are_cut(lines: list[bytes], last: bytes, cuts: list[int]) -> None:
    """Wherever blocks end, the lines are those of the whole; a last one without a newline too."""
    whole = b"".join(line + b"\n" for line in lines) + last.replace(b"\n", b"")
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    blocks = [whole[start:end] for start, end in pairwise(places)]
    found = list(lines_of(blocks))
    assert b"".join(found) == whole
    assert [line.rstrip(b"\n") for line in found] == whole.split(b"\n")[: len(found)]
    assert all(line.endswith(b"\n") for line in found[:-1])


def test_a_line_that_is_too_long_is_refused_before_it_is_whole() -> None:
    """No more than the limit is ever held, even of a line that never ends."""
    taken = []

    def long() -> Iterator[bytes]:
        for _ in range(1000):
            taken.append(4)
            yield b"xxxx"

    with pytest.raises(LineTooLong):
        list(lines_of(long(), 10))
    assert sum(taken) <= 14
    assert list(lines_of([b"12345\n12345\n"] * 3, 10)) == [b"12345\n"] * 6


def test_lines_come_before_the_answer_has_ended(tmp_path: Path) -> None:
    """The first line is there while the service still waits with the second."""
    first_taken = threading.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"one\n"
        assert await asyncio.to_thread(first_taken.wait, PATIENCE_SECONDS)
        yield b"two\n"

    with serving(tmp_path, streamed(parts)) as client:
        lines = client.lines("/")
        assert next(lines) == b"one\n"
        first_taken.set()
        assert list(lines) == [b"two\n"]


def test_an_answer_of_lines_may_be_longer_than_any_other(tmp_path: Path) -> None:
    """More lines than one whole answer may have bytes are all taken; as one whole answer they are refused."""
    count = ANSWER_BYTES_MAX // len(LINE) + 2

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield LINE

    with serving(tmp_path, streamed(parts)) as client:
        assert sum(line == LINE for line in client.lines("/")) == count
        with pytest.raises(AnswerMalformed):
            client.get("/")


def test_an_answer_that_is_cut_short_is_never_taken_for_whole(tmp_path: Path) -> None:
    """Where the service breaks off between two lines, the caller is told so, and that nothing was executed."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"one\n"
        yield b"two\n"
        raise ConnectionResetError

    with serving(tmp_path, streamed(parts)) as client:
        lines = client.lines("/")
        with pytest.raises(Interrupted) as broken:
            list(lines)
        assert broken.value.executed == "not executed"


def test_an_answer_that_ends_before_its_length_is_never_taken_for_whole(tmp_path: Path) -> None:
    """What is missing was never said: not of a whole answer, not of one that is taken line by line."""

    async def parts() -> AsyncIterator[bytes]:
        yield b'{"whole":"as it seems"}\n'

    def cut(_: Request) -> Response:
        return StreamingResponse(parts(), headers={"Content-Length": "100"})

    with serving(tmp_path, cut) as client:
        for ask in (lambda: client.get("/"), lambda: client.post("/", b"{}"), lambda: list(client.lines("/"))):
            with pytest.raises(Interrupted):
                ask()


def test_a_refusal_comes_at_once(tmp_path: Path) -> None:
    """A refusal is raised when the lines are asked for, not when the first one is taken."""
    with serving(tmp_path, lambda _: Response(PROBLEM, 403)) as client, pytest.raises(Refused, match="no"):
        client.lines("/")


def test_a_refused_order_leaves_no_patience_to_the_looks_after_it(tmp_path: Path) -> None:
    """An order may take very long; a look over the same connection, also after a refusal, may not."""
    refused, looked = threading.Event(), threading.Event()

    async def late() -> AsyncIterator[bytes]:
        await asyncio.to_thread(looked.wait, PATIENCE_SECONDS)
        yield b"late"

    def answer(request: Request) -> Response:
        if request.method == "POST":
            refused.set()
            return Response(PROBLEM, 403)
        return StreamingResponse(late()) if refused.is_set() else Response(b"at once")

    with serving(tmp_path, answer) as client:
        kept = Kept(client)
        assert kept.get("/") == b"at once"
        with pytest.raises(Refused, match="no"):
            kept.post("/", b"{}", 3600)
        client.timeout_seconds = 0.2
        try:
            with pytest.raises(Interrupted):
                kept.get("/")
        finally:
            looked.set()


@contextmanager
def frozen() -> Iterator[str]:
    """Give the address of a process that is stopped: its kernel takes calls, and nothing answers them."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def test_who_accepts_no_connection_costs_no_more_than_that(tmp_path: Path) -> None:
    """However long an answer may take, a frozen service is given up where it would have to shake hands."""
    Authority("c").issue(tmp_path, "control", "control")
    with frozen() as address:
        client = Client(address, tls_in(tmp_path), "control", 24 * 3600.0)
        client.connect_seconds_max = 0.1
        for call in (lambda: client.get("/"), lambda: client.post("/", b"{}"), lambda: Kept(client).ensure("/", 0.1)):
            with pytest.raises(Unreachable):
                call()


def test_why_it_cannot_be_reached_is_said_in_words(tmp_path: Path) -> None:
    """The system's own words, and no number of its errors; another library's text stays as it is."""
    Authority("c").issue(tmp_path, "control", "control")
    with closing(socket.create_server(("127.0.0.1", 0))) as bound:
        address = f"127.0.0.1:{bound.getsockname()[1]}"
    with pytest.raises(Unreachable) as refused:
        Client(address, tls_in(tmp_path), "control", 1.0).get("/")
    assert refused.value.message == f"control at {address} cannot be reached: connection refused"
    assert plainly(TimeoutError("timed out")) == "timed out"
    assert plainly(TimeoutError("_ssl.c:989: The handshake operation timed out")) == "timed out"
    assert plainly(ValueError("TLS is off")) == "TLS is off"


def test_a_new_connection_holds_nothing_that_nobody_asked_for(tmp_path: Path) -> None:
    """After the handshake the service says nothing: what is to be read on a kept connection is its end."""
    Authority("c").issue(tmp_path, "control", "control")
    to_service, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    service = server_context(tls_in(tmp_path)).wrap_bio(to_service, to_client, server_side=True)
    client = client_context(tls_in(tmp_path)).wrap_bio(to_client, to_service, server_hostname="control")
    for side in (client, service):  # What each needs of the other has come: the client's first words, the service's.
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    client.do_handshake()
    assert to_client.pending == 0
    service.do_handshake()
    assert to_client.pending == 0


def test_who_freezes_on_a_kept_connection_is_found_out_by_a_cheap_call(tmp_path: Path) -> None:
    """A connection that was kept proves nothing; a new one does, and costs no call; a refusal is an answer too."""
    calls: list[str] = []
    freezes, thaws = threading.Event(), threading.Event()

    def answer(request: Request) -> Response:
        calls.append(request.method)
        if freezes.is_set():
            thaws.wait(PATIENCE_SECONDS)
        return Response(PROBLEM, 403)

    with serving(tmp_path, answer) as client:
        client.timeout_seconds = 24 * 3600.0
        kept = Kept(client)
        kept.ensure("/", PATIENCE_SECONDS)
        kept.ensure("/", PATIENCE_SECONDS)
        assert calls == []
        kept._used -= JUST_SECONDS
        kept.ensure("/", PATIENCE_SECONDS)
        assert calls == ["GET"]
        freezes.set()
        kept._used -= JUST_SECONDS
        with pytest.raises(Interrupted) as silent:
            kept.ensure("/", 0.1)
        assert silent.value.executed == "not executed"
        thaws.set()
