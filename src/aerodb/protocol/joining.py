"""How a host joins a cluster: what it says of itself, signed with the key that it made, and what it is given back.

Both travel by a person's hands. The words of each are compared by people on both machines: a host that another one
plays, and a cluster that is not theirs, are found out so. No private key is in either. Pure: no I/O, no clock.
"""

from typing import ClassVar, Literal

import msgspec

from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Member
from aerodb.protocol.formats import Format, MadeLater
from aerodb.protocol.signed import Signed, open_signed
from aerodb.protocol.words import words_of


class JoinUnreadable(AeroError):
    """The file is no join of a host, or not as the host signed it."""

    code = "input.join-unreadable"
    status = 400
    title = "This is no host's join"


class Joining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a host says of a node on it: who it is, where it is reached, and its request for a certificate.

    `member` is as the configuration will have it. `request` is the certificate signing request of its TLS key, in PEM.
    `watched` is true: a node that joins is only watched.
    """

    FORMAT: ClassVar[Format] = Format(kind="join")

    kind: Literal["join"] = "join"
    format: Literal[1] = 1
    member: Member
    request: str
    watched: Literal[True] = True


class Admitted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a host is given back: the configuration's exact text, its certificate and the authority's, both in PEM."""

    FORMAT: ClassVar[Format] = Format(kind="admission")

    kind: Literal["admission"] = "admission"
    format: Literal[1] = 1
    configuration: str
    certificate: str
    authority: str


def opened_join(data: bytes) -> tuple[Joining, str]:
    """Return what a host says of itself, and the words of it; it is signed with the very key that it names.

    Raises:
        JoinUnreadable: it is no join, or not as it was signed.
        MadeLater: it is of a later format than this build reads.
    """
    try:
        signed = canonical.decode(data, Signed)
        unverified = canonical.decode(signed.document.encode(), Joining)
        joining = open_signed(signed, Joining, unverified.member.public_key)
    except MadeLater:
        raise
    except AeroError as error:
        raise JoinUnreadable(f"it is no host's join: {error.message}") from error
    if signed.signer != joining.member.name:
        raise JoinUnreadable(f"{signed.signer} signed it, and it is of {joining.member.name}")
    return joining, words_of(canonical.digest(signed.document.encode()))
