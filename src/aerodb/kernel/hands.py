"""A node's hands: what an action's operation may do to it, done for real, subject by subject."""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.note import stated_size
from aerodb.kernel.postgres.errors import NotRunning
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.store import Store
from aerodb.kernel.versions import TakenVersions
from aerodb.past.speaking import said_in
from aerodb.protocol.authority import Grant, Pledge, Standing
from aerodb.protocol.facts import Facts
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import Signed, sign


@dataclass
class Work:
    """What all of one agent's hands work with; `own` is None of a witness.

    `step` is what the operation under way does just now, in words; for whoever waits for it.
    """

    name: str
    store: Store
    own: Postgres | None
    step: str = "it has not begun to change anything"

    @property
    def postgres(self) -> Postgres:
        """Return the node's PostgreSQL.

        Raises:
            NotRunning: it is a witness, and has none.
        """
        if self.own is None:
            raise NotRunning(f"{self.name} is a witness and runs no PostgreSQL")
        return self.own


class NodeProcess:
    """The hands on PostgreSQL's process."""

    def __init__(self, work: Work) -> None:
        """Keep what to work with."""
        self._work = work

    def checkpoint(self) -> None:
        """Run a CHECKPOINT."""
        self._work.step = "the agent runs a checkpoint"
        self._work.postgres.checkpoint()

    def stop(self) -> None:
        """Shut PostgreSQL down cleanly."""
        self._work.step = "the agent waits for PostgreSQL to shut down"
        self._work.postgres.stop()

    def start(self) -> None:
        """Start PostgreSQL in the durable standing's role."""
        self._work.step = "the agent waits for PostgreSQL to accept connections"
        self._work.postgres.start(standby=self._work.store.standing.role == "standby")


class NodeReplication:
    """The hands on replication."""

    def __init__(self, work: Work) -> None:
        """Keep what to work with."""
        self._work = work

    def detach(self) -> None:
        """Cut the WAL receiver; a witness has none."""
        self._work.step = "the agent cuts the WAL receiver, and waits until everything received is replayed"
        if self._work.own is not None:
            self._work.own.replication.detach()

    def attach(self, upstream: str) -> None:
        """Name `upstream` in the durable settings."""
        self._work.step = "the agent names its upstream"
        self._work.postgres.replication.attach(upstream)

    def promote(self) -> None:
        """Promote PostgreSQL."""
        self._work.step = "the agent waits for PostgreSQL to leave recovery"
        self._work.postgres.replication.promote()

    def write_term(self, term: int, quorum: int, epoch: int) -> Lsn:
        """Write the term's row."""
        self._work.step = "the agent writes the row of the term"
        return self._work.postgres.replication.write_term(term, quorum, epoch)


class NodeData:
    """The hands on the data folders."""

    def __init__(self, work: Work) -> None:
        """Keep what to work with."""
        self._work = work

    def fits(self, upstream: str) -> None:
        """Return where a copy of `upstream` has room."""
        self._work.postgres.data.fits(upstream)

    def copy(self, upstream: str) -> Lsn:
        """Make a new data folder from `upstream`; return where its WAL ends."""
        self._work.step = f"the agent copies the data of {upstream}"
        return self._work.postgres.data.copy(upstream)

    def swap(self) -> None:
        """Put the newest copied data folder in use."""
        self._work.step = "the agent puts the new data folder in use"
        self._work.postgres.data.swap()


class NodeSettings:
    """The hands on the settings."""

    def __init__(self, work: Work) -> None:
        """Keep what to work with."""
        self._work = work

    def reload(self) -> None:
        """Have PostgreSQL read its settings files again."""
        self._work.step = "the agent waits for PostgreSQL to read its settings files"
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
        """Keep what to work with; `look` gives the node's facts, the request under way left out."""
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
    def step(self) -> str:
        """Return what the operation under way does just now, in words."""
        return self._work.step

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
        """Return `document` signed with the node's key, in the words of the rules of the plan that it comes of."""
        return sign(said_in(rules, document), self._name, self._key)

    def cross(self, request: str) -> None:
        """Note durably that the effect of `request` can happen from now on."""
        self._store.mark(request)

    def accept_log(self, request: str) -> int:
        """Give up what was seen of the audit log, for what `request` was shown to stand in."""
        self._work.step = "the agent writes down which log it accepts"
        accepted = self._store.accept_log(request)
        return stated_size(accepted.earlier[0]) if accepted.earlier else 0

    def take_version(self, document: str) -> None:
        """Take the next version of the configuration."""
        self._work.step = "the agent writes the version of the configuration down"
        self._versions.take(document)
