"""The facts of one PostgreSQL instance: asked of it while it runs, read from its files while it is down.

- The control file and the WAL of a stopped one are read with PostgreSQL's own tools.
- A timeline's number proves nothing; the content of its history file, and the grant that gave its term, do.
- Facts come in parts: a part that cannot be read is unknown, and the reason is named. It hides no other part.
"""

import re
import threading
from contextlib import suppress

import msgspec

from aerodb.errors import AeroError, writable
from aerodb.kernel.postgres.configured import configured_of
from aerodb.kernel.postgres.control_file import SHUT_DOWN, ControlFile
from aerodb.kernel.postgres.filed import too_low
from aerodb.kernel.postgres.history import History, read_history
from aerodb.kernel.postgres.identity import read_identity
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.keeping import Folders
from aerodb.kernel.postgres.parts import Parts
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.process import is_stopping, postmaster, stranger
from aerodb.kernel.postgres.reading import read_control_file
from aerodb.kernel.postgres.session import PostgresSeen, PostgresSession
from aerodb.kernel.postgres.settings import DEFAULTS, differing, expected, upstream_in
from aerodb.kernel.postgres.sizes import Unused
from aerodb.kernel.postgres.waldump import beginning, commits_after, end_of_wal, readable_from
from aerodb.protocol.authority import Branch, Position, Standing
from aerodb.protocol.facts import Commit, Instance, SettingsFiles, State
from aerodb.protocol.keeping import NOTHING_SEEN, Keeping
from aerodb.protocol.lsn import Lsn
from aerodb.rules.condition import SETTINGS
from aerodb.rules.gate import IN_RECOVERY
from aerodb.rules.position import Noted, is_of, lineage_of, position_down, position_running, quorum_down, told_of, voted

_SEGMENT = re.compile(r"([0-9A-F]{8})[0-9A-F]{16}")
BRANCHES_MIN = 2
"""The number of timelines from which the last one's origin is read; a cluster's first timeline needs no origin."""
COMMITS_BYTES_MAX = 64 << 20
"""How much WAL is read for the last commits after a clean shutdown."""


def _newest_timeline(place: Place) -> int:
    """Return the highest timeline of which the data folder has WAL."""
    names = (_SEGMENT.fullmatch(path.name) for path in (place.data() / "pg_wal").iterdir())
    return max((int(match[1], 16) for match in names if match), default=1)


class Down(msgspec.Struct, frozen=True, kw_only=True):
    """What the files of a stopped node say; None is unknown."""

    control_file: ControlFile | None
    timeline: int
    end: Lsn | None
    history: History
    commits: tuple[Commit, ...] | None
    commits_since: Lsn | None
    damage: tuple[str, ...]

    @property
    def state(self) -> State:
        """Return how PostgreSQL ended: stopped or crashed; unreadable if the files do not tell."""
        if self.control_file is None or self.end is None:
            return State.UNREADABLE
        return State.STOPPED if self.control_file.clean else State.CRASHED

    @property
    def shutdown(self) -> Lsn | None:
        """Return the end of the shutdown checkpoint's record; None if it was not a clean shutdown as a primary."""
        return self.end if self.control_file is not None and self.control_file.state == SHUT_DOWN else None


