"""A connection that stops waiting after a time: a process that was stopped accepts questions, but never answers.

`statement_timeout` does not help, because the very process that may be stopped enforces it.
"""

import select
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen

INTERVAL_SECONDS = 0.1


class OutOfPatience(psycopg.OperationalError):
    """PostgreSQL has not answered in time; the statement may still take effect."""


class PatientConnection(psycopg.Connection[dict[str, Any]]):
    """A connection whose waits end after `seconds_max` (None: never). After such a timeout it cannot be used again."""

    seconds_max: float | None = None

    def lives(self) -> bool:
        """Tell whether the other end has not closed the connection, as far as this one can tell without asking.

        A server that ended says so first, and then closes; one that read its settings again may only say something.
        """
        while not self.closed and select.select([self.fileno()], [], [], 0)[0]:
            with suppress(psycopg.Error):
                self.pgconn.consume_input()
        return not self.closed

    def wait(self, gen: PQGen[RV], interval: float = INTERVAL_SECONDS, timeout: float | None = None) -> RV:
        """Wait for the result of a statement.

        Raises:
            OutOfPatience: it took too long.
        """
        try:
            return super().wait(gen, interval, self.seconds_max if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:  # noqa: SLF001 - what `timeout` of `wait` is documented to raise
            raise OutOfPatience(f"no answer within {self.seconds_max:g} seconds") from error
