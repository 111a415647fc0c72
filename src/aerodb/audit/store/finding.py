"""Searches the log: the index finds records, the log proves them, and a wrong hit is never shown."""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from aerodb.audit.record import Record, read_record
from aerodb.audit.search import PAGE_RECORDS_MAX, Query, matches
from aerodb.audit.store.errors import LogUnavailable, RecordUnknown
from aerodb.audit.store.log import Log

T = TypeVar("T")


class _IndexMistaken(Exception):
    """The index named a record that does not match the search."""


def search(log: Log, query: Query, before: int | None = None, limit: int = PAGE_RECORDS_MAX) -> list[tuple[int, bytes]]:
    """Return number and bytes of the newest `limit` records below `before` that match, the newest first.

    Raises:
        LogUnavailable: the log or every index of it cannot be read.
        SearchBehind: the index is not built yet; asking again goes on with that.
        VerificationFailed: a record was altered.
    """

    def found() -> list[tuple[int, bytes]]:
        numbers = log.index.find(query, log.size if before is None else before, min(limit, PAGE_RECORDS_MAX))
        return [(number, _held_to(log, number, lambda record: matches(query, record))) for number in numbers]

    return _twice(log, found)


def newest_requests(log: Log, before: int | None = None, limit: int = PAGE_RECORDS_MAX) -> list[tuple[str, int]]:
    """Return the newest `limit` requests that began below `before`, each with the number of its first record.

    Raises:
        LogUnavailable: the log or every index of it cannot be read.
        SearchBehind: the index is not built yet; asking again goes on with that.
    """

    def found() -> list[tuple[str, int]]:
        rows = log.index.requests(log.size if before is None else before, min(limit, PAGE_RECORDS_MAX))
        for request, first in rows:
            if log.sequences_of(request)[:1] != (first,):
                raise _IndexMistaken
        return rows

    return _twice(log, found)


def _held_to(log: Log, number: int, fits: Callable[[Record], bool]) -> bytes:
    """Return a record from the log, if it fits."""
    try:
        data = log.record(number)
    except RecordUnknown as error:
        raise _IndexMistaken from error
    if not fits(read_record(data)):
        raise _IndexMistaken
    return data


def _twice(log: Log, find: Callable[[], T]) -> T:
    """Return what `find` does; if the index is wrong, build it anew and try once more."""
    try:
        try:
            return find()
        except _IndexMistaken:
            log.index.rebuild()
            return find()
    except (sqlite3.Error, _IndexMistaken) as error:
        raise LogUnavailable(f"the log cannot be searched: {error}") from error
