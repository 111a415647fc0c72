"""The agent's long-running statements: each has its own connection and a time limit, and is cancelled at the end.

So looks go on over the connection that is kept, and an agent that is told to end need not wait.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from aerodb.kernel.postgres.errors import PostgresUnreachable, StatementFailed

Connection = psycopg.Connection[dict[str, Any]]
AGAIN_SECONDS = 0.2
"""After how long a statement that goes on is cancelled again."""


class Lasting:
    """Runs long statements; `connect` opens a connection whose statements may take the given number of seconds."""

    def __init__(self, connect: Callable[[float], Connection]) -> None:
        """Open nothing yet."""
        self._connect = connect
        self._changed = threading.Condition()
        self._under_way: Connection | None = None
        self._ended = False

    def run(self, statement: str, seconds_max: float) -> None:
        """Run one statement.

        Raises:
            PostgresUnreachable: PostgreSQL does not answer; whether the statement took effect is unknown.
            ServerForeign: another server answers; nothing was run.
            StatementFailed: PostgreSQL refused it, it took too long, or the agent is ending.
        """
        try:
            with self._connect(seconds_max) as connection:
                self._hold(connection)
                connection.execute(statement.encode())
        except psycopg.Error as error:
            if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
                raise PostgresUnreachable(f"PostgreSQL does not answer: {error}") from error
            raise StatementFailed(f"PostgreSQL refused: {error}") from error
        finally:
            with self._changed:
                self._under_way = None
                self._changed.notify_all()

    def _hold(self, connection: Connection) -> None:
        with self._changed:
            if self._ended:
                raise StatementFailed("nothing that takes long is begun: the agent is ending")
            self._under_way = connection

    def end(self) -> None:
        """Cancel the statement under way, return once it is over, and let none begin any more.

        It is cancelled again until then: a cancel that comes before the statement was sent is lost.
        """
        with self._changed:
            self._ended = True
            while self._under_way is not None:
                with suppress(psycopg.Error):
                    self._under_way.cancel_safe(timeout=5)
                self._changed.wait(AGAIN_SECONDS)