class Observer:
    """Looks at one instance; changes nothing."""

    def __init__(self, installation: Installation, place: Place, session: PostgresSession) -> None:
        """Keep what to look with."""
        self._installation = installation
        self._place = place
        self._session = session
        self._configured = configured_of(installation, place)
        self._unused = Unused(place)
        self._down: tuple[tuple[object, ...], Down] | None = None
        self._shut: tuple[Down, tuple[tuple[Commit, ...] | None, Lsn | None]] | None = None
        self._reading = threading.Lock()
        self._folders = Folders()
        self._origins: dict[tuple[str, int, Lsn], str] = {}

    def look(self, node: str, standing: Standing, noted: Noted) -> Instance:
        """Return the instance's facts now; `standing` and `noted` are what its agent has recorded durably."""
        seen, parts = self._look(node, standing, noted), Parts()
        unused = parts.read("unused folders", self._unused.list) or ()
        return msgspec.structs.replace(seen, unused=unused, damage=(*seen.damage, *parts.damage))

    def _look(self, node: str, standing: Standing, noted: Noted) -> Instance:
        if postmaster(self._place) is None:
            return self._look_absent(node, standing, noted)
        stopping = is_stopping(self._place)
        try:
            seen = self._session.look()
        except AeroError as error:
            if postmaster(self._place) is None:
                return self._look_absent(node, standing, noted)
            return self._silent(error.message)
        return self._look_running(standing, seen, stopping=stopping or is_stopping(self._place))

    def _folder(self) -> str:
        """Return the name of the data folder in use; empty if there is none."""
        try:
            return self._place.link.readlink().name
        except OSError:
            return ""

    def _identity(self) -> str | None:
        try:
            return read_identity(self._place.data())
        except AeroError:
            return None

    def _kept(self, keeping: Keeping) -> Keeping:
        try:
            return self._folders.kept(keeping, self._place.data())
        except AeroError:
            return keeping

    def _standing_text(self) -> str:
        return (self._place.conf / "standing.conf").read_text(encoding="utf-8")

    def _origin(self, identity: str | None, lineage: tuple[Branch, ...]) -> str | None:
        """Return what the last timeline begins with, if its term is unknown; it is read once and cached."""
        if identity is None or len(lineage) < BRANCHES_MIN or lineage[-1].term is not None:
            return None
        last = lineage[-1]
        key = identity, last.timeline, last.begin
        if key not in self._origins:
            found = Parts().read("origin", lambda: self._read_origin(last))
            if found is None:
                return None
            self._origins[key] = found
        return self._origins[key]

    def _read_origin(self, last: Branch) -> str | None:
        data = self._place.data()
        segment_bytes = read_control_file(self._installation, data).segment_bytes
        return beginning(self._installation, data, last.timeline, last.begin, segment_bytes)

    def read_ahead(self) -> None:
        """Read what a look at the stopped instance needs and takes long: so no look does while writes stand still.

        Where it cannot be read, that look says so.
        """
        with suppress(AeroError, OSError):
            self._would_start_with()

    # Running ----------------------------------------------------------------------------------------------------

    def _look_running(self, standing: Standing, seen: PostgresSeen, *, stopping: bool) -> Instance:
        parts = Parts()
        parts.damage += seen.damage
        timeline = seen.timeline or 0
        if seen.recovery:
            timeline = max(timeline, parts.read("WAL", lambda: _newest_timeline(self._place)) or 0)
        history = parts.read("history", lambda: read_history(self._place.data(), timeline)) if timeline else None
        text = parts.read(SETTINGS, self._standing_text)
        identity = self._identity()
        lineage = lineage_of(history or (), seen.rows or (), told_of(standing, identity))
        position = _position(lineage[-1].timeline, seen, standing, lineage) if lineage else None
        return Instance(
            system=seen.system,
            folder=self._folder(),
            version=seen.version,
            state=State.RUNNING,
            recovery=seen.recovery,
            position=voted(position, standing, identity) if position else None,
            lineage=lineage,
            quorum=None if standing.weakened else min((row.quorum for row in seen.rows or ()), default=None),
            attached=upstream_in(text or ""),
            restores=bool(seen.settings.get("restore_command")),
            receiver=seen.receiver,
            replayed=seen.replayed,
            senders=seen.senders,
            drift=() if text is None else self._drift(seen, text),
            shutdown=None,
            load=seen.load,
            checkpoint=seen.checkpoint,
            identity=identity,
            damage=tuple(parts.damage),
            started=seen.started,
            stopping=stopping,
            origin=self._origin(identity, lineage),
            keeping=self._kept(seen.keeping),
            files=self._files(seen, text),
            carrying=seen.carrying,
        )

    def _files(self, seen: PostgresSeen, standing: str | None) -> SettingsFiles | msgspec.UnsetType:
        """Return what the settings files hold now; UNSET if that cannot be read."""
        found = seen.files
        if found is None or standing is None:
            return msgspec.UNSET
        chosen, data = found["chosen"], self._place.data()
        try:
            low = too_low(chosen, read_control_file(self._installation, data).least) if chosen else ()
        except AeroError:
            return msgspec.UNSET
        return SettingsFiles(
            loaded=found["loaded"],
            faults=tuple(map(writable, found["faults"])),
            drift=differing(expected(self._place, standing), DEFAULTS | seen.filed),
            pending=tuple(found["pending"]),
            low=tuple(map(writable, low)),
        )

    def _drift(self, seen: PostgresSeen, standing: str) -> tuple[str, ...]:
        """Return the settings changed behind the agent's back, whether in force or in a file for the next reload."""
        wanted = expected(self._place, standing)
        changed = {*differing(wanted, seen.settings), *differing(wanted, DEFAULTS | seen.filed)}
        weaker = ["synchronous_commit of a role or database"] if seen.overrides else []
        return (*sorted(changed), *weaker)

    # Down -------------------------------------------------------------------------------------------------------

    def _read_down(self) -> Down:
        """Return what the files say. They are read again only if they changed, and once for all concurrent callers."""
        with self._reading:
            mark = self._mark()
            if self._down is None or mark is None or self._down[0] != mark:
                self._down = mark or (), self._read_files()
            return self._down[1]

    def _mark(self) -> tuple[object, ...] | None:
        """Return a value that changes whenever the control file or the WAL does; None if they cannot be read."""
        try:
            data = self._place.data()
            segments = tuple(sorted((entry.name, entry.stat().st_mtime_ns) for entry in (data / "pg_wal").iterdir()))
            return data, (data / "global" / "pg_control").read_bytes(), segments
        except (AeroError, OSError):
            return None

    def _read_files(self) -> Down:
        parts, installation = Parts(), self._installation
        data = parts.read("data folder", lambda: installation.own_data(self._place.data()))
        control_file = (
            parts.read("control file", lambda: read_control_file(installation, data)) if data is not None else None
        )
        if data is None or control_file is None:
            return Down(
                control_file=None,
                timeline=0,
                end=None,
                history=(),
                commits=None,
                commits_since=None,
                damage=tuple(parts.damage),
            )
        timeline, end = parts.read("WAL", lambda: end_of_wal(installation, data, control_file)) or (
            control_file.timeline,
            None,
        )
        history = parts.read("history", lambda: read_history(data, timeline)) or ()
        commits: tuple[Commit, ...] | None = None
        begin = max(control_file.redo, history[-1][1]) if history else control_file.redo
        if history and end is not None and control_file.state != SHUT_DOWN:
            commits = parts.read(
                "commits", lambda: commits_after(installation, data, timeline, begin, control_file.segment_bytes)
            )
        return Down(
            control_file=control_file,
            timeline=timeline,
            end=end,
            history=history,
            commits=commits,
            commits_since=None if commits is None else begin,
            damage=tuple(parts.damage),
        )

    def _look_absent(self, node: str, standing: Standing, noted: Noted) -> Instance:
        """Return the facts of a node without a visible server: it is down, unless a server may be there unseen."""
        unseen = stranger(self._place)
        return self._silent(unseen) if unseen else self._look_down(node, standing, noted)

    def _read_shut(self, down: Down) -> tuple[tuple[Commit, ...] | None, Lsn | None]:
        """Return the last commits after a clean shutdown, and the position from which the WAL was read; read once.

        A demotion must not wait for it, so it is not called while a primary steps down, nor once its pledge tells its
        position.
        """
        with self._reading:
            if self._shut is None or self._shut[0] is not down:
                self._shut = down, self._last_commits(down)
            return self._shut[1]

    def _last_commits(self, down: Down) -> tuple[tuple[Commit, ...] | None, Lsn | None]:
        control_file, end = down.control_file, down.end
        if control_file is None or end is None or not down.history:
            return None, None
        timeline, begin = down.history[-1]
        wanted = max(begin, Lsn(max(end.value - COMMITS_BYTES_MAX, 0)))

        def read() -> tuple[tuple[Commit, ...], Lsn]:
            data = self._place.data()
            since = readable_from(data, timeline, wanted, end, control_file.segment_bytes)
            return commits_after(self._installation, data, timeline, since, control_file.segment_bytes), since

        return Parts().read("commits", read) or (None, None)

    def _look_down(self, node: str, standing: Standing, noted: Noted) -> Instance:
        parts, down = Parts(), self._read_down()
        parts.damage += down.damage
        text = parts.read(SETTINGS, self._standing_text) or ""
        identity = self._identity()
        configured = parts.read(SETTINGS, self._would_start_with)
        lineage = lineage_of(down.history, (), told_of(standing, identity))
        pledged = noted.pledge.position if noted.pledge else None
        position = position_down(lineage, down.end, standing, node, pledged) if lineage and down.end else None
        commits, since = down.commits, down.commits_since
        stepping_down = standing.role == "primary" and not standing.halted
        if commits is None and not stepping_down and (position is None or position != pledged):
            commits, since = self._read_shut(down)
        return Instance(
            system=down.control_file.system if down.control_file else "",
            folder=self._folder(),
            version=self._installation.version,
            state=down.state,
            recovery=parts.read("data folder", self._would_recover),
            position=voted(position, standing, identity) if position else None,
            lineage=lineage,
            quorum=quorum_down(standing, node, noted, position)
            if position and is_of(standing, identity) and not standing.weakened
            else None,
            attached=upstream_in(text),
            restores=bool((configured or {}).get("restore_command")),
            receiver=None,
            replayed=True,
            senders=(),
            drift=differing(expected(self._place, text), configured) if configured is not None else (),
            shutdown=down.shutdown,
            load=None,
            commits=commits,
            commits_since=since,
            checkpoint=down.control_file.redo if down.control_file else None,
            identity=identity,
            served=self._served(down.control_file),
            origin=self._origin(identity, lineage),
            damage=tuple(dict.fromkeys(parts.damage)),
            keeping=self._kept(NOTHING_SEEN),
        )

    def _served(self, control_file: ControlFile | None) -> bool | None:
        """Tell whether PostgreSQL last used the folder out of recovery; a copy that was never started counts as not."""
        if control_file is None:
            return None
        return control_file.state not in IN_RECOVERY and not (self._place.data() / "backup_label").exists()

    def _would_start_with(self) -> dict[str, str]:
        return self._configured.read(self._place.data())

    def _would_recover(self) -> bool:
        return (self._place.data() / "standby.signal").exists()

    # Neither ----------------------------------------------------------------------------------------------------

    def _silent(self, why: str) -> Instance:
        """Return what is known of a process that does not answer, or cannot be inspected."""
        parts = Parts()
        parts.damage.append(f"process: {why}")
        control_file = parts.read("control file", lambda: read_control_file(self._installation, self._place.data()))
        return Instance(
            system=control_file.system if control_file else "",
            folder=self._folder(),
            version=self._installation.version,
            state=State.UNREACHABLE,
            recovery=None,
            position=None,
            lineage=(),
            quorum=None,
            attached=upstream_in(parts.read(SETTINGS, self._standing_text) or ""),
            restores=False,
            receiver=None,
            replayed=False,
            senders=(),
            drift=(),
            shutdown=None,
            load=None,
            identity=self._identity(),
            damage=tuple(parts.damage),
            stopping=is_stopping(self._place),
            keeping=self._kept(NOTHING_SEEN),
        )


def _position(timeline: int, seen: PostgresSeen, standing: Standing, lineage: tuple[Branch, ...]) -> Position:
    """Return the end of a running node's WAL; its term is unknown if the rows of the terms cannot be read."""
    if seen.rows is None:
        return Position(term=None, bound=None, timeline=timeline, lsn=seen.end)
    return position_running(lineage, seen.end, seen.rows, standing.followed if seen.recovery else None)
