"""Whether a log's files are intact: all is computed again from the records, and compared with what is stored.

- Memory stays flat: rows are read a few at a time, whatever the log's size.
- A long log is cut into parts, which all cores verify. A part begins with the stored tree's right edge at its first
  record; the part before it checked exactly those nodes, so that together they check all that one pass would.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import msgspec

from aerodb.audit.note import Checkpoint
from aerodb.audit.store.carrying import is_first_form
from aerodb.audit.store.database import Database, DatabaseRow, open_to_read
from aerodb.audit.store.errors import LogUnavailable
from aerodb.audit.store.files import DATABASE
from aerodb.audit.store.seal import is_sealed, verify_seal
from aerodb.audit.tree import Frontier, frontier_of, leaf_hash
from aerodb.audit.verify import (
    Progress,
    Verified,
    silent,
    verified_checkpoint,
    verified_record,
    verify_blob,
    verify_head,
)
from aerodb.errors import VerificationFailed

T = TypeVar("T")

PART_RECORDS = 25_000
"""How many records one part has: a third of a second's work. Starting another process costs about as much."""

_ROWS_AT_ONCE = 256
_BLOBS_FROM = ("", *(f"sha256:{digit:x}" for digit in range(1, 16)), "t")
"""Where the parts of the blobs begin; the first and the last leave none out, whatever its digest is called."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the work: records from `start` up to `end`, or blobs from one digest up to another, or the file.

    Where no digest ends it, a part of the blobs goes on to the last.
    """

    kind: str
    start: int = 0
    end: int = 0
    digest_from: str = ""
    digest_to: str | None = None


def verify_folder(folder: Path, vkey: str, progress: Progress = silent, part_records: int = PART_RECORDS) -> Verified:
    """Return what holds if the log in `folder` is intact: whole, unaltered and signed by the log's key.

    Raises:
        VerificationFailed: something is missing, altered or not signed; the message says what.
        LogUnavailable: the folder has no log that can be opened.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    with opened_folder(folder, vkey) as database:
        return verify_content(database, vkey, folder, progress, part_records)


@contextmanager
def opened_folder(folder: Path, vkey: str) -> Iterator[Database]:
    """Hold one consistent state of the log in `folder` open, to be verified.

    Nothing is written, so this works while a server appends. A log that was closed is held to its seal too, and so to
    every byte of its files.

    Raises:
        VerificationFailed: the files are not those that were sealed, or they are damaged.
        LogUnavailable: the folder has no log that can be opened.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    try:
        sealed = is_sealed(folder)
        if sealed:
            verify_seal(folder, vkey)
        database = open_to_read(folder / DATABASE, sealed=sealed)
    except (OSError, sqlite3.Error) as error:
        raise LogUnavailable(f"the log in {folder} cannot be read: {error}") from error
    try:
        database.connection.execute("BEGIN")
        with damage():
            first_form = is_first_form(database)
        if first_form:
            raise LogUnavailable(f"the log in {folder} has an earlier form; the control plane carries it over")
        yield database
    finally:
        database.close()


@contextmanager
def damage() -> Iterator[None]:
    """Say in our words that the database is damaged."""
    try:
        yield
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise VerificationFailed(f"the database is damaged: {error}") from error


def verify_content(
    database: Database, vkey: str, folder: Path, progress: Progress = silent, part_records: int = PART_RECORDS
) -> Verified:
    """Return what holds if the database's content is whole, unaltered and signed by the log's key.

    A long log's parts are verified by other processes, which open the database in `folder` by themselves.

    Raises:
        VerificationFailed: something is missing, altered or not signed.
    """
    with damage():
        size, text = database.newest()
        checkpoint = _verified_checkpoint(size, text, vkey)
        parts = tuple(_parts(size, part_records))
        blobs = 0
        for part, rows in _verified(database, folder, parts, processes_for(size, part_records)):
            blobs += rows if part.kind == "blobs" else 0
            if part.kind == "records":
                progress(part.end, size)
        if database.count() != size:
            raise VerificationFailed(f"there are not exactly the rows of {size} records")
        if blobs < database.count_blobs():  # Other processes may have seen more, which a server appended meanwhile.
            raise VerificationFailed("there are blobs whose names are no digests")
        # The parts have shown that every stored node is that of its records, and so the right edge is too.
        verify_head(frontier_of(database.node_hash, size), checkpoint)
    return Verified(size=size, checkpoint=checkpoint, checkpoint_text=text)


