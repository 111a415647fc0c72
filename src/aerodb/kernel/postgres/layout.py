"""The control file and the shutdown checkpoint's record, by their bytes: what a demotion's pledge rests on. Pure.

- Nothing is guessed: what is not exactly as PostgreSQL of that version writes it is not understood, and `None` is
  returned; then PostgreSQL's own programs are asked, and what they say or refuse counts.
- Both carry a CRC-32C, which is checked; the record is also compared with the copy of it in the control file.
- A position is where a record ENDS.

Source: PostgreSQL's catalog/pg_control.h, access/xlogrecord.h, access/xlog_internal.h and xlogreader.c, of 15 to 18.
"""

import struct
from collections.abc import Callable

from aerodb.kernel.postgres.capabilities import MAJORS
from aerodb.kernel.postgres.control_file import ControlFile
from aerodb.kernel.postgres.crc32c import crc32c
from aerodb.kernel.postgres.lsns import PAGE_BYTES, record_end
from aerodb.protocol.lsn import Lsn

CONTROL_FILE_BYTES = 8192
STATES = (
    "starting up",
    "shut down",
    "shut down in recovery",
    "shutting down",
    "in crash recovery",
    "in archive recovery",
    "in production",
)
"""The states, in the order of PostgreSQL's DBState, in pg_controldata's words."""

_FIRST = struct.Struct("<QII")
_BODY = struct.Struct("<I4xqQ")
_COPY = struct.Struct("<QII")
_COPY_AT, _COPY_BYTES = 40, 88
_RECOVERY = struct.Struct("<QI")
_RECOVERY_AT = 136
_SETTINGS = struct.Struct("<?3xiiiii")
_SETTINGS_AT = 176
_COMPATIBLE = struct.Struct("<IdIIIIIIII")
_COMPATIBLE_AT = 204
_CHECKSUMS_AT = 252
_CRC_AT = {1300: 288, 1700: 288, 1800: 292}
_FLOAT, _ALIGN_BYTES = 1234567.0, 8
_SEGMENT_BYTES_MIN, _SEGMENT_BYTES_MAX = 1 << 20, 1 << 30

_PAGE = struct.Struct("<HHIQI4x")
_LONG_PAGE = struct.Struct("<HHIQI4xQII")
_CONTINUES, _LONG, _KNOWN_FLAGS = 0x1, 0x2, 0xF
_RECORD = struct.Struct("<IIQBB2xI")
_RECORD_CRC_AT = 20
_SHORT_DATA = 255
_RECORD_BYTES = _RECORD.size + 2 + _COPY_BYTES
"""A shutdown checkpoint's record: its header, the header of its data, and the data, a CheckPoint."""


def control_in(content: bytes, major: int) -> ControlFile | None:
    """Return what the bytes of a control file say; None if they are not as PostgreSQL of that major version writes."""
    if major not in MAJORS or len(content) != CONTROL_FILE_BYTES:
        return None
    version = MAJORS[major].control_version
    system, found, _ = _FIRST.unpack_from(content)
    crc_at = _CRC_AT[version]
    if found != version or crc32c(content[:crc_at]) != struct.unpack_from("<I", content, crc_at)[0]:
        return None
    state, _, pg_checkpoint = _BODY.unpack_from(content, 16)
    align, floating, _, _, page_bytes, segment_bytes, *_ = _COMPATIBLE.unpack_from(content, _COMPATIBLE_AT)
    if (align, floating, page_bytes) != (_ALIGN_BYTES, _FLOAT, PAGE_BYTES) or state >= len(STATES):
        return None
    power_of_two = segment_bytes & (segment_bytes - 1) == 0
    if not (power_of_two and _SEGMENT_BYTES_MIN <= segment_bytes <= _SEGMENT_BYTES_MAX):
        return None
    redo, timeline, previous = _COPY.unpack_from(content, _COPY_AT)
    recovery_end, recovery_end_timeline = _RECOVERY.unpack_from(content, _RECOVERY_AT)
    log_hints, connections, workers, senders, prepared, locks = _SETTINGS.unpack_from(content, _SETTINGS_AT)
    return ControlFile(
        system=str(system),
        state=STATES[state],
        pg_checkpoint=Lsn(pg_checkpoint),
        redo=Lsn(redo),
        timeline=timeline,
        previous_timeline=previous,
        recovery_end=Lsn(recovery_end),
        recovery_end_timeline=recovery_end_timeline,
        segment_bytes=segment_bytes,
        checksums=struct.unpack_from("<I", content, _CHECKSUMS_AT)[0] != 0,
        log_hints=log_hints,
        least={
            "max_connections": connections,
            "max_worker_processes": workers,
            "max_wal_senders": senders,
            "max_prepared_transactions": prepared,
            "max_locks_per_transaction": locks,
        },
    )


