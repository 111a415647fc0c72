"""Keeps a program's files and memory private.

- Whatever umask it was started with, only the owner can read the files that it makes, unless it says otherwise.
- A crash writes no core file, because keys are in the memory. Child processes inherit that; the hard limit stays, so
  PostgreSQL's own service can allow core files again.
"""

import os
import resource

PRIVATE_UMASK, PRIVATE_MODE = 0o077, 0o600


def begin() -> None:
    """Make this process private from now on: its new files, and no core files."""
    os.umask(PRIVATE_UMASK)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def opener(path: str, flags: int) -> int:
    """Open a file on behalf of `open`; a new one is readable by its owner alone."""
    return os.open(path, flags | os.O_CLOEXEC, PRIVATE_MODE)