def _verified(database: Database, folder: Path, parts: tuple[Part, ...], processes: int) -> Iterator[tuple[Part, int]]:
    """Yield each part once it is verified, and how many rows it had."""
    if processes == 1:
        yield from ((part, _verify_part(database, part)) for part in parts)
    else:
        done = side_by_side(verify_part, [(folder, part) for part in parts], processes)
        yield from zip(parts, done, strict=True)


def _verified_checkpoint(size: int, text: str, vkey: str) -> Checkpoint:
    """Return the stored checkpoint; it must be in the one form that the log gives it."""
    if text.count("\u2014 ") != 1:
        raise VerificationFailed(f"the checkpoint at {size} records has a signature that the log never stored")
    return verified_checkpoint(text, vkey)


def _parts(size: int, part_records: int) -> Iterator[Part]:
    yield Part(kind="file")
    for start in range(0, size, part_records):
        yield Part(kind="records", start=start, end=min(start + part_records, size))
    for digest_from, digest_to in zip(_BLOBS_FROM, (*_BLOBS_FROM[1:], None), strict=True):
        yield Part(kind="blobs", digest_from=digest_from, digest_to=digest_to)


def processes_for(size: int, part_records: int = PART_RECORDS) -> int:
    """Return how many processes verify the folder of a log of `size` records: as many as this one has cores.

    A log of no more than two parts is verified by this one alone, which is done before another one has started.
    """
    return 1 if size <= 2 * part_records else len(os.sched_getaffinity(0))


def side_by_side(work: Callable[..., T], calls: Sequence[tuple[object, ...]], processes: int) -> Iterator[T]:
    """Yield what `work` gives for the arguments of each call, in order, done by so many processes.

    Raises:
        VerificationFailed: the first of the calls that failed, in order, raised it.
    """
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        for done in [pool.submit(work, *call) for call in calls]:
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def verify_part(folder: Path, part: Part) -> int:
    """Verify one part of the log in `folder`, the work of one process; return how many rows it has.

    Raises:
        VerificationFailed: something in it is missing, altered or not signed.
    """
    with opened_again(folder) as database:
        return _verify_part(database, part)


@contextmanager
def opened_again(folder: Path) -> Iterator[Database]:
    """Hold the log in `folder` open in another process, which helps the one that checked what it is.

    Raises:
        VerificationFailed: it is damaged.
    """
    with damage():
        database = open_to_read(folder / DATABASE, sealed=is_sealed(folder))
        try:
            database.connection.execute("BEGIN")
            yield database
        finally:
            database.close()


def _verify_part(database: Database, part: Part) -> int:
    if part.kind == "file":
        faults = database.faults()
        if faults:
            raise VerificationFailed(f"the database is damaged: {faults[0]}")
        return 0
    if part.kind == "records":
        _verify_rows(database, part.start, part.end)
        return part.end - part.start
    return _verify_blobs(database, part.digest_from, part.digest_to)


def _verify_blobs(database: Database, digest_from: str, digest_to: str | None) -> int:
    after, verified = digest_from, 0
    while True:
        found = database.blob_digests(after, _ROWS_AT_ONCE)
        digests = [each for each in found if digest_to is None or each <= digest_to]
        for digest in digests:
            verify_blob(digest, database.blob(digest) or b"")
        if not digests:
            return verified
        after, verified = digests[-1], verified + len(digests)


def _verify_rows(database: Database, start: int, end: int) -> None:
    frontier = frontier_of(database.node_hash, start)
    for first in range(start, end, _ROWS_AT_ONCE):
        for row in database.rows(first, min(first + _ROWS_AT_ONCE, end)):
            frontier = _verify_row(database, row, frontier)
    if frontier.size != end:
        raise VerificationFailed(f"record {frontier.size} is missing")


def _verify_row(database: Database, row: DatabaseRow, frontier: Frontier) -> Frontier:
    """Check one record and the nodes that it completed; return the frontier after it."""
    sequence, request, event, stored, body = row
    record = verified_record(sequence, body)
    if (sequence, request, event) != (frontier.size, record.request, record.event):
        raise VerificationFailed(f"record {frontier.size} is not filed under its number, request and event")
    for digest in record.needs:  # Whether each is what it is named is checked once, with all the blobs.
        if not database.has_blob(digest):
            raise VerificationFailed(f"record {sequence} names the blob {digest}, which is missing")
    nodes, grown = frontier.grown(leaf_hash(body))
    if b"".join(nodes) != stored:
        raise VerificationFailed(f"the stored hash of record {sequence}, or of a node that it completes, is not theirs")
    return grown
