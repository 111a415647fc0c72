"""Checkpoints: what the log signs, as signed notes that others' tools can verify.

- A checkpoint is three lines (origin, size, root), an empty line, and signatures. The log writes no extension lines,
  and so none are accepted.
- The signature is over the bytes as they stand. Every accepted text has one reading: numbers have no leading zero,
  base64 has no spare bits.
- Signatures by keys that we do not know (witnesses) are ignored, as C2SP asks; ours must be there, once, and verify.

Pure: no I/O, no clock. Sources: C2SP signed-note, C2SP tlog-checkpoint, RFC 8032 (Ed25519).
"""

import base64
import hashlib
import re
from functools import lru_cache

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aerodb.audit.tree import HASH_BYTES
from aerodb.errors import AeroError
from aerodb.protocol.base64text import from_base64

CHECKPOINT_BYTES_MAX = 65_536

_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_NAME = re.compile(r"[^\s+\x00-\x20\x7f\ud800-\udfff]+")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}")
_SIGNATURE_LINE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


class CheckpointForged(AeroError):
    """The text is not a checkpoint that the log's key signed."""

    code = "control.checkpoint-forged"
    status = 409
    title = "A checkpoint of the audit log is forged"


class VerifierKeyInvalid(AeroError):
    """The text is not an Ed25519 verifier key, or the name is not one that a key may have."""

    code = "input.verifier-key-invalid"
    status = 400
    title = "The log's verifier key is not valid"


class VerifierKey(msgspec.Struct, frozen=True):
    """A log's name (its origin), the key's id, and the raw Ed25519 public key."""

    name: str
    id: bytes
    public_raw: bytes


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


def _key_id(name: str, public_raw: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public_raw).digest()[:_KEY_ID_BYTES]


def verifier_key(name: str, public_raw: bytes) -> str:
    """Return the verifier key (signed-note's "vkey") of the log `name` with the raw Ed25519 key `public_raw`.

    Raises:
        VerifierKeyInvalid: `name` is empty, has white space or a plus, or the key is not 32 bytes.
    """
    if not _NAME.fullmatch(name) or len(public_raw) != 32:
        raise VerifierKeyInvalid(f"the log's name {name!r} or its key cannot stand in a verifier key")
    return f"{name}+{_key_id(name, public_raw).hex()}+{base64.b64encode(_ED25519 + public_raw).decode()}"


@lru_cache(maxsize=16)
def parse_verifier_key(vkey: str) -> VerifierKey:
    """Return the parts of a verifier key.

    Raises:
        VerifierKeyInvalid: it is malformed, its id is not that of its key, or it is not an Ed25519 key.
    """
    name, _, rest = vkey.partition("+")
    _, _, encoded = rest.partition("+")
    public = strict_base64(encoded)
    # Comparing with the one text that these parts have leaves no second spelling.
    if public is None or public[:1] != _ED25519 or verifier_key(name, public[1:]) != vkey:
        raise VerifierKeyInvalid(f"not a verifier key: {vkey!r}", field="log_key")
    return VerifierKey(name, _key_id(name, public[1:]), public[1:])


class Signer:
    """Signs the checkpoints of the log `origin` with `key`; what is the same in all of them is prepared once."""

    def __init__(self, origin: str, key: Ed25519PrivateKey) -> None:
        """Prepare.

        Raises:
            VerifierKeyInvalid: `origin` cannot be a log's name.
        """
        public_raw = key.public_key().public_bytes_raw()
        self.verifier_key = verifier_key(origin, public_raw)
        self._origin, self._key, self._key_id = origin, key, _key_id(origin, public_raw)

    def checkpoint(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint at `size` records with this root."""
        body = f"{self._origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(self._key_id + self._key.sign(body.encode())).decode()
        return f"{body}\n\u2014 {self._origin} {signature}\n"


def sign_checkpoint(origin: str, size: int, root: bytes, key: Ed25519PrivateKey) -> str:
    """Return the signed checkpoint of the log `origin` at `size` records.

    Raises:
        VerifierKeyInvalid: `origin` cannot be a log's name.
    """
    return Signer(origin, key).checkpoint(size, root)


def open_checkpoint(text: str, vkey: str) -> Checkpoint:
    """Return the checkpoint that `text` states and that the key `vkey` signed.

    Raises:
        CheckpointForged: it is malformed, of another log, or its signature is missing or wrong.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    key = parse_verifier_key(vkey)
    unverified_body, signatures = _split(text)
    _verify_signature(unverified_body, signatures, key)
    checkpoint = _parse_body(unverified_body)
    if checkpoint.origin != key.name:
        raise CheckpointForged(f"the checkpoint is of the log {checkpoint.origin!r}, not of {key.name!r}")
    return checkpoint


def stated_size(unverified_text: str) -> int:
    """Return how many records a text states that is said to be a checkpoint; 0 where it states none.

    Nothing is verified: it is for showing what its holder verified, and for asking for the proof that verifies it.
    """
    lines = unverified_text.split("\n", 2)
    return (strict_decimal(lines[1]) if len(lines) == 3 else None) or 0


def _split(text: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the signed body and the signatures as (key name, key id and signature)."""
    head, gap, tail = text.rpartition("\n\n")
    if len(text) > CHECKPOINT_BYTES_MAX or not gap or not tail.endswith("\n") or re.search(r"[^\n -\U0010ffff]", text):
        raise CheckpointForged("the checkpoint is not a signed note")
    return head + "\n", [_signature(line) for line in tail[:-1].split("\n")]


def _signature(line: str) -> tuple[str, bytes]:
    match = _SIGNATURE_LINE.fullmatch(line)
    signature = strict_base64(match[2]) if match else None
    if match is None or signature is None or len(signature) <= _KEY_ID_BYTES:
        raise CheckpointForged("the checkpoint has a line that is not a signature")
    return match[1], signature


def _verify_signature(body: str, signatures: list[tuple[str, bytes]], key: VerifierKey) -> None:
    ours = [signature for name, signature in signatures if name == key.name and signature[:_KEY_ID_BYTES] == key.id]
    if len(ours) != 1:
        raise CheckpointForged(f"the checkpoint has {len(ours)} signatures of {key.name!r}, not one")
    try:
        Ed25519PublicKey.from_public_bytes(key.public_raw).verify(ours[0][_KEY_ID_BYTES:], body.encode())
    except (InvalidSignature, ValueError) as error:
        raise CheckpointForged(f"the checkpoint's signature is not that of {key.name!r}") from error


def _parse_body(body: str) -> Checkpoint:
    lines = body[:-1].split("\n")
    if len(lines) != 3 or not lines[0]:
        raise CheckpointForged("the checkpoint has not exactly an origin, a size and a root")
    size, root = strict_decimal(lines[1]), strict_base64(lines[2])
    if size is None or root is None or len(root) != HASH_BYTES:
        raise CheckpointForged("the checkpoint's size or root is malformed")
    return Checkpoint(origin=lines[0], size=size, root=root)
