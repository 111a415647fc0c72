"""What an action's operation may do to its node: the kernel implements it, tests implement it in memory.

One protocol a subject; an operation says which it works on: `hands.process.stop()`. A new step belongs to the subject
that it changes, and a subject is added with its first step.

Every method either has happened when it returns, or raises; none retries. Pure: an interface only.
"""

from typing import Protocol

from aerodb.protocol.authority import Grant, Pledge, Standing
from aerodb.protocol.facts import Facts
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import Signed


class ProcessHands(Protocol):
    """PostgreSQL's process: whether it runs."""

    def checkpoint(self) -> None:
        """Run a CHECKPOINT, so that the shutdown that follows is short."""

    def stop(self) -> None:
        """Shut PostgreSQL down cleanly (fast mode) and return when the postmaster has exited."""

    def start(self) -> None:
        """Start PostgreSQL in the durable standing's role and return when it accepts connections."""


class ReplicationHands(Protocol):
    """From whom the node receives, and whether it is a primary, and of which term."""

    def detach(self) -> None:
        """Cut the WAL receiver, and replay everything received.

        Upstream and restore command are emptied durably, reloaded, and the receiver is verifiably gone. Nothing is
        received where PostgreSQL is down: there the durable settings suffice.
        """

    def attach(self, upstream: str) -> None:
        """Name `upstream` in the durable settings, and reload where PostgreSQL runs."""

    def promote(self) -> None:
        """Promote PostgreSQL and return when it is out of recovery."""

    def write_term(self, term: int, quorum: int, epoch: int) -> Lsn:
        """Write the term's row, committed locally (not waiting for standbys), and return the WAL's end after it."""


class DataHands(Protocol):
    """The node's data folders."""

    def fits(self, upstream: str) -> None:
        """Return where a copy of the data folder of `upstream` has room, and a place for each part; begin nothing."""

    def copy(self, upstream: str) -> Lsn:
        """Make a new data folder from `upstream` (pg_basebackup), durable, not in use; return where its WAL ends."""

    def swap(self) -> None:
        """Make the newest copied data folder the one in use, by one rename; the old folder stays."""


class SettingsHands(Protocol):
    """What the node is configured to do."""

    def reload(self) -> None:
        """Have PostgreSQL read its settings files again, and return when it says that it has."""

    def quorum(self) -> int:
        """Return k, how many standbys must flush a commit, as the node is configured."""


class Hands(Protocol):
    """One node's hands: its agent's own memory and signature, and the subjects that PostgreSQL's steps belong to.

    All may raise `errors.AeroError` with `executed` left to the journal's judgement.
    """

    @property
    def process(self) -> ProcessHands:
        """Return the hands that work on PostgreSQL's process."""

    @property
    def replication(self) -> ReplicationHands:
        """Return the hands that work on replication."""

    @property
    def data(self) -> DataHands:
        """Return the hands that work on the data folders."""

    @property
    def settings(self) -> SettingsHands:
        """Return the hands that work on the settings."""

    def look(self) -> Facts:
        """Return the node's facts as they are now."""

    def standing(self) -> Standing:
        """Return the durable standing."""

    def write_standing(self, standing: Standing) -> None:
        """Make `standing` the durable standing: written, fsynced, renamed, folder fsynced."""

    def sign(self, document: Pledge | Grant, rules: str) -> Signed:
        """Return `document` signed with the node's key, in the words of the rules of the plan that it comes of."""

    def cross(self, request: str) -> None:
        """Note durably in the journal that the effect of `request` can happen from now on.

        Called once, right before the first step by which it can: what has not crossed has surely not been executed.
        """

    def accept_log(self, request: str) -> int:
        """Durably give up what the node saw of the audit log for what `request` was shown to stand in, in one write.

        Return how many records the newest log had that it saw before, of at most the size that was restored (0: none):
        the locks have shown that the new one begins with it.
        """

    def take_version(self, document: str) -> None:
        """Durably take a version of the configuration that follows the node's own, in one write; it judges by it then.

        Raises:
            VersionRefused: it does not follow.
        """
