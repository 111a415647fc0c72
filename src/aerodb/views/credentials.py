"""What a person compares of a credential, on two screens: computed from its endorsement, and from nothing beside it."""

import msgspec

from aerodb.protocol import canonical, webauthn
from aerodb.protocol.webauthn import Endorsement
from aerodb.protocol.words import words_of


class ShownCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential's short name, its id, its key's algorithm and fingerprint, and the words of its endorsement."""

    name: str
    credential: str
    key: str
    words: str


def shown_credential(endorsement: Endorsement) -> ShownCredential:
    """Return what is shown of an endorsement.

    Raises:
        AssertionInvalid: its key is not sound.
    """
    algorithm = webauthn.algorithm_of(webauthn.public_key(endorsement.public_key))
    return ShownCredential(
        name=webauthn.short_name(endorsement.credential),
        credential=endorsement.credential,
        key=f"{algorithm} {webauthn.fingerprint(endorsement.public_key)}",
        words=endorsement_words(canonical.encode(endorsement)),
    )


def endorsement_words(endorsement: bytes) -> str:
    """Return the words of an endorsement's exact bytes, which two screens show."""
    return words_of(canonical.digest(endorsement))
