"""The agent's memory, kept small: it mostly waits, beside a database that has better use for it.

Only glibc is told; elsewhere nothing is done. Source: glibc manual 3.2.3.6 (mallopt), malloc_trim(3).
"""

import ctypes
from contextlib import suppress

_ARENA_MAX = -8


def have_one_arena() -> None:
    """Let all threads share one arena: they are short, and each would keep some memory of its own."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Return to the system what is not in use: what importing left over, and what the last order took."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
