"""Canonical bytes: what is written is byte for byte what another implementation of RFC 8785 writes, or is refused."""

import math
import unicodedata
from enum import IntEnum
from typing import Any, Literal

import msgspec
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from aerodb.protocol import canonical
from aerodb.protocol.canonical import NotCanonical
from aerodb.protocol.lsn import Lsn


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a document, with its fields in no order."""

    zeta: int
    alpha: str | None = None
    flag: bool = False


class Color(IntEnum):
    """Numbers by another name."""

    RED = 2**53


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document without a number."""

    texts: dict[str, str] = {}
    flag: bool = False
    one: Literal["a", "b"] = "a"
    lsn: Lsn | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that documents are made of, and what they must not be."""

    texts: dict[str, str] = {}
    parts: tuple[Part, ...] = ()
    lsn: Lsn = Lsn(0)
    count: int | None = None
    anything: Any = None
    later: str | msgspec.UnsetType = msgspec.UNSET


TEXTS = st.text(st.characters(exclude_categories=()), max_size=8) | st.text(st.characters(max_codepoint=127))
INTEGERS = st.integers(-(2**53) - 10, 2**53 + 10) | st.integers()
ANYTHING = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
PARTS = st.builds(Part, zeta=INTEGERS | st.floats(), alpha=TEXTS | st.none(), flag=st.booleans() | st.integers(0, 1))
DOCUMENTS = st.builds(
    Document,
    texts=st.dictionaries(TEXTS, TEXTS, max_size=4),
    parts=st.lists(PARTS, max_size=2).map(tuple),
    lsn=st.integers(0, 2**64 - 1).map(Lsn),
    count=st.none() | INTEGERS | st.floats(),
    anything=ANYTHING,
    later=st.just(msgspec.UNSET) | TEXTS,
)


WORDS = st.builds(
    Words,
    texts=st.dictionaries(TEXTS, TEXTS, max_size=4),
    flag=st.booleans(),
    lsn=st.none() | st.integers(0, 2**64 - 1).map(Lsn),
)


def _allowed(value: Any) -> bool:
    """Tell whether a plain value is one of those that we allow: no float, and text in normal form."""
    if isinstance(value, dict):
        return all(_allowed(each) for pair in value.items() for each in pair)
    if isinstance(value, (list, tuple)):
        return all(map(_allowed, value))
    return not isinstance(value, float) and unicodedata.is_normalized("NFC", str(value))


def _other(value: object) -> bytes | None:
    """Return what another implementation of RFC 8785 makes of a value; None where it or our rules refuse it."""
    builtins = canonical.plain(value)
    try:
        return rfc8785.dumps(builtins) if _allowed(builtins) else None
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return None


@given(DOCUMENTS | WORDS)
@example(Document(anything=math.nan))
@example(Document(anything=[math.inf]))
@example(Document(anything={"a": 1.0}))
@example(Document(count=2**53))
@example(Document(count=-(10**15)))
@example(Document(texts={"\U0001f600": "", "\uffee": ""}))
@example(Document(texts={"e\u0301": "x"}))
@example(Document(texts={"a": "\ud800"}))
@example(Document(texts={"a": ":1234567890123456", "b": "[1.5"}))
@example(Words(texts={"\U0001f600": "", "\uffee": ""}))
@example(Words(texts={"\u0301": "x", "e": "\u00e9", "\u0338": "="}))
def test_it_is_what_another_implementation_writes(document: Document | Words) -> None:
    """Whatever a document holds, its bytes are those of the other implementation, and what that refuses is refused."""
    expected = _other(document)
    if expected is None:
        with pytest.raises(NotCanonical):
            canonical.encode(document)
    else:
        assert canonical.encode(document) == expected


@pytest.mark.parametrize("character", [chr(number) for number in range(128)])
def test_every_character_of_ascii(character: str) -> None:
    """Each is written as RFC 8785 writes it, as a value and as a key."""
    document = Document(texts={character: f"a{character}b"})
    data = canonical.encode(document)
    assert data == _other(document)
    assert canonical.decode(data, Document) == document


@pytest.mark.parametrize(
    "value", [{1: "a"}, {"a": {None: 1}}, 1.0, [math.nan], "\ud800", {"\ud800": 1}, 2**64, "e\u0301"]
)
def test_a_plain_value_without_a_form_is_refused(value: object) -> None:
    """What is no document's Struct is held to the same rules: keys are texts, numbers are integers, text is Unicode."""
    with pytest.raises(NotCanonical):
        canonical.encode(value)


def test_what_is_nested_beyond_reason_is_refused() -> None:
    """Bytes from outside end in a refusal, however deep they are."""
    data = b'{"anything":' + b"[" * 900 + b"]" * 900 + b',"count":null,"lsn":"0/0","parts":[],"texts":{}}'
    with pytest.raises(NotCanonical):
        canonical.decode(data.replace(b"[]", b"[1.5]"), Document)


@given(DOCUMENTS, st.integers(min_value=0), st.integers(0, 255))
def test_a_changed_byte_is_read_as_the_other_would_read_it(document: Document, where: int, byte: int) -> None:
    """No bytes are read that are not byte for byte what the other implementation writes."""
    data = bytearray(_other(document) or b'{"count":1}')
    data[where % len(data)] = byte
    try:
        read = canonical.decode(bytes(data), Document)
    except NotCanonical:
        return
    assert _other(read) == bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"anything":1.5,"count":null,"lsn":"0/0","parts":[],"texts":{}}',
        b'{"anything":1e3,"count":null,"lsn":"0/0","parts":[],"texts":{}}',
        b'{"anything":null,"count":9007199254740992,"lsn":"0/0","parts":[],"texts":{}}',
        b'{"anything":[-9007199254740993],"count":null,"lsn":"0/0","parts":[],"texts":{}}',
        b'{"anything":["a",9007199254740992],"count":null,"lsn":"0/0","parts":[],"texts":{}}',
        b'{"anything":1e16,"count":null,"lsn":"0/0","parts":[],"texts":{}}',
        b'{"anything":[1.5],"count":null,"lsn":"0/0","parts":[],"texts":{}}',
        b'{"anything":["a",{"b":-0.5}],"count":null,"lsn":"0/0","parts":[],"texts":{}}',
        b'{"anything":["a",2.5],"count":null,"lsn":"0/0","parts":[],"texts":{}}',
        '{"anything":null,"count":null,"lsn":"0/0","parts":[],"texts":{"a":"e\u0301"}}'.encode(),
        '{"anything":null,"count":null,"lsn":"0/0","parts":[],"texts":{"\uffee":"","\U0001f600":""}}'.encode(),
        b'{"anything":null,"count":1.0,"lsn":"0/0","parts":[],"texts":{}}',
        b'{"anything":null,"count":1,"count":1,"lsn":"0/0","parts":[],"texts":{}}',
        b'{"anything":null,"count":1, "lsn":"0/0","parts":[],"texts":{}}',
        b'{"anything":null,"count":1,"lsn":"0/0","parts":[],"texts":{"a":"\\u0041"}}',
        b'{"anything":null,"count":1,"lsn":"0/0","parts":[],"texts":{"a":"\\/"}}',
    ],
)
def test_what_is_not_canonical_is_refused(data: bytes) -> None:
    """Floats, long integers, keys twice, stray white space and escapes: refused, however msgspec would write them."""
    assert msgspec.json.decode(data)
    with pytest.raises(NotCanonical):
        canonical.decode(data, Document)
