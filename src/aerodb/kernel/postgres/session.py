"""The agent's own connection to its PostgreSQL. One statement returns nearly all that a look needs.

- It uses a local socket, and the operating system tells who is at each end: no changed password locks the agent out,
  and no other server is taken for its own.
- The session itself sets every setting that the agent's statements depend on.

Source: PostgreSQL manual 27.2 (statistics views), 9.28 (recovery and control functions).
"""

import os
import socket
import struct
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from aerodb.errors import AeroError
from aerodb.kernel.postgres.carrying import CARRYING, carrying_in
from aerodb.kernel.postgres.errors import PostgresUnreachable, ServerForeign, StatementFailed
from aerodb.kernel.postgres.filed import FILES, LOADED
from aerodb.kernel.postgres.keeping import CAPACITY, KEEPING, said_of
from aerodb.kernel.postgres.lasting import Connection, Lasting
from aerodb.kernel.postgres.patience import OutOfPatience, PatientConnection
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.process import POLL_SECONDS, postmaster
from aerodb.kernel.postgres.receiving import RECEIVING, has_replayed_all, is_reading, parsed_lsn, receiver_in
from aerodb.kernel.postgres.sending import SENDERS, SERVING, senders_in
from aerodb.kernel.postgres.settings import IN_FORCE, OWN, SUPERUSER, WATCHED, for_others, own_options, unlike_files
from aerodb.kernel.postgres.telling import told
from aerodb.protocol.carrying import Carrying
from aerodb.protocol.facts import Load, Receiver, Sender
from aerodb.protocol.keeping import Keeping
from aerodb.protocol.lsn import Lsn
from aerodb.rules.position import TermRow
from aerodb.rules.serving import Serving

STATEMENT_SECONDS_MAX = 60.0
"""The timeout of the agent's statements, other than those known to take long (`lasting`)."""

LOOK = (
    told("""
select json_build_object(
  'system', (select system_identifier::text from pg_control_system()),
  'version', current_setting('server_version'),
  'started', :started,
  :ends
  :receiver
  'senders', :senders,
  'folder', current_setting('data_directory'),
  'configuration', current_setting('config_file'),
  'settings', :settings,
  'filed', (select coalesce(json_object_agg(name, setting), '{}') from (
     select distinct on (name) name, setting from pg_file_settings where name = any(%(watched)s)
     order by name, seqno desc) filed),
  :overridden
  'keeping', :keeping,
  'carrying', :carrying,
  'load', (select json_build_object(
     :sessions
     'checkpoints', count(*) filter (where usename = current_user and state = 'active' and query = 'checkpoint'
                 or backend_type = 'checkpointer' and wait_event is distinct from 'CheckpointerMain'))
     from (select *, coalesce(usename = %(own)s and application_name like 'aerodb %%', false) as own
           from pg_stat_activity) activity),
  'checkpoint', (select redo_lsn::text from pg_control_checkpoint()),
  'prepared', (select count(*) from pg_prepared_xacts),
  'backups', (select count(*) from pg_stat_progress_basebackup),
  'logical', (select count(*) from pg_replication_slots where slot_type = 'logical')) as found
""")
    .replace(":senders", SENDERS)
    .replace(":keeping", KEEPING)
    .replace(":carrying", CARRYING)
    .replace(":settings", IN_FORCE)
)
TERMS = "select coalesce(json_agg(t order by t.term), '[]') as found from aerodb.terms t"
LINGERING = """
select count(*) as found from pg_stat_activity
where usename = %(own)s and application_name = 'aerodb agent' and pid <> pg_backend_pid()
"""


class PostgresSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at a running PostgreSQL returns.

    `rows` are the rows of the terms; None if they cannot be read, and `damage` says why. `settings` are in force;
    `filed` are in the files, for the next reload. `end` is the end of the WAL; `timeline` is None on a standby that
    does not receive; `checkpoint` is where the last finished pg checkpoint (on a standby: restartpoint) begins.
    """

    system: str
    version: str
    recovery: bool
    end: Lsn
    timeline: int | None
    replayed: bool
    rows: tuple[TermRow, ...] | None
    damage: tuple[str, ...]
    receiver: Receiver | None
    senders: tuple[Sender, ...]
    settings: dict[str, str]
    filed: dict[str, str]
    overrides: int
    load: Load
    checkpoint: Lsn
    started: str
    keeping: Keeping
    carrying: Carrying
    files: dict[str, Any] | None = None


def _seen(
    found: dict[str, Any], lingering: int, rows: tuple[TermRow, ...] | None, damage: tuple[str, ...]
) -> PostgresSeen:
    received, replayed = parsed_lsn(found["received"]), parsed_lsn(found["replayed"])
    if has_replayed_all(found):
        received = replayed
    ends = [end for end in (parsed_lsn(found["written"]), received, replayed) if end is not None]
    load = found["load"]
    timeline = found["timeline"] if not found["recovery"] else (found["receiver"] or {}).get("timeline")
    if found["recovery"] is False:
        ends = ends[:1]
    return PostgresSeen(
        system=found["system"],
        version=found["version"],
        recovery=found["recovery"],
        end=max(ends, default=Lsn(0)),
        timeline=timeline,
        replayed=received is None or (replayed is not None and replayed >= received),
        rows=rows,
        damage=damage,
        receiver=receiver_in(found["receiver"]),
        senders=senders_in(found["senders"]),
        settings=for_others(found["settings"], found["filed"], found["own"]),
        filed=found["filed"],
        overrides=found["overrides"],
        load=Load(
            sessions=load["sessions"],
            longest_transaction_seconds=load["longest"],
            prepared_transactions=found["prepared"],
            backups=found["backups"],
            logical_slots=found["logical"],
            waiting_commits=load["waiting"],
            checkpoints=load["checkpoints"],
            lingering=lingering,
            longest_wait_seconds=load["longest_wait"],
            other_senders=len(found["senders"]) - len(senders_in(found["senders"])),
        ),
        checkpoint=Lsn.parse(found["checkpoint"]),
        started=found["started"],
        keeping=said_of(found["keeping"]),
        carrying=carrying_in(found["carrying"]),
    )


def _listener(connection: Connection) -> int:
    """Return the id of the process that listens at the other end, by the operating system: it cannot be forged."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        credentials = same.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


LOOK_SECONDS_MAX = 2
"""The timeout for accepting a connection and for answering a look; beyond it PostgreSQL counts as silent."""
READY_LOOKS = 2
"""After how many looks over a new connection PostgreSQL has planned all that they ask."""
READING_SECONDS_MAX = 1.0
"""How long a look waits for a standby to read the WAL that it received; beyond it the WAL counts as not replayed."""


