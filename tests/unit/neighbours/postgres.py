"""A PostgreSQL in memory: it holds the facts that one would be seen to have, and does what the hands ask of it.

- Standbys stream without delay: what a primary writes, or ends its log with, they have at once.
- A step that is to fail does so before or after its effect, as a test says; see `Fault`.
"""

from collections.abc import Callable
from enum import Enum

from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.kernel.postgres.errors import NotRunning, StopUnfinished
from aerodb.kernel.postgres.folders import DataFolders
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.postgres.replicating import Replicating
from aerodb.protocol.authority import Branch, Position, Standing
from aerodb.protocol.events import Trace
from aerodb.protocol.facts import Instance, Load, Receiver, Sender, SettingsFiles, State
from aerodb.protocol.lsn import Lsn
from aerodb.rules.position import Noted
from aerodb.rules.serving import Serving

SHUTDOWN_BYTES, ROW_BYTES = 0x78, 0x100
IDLE = Load(
    sessions=0, longest_transaction_seconds=0, prepared_transactions=0, backups=0, logical_slots=0, waiting_commits=0
)


class Fault(Enum):
    """How the next shutdown fails."""

    BEFORE = "nothing happens, and it is said to have failed"
    AFTER = "it happens, and it is said to have failed"
    LOST = "nobody can tell"


def running(name: str, lsn: Lsn, primary: str, others: tuple[str, ...]) -> Instance:
    """Return the facts of a healthy PostgreSQL: `primary` takes writes, and the others stream from it."""
    leads = name == primary
    return Instance(
        system="7000000000000000001",
        folder="data-0001",
        version="18.1",
        state=State.RUNNING,
        recovery=not leads,
        position=Position(term=1, bound=1, timeline=1, lsn=lsn),
        lineage=(Branch(timeline=1, begin=Lsn(0), term=1),),
        quorum=1,
        attached=None if leads else primary,
        restores=False,
        files=SettingsFiles(loaded="2030-01-01T00:00:00.000000Z", faults=(), drift=(), pending=(), low=()),
        receiver=None if leads else Receiver(status="streaming", upstream=primary, flushed=lsn),
        replayed=True,
        senders=tuple(sender(each, lsn) for each in others) if leads else (),
        drift=(),
        shutdown=None,
        load=None,
        identity=name,
        started="2030-01-01T00:00:00Z",
    )


def sender(node: str, lsn: Lsn) -> Sender:
    """Return how a primary sees a standby that streams."""
    return Sender(node=node, state="streaming", sync_state="quorum", sent=lsn, flushed=lsn, replayed=lsn)


class MemoryPostgres(Postgres):
    """One node's PostgreSQL; `peers` are those of all nodes, by name."""

    def __init__(self, name: str, instance: Instance, peers: "dict[str, MemoryPostgres]") -> None:
        """Begin as `instance` says."""
        self.name, self.instance, self.fault = name, instance, None
        self.done: list[str] = []
        """What was asked of it, in order."""
        self.starts, self.reloads = 0, 0
        self._peers, self._source, self._quorum = peers, "", instance.quorum or 0
        self.replication, self.data = MemoryReplication(self), MemoryData(self)

    fault: Fault | None
    meanwhile: Callable[[], None] = staticmethod(lambda: None)
    """What a test does in the midst of a shutdown."""
    looked: Callable[[], None] = staticmethod(lambda: None)
    """What a test does in the midst of a look."""

    def change(self, **changes: object) -> None:
        """Change what it is seen to be."""
        self.instance = replace(self.instance, **changes)

    # What is seen -----------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Tell whether its process lives."""
        return self.instance.state in {State.RUNNING, State.UNREACHABLE}

    @property
    def gone(self) -> bool:
        """Tell whether no process is left."""
        return not self.running

    def accepts(self) -> bool:
        """Tell whether a new connection is accepted."""
        return self.instance.state is State.RUNNING

    def look(self, standing: Standing, noted: Noted) -> Instance:
        """Return the facts."""
        del standing, noted
        self.looked()
        return self.instance

    def make_ready(self) -> None:
        """Be ready always."""

    @property
    def quorum(self) -> int:
        """Return k."""
        return self._quorum

    def identity(self) -> str | None:
        """Return the identity of the folder in use."""
        return self.instance.identity

    def serving(self) -> Serving | None:
        """Return what a load balancer is told by."""
        if not self.accepts():
            return None
        status = self.instance.receiver.status if self.instance.receiver else ""
        return Serving(
            recovery=bool(self.instance.recovery), senders=self.instance.senders, receiver=status, behind_bytes=0,
            paused=False,
        )  # fmt: skip

    def trace(self) -> Trace:
        """Return what it says beyond its facts."""
        return Trace(started="2030-01-01", engine="2030-01-01", settings={}, slots={})

    # What is done -----------------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Have nothing that takes long."""

    def checkpoint_so_far(self) -> Callable[[object], str]:
        """Return what tells how far a checkpoint is."""
        return lambda _: "3 MB written so far"

    def stop_waits_for(self) -> str:
        """Return what keeps a shutdown."""
        return "still the receiver n2"

    def start_waits_for(self) -> str:
        """Return what keeps a start: nothing that can be seen."""
        return ""

    def checkpoint(self) -> None:
        """Note that it was asked for."""
        self.done.append("checkpoint")

    def reload(self) -> None:
        """Read the settings files again, a second later than the last time."""
        self.done.append("reload")
        files = self.instance.files
        assert isinstance(files, SettingsFiles)
        self.reloads += 1
        self.change(files=replace(files, loaded=f"2030-01-01T00:01:{self.reloads:02}.000000Z"))

    def stop(self) -> None:
        """Shut down, or fail as a test says; a primary ends its log with a record that its standbys still get."""
        self.done.append("stop")
        self.meanwhile()
        fault, self.fault = self.fault, None
        if fault is Fault.BEFORE:
            raise StopUnfinished(f"{self.name} has not shut down")
        if fault is Fault.LOST:
            self.change(state=State.UNREACHABLE)
            raise StopUnfinished(f"{self.name} may shut down yet")
        self._shut_down()
        if fault is Fault.AFTER:
            raise StopUnfinished(f"{self.name} did not say that it shut down")

    def _shut_down(self) -> None:
        if not self.instance.recovery:
            self._append(SHUTDOWN_BYTES)
            self.change(shutdown=self._position.lsn)
        self._leave()
        for each in self._downstream():
            each.change(receiver=None)
        self.change(state=State.STOPPED, receiver=None, senders=(), served=not self.instance.recovery)

    def start(self, *, standby: bool) -> None:
        """Start in a role."""
        self.done.append("start")
        self.starts += 1
        started = f"2030-01-01T00:00:{self.starts:02}Z"
        self.change(state=State.RUNNING, recovery=standby, shutdown=None, served=None, started=started)
        self._stream()

    # Streaming --------------------------------------------------------------------------------------------------------

    @property
    def _position(self) -> Position:
        if self.instance.position is None:
            raise AeroError(f"the position of {self.name} is unknown")
        return self.instance.position

    def _downstream(self) -> "list[MemoryPostgres]":
        return [self._peers[each.node] for each in self.instance.senders]

    def _append(self, size: int) -> None:
        """Add so many bytes to the log; whoever streams has them."""
        self.change(position=replace(self._position, lsn=Lsn(self._position.lsn.value + size)))
        self._pass_on()

    def _pass_on(self) -> None:
        for each in self._downstream():
            each.change(position=self.instance.position, lineage=self.instance.lineage, quorum=self.instance.quorum)
            each._pass_on()
        self.change(senders=tuple(sender(each.node, self._position.lsn) for each in self.instance.senders))

    def _leave(self) -> None:
        """Stream from nobody."""
        for each in self._peers.values():
            each.change(senders=tuple(one for one in each.instance.senders if one.node != self.name))

    def _stream(self) -> None:
        """Stream from the named upstream, where both run; and be streamed from by whoever names this one."""
        upstream = self._peers.get(self.instance.attached or "")
        if self.accepts() and upstream is not None and upstream.accepts():
            upstream.change(senders=(*upstream.instance.senders, sender(self.name, self._position.lsn)))
            receiver = Receiver(status="streaming", upstream=upstream.name, flushed=self._position.lsn)
            self.change(receiver=receiver)
            upstream._pass_on()
        for each in self._peers.values():
            if self.accepts() and each.instance.attached == self.name and each.instance.receiver is None:
                each._stream()


