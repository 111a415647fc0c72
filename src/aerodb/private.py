"""What a program keeps to itself: the files that it makes, and its memory.

- Whatever umask it was started with, no file of its making can be read by anybody else, unless it says so itself.
- Where it crashes, its memory is written nowhere: keys are in it. What it starts begins the same way; PostgreSQL may
  be given core files again by its own service, since the hard limit stays.
"""

import os
import resource

PRIVATE_UMASK, PRIVATE_MODE = 0o077, 0o600


def begin() -> None:
    """Keep to itself, from now on, what this process makes."""
    os.umask(PRIVATE_UMASK)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def opener(path: str, flags: int) -> int:
    """Open a file for `open`, so that a new one is its owner's alone."""
    return os.open(path, flags | os.O_CLOEXEC, PRIVATE_MODE)
