"""Canonical bytes: the one form in which anything is signed, digested or compared.

- Bytes are RFC 8785 (JSON Canonicalization Scheme); integers and strings only, never a float.
- Text is NFC (Unicode Standard Annex 15) and holds no lone surrogate.
- Bytes that came in are never re-serialised in order to verify them; `decode` refuses whatever is not already
  canonical, and so duplicate keys, stray white space and unknown fields.

Pure: no I/O, no clock.
"""

import hashlib
import unicodedata
from typing import Any, TypeVar

import msgspec
import rfc8785

from aerodb.errors import AeroError
from aerodb.protocol.lsn import Lsn

T = TypeVar("T")


class NotCanonical(AeroError):
    """The bytes are not the canonical form of a known document."""

    code = "input.not-canonical"
    status = 400
    title = "The document is not in canonical form"


def _from_python(value: Any) -> Any:
    if isinstance(value, Lsn):
        return str(value)
    raise NotCanonical(f"a value of type {type(value).__name__} has no canonical form")


def _to_python(kind: type, value: Any) -> Any:
    if kind is Lsn:
        return Lsn.parse(value)
    raise NotCanonical(f"no value of type {kind.__name__} can be read from a document")


def _refuse_unfit(value: Any) -> None:
    """Refuse what RFC 8785 allows and we do not: floats, and text that is not NFC."""
    if isinstance(value, str):
        if not unicodedata.is_normalized("NFC", value):
            raise NotCanonical("text is not in Unicode normal form C")
    elif isinstance(value, dict):
        for key, member in value.items():
            _refuse_unfit(key)
            _refuse_unfit(member)
    elif isinstance(value, (list, tuple)):
        for member in value:
            _refuse_unfit(member)
    elif isinstance(value, float):
        raise NotCanonical("a number is not an integer")


def plain(value: object) -> Any:
    """Return `value` as dicts, lists, strings, integers, booleans and None."""
    return msgspec.to_builtins(value, enc_hook=_from_python)


def encode(value: object) -> bytes:
    """Return the canonical bytes of a Struct or of plain values.

    Raises:
        NotCanonical: a float, text that is not NFC, or an integer beyond 2**53 - 1.
    """
    builtins = plain(value)
    _refuse_unfit(builtins)
    try:
        return rfc8785.dumps(builtins)
    except rfc8785.CanonicalizationError as error:
        raise NotCanonical(str(error)) from error


def decode(data: bytes, kind: type[T]) -> T:
    """Return the `kind` that `data` is the canonical form of.

    Raises:
        NotCanonical: `data` is not JSON, not a `kind`, or not byte for byte its canonical form.
    """
    try:
        value = msgspec.json.decode(data, type=kind, dec_hook=_to_python)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise NotCanonical(f"not a {kind.__name__}: {error}") from error
    if encode(value) != data:
        raise NotCanonical(f"the bytes are not the canonical form of a {kind.__name__}")
    return value


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` as "sha256:" and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