class PostgresSession:
    """One connection as the superuser: opened when needed, kept open, used by one thread at a time."""

    def __init__(self, place: Place, major: int, purpose: str = "agent") -> None:
        """Open nothing yet; `purpose` becomes part of the connection's application_name."""
        self._place, self._major = place, major
        self._purpose = purpose
        self._lock = threading.Lock()
        self._connection: PatientConnection | None = None
        self.lasting = Lasting(partial(self._connected, purpose))

    def accepts(self) -> bool:
        """Tell whether PostgreSQL accepts one more connection, which is closed at once."""
        try:
            self._connected(f"{self._purpose} asks").close()
        except (psycopg.Error, ServerForeign):
            return False
        return True

    def _open(self) -> PatientConnection:
        if self._connection is None or not self._connection.lives():
            self._connection = self._connected(self._purpose)
        return self._connection

    def make_ready(self) -> None:
        """Open the connection, and have PostgreSQL prepare over it what is asked while writes stand still.

        The first look of a new connection takes ten times as long as any later one: PostgreSQL begins a process for it,
        which reads the catalogue, and plans.

        Raises:
            PostgresUnreachable, ServerForeign, StatementFailed: as `look`.
        """
        for _ in range(READY_LOOKS):
            self.look()
            self.run(RECEIVING, seconds_max=LOOK_SECONDS_MAX)

    def _connected(self, purpose: str, seconds_max: float = STATEMENT_SECONDS_MAX) -> PatientConnection:
        """Open a connection to the very process that works in the data folder.

        Raises:
            psycopg.OperationalError: connecting failed.
            ServerForeign: another process answers.
        """
        connection = PatientConnection.connect(
            host=self._place.socket,
            port=self._place.port,
            user=SUPERUSER,
            dbname="postgres",
            connect_timeout=LOOK_SECONDS_MAX,
            autocommit=True,
            application_name=f"aerodb {purpose}",
            options=own_options(self._major, seconds_max),
            row_factory=dict_row,
            prepare_threshold=0,
        )
        listener, own = _listener(connection), postmaster(self._place)
        if listener != own:
            connection.close()
            raise ServerForeign(
                f"another process answers at the socket of {self._place.name} than the one in its data folder"
            )
        return connection

    def close(self) -> None:
        """Close the connection, so that a shutdown does not wait for it."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def run(
        self, statement: str, parameters: dict[str, Any] | None = None, seconds_max: float | None = None, *,
        anew: bool = True,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Return the rows of one statement, waiting at most `seconds_max` for it (None: as long as it takes).

        With `anew` false no new connection takes the place of one that was cut: another process may answer it.

        Raises:
            PostgresUnreachable: PostgreSQL does not answer; whether the statement took effect is unknown.
            ServerForeign: another process answers than the one in the data folder; nothing was run.
            StatementFailed: PostgreSQL refused it.
        """
        with self._lock:
            try:
                connection = self._open() if anew or self._connection is None else self._connection
                connection.seconds_max = seconds_max
                cursor = connection.execute(statement.encode(), parameters)
                return cursor.fetchall() if cursor.description else []
            except psycopg.Error as error:
                raise self._failure(error) from error

    def run_together(self, *statements: tuple[str, dict[str, Any]]) -> None:
        """Run statements in one transaction: all take effect or none does.

        Raises:
            PostgresUnreachable, StatementFailed: as `run`.
        """
        with self._lock:
            try:
                connection = self._open()
                connection.seconds_max = None
                with connection.transaction():
                    for statement, parameters in statements:
                        connection.execute(statement.encode(), parameters)
            except psycopg.Error as error:
                raise self._failure(error) from error

    def _failure(self, error: psycopg.Error) -> AeroError:
        """Return what an error means: PostgreSQL refused, or, if the connection is gone, it does not answer."""
        lives = self._connection is not None and not self._connection.closed
        if lives and (error.sqlstate is not None or not isinstance(error, psycopg.OperationalError)):
            return StatementFailed(f"PostgreSQL of {self._place.name} refused: {error.diag.message_primary or error}")
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return PostgresUnreachable(f"PostgreSQL of {self._place.name} does not answer: {error}")

    def _read(self, statement: str, parameters: dict[str, Any]) -> Any:
        """Return the one value of a statement that only reads; a connection that had died is reopened.

        If PostgreSQL accepts the statement but does not answer within LOOK_SECONDS_MAX, it is not asked again.
        """
        try:
            found = self.run(statement, parameters, LOOK_SECONDS_MAX)
        except PostgresUnreachable as error:
            if isinstance(error.__cause__, OutOfPatience | psycopg.errors.ConnectionTimeout):
                raise
            found = self.run(statement, parameters, LOOK_SECONDS_MAX)
        return found[0]["found"]

    def look(self) -> PostgresSeen:
        """Return what PostgreSQL says of itself now; a connection that had died is reopened once.

        Raises:
            PostgresUnreachable, StatementFailed: it does not answer, or refuses a statement.
        """
        # Sessions are counted first: what a session did before it ended is visible to every later statement.
        lingering = self._read(LINGERING, {"own": SUPERUSER})
        rows, damage = self._terms()  # Before the look, so that its end of WAL includes every row seen here.
        found = self._read(LOOK, {"watched": list(WATCHED), "own": SUPERUSER, "capacity": list(CAPACITY)})
        self._refuse_other_files(found["folder"], found["configuration"])
        unlike = unlike_files(found["settings"], found["filed"])
        found["own"] = self._read(OWN, {"names": unlike}) if unlike else []
        seen = _seen(found | self._when_read(found), lingering, rows, damage)
        return msgspec.structs.replace(seen, files=self._files())

    def _files(self) -> dict[str, Any] | None:
        """Return what the settings files hold; None if PostgreSQL refuses, because it cannot open one of them."""
        try:
            found: dict[str, Any] = self._read(FILES, {})
        except StatementFailed:
            return None
        return found

    def loaded(self) -> str:
        """Return when this session last read the settings files; at first, when the postmaster had.

        Raises:
            PostgresUnreachable, StatementFailed: as `run`.
        """
        return str(self._read(f"select {LOADED} as found", {}))

    def _when_read(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return the part of a look that changes once a standby has read what it received, or replayed more of it."""
        read = found
        end = time.monotonic() + READING_SECONDS_MAX
        while is_reading(read) and read["replayed"] == found["replayed"] and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            read = self.run(RECEIVING, seconds_max=LOOK_SECONDS_MAX)[0]
        return read

    def refuse_foreign(self) -> None:
        """Refuse a server that does not use this instance's data folder and settings.

        Raises:
            ServerForeign: it uses others.
            PostgresUnreachable, StatementFailed: as `run`.
        """
        found = self.run("select current_setting('data_directory') as folder, current_setting('config_file') as file")
        self._refuse_other_files(found[0]["folder"], found[0]["file"])

    def _refuse_other_files(self, folder: str, configuration: str) -> None:
        meant = self._place.data().resolve(), (self._place.conf / "postgresql.conf").resolve()
        if (Path(folder).resolve(), Path(configuration).resolve()) != meant:
            raise ServerForeign(
                f"PostgreSQL of {self._place.name} uses {folder} and the settings {configuration}: they are not its own"
            )

    def _terms(self) -> tuple[tuple[TermRow, ...] | None, tuple[str, ...]]:
        """Return the rows of the terms; or None and why they cannot be read, such as a lock or a missing table."""
        try:
            return tuple(TermRow(**row) for row in self._read(TERMS, {})), ()
        except StatementFailed as error:
            return None, (f"terms: {error.message}",)

    def serving(self) -> Serving:
        """Return what the answer to a load balancer rests on; reads no WAL and no table.

        Raises:
            PostgresUnreachable, StatementFailed: as `look`.
        """
        found = self._read(SERVING, {})
        return Serving(
            recovery=found["recovery"],
            senders=senders_in(found["senders"]),
            receiver=found["receiver"] or "",
            behind_bytes=found["behind"],
            paused=found["paused"],
        )
