"""One PostgreSQL instance, worked through its own binaries and one local connection.

- An upstream is named in the durable settings first, and only then is PostgreSQL told.
- A detached standby's position is final: no receiver process, none that could log in, no restore command, and every
  whole record replayed. The receiver's password is there only while there is an upstream: whatever the startup process
  still believes of its settings, nothing is received any more.
- A base backup is made under a name that is never started, and takes the old folder's place by one rename.

Source: PostgreSQL manual 26 (high availability), 25.3 (base backups).
"""

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from aerodb.errors import AeroError
from aerodb.kernel.durable import sync_folder, write_durably
from aerodb.kernel.postgres import process, settings
from aerodb.kernel.postgres.children import Children
from aerodb.kernel.postgres.copying import CopyLayout, ask_source, layout_of, refuse_unfit
from aerodb.kernel.postgres.errors import (
    DetachUnfinished,
    FolderBroken,
    LogUnreadable,
    PromotionUnfinished,
    RoleConflict,
    ServerForeign,
    SettingsNotLive,
    StartFailed,
    StillReceiving,
)
from aerodb.kernel.postgres.identity import draw_identity, read_identity
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.lsns import printed_lsn
from aerodb.kernel.postgres.observation import Observer
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.session import RECEIVING, PostgresSession, has_replayed_all
from aerodb.kernel.postgres.trace import read_trace
from aerodb.protocol.authority import Standing
from aerodb.protocol.events import Trace
from aerodb.protocol.facts import Instance
from aerodb.protocol.lsn import Lsn
from aerodb.rules.position import Noted
from aerodb.rules.serving import Serving

SETTLE_SECONDS_MAX = 30.0
LOCALLY = ("set local synchronous_commit = local", "set local lock_timeout = '30s'")
"""What holds for the transaction that writes a term's row alone."""
TERM_ROW = (
    "insert into aerodb.terms (term, timeline, node, quorum) values (%(term)s, "
    "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int, %(node)s, %(quorum)s)"
)
CHECKPOINT_SECONDS_MAX = 3600.0
COPY_SECONDS_MAX = 24 * 3600.0
NUDGE_POLLS = 20


_COPY_END = re.compile(r"write-ahead log end point: ([0-9A-F]+/[0-9A-F]+)")


def end_of_copy(said: str) -> Lsn:
    """Return where the log of a base backup ends, from what pg_basebackup says of its work.

    Raises:
        LogUnreadable: it does not say so.
    """
    found = _COPY_END.search(said)
    if found is None:
        raise LogUnreadable(f"pg_basebackup does not say where the copy ends: {said.strip()[-300:]}")
    return printed_lsn(found[1])


