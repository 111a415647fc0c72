"""Whether a log extends one that was seen earlier, is behind it, or is another log.

- What was seen earlier is a checkpoint that the log's key signed. It signs for every record that the log then had.
- A log extends it where the root over as many of its own first records is the one that was signed. No proof is asked
  for: whoever holds a whole log computes that root.
- A log that has fewer records is behind. That it is a part of the earlier one can be told only by who holds that one's
  records too.

Pure: no I/O, no clock.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from aerodb.audit.cosignature import Cosigned, cosigned
from aerodb.audit.note import Checkpoint, CheckpointForged
from aerodb.audit.verify import verified_checkpoint
from aerodb.errors import VerificationFailed
from aerodb.protocol.vkey import VerifierKey

RootAt = Callable[[int], bytes]
"""Returns the root of the tree over so many of a log's first records; there are at least as many."""


class EarlierLog(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a log earlier, verified: where, its checkpoint, its roots where they are known, and by whom."""

    seen_in: str
    checkpoint: Checkpoint
    root_at: RootAt | None = None
    cosigned: Cosigned | None = None


def seen_earlier(
    seen_in: str, text: str, vkey: str, keys: Iterable[VerifierKey], root_at: RootAt | None = None
) -> EarlierLog:
    """Return what was seen of the log with the verifier key `vkey` under the checkpoint `text`, and who vouches for it.

    Raises:
        VerificationFailed: the log did not sign it, or a cosignature by one of the `keys` is not its own.
    """
    checkpoint = verified_checkpoint(text, vkey)
    try:
        found = cosigned(text, vkey, keys)
    except CheckpointForged as error:
        raise VerificationFailed(f"{seen_in}: {error.message}") from error
    return EarlierLog(seen_in=seen_in, checkpoint=checkpoint, root_at=root_at, cosigned=found)


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """How a log stands to what was seen of it earlier, that in a sentence, and who vouches for what was seen."""

    kind: Literal["extends", "behind", "another"]
    said: str
    cosigned: Cosigned | None = None


def related(now: Checkpoint, root_at: RootAt, earlier: EarlierLog) -> Relation:
    """Return how the log at the verified checkpoint `now`, whose roots `root_at` gives, stands to what was seen."""
    return msgspec.structs.replace(_related(now, root_at, earlier), cosigned=earlier.cosigned)


def _related(now: Checkpoint, root_at: RootAt, earlier: EarlierLog) -> Relation:
    seen, where = earlier.checkpoint, earlier.seen_in
    if seen.origin != now.origin:
        return _another(f"{where} is of the log {seen.origin}, and this is {now.origin}")
    if seen.size <= now.size:
        if root_at(seen.size) != seen.root:
            return _another(f"the first {seen.size} records are not those that the log's key signed in {where}")
        said = f"this log extends {where}: its first {seen.size} records are the same, and {now.size - seen.size} came"
        return Relation(kind="extends", said=said)
    if earlier.root_at is None:
        rest = "whether its own are the first of those cannot be told from a checkpoint alone: give an export"
    elif earlier.root_at(now.size) != now.root:
        return _another(f"its {now.size} records are not the first ones in {where}, which has {seen.size}")
    else:
        rest = f"its {now.size} are the first of those"
    said = f"this log has {now.size} records, and {where} had {seen.size}: {seen.size - now.size} are gone; {rest}"
    return Relation(kind="behind", said=said)


def _another(why: str) -> Relation:
    return Relation(kind="another", said=why)
