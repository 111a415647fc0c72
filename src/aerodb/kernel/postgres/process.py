"""The postmaster: telling whether it runs, starting it, stopping it, making it reload.

- PostgreSQL survives its agent: pg_ctl puts it into a session of its own, or the service manager into its own unit.
- A stop is finished when the process is gone, a start when PostgreSQL says that it is ready.
- Every wait is for a condition that is polled often, and is bounded in time.

Source: PostgreSQL manual 18.3, 18.5 and pg_ctl; miscadmin.h (the lines of postmaster.pid).
"""

import os
import select
import shlex
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from aerodb.kernel.postgres import unit
from aerodb.kernel.postgres.errors import AlreadyRunning, NotRunning, StartFailed, StopUnfinished
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.settings import given

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 60.0
COLLECTED_SECONDS_MAX = 10.0
POLL_SECONDS = 0.002
_STARTERS = {"postgres", "pg_ctl", "setpriv", "systemd-run"}
_SHUTS_DOWN = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def wait_until(condition: Callable[[], bool], seconds_max: float, poll_seconds: float = POLL_SECONDS) -> bool:
    """Poll until `condition` holds; return whether it did in time."""
    end = time.monotonic() + seconds_max
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(poll_seconds)
    return True


def _lines_in(folder: Path) -> list[str]:
    """Return the lines of a data folder's lock file; none if there is no such file.

    Raises:
        PermissionError: it cannot be read.
    """
    try:
        return (folder / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def _pid_in(folder: Path) -> int | None:
    """Return the process id in a data folder's lock file; the process may be gone, or another one by now.

    Raises:
        PermissionError: it cannot be read.
    """
    lines = _lines_in(folder)
    return abs(int(lines[0])) if lines and lines[0].lstrip("-").isdigit() else None


def _pid_lines(place: Place) -> list[str]:
    try:
        return _lines_in(place.link)
    except PermissionError:
        return []


def _named_pid(place: Place) -> int | None:
    try:
        return _pid_in(place.link)
    except PermissionError:
        return None


def _is_dead(pid: int) -> bool:
    """Tell whether a process is a zombie: it has ended, but its parent has not collected it yet.

    Raises:
        FileNotFoundError, ProcessLookupError: it is not even listed.
    """
    said = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return said.rpartition(")")[2].split()[0] == "Z"


def postmaster(place: Place) -> int | None:
    """Return the process id of a living postmaster that works in the data folder in use; None if there is none."""
    pid = _named_pid(place)
    if pid is None:
        return None
    try:
        works = os.path.samestat(Path(f"/proc/{pid}/cwd").stat(), place.data().stat())
        dead = _is_dead(pid)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None  # It is gone, or its number is now another user's process, which `stranger` finds.
    return pid if not dead and works else None


def stranger(place: Place) -> str:
    """Return why a server may work with the node's data although `postmaster` finds none.

    Empty if certainly none does.
    """
    for folder in (place.link, *place.folders().values()):
        try:
            pid = _pid_in(folder)
        except PermissionError:
            return f"{folder / 'postmaster.pid'} cannot be read"
        if pid is not None and _may_be_server(pid, folder):
            return f"the process {pid}, which {folder.name} names, cannot be looked into, or uses a folder not in use"
    with socket.socket(socket.AF_UNIX) as tried:
        if tried.connect_ex(f"\0{place.socket[1:]}/.s.PGSQL.{place.port}") == 0:
            return "another server answers in its place"
    return ""


def _may_be_server(pid: int, folder: Path) -> bool:
    """Tell whether a process may be a server that works in `folder`: it is one, or cannot be inspected."""
    try:
        if _is_dead(pid):
            return False
        return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
    except PermissionError:
        return _named(pid) in {"", "postgres"}
    except (FileNotFoundError, ProcessLookupError):
        return _lives_unseen(pid)


def _named(pid: int) -> str:
    """Return the name of a process's program; empty if that cannot be told."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _lives_unseen(pid: int) -> bool:
    """Tell whether a process lives although the system does not list it for this user."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _collected(place: Place) -> bool:
    """Tell whether no zombie postmaster is left; PostgreSQL takes it for alive, and would not start.

    A killed postmaster stays a zombie until the system's first process collects it, which may take seconds.
    """
    pid = _named_pid(place)
    try:
        return pid is None or not _is_dead(pid)
    except (FileNotFoundError, ProcessLookupError):
        return True


def says_ready(place: Place) -> bool:
    """Tell whether the postmaster says that it accepts connections."""
    lines = _pid_lines(place)
    return len(lines) >= 8 and lines[7].strip() == "ready"


def is_stopping(place: Place) -> bool:
    """Tell whether the postmaster is shutting down, or has a pending signal to do so.

    For an instant after it took the signal, neither shows. To be sure, open a connection afterwards: a postmaster acts
    on its signals before it accepts the next connection.
    """
    lines, pid = _pid_lines(place), _named_pid(place)
    if len(lines) >= 8 and lines[7].strip() == "stopping":
        return True
    try:
        said = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    pending = (int(line.split()[1], 16) for line in said.splitlines() if line.startswith(("SigPnd:", "ShdPnd:")))
    return any(mask & (1 << (number - 1)) for mask in pending for number in _SHUTS_DOWN)


def survivors(place: Place) -> bool:
    """Tell whether any process works in the data folder, or is about to, even without a postmaster.

    A promotion or a start may be under way there although the folder names no living postmaster.
    """
    if unit.may_start(place):
        return True
    data = place.data().resolve()
    named = str(data).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            works = (entry / "cwd").readlink() == data and not _is_dead(int(entry.name))
        except OSError:
            continue
        if works or (Path(os.fsdecode(words[0])).name in _STARTERS and named in words):
            return True
    return False


def start(installation: Installation, place: Place) -> None:
    """Start PostgreSQL and return when it accepts connections.

    Raises:
        AlreadyRunning: it runs, or may run unseen.
        StartFailed: it ended, or was not ready in time; the message ends with the end of its server log. It says "not
            executed" only if the process is gone and never said that it was ready.
    """
    if postmaster(place) is not None:
        raise AlreadyRunning(f"PostgreSQL of {place.name} runs already")
    unseen = stranger(place)
    if unseen:
        raise AlreadyRunning(f"PostgreSQL of {place.name} may run already: {unseen}")
    wait_until(lambda: _collected(place), COLLECTED_SECONDS_MAX)
    place.log.touch(exist_ok=True)
    if installation.account:
        os.chown(place.log, *installation.account.owner)
    begin = place.log.stat().st_size
    if place.unit:
        unit.start(installation, place)
    else:
        _start_detached(installation, place)
    born = wait_until(lambda: postmaster(place) is not None or _ended(place, begin), 10)
    ready = born and _becomes_ready(place)
    gone = postmaster(place) is None
    if not ready or gone:
        never = born and gone and not ready
        raise StartFailed(
            f"PostgreSQL of {place.name} is not ready: {_log_end(place, begin)}",
            executed="not executed" if never else "unknown",
        )


def _start_detached(installation: Installation, place: Place) -> None:
    """Have pg_ctl start PostgreSQL, in a session of its own.

    Raises:
        CommandFailed: it failed.
    """
    data = place.data()
    options = shlex.join(given(place, data))  # pg_ctl hands the options to a shell.
    # pg_ctl passes folder and log to a shell in double quotes, where characters of a path could be special: so none is.
    log = os.path.relpath(place.log.parent.resolve() / place.log.name, data)
    installation.run(
        "pg_ctl", "start", "-W", "-s", "-D", ".", "-l", log, "-o", options, timeout_seconds=30, folder=data
    )


def _becomes_ready(place: Place) -> bool:
    """Wait until PostgreSQL is ready or gone, or time is up; return whether it said that it is ready."""
    seen = False

    def over() -> bool:
        nonlocal seen
        seen = says_ready(place)
        return seen or postmaster(place) is None

    wait_until(over, START_SECONDS_MAX)
    return seen


def _ended(place: Place, begin: int) -> bool:
    """Tell whether PostgreSQL gave up, by a FATAL line in its server log."""
    return "FATAL" in _log_end(place, begin)


def _log_end(place: Place, begin: int) -> str:
    with place.log.open("rb") as file:
        file.seek(max(begin, place.log.stat().st_size - 1500))
        return file.read().decode(errors="replace").strip()


def stop(place: Place) -> None:
    """Shut PostgreSQL down in fast mode, and return when its process is gone.

    Raises:
        NotRunning: it does not run.
        StopUnfinished: it has not exited in time; the shutdown goes on by itself.
    """
    pid = postmaster(place)
    if pid is None:
        raise NotRunning(f"PostgreSQL of {place.name} does not run")
    watched = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(watched, signal.SIGINT)
        gone = select.select([watched], [], [], STOP_SECONDS_MAX)[0]
    finally:
        os.close(watched)
    if not gone:
        raise StopUnfinished(
            f"PostgreSQL of {place.name} has not shut down within {STOP_SECONDS_MAX:.0f} s", executed="unknown"
        )


def reload(place: Place) -> None:
    """Tell a running PostgreSQL to read its settings again, without waiting for it.

    Raises:
        NotRunning: it does not run.
    """
    pid = postmaster(place)
    if pid is None:
        raise NotRunning(f"PostgreSQL of {place.name} does not run")
    os.kill(pid, signal.SIGHUP)
