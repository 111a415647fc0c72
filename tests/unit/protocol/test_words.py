"""Digest words: the same eight on every screen, and others for another digest."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.protocol import canonical
from aerodb.protocol.canonical import NotCanonical
from aerodb.protocol.wordlist import WORDS
from aerodb.protocol.words import WordsMalformed, digest_of, whole_words_of, words_of


def test_the_words_of_a_known_digest() -> None:
    """The words never change: two versions of the program must agree on them."""
    assert words_of(canonical.digest(b"")) == "together mail awful cradle scrub apart hip leader"
    assert words_of("sha256:" + "0" * 64) == " ".join(["abandon"] * 8)
    assert words_of("sha256:" + "f" * 64) == " ".join(["zoo"] * 8)


@given(st.binary(min_size=32, max_size=32))
def test_words_are_the_first_88_bits(data: bytes) -> None:
    """From the words one reads the bits again, and nothing else went into them."""
    bits = "".join(f"{WORDS.index(word):011b}" for word in words_of(f"sha256:{data.hex()}").split())
    assert bits == f"{int.from_bytes(data, 'big'):0256b}"[:88]


@given(st.binary(min_size=32, max_size=32))
def test_the_whole_words_are_the_digest_and_begin_with_the_eight(data: bytes) -> None:
    """From the twenty-four words one reads the whole digest again; what people compare is their beginning."""
    digest = f"sha256:{data.hex()}"
    lines = whole_words_of(digest)
    assert lines[0] == words_of(digest)
    assert digest_of("  ".join(lines)) == digest_of(digest) == digest


@given(st.binary(min_size=32, max_size=32), st.integers(0, 23), st.sampled_from(WORDS))
def test_another_word_is_another_digest_or_none(data: bytes, at: int, other: str) -> None:
    """No word can be exchanged unnoticed, at any place."""
    digest = f"sha256:{data.hex()}"
    words = " ".join(whole_words_of(digest)).split()
    if words[at] == other:
        return
    words[at] = other
    try:
        assert digest_of(" ".join(words)) != digest
    except WordsMalformed:
        assert at == 23


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "24 words"),
        (words_of(canonical.digest(b"")), "fewer prove less"),
        (" ".join(["abandon"] * 25), "here are 25"),
        (" ".join([*["abandon"] * 23, "Abandon"]), "word 24"),
        (" ".join([*["abandon"] * 23, "ability"]), "one of the words is another"),
        ("sha256:" + "0" * 63, "not a digest"),
        ("sha512:" + "0" * 64, "not a digest"),
    ],
)
def test_less_than_a_whole_digest_is_never_trusted(text: str, why: str) -> None:
    """Eight words are for eyes: to find another document that has them is work that somebody can do."""
    with pytest.raises(WordsMalformed, match=why):
        digest_of(text)


@pytest.mark.parametrize("text", ["", "0" * 64, "sha256:", "sha256:" + "0" * 63, "sha256:" + "G" * 64, "sha512:0"])
def test_what_is_no_digest_has_no_words(text: str) -> None:
    """Words are only ever of a whole digest."""
    with pytest.raises(NotCanonical):
        words_of(text)


def test_an_agent_loads_neither_words_nor_the_webauthn_library() -> None:
    """What only people look at, and what only registrations need, stays out of the agents."""
    unwanted = ("aerodb.protocol.words", "aerodb.protocol.wordlist", "webauthn", "cbor2")
    code = f"import sys, aerodb.kernel.service; print([name for name in {unwanted} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


def test_the_control_plane_loads_the_webauthn_library_only_for_a_registration() -> None:
    """It begins without it."""
    code = "import sys, aerodb.control.plane; print('webauthn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
