"""What a log asks of a log witness, as text: cosign this checkpoint, which extends the one of so many records.

- One form: decimal numbers without leading zeros, base64 without spare bits, each line with its newline. How much of it
  there may be is bounded.
- Nothing is verified here: the witness judges it (`aerodb.logwitness.judging`).

Pure: no I/O, no clock. Source: C2SP tlog-witness (add-checkpoint), RFC 6962 section 2.1.2.
"""

import base64
from collections.abc import Sequence

import msgspec

from aerodb.audit.note import CHECKPOINT_BYTES_MAX, strict_base64, strict_decimal
from aerodb.audit.tree import HASH_BYTES
from aerodb.errors import AeroError

PATH = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
"""The type of an answer that is the size of the checkpoint that the witness cosigned last."""
HASHES_MAX = 63
ADDITION_BYTES_MAX = CHECKPOINT_BYTES_MAX + (4 << 10)


class AdditionMalformed(AeroError):
    """What a log witness was sent is not the text of the protocol, or states an old size above the new one."""

    code = "input.addition-malformed"
    status = 400
    title = "What the log witness was sent is malformed"


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint to be cosigned: the size that the witness is said to know, the path from there, and the note."""

    old_size: int
    path: tuple[bytes, ...]
    unverified_checkpoint: str


def addition_bytes(old_size: int, path: Sequence[bytes], checkpoint: str) -> bytes:
    """Return the text that asks a witness that knows `old_size` records to cosign `checkpoint`."""
    hashes = "".join(base64.b64encode(each).decode() + "\n" for each in path)
    return f"old {old_size}\n{hashes}\n{checkpoint}".encode()


def read_addition(data: bytes) -> Addition:
    """Return what a log asks.

    Raises:
        AdditionMalformed: it is not the text of the protocol.
    """
    try:
        head, _, checkpoint = data.decode().partition("\n\n")
    except UnicodeDecodeError as error:
        raise AdditionMalformed("it is no Unicode") from error
    first, *rest = head.split("\n")
    old_size = strict_decimal(first.removeprefix("old ")) if first.startswith("old ") else None
    if old_size is None:
        raise AdditionMalformed("it does not begin with the old size")
    if len(rest) > HASHES_MAX:
        raise AdditionMalformed(f"it has more than {HASHES_MAX} hashes")
    path = tuple(found for line in rest if (found := strict_base64(line)) is not None and len(found) == HASH_BYTES)
    if len(path) != len(rest):
        raise AdditionMalformed("it has a line that is no hash")
    return Addition(old_size=old_size, path=path, unverified_checkpoint=checkpoint)


def read_size(data: bytes) -> int | None:
    """Return the size in the answer of a witness that knows another one than it was told; None where it is none."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return None
    return strict_decimal(text[:-1]) if text.endswith("\n") else None
