"""Something that waits for the disk, done aside while something else is worked out that does not need it yet."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context


@contextmanager
def aside(work: Callable[[], None]) -> Iterator[None]:
    """Run `work` in a thread of its own beside the block; once the block is left, it is over.

    Where both fail, what `work` raises is raised.

    Raises:
        Exception: whatever `work` raises.
    """
    done, context = Future[None](), copy_context()
    threading.Thread(target=context.run, args=(_run, work, done), name="aside", daemon=True).start()
    try:
        yield
    finally:
        done.result()


def _run(work: Callable[[], None], done: "Future[None]") -> None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - whoever waits is told, whatever it is
        done.set_exception(error)
    else:
        done.set_result(None)
