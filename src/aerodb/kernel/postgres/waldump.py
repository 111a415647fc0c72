"""The WAL of a stopped data folder: where it ends, what its last record is, which commits it holds.

- A position is where a record ENDS. pg_waldump prints where it starts, so the end is computed from its length.
- The error that pg_waldump prints at the end of the WAL is normal, and shows that it has read to the end.
- Its output is read as it comes and little of it is kept: a WAL may be long, and a record may be huge.
"""

import itertools
import re
from collections.abc import Iterable
from pathlib import Path

from aerodb.kernel.postgres.control_file import SHUT_DOWN, ControlFile
from aerodb.kernel.postgres.errors import WalUnreadable
from aerodb.kernel.postgres.history import History, history_file, read_history
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.layout import shutdown_end_in
from aerodb.kernel.postgres.lsns import printed_lsn, record_end
from aerodb.kernel.postgres.reading import pages_of, segment_name
from aerodb.protocol.facts import COMMITS_MAX, Commit
from aerodb.protocol.lsn import Lsn

_RECORD = re.compile(
    r"rmgr: (\S+)\s+len \(rec/tot\):\s*\d+/\s*(\d+), tx:\s*(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), "
    r"prev [0-9A-F]+/[0-9A-F]+, desc: (\S+)(.*)"
)
_END = re.compile(r"error in WAL record at|could not find a valid record after|could not find file|could not read file")
_RANGE = re.compile(r"WAL statistics between \S+ and ([0-9A-F]+/[0-9A-F]+):\s*")
_COMMITS = {"COMMIT", "COMMIT_PREPARED"}
DUMP_SECONDS_MAX = 300
BEGINNING_RECORDS = "5"
"""How many of a timeline's first records are searched for the end of recovery, with which a promotion begins one."""


def _records(text: str) -> Iterable[re.Match[str]]:
    return (match for match in map(_RECORD.fullmatch, text.splitlines()) if match)


def _segments(data: Path, timeline: int, start: Lsn, segment_bytes: int) -> tuple[str, str] | None:
    """Return the name of the segment that holds `start`, and of the last one that follows it without a gap.

    None if the first is missing. pg_waldump is given both: otherwise it takes the segment size from whichever file the
    folder lists first, and fails if that one is new and still empty.
    """
    names = {path.name for path in (data / "pg_wal").iterdir()}

    def name(number: int) -> str:
        return segment_name(timeline, number, segment_bytes)

    first = last = start.value // segment_bytes
    if name(first) not in names:
        return None
    while name(last + 1) in names:
        last += 1
    return name(first), name(last)


def readable_from(data: Path, timeline: int, lsn: Lsn, end: Lsn, segment_bytes: int) -> Lsn:
    """Return the first position, at or after `lsn`, from which a timeline's segments have no gap up to `end`."""
    names = {path.name for path in (data / "pg_wal").iterdir()}
    first = wanted = max(end.value - 1, 0) // segment_bytes  # WAL can end where the next segment, not made yet, begins.
    while wanted >= lsn.value // segment_bytes:
        if segment_name(timeline, wanted, segment_bytes) not in names:
            break
        first, wanted = wanted, wanted - 1
    return max(lsn, Lsn(first * segment_bytes))


def _dump(
    installation: Installation,
    data: Path,
    timeline: int,
    start: Lsn,
    segment_bytes: int,
    *arguments: str,
    wanted: bytes,
) -> str:
    """Return the last lines with `wanted` that pg_waldump prints from `start` on; none if the segment is missing.

    The error at the end of the WAL is accepted.

    Raises:
        CommandFailed, WalUnreadable: pg_waldump reports another error.
    """
    segments = _segments(data, timeline, start, segment_bytes)
    if segments is None:
        return ""
    ended = installation.tail(
        "pg_waldump", "-p", data / "pg_wal", "-s", str(start), *arguments, *segments,
        lines=COMMITS_MAX, wanted=re.compile(wanted), timeout_seconds=DUMP_SECONDS_MAX, accept=(0, 1),
    )  # fmt: skip
    if ended.code and not _END.search(ended.error):
        raise WalUnreadable(f"pg_waldump: {ended.error.strip()[-500:]}")
    return ended.output


def shutdown_end(installation: Installation, data: Path, control_file: ControlFile) -> Lsn | None:
    """Return the end of the shutdown checkpoint's record; None if it was not a clean shutdown as a primary.

    Raises:
        WalUnreadable: the record that the control file names is not a shutdown checkpoint.
    """
    if control_file.state != SHUT_DOWN:
        return None
    by_bytes = shutdown_end_in(pages_of(data, control_file), installation.major, control_file)
    return shutdown_end_by_program(installation, data, control_file) if by_bytes is None else by_bytes


