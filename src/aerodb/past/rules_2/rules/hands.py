"""The steps that an action's operation may take on its node; the kernel implements them, and tests do in memory.

Each subject has a protocol, which a call names: `hands.process.stop()`. A new step belongs to the subject that it
changes; a subject is added with its first step.

When a method returns, its step has happened; otherwise it raises. None retries. Pure: an interface only.
"""

from typing import Protocol

from aerodb.past.rules_2.protocol.authority import Grant, Pledge, Standing
from aerodb.past.rules_2.protocol.facts import Facts
from aerodb.past.rules_2.protocol.lsn import Lsn
from aerodb.past.rules_2.protocol.signed import Signed


class ProcessHands(Protocol):
    """PostgreSQL's process: whether it runs."""

    def checkpoint(self) -> None:
        """Run a CHECKPOINT, so that the shutdown that follows is short."""

    def stop(self) -> None:
        """Shut PostgreSQL down cleanly (fast mode) and return when the postmaster has exited."""

    def start(self) -> None:
        """Start PostgreSQL in the durable standing's role and return when it accepts connections."""


class ReplicationHands(Protocol):
    """From where the node receives WAL, and whether it is a primary, and of which term."""

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
        """Return only if a copy of the data folder of `upstream` fits, each part in its place; begin nothing."""

    def copy(self, upstream: str) -> Lsn:
        """Copy `upstream` (pg_basebackup) into a new data folder, durable but not in use; return the end of its WAL."""

    def swap(self) -> None:
        """Put the newest copied data folder in use, by one rename; the old folder stays."""


class SettingsHands(Protocol):
    """What the node is configured to do."""

    def reload(self) -> None:
        """Make PostgreSQL read its settings files again, and return when it has."""

    def quorum(self) -> int:
        """Return the configured k: how many standbys must flush a commit."""


class Hands(Protocol):
    """One node's hands: the agent's own memory and signature, and the subjects of steps on PostgreSQL.

    All may raise `errors.AeroError`; whether anything was executed is then told from the journal.
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
        """Return `document` signed with the node's key, in the format that the plan's rules know."""

    def cross(self, request: str) -> None:
        """Record durably in the journal that the effect of `request` can happen from now on.

        Called once, right before the first step that can have the effect: what has not crossed was surely not executed.
        """

    def accept_log(self, request: str) -> int:
        """Durably give up, in one write, the audit log that the node saw, for the one that was shown with `request`.

        Return the size in records of the newest earlier log seen that is no longer than the restored part (0: none);
        the locks have shown that the new log extends it.
        """

    def take_version(self, document: str) -> None:
        """Durably take, in one write, the version of the configuration that follows the node's own; it then applies.

        Raises:
            VersionRefused: it does not follow.
        """
