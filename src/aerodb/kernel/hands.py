"""A node's hands: what an action's operation may do to it, done for real."""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.note import stated_size
from aerodb.kernel.postgres.errors import NotRunning
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.store import Store
from aerodb.protocol.authority import Grant, Pledge, Standing
from aerodb.protocol.facts import Facts
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import Signed, sign


class NodeHands:
    """The hands of one agent; see `aerodb.rules.hands.Hands` for what each method promises."""

    def __init__(
        self, name: str, key: Ed25519PrivateKey, store: Store, postgres: Postgres | None, look: Callable[[], Facts]
    ) -> None:
        """Keep what to work with; `look` gives the node's facts, the request under way left out."""
        self._name = name
        self._key = key
        self._store = store
        self._own_postgres = postgres
        self._look = look
        self.step = "it has not begun to change anything"
        """What the operation under way does just now, in words; for whoever waits for it."""

    @property
    def _postgres(self) -> Postgres:
        if self._own_postgres is None:
            raise NotRunning(f"{self._name} is a witness and runs no PostgreSQL")
        return self._own_postgres

    def look(self) -> Facts:
        """Return the node's facts as they are now."""
        return self._look()

    def standing(self) -> Standing:
        """Return the durable standing."""
        return self._store.standing

    def write_standing(self, standing: Standing) -> None:
        """Make `standing` the durable standing."""
        self._store.write_standing(standing)

    def sign(self, document: Pledge | Grant) -> Signed:
        """Return `document` signed with the node's key."""
        return sign(document, self._name, self._key)

    def cross(self, request: str) -> None:
        """Note durably that the effect of `request` can happen from now on."""
        self._store.mark(request)

    def accept_log(self, request: str) -> int:
        """Give up what was seen of the audit log, for what `request` was shown to stand in."""
        self.step = "the agent writes down which log it accepts"
        accepted = self._store.accept_log(request)
        return stated_size(accepted.earlier[0]) if accepted.earlier else 0

    def detach(self) -> None:
        """Cut the WAL receiver; a witness has none."""
        self.step = "the agent cuts the WAL receiver, and waits until everything received is replayed"
        if self._own_postgres is not None:
            self._own_postgres.detach()

    def attach(self, upstream: str) -> None:
        """Name `upstream` in the durable settings."""
        self.step = "the agent names its upstream"
        self._postgres.attach(upstream)

    def checkpoint(self) -> None:
        """Run a CHECKPOINT."""
        self.step = "the agent runs a checkpoint"
        self._postgres.checkpoint()

    def stop(self) -> None:
        """Shut PostgreSQL down cleanly."""
        self.step = "the agent waits for PostgreSQL to shut down"
        self._postgres.stop()

    def start(self) -> None:
        """Start PostgreSQL in the durable standing's role."""
        self.step = "the agent waits for PostgreSQL to accept connections"
        self._postgres.start(standby=self._store.standing.role == "standby")

    def promote(self) -> None:
        """Promote PostgreSQL."""
        self.step = "the agent waits for PostgreSQL to leave recovery"
        self._postgres.promote()

    def write_term(self, term: int, quorum: int) -> Lsn:
        """Write the term's row."""
        self.step = "the agent writes the row of the term"
        return self._postgres.write_term(term, quorum)

    def quorum(self) -> int:
        """Return k, as the node is configured."""
        return self._postgres.quorum

    def fits(self, upstream: str) -> None:
        """Return where a copy of `upstream` has room."""
        self._postgres.fits(upstream)

    def copy(self, upstream: str) -> Lsn:
        """Make a new data folder from `upstream`; return where its log ends."""
        self.step = f"the agent copies the data of {upstream}"
        return self._postgres.copy(upstream)

    def swap(self) -> None:
        """Put the newest copied data folder in use."""
        self.step = "the agent puts the new data folder in use"
        self._postgres.swap()
