"""Canonical bytes: the one form in which anything is signed, digested or compared.

- Bytes are RFC 8785 (JSON Canonicalization Scheme); integers and strings only, never a float.
- Text is NFC (Unicode Standard Annex 15) and holds no lone surrogate.
- What is plain enough is written by msgspec, with sorted keys, which is the same bytes many times faster: no number
  that might be a float or too long, and no character that sorts otherwise in UTF-16 than in UTF-8. All else is written
  by an implementation of RFC 8785.
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
import rfc8785
from msgspec import inspect

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


_ENCODER = msgspec.json.Encoder(enc_hook=_from_python, order="sorted")
_UNSURE = re.compile(rb'[:,\[](?<![^"]:)-?(?:[0-9]{16}|[0-9]+[.eE])')
"""Where a number may be a float or have more digits than 2**53; in a text it may be found for no reason."""
_BEYOND_THE_FIRST_PLANE = re.compile(rb"[\xf0-\xff]")


@lru_cache(maxsize=64)
def _decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, dec_hook=_to_python)


def _read(data: bytes, kind: Any) -> Any:
    return _decoder_of(kind).decode(data)


@lru_cache(maxsize=64)
def _may_hold_numbers(kind: Any) -> bool:
    """Tell whether a document of this type may hold a number; of what is not known here it may."""
    return _holds_numbers(inspect.type_info(kind), ())


def _holds_numbers(part: inspect.Type, around: tuple[type, ...]) -> bool:
    match part:
        case inspect.StructType():
            above = (*around, part.cls)
            return part.cls in around or any(_holds_numbers(field.type, above) for field in part.fields)
        case inspect.DictType():
            return _holds_numbers(part.key_type, around) or _holds_numbers(part.value_type, around)
        case inspect.VarTupleType() | inspect.ListType():
            return _holds_numbers(part.item_type, around)
        case inspect.UnionType():
            return any(_holds_numbers(each, around) for each in part.types)
        case inspect.LiteralType():
            return not all(isinstance(each, str) for each in part.values)
        case inspect.EnumType():
            return not all(isinstance(each.value, str) for each in part.cls)
        case inspect.CustomType():
            return part.cls is not Lsn
        case _:
            return not isinstance(part, (inspect.StrType, inspect.BoolType, inspect.NoneType))


def _is_plain(data: bytes, kind: Any) -> bool:
    """Tell whether an object, as msgspec wrote it, surely has the form of RFC 8785; a NaN it writes as null.

    Where all of a text is in normal form, so is each part of it (Unicode Standard Annex 15, section 9).
    """
    if not data.startswith(b"{") or (_may_hold_numbers(kind) and _UNSURE.search(data)):
        return False
    if data.isascii():
        return True
    return not _BEYOND_THE_FIRST_PLANE.search(data) and unicodedata.is_normalized("NFC", data.decode())


def _encode_plain(value: object) -> bytes | None:
    """Return a Struct's canonical bytes where they are plain enough, else None."""
    try:
        data = _ENCODER.encode(value)
        # What reads back as itself hides no NaN, and no value of another type than it says.
        kind = type(value)
        return data if _is_plain(data, kind) and _read(data, kind) == value else None
    except (NotCanonical, msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def _encode_any(value: object) -> bytes:
    builtins = plain(value)
    _refuse_unfit(builtins)
    try:
        return rfc8785.dumps(builtins)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise NotCanonical(str(error)) from error


def encode(value: object) -> bytes:
    """Return the canonical bytes of a Struct or of plain values.

    Raises:
        NotCanonical: a float, text that is not NFC or holds a lone surrogate, or an integer beyond 2**53 - 1.
    """
    data = _encode_plain(value) if isinstance(value, msgspec.Struct) else None
    return _encode_any(value) if data is None else data


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


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        value: T = _read(data, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise NotCanonical(f"not a {kind.__name__}: {error}") from error
    # JSON has no NaN, so none can be hidden in what was read.
    if not (_is_plain(data, kind) and _ENCODER.encode(value) == data) and _encode_any(value) != data:
        raise NotCanonical(f"the bytes are not the canonical form of a {kind.__name__}")
    return value


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` as "sha256:" and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
