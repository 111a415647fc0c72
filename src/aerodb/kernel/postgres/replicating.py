"""The replication of one instance: detaching from and attaching to an upstream, promoting, writing a term's row.

- An upstream is first named in the durable settings; only then is PostgreSQL told. That there is none any more becomes
  durable while PostgreSQL is told: whoever detaches rests nothing on it before it is both.
- A detached standby's position is final: no receiver runs or could log in, there is no restore command, and every
  complete record is replayed. The receiver's password file exists only while there is an upstream, so nothing is
  received even if the startup process still uses old settings.

Source: PostgreSQL manual 26 (high availability).
"""

from collections.abc import Callable
from pathlib import Path

from aerodb.kernel.postgres import process, settings
from aerodb.kernel.postgres.control_file import IN_PRODUCTION
from aerodb.kernel.postgres.errors import DetachUnfinished, PromotionUnfinished, SettingsNotLive, StillReceiving
from aerodb.kernel.postgres.ground import Ground
from aerodb.kernel.postgres.reading import control_by_bytes
from aerodb.kernel.postgres.receiving import RECEIVING, has_replayed_all
from aerodb.protocol.lsn import Lsn

SETTLE_SECONDS_MAX = 30.0
LOCALLY = ("set local synchronous_commit = local", "set local lock_timeout = '30s'")
"""Settings only for the transaction that writes a term's row."""
TERM_ROW = (
    "insert into aerodb.terms (term, timeline, node, quorum) values (%(term)s, "
    "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int, %(node)s, %(quorum)s)"
)
EPOCHS = "create table if not exists aerodb.epochs (term integer primary key, epoch integer not null)"
"""A term's epoch has a table of its own, because agents of 0.1.0 accept no further column in the rows of the terms. It
is written in the same transaction. A term without an epoch there is of the first epoch, as all were before."""
EPOCH_ROW = "insert into aerodb.epochs (term, epoch) values (%(term)s, %(epoch)s)"
NUDGE_POLLS = 20


def _nothing() -> None:
    """Do nothing."""


class Replicating:
    """The replication of one instance."""

    def __init__(self, ground: Ground) -> None:
        """Prepare; nothing is changed yet."""
        self._ground = ground
        self._place = ground.place
        self._session = ground.session

    def _name_upstream(self, upstream: str | None) -> str:
        """Write the upstream (None: none) durably; return the primary_conninfo that must then be in force."""
        conninfo, durable = self._put_upstream(upstream)
        durable()
        return conninfo

    def _put_upstream(self, upstream: str | None) -> tuple[str, Callable[[], None]]:
        """Write the upstream (None: none); return the primary_conninfo to be in force, and what makes that durable."""
        where = (upstream, *self._ground.address_of(upstream)) if upstream else None
        self._let_receiver_log_in(allowed=upstream is not None)
        text = settings.standing_text(self._place, where)
        durable = self._ground.put(self._place.conf / "standing.conf", text)
        return settings.expected(self._place, text)["primary_conninfo"], durable

    def _let_receiver_log_in(self, *, allowed: bool) -> None:
        if allowed:
            line = settings.passfile_line(self._place.name, self._place.replication_secret.read_text(encoding="ascii"))
            self._ground.write(self._place.passfile, line)
        else:
            self._place.passfile.unlink(missing_ok=True)  # Durable with standing.conf, which is in the same folder.

    def _take_up(self, conninfo: str, meanwhile: Callable[[], None] = _nothing) -> None:
        """Make a running PostgreSQL apply the settings, and wait until it has; do something `meanwhile`."""
        process.reload(self._place)
        meanwhile()

        def live() -> bool:
            return bool(
                self._session.run("select current_setting('primary_conninfo') = %(c)s as it", {"c": conninfo})[0]["it"]
            )

        if not process.wait_until(live, SETTLE_SECONDS_MAX):
            raise SettingsNotLive(f"PostgreSQL of {self._place.name} has not taken up its upstream")

    def detach(self) -> None:
        """Cut the WAL receiver, and return when nothing is received any more and every complete record is replayed.

        If PostgreSQL is down, only the settings change, and it starts detached.

        Raises:
            SettingsNotLive, DetachUnfinished: it was not done in time.
        """
        if process.postmaster(self._place) is None:
            self._name_upstream(None)
            return
        conninfo, durable = self._put_upstream(None)
        self._take_up(conninfo, durable)

        def settled() -> bool:
            return has_replayed_all(self._session.run(RECEIVING)[0])

        if not process.wait_until(settled, SETTLE_SECONDS_MAX):
            raise DetachUnfinished(f"{self._place.name} still receives, or has not replayed all that it received")

    def attach(self, upstream: str) -> None:
        """Name the upstream in the durable settings; if PostgreSQL is down, also make it start as a standby.

        Raises:
            SettingsNotLive: a running PostgreSQL did not apply them in time.
        """
        if process.postmaster(self._place) is not None:
            self._take_up(self._name_upstream(upstream))
            return
        self._ground.write(self._place.data() / "standby.signal", "")
        self._name_upstream(upstream)

    def promote(self) -> None:
        """Promote, and return when PostgreSQL is out of recovery.

        If the promotion arrives just as the startup process begins to wait, it sleeps for a full retry interval. A
        reload wakes it, so reloads are sent repeatedly while waiting.

        Raises:
            StillReceiving: an upstream is still named.
            PromotionUnfinished: it was not done in time.
        """
        if settings.upstream_in((self._place.conf / "standing.conf").read_text(encoding="utf-8")):
            raise StillReceiving(f"{self._place.name} is still attached")
        data, polls = self._place.data(), 0
        self._session.run("select pg_promote(false)", anew=False)  # Told to the very process that was judged.

        def out() -> bool:
            nonlocal polls
            polls += 1
            if polls % NUDGE_POLLS == 0:
                process.reload(self._place)
            elif not self._may_be_out(data):
                return False
            return not self._session.run("select pg_is_in_recovery() as it")[0]["it"]

        if not process.wait_until(out, SETTLE_SECONDS_MAX, 0.001):
            raise PromotionUnfinished(f"{self._place.name} has not left recovery in time", executed="unknown")

    def _may_be_out(self, data: Path) -> bool:
        """Tell whether PostgreSQL may be out of recovery, by its control file; asking it takes time that it needs."""
        control_file = control_by_bytes(self._ground.installation.major, data)
        return control_file is None or control_file.state == IN_PRODUCTION

    def write_term(self, term: int, quorum: int, epoch: int) -> Lsn:
        """Write the term's row without waiting for a standby; return the end of the WAL after it.

        Raises:
            PostgresUnreachable, StatementFailed: PostgreSQL does not answer, or refuses.
        """
        row = {"term": term, "node": self._place.name, "quorum": quorum}
        self._session.run_together(
            *((statement, {}) for statement in LOCALLY),
            (TERM_ROW, row),
            (EPOCHS, {}),
            (EPOCH_ROW, {"term": term, "epoch": epoch}),
        )
        return Lsn.parse(self._session.run("select pg_current_wal_flush_lsn()::text as it")[0]["it"])
