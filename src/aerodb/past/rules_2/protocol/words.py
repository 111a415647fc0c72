"""Digest words: a digest as eight English words, so that people can compare two screens.

Eight words of eleven bits show the first 88 bits of the digest. They are for eyes alone: nothing is verified by them,
and whatever is signed names the whole digest. Twenty-four words are the whole digest, for whoever trusts it and has it
on paper: the first eight of them are the eight. Pure: no I/O, no clock.
"""

from aerodb.past.rules_2.errors import AeroError
from aerodb.past.rules_2.protocol.canonical import NotCanonical
from aerodb.past.rules_2.protocol.wordlist import WORDS

COUNT = 8
WHOLE_COUNT = 24
BITS_A_WORD = 11

_PREFIX = "sha256:"
_SPARE_BITS = WHOLE_COUNT * BITS_A_WORD - 256


class WordsMalformed(AeroError):
    """The text is neither a digest nor the twenty-four words of one; the message says what is wrong with it."""

    code = "input.words-malformed"
    status = 400
    title = "The words are those of no digest"


def words_of(digest: str) -> str:
    """Return the words of a digest, "sha256:" and 64 hexadecimal digits, with a space between them.

    Raises:
        NotCanonical: it is no such digest.
    """
    return " ".join(_words(_number(digest) >> (256 - COUNT * BITS_A_WORD), COUNT))


def whole_words_of(digest: str) -> tuple[str, ...]:
    """Return the words of a whole digest, in lines of eight.

    Raises:
        NotCanonical: it is no digest.
    """
    words = _words(_number(digest) << _SPARE_BITS, WHOLE_COUNT)
    return tuple(" ".join(words[at : at + COUNT]) for at in range(0, WHOLE_COUNT, COUNT))


def digest_of(text: str) -> str:
    """Return the digest that a person named: as it is, or by its twenty-four words.

    Raises:
        WordsMalformed: it is neither.
    """
    words = text.split()
    if len(words) == 1:
        try:
            _number(words[0])
        except NotCanonical as error:
            raise WordsMalformed(f"{error.message}, and not {WHOLE_COUNT} words") from error
        return words[0]
    if len(words) != WHOLE_COUNT:
        raise WordsMalformed(f"a whole digest has {WHOLE_COUNT} words, and here are {len(words)}: fewer prove less")
    number = 0
    for at, word in enumerate(words, 1):
        if word not in WORDS:
            raise WordsMalformed(f"word {at}, {word!r}, is none of the list")
        number = number << BITS_A_WORD | WORDS.index(word)
    if number % 2**_SPARE_BITS:
        raise WordsMalformed(f"no digest has the last word {words[-1]!r} there: one of the words is another")
    return f"{_PREFIX}{number >> _SPARE_BITS:064x}"


def _number(digest: str) -> int:
    digits = digest.removeprefix(_PREFIX)
    if digest == digits or len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise NotCanonical(f"{digest!r} is not a digest")
    return int(digits, 16)


def _words(number: int, count: int) -> list[str]:
    indexes = (number >> (BITS_A_WORD * place) & (2**BITS_A_WORD - 1) for place in reversed(range(count)))
    return [WORDS[index] for index in indexes]