def shutdown_end_by_program(installation: Installation, data: Path, control_file: ControlFile) -> Lsn:
    """Return the end of the record of a clean shutdown's checkpoint, as pg_waldump prints it.

    Raises:
        WalUnreadable: the record that the control file names is not a shutdown checkpoint.
    """
    text = _dump(
        installation,
        data,
        control_file.timeline,
        control_file.pg_checkpoint,
        control_file.segment_bytes,
        "-n",
        "1",
        wanted=b"rmgr: ",
    )
    found = next(iter(_records(text)), None)
    if found is None or found[5] != "CHECKPOINT_SHUTDOWN" or printed_lsn(found[4]) != control_file.pg_checkpoint:
        raise WalUnreadable(
            f"the record at {control_file.pg_checkpoint} is not the shutdown checkpoint: {text[:300]!r}"
        )
    return record_end(control_file.pg_checkpoint, int(found[2]), control_file.segment_bytes)


def end_of_wal(installation: Installation, data: Path, control_file: ControlFile) -> tuple[int, Lsn]:
    """Return where recovery of a stopped folder would end: the timeline, and the end of the last complete record.

    Raises:
        WalUnreadable, CommandFailed: the WAL cannot be read, or lacks what the control file says must be there.
    """
    shut = shutdown_end(installation, data, control_file)
    if shut is not None:
        return control_file.timeline, shut
    history = _newest_history(data, control_file)
    for index in range(len(history) - 1, -1, -1):
        timeline, begin = history[index]
        if timeline < control_file.timeline:
            break
        start = max(begin, control_file.redo)
        end = _last_end(installation, data, timeline, start, control_file)
        if end is not None and end > begin:
            _refuse_short(end, control_file)
            return timeline, end
    raise WalUnreadable(f"no record can be read at {control_file.redo}, where recovery would begin")


def _refuse_short(end: Lsn, control_file: ControlFile) -> None:
    """Refuse a WAL that ends before a position that the control file requires.

    Raises:
        WalUnreadable: it ends too early.
    """
    for needed, what in (
        (control_file.pg_checkpoint, "the last checkpoint"),
        (control_file.recovery_end, "a consistent state"),
    ):
        if end < needed or end == control_file.pg_checkpoint:
            raise WalUnreadable(f"the WAL ends at {end}, before {what} at {needed}")


def _newest_history(data: Path, control_file: ControlFile) -> History:
    """Return the history that recovery would follow: of the newest timeline branching off after the pg checkpoint."""
    newest = control_file.timeline
    while history_file(data, newest + 1).exists():
        newest += 1
    for timeline in range(newest, control_file.timeline, -1):
        history = read_history(data, timeline)
        ends = {old: following for (old, _), (_, following) in itertools.pairwise(history)}
        if control_file.timeline in ends and control_file.pg_checkpoint <= ends[control_file.timeline]:
            return history
    return read_history(data, control_file.timeline)


def _last_end(
    installation: Installation, data: Path, timeline: int, start: Lsn, control_file: ControlFile
) -> Lsn | None:
    """Return the end of the last complete record at or after `start`; None if there is none.

    pg_waldump's statistics tell the end without printing the records: a logical message of 100 MB would be 300 MB of
    text.
    """
    text = _dump(installation, data, timeline, start, control_file.segment_bytes, "--stats", wanted=b"^WAL statistics")
    found = _RANGE.fullmatch(text)
    return printed_lsn(found[1]) if found else None


def beginning(installation: Installation, data: Path, timeline: int, begin: Lsn, segment_bytes: int) -> str | None:
    """Return what distinguishes a timeline from any other with its number: its first record, the end of recovery.

    A promotion writes that record first, with the time in microseconds (xlog.c, CreateEndOfRecoveryRecord). None if it
    is gone, or the timeline begins otherwise.

    Raises:
        WalUnreadable, CommandFailed: the WAL cannot be read.
    """
    text = _dump(installation, data, timeline, begin, segment_bytes, "-n", BEGINNING_RECORDS, wanted=b"rmgr: ")
    ends = (each for each in _records(text) if each[5] == "END_OF_RECOVERY")
    found = next((each for each in ends if each[6].lstrip(": ").startswith(f"tli {timeline};")), None)
    return f"{found[4]}{found[6]}" if found and printed_lsn(found[4]) >= begin else None


def commits_after(
    installation: Installation, data: Path, timeline: int, lsn: Lsn, segment_bytes: int
) -> tuple[Commit, ...]:
    """Return the last transactions committed on `timeline` at or after `lsn`, in the order of the WAL.

    At most COMMITS_MAX.

    Raises:
        WalUnreadable, CommandFailed: the WAL cannot be read.
    """
    text = _dump(installation, data, timeline, lsn, segment_bytes, "-r", "Transaction", wanted=b"desc: COMMIT")
    return tuple(_commit(match) for match in _records(text) if match[5] in _COMMITS)


def _commit(match: re.Match[str]) -> Commit:
    """Return one commit; that of a prepared transaction has the transaction's id in its description."""
    rest = match[6].lstrip(": ")
    prepared = re.match(r"(\d+): ?(.*)", rest)
    xid = int(prepared[1]) if prepared else int(match[3])
    return Commit(xid=xid, lsn=printed_lsn(match[4]), time=(prepared[2] if prepared else rest).split(";")[0])
