"""A connection that waits so long for an answer and no longer: a stopped process takes questions and answers none.

A statement's own time limit is kept by the very process that may be stopped; this one is kept here.
"""

from typing import Any

import psycopg
from psycopg.abc import RV, PQGen

INTERVAL_SECONDS = 0.1


class OutOfPatience(psycopg.OperationalError):
    """PostgreSQL has not answered in time; what was asked may still take effect."""


class PatientConnection(psycopg.Connection[dict[str, Any]]):
    """A connection whose every wait ends after `seconds_max` (None: as long as it takes); it is then of no more use."""

    seconds_max: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = INTERVAL_SECONDS, timeout: float | None = None) -> RV:
        """Wait for what a statement gives.

        Raises:
            OutOfPatience: it took too long.
        """
        try:
            return super().wait(gen, interval, self.seconds_max if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:  # noqa: SLF001 - what `timeout` of `wait` is documented to raise
            raise OutOfPatience(f"no answer within {self.seconds_max:g} seconds") from error
