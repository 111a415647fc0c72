"""What PostgreSQL waits for, by its processes' titles: PostgreSQL itself is asked nothing.

While it shuts down or recovers it answers no question, but its processes go on saying in their titles what they do, for
everybody on the host to read. It is for people who wait: nothing is decided by it, and what cannot be read is left out.

Source: PostgreSQL manual 27.1 (titles); xlog.c, `update_checkpoint_display`; proc(5), /proc/pid/io.
"""

import re
from pathlib import Path
from typing import NamedTuple

from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.process import postmaster
from aerodb.rules.replaying import sized

_SESSION = re.compile(r"(?!walsender |autovacuum worker |logical replication )\S+ \S+ (\[local\]|\S+\(\d+\))( .*)?")
_RECEIVER = re.compile(r"walsender (\S+) \S+( streaming ([0-9A-F]+/[0-9A-F]+))?.*")
_RECOVERS = re.compile(r"startup .*?(recovering|waiting for) ([0-9A-F]{24})")
_NODE = "aerodb_"
"""What a node's replication role begins with."""


class ServerProcess(NamedTuple):
    """One of PostgreSQL's processes, and what its title says."""

    pid: int
    title: str


def server_processes(place: Place) -> tuple[ServerProcess, ...]:
    """Return the processes of a node's PostgreSQL that can be seen, in the order of their beginning."""
    pid = postmaster(place)
    if pid is None:
        return ()
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return ()
    found = (ServerProcess(int(child), _title(place, int(child))) for child in children)
    return tuple(each for each in found if each.title)


def _title(place: Place, pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
    return words.rstrip("\0 ").removeprefix("postgres: ").removeprefix(f"{place.name}: ")


def checkpointer_of(place: Place) -> int | None:
    """Return the process that writes a node's pg checkpoints; None if none is seen."""
    return next((each.pid for each in server_processes(place) if each.title.startswith("checkpointer")), None)


def written_bytes(pid: int | None) -> int | None:
    """Return how many bytes a process has written since it began; None if this one may not know."""
    try:
        said = Path(f"/proc/{pid}/io").read_text(encoding="ascii")
    except OSError:
        return None
    return next((int(line.split()[1]) for line in said.splitlines() if line.startswith("wchar:")), None)


def still_there(found: tuple[ServerProcess, ...]) -> str:
    """Return what keeps a PostgreSQL that shuts down, in words; empty if that is not seen."""
    sessions = sum(_SESSION.fullmatch(each.title) is not None for each in found)
    receivers = [match for each in found if (match := _RECEIVER.fullmatch(each.title))]
    parts = [f"{sessions} session{'' if sessions == 1 else 's'}"] if sessions else []
    if any(each.title.startswith("checkpointer performing") for each in found):
        parts.append("the shutdown checkpoint")
    parts += sorted(map(_receiver, receivers))
    return f"still {', '.join(parts)}" if parts else ""


def _receiver(match: re.Match[str]) -> str:
    role, sent = match[1], match[3]
    name = f"the receiver {role.removeprefix(_NODE)}" if role.startswith(_NODE) else "a receiver that is no node"
    return f"{name} (sent {sent})" if sent else name


def recovering(found: tuple[ServerProcess, ...]) -> str:
    """Return which WAL file a PostgreSQL that starts recovers, in words; empty if that is not seen."""
    said = next((match for each in found if (match := _RECOVERS.match(each.title))), None)
    return f"it is {said[1]} the WAL file {said[2]}" if said else ""


def written_since(pid: int | None, before: int | None) -> str:
    """Return how much the checkpointer has written since `before`, in words; empty if that is not known."""
    now = written_bytes(pid)
    return "" if now is None or before is None else f"{sized(max(now - before, 0))} written so far"
