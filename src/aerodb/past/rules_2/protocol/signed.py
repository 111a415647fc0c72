"""Documents that an agent signs with its Ed25519 key: pledges, grants, reports, outcomes.

- The signature is over the exact text that is carried; it is never re-serialised in order to verify it.
- The signer's name is part of what is signed, so that one node's document cannot be passed off as another's.

Pure: no I/O, no clock. Source: RFC 8032 (Ed25519), RFC 8785 (the documents' form).
"""

import base64
from functools import lru_cache
from typing import ClassVar, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aerodb.past.rules_2.errors import AeroError
from aerodb.past.rules_2.protocol import canonical
from aerodb.past.rules_2.protocol.base64text import from_base64
from aerodb.past.rules_2.protocol.formats import Format

T = TypeVar("T")


class DocumentForged(AeroError):
    """A document's signature is not that of the node that is said to have signed it."""

    code = "kernel.document-forged"
    status = 409
    title = "A signed document is forged"


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document's canonical text, its signer's name, and the signer's base64 Ed25519 signature."""

    FORMAT: ClassVar[Format] = Format(kind="signed document")

    document: str
    signer: str
    signature: str

    @property
    def digest(self) -> str:
        """Return the digest of the document's bytes."""
        return canonical.digest(self.document.encode())


def _message(signer: str, document: str) -> bytes:
    return b"aerodb document\n" + signer.encode() + b"\n" + document.encode()


def sign(document: object, signer: str, key: Ed25519PrivateKey) -> Signed:
    """Return `document` in canonical form, signed by `signer` with `key`."""
    text = canonical.encode(document).decode()
    return Signed(document=text, signer=signer, signature=base64.b64encode(key.sign(_message(signer, text))).decode())


@lru_cache(maxsize=128)
def _public_key(text: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(from_base64(text))


def open_signed(signed: Signed, kind: type[T], public_key: str) -> T:
    """Return the verified document; `public_key` is the signer's raw key in base64.

    Raises:
        DocumentForged: the signature is not made with that key over that text by that signer.
        NotCanonical: the text is not the canonical form of a `kind`.
    """
    try:
        key = _public_key(public_key)
        key.verify(from_base64(signed.signature), _message(signed.signer, signed.document))
    except (InvalidSignature, ValueError) as error:
        raise DocumentForged(f"the signature of {signed.signer} is not valid") from error
    return canonical.decode(signed.document.encode(), kind)


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the raw public key of `key` in base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()
