"""Accepts connections: one by one, each with a seat in the crowd, each with deadlines.

- The TLS handshake, a request's header and its body each have a deadline (`deadlines`). An idle connection may stay
  longer, as long as nobody else needs its seat.
- A caller who does not read its answer is cut off: the unread part must shrink in time.
- Running out of file descriptors is survived: there are fewer seats than files that the process may open, and if
  something else has used those up, accepting waits and is counted, not logged for each caller.

Source: RFC 9112 (HTTP/1.1), by uvicorn and h11; asyncio.
"""

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from aerodb.transport import expiry
from aerodb.transport.caller import CALLER
from aerodb.transport.counts import turned_away
from aerodb.transport.crowd import Crowd, Doing, Seat
from aerodb.transport.deadlines import Deadlines
from aerodb.transport.errors import CallerUnknown
from aerodb.transport.rooms import RoomOf
from aerodb.transport.tls import Caller, caller_of

DESCRIPTORS_AGAIN_SECONDS = 0.1
"""How long accepting waits when the machine is out of file descriptors."""
DOING: dict[str, Doing] = {
    "first header": "idle", "header": "sending", "body": "sending", "answered": "answered", "rest": "sending",
    "idle": "idle",
}  # fmt: skip
"""What a connection does, by its phase; `rest` is the remainder of a body whose request is answered already."""
NOTHING_TO_GIVE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PEER = "peer"
"""The kind of a caller known by address alone."""
NETWORK_BITS = 64
"""An IPv6 caller is counted by its /64 network, in which it can have as many addresses as it likes."""


def peer_of(address: str) -> Caller:
    """Return a caller without a certificate, named by its address; for IPv6, by its /64 network."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return Caller(name=address, kind=PEER)
    if parsed.version == 6 and not parsed.is_loopback:
        return Caller(name=str(ipaddress.ip_network((int(parsed), NETWORK_BITS), strict=False)), kind=PEER)
    return Caller(name=str(parsed), kind=PEER)


class SeatedProtocol(H11Protocol):
    """uvicorn's protocol with a seat and deadlines; it puts the caller into the scope of each call."""

    def __init__(
        self, config: Config, state: ServerState, crowd: Crowd, seat: Seat, room_of: RoomOf, deadlines: Deadlines
    ) -> None:
        """Serve the connection of `seat`."""
        super().__init__(config=config, server_state=state, app_state={})
        self.cycle: RequestResponseCycle | None = None  # type: ignore[assignment]
        self._crowd, self._seat, self._room_of, self._deadlines = crowd, seat, room_of, deadlines
        # The deadline of a body is kept by `admission`, that of an idle connection by uvicorn.
        self._seconds = {
            "first header": deadlines.header, "header": deadlines.header, "rest": deadlines.reading
        }  # fmt: skip
        self._phase = ""
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Find out who calls. Without a certificate that is an address, which gets a room at its first whole header."""
        super().connection_made(transport)
        self._seat.end = transport.abort
        if self._seat.ended:
            transport.abort()
            return
        certificate = transport.get_extra_info("peercert")
        try:
            caller = caller_of(certificate) if certificate else peer_of(self._seat.address)
        except CallerUnknown:
            turned_away("nameless")
            transport.abort()
            return
        self._named(caller)
        if certificate:
            expiry.note_peer(certificate)
            self._introduce(caller)
        self._watch()

    def _named(self, caller: Caller) -> None:
        """Put the caller into the scope of every call on this connection."""
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), CALLER: caller}
            await inner(scope, receive, send)

        self.app, self._caller = app, caller

    def _introduce(self, caller: Caller) -> None:
        if not self._crowd.introduce(self._seat, caller, self._room_of(caller)):
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and note how far the request is."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Note the connection's phase; a new phase starts its own deadline."""
        if self.transport.is_closing():
            return
        phase = self._phase_now()
        if phase == self._phase:
            return
        if phase in {"body", "answered"} and self._seat.room is None:
            self._introduce(self._caller)
        self._phase = phase
        self._crowd.turn(self._seat, DOING[phase])
        self._until(self._seconds.get(phase), phase)

    def _phase_now(self) -> str:
        """Return the connection's phase, a key of DOING."""
        if self.cycle is not None and not self.cycle.response_complete:
            return "body" if self.cycle.more_body else "answered"
        if self.conn.their_state is h11.SEND_BODY:
            return "rest"
        if self.conn.trailing_data[0]:
            return "header"
        return "first header" if self.cycle is None else "idle"

    def _until(self, seconds: float | None, why: str) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._end, why) if seconds else None

    def _end(self, why: str) -> None:
        turned_away(f"late {why}")
        self.transport.abort()

    def pause_writing(self) -> None:
        """Wait for the caller to read, but not for ever."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self._deadlines.reading, self._end, "reader")

    def resume_writing(self) -> None:
        """Go on: the caller has read."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def shutdown(self) -> None:
        """Close once the answer under way has ended; abort at once a connection whose answer was cut short."""
        try:
            super().shutdown()
        except h11.LocalProtocolError:
            self.transport.abort()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle for too long, and abort it if it does not close in time."""
        super().timeout_keep_alive_handler()
        self._until(self._deadlines.goodbye, "goodbye")

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the crowd."""
        super().connection_lost(exc)
        self._crowd.leave(self._seat)
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()


