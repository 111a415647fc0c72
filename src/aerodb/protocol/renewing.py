"""How a node's certificate is renewed where its keys are on a host of their own: what the host asks, what it is given.

Both travel by a person's hands, as a join does, and neither holds a secret.

- A request is signed with the node's own key, the one that the configuration names. Whoever has not got that is given
  no certificate, and one cluster's request is nothing to another one.
- Its words are compared by people, as those of a join are: the key could have been stolen with the folder.
- What comes back is for a program to judge: it is by the authority that the host trusts already, or nothing.

Pure: no I/O, no clock.
"""

from typing import ClassVar, Literal

import msgspec

from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster, Member, NodeUnknown
from aerodb.protocol.formats import Format, MadeLater
from aerodb.protocol.signed import DocumentForged, Signed, open_signed
from aerodb.protocol.words import words_of


class RenewalUnreadable(AeroError):
    """The file is no request for a new certificate, or nothing that such a request is answered with."""

    code = "input.renewal-unreadable"
    status = 400
    title = "This is no renewal"


class RenewalForeign(AeroError):
    """The renewal is not of a node of this cluster, or not by its key; or not by the authority that is trusted here."""

    code = "input.renewal-foreign"
    status = 409
    title = "The renewal is another's"


class RenewalOlder(AeroError):
    """The certificate that came is not newer than the one that is there."""

    code = "input.renewal-older"
    status = 409
    title = "The certificate is not newer"


class Renewing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a node asks for: a new certificate for its TLS key. `request` is its certificate signing request, in PEM.

    `cluster` is the cluster's id.
    """

    FORMAT: ClassVar[Format] = Format(kind="renewal")

    kind: Literal["renewal"] = "renewal"
    cluster: str
    node: str
    request: str


class Renewed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it is given: its certificate and the authority's, both in PEM."""

    FORMAT: ClassVar[Format] = Format(kind="renewed certificate")

    kind: Literal["renewed certificate"] = "renewed certificate"
    certificate: str
    authority: str


def opened_renewal(data: bytes, cluster: Cluster) -> tuple[Member, str, str]:
    """Return which node of a cluster asks for a new certificate, its request, and the words of it.

    Raises:
        RenewalUnreadable: it is no request, or not as it was signed.
        RenewalForeign: it is another cluster's, of no node of this one, or not signed with that node's key.
        MadeLater: it is of a later format than this build reads.
    """
    try:
        signed = canonical.decode(data, Signed)
        unverified = canonical.decode(signed.document.encode(), Renewing)
    except MadeLater:
        raise
    except AeroError as error:
        raise RenewalUnreadable(f"it is no request for a new certificate: {error.message}") from error
    if unverified.cluster != cluster.id:
        raise RenewalForeign(f"it asks for a certificate of the cluster {unverified.cluster}, and this is {cluster.id}")
    try:
        member = cluster.member(unverified.node)
    except NodeUnknown as error:
        raise RenewalForeign(f"{cluster.name} has no node {unverified.node}") from error
    try:
        renewing = open_signed(signed, Renewing, member.public_key)
    except DocumentForged as error:
        raise RenewalForeign(f"it is not signed with the key of {member.name} in {cluster.name}") from error
    if signed.signer != member.name:
        raise RenewalForeign(f"{signed.signer} signed it, and it is of {member.name}")
    return member, renewing.request, words_of(signed.digest)


def opened_renewed(data: bytes) -> Renewed:
    """Return what a request was answered with; nothing of it is to be believed yet.

    Raises:
        RenewalUnreadable: it is no such answer.
        MadeLater: it is of a later format than this build reads.
    """
    try:
        return canonical.decode(data, Renewed)
    except MadeLater:
        raise
    except AeroError as error:
        raise RenewalUnreadable(f"it is no renewed certificate: {error.message}") from error
