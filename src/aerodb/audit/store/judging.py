"""Verifies a whole log, in a folder or an export: that it is intact, authentic and replayed, and what was not checked.

- First everything is verified against the signed checkpoint. Then the records of each request are judged, one request
  after another, as those of an evidence file are (`aerodb.audit.meaning`).
- The index over requests, which the first step verifies, brings a request's records together. So memory use does not
  grow with the log: a request is forgotten once it is judged.
- The requests of a long log are judged on all cores.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, pairwise
from pathlib import Path

import msgspec

from aerodb.audit.against import EarlierLog, related, seen_earlier
from aerodb.audit.chain import along, judged_along
from aerodb.audit.clocks import jumps_in
from aerodb.audit.contradictions import GivingUp, RecordsOf, Whole, unexplained
from aerodb.audit.export import lines_in
from aerodb.audit.findings import RESTORATION, Finding, Meaning, Tally
from aerodb.audit.logged import Logged
from aerodb.audit.record import Record, read_record
from aerodb.audit.restoration import gap_in, misnamed
from aerodb.audit.store.backup import as_folder, is_backup
from aerodb.audit.store.database import Database
from aerodb.audit.store.exported import opened_export
from aerodb.audit.store.folder import damage, opened_again, opened_folder, side_by_side, verify_content
from aerodb.audit.tree import frontier_of
from aerodb.audit.trust import Trust
from aerodb.audit.verdict import LogVerdict
from aerodb.audit.verify import Progress, silent
from aerodb.errors import VerificationFailed
from aerodb.protocol.vkey import VerifierKey

ALONE_RECORDS_MAX = 1_000
"""Up to this many records one process judges alone: it takes about as long as another process takes to start."""

_PREFIXES = ("", *(f"{digit:x}" for digit in range(1, 16)), None)
"""Where the parts of the requests begin and end. Ids are hexadecimal; all others fall into the first or last part."""

RequestPart = tuple[str, str | None]
"""A part's first request, and the one before which it ends; None means up to and including the last."""


class How(msgspec.Struct, frozen=True, kw_only=True):
    """How to verify: whom to tell the progress of each step, and up to how many records one process works alone."""

    intact: Progress = silent
    judged: Progress = silent
    alone_records_max: int = ALONE_RECORDS_MAX


AS_USUAL = How()


def judge_folder(folder: Path, trust: Trust, earlier: Sequence[EarlierLog] = (), how: How = AS_USUAL) -> LogVerdict:
    """Return the verdict on the log in `folder`, by the configurations that are trusted.

    Raises:
        VerificationFailed: it is not intact; the message says what is missing, altered or not signed.
        LogUnavailable: the folder has no log that can be opened.
    """
    with opened_folder(folder, trust.cluster.log_key) as database:
        return _judged(database, folder, trust, earlier, how)


def judge_export(
    lines: Iterable[bytes], trust: Trust, earlier: Sequence[EarlierLog] = (), how: How = AS_USUAL
) -> LogVerdict:
    """Return the verdict on an export, by the configurations that are trusted; its lines are read one by one.

    Raises:
        VerificationFailed: it is not intact; the message says what is missing, altered or not signed.
        LogUnavailable: the temporary folder has no room for it.
    """
    with opened_export(lines, trust.cluster.log_key) as (database, folder):
        return _judged(database, folder, trust, earlier, how)


@contextmanager
def earlier_log(path: Path, vkey: str, keys: Iterable[VerifierKey] = ()) -> Iterator[EarlierLog]:
    """Hold an earlier log, in a folder, a backup or an export, open for comparison, after verifying that it is intact.

    `keys` are those of the witnesses that may have cosigned it.

    Raises:
        VerificationFailed, LogUnavailable: it is not intact, or cannot be opened.
        OSError: the file cannot be read.
    """
    with _opened(path, vkey) as (database, folder):
        verified = verify_content(database, vkey, folder)
        yield seen_earlier(str(path), verified.checkpoint_text, vkey, keys, _roots(database))


@contextmanager
def _opened(path: Path, vkey: str) -> Iterator[tuple[Database, Path]]:
    if path.is_file() and is_backup(path):
        with as_folder(path) as folder, opened_folder(folder, vkey) as database:
            yield database, folder
    elif path.is_dir():
        with opened_folder(path, vkey) as database:
            yield database, path
    else:
        with path.open("rb") as file, opened_export(lines_in(file), vkey) as opened:
            yield opened