class MemoryReplication(Replicating):
    """What works on one node's replication, in memory."""

    def __init__(self, own: MemoryPostgres) -> None:
        """Keep whose it is."""
        self._own = own

    def detach(self) -> None:
        """Cut the receiver."""
        own = self._own
        own.done.append("detach")
        own._leave()
        own.change(attached=None, receiver=None)

    def attach(self, upstream: str) -> None:
        """Name the upstream; a PostgreSQL that is down becomes a standby."""
        own = self._own
        own.done.append(f"attach {upstream}")
        own._leave()
        own.change(attached=upstream, recovery=True)
        own._stream()

    def promote(self) -> None:
        """Leave recovery, on a new timeline."""
        own = self._own
        own.done.append("promote")
        if own.instance.state is not State.RUNNING:
            raise NotRunning(f"{own.name} does not run")
        timeline, begin = own._position.timeline + 1, own._position.lsn
        own.change(
            recovery=False,
            lineage=(*own.instance.lineage, Branch(timeline=timeline, begin=begin, term=None)),
            position=Position(term=None, bound=None, timeline=timeline, lsn=begin),
            load=IDLE,
        )
        own._append(0)

    def write_term(self, term: int, quorum: int, epoch: int) -> Lsn:
        """Write the term's row; a timeline that began in an earlier term still did."""
        del epoch
        own = self._own
        own.done.append(f"write term {term}")
        *earlier, last = own.instance.lineage
        own.change(
            lineage=(*earlier, replace(last, term=last.term or term)),
            position=replace(own._position, term=term, bound=term),
            quorum=quorum,
        )
        own._append(ROW_BYTES)
        return own._position.lsn


class MemoryData(DataFolders):
    """What works on one node's data folders, in memory."""

    def __init__(self, own: MemoryPostgres) -> None:
        """Keep whose they are."""
        self._own = own

    def fits(self, upstream: str) -> None:
        """Have room."""
        own = self._own
        own.done.append(f"fits {upstream}")

    def copy(self, upstream: str) -> Lsn:
        """Copy an upstream's data as they are now."""
        own = self._own
        own.done.append(f"copy {upstream}")
        own._source = upstream
        return own._peers[upstream]._position.lsn

    def so_far(self) -> str:
        """Return how far a copy is."""
        return "1 MB of about 2 MB, without WAL"

    def swap(self) -> None:
        """Put the copy in use."""
        own = self._own
        own.done.append("swap")
        source = own._peers[own._source].instance
        own.change(lineage=source.lineage, position=source.position, quorum=source.quorum, recovery=True,
                    identity=f"copy of {own._source}", folder="data-0002", state=State.CRASHED)  # fmt: skip
