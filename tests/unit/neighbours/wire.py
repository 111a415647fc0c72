"""Calls of a service without sockets: its real application answers, in this process.

What certificates, doors and timeouts do is left out; they have tests of their own.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from aerodb.errors import AeroError
from aerodb.past.speaking import HEADER, SPOKEN, stated
from aerodb.transport.caller import CALLER
from aerodb.transport.client import Client, Kept
from aerodb.transport.errors import Interrupted
from aerodb.transport.problem import refused_by
from aerodb.transport.tls import Caller

Scope = dict[str, Any]
Between = Callable[[str, Callable[[], bytes]], bytes]
"""Who stands between a caller and a service: given a path and a way to the genuine answer, it answers, or raises."""


def nobody_between(_: str, genuine: Callable[[], bytes]) -> bytes:
    """Return what the service answers."""
    return genuine()


class Killed(BaseException):
    """Raised where a process is killed: nothing that is written to survive an error survives this."""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Return the loop that answers all calls, in a thread that ends with the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="services in memory", daemon=True).start()
    return loop


def _scope(caller: Caller, method: str, path: str, headers: dict[str, str]) -> Scope:
    route, _, query = path.partition("?")
    named = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": unquote(route),
        "raw_path": route.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": named,
        "extensions": {CALLER: caller},
    }


async def _answered(app: Any, scope: Scope, body: bytes) -> tuple[int, bytes]:
    """Return the status and the body of one answer."""
    status, parts, asked, gone = 0, list[bytes](), [body], asyncio.Event()

    async def receive() -> dict[str, Any]:
        if asked:
            return {"type": "http.request", "body": asked.pop(), "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    try:
        with suppress(Exception):  # The application has answered it before it raises it again.
            await app(scope, receive, send)
    finally:
        gone.set()
    return status or HTTPStatus.INTERNAL_SERVER_ERROR, b"".join(parts)


class Wire(Client):
    """A caller of an application, as somebody whom its certificate would name.

    `silent` says why nobody is reached, `cut` why what was answered to a POST never arrives.
    """

    def __init__(
        self,
        app: Any,
        caller: Caller,
        silent: Callable[[], AeroError | None] = lambda: None,
        cut: Callable[[], AeroError | None] = lambda: None,
    ) -> None:
        """Keep what to call; nothing is called yet."""
        self._app, self._caller, self._silent, self._cut = app, caller, silent, cut
        self.headers = {HEADER: stated(SPOKEN)}
        self.between: Between = nobody_between

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        return self.between(path, lambda: self._genuine(method, path, body, headers))

    def _genuine(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        silent = self._silent()
        if silent is not None:
            raise silent
        scope = _scope(self._caller, method, path, {**self.headers, **headers})
        answered = _answered(self._app, scope, body or b"")
        try:
            status, data = asyncio.run_coroutine_threadsafe(answered, _loop()).result()
        except Killed as killed:
            raise Interrupted("the connection broke", executed="unknown") from killed
        cut = self._cut() if method == "POST" else None
        if cut is not None:
            raise cut
        if status >= HTTPStatus.BAD_REQUEST:
            raise refused_by(status, data)
        return data

    def lines(self, path: str) -> Iterator[bytes]:
        """Yield the lines of the answer to a GET."""
        yield from self.get(path).splitlines(keepends=True)


class KeptWire(Kept):
    """A connection that is always there."""

    def __init__(self, wire: Wire) -> None:
        """Keep the way."""
        self._wire = wire

    def get(self, path: str, timeout_seconds: float | None = None) -> bytes:
        """Return the answer to a GET."""
        del timeout_seconds
        return self._wire.get(path)

    def ensure(self, path: str, seconds_max: float) -> None:
        """Raise where nobody answers."""
        self.get(path, seconds_max)

    def post(self, path: str, body: bytes, timeout_seconds: float, headers: dict[str, str] | None = None) -> bytes:
        """Return the answer to a POST."""
        del timeout_seconds
        return self._wire.post(path, body, headers)

    def abandon(self) -> None:
        """Have nothing to end."""

    def close(self) -> None:
        """Have nothing to close."""
