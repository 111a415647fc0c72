"""A call to a service outside: sent once, ended in time whatever the other side does, believed in nothing."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aerodb.errors import AeroError
from aerodb.transport.certificates import Authority
from aerodb.transport.outside import ANSWER_BYTES_MAX, ServicePlace, post_outside
from aerodb.transport.server import PageServer, listen
from aerodb.transport.tls import tls_in
from tests.faults.waiting import wait_until

PATIENCE_SECONDS = 300
"""Against hanging alone."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@contextmanager
def spoken(say: Callable[[socket.socket], object]) -> Iterator[tuple[ServicePlace, list[bytes]]]:
    """Run a service that reads one request of each caller, and then does what it likes; what it read is kept."""
    bound, read = listen("127.0.0.1:0"), list[bytes]()

    def serve() -> None:
        while True:
            try:
                came, _ = bound.accept()
            except OSError:
                return
            with came:
                read.append(came.recv(65536))
                try:
                    say(came)
                except OSError:
                    continue

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield ServicePlace(url=f"http://127.0.0.1:{bound.getsockname()[1]}/prefix/"), read
    finally:
        bound.shutdown(socket.SHUT_RDWR)
        bound.close()


def _drips(begin: bytes) -> Callable[[socket.socket], None]:
    def drip(came: socket.socket) -> None:
        came.sendall(begin)
        while True:
            came.sendall(b"x")
            time.sleep(0.05)

    return drip


@pytest.mark.parametrize(
    "say",
    [
        lambda came: came.recv(1),  # It says nothing.
        _drips(b""),
        _drips(b"HTTP/1.1 200 OK\r\nX: "),
        _drips(HEAD + b"\r\n"),  # Without a length, ended by nobody.
        _drips(HEAD + b"Content-Length: 60000\r\n\r\n"),
    ],
)
def test_it_ends_in_time(say: Callable[[socket.socket], object]) -> None:
    """However slowly the other side speaks, without end or not at all: it is an error of ours, and nothing is twice.

    The other side never ends it: what ends it is the time that it was given.
    """
    for seconds_max in (0.3, 3.0, 30.0, 300.0):  # A slow machine may not have sent anything in the first of them.
        with spoken(say) as (place, read):
            with pytest.raises(AeroError) as error:
                post_outside(place, "/p", b"body", seconds_max)
            if error.value.code == "transport.interrupted":
                wait_until(lambda read=read: bool(read))  # type: ignore[misc]
                assert len(read) == 1
                return
    pytest.fail("nothing was ever sent in time")


@pytest.mark.parametrize(
    ("say", "code"),
    [
        (lambda _: None, "transport.interrupted"),  # It hangs up.
        (lambda came: came.sendall(HEAD + b"\r\n" + b"x" * (ANSWER_BYTES_MAX + 1)), "transport.answer-malformed"),
        (lambda came: came.sendall(b"\x00" * 100_000), "transport.interrupted"),
    ],
)
def test_what_is_no_answer_is_none(say: Callable[[socket.socket], object], code: str) -> None:
    """Nothing at all, too much, or nonsense: an error of ours, and nothing is sent twice."""
    with spoken(say) as (place, read):
        with pytest.raises(AeroError) as error:
            post_outside(place, "/p", b"body", PATIENCE_SECONDS)
        assert error.value.code == code, error.value.message
        assert len(read) == 1


def test_any_status_is_an_answer_and_nothing_is_followed() -> None:
    """The path is put after the URL's own; a redirect is told and not followed."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno"
    with spoken(lambda came: came.sendall(moved)) as (place, read):
        answer = post_outside(place, "/p", b"body", PATIENCE_SECONDS)
    assert (answer.status, answer.body) == (302, b"no")
    assert read[0].startswith(b"POST /prefix/p HTTP/1.1\r\n")
    assert b"traceparent" not in read[0].lower()


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://a/", "http://", "http://a:0x/", "http://a:99999/", "http://u:p@a/", "http://a/?q=1", "http://a b/",
     "http://a/\n", "file:///etc/passwd", "http://\u00e9/"],
)  # fmt: skip
def test_what_is_no_url_is_refused(url: str) -> None:
    """Before anything is looked up or sent; one with a password in it too."""
    with pytest.raises(AeroError) as error:
        post_outside(ServicePlace(url=url), "/p", b"", PATIENCE_SECONDS)
    assert (error.value.code, error.value.executed) == ("input.query-malformed", "not executed")


def test_nobody_there() -> None:
    """Nothing was sent, and the URL is named."""
    bound = listen("127.0.0.1:0")
    place = ServicePlace(url=f"http://127.0.0.1:{bound.getsockname()[1]}")
    bound.close()
    with pytest.raises(AeroError) as error:
        post_outside(place, "/p", b"", PATIENCE_SECONDS)
    assert (error.value.code, error.value.executed) == ("transport.unreachable", "not executed")
    assert place.url in error.value.message


def test_over_tls_the_named_authority_alone_is_trusted(tmp_path: Path) -> None:
    """A service whose certificate another authority signed, or whose authorities cannot be read, is sent nothing."""
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        Authority(name).issue(tmp_path / name, "localhost", "agent")
    bound, over = listen("127.0.0.1:0"), threading.Event()

    async def application(scope: object, receive: object, send: Callable[..., object]) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[misc]
        await send({"type": "http.response.body", "body": b"yes"})  # type: ignore[misc]

    server = PageServer(application, tls_in(tmp_path / "ours"))
    thread = threading.Thread(target=server.run_on, args=(bound, over))
    thread.start()
    url = f"https://localhost:{bound.getsockname()[1]}"
    try:
        answer = post_outside(ServicePlace(url=url, ca=str(tmp_path / "ours" / "ca.crt")), "/p", b"", PATIENCE_SECONDS)
        assert answer.body == b"yes"
        for ca in (str(tmp_path / "theirs" / "ca.crt"), "", str(tmp_path / "none")):
            with pytest.raises(AeroError) as error:
                post_outside(ServicePlace(url=url, ca=ca), "/p", b"", PATIENCE_SECONDS)
            assert error.value.code == "transport.unreachable"
    finally:
        over.set()
        thread.join()
