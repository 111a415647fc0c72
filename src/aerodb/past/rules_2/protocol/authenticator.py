"""An authenticator as the chain of configurations enrols it: whose it is, its credential, its key; and its short name.

Pure: no I/O, no clock.
"""

import base64
import hashlib
from typing import Literal, get_args

import msgspec

Copies = Literal["possible", "impossible", "unknown"]
"""Whether its maker may copy an authenticator's key to other devices, as the authenticator said when it registered."""


class EnrolledAuthenticator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person's authenticator: a WebAuthn credential that may confirm for them. It is kept when it is revoked.

    `credential` is its id in base64url, `public_key` its SubjectPublicKeyInfo (DER) in base64.
    """

    person: str
    credential: str
    public_key: str
    copies: Copies
    revoked: bool = False


def enrolment_text(credential: str, public_key: str, copies: Copies) -> str:
    """Return what the change that enrols an authenticator says of it."""
    return f"{credential} {public_key} {copies}"


def read_enrolment(person: str, text: str) -> EnrolledAuthenticator | None:
    """Return the authenticator of which `text` is what its enrolment says; None where it is of another form.

    Whether its credential and its key are sound is not judged here.
    """
    parts = text.split(" ")
    if len(parts) != 3 or not all(parts) or parts[2] not in get_args(Copies):
        return None
    copies: Copies = parts[2]  # type: ignore[assignment]  # It is one of them.
    return EnrolledAuthenticator(person=person, credential=parts[0], public_key=parts[1], copies=copies)


def short_name(credential: str) -> str:
    """Return a short name for a credential's id, to be typed: eight hexadecimal digits of its digest."""
    return hashlib.sha256(credential.encode()).hexdigest()[:8]


def fingerprint(public_key: str) -> str:
    """Return "SHA256:" and the unpadded base64 digest of a public key's text, for people to compare."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public_key.encode()).digest()).decode().rstrip("=")
