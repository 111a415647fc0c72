"""What one PostgreSQL instance is like now: running, or read from its files when it is down.

- A running one tells by itself; a stopped one is read by PostgreSQL's own tools, from the control file and the WAL.
- A timeline's number proves nothing; its history file's content and the grant that told its term do.
"""

import re
import threading

import msgspec

from aerodb.errors import AeroError
from aerodb.kernel.postgres.control import SHUT_DOWN, read_control
from aerodb.kernel.postgres.errors import Unreachable
from aerodb.kernel.postgres.history import read_history
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.process import postmaster
from aerodb.kernel.postgres.session import Seen, Session
from aerodb.kernel.postgres.settings import differing, expected, upstream_in
from aerodb.kernel.postgres.waldump import commits_after, end_of_log
from aerodb.protocol.authority import Standing
from aerodb.protocol.facts import Commit, Instance, State
from aerodb.protocol.lsn import Lsn
from aerodb.rules.position import Noted, lineage_of, position_down, position_running, quorum_down

_SEGMENT = re.compile(r"([0-9A-F]{8})[0-9A-F]{16}")


def _newest_timeline(place: Place) -> int:
    """Return the highest timeline that the data folder has WAL of."""
    names = (_SEGMENT.fullmatch(path.name) for path in (place.data() / "pg_wal").iterdir())
    return max((int(match[1], 16) for match in names if match), default=1)


def _overridden(place: Place, seen: Seen | None, standing: str) -> tuple[str, ...]:
    """Return what was changed behind the agent's back."""
    automatic = (place.data() / "postgresql.auto.conf").read_text(encoding="utf-8", errors="replace")
    drift = (
        []
        if all(not line.strip() or line.startswith("#") for line in automatic.splitlines())
        else ["postgresql.auto.conf"]
    )
    if seen is not None:
        drift += differing(expected(place, standing), seen.settings)
        drift += ["synchronous_commit of a role or database"] if seen.overrides else []
    return tuple(drift)


class Down(msgspec.Struct, frozen=True, kw_only=True):
    """What the files of a node that is down say."""

    system: str
    state: State
    timeline: int
    end: Lsn
    shutdown: Lsn | None
    commits: tuple[Commit, ...]
    checkpoint: Lsn


class Observer:
    """Looks at one instance; changes nothing."""

    def __init__(self, installation: Installation, place: Place, session: Session) -> None:
        """Keep what to look with."""
        self._installation = installation
        self._place = place
        self._session = session
        self._down: tuple[tuple[object, ...], Down] | None = None
        self._reading = threading.Lock()

    def look(self, node: str, standing: Standing, noted: Noted) -> Instance:
        """Return the instance's facts now; `standing` and `noted` are what its agent has durably noted.

        Raises:
            AeroError: the folder or the log cannot be read.
        """
        if postmaster(self._place) is None:
            return self._look_down(node, standing, noted)
        try:
            seen = self._session.look()
        except AeroError as error:
            if postmaster(self._place) is None:
                return self._look_down(node, standing, noted)
            return self._silent(error)
        return self._look_running(standing, seen)

    def _standing_text(self) -> str:
        return (self._place.conf / "standing.conf").read_text(encoding="utf-8")

    def _look_running(self, standing: Standing, seen: Seen) -> Instance:
        place, text = self._place, self._standing_text()
        timeline = max(seen.timeline or 0, _newest_timeline(place)) if seen.recovery else seen.timeline or 0
        lineage = lineage_of(read_history(place.data(), timeline), seen.rows, standing.lineage)
        return Instance(
            system=seen.system,
            folder=place.data().name,
            version=seen.version,
            state=State.RUNNING,
            recovery=seen.recovery,
            position=position_running(lineage, seen.end, seen.rows, standing.followed if seen.recovery else None),
            lineage=lineage,
            quorum=min((row.quorum for row in seen.rows), default=None),
            attached=upstream_in(text),
            restores=bool(seen.settings.get("restore_command")),
            receiver=seen.receiver,
            replayed=seen.replayed,
            senders=seen.senders,
            drift=_overridden(place, seen, text),
            shutdown=None,
            load=seen.load,
            checkpoint=seen.checkpoint,
        )

    def _read_down(self) -> Down:
        """Return what the files say; they are read anew only if they changed, and for all who ask meanwhile."""
        with self._reading:
            return self._read_files()

    def _read_files(self) -> Down:
        data = self._place.data()
        segments = tuple(sorted((entry.name, entry.stat().st_mtime_ns) for entry in (data / "pg_wal").iterdir()))
        mark = (data, (data / "global" / "pg_control").read_bytes(), segments)
        if self._down is None or self._down[0] != mark:
            control = read_control(self._installation, data)
            timeline, end = end_of_log(self._installation, data, control)
            begin = max(control.redo, read_history(data, timeline)[-1][1])
            shut = control.state == SHUT_DOWN  # Nothing is committed after a shutdown's checkpoint.
            segment = control.segment_bytes
            down = Down(
                system=control.system,
                state=State.STOPPED if control.clean else State.CRASHED,
                timeline=timeline,
                end=end,
                shutdown=end if shut else None,
                commits=() if shut else commits_after(self._installation, data, timeline, begin, segment),
                checkpoint=control.redo,
            )
            self._down = mark, down
        return self._down[1]

    def _look_down(self, node: str, standing: Standing, noted: Noted) -> Instance:
        place, text = self._place, self._standing_text()
        down = self._read_down()
        lineage = lineage_of(read_history(place.data(), down.timeline), (), standing.lineage)
        pledged = noted.pledge.position if noted.pledge else None
        position = position_down(lineage, down.end, standing, node, pledged)
        return Instance(
            system=down.system,
            folder=place.data().name,
            version=self._installation.version,
            state=down.state,
            recovery=(place.data() / "standby.signal").exists(),
            position=position,
            lineage=lineage,
            quorum=quorum_down(standing, node, noted, position),
            attached=upstream_in(text),
            restores=False,
            receiver=None,
            replayed=True,
            senders=(),
            drift=_overridden(place, None, text),
            shutdown=down.shutdown,
            load=None,
            commits=down.commits,
            checkpoint=down.checkpoint,
        )

    def _silent(self, error: AeroError) -> Instance:
        """Return what is known of a process that does not answer."""
        if not isinstance(error, Unreachable):
            raise error
        place = self._place
        return Instance(
            system=read_control(self._installation, place.data()).system,
            folder=place.data().name,
            version=self._installation.version,
            state=State.UNREACHABLE,
            recovery=None,
            position=None,
            lineage=(),
            quorum=None,
            attached=upstream_in(self._standing_text()),
            restores=False,
            receiver=None,
            replayed=False,
            senders=(),
            drift=(),
            shutdown=None,
            load=None,
        )
