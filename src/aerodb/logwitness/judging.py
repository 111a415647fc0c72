"""Decides whether a log witness cosigns: only what the log signed, and what extends all that it cosigned before.

- The checks come in the order of the specification: the log, the signature, the size, the proof.
- The first checkpoint of a log is accepted without a comparison, because nothing is known of the log yet.

Pure: no I/O, no clock. Source: C2SP tlog-witness (add-checkpoint).
"""

from collections.abc import Iterable

from aerodb.audit.adding import Addition, AdditionMalformed
from aerodb.audit.note import Checkpoint, CheckpointForged, checkpoint_of, open_checkpoint, read_note
from aerodb.audit.tree import verify_consistency
from aerodb.logwitness.errors import LogAnother, LogUnknown, LogUnsigned, SizeDiffers, Unproven


def origin_of(addition: Addition, origins: Iterable[str]) -> str:
    """Return the name of the watched log that a checkpoint names; nothing is verified.

    Raises:
        AdditionMalformed: it is not a checkpoint.
        LogUnknown: that log is not watched.
    """
    try:
        origin = checkpoint_of(read_note(addition.unverified_checkpoint)).origin
    except CheckpointForged as error:
        raise AdditionMalformed(error.message) from error
    if origin not in origins:
        raise LogUnknown("this witness watches no log of that name")
    return origin


def judged(known: Checkpoint, addition: Addition, vkey: str) -> Checkpoint:
    """Return the checkpoint to cosign, for a witness that cosigned `known` last of the log with the key `vkey`.

    Raises:
        LogUnsigned, AdditionMalformed, SizeDiffers, LogAnother, Unproven: it must not be cosigned.
    """
    try:
        new = open_checkpoint(addition.unverified_checkpoint, vkey)
    except CheckpointForged as error:
        raise LogUnsigned(error.message) from error
    if addition.old_size > new.size:
        raise AdditionMalformed(f"the old size, {addition.old_size}, is above that of the checkpoint, {new.size}")
    if addition.old_size != known.size:
        raise SizeDiffers(f"the witness has cosigned {known.size} records, not {addition.old_size}", known.size)
    if new.size == known.size and new.root != known.root:
        raise LogAnother(f"the log's key signed two different logs of {known.size} records", known.size)
    if not verify_consistency(known.size, known.root, new.size, new.root, addition.path):
        raise Unproven(f"nothing proves that the log of {new.size} records extends that of {known.size}")
    return new