def _roots(database: Database) -> Callable[[int], bytes]:
    return lambda size: frontier_of(database.node_hash, size).root()


def _judged(database: Database, folder: Path, trust: Trust, earlier: Sequence[EarlierLog], how: How) -> LogVerdict:
    verified = verify_content(database, trust.cluster.log_key, folder, how.intact)
    if verified.checkpoint.origin != trust.cluster.origin:
        raise VerificationFailed(f"this is the log of {verified.checkpoint.origin}, not of {trust.cluster.origin}")
    processes = 1 if verified.size <= how.alone_records_max else len(os.sched_getaffinity(0))
    trust = along(trust, database.all_bodies(verified.size), database.blob)
    tally, done = Tally(), 0
    for records, meaning in _parts_judged(database, folder, trust, verified.size, processes):
        tally.merge(meaning)
        done += records
        how.judged(done, verified.size)
    if done != verified.size:
        raise VerificationFailed(f"{done} records were found by their requests, and {verified.size} are in the log")
    given_up = _given_up(database, tally.sum())
    for finding in (*trust.returned(tally.sum().spans), *_misnamed(database, given_up, verified.size)):
        tally.add(finding)
    with damage():
        relations = tuple(related(verified.checkpoint, _roots(database), each) for each in earlier)
        relations += unexplained(tally.sum().contradictions, given_up)
        jumps = jumps_in(database.all_bodies(verified.size))
    return LogVerdict(verified=verified, meaning=tally.sum(), jumps=jumps, relations=relations, processes=processes)


def _given_up(database: Database, found: Meaning) -> tuple[GivingUp, ...]:
    """Return what was given up by the restorations recorded in the log."""
    told = ((each.sequence, read_record(database.body(each.sequence) or b"{}")) for each in found.told)
    gaps = ((sequence, record.target, gap_in(record)) for sequence, record in told)
    return tuple(GivingUp(sequence, node, gap) for sequence, node, gap in gaps if gap is not None)


def _misnamed(database: Database, given_up: tuple[GivingUp, ...], size: int) -> Iterator[Finding]:
    """Yield a finding for each restoration whose restored checkpoint is not one of this log."""
    for act in given_up:
        if misnamed(act.gap, size, _roots(database)):
            said = f"it names {act.gap.restored} as restored, and this log does not begin with that"
            yield Finding(state="fails", part=RESTORATION, sequence=act.sequence, said=said)


def _parts_judged(
    database: Database, folder: Path, trust: Trust, size: int, processes: int
) -> Iterator[tuple[int, Meaning]]:
    """Yield for each part of the requests its number of records, and their meaning."""
    parts: tuple[RequestPart, ...] = tuple((begin or "", end) for begin, end in pairwise(_PREFIXES))
    if processes == 1:
        with damage():
            yield from (_judge(database, trust, part, size) for part in parts)
    else:
        yield from side_by_side(judge_part, [(folder, trust, part, size) for part in parts], processes)


def judge_part(folder: Path, trust: Trust, part: RequestPart, size: int) -> tuple[int, Meaning]:
    """Judge one part of the requests of the log in `folder`, as one process's work.

    Raises:
        VerificationFailed: the database is damaged.
    """
    with opened_again(folder) as database:
        return _judge(database, trust, part, size)


def _records_of(database: Database, size: int) -> RecordsOf:
    """Return what gives a request's records, one after another."""

    def found(request: str) -> Iterator[tuple[int, Record]]:
        for sequence, body in database.by_request(request, request + "\0", size):
            yield sequence, read_record(body)

    return found


def _judge(database: Database, trust: Trust, part: RequestPart, size: int) -> tuple[int, Meaning]:
    tally, records = Tally(), 0

    def entries() -> Iterator[Logged]:
        nonlocal records
        for sequence, body in database.by_request(*part, size):
            records += 1
            record = read_record(body)
            if trust.named(record.configuration) is not None:
                tally.under(record.configuration, sequence, sequence)
            yield Logged(sequence=sequence, text=body.decode(), record=record)

    whole = Whole(size, _roots(database), _records_of(database, size))
    for _, of_one in groupby(entries(), key=lambda entry: entry.record.request):
        for finding in judged_along(trust, of_one, database.blob, whole):
            tally.add(finding)
    return records, tally.sum()
