"""Where the clock of a log's records went back: said to people beside the records, and nothing is decided by it.

- Order is the log's own. A record whose time is before that of the record right before it shows that a clock was set
  back, or that another clock wrote: both happen, and neither makes a record less true.
- A time that cannot be read is before nothing, and nothing is before it.

Pure: no I/O, no clock.
"""

from collections.abc import Iterable

import msgspec

from aerodb.audit.search import instant

KEPT_MAX = 50
"""How many jumps are kept to be shown; all are counted."""


class Jump(msgspec.Struct, frozen=True, kw_only=True):
    """A record whose time `at` is before `before`, the time of the record right before it."""

    sequence: int
    at: str
    before: str


class Jumps(msgspec.Struct, frozen=True, kw_only=True):
    """How often the clock went back in a log, and the first of those places."""

    count: int = 0
    kept: tuple[Jump, ...] = ()


def went_back_from(before: str, at: str) -> str:
    """Return the time of the record right before one that was made `at`, where that is later; else nothing."""
    earlier, later = instant(at), instant(before)
    return before if earlier is not None and later is not None and earlier < later else ""


def jump_text(before: str) -> str:
    """Return what is said beside a record before which the clock stood at `before`."""
    return f"the clock went back: the record before this one is of {before}"


class _Stamped(msgspec.Struct):
    """All that is read of a record here."""

    at: str


def stamp(record: bytes) -> str:
    """Return the time that the bytes of a record state.

    Raises:
        msgspec.DecodeError: they are none.
    """
    return _DECODER.decode(record).at


_DECODER = msgspec.json.Decoder(_Stamped)


def jumps_in(records: Iterable[tuple[int, bytes]]) -> Jumps:
    """Return where the clock went back in records, which come in the log's order with their numbers."""
    count, kept = 0, list[Jump]()
    before, later = "", instant("")
    for sequence, data in records:
        at = stamp(data)
        now = instant(at)
        if now is not None and later is not None and now < later:
            count += 1
            if count <= KEPT_MAX:
                kept.append(Jump(sequence=sequence, at=at, before=before))
        before, later = at, now
    return Jumps(count=count, kept=tuple(kept))
