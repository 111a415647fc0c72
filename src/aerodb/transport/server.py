"""A service: an ASGI application behind mutual TLS, served by uvicorn on a socket that was bound beforehand.

Who comes in, and for how long, is the door's to say (`door`, `crowd`); whose call is answered, the rooms' (`rooms`,
`admission`). The caller reaches the application as `scope["extensions"]["aerodb.caller"]`, by their certificate or, for
browsers, by their address.
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

CONNECTIONS_MAX, PAGE_CONNECTIONS_MAX, SEATS_LEAST = 512, 256, 16
"""How many connections a service for programs, and one for browsers, holds at once; and how few at least."""
DESCRIPTORS_USUAL = 1024
HEADER_BYTES_MAX = 16 << 10
PAGES = Room(
    name="pages", connections=Share(192, 128), calls=Share(32, 24), looks=Share(0, 0),
    body_bytes=Share(4 << 20, 2 << 20),
)  # fmt: skip
"""The room of everybody with a browser; a caller is known by their address, which those behind a proxy share."""
LOCALHOST_ATTEMPTS = 16
FINISHED_SECONDS_MAX = 15
"""How long what has been finished may take to reach whoever waits for it, before the service ends all the same."""


def listen(address: str) -> socket.socket:
    """Return a socket that listens at `address` (host:port; port 0 takes a free one).

    Raises:
        OSError: the address is in use, or is not this machine's.
    """
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, because asyncio lets small answers go at once (TCP_NODELAY) only on a socket that says that it is.
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
    """Return sockets that listen at one port of the loopback interface, in both of its families (port 0: a free one).

    A browser tries both for `localhost`: where one is left free, another user of the machine could answer there.

    Raises:
        OSError: the port is in use in one of them.
    """
    for _ in range(LOCALHOST_ATTEMPTS):
        first = listen(f"127.0.0.1:{port}")
        try:
            return first, listen(f"[::1]:{first.getsockname()[1]}")
        except OSError as error:
            if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                return (first,)  # The machine has no such family, so nobody can answer there.
            first.close()
            if port:
                raise
    raise OSError(errno.EADDRINUSE, "no port of localhost is free in both families")


def descriptors_max() -> int:
    """Return how many files this process may have open, of which connections take a part.

    A limit that is lower than what daemons usually have is raised to that, where the machine allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS_USUAL and (hard == resource.RLIM_INFINITY or hard > soft):
        usual = DESCRIPTORS_USUAL if hard == resource.RLIM_INFINITY else min(DESCRIPTORS_USUAL, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, hard))
        soft = usual
    return soft


def seats_max(wanted: int) -> int:
    """Return how many connections a service takes that would take `wanted`: fewer where descriptors are scarce.

    A process may have two services, for programs and for browsers; a quarter of its descriptors is for everything else.
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
        proxy_headers=False,  # A header of the caller's must not say where the caller is.
        timeout_graceful_shutdown=2,
        timeout_keep_alive=deadlines.idle,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
    )
    config.load()
    config.ssl = context
    return config


class Server(uvicorn.Server):
    """uvicorn behind our own door, without its signal handling: the daemon above it decides what a signal means."""

    def __init__(
        self,
        app: Any,
        tls: Tls,
        always: frozenset[str] = frozenset(),
        room_of: RoomOf = room_by_kind,
        deadlines: Deadlines = USUAL,
    ) -> None:
        """Prepare to serve `app` to callers who show a certificate.

        `always` are paths that are answered in any crowd, `room_of` says which room a caller belongs to.
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
        self._crowd = Crowd(seats_max(connections_max), STRANGERS_MAX, turned_away, connections_max)
        self._room_of, self._deadlines = room_of, deadlines
        self._accepting: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the door; uvicorn's own has no deadline for a handshake, and no bound below the descriptors'."""
        await self.lifespan.startup()
        door = Door(self._crowd, self.config.ssl, self._protocol, self._deadlines)
        self.servers = []
        self._accepting = [asyncio.create_task(door.accept(each)) for each in sockets or ()]
        self.started = True

    def _protocol(self, seat: Seat) -> asyncio.Protocol:
        return SeatedProtocol(self.config, self.server_state, self._crowd, seat, self._room_of, self._deadlines)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, send strangers away, and let whoever is being answered have their answers."""
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

        So what `finish` waits for is still answered.
        """

        async def serve() -> None:
            await run_in_threadpool(gc.collect)  # Loads now what the first caller would have to wait for.
            ending = asyncio.create_task(self._end_when(asked_to_end, finish))
            await self._serve(sockets=[bound, *more])
            ending.cancel()

        asyncio.run(serve())

    async def _end_when(self, asked: threading.Event, finish: Callable[[], None] | None) -> None:
        while not asked.is_set():  # noqa: ASYNC110 - a signal sets it, which no coroutine can wait for.
            await asyncio.sleep(0.05)
        try:
            if finish is not None:
                await run_in_threadpool(finish)
                self.config.timeout_graceful_shutdown = FINISHED_SECONDS_MAX
        finally:
            self.should_exit = True


class PageServer(Server):
    """A server for browsers, or for whoever else shows no certificate: the application itself finds out who calls.

    Without `tls` it speaks plain HTTP, which is right for pages on the loopback interface alone.
    """

    def __init__(self, app: Any, tls: Tls | None, deadlines: Deadlines = USUAL, room: Room = PAGES) -> None:
        """Prepare to serve `app` to callers who share one `room`."""
        self._open(
            app, page_context(tls) if tls else None, frozenset(), lambda _: room, deadlines, PAGE_CONNECTIONS_MAX
        )
