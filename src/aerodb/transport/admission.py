"""Admission control: the application is called once the whole body is there and the caller's room has a free place.

- A body is read before its call counts as under way. Its size, its time and the bytes of all bodies in a room are
  bounded, so a slow sender holds up nobody.
- A call that finds no place is refused with 429, a stable code and `Retry-After`; nothing of it was begun. It is not
  503: load balancers take that for a failure of the node, and would end all its sessions.
- Paths that are always answered have places of their own. Their answers share one look, so they are cheap, and a load
  balancer must not miss one.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from starlette.datastructures import Headers
from starlette.responses import Response

from aerodb.errors import AeroError
from aerodb.transport.caller import caller_in
from aerodb.transport.errors import BodiesTooMany, BodyLate, BodyTooLarge, CallsTooMany
from aerodb.transport.failures import called, told
from aerodb.transport.problem import MEDIA_TYPE, problem_bytes
from aerodb.transport.rooms import Room, RoomOf, RoomsHeld
from aerodb.transport.tls import Caller

PIECE_BYTES = 64 << 10


class Admission:
    """An application behind its rooms."""

    def __init__(
        self,
        app: Any,
        room_of: RoomOf,
        always: frozenset[str],
        turned_away: Callable[[str], None],
        body_seconds_max: float,
    ) -> None:
        """Serve `app`; the paths in `always` have places of their own, and `turned_away` counts refusals by code."""
        self._app, self._room_of, self._always = app, room_of, always
        self._turned_away, self._body_seconds_max = turned_away, body_seconds_max
        self.calls, self.looks, self.bodies = RoomsHeld(), RoomsHeld(), RoomsHeld()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one call, or turn it away."""
        caller = caller_in(scope)
        room = self._room_of(caller)
        with _Part(self.bodies, room, caller) as part:
            try:
                async with asyncio.timeout(self._body_seconds_max):
                    body = await _whole(scope, receive, part)
            except TimeoutError:
                late = BodyLate(f"the body did not come within {self._body_seconds_max:g} seconds")
                await self._refuse(late)(scope, receive, send)
                return
            except AeroError as refusal:
                await self._refuse(refusal)(scope, receive, send)
                return
            if body is None:
                return  # The caller has gone.
            with self._place(scope["path"], room, caller) as place:
                if place:
                    await self._answer(scope, _given(body, receive), _Sending(send))
                    return
        error = CallsTooMany("too many calls of this caller, or of all callers of its kind, are under way")
        await self._refuse(error)(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, sending: "_Sending") -> None:
        """Let the application answer. An unexpected failure is reported, and answered if nothing was sent yet."""
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            known = told(error, **called(scope))
            if sending.begun:
                raise  # This ends the connection: the answer is cut short, or it was the failure's own page.
            await Response(problem_bytes(known), known.status, media_type=MEDIA_TYPE)(scope, receive, sending)

    @contextmanager
    def _place(self, path: str, room: Room, caller: Caller) -> Iterator[bool]:
        held, share = (self.looks, room.looks) if path in self._always else (self.calls, room.calls)
        if not held.take(room.name, caller, share):
            yield False
            return
        try:
            yield True
        finally:
            held.give_back(room.name, caller)

    def _refuse(self, error: AeroError) -> Response:
        self._turned_away(error.code)
        headers = {"Retry-After": "1"} if error.status == CallsTooMany.status else {}
        if isinstance(error, BodyLate):
            headers["Connection"] = "close"
        return Response(problem_bytes(error), error.status, headers, MEDIA_TYPE)


class _Part:
    """The bytes of its room that one body occupies while it is being received."""

    def __init__(self, held: RoomsHeld, room: Room, caller: Caller) -> None:
        """Hold nothing yet."""
        self._held, self.room, self._caller = held, room, caller
        self._bytes = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of everything."""
        self._held.give_back(self.room.name, self._caller, self._bytes)

    def grow(self, amount: int) -> None:
        """Occupy `amount` more bytes.

        Raises:
            BodiesTooMany: there is no place for them.
        """
        if not self._held.take(self.room.name, self._caller, self.room.body_bytes, amount):
            raise BodiesTooMany("the bodies of requests under way take up all the memory set aside for them")
        self._bytes += amount


async def _whole(scope: Any, receive: Any, part: _Part) -> bytes | None:
    """Return a request's body; None if the caller hung up before it was complete.

    Raises:
        BodyTooLarge: it is larger than its path allows, or its Content-Length is not a number.
        BodiesTooMany: the room has no space for it.
    """
    bytes_max = part.room.body_bytes_max(scope["path"])
    announced = Headers(scope=scope).get("content-length", "0")
    if not (announced.isascii() and announced.isdigit() and len(announced) < 16 and int(announced) <= bytes_max):
        raise BodyTooLarge(f"a body has at most {bytes_max} bytes here")
    data = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        piece = message.get("body", b"")
        if len(data) + len(piece) > bytes_max:
            raise BodyTooLarge(f"a body has at most {bytes_max} bytes here")
        part.grow(len(piece))
        data += piece
        if not message.get("more_body", False):
            return bytes(data)


class _Sending:
    """Sends an answer in pieces, and knows whether sending has begun.

    Over TLS, asyncio buffers in memory whatever it is given at once, and gives no sign that the caller is not reading.
    """

    def __init__(self, send: Any) -> None:
        """Send by `send`."""
        self._send = send
        self.begun = False

    async def __call__(self, message: Any) -> None:
        """Send one message."""
        self.begun = True
        body = message.get("body", b"")
        for at in range(0, len(body) - PIECE_BYTES, PIECE_BYTES):
            await self._send({**message, "body": body[at : at + PIECE_BYTES], "more_body": True})
        await self._send({**message, "body": body[_last_piece(len(body)) :]} if body else message)


def _last_piece(size: int) -> int:
    """Return the offset at which the last piece of `size` bytes begins."""
    return max(size - 1, 0) // PIECE_BYTES * PIECE_BYTES


def _given(body: bytes, receive: Any) -> Any:
    """Return an ASGI `receive` that gives the whole body first, and then passes on `receive`'s messages."""
    given = False

    async def once() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
