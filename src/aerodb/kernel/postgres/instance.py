"""One PostgreSQL instance, operated through its own programs and one local connection.

Its replication (`replicating`) and its data folders (`folders`) are modules of their own.

Source: PostgreSQL manual 26 (high availability), 25.3 (base backups).
"""

from collections.abc import Callable
from contextlib import suppress

from aerodb.errors import AeroError
from aerodb.kernel.postgres import process, waiting
from aerodb.kernel.postgres.children import Children
from aerodb.kernel.postgres.errors import (
    RoleConflict,
    ServerForeign,
    SettingsNotLive,
    StartFailed,
)
from aerodb.kernel.postgres.folders import DataFolders
from aerodb.kernel.postgres.ground import Ground
from aerodb.kernel.postgres.identity import read_identity
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.observation import Observer
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.replicating import Replicating
from aerodb.kernel.postgres.session import PostgresSession
from aerodb.kernel.postgres.trace import read_trace
from aerodb.protocol.authority import Standing
from aerodb.protocol.events import Trace
from aerodb.protocol.facts import Instance
from aerodb.rules.position import Noted
from aerodb.rules.serving import Serving

CHECKPOINT_SECONDS_MAX = 3600.0
SETTLE_SECONDS_MAX = 30.0


class Postgres:
    """The instance at `place`; `address_of` returns where a node's PostgreSQL listens (host, port)."""

    def __init__(
        self,
        installation: Installation,
        place: Place,
        address_of: Callable[[str], tuple[str, int]],
        purpose: str = "agent",
    ) -> None:
        """Prepare; nothing is looked at yet. `purpose` becomes part of the connection's application_name."""
        self._installation = installation
        self._place = place
        self._session = PostgresSession(place, installation.major, purpose)
        self._observer = Observer(installation, place, self._session)
        self._children = Children()
        ground = Ground(installation, place, self._session, self._children, address_of)
        self._ground = ground
        self.replication = Replicating(ground)
        self.data = DataFolders(ground)

    def interrupt(self) -> None:
        """End what may take long, a copy or a pg checkpoint, and let none begin any more; all other waits are short."""
        self._children.end()
        self._session.lasting.end()

    @property
    def running(self) -> bool:
        """Tell whether the postmaster lives."""
        return process.postmaster(self._place) is not None

    @property
    def gone(self) -> bool:
        """Tell whether no process works in the data folder, or is about to."""
        try:
            return not self.running and not process.survivors(self._place)
        except AeroError:
            return True  # There is no folder that a process could work in.

    def accepts(self) -> bool:
        """Tell whether the postmaster accepts a new connection; then it has acted on all signals sent before."""
        return self._session.accepts()

    def look(self, standing: Standing, noted: Noted) -> Instance:
        """Return the instance's facts now.

        Raises:
            AeroError: the folder or the WAL cannot be read.
        """
        return self._observer.look(self._place.name, standing, noted)

    def make_ready(self) -> None:
        """Have PostgreSQL prepare what an operation asks of it while writes stand still; nothing else is changed.

        Where that cannot be, the operation asks all the same, and takes longer, or says why it cannot.
        """
        with suppress(AeroError):
            self._session.make_ready()

    @property
    def quorum(self) -> int:
        """Return the configured k: how many standbys must flush a commit."""
        return self._place.quorum

    def identity(self) -> str | None:
        """Return the identity of the data folder in use; None if it cannot be read.

        Raises:
            FolderBroken: there is no such folder.
        """
        return read_identity(self._place.data())

    def serving(self) -> Serving | None:
        """Return what the answer to a load balancer rests on; None if PostgreSQL is down or silent. Reads no WAL."""
        if not self.running:
            return None
        try:
            return self._session.serving()
        except AeroError:
            return None

    def trace(self) -> Trace:
        """Return what a running PostgreSQL tells of itself beyond its facts.

        Raises:
            PostgresUnreachable, StatementFailed: PostgreSQL does not answer, or refuses the statement.
        """
        return read_trace(self._session)

    def checkpoint(self) -> None:
        """Run a CHECKPOINT, as before a shutdown; and read ahead what looks need after that.

        Raises:
            PostgresUnreachable: PostgreSQL does not answer.
            StatementFailed: it failed, took longer than CHECKPOINT_SECONDS_MAX, or the agent is ending.
        """
        self._session.lasting.run("checkpoint", CHECKPOINT_SECONDS_MAX)
        self._observer.read_ahead()

    def checkpoint_so_far(self) -> Callable[[object], str]:
        """Return what tells how much the checkpointer has written from now on."""
        pid = waiting.checkpointer_of(self._place)
        before = waiting.written_bytes(pid)
        return lambda _: waiting.written_since(pid, before)

    def stop_waits_for(self) -> str:
        """Return what keeps a PostgreSQL that shuts down, in words."""
        return waiting.still_there(waiting.server_processes(self._place))

    def start_waits_for(self) -> str:
        """Return what keeps a PostgreSQL that starts, in words."""
        return waiting.recovering(waiting.server_processes(self._place))

    def reload(self) -> None:
        """Make PostgreSQL read its settings files again, and wait until it has.

        Raises:
            NotRunning: it does not run.
            SettingsNotLive: it has not done so in time, but will as soon as it works again.
            PostgresUnreachable, StatementFailed: PostgreSQL does not answer, or refuses a statement.
        """
        before = self._session.loaded()
        process.reload(self._place)
        if not process.wait_until(lambda: self._session.loaded() > before, SETTLE_SECONDS_MAX):
            raise SettingsNotLive(f"PostgreSQL of {self._place.name} has not read its files again", executed="unknown")

    def stop(self) -> None:
        """Shut PostgreSQL down cleanly.

        Raises:
            NotRunning, StopUnfinished: see `process.stop`.
        """
        self._session.close()
        process.stop(self._place)

    def start(self, *, standby: bool) -> None:
        """Start PostgreSQL in the role that the standing says.

        Raises:
            MajorDiffers: the data are of another major version than the programs; nothing was begun.
            RoleConflict: the folder would start as a standby, and is to be a primary.
            AlreadyRunning, StartFailed: see `process.start`.
        """
        signal_file = self._installation.own_data(self._place.data()) / "standby.signal"
        if standby and not signal_file.exists():
            self._ground.write(signal_file, "")
        if signal_file.exists() and not standby:
            raise RoleConflict(f"{self._place.name} stands as a primary, and its data folder would start as a standby")
        self._session.close()  # A connection to a server that has died is of no use for the new one.
        process.start(self._installation, self._place)
        try:
            self._session.refuse_foreign()
        except ServerForeign as error:
            raise StartFailed(error.message, executed="unknown") from error
