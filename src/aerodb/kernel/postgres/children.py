"""Programs that one operation runs: none outlives its agent, and those that take long end when the agent is to end.

- Where the system has `setpriv`, a program is killed by the system itself the moment its agent is gone.
- PostgreSQL's server is none of them: it goes on without its agent.

Source: prctl(2), PR_SET_PDEATHSIG: kept by what is executed, not by what is forked, so it never reaches the server.
"""

import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aerodb.kernel.postgres.errors import CommandFailed

_SETPRIV = shutil.which("setpriv", path="/usr/bin:/bin:/usr/sbin:/sbin")


def bound_to_parent(command: Sequence[str]) -> list[str]:
    """Return the command as one that is killed when the process that runs it ends, where the system can do so."""
    return [_SETPRIV, "--pdeathsig", "KILL", "--", *command] if _SETPRIV else list(command)


class Children:
    """The long-running programs of one agent."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._alive: set[subprocess.Popen[str]] = set()
        self._ended = False

    @contextmanager
    def started(self, command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
        """Start a program, and end it where the block is left before it has ended.

        Raises:
            CommandFailed: the agent is ending, and nothing is started any more.
        """
        with self._lock:
            if self._ended:
                raise CommandFailed(f"{command[0]} is not run: the agent is ending")
            child = subprocess.Popen(command, text=True, errors="replace", **options)
            self._alive.add(child)
        try:
            with child:
                try:
                    yield child
                except BaseException:
                    child.kill()
                    raise
        finally:
            with self._lock:
                self._alive.discard(child)

    @property
    def ended(self) -> bool:
        """Tell whether none may start any more: the agent is ending."""
        return self._ended

    def end(self) -> None:
        """End those that run, and let none start any more."""
        with self._lock:
            self._ended = True
            for child in self._alive:
                child.kill()
