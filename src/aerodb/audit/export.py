"""The log as one text, JSON Lines: what `aerodb audit verify` checks offline.

- The first line is the checkpoint; then every record in order, as its exact text; then the blobs.
- Blobs stand in the order of their digests.
- Each line has one form, so that no byte of an export can change unnoticed. Only a blob that no plan and no
  confirmation needs can be left out.

Pure: no I/O, no clock; the log is passed in.
"""

from collections.abc import Iterable, Iterator
from typing import IO, ClassVar, Protocol, TypeVar

import msgspec

from aerodb.audit.verify import verified_checkpoint
from aerodb.errors import VerificationFailed
from aerodb.protocol import formats
from aerodb.protocol.formats import Format

T = TypeVar("T")

BLOCK_BYTES = 256 << 10
LINE_BYTES_MAX = 64 << 20
"""What one line of an export may have: more than any record or blob has, and no more than a machine has to hold."""


class CheckpointLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line: the signed checkpoint that the rest is held to."""

    FORMAT: ClassVar[Format] = Format(kind="export")

    checkpoint: str


class RecordLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record: its number, and its canonical bytes as text."""

    FORMAT: ClassVar[Format] = Format(kind="record in an export")

    sequence: int
    record: str


class BlobLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One blob: its digest, and its bytes as text."""

    FORMAT: ClassVar[Format] = Format(kind="blob in an export")

    blob: str
    text: str


ExportLine = CheckpointLine | RecordLine | BlobLine


class Exportable(Protocol):
    """What an export is made from: the log's store is one."""

    @property
    def size(self) -> int:
        """How many records there are."""
        ...

    @property
    def checkpoint(self) -> str:
        """The newest signed checkpoint."""
        ...

    def records(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of the records from `start` up to but without `end`."""
        ...

    def blobs(self) -> Iterator[tuple[str, bytes]]:
        """Yield digest and bytes of every blob."""
        ...


def export(log: Exportable) -> Iterator[bytes]:
    """Yield the lines of the log as it is now, each with its newline; what is appended meanwhile is left out."""
    checkpoint = log.checkpoint
    yield _line(CheckpointLine(checkpoint))
    # The size that was signed, not the size now: another thread may have appended between the two.
    for sequence, record in log.records(0, int(checkpoint.split("\n")[1])):
        yield _line(RecordLine(sequence, record.decode()))
    for digest, data in log.blobs():
        yield _line(BlobLine(digest, data.decode()))


def blocks(lines: Iterable[bytes], block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Yield the same bytes in few, larger pieces of whole lines: sending a piece costs more than making a line."""
    held, held_bytes = list[bytes](), 0
    for line in lines:
        held.append(line)
        held_bytes += len(line)
        if held_bytes >= block_bytes:
            yield b"".join(held)
            held, held_bytes = [], 0
    if held:
        yield b"".join(held)


def lines_in(file: IO[bytes], bytes_max: int = LINE_BYTES_MAX) -> Iterator[bytes]:
    """Yield the lines of a file, each with its newline; only one is held at a time, whatever the file is.

    Raises:
        VerificationFailed: one has more than `bytes_max` bytes, so it is no line of an export.
    """
    while line := file.readline(bytes_max + 1):
        if len(line) > bytes_max:
            raise VerificationFailed(f"a line of the export has more than {bytes_max} bytes")
        yield line


def read_lines(lines: Iterable[bytes], vkey: str) -> Iterator[ExportLine]:
    """Yield the lines of an export, each in its one form: the signed checkpoint, as many records, then the blobs.

    What the records and blobs are is not looked at: that they are what was signed is verified where they are held.

    Raises:
        VerificationFailed: a line is missing, malformed or out of order, or the checkpoint is not the log's.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    rest = iter(lines)
    first = _parse(next(rest, b""), CheckpointLine)
    signed = verified_checkpoint(first.checkpoint, vkey)
    yield first
    for sequence in range(signed.size):
        record = _parse(next(rest, b""), RecordLine)
        if record.sequence != sequence:
            raise VerificationFailed(f"record {sequence} is missing or out of order")
        yield record
    last = ""
    for data in rest:
        blob = _parse(data, BlobLine)
        if blob.blob <= last:
            raise VerificationFailed(f"the blob {blob.blob} is there twice or out of order")
        last = blob.blob
        yield blob


def _line(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _parse(data: bytes, kind: type[T]) -> T:
    """Return the `kind` that the line is the one form of."""
    try:
        value: T = formats.read(data, kind, _decode)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise VerificationFailed(f"a line of the export is missing or is no {kind.__name__}: {error}") from error
    return value


def _decode(data: bytes, kind: type[T]) -> T:
    value = msgspec.json.decode(data, type=kind)
    if msgspec.json.encode(value) + b"\n" != data:
        raise VerificationFailed(f"a {kind.__name__} of the export is not in its one form")
    return value
