"""Wakes an event loop when it is asked to end, instead of having it look ten times a second whether it was.

- An event that any thread may set is waited for in a thread of its own.
- A signal can reach any thread, but Python handles it in the main one alone: so the main one's loop wakes at each.
- The time of day for answers is read when one is given, not once a second.
"""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate

from uvicorn.server import ServerState


def told(asked: threading.Event) -> asyncio.Event:
    """Return what is set in the running loop once `asked` is."""
    loop, known = asyncio.get_running_loop(), asyncio.Event()

    def wait() -> None:
        asked.wait()
        with suppress(RuntimeError):  # The loop is closed: it has ended already.
            loop.call_soon_threadsafe(known.set)

    threading.Thread(target=wait, name="asked to end", daemon=True).start()
    return known


@contextmanager
def woken_by_signals() -> Iterator[None]:
    """Have every signal wake the running loop, so that Python's handlers run at once; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    read, written = socket.socketpair()
    with read, written:
        read.setblocking(False)  # noqa: FBT003 - so it is called.
        written.setblocking(False)  # noqa: FBT003
        before = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
        loop.add_reader(read, _drain, read)
        try:
            yield
        finally:
            loop.remove_reader(read)
            signal.set_wakeup_fd(before)


def _drain(read: socket.socket) -> None:
    with suppress(BlockingIOError):
        read.recv(4096)


class DatedState(ServerState):
    """uvicorn's state, whose default headers have the date of the second in which they are asked for."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Begin without other headers; `clock` tells the seconds since 1970."""
        self._clock = clock
        self._undated: list[tuple[bytes, bytes]] = []
        self._dated: tuple[int, list[tuple[bytes, bytes]]] = 0, []
        super().__init__()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that every answer has: the date first."""
        now = int(self._clock())
        if self._dated[0] != now:
            self._dated = now, [(b"date", formatdate(now, usegmt=True).encode()), *self._undated]
        return self._dated[1]

    @default_headers.setter
    def default_headers(self, undated: list[tuple[bytes, bytes]]) -> None:
        self._undated, self._dated = undated, (0, [])
