"""Keeps the agent's memory small: it mostly waits, and the database beside it needs the memory more.

Works with glibc; does nothing elsewhere. Source: glibc manual 3.2.3.6 (mallopt), malloc_trim(3).
"""

import ctypes
from contextlib import suppress

_ARENA_MAX = -8


def have_one_arena() -> None:
    """Let all threads share one malloc arena: they are short-lived, and each would keep memory of its own."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Return unused memory to the system, such as importing and the last order left behind."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
