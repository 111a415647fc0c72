"""A log at one size, as a person can type it, and the gap between two of them: what is given up, and what stands.

Pure: no I/O, no clock.
"""

import base64
import re

import msgspec

from aerodb.past.rules_2.errors import AeroError
from aerodb.past.rules_2.protocol.base64text import from_base64

ROOT_BYTES = 32
_MARK = re.compile(r"(0|[1-9][0-9]{0,15}):([A-Za-z0-9+/]{43}=)")


class MarkMalformed(AeroError):
    """A log's size and root are not of the form that they are shown in."""

    code = "input.mark-malformed"
    status = 400
    title = "This is not the size and root of a log"


class Mark(msgspec.Struct, frozen=True):
    """A log at one size: how many records it has, and the base64 root over them, which no other records have."""

    size: int
    root: str

    def __str__(self) -> str:
        """Return the mark as a person types it."""
        return f"{self.size}:{self.root}"

    @property
    def root_bytes(self) -> bytes:
        """Return the root."""
        return from_base64(self.root)


class Gap(msgspec.Struct, frozen=True):
    """What a node gives up: the log as it saw it; and what it takes for it: whatever begins with what was restored."""

    seen: Mark
    restored: Mark


def mark_of(size: int, root: bytes) -> Mark:
    """Return the mark of a log of so many records with this root."""
    return Mark(size, base64.b64encode(root).decode())


def read_mark(text: str, field: str = "") -> Mark:
    """Return the mark that `text` is the one form of, as in "17:" and the root in base64.

    Raises:
        MarkMalformed: it is none.
    """
    found = _MARK.fullmatch(text)
    try:
        root = from_base64(found[2]) if found else b""
    except ValueError:
        root = b""
    if found is None or len(root) != ROOT_BYTES:
        raise MarkMalformed(f"a log is named by its size and root, as in 17:abc...=, not by {text!r}", field=field)
    return Mark(int(found[1]), found[2])


def stated_mark(unverified_checkpoint: str) -> Mark | None:
    """Return the mark that a text states which is said to be a checkpoint; None where it states none.

    Nothing is verified: it is for what its holder has verified.
    """
    lines = unverified_checkpoint.split("\n", 3)
    try:
        return read_mark(f"{lines[1]}:{lines[2]}") if len(lines) == 4 else None
    except MarkMalformed:
        return None
