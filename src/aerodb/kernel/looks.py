"""Coalesced looks: many callers share one look, only one runs at a time, and nobody waits for ever.

- A caller gets a look that begins after it asked: a caller that arrives during a look gets the next one, which all
  callers that arrive until then share. So a caller who asks twice gets two different looks.
- A look that hangs occupies one thread, however many callers ask; each waits at most `seconds_max`.
- At most `askers_max` callers wait at once, if that is given, which leaves room for calls of other kinds.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from aerodb.kernel.errors import LooksTooMany, LookUnanswered

T = TypeVar("T")


class Looks(Generic[T]):
    """One kind of look, shared by the tasks of one event loop."""

    def __init__(self, look: Callable[[], T], seconds_max: float, askers_max: int | None = None) -> None:
        """Look by calling `look`, but not yet."""
        self._look, self._seconds_max, self._askers_max = look, seconds_max, askers_max
        self._lock = threading.Lock()
        self._under_way = False
        self._next: Future[T] | None = None
        self._askers = 0

    async def now(self) -> T:
        """Return the result of a look that begins from now on; raises what `look` raises.

        Raises:
            LooksTooMany: too many callers already wait.
            LookUnanswered: the look did not end in time. It goes on, and later callers get a later look.
        """
        if self._askers_max is not None and self._askers >= self._askers_max:
            raise LooksTooMany(f"{self._askers} callers wait for a look at the node already")
        self._askers += 1
        try:
            asked = asyncio.wrap_future(self._ask())
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())  # No caller may be left.
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
        """Look again and again, until no caller waits for a look."""
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