class Door:
    """Accepts the connections of listening sockets, each for as long as its `accept` runs."""

    def __init__(
        self,
        crowd: Crowd,
        context: ssl.SSLContext | None,
        protocol_for: Callable[[Seat], asyncio.Protocol],
        deadlines: Deadlines,
    ) -> None:
        """Use TLS by `context` (None: plain TCP), and make each connection's protocol by `protocol_for`."""
        self._crowd, self._context, self._protocol_for = crowd, context, protocol_for
        self._seconds = {} if context is None else {
            "ssl_handshake_timeout": deadlines.handshake, "ssl_shutdown_timeout": deadlines.goodbye
        }  # fmt: skip
        self._greeting: set[asyncio.Task[None]] = set()

    async def accept(self, listening: socket.socket) -> None:
        """Accept connections until cancelled."""
        listening.setblocking(False)  # noqa: FBT003 - so it is called.
        loop = asyncio.get_running_loop()
        while True:
            try:
                came, address = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno in NOTHING_TO_GIVE:
                    turned_away("no descriptor")
                    await asyncio.sleep(DESCRIPTORS_AGAIN_SECONDS)
            else:
                self._greet(came, str(address[0]))
            await asyncio.sleep(0)  # Lets existing connections be answered between two new ones.

    def _greet(self, came: socket.socket, address: str) -> None:
        """Start the handshake of a new connection in a task of its own."""
        seat = self._crowd.enter(peer_of(address).name, lambda: _hang_up(came))
        if seat is None:
            came.close()
            return
        task = asyncio.create_task(self._connect(came, seat))
        self._greeting.add(task)
        task.add_done_callback(self._greeting.discard)

    async def _connect(self, came: socket.socket, seat: Seat) -> None:
        loop, seated = asyncio.get_running_loop(), False
        try:
            await loop.connect_accepted_socket(
                lambda: self._protocol_for(seat), came, ssl=self._context, **self._seconds
            )
            seated = True  # From now on the connection itself gives the seat back, when it is lost.
        except OSError as error:  # The handshake failed, or the caller has gone: there is nobody to answer.
            if not seat.ended:
                turned_away("expired certificate" if expiry.has_expired(error) else "handshake")
        finally:
            if not seated:
                self._crowd.leave(seat)


def _hang_up(came: socket.socket) -> None:
    """Shut a socket down that asyncio already owns: asyncio notices, and closes it itself."""
    with suppress(OSError):
        came.shutdown(socket.SHUT_RDWR)
