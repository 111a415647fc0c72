"""Programs that one operation runs: none outlives its agent, and those that take long end when the agent is to end.

- Where the system has `setpriv`, a program is killed by the system itself the moment its agent is gone.
- What a program forks ends with it: pg_basebackup has a process of its own that receives WAL.
- PostgreSQL's server is none of them: it goes on without its agent.

Source: prctl(2), PR_SET_PDEATHSIG: kept by what is executed, not by what is forked, so it never reaches the server.
"""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from aerodb.kernel.postgres.errors import CommandFailed

_SETPRIV = shutil.which("setpriv", path="/usr/bin:/bin:/usr/sbin:/sbin")


_WITH_ALL_IT_FORKED = """trap 'kill -9 0' TERM; "$@" & wait $!"""
"""A shell that leads a process group: told that its parent is gone, it ends the whole group, itself included."""


def group_bound_to_parent(command: Sequence[str]) -> list[str]:
    """Return the command as one that is killed with all that it forked when the process that runs it ends.

    It must lead a process group of its own: whatever is in its group ends with it.
    """
    if not _SETPRIV:
        return list(command)
    return [_SETPRIV, "--pdeathsig", "TERM", "--", "/bin/sh", "-c", _WITH_ALL_IT_FORKED, "sh", *command]


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
            bound = group_bound_to_parent(command)
            child = subprocess.Popen(bound, text=True, errors="replace", start_new_session=True, **options)
            self._alive.add(child)
        try:
            with child:
                try:
                    yield child
                except BaseException:
                    _kill(child)
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
                _kill(child)


def _kill(child: "subprocess.Popen[str]") -> None:
    """End a program with all that it has forked; it is alone in its process group, or has ended."""
    if child.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
