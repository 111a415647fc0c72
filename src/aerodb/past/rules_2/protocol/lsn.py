"""Log sequence numbers, as PostgreSQL writes them.

Source: PostgreSQL manual, 8.20 (pg_lsn): two hexadecimal numbers of up to eight digits, separated by a slash.
Pure: no I/O, no clock.
"""

import re
from functools import total_ordering

_FORM = re.compile(r"([0-9A-F]{1,8})/([0-9A-F]{1,8})")


@total_ordering
class Lsn:
    """A byte position in the write-ahead log; ordered, hashable, immutable."""

    __slots__ = ("value",)
    value: int

    def __init__(self, value: int) -> None:
        """Make the position `value` bytes into the WAL.

        Raises:
            ValueError: `value` does not fit 64 bits.
        """
        if not 0 <= value < 1 << 64:
            raise ValueError(f"{value} is not a WAL position")
        object.__setattr__(self, "value", value)

    @classmethod
    def parse(cls, text: object) -> "Lsn":
        """Return the position that `text`, such as `0/3000148`, names; only PostgreSQL's own spelling.

        Raises:
            ValueError: `text` is not a position, or is spelled otherwise than PostgreSQL spells it.
        """
        match = _FORM.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f"{text!r} is not a WAL position")
        found = cls((int(match[1], 16) << 32) | int(match[2], 16))
        if str(found) != text:
            raise ValueError(f"{text!r} is not spelled as PostgreSQL spells a WAL position")
        return found

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a WAL position is immutable")

    def __str__(self) -> str:
        return f"{self.value >> 32:X}/{self.value & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn({str(self)!r})"

    def __hash__(self) -> int:
        return hash(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lsn) and self.value == other.value

    def __lt__(self, other: "Lsn") -> bool:
        return self.value < other.value

    def __sub__(self, other: "Lsn") -> int:
        """Return the distance in bytes."""
        return self.value - other.value
