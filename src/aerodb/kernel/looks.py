"""Looks that many may ask for: one under way at a time, and nobody waits for ever.

- A look begins after it was asked for. Whoever asks while one is under way is answered by the next, together with all
  who ask until that begins; so whoever reads twice reads twice.
- A look that hangs holds one thread of its own, however many ask, and is waited for no longer than so many seconds.
- Where there is a bound, no more than so many wait at once: there is room for whoever asks for something else.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from aerodb.kernel.errors import LooksTooMany, LookUnanswered

T = TypeVar("T")


class Looks(Generic[T]):
    """One kind of look, for the tasks of one event loop."""

    def __init__(self, look: Callable[[], T], seconds_max: float, askers_max: int | None = None) -> None:
        """Look by calling `look`; nothing is looked at yet."""
        self._look, self._seconds_max, self._askers_max = look, seconds_max, askers_max
        self._lock = threading.Lock()
        self._under_way = False
        self._next: Future[T] | None = None
        self._askers = 0

    async def now(self) -> T:
        """Return what a look sees that begins from now on; raises what it raises.

        Raises:
            LooksTooMany: too many wait for one already.
            LookUnanswered: it has not ended in time; it goes on, and whoever asks later is answered by a later one.
        """
        if self._askers_max is not None and self._askers >= self._askers_max:
            raise LooksTooMany(f"{self._askers} callers wait for a look at the node already")
        self._askers += 1
        try:
            asked = asyncio.wrap_future(self._ask())
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())  # Nobody may be left to ask.
            ended, _ = await asyncio.wait([asked], timeout=self._seconds_max)
        finally:
            self._askers -= 1
        if not ended:
            raise LookUnanswered(f"the node could not be looked at within {self._seconds_max:g} seconds")
        return asked.result()

    def _ask(self) -> "Future[T]":
        with self._lock:
            if self._next is None:
                self._next = Future()
            asked = self._next
            if not self._under_way:
                self._under_way = True
                # A daemon: PostgreSQL may never answer, and the agent must be able to end all the same.
                threading.Thread(target=self._run, name="look", daemon=True).start()
        return asked

    def _run(self) -> None:
        """Look for as long as somebody asks."""
        while True:
            with self._lock:
                asked, self._next = self._next, None
                if asked is None:
                    self._under_way = False
                    return
            asked.set_running_or_notify_cancel()
            try:
                seen = self._look()
            except BaseException as error:  # noqa: BLE001 - whoever asked is told, whatever it is
                asked.set_exception(error)
            else:
                asked.set_result(seen)
