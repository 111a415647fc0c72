"""A service: an ASGI application behind mutual TLS, served by uvicorn on a socket that was bound beforehand.

The peer's certificate reaches the application as `scope["extensions"]["aerodb.caller"]`, which uvicorn does not give
by itself; a connection without one never gets as far.
"""

import asyncio
import errno
import gc
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from aerodb.transport.caller import CALLER
from aerodb.transport.errors import CallsTooMany
from aerodb.transport.problem import MEDIA_TYPE, problem_bytes
from aerodb.transport.tls import Tls, caller_of, page_context, server_context

CALLS_MAX, CONNECTIONS_MAX = 64, 512
"""How many calls are under way, and how many connections are held, at once."""
LOCALHOST_ATTEMPTS = 16
FINISHED_SECONDS_MAX = 15
"""How long what has been finished may take to reach whoever waits for it, before the service ends all the same."""
KEEP_ALIVE_SECONDS = 75
"""How long an idle connection is kept for a caller who may ask again."""


class _Protocol(H11Protocol):
    """uvicorn's own protocol, which hands the caller's certificate to the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the application with who called."""
        super().connection_made(transport)
        caller = caller_of(transport.get_extra_info("peercert"))
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), CALLER: caller}
            await inner(scope, receive, send)

        self.app = app


class _Bounded:
    """An application that answers only so many at once; those paths that are always answered excepted.

    Whoever comes when there are too many is told to come again, by 429: load balancers take 503 for a failure of what
    they ask about, and would end all sessions with it.
    """

    def __init__(self, app: Any, always: frozenset[str]) -> None:
        """Keep what answers, and which paths it always does."""
        self._app, self._always = app, always
        self._under_way = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one call."""
        if scope["path"] in self._always:
            await self._app(scope, receive, send)
        elif self._under_way >= CALLS_MAX:
            error = CallsTooMany(f"{CALLS_MAX} calls are under way already")
            await Response(problem_bytes(error), error.status, {"Retry-After": "1"}, MEDIA_TYPE)(scope, receive, send)
        else:
            self._under_way += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._under_way -= 1


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


def _config(
    app: Any, protocol: type[H11Protocol], context: ssl.SSLContext | None, connections_max: int
) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # A header of the caller's must not say where the caller is.
        timeout_graceful_shutdown=2,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        limit_concurrency=connections_max,
        h11_max_incomplete_event_size=16 << 10,
    )
    config.load()
    config.ssl = context
    return config


class Server(uvicorn.Server):
    """uvicorn without its signal handling: the daemon above it decides what a signal means."""

    def __init__(self, app: Any, tls: Tls, always: frozenset[str] = frozenset()) -> None:
        """Prepare to serve `app` to callers who show a certificate; `always` are paths answered in any crowd."""
        super().__init__(_config(_Bounded(app, always), _Protocol, server_context(tls), CONNECTIONS_MAX))

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
    """A server for browsers, which show no certificate: the application itself finds out who calls.

    Without `tls` it speaks plain HTTP, which is right on the loopback interface alone.
    """

    def __init__(self, app: Any, tls: Tls | None) -> None:
        """Prepare to serve `app`."""
        uvicorn.Server.__init__(self, _config(app, H11Protocol, page_context(tls) if tls else None, CALLS_MAX))
