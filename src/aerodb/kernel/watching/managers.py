"""Which processes on this host manage PostgreSQL, or the host's part in a cluster, by /proc: for people to see.

Nothing is decided by it here. A process is known by the program that it runs; of one that others hide nothing is known.

Source: proc(5).
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

PROC = Path("/proc")
PROGRAMS = frozenset(
    {"patroni", "repmgrd", "pacemakerd", "pacemaker-controld", "crmd", "corosync", "pg_autoctl", "stolon-keeper"}
)
"""The programs that start, stop or promote a PostgreSQL, or decide with others which host does."""
LOOK_EVERY_SECONDS = 10.0
_INTERPRETER = "python"
_WITH_VALUE = frozenset({"-X", "-W", "--check-hash-based-pycs"})


def program_in(arguments: Iterable[str]) -> str | None:
    """Return which of PROGRAMS a process runs, by its command line; None if none.

    Of an interpreter's arguments the first that is no option is its script, or follows `-m`.
    """
    words = iter(arguments)
    first = _base(next(words, ""))
    if first in PROGRAMS:
        return first
    if not first.startswith(_INTERPRETER):
        return None
    for word in words:
        if word in _WITH_VALUE:
            next(words, "")
        elif not word.startswith("-"):
            return _base(word) if _base(word) in PROGRAMS else None
    return None


def _base(word: str) -> str:
    """Return a program's name, without its folder, and without what it says of itself after a colon or a space."""
    return word.rpartition("/")[2].removesuffix(".py").partition(":")[0].partition(" ")[0]


def _running(proc: Path) -> Iterator[tuple[int, str]]:
    for path in proc.iterdir():
        if path.name.isdecimal():
            try:
                line = (path / "cmdline").read_bytes()
            except OSError:
                continue  # It has ended, or is hidden.
            program = program_in(line.decode(errors="replace").split("\0")[:-1])
            if program is not None:
                yield int(path.name), program


def managers_running(proc: Path = PROC) -> tuple[str, ...] | None:
    """Return each process that manages, as "NAME (process ID)"; None if other users' processes are hidden."""
    try:
        if not (proc / "1" / "cmdline").read_bytes():
            return None
        return tuple(f"{program} (process {pid})" for pid, program in sorted(_running(proc)))
    except OSError:
        return None


class Managers:
    """What manages on this host, looked for no more often than every LOOK_EVERY_SECONDS. Any thread may ask."""

    def __init__(
        self,
        look: Callable[[], tuple[str, ...] | None] = managers_running,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look by calling `look`, but not yet; `clock` counts seconds."""
        self._look, self._clock = look, clock
        self._lock = threading.Lock()
        self._known: tuple[float, tuple[str, ...] | None] | None = None

    def known(self) -> tuple[str, ...] | None:
        """Return what manages; None if that cannot be seen."""
        with self._lock:
            now = self._clock()
            if self._known is None or now - self._known[0] >= LOOK_EVERY_SECONDS:
                self._known = now, self._look()
            return self._known[1]
