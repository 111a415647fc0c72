"""Canonical bytes: the one form in which anything is signed, digested or compared.

- Bytes are RFC 8785 (JSON Canonicalization Scheme); integers and strings only, never a float. Where there is no float,
  that is JSON without white space as msgspec writes it, with each object's keys in the order of their UTF-16 code units
  (section 3.2.3). Tests hold it to another implementation of the RFC.
- Text is NFC (Unicode Standard Annex 15) and holds no lone surrogate.
- Bytes that came in are never re-serialised in order to verify them; `decode` refuses whatever is not already
  canonical, and so duplicate keys, stray white space and unknown fields.

Pure: no I/O, no clock.
"""

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from aerodb.errors import AeroError
from aerodb.protocol import formats
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
    if isinstance(value, str):  # A text of a kind of its own is written as the text that it is.
        return str(value)
    raise NotCanonical(f"a value of type {type(value).__name__} has no canonical form")


def _to_python(kind: type, value: Any) -> Any:
    if kind is Lsn:
        return Lsn.parse(value)
    raise NotCanonical(f"no value of type {kind.__name__} can be read from a document")


def plain(value: object) -> Any:
    """Return `value` as dicts, lists, strings, integers, booleans and None."""
    return msgspec.to_builtins(value, enc_hook=_from_python)


INTEGER_MAX = 2**53 - 1
"""The largest integer that every reader of JSON reads exactly (RFC 8785, section 3.2.2.3)."""

_ENCODER = msgspec.json.Encoder()
_SORTED = msgspec.json.Encoder(enc_hook=_from_python, order="sorted")
_DOUBTFUL = (
    *(re.compile(before + rb"-?(?:[0-9]{16}|[0-9]+[.eE])") for before in (b'":', rb"\[", b",")),
    re.compile(rb"[\xf0-\xff]"),
)
"""What may be a number of more than 53 bits, or one that is not an integer; and characters beyond the first plane.

It may stand within a text, where it costs time alone. Patterns that each begin with bytes to look for are quicker
than one for all.
"""


def _fit(value: Any) -> Any:
    """Return plain values with the keys of every object in their order.

    Raises:
        NotCanonical: a value has no canonical form, or one that we do not allow.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _fit_text(value)
    if isinstance(value, int):
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise NotCanonical(f"the integer {value} has more than 53 bits")
        return value
    if isinstance(value, (list, tuple)):
        return [_fit(member) for member in value]
    if isinstance(value, dict):
        return {_fit_text(key): _fit(value[key]) for key in _ordered(value)}
    raise NotCanonical("a number is not an integer")


def _fit_text(text: str) -> str:
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        raise NotCanonical("text is not in Unicode normal form C")
    return text


def _ordered(value: dict[Any, Any]) -> list[Any]:
    """Return an object's keys in their order; that of ASCII texts is the same in every encoding, and quick to find."""
    if all(isinstance(key, str) and key.isascii() for key in value):
        return sorted(value)
    return sorted(value, key=_place)


def _place(key: Any) -> bytes:
    """Return what an object's keys are ordered by."""
    if not isinstance(key, str):
        raise NotCanonical("the key of an object is not a text")
    return key.encode("utf-16-be", "surrogatepass")


@lru_cache(maxsize=64)
def _decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, dec_hook=_to_python)


def _read(data: bytes, kind: Any) -> Any:
    return _decoder_of(kind).decode(data)


def encode(value: object) -> bytes:
    """Return the canonical bytes of a Struct or of plain values.

    Raises:
        NotCanonical: a float, text that is not NFC or holds a lone surrogate, or an integer beyond 2**53 - 1.
    """
    try:
        return _ENCODER.encode(_fit(plain(value)))
    except UnicodeEncodeError as error:
        raise NotCanonical(f"the text is no Unicode: {error.reason}") from error


def utf8(text: str) -> bytes:
    """Return the bytes of a text that came from outside.

    Raises:
        NotCanonical: it holds a lone surrogate, so it is no Unicode, and has no bytes.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NotCanonical(f"the text is no Unicode: {error.reason}") from error


def decode(data: bytes, kind: type[T]) -> T:
    """Return the `kind` that `data` is the canonical form of, in any version that `kind` is the newest of.

    Raises:
        NotCanonical: `data` is not JSON, not a `kind`, or not byte for byte its canonical form.
        MadeLater: it is of a later version.
    """
    return formats.read(data, kind, _decode)


def _plainly_canonical(data: bytes, value: object) -> bool:
    """Tell whether bytes are the canonical form of what was read in them, where that takes no look at each value.

    Every part of a text in NFC is in NFC, and in the first plane keys have one order: nothing else is left to refuse.
    Tests hold it to `encode`.
    """
    doubtful = any(each.search(data) for each in _DOUBTFUL)
    return not doubtful and unicodedata.is_normalized("NFC", data.decode()) and _SORTED.encode(value) == data


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        value: T = _read(data, kind)
        form = data if _plainly_canonical(data, value) else encode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise NotCanonical(f"not a {kind.__name__}: {error}") from error
    if form != data:
        raise NotCanonical(f"the bytes are not the canonical form of a {kind.__name__}")
    return value


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` as "sha256:" and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
