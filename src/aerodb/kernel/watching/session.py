"""One connection of an agent that only watches: by the local socket, as its own role, and read-only.

- The login is by peer. The session sets every setting that its statements depend on, as far as its role may.
- PostgreSQL that hangs holds up whoever looks, for a moment; a statement that nobody waits for any more ends by itself.
- A login that fails is told in words that a person can act on: by what PostgreSQL answers, not by its language.

Source: PostgreSQL manual 21.9 (peer), 34.1 (PQping), 20.11 (client connection defaults).
"""

import os
import pwd
import re
import threading
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping
from psycopg.rows import dict_row

from aerodb.errors import AeroError
from aerodb.kernel.node import WatchedPlace
from aerodb.kernel.postgres.capabilities import Capability, has
from aerodb.kernel.postgres.errors import PostgresUnreachable, StatementFailed
from aerodb.kernel.postgres.options import session_options
from aerodb.kernel.postgres.patience import OutOfPatience, PatientConnection

LOOK_SECONDS_MAX = 2
"""How long a login, and each statement, may take; beyond it PostgreSQL counts as silent."""
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_MAJOR = 10_000


def grant(login: str) -> str:
    """Return the SQL by which a superuser lets the role `login`, which is there, watch."""
    return f"grant pg_monitor to {_named(login)};"


def _named(login: str) -> str:
    return login if _PLAIN.fullmatch(login) else '"{}"'.format(login.replace('"', '""'))


class WatchingSession:
    """A connection that is opened when needed, kept open, and used by one thread at a time."""

    def __init__(self, place: WatchedPlace, purpose: str) -> None:
        """Open nothing yet; `purpose` becomes part of the connection's application_name."""
        self._place, self._purpose = place, purpose
        self._lock = threading.Lock()
        self._connection: PatientConnection | None = None

    def read(self, statement: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the one value of a statement; a connection that had died is opened anew, once.

        Raises:
            PostgresUnreachable: PostgreSQL does not answer, or lets nobody in; the message says which, and what to do.
            StatementFailed: it refuses the statement, or its answer cannot be read.
        """
        with self._lock:
            had_one = self._connection is not None
            try:
                return self._read(statement, parameters)
            except PostgresUnreachable as error:
                if not had_one or isinstance(error.__cause__, OutOfPatience):
                    raise
                return self._read(statement, parameters)

    def close(self) -> None:
        """Close the connection; a later statement opens another."""
        with self._lock:
            self._drop()

    def _read(self, statement: str, parameters: dict[str, Any] | None) -> dict[str, Any]:
        connection = self._open()
        try:
            found: dict[str, Any] = connection.execute(statement.encode(), parameters).fetchall()[0]["found"]
        except psycopg.Error as error:
            raise self._failure(connection, error) from error
        except ValueError as error:  # A text in no encoding.
            raise StatementFailed(f"what PostgreSQL answers cannot be read: {error}") from error
        return found

    def _failure(self, connection: PatientConnection, error: psycopg.Error) -> AeroError:
        """Return what an error means: PostgreSQL refused, or, if the connection is gone, it does not answer."""
        if not connection.closed and (error.sqlstate is not None or not isinstance(error, psycopg.OperationalError)):
            return StatementFailed(f"PostgreSQL refused: {error.diag.message_primary or error}")
        self._drop()
        return PostgresUnreachable(f"PostgreSQL at {self._where} does not answer: {_one_line(error)}")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> PatientConnection:
        if self._connection is None or not self._connection.lives():
            self._drop()
            self._connection = self._connected()
        return self._connection

    # Logging in -------------------------------------------------------------------------------------------------

    @property
    def _where(self) -> str:
        return f"the socket in {self._place.socket}, port {self._place.port}"

    def _connected(self) -> PatientConnection:
        place = self._place
        try:
            connection = PatientConnection.connect(
                host=place.socket,
                port=place.port,
                user=place.login,
                dbname=place.database,
                connect_timeout=LOOK_SECONDS_MAX,
                autocommit=True,
                application_name=f"aerodb {self._purpose}",
                options=session_options(LOOK_SECONDS_MAX, read_only=True, more={}),
                row_factory=dict_row,
                prepare_threshold=0,
            )
        except psycopg.Error as error:
            raise PostgresUnreachable(self._why(error)) from error
        connection.seconds_max = LOOK_SECONDS_MAX
        if has(connection.info.server_version // _MAJOR, Capability.TRANSACTION_TIMEOUT):
            try:
                connection.execute("set transaction_timeout = 0")
            except psycopg.Error as error:
                connection.close()
                raise PostgresUnreachable(f"PostgreSQL at {self._where} does not answer: {error}") from error
        return connection

    def _why(self, error: psycopg.Error) -> str:
        """Return why a login failed, and what a person can do about it."""
        unseen = "whether PostgreSQL runs cannot be seen with these rights"
        if isinstance(error, psycopg.errors.ConnectionTimeout):
            return f"nobody answered within {LOOK_SECONDS_MAX} seconds at {self._where}; {unseen}"
        place, said = self._place, _one_line(error)
        where = make_conninfo(host=place.socket, port=place.port, connect_timeout=LOOK_SECONDS_MAX)
        answers = PGconn.ping(where.encode())
        if answers == Ping.REJECT:
            return f"PostgreSQL at {self._where} lets nobody in now: it starts, recovers or shuts down ({said})"
        if answers != Ping.OK:
            return f"nobody answers at {self._where}; {unseen} ({said})"
        return (
            f"PostgreSQL answers at {self._where} and does not let {place.login} in ({said}). If the role is missing, "
            f"a superuser makes it: create role {_named(place.login)} login; {grant(place.login)} If the login is "
            f"refused, pg_hba.conf needs the line 'local {place.database} {_named(place.login)} peer' above others "
            f"that match, and a reload; the agent runs as the operating system's user {_user()}"
        )


def _user() -> str:
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
