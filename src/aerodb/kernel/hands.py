"""A node's hands: the steps that an action's operation may take on it, grouped by subject; here for real."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.note import stated_size
from aerodb.errors import AeroError
from aerodb.kernel.postgres.errors import NotRunning
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.store import Store
from aerodb.kernel.versions import TakenVersions
from aerodb.past.speaking import said_in
from aerodb.protocol.authority import Grant, Pledge, Standing
from aerodb.protocol.facts import Facts
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import Signed, sign
from aerodb.rules.replaying import sized

SoFar = Callable[[Facts], str]
"""Tells how far a step is by the node's facts and by what else can be seen; an empty text if that is not known."""


NOTHING_CHANGED = "it has not begun to change anything"


def _nothing(_: Facts) -> str:
    return ""


@dataclass
class Work:
    """What all hands of one agent share; `own` is its PostgreSQL, None on a witness.

    `step` says in words what the operation is doing now, and `so_far` how far it is, for those who wait for it.
    """

    name: str
    store: Store
    own: Postgres | None
    step: str = NOTHING_CHANGED
    so_far: SoFar = _nothing

    def begin(self, step: str = NOTHING_CHANGED, so_far: SoFar = _nothing) -> None:
        """Say what is done from now on; an operation begins by saying that it has changed nothing yet."""
        self.so_far = _nothing  # So that no step is ever shown with how far another is.
        self.step = step
        self.so_far = so_far

    def said(self, facts: Facts) -> str:
        """Return the step, and how far it is where that can be seen."""
        step, far = self.step, ""
        with suppress(AeroError, OSError):
            far = self.so_far(facts)
        return f"{step}: {far}" if far and step == self.step else step

    @property
    def postgres(self) -> Postgres:
        """Return the node's PostgreSQL.

        Raises:
            NotRunning: the node is a witness, which has none.
        """
        if self.own is None:
            raise NotRunning(f"{self.name} is a witness and runs no PostgreSQL")
        return self.own


def _unreplayed(facts: Facts) -> str:
    replay = facts.instance.keeping.replay if facts.instance else None
    return f"{sized(replay.unreplayed_bytes)} left" if replay is not None and replay.unreplayed_bytes else ""


class NodeProcess:
    """The hands on PostgreSQL's process."""

    def __init__(self, work: Work) -> None:
        """Keep what to work with."""
        self._work = work

    def checkpoint(self) -> None:
        """Run a CHECKPOINT."""
        self._work.begin("the agent runs a checkpoint", self._work.postgres.checkpoint_so_far())
        self._work.postgres.checkpoint()

    def stop(self) -> None:
        """Shut PostgreSQL down cleanly."""
        self._work.begin("the agent waits for PostgreSQL to shut down", lambda _: self._work.postgres.stop_waits_for())
        self._work.postgres.stop()

    def start(self) -> None:
        """Start PostgreSQL in the durable standing's role."""
        step = "the agent waits for PostgreSQL to accept connections"
        self._work.begin(step, lambda _: self._work.postgres.start_waits_for())
        self._work.postgres.start(standby=self._work.store.standing.role == "standby")


class NodeReplication:
    """The hands on replication."""

    def __init__(self, work: Work) -> None:
        """Keep what to work with."""
        self._work = work

    def detach(self) -> None:
        """Cut the WAL receiver; a witness has none."""
        step = "the agent cuts the WAL receiver, and waits until everything received is replayed"
        self._work.begin(step, _unreplayed)
        if self._work.own is not None:
            self._work.own.replication.detach()

    def attach(self, upstream: str) -> None:
        """Name `upstream` in the durable settings."""
        self._work.begin("the agent names its upstream")
        self._work.postgres.replication.attach(upstream)

    def promote(self) -> None:
        """Promote PostgreSQL."""
        self._work.begin("the agent waits for PostgreSQL to leave recovery")
        self._work.postgres.replication.promote()

    def write_term(self, term: int, quorum: int, epoch: int) -> Lsn:
        """Write the term's row."""
        self._work.begin("the agent writes the row of the term")
        return self._work.postgres.replication.write_term(term, quorum, epoch)


class NodeData:
    """The hands on the data folders."""

    def __init__(self, work: Work) -> None:
        """Keep what to work with."""
        self._work = work

    def fits(self, upstream: str) -> None:
        """Return only if a copy of `upstream` fits on the disk."""
        self._work.begin(f"the agent asks {upstream} how much there is to copy; it runs a checkpoint first")
        self._work.postgres.data.fits(upstream)

    def copy(self, upstream: str) -> Lsn:
        """Copy `upstream` into a new data folder; return the end of its WAL."""
        self._work.begin(f"the agent copies the data of {upstream}", lambda _: self._work.postgres.data.so_far())
        return self._work.postgres.data.copy(upstream)

    def swap(self) -> None:
        """Switch to the newest data folder that was copied."""
        self._work.begin("the agent puts the new data folder in use")
        self._work.postgres.data.swap()


class NodeSettings:
    """The hands on the settings."""

    def __init__(self, work: Work) -> None:
        """Keep what to work with."""
        self._work = work

    def reload(self) -> None:
        """Have PostgreSQL read its settings files again."""
        self._work.begin("the agent waits for PostgreSQL to read its settings files")
        self._work.postgres.reload()

    def quorum(self) -> int:
        """Return k, as the node is configured."""
        return self._work.postgres.quorum


class NodeHands:
    """The hands of one agent; see `aerodb.rules.hands` for what each method promises."""

    def __init__(
        self,
        name: str,
        key: Ed25519PrivateKey,
        store: Store,
        versions: TakenVersions,
        postgres: Postgres | None,
        look: Callable[[], Facts],
    ) -> None:
        """Keep what to work with; `look` returns the node's facts without the request under way."""
        self._name = name
        self._key = key
        self._store = store
        self._versions = versions
        self._look = look
        self._work = Work(name, store, postgres)
        self.process = NodeProcess(self._work)
        self.replication = NodeReplication(self._work)
        self.data = NodeData(self._work)
        self.settings = NodeSettings(self._work)

    @property
    def work(self) -> Work:
        """Return what all hands share, and say by it what the operation is doing now."""
        return self._work

    def look(self) -> Facts:
        """Return the node's facts as they are now."""
        return self._look()

    def standing(self) -> Standing:
        """Return the durable standing."""
        return self._store.standing

    def write_standing(self, standing: Standing) -> None:
        """Make `standing` the durable standing."""
        self._store.write_standing(standing)

    def sign(self, document: Pledge | Grant, rules: str) -> Signed:
        """Return `document` signed with the node's key, in the format that the plan's rules know."""
        return sign(said_in(rules, document), self._name, self._key)

    def cross(self, request: str) -> None:
        """Record durably that the effect of `request` can happen from now on."""
        self._store.mark(request)

    def accept_log(self, request: str) -> int:
        """Give up the audit log seen so far for the one shown with `request`; return the size of the one given up."""
        self._work.begin("the agent writes down which log it accepts")
        accepted = self._store.accept_log(request)
        return stated_size(accepted.earlier[0]) if accepted.earlier else 0

    def take_version(self, document: str) -> None:
        """Take the next version of the configuration."""
        self._work.begin("the agent writes the version of the configuration down")
        self._versions.take(document)
