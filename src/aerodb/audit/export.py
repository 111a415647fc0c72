"""The log as one text, JSON Lines: what `aerodb audit verify` checks offline.

- The first line is the checkpoint; then every record in order, as its exact text; then the blobs.
- Blobs stand in the order of their digests. Verifying holds one digest a needed blob in memory, and no more.
- Each line has one form, so that no byte of an export can change unnoticed. Only a blob that no confirmation names
  can be left out.

Pure: no I/O, no clock; the log is passed in.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import msgspec

from aerodb.audit.note import Checkpoint
from aerodb.audit.record import Record, read_record
from aerodb.audit.tree import Frontier, leaf_hash
from aerodb.audit.verify import (
    Progress,
    VerificationFailed,
    Verified,
    silent,
    verified_checkpoint,
    verified_record,
    verify_blob,
    verify_head,
)

T = TypeVar("T")

BLOCK_BYTES = 256 << 10
TOLD_RECORDS = 10_000


class CheckpointLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line: the signed checkpoint that the rest is held to."""

    checkpoint: str


class RecordLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record: its number, and its canonical bytes as text."""

    sequence: int
    record: str


class BlobLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One blob: its digest, and its bytes as text."""

    blob: str
    text: str


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


def verify_export(lines: Iterable[bytes], vkey: str, progress: Progress = silent) -> Verified:
    """Return what holds if `lines` are the export of a whole, unaltered log, signed by the log's key.

    The lines are taken one after another; `progress` is told how far it is, now and then.

    Raises:
        VerificationFailed: anything is missing, added, altered, in another order, or not signed.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    rest = iter(lines)
    text = _parse(next(rest, b""), CheckpointLine).checkpoint
    signed = verified_checkpoint(text, vkey)
    missing = _verify_blobs(rest, _verify_records(rest, signed, progress))
    if missing:
        raise VerificationFailed(f"a confirmation names the blob {min(missing)}, which is missing")
    return Verified(size=signed.size, checkpoint=signed, checkpoint_text=text)


def records_in(lines: Iterable[bytes]) -> Iterator[tuple[int, Record]]:
    """Yield number and content of the records in an export that was verified."""
    for data in lines:
        if data.startswith(b'{"sequence":'):
            line = _parse(data, RecordLine)
            yield line.sequence, read_record(line.record.encode())


def _verify_records(lines: Iterator[bytes], signed: Checkpoint, progress: Progress) -> set[str]:
    """Check as many records as were signed for; return the digests of the blobs that they need."""
    frontier, needed = Frontier(), set[str]()
    while frontier.size < signed.size:
        line = _parse(next(lines, b""), RecordLine)
        if line.sequence != frontier.size:
            raise VerificationFailed(f"record {frontier.size} is missing or out of order")
        data = line.record.encode()
        needed.update(verified_record(line.sequence, data).needs)
        frontier = frontier.append(leaf_hash(data))
        if frontier.size % TOLD_RECORDS == 0:
            progress(frontier.size, signed.size)
    verify_head(frontier, signed)
    return needed


def _verify_blobs(lines: Iterator[bytes], needed: set[str]) -> set[str]:
    """Check that each blob is what its digest says, and in order; return what is still needed."""
    last = ""
    for data in lines:
        line = _parse(data, BlobLine)
        verify_blob(line.blob, line.text.encode())
        if line.blob <= last:
            raise VerificationFailed(f"the blob {line.blob} is there twice or out of order")
        last = line.blob
        needed.discard(last)
    return needed


def _line(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _parse(data: bytes, kind: type[T]) -> T:
    """Return the `kind` that the line is the one form of."""
    try:
        value = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise VerificationFailed(f"a line of the export is missing or is no {kind.__name__}: {error}") from error
    if msgspec.json.encode(value) + b"\n" != data:
        raise VerificationFailed(f"a {kind.__name__} of the export is not in its one form")
    return value
