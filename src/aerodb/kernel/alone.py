"""One agent process per node: the operating system holds the lock for as long as the process that took it lives.

Source: flock(2). The lock belongs to the open file, which programs that the agent starts do not inherit. The file says
which process holds it, for people; nothing is decided by that.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from aerodb.kernel.errors import AgentAlone

LOCK = "agent.lock"
PID_CHARACTERS_MAX = 20


def alone_in(state: Path) -> int:
    """Take the node's lock and return the file that holds it; the process keeps it open until it ends.

    Raises:
        AgentAlone: another process holds it, or this process already does.
    """
    held = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        said = os.read(held, PID_CHARACTERS_MAX).decode(errors="replace").strip()
        os.close(held)
        who = f"another agent (process {said})" if said.isdecimal() else "another agent"
        raise AgentAlone(f"{who} is at work on {state}; it may still be ending") from error
    with suppress(OSError):  # A full disk keeps no agent from its work.
        os.ftruncate(held, 0)
        os.pwrite(held, f"{os.getpid()}\n".encode(), 0)
    return held
