"""Verifies that a log's files are intact: everything is computed again from the records and compared with the files.

- Memory use does not grow with the log: rows are read a few at a time.
- A long log is cut into parts, which are verified on all cores. A part starts from the stored right edge of the tree at
  its first record; the part before it verifies exactly those nodes. So together they verify all that one pass would.
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
"""How many records a part has: about a third of a second's work, as long as another process takes to start."""

_ROWS_AT_ONCE = 256
_BLOBS_FROM = ("", *(f"sha256:{digit:x}" for digit in range(1, 16)), "t")
"""Where the parts of the blobs begin. Blobs with malformed digests fall into the first or the last part."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the work: the records from `start` to before `end`, or the blobs in a range of digests, or the file.

    `digest_to` None means up to and including the last blob.
    """

    kind: str
    start: int = 0
    end: int = 0
    digest_from: str = ""
    digest_to: str | None = None


def verify_folder(folder: Path, vkey: str, progress: Progress = silent, part_records: int = PART_RECORDS) -> Verified:
    """Verify that the log in `folder` is intact: complete, unaltered and signed by the log's key.

    Raises:
        VerificationFailed: something is missing, altered or not signed; the message says what.
        LogUnavailable: the folder has no log that can be opened.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    with opened_folder(folder, vkey) as database:
        return verify_content(database, vkey, folder, progress, part_records)


@contextmanager
def opened_folder(folder: Path, vkey: str) -> Iterator[Database]:
    """Hold one consistent state of the log in `folder` open for verification.

    Nothing is written, so this works while a server appends. A log that was closed must also match its seal, which
    covers every byte of its files.

    Raises:
        VerificationFailed: the files are not the ones that were sealed, or they are damaged.
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
    """Turn the database's errors into VerificationFailed."""
    try:
        yield
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise VerificationFailed(f"the database is damaged: {error}") from error


def verify_content(
    database: Database, vkey: str, folder: Path, progress: Progress = silent, part_records: int = PART_RECORDS
) -> Verified:
    """Verify that the database's content is complete, unaltered and signed by the log's key.

    Other processes verify a long log's parts; they open the database in `folder` themselves.

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
            raise VerificationFailed(f"the log does not have exactly {size} records, as its checkpoint says")
        if blobs < database.count_blobs():  # Not `!=`: other processes may see blobs that a server appended meanwhile.
            raise VerificationFailed("a blob is stored under a name that is not a digest")
        # The parts have verified every stored node, and so those of the right edge.
        verify_head(frontier_of(database.node_hash, size), checkpoint)
    return Verified(size=size, checkpoint=checkpoint, checkpoint_text=text)


def _verified(database: Database, folder: Path, parts: tuple[Part, ...], processes: int) -> Iterator[tuple[Part, int]]:
    """Yield each part once it is verified, with its number of rows."""
    if processes == 1:
        yield from ((part, _verify_part(database, part)) for part in parts)
    else:
        done = side_by_side(verify_part, [(folder, part) for part in parts], processes)
        yield from zip(parts, done, strict=True)


def _verified_checkpoint(size: int, text: str, vkey: str) -> Checkpoint:
    """Return the stored checkpoint, verified; it must have exactly one signature, as the log stores it."""
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
    """Return how many processes verify a log of `size` records: as many as this one may use cores.

    This process alone verifies a log of at most two parts: it is finished before another would have started.
    """
    return 1 if size <= 2 * part_records else len(os.sched_getaffinity(0))


def side_by_side(work: Callable[..., T], calls: Sequence[tuple[object, ...]], processes: int) -> Iterator[T]:
    """Call `work` with the arguments in each of `calls`, in so many processes; yield the results in order.

    Raises:
        VerificationFailed: raised by the first call, in order, that failed.
    """
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        for done in [pool.submit(work, *call) for call in calls]:
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def verify_part(folder: Path, part: Part) -> int:
    """Verify one part of the log in `folder`, as one process's work; return its number of rows.

    Raises:
        VerificationFailed: something in it is missing, altered or not signed.
    """
    with opened_again(folder) as database:
        return _verify_part(database, part)


@contextmanager
def opened_again(folder: Path) -> Iterator[Database]:
    """Hold the log in `folder` open in a helping process; the main one has already checked its seal and form.

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
    """Verify one record and the nodes that it completed; return the right edge of the tree after it."""
    sequence, request, event, stored, body = row
    record = verified_record(sequence, body)
    if (sequence, request, event) != (frontier.size, record.request, record.event):
        raise VerificationFailed(f"record {frontier.size} is not filed under its number, request and event")
    for digest in record.needs:  # That blobs match their digests is verified elsewhere, once for each.
        if not database.has_blob(digest):
            raise VerificationFailed(f"record {sequence} names the blob {digest}, which is missing")
    nodes, grown = frontier.grown(leaf_hash(body))
    if b"".join(nodes) != stored:
        raise VerificationFailed(f"the stored hash of record {sequence}, or of a tree node that it completes, is wrong")
    return grown
