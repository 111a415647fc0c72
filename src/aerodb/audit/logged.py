"""One record in its place in the log, and what a check finds of it.

Pure: no I/O, no clock.
"""

from collections.abc import Callable, Iterator

import msgspec

from aerodb.audit.findings import Finding
from aerodb.audit.record import Record
from aerodb.errors import AeroError
from aerodb.protocol.formats import MadeLater


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """One record with its number in the log and its exact text."""

    sequence: int
    text: str
    record: Record


def checked(entry: Logged, what: str, check: Callable[[], str]) -> Finding:
    """Return what a check says, or why it fails."""
    try:
        return held(entry, what, check())
    except (AeroError, UnicodeError) as error:
        return refused(entry, what, error)


def unless(entry: Logged, what: str, check: Callable[[], object]) -> Iterator[Finding]:
    """Yield why a check fails, if it does."""
    try:
        check()
    except AeroError as error:
        yield refused(entry, what, error)


def held(entry: Logged, what: str, said: str, count: int = 1) -> Finding:
    """Return that a part of a record holds, for so many signatures or plans."""
    return Finding(state="holds", part=what, sequence=entry.sequence, said=said, count=count)


def failed(entry: Logged, what: str, why: str) -> Finding:
    """Return that a part of a record is not what it says."""
    return Finding(state="fails", part=what, sequence=entry.sequence, said=why)


def refused(entry: Logged, what: str, error: AeroError | UnicodeError) -> Finding:
    """Return why a check did not hold: a later version's words cannot be checked here; else it is not what it says."""
    return gap(entry, what, error.message) if isinstance(error, MadeLater) else failed(entry, what, str(error))


def gap(entry: Logged, what: str, why: str) -> Finding:
    """Return that a part of a record cannot be checked here."""
    return Finding(state="unchecked", part=what, sequence=entry.sequence, said=why, why=why)


def noted(entry: Logged, what: str, why: str) -> Finding:
    """Return that a part of a record rests on somebody's word."""
    return Finding(state="noted", part=what, sequence=entry.sequence, said=f"Record {entry.sequence}: {why}.", why=why)