class Postgres:
    """The instance at `place`; `address_of` tells where a node's PostgreSQL listens (host, port)."""

    def __init__(
        self,
        installation: Installation,
        place: Place,
        address_of: Callable[[str], tuple[str, int]],
        purpose: str = "agent",
    ) -> None:
        """Look at nothing yet; `purpose` is what its one connection tells PostgreSQL that it is for."""
        self._installation = installation
        self._place = place
        self._address_of = address_of
        self._session = PostgresSession(place, installation.major, purpose)
        self._observer = Observer(installation, place, self._session)
        self._children = Children()
        self._copied: str | None = None

    def interrupt(self) -> None:
        """End what may take long: a copy, a checkpoint. None is begun any more; all other waits are short."""
        self._children.end()
        self._session.lasting.end()

    @property
    def running(self) -> bool:
        """Tell whether its process lives."""
        return process.postmaster(self._place) is not None

    @property
    def gone(self) -> bool:
        """Tell whether no process works in the data folder at all, nor is about to."""
        try:
            return not self.running and not process.survivors(self._place)
        except AeroError:
            return True  # There is no folder in which one could.

    def accepts(self) -> bool:
        """Tell whether the postmaster accepts a new connection: then it has taken up what it was sent before."""
        return self._session.accepts()

    def look(self, standing: Standing, noted: Noted) -> Instance:
        """Return the instance's facts now.

        Raises:
            AeroError: the folder or the log cannot be read.
        """
        return self._observer.look(self._place.name, standing, noted)

    @property
    def quorum(self) -> int:
        """Return k, how many standbys must flush a commit, as it is configured."""
        return self._place.quorum

    def identity(self) -> str | None:
        """Return the identity of the data folder in use; None where it cannot be read.

        Raises:
            FolderBroken: there is no such folder.
        """
        return read_identity(self._place.data())

    def serving(self) -> Serving | None:
        """Return what a load balancer is told by; None where it does not run, or does not answer. It reads no log."""
        if not self.running:
            return None
        try:
            return self._session.serving()
        except AeroError:
            return None

    def trace(self) -> Trace:
        """Return what a running PostgreSQL says of itself beyond its facts.

        Raises:
            Unreachable, StatementFailed: it does not answer, or not so.
        """
        return read_trace(self._session)

    def _owner(self) -> tuple[int, int] | None:
        account = self._installation.account
        return account.owner if account else None

    def _write(self, path: Path, text: str) -> None:
        write_durably(path, text.encode(), self._owner())

    def _name_upstream(self, upstream: str | None) -> str:
        """Write the upstream durably; return the primary_conninfo that must then be in force."""
        where = (upstream, *self._address_of(upstream)) if upstream else None
        self._let_receiver_log_in(allowed=upstream is not None)
        text = settings.standing_text(self._place, where)
        self._write(self._place.conf / "standing.conf", text)
        return settings.expected(self._place, text)["primary_conninfo"]

    def _let_receiver_log_in(self, *, allowed: bool) -> None:
        if allowed:
            line = settings.passfile_line(self._place.name, self._place.replication_secret.read_text(encoding="ascii"))
            self._write(self._place.passfile, line)
        else:
            self._place.passfile.unlink(missing_ok=True)
            sync_folder(self._place.conf)

    def _take_up(self, conninfo: str) -> None:
        """Make a running PostgreSQL take up the settings, and see that it did."""
        process.reload(self._place)

        def live() -> bool:
            return bool(
                self._session.run("select current_setting('primary_conninfo') = %(c)s as it", {"c": conninfo})[0]["it"]
            )

        if not process.wait_until(live, SETTLE_SECONDS_MAX):
            raise SettingsNotLive(f"PostgreSQL of {self._place.name} has not taken up its upstream")

    def detach(self) -> None:
        """Cut the receiver, and return when nothing is received any more and every whole record is replayed.

        One that is down receives nothing; it is then detached once it starts.

        Raises:
            SettingsNotLive, DetachUnfinished: not in time.
        """
        if not self.running:
            self._name_upstream(None)
            return
        self._take_up(self._name_upstream(None))

        def settled() -> bool:
            return has_replayed_all(self._session.run(RECEIVING)[0])

        if not process.wait_until(settled, SETTLE_SECONDS_MAX):
            raise DetachUnfinished(f"{self._place.name} still receives, or has not replayed all that it received")

    def attach(self, upstream: str) -> None:
        """Name the upstream in the durable settings; a PostgreSQL that is down becomes a standby by its signal file.

        Raises:
            SettingsNotLive: a running one did not take it up in time.
        """
        if self.running:
            self._take_up(self._name_upstream(upstream))
            return
        self._write(self._place.data() / "standby.signal", "")
        self._name_upstream(upstream)

    def checkpoint(self) -> None:
        """Run a CHECKPOINT.

        Raises:
            Unreachable, StatementFailed: it failed, has not ended in CHECKPOINT_SECONDS_MAX, or the agent is ending.
        """
        self._session.lasting.run("checkpoint", CHECKPOINT_SECONDS_MAX)

    def stop(self) -> None:
        """Shut PostgreSQL down cleanly.

        Raises:
            NotRunning, StopUnfinished: see `process.stop`.
        """
        self._session.close()
        process.stop(self._place)

    def start(self, *, standby: bool) -> None:
        """Start PostgreSQL as what its standing says.

        Raises:
            RoleConflict: the folder would start as something else.
            AlreadyRunning, StartFailed: see `process.start`.
        """
        signal_file = self._place.data() / "standby.signal"
        if standby and not signal_file.exists():
            self._write(signal_file, "")
        if signal_file.exists() and not standby:
            raise RoleConflict(f"the folder of {self._place.name} would not start as the standing says")
        self._session.close()  # A connection to a server that died before says nothing of this one.
        process.start(self._installation, self._place)
        try:
            self._session.refuse_foreign()
        except ServerForeign as error:
            raise StartFailed(error.message, executed="unknown") from error

    def promote(self) -> None:
        """Promote, and return when PostgreSQL is out of recovery.

        A promotion that arrives just as the startup process begins to wait would sleep a full retry interval; a
        reload wakes it, so one is sent again and again while waiting.

        Raises:
            StillReceiving: it is attached.
            PromotionUnfinished: not in time.
        """
        if settings.upstream_in((self._place.conf / "standing.conf").read_text(encoding="utf-8")):
            raise StillReceiving(f"{self._place.name} is still attached")
        self._session.run("select pg_promote(false)")
        polls = 0

        def out() -> bool:
            nonlocal polls
            polls += 1
            if polls % NUDGE_POLLS == 0:
                process.reload(self._place)
            return not self._session.run("select pg_is_in_recovery() as it")[0]["it"]

        if not process.wait_until(out, SETTLE_SECONDS_MAX, 0.001):
            raise PromotionUnfinished(f"{self._place.name} has not left recovery in time", executed="unknown")

    def write_term(self, term: int, quorum: int) -> Lsn:
        """Write the term's row, waiting for no standby, and return the log's end after it.

        Raises:
            Unreachable, StatementFailed: PostgreSQL does not answer, or refuses.
        """
        row = {"term": term, "node": self._place.name, "quorum": quorum}
        self._session.run_together(*((statement, {}) for statement in LOCALLY), (TERM_ROW, row))
        return Lsn.parse(self._session.run("select pg_current_wal_flush_lsn()::text as it")[0]["it"])

    def _current(self) -> Path | None:
        try:
            return self._place.data()
        except FolderBroken:
            return None

    def _ending(self) -> bool:
        return self._children.ended

    def _laid_out(self, upstream: str, beside: Path) -> CopyLayout:
        """Return where a copy's parts go that is made at `beside`, once it is known to fit.

        Raises:
            CopyUnfit: there is no room for it, or the source does not say what it holds.
        """
        conninfo = settings.copy_conninfo(self._place, *self._address_of(upstream))
        source = ask_source(conninfo, self._place.replication_secret.read_text(encoding="ascii"), self._ending)
        layout = layout_of(source, beside, self._current())
        refuse_unfit(source, self._place.home, layout)
        return layout

    def fits(self, upstream: str) -> None:
        """Return where a copy of the upstream's data folder has room; nothing is begun.

        Raises:
            CopyUnfit: see `copying.refuse_unfit`.
        """
        self._laid_out(upstream, self._place.home / "data-asked")

    def copy(self, upstream: str) -> Lsn:
        """Make a new data folder from the upstream, durable and finished, not in use; return where its log ends.

        Raises:
            CommandFailed: pg_basebackup failed; what it left is named .partial and is never started.
            LogUnreadable: it does not say where the copy's log ends.
            CopyUnfit: it has no room, and was not begun.
        """
        host, port = self._address_of(upstream)
        finished = self._place.home / f"data-{self._place.next_number():04d}"
        # The name is this attempt's alone: whatever an earlier one may still write, it writes elsewhere.
        attempt = f"{finished.name}.{secrets.token_hex(8)}"
        partial = finished.with_name(f"{attempt}.partial")
        layout = self._laid_out(upstream, finished.with_name(attempt))
        if layout.log is not None:
            layout.log.mkdir(mode=0o700)
            if self._installation.account:
                os.chown(layout.log, *self._installation.account.owner)
        ended = self._installation.run(
            "pg_basebackup", "--verbose", "-D", partial, "-d", settings.copy_conninfo(self._place, host, port),
            "-X", "stream", "-c", "fast", "--no-manifest", *layout.arguments, timeout_seconds=COPY_SECONDS_MAX,
            environment={"PGPASSWORD": self._place.replication_secret.read_text(encoding="ascii")},
            among=self._children,
        )  # fmt: skip
        end = end_of_copy(ended.error)
        write_durably(partial / "standby.signal", b"", self._owner())
        draw_identity(partial, self._owner())  # It came with the source's.
        partial.replace(finished)
        sync_folder(self._place.home)
        self._copied = finished.name
        return end

    def swap(self) -> None:
        """Make the folder that was copied last the one in use, by one rename.

        Raises:
            FolderBroken: this process has copied none.
        """
        if self._copied is None:
            raise FolderBroken(f"nothing was copied into {self._place.home} that could be put in use")
        beside = self._place.home / ".data.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(self._copied)
        beside.replace(self._place.link)
        sync_folder(self._place.home)