def shutdown_end_in(page_at: Callable[[int], bytes | None], major: int, control_file: ControlFile) -> Lsn | None:
    """Return the end of the shutdown checkpoint's record that a control file names.

    `page_at` returns the page of WAL that begins at a position, of the control file's timeline, or None. None is
    returned if there is no such record, or anything of it or of its pages is not as that major version writes it.
    """
    start = control_file.pg_checkpoint.value
    content = _content(page_at, major, control_file, start)
    if content is None:
        return None
    length_bytes, _, previous, info, manager, crc = _RECORD.unpack_from(content)
    if (length_bytes, info, manager) != (_RECORD_BYTES, 0, 0) or previous >= start:
        return None
    if crc32c(content[_RECORD.size :] + content[:_RECORD_CRC_AT]) != crc:
        return None
    kind, data_bytes = content[_RECORD.size : _RECORD.size + 2]
    copied = _COPY.unpack_from(content, _RECORD.size + 2)
    told = control_file.redo.value, control_file.timeline, control_file.previous_timeline
    if (kind, data_bytes) != (_SHORT_DATA, _COPY_BYTES) or copied != told or copied[0] != start:
        return None
    return record_end(control_file.pg_checkpoint, length_bytes, control_file.segment_bytes)


def _content(page_at: Callable[[int], bytes | None], major: int, control_file: ControlFile, start: int) -> bytes | None:
    """Return the bytes of a shutdown checkpoint's record at `start`, without the headers of the pages that it spans."""
    taken, begin, position = b"", start % PAGE_BYTES, start - start % PAGE_BYTES
    while len(taken) < _RECORD_BYTES:
        left = _RECORD_BYTES - len(taken) if taken else 0
        segment_at = position - position % control_file.segment_bytes
        segment, page = page_at(segment_at), page_at(position)
        header_bytes = _header_bytes(page, position, major, control_file, left)
        if segment is None or page is None or header_bytes is None:
            return None
        if _header_bytes(segment, segment_at, major, control_file, 0) is None:
            return None
        begin = header_bytes if taken else begin
        if begin < header_bytes or begin % _ALIGN_BYTES:
            return None
        taken += page[begin:][: _RECORD_BYTES - len(taken)]
        position += PAGE_BYTES
    return taken


def _header_bytes(page: bytes | None, at: int, major: int, control_file: ControlFile, left: int) -> int | None:
    """Return the size of a page's header; None if it is not that of the page at this position.

    `left` is how many bytes of our record it must go on with, 0 if it need not.
    """
    if page is None or len(page) != PAGE_BYTES:
        return None
    magic, flags, timeline, address, continued_bytes = _PAGE.unpack_from(page)
    first = at % control_file.segment_bytes == 0
    if major not in MAJORS or magic != MAJORS[major].page_magic or address != at:
        return None
    if flags & ~_KNOWN_FLAGS or bool(flags & _LONG) != first:
        return None
    if not 0 < timeline <= control_file.timeline:  # The page in which a timeline begins has the one before it.
        return None
    if left and not (flags & _CONTINUES and continued_bytes == left):
        return None
    if not first:
        return _PAGE.size
    told = tuple(_LONG_PAGE.unpack_from(page)[5:])
    wanted = int(control_file.system), control_file.segment_bytes, PAGE_BYTES
    return _LONG_PAGE.size if told == wanted else None
