"""Programs that an operation runs: none outlives its agent, and long-running ones are ended when the agent ends.

- If `setpriv` is installed, the operating system ends a program at the moment its agent dies.
- Processes that a program forks end with it: pg_basebackup forks one that receives WAL.
- PostgreSQL's server is not among them: it goes on without its agent.

Source: prctl(2), PR_SET_PDEATHSIG: it survives exec but not fork, so it never reaches the server.
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


_WITH_ALL_IT_FORKED = """trap 'kill -9 0' TERM; "$@" & wait $! 2>/dev/null
code=$?; [ $code -le 128 ] || { trap '' TERM; kill -TERM 0; }; exit $code"""
"""A shell that leads a process group: at SIGTERM, sent when its parent dies, it kills the whole group and itself.

A program that somebody killed could not end what it had forked, which would hold its output open, and be waited for. A
shell says that a program was killed: nobody may read that any more, so that saying it would be the shell's own end.
"""


def group_bound_to_parent(command: Sequence[str]) -> list[str]:
    """Wrap a command so that it is killed, with all that it forked, when the process that runs it dies.

    It must lead a process group of its own, because its whole group is killed. Without `setpriv` it is not wrapped.
    """
    if not _SETPRIV:
        return list(command)
    return [_SETPRIV, "--pdeathsig", "TERM", "--", "/bin/sh", "-c", _WITH_ALL_IT_FORKED, "sh", *command]


def bound_to_parent(command: Sequence[str]) -> list[str]:
    """Wrap a command so that it is killed when the process that runs it dies, if `setpriv` is installed."""
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
        """Start a program; kill it if the block is left by an exception.

        Raises:
            CommandFailed: the agent is ending, so nothing is started any more.
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
        """Tell whether the agent is ending, so that no program may start any more."""
        return self._ended

    def end(self) -> None:
        """Kill the programs that run, and let none start any more."""
        with self._lock:
            self._ended = True
            for child in self._alive:
                _kill(child)


def _kill(child: "subprocess.Popen[str]") -> None:
    """Kill a program with all that it forked, by its process group, unless it has ended."""
    if child.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
