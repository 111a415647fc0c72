"""A service: an ASGI application behind mutual TLS, served by uvicorn on a socket that was bound beforehand.

`door` and `crowd` decide which connections are accepted and kept; `rooms` and `admission` decide which calls are
answered. The application finds the caller in `scope["extensions"]["aerodb.caller"]`: by certificate, or by address for
browsers.
"""

import asyncio
import errno
import gc
import resource
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool
from uvicorn.protocols.http.h11_impl import H11Protocol

from aerodb.transport.admission import Admission
from aerodb.transport.counts import turned_away
from aerodb.transport.crowd import Crowd, Seat
from aerodb.transport.deadlines import USUAL, Deadlines
from aerodb.transport.door import Door, SeatedProtocol
from aerodb.transport.rooms import STRANGERS_MAX, Room, RoomOf, Share, room_by_kind
from aerodb.transport.tls import Tls, page_context, server_context
from aerodb.transport.waking import DatedState, told, woken_by_signals

CONNECTIONS_MAX, PAGE_CONNECTIONS_MAX, SEATS_LEAST = 512, 256, 16
"""The most connections that a service for programs, and one for browsers, holds at once; the lowest limit for each."""
DESCRIPTORS_USUAL = 1024
HEADER_BYTES_MAX = 16 << 10
PAGES = Room(
    name="pages", connections=Share(192, 128), calls=Share(32, 24), looks=Share(8, 4),
    body_bytes=Share(4 << 20, 2 << 20),
)  # fmt: skip
"""The room of all browsers. A caller is known by address, which all people behind one proxy share."""
LOCALHOST_ATTEMPTS = 16
FINISHED_SECONDS_MAX = 15
"""How long answers that are finished at shutdown may take to reach their callers."""


def listen(address: str) -> socket.socket:
    """Return a socket that listens at `address` (host:port; port 0 takes a free one).

    Raises:
        OSError: the address is in use, or is not this machine's.
    """
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # TCP is named because asyncio sets TCP_NODELAY, so that small answers go at once, only on a socket that names it.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host.strip("[]"), int(port)))
        bound.listen(128)
    except OSError:
        bound.close()
        raise
    return bound


def listen_as_localhost(port: int = 0) -> tuple[socket.socket, ...]:
    """Return sockets that listen at one loopback port, on IPv4 and IPv6 (port 0: a free one).

    A browser tries both for `localhost`: if one were left free, another user of the machine could answer there.

    Raises:
        OSError: the port is in use on one of them.
    """
    for _ in range(LOCALHOST_ATTEMPTS):
        first = listen(f"127.0.0.1:{port}")
        try:
            return first, listen(f"[::1]:{first.getsockname()[1]}")
        except OSError as error:
            if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                return (first,)  # The machine has no IPv6, so nobody can answer there.
            first.close()
            if port:
                raise
    raise OSError(errno.EADDRINUSE, "no port of localhost is free in both families")


def descriptors_max() -> int:
    """Return how many files this process may have open, connections included.

    A limit below what daemons usually have is raised to that first, if the machine allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS_USUAL and (hard == resource.RLIM_INFINITY or hard > soft):
        usual = DESCRIPTORS_USUAL if hard == resource.RLIM_INFINITY else min(DESCRIPTORS_USUAL, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, hard))
        soft = usual
    return soft


def seats_max(wanted: int) -> int:
    """Return how many connections a service accepts: `wanted`, or fewer if file descriptors are scarce.

    A process may have two services, for programs and browsers; a quarter of its descriptors is for everything else.
    """
    free = descriptors_max() * 3 // 4
    return max(SEATS_LEAST, min(wanted, wanted * free // (CONNECTIONS_MAX + PAGE_CONNECTIONS_MAX)))


def _config(app: Any, context: ssl.SSLContext | None, deadlines: Deadlines) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=H11Protocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # A caller must not be able to claim another address in a header.
        timeout_graceful_shutdown=2,
        timeout_keep_alive=deadlines.idle,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
    )
    config.load()
    config.ssl = context
    return config


class Server(uvicorn.Server):
    """uvicorn with our own `Door`, and without signal handlers: the daemon around it decides what a signal means."""

    def __init__(
        self,
        app: Any,
        tls: Tls,
        always: frozenset[str] = frozenset(),
        room_of: RoomOf = room_by_kind,
        deadlines: Deadlines = USUAL,
    ) -> None:
        """Prepare to serve `app` to callers who show a certificate.

        Paths in `always` are answered however full it is; `room_of` returns a caller's room.
        """
        self._open(app, server_context(tls), always, room_of, deadlines)

    def _open(
        self,
        app: Any,
        context: ssl.SSLContext | None,
        always: frozenset[str],
        room_of: RoomOf,
        deadlines: Deadlines,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        admission = Admission(app, room_of, always, turned_away, deadlines.body)
        super().__init__(_config(admission, context, deadlines))
        self.server_state, self._over = DatedState(), asyncio.Event()
        self._crowd = Crowd(seats_max(connections_max), STRANGERS_MAX, turned_away, connections_max)
        self._room_of, self._deadlines = room_of, deadlines
        self._accepting: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept by our own `Door`: uvicorn has no deadline for a handshake, and no limit below that of descriptors."""
        await self.lifespan.startup()
        door = Door(self._crowd, self.config.ssl, self._protocol, self._deadlines)
        self.servers = []
        self._accepting = [asyncio.create_task(door.accept(each)) for each in sockets or ()]
        self.started = True

    def _protocol(self, seat: Seat) -> asyncio.Protocol:
        return SeatedProtocol(self.config, self.server_state, self._crowd, seat, self._room_of, self._deadlines)

    async def main_loop(self) -> None:
        """Serve until `end`; uvicorn's own loop wakes ten times a second to see whether it may go on."""
        await self._over.wait()

    def end(self) -> None:
        """End what is served; called in its event loop."""
        self._over.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, end the strangers' connections, and let answers under way be finished."""
        for task in self._accepting:
            task.cancel()
        self._crowd.end_strangers()
        await super().shutdown(sockets)

    def run_on(
        self,
        bound: socket.socket,
        asked_to_end: threading.Event,
        *more: socket.socket,
        finish: Callable[[], None] | None = None,
    ) -> None:
        """Serve on `bound`, and on `more`, until `asked_to_end` is set and `finish` has returned.

        Calls are still answered while `finish` runs.
        """

        async def serve() -> None:
            await run_in_threadpool(gc.collect)  # Starts a worker thread now, so that the first caller need not wait.
            ending = asyncio.create_task(self._end_when(told(asked_to_end), finish))
            with woken_by_signals():
                await self._serve(sockets=[bound, *more])
            ending.cancel()

        asyncio.run(serve())

    async def _end_when(self, asked: asyncio.Event, finish: Callable[[], None] | None) -> None:
        await asked.wait()
        try:
            if finish is not None:
                await run_in_threadpool(finish)
                self.config.timeout_graceful_shutdown = FINISHED_SECONDS_MAX
        finally:
            self.end()


class PageServer(Server):
    """A server for browsers and other callers without a certificate: the application itself finds out who calls.

    Without `tls` it speaks plain HTTP, which is safe only on the loopback interface.
    """

    def __init__(
        self,
        app: Any,
        tls: Tls | None,
        deadlines: Deadlines = USUAL,
        room: Room = PAGES,
        looks: frozenset[str] = frozenset(),
    ) -> None:
        """Prepare to serve `app`; all callers share one `room`, and the paths in `looks` have places of their own."""
        context = page_context(tls) if tls else None
        self._open(app, context, looks, lambda _: room, deadlines, PAGE_CONNECTIONS_MAX)
