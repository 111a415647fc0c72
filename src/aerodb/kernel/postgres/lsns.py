"""WAL positions as PostgreSQL's programs print them, and the arithmetic of WAL pages. Pure: no I/O, no clock.

Source: PostgreSQL's access/xlog internal.h (page headers of 24 bytes, 40 at a segment's start; records aligned to 8).
"""

import re

from aerodb.kernel.postgres.errors import WalUnreadable
from aerodb.protocol.lsn import Lsn

PAGE_BYTES = 8192
_PRINTED = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


def printed_lsn(text: str) -> Lsn:
    """Return the position that a program printed, zero-padded or not.

    Raises:
        WalUnreadable: it is not a position.
    """
    match = _PRINTED.fullmatch(text.strip())
    if match is None:
        raise WalUnreadable(f"{text!r} is not a WAL position")
    return Lsn((int(match[1], 16) << 32) | int(match[2], 16))


def record_end(start: Lsn, length_bytes: int, segment_bytes: int, *, switches: bool = False) -> Lsn:
    """Return where the record ends that starts at `start`: the position that a standby's flush must reach.

    `switches` is true for a segment switch, which fills its segment.
    """
    position, left = start.value, length_bytes
    while True:
        room = PAGE_BYTES - position % PAGE_BYTES
        if left <= room:
            break
        left -= room
        position += room
        position += 40 if position % segment_bytes == 0 else 24
    end = (position + left + 7) & ~7
    if switches and end % segment_bytes:
        end += segment_bytes - end % segment_bytes
    return Lsn(end)
