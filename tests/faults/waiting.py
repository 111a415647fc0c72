"""Waiting for conditions, never for time."""

import time
from collections.abc import Callable

SECONDS_MAX = 120.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds."""
    end = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < end, "the condition did not come about in time"
        time.sleep(0.02)
