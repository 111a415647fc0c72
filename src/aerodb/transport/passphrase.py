"""The passphrase of a private key that is kept encrypted: what one is, and what is refused.

- It is typed by a person at a terminal, and is in no file, argument, environment or message.
- Whoever may have to ask is given a function; it is called only where the key turns out to be encrypted.
"""

import unicodedata
from collections.abc import Callable

from aerodb.errors import AeroError

CHARACTERS_MIN, CHARACTERS_MAX = 12, 200
"""A PKCS#8 key is stretched a little only, so a short passphrase could be guessed by whoever has the file."""

PassphraseAsked = Callable[[], bytes]
"""Asks a person for a passphrase, and returns it as it is used."""


class PassphraseRefused(AeroError):
    """The passphrase cannot be given to a key: it is too short, too long, or was not typed alike twice."""

    code = "input.passphrase-refused"
    status = 400
    title = "The passphrase cannot be used"


class PassphraseWrong(AeroError):
    """The key does not open by this passphrase."""

    code = "input.passphrase-wrong"
    status = 403
    title = "The passphrase does not open the key"


class PassphraseMissing(AeroError):
    """The key is encrypted, and nobody is there to be asked for its passphrase."""

    code = "input.passphrase-missing"
    status = 403
    title = "The key is encrypted"


def used(typed: str) -> bytes:
    """Return a passphrase as a key is encrypted by it: one text has one form, whichever keyboard it was typed on."""
    return unicodedata.normalize("NFC", typed).encode("utf-8", "surrogatepass")


def chosen(typed: str, again: str) -> bytes:
    """Return a new passphrase, which was typed twice.

    Raises:
        PassphraseRefused: it cannot be one; the message says why, and nothing of it.
    """
    text = unicodedata.normalize("NFC", typed)
    if not CHARACTERS_MIN <= len(text) <= CHARACTERS_MAX:
        raise PassphraseRefused(f"a passphrase has {CHARACTERS_MIN} to {CHARACTERS_MAX} characters")
    if used(typed) != used(again):
        raise PassphraseRefused("the two are not the same")
    return used(typed)


def unasked() -> bytes:
    """Stand in for a person where there is none.

    Raises:
        PassphraseMissing: always.
    """
    raise PassphraseMissing("the key is encrypted: its passphrase is asked for at a terminal, and there is none here")
