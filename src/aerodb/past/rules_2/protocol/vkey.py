"""Verifier keys: the one text that names who signs a note, by which algorithm, and with which public key.

- A key is of one type: Ed25519 over the note's text, as a log signs; or a timestamped Ed25519 cosignature, as a log
  witness signs. The type is a part of the key's id, so that one is never taken for the other.
- A text is compared with the only one that its parts have, so no key has a second spelling.

Pure: no I/O, no clock. Sources: C2SP signed-note (verifier keys, signature types), C2SP tlog-cosignature.
"""

import base64
import hashlib
import re
from functools import lru_cache

import msgspec

from aerodb.past.rules_2.errors import AeroError
from aerodb.past.rules_2.protocol.base64text import from_base64

ED25519, COSIGNATURE = b"\x01", b"\x04"
"""The signature types that are known here."""
KEY_ID_BYTES = 4

_PUBLIC_BYTES = 32
_NAME = re.compile(r"[^\s+\x00-\x20\x7f\ud800-\udfff]+")


class VerifierKeyInvalid(AeroError):
    """The text is not an Ed25519 verifier key of the type that is needed, or no key may have that name."""

    code = "input.verifier-key-invalid"
    status = 400
    title = "The verifier key is not valid"


class VerifierKey(msgspec.Struct, frozen=True):
    """Who signs: the key's name, its id (which tells its type), and the raw Ed25519 public key."""

    name: str
    id: bytes
    public_raw: bytes


def key_id(name: str, public_raw: bytes, kind: bytes = ED25519) -> bytes:
    """Return the id of the key called `name`."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public_raw).digest()[:KEY_ID_BYTES]


def verifier_key(name: str, public_raw: bytes, kind: bytes = ED25519) -> str:
    """Return the verifier key (signed-note's "vkey") of whoever is called `name` and has this raw Ed25519 key.

    Raises:
        VerifierKeyInvalid: `name` is empty, has white space or a plus, or the key is not 32 bytes.
    """
    if not _NAME.fullmatch(name) or len(public_raw) != _PUBLIC_BYTES:
        raise VerifierKeyInvalid(f"the name {name!r} or its key cannot stand in a verifier key")
    return f"{name}+{key_id(name, public_raw, kind).hex()}+{base64.b64encode(kind + public_raw).decode()}"


@lru_cache(maxsize=64)
def parse_verifier_key(vkey: str, kind: bytes = ED25519) -> VerifierKey:
    """Return the parts of a verifier key of the type `kind`.

    Raises:
        VerifierKeyInvalid: it is malformed, its id is not that of its key, or it is of another type.
    """
    name, _, rest = vkey.partition("+")
    _, _, encoded = rest.partition("+")
    try:
        public = from_base64(encoded)
    except ValueError:
        public = b""
    # Comparing with the one text that these parts have leaves no second spelling.
    if public[:1] != kind or verifier_key(name, public[1:], kind) != vkey:
        raise VerifierKeyInvalid(f"not a verifier key of the type that is needed here: {vkey!r}", field="vkey")
    return VerifierKey(name, key_id(name, public[1:], kind), public[1:])
