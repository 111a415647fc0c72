"""Checkpoints: what the log signs, as signed notes that others' tools can verify.

- A checkpoint is three lines (origin, size, root), an empty line, and signatures. The log writes no extension lines,
  and so none are accepted.
- The signature is over the bytes as they stand. Every accepted text has one reading: numbers have no leading zero,
  base64 has no spare bits. How many signatures there are, and how long a text, is bounded.
- Signatures by keys that we do not know are ignored, as C2SP asks, if only their name or only their id is that of a
  known one. Of a key that we know there is one signature at most, and it must verify, or the whole note is refused.

Pure: no I/O, no clock. Sources: C2SP signed-note, C2SP tlog-checkpoint, RFC 8032 (Ed25519).
"""

import base64
import re
from functools import lru_cache
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aerodb.audit.tree import HASH_BYTES
from aerodb.errors import AeroError
from aerodb.protocol.base64text import from_base64
from aerodb.protocol.vkey import KEY_ID_BYTES, VerifierKey, VerifierKeyInvalid, key_id, parse_verifier_key, verifier_key

__all__ = ["VerifierKeyInvalid", "parse_verifier_key", "verifier_key"]  # Whoever opens a checkpoint needs them too.

CHECKPOINT_BYTES_MAX = 128 << 10
"""Room for more than the sixteen signatures, of nearly 5 kB each, that C2SP has every verifier take."""
SIGNATURES_MAX = 64

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}")
_SIGNATURE_LINE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_NOT_IN_A_NOTE = re.compile(r"[^\n -\ud7ff\ue000-\U0010ffff]")


class CheckpointForged(AeroError):
    """The text is not a checkpoint that the log's key signed, or a signature by another known key is not its own."""

    code = "control.checkpoint-forged"
    status = 409
    title = "A checkpoint of the audit log is forged"


class NoteSignature(NamedTuple):
    """One signature of a note: the key's name and id, and the signature's own bytes; nothing is verified."""

    name: str
    id: bytes
    data: bytes


class Note(msgspec.Struct, frozen=True):
    """A signed note, read and not verified: its text, with the newline at its end, and its signatures in order."""

    unverified_body: str
    signatures: tuple[NoteSignature, ...]

    def signature_of(self, key: VerifierKey) -> bytes | None:
        """Return the bytes of the one signature that says that it is by `key`; None where there is none.

        Raises:
            CheckpointForged: there are several.
        """
        own = [each.data for each in self.signatures if (each.name, each.id) == (key.name, key.id)]
        if len(own) > 1:
            raise CheckpointForged(f"the checkpoint has {len(own)} signatures of {key.name!r}, not one")
        return own[0] if own else None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A verified checkpoint: the log's name, how many records it has, and the root over them."""

    origin: str
    size: int
    root: bytes


def strict_base64(text: str) -> bytes | None:
    """Return the bytes that `text` is the one standard base64 form of, or None."""
    try:
        return from_base64(text)
    except ValueError:
        return None


def strict_decimal(text: str) -> int | None:
    """Return the number that `text` is the one decimal form of, or None."""
    return int(text) if text.isascii() and _DECIMAL.fullmatch(text) else None


class Signer:
    """Signs the checkpoints of the log `origin` with `key`; what is the same in all of them is prepared once."""

    def __init__(self, origin: str, key: Ed25519PrivateKey) -> None:
        """Prepare.

        Raises:
            VerifierKeyInvalid: `origin` cannot be a log's name.
        """
        public_raw = key.public_key().public_bytes_raw()
        self.verifier_key = verifier_key(origin, public_raw)
        self._origin, self._key, self._key_id = origin, key, key_id(origin, public_raw)

    def checkpoint(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint at `size` records with this root."""
        body = f"{self._origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        return f"{body}\n{signature_line(self._origin, self._key_id, self._key.sign(body.encode()))}"


def sign_checkpoint(origin: str, size: int, root: bytes, key: Ed25519PrivateKey) -> str:
    """Return the signed checkpoint of the log `origin` at `size` records.

    Raises:
        VerifierKeyInvalid: `origin` cannot be a log's name.
    """
    return Signer(origin, key).checkpoint(size, root)


@lru_cache(maxsize=256)
def open_checkpoint(text: str, vkey: str) -> Checkpoint:
    """Return the checkpoint that `text` states and that the key `vkey` signed.

    Raises:
        CheckpointForged: it is malformed, of another log, or its signature is missing or wrong.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    key = parse_verifier_key(vkey)
    note = read_note(text)
    signature = note.signature_of(key)
    if signature is None:
        raise CheckpointForged(f"the checkpoint has no signature of {key.name!r}")
    check_ed25519(key, signature, note.unverified_body.encode())
    checkpoint = checkpoint_of(note)
    if checkpoint.origin != key.name:
        raise CheckpointForged(f"the checkpoint is of the log {checkpoint.origin!r}, not of {key.name!r}")
    return checkpoint


def stated_size(unverified_text: str) -> int:
    """Return how many records a text states that is said to be a checkpoint; 0 where it states none.

    Nothing is verified: it is for showing what its holder verified, and for asking for the proof that verifies it.
    """
    lines = unverified_text.split("\n", 2)
    return (strict_decimal(lines[1]) if len(lines) == 3 else None) or 0


def read_note(text: str) -> Note:
    """Return the parts of a signed note; nothing is verified.

    Raises:
        CheckpointForged: it is no note, or is longer or has more signatures than any that is taken.
    """
    head, gap, tail = text.rpartition("\n\n")
    if _NOT_IN_A_NOTE.search(text) or len(text.encode()) > CHECKPOINT_BYTES_MAX or not gap or not tail.endswith("\n"):
        raise CheckpointForged("the checkpoint is not a signed note")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise CheckpointForged(f"the checkpoint has more than {SIGNATURES_MAX} signatures")
    return Note(head + "\n", tuple(map(_signature, lines)))


def _signature(line: str) -> NoteSignature:
    match = _SIGNATURE_LINE.fullmatch(line)
    signature = strict_base64(match[2]) if match else None
    if match is None or signature is None or len(signature) <= KEY_ID_BYTES:
        raise CheckpointForged("the checkpoint has a line that is not a signature")
    return NoteSignature(match[1], signature[:KEY_ID_BYTES], signature[KEY_ID_BYTES:])


def signature_line(name: str, identity: bytes, signature: bytes) -> str:
    """Return the line of a note's signature by the key with this name and id."""
    return f"\u2014 {name} {base64.b64encode(identity + signature).decode()}\n"


def check_ed25519(key: VerifierKey, signature: bytes, message: bytes) -> None:
    """Check that `signature` is that of `key` over `message`.

    Raises:
        CheckpointForged: it is not.
    """
    try:
        Ed25519PublicKey.from_public_bytes(key.public_raw).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise CheckpointForged(f"the checkpoint's signature is not that of {key.name!r}") from error


def checkpoint_of(note: Note) -> Checkpoint:
    """Return what a note states that is a checkpoint; whoever calls has verified, or verifies, who signed it.

    Raises:
        CheckpointForged: it is not one.
    """
    lines = note.unverified_body[:-1].split("\n")
    if len(lines) != 3 or not lines[0]:
        raise CheckpointForged("the checkpoint has not exactly an origin, a size and a root")
    size, root = strict_decimal(lines[1]), strict_base64(lines[2])
    if size is None or root is None or len(root) != HASH_BYTES:
        raise CheckpointForged("the checkpoint's size or root is malformed")
    return Checkpoint(origin=lines[0], size=size, root=root)
