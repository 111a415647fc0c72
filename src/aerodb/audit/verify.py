"""Whether a log is intact: whole, in order, as its key signed. What its records mean is judged in `meaning`.

Pure: no I/O, no clock; records and blobs are passed in.
"""

from collections.abc import Callable

import msgspec

from aerodb.audit.note import Checkpoint, CheckpointForged, open_checkpoint
from aerodb.audit.record import Record, RecordTooLarge, decode_record
from aerodb.audit.tree import Frontier
from aerodb.errors import VerificationFailed
from aerodb.protocol import canonical

BlobOf = Callable[[str], bytes | None]
"""Returns the blob with a digest, or None where there is none."""

Progress = Callable[[int, int], None]
"""Is told how many records are verified, of how many."""


def silent(done: int, total: int) -> None:
    """Tell nobody."""
    del done, total


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A log that is intact: `size` records, whole and in order, under this checkpoint."""

    size: int
    checkpoint: Checkpoint
    checkpoint_text: str


def verified_checkpoint(text: str, vkey: str) -> Checkpoint:
    """Return the checkpoint that `text` states and the log's key signed.

    Raises:
        VerificationFailed: it is not one.
    """
    try:
        return open_checkpoint(text, vkey)
    except CheckpointForged as error:
        raise VerificationFailed(error.message) from error


def verified_record(sequence: int, data: bytes) -> Record:
    """Return the record that `data` are the canonical bytes of.

    Raises:
        VerificationFailed: they are not.
        MadeLater: they are a later version's.
    """
    try:
        return decode_record(data)
    except (canonical.NotCanonical, RecordTooLarge) as error:
        raise VerificationFailed(f"record {sequence} is malformed: {error.message}") from error


def verify_blob(digest: str, data: bytes) -> None:
    """Check that `data` are what `digest` names.

    Raises:
        VerificationFailed: they are not.
    """
    if canonical.digest(data) != digest:
        raise VerificationFailed(f"the blob {digest} is altered")


def verify_head(frontier: Frontier, checkpoint: Checkpoint) -> None:
    """Check that the tree with this frontier is the one that `checkpoint` was signed over.

    Raises:
        VerificationFailed: it is not.
    """
    if frontier.size != checkpoint.size:
        raise VerificationFailed(f"there are {frontier.size} records, and {checkpoint.size} were signed for")
    if frontier.root() != checkpoint.root:
        raise VerificationFailed(f"the root over the first {frontier.size} records is not the one that was signed")
