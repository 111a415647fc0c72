"""Digest words: a digest as eight English words, so that people can compare two screens.

Eight words of eleven bits show the first 88 bits of the digest. They are for eyes alone: nothing is verified by them,
and whatever is signed names the whole digest. Pure: no I/O, no clock.
"""

from aerodb.protocol.canonical import NotCanonical
from aerodb.protocol.wordlist import WORDS

COUNT = 8
BITS_A_WORD = 11

_PREFIX = "sha256:"


def words_of(digest: str) -> str:
    """Return the words of a digest, "sha256:" and 64 hexadecimal digits, with a space between them.

    Raises:
        NotCanonical: it is no such digest.
    """
    digits = digest.removeprefix(_PREFIX)
    if digest == digits or len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise NotCanonical(f"{digest!r} is not a digest")
    number = int(digits, 16) >> (256 - COUNT * BITS_A_WORD)
    indexes = (number >> (BITS_A_WORD * place) & (2**BITS_A_WORD - 1) for place in reversed(range(COUNT)))
    return " ".join(WORDS[index] for index in indexes)
