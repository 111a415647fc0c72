"""Proofs that a record stands in the log, as one text that is verified offline.

A proof says that a record is in the log at an index, under a checkpoint that the log signed. It does not say that
the checkpoint is the newest, nor that the log was never rewritten: who remembers an older checkpoint asks `extends`.

Pure: no I/O, no clock. Source: C2SP tlog-proof ("c2sp.org/tlog-proof@v1").
"""

import base64
from collections.abc import Sequence

import msgspec

from aerodb.audit.note import (
    CHECKPOINT_BYTES_MAX,
    Checkpoint,
    CheckpointForged,
    open_checkpoint,
    strict_base64,
    strict_decimal,
)
from aerodb.audit.tree import HASH_BYTES, leaf_hash, verify_consistency, verify_inclusion
from aerodb.errors import AeroError

HEADER = "c2sp.org/tlog-proof@v1"

_PATH_HASHES_MAX = 64
_PROOF_BYTES_MAX = 2 * CHECKPOINT_BYTES_MAX


class ProofInvalid(AeroError):
    """The text does not prove that the record stands in the log."""

    code = "control.proof-invalid"
    status = 409
    title = "The proof of a record in the audit log is not valid"


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """What was proven: the record is number `index` (from 0) of the log at `checkpoint`."""

    index: int
    checkpoint: Checkpoint
    checkpoint_text: str


def make_proof(index: int, path: tuple[bytes, ...], checkpoint: str) -> str:
    """Return the text that proves, by `path`, that the record `index` stands under the signed `checkpoint`."""
    hashes = "".join(base64.b64encode(sibling).decode() + "\n" for sibling in path)
    return f"{HEADER}\nindex {index}\n{hashes}\n{checkpoint}"


def open_proof(text: str, vkey: str, record: bytes) -> Proven:
    """Return what `text` proves about the bytes `record`, under the log's verifier key `vkey`.

    Raises:
        ProofInvalid: it is malformed, the checkpoint is not the log's, or the path leads elsewhere.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    head, _, checkpoint_text = text.partition("\n\n")
    if len(text) > _PROOF_BYTES_MAX:
        raise ProofInvalid("the proof is too long to be one")
    index, path = _parse_head(head.split("\n"))
    try:
        checkpoint = open_checkpoint(checkpoint_text, vkey)
    except CheckpointForged as error:
        raise ProofInvalid(f"the proof's checkpoint does not hold: {error.message}") from error
    if not verify_inclusion(leaf_hash(record), index, checkpoint.size, path, checkpoint.root):
        raise ProofInvalid(f"the record is not number {index} of the log at {checkpoint.size} records")
    return Proven(index=index, checkpoint=checkpoint, checkpoint_text=checkpoint_text)


def fault_of(text: str, vkey: str, sequence: int, record: str) -> str:
    """Return what is wrong with the proof `text` that `record` is the text of record `sequence`; empty if nothing is.

    Raises:
        VerifierKeyInvalid: `vkey` is malformed.
    """
    try:
        found = open_proof(text, vkey, record.encode())
    except ProofInvalid as error:
        return error.message
    return "" if found.index == sequence else f"it is proven as record {found.index}"


def path_in(text: str) -> tuple[bytes, ...]:
    """Return the hashes of a proof's path.

    Raises:
        ProofInvalid: it is malformed.
    """
    return tuple(_parse_head(text.partition("\n\n")[0].split("\n"))[1])


def _parse_head(lines: list[str]) -> tuple[int, list[bytes]]:
    """Return the index and the path that the lines before the checkpoint state."""
    if lines[0] != HEADER:
        raise ProofInvalid(f"the proof does not begin with {HEADER}")
    rest = lines[1:]
    if rest and rest[0].startswith("extra "):
        # Extra data is opaque and authenticated by nobody: its form is checked, its content is never used.
        if strict_base64(rest[0].removeprefix("extra ")) is None:
            raise ProofInvalid("the proof's extra line is not base64")
        rest = rest[1:]
    index = strict_decimal(rest[0].removeprefix("index ")) if rest and rest[0].startswith("index ") else None
    if index is None:
        raise ProofInvalid("the proof has no index line")
    return index, _parse_path(rest[1:])


def _parse_path(lines: list[str]) -> list[bytes]:
    if len(lines) > _PATH_HASHES_MAX:
        raise ProofInvalid(f"the proof has more than {_PATH_HASHES_MAX} hashes")
    path = [strict_base64(line) for line in lines]
    hashes = [sibling for sibling in path if sibling is not None and len(sibling) == HASH_BYTES]
    if len(hashes) != len(path):
        raise ProofInvalid("the proof has a line that is not a hash")
    return hashes


def extends(old_text: str, new: Checkpoint, path: Sequence[bytes], vkey: str) -> bool:
    """Tell whether `path` proves that the log at `new` extends the log at the checkpoint `old_text`.

    Raises:
        CheckpointForged: `old_text` is not a checkpoint of the log with the verifier key `vkey`.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    old = open_checkpoint(old_text, vkey)
    return old.origin == new.origin and verify_consistency(old.size, old.root, new.size, new.root, path)
