"""One agent process per node: the operating system holds the lock for as long as the process that took it lives.

Source: flock(2). The lock belongs to the open file, which programs that the agent starts do not inherit.
"""

import fcntl
import os
from pathlib import Path

from aerodb.kernel.errors import AgentAlone

LOCK = "agent.lock"


def alone_in(state: Path) -> int:
    """Take the node's lock and return the file that holds it; the process keeps it open until it ends.

    Raises:
        AgentAlone: another process holds it, or this process already does.
    """
    held = os.open(state / LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        raise AgentAlone(f"another agent is at work on {state}; it may still be ending") from error
    return held
