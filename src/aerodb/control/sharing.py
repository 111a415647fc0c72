"""Shared reads of the nodes: many callers share one, only one runs at a time, and none gets one that is older than it.

- A caller gets a read that begins after it asked: a caller that arrives during a read gets the next one, which all
  callers that arrive until then share. So a caller who asks twice gets two different reads.
- Whoever is first to wait for a read makes it, in its own thread; nothing reads that nobody waits for.

The agent's `kernel.looks` holds to the first rule for the tasks of a loop. It needs more: a look at PostgreSQL may hang
for ever, so it has a thread of its own and a bound on each wait. A read here ends by its calls' own deadlines.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedReads(Generic[T]):
    """One kind of read, shared by the threads of one process."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self._lock, self._reading = threading.Lock(), threading.Lock()
        self._next: Future[T] | None = None
        self.waiting = 0
        """How many callers wait for a read that has not begun."""

    def now(self, read: Callable[[], T]) -> T:
        """Return the result of a read that begins from now on; raises what `read` raises, of whoever makes it."""
        with self._lock:
            asked, first = self._next or Future[T](), self._next is None
            self._next = asked
            self.waiting += 1
        if first:
            self._make(asked, read)
        return asked.result()

    def _make(self, asked: "Future[T]", read: Callable[[], T]) -> None:
        with self._reading:  # The read under way began before this one was asked for.
            with self._lock:
                self._next, self.waiting = None, 0  # Whoever asks from now on gets a later one.
            try:
                asked.set_result(read())
            except BaseException as error:  # noqa: BLE001 - whoever asked is told, whatever it is
                asked.set_exception(error)
