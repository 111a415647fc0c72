"""Which authenticator a person means, of those that are registered or enrolled, and the change that goes with it.

What the control plane says of a registered one is held against the configuration; whether its key is the person's own
is for that person to compare. Pure: no I/O, no clock.
"""

from collections.abc import Iterable

from aerodb.errors import AeroError
from aerodb.protocol import canonical, webauthn
from aerodb.protocol.authenticator import Copies, enrolment_text, short_name
from aerodb.protocol.chain import REVOKED
from aerodb.protocol.change import Change
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.credentials import Authenticator
from aerodb.protocol.webauthn import Endorsement

AWAITING = ("pending", "endorsed")
"""The states of what can be enrolled."""


class CredentialUnclear(AeroError):
    """Which authenticator is meant cannot be told, or there is none such."""

    code = "input.credential-unclear"
    status = 404
    title = "Which authenticator is meant cannot be told"


class CredentialAltered(AeroError):
    """What is to be enrolled is not this person's credential, for this cluster, on its own origin."""

    code = "control.credential-unverified"
    status = 409
    title = "The authenticator does not verify here"


def awaiting(newest: Cluster, listed: Iterable[Authenticator]) -> tuple[Authenticator, ...]:
    """Return what the control plane says is registered, and a version does not enrol."""
    return tuple(each for each in listed if each.state in AWAITING and newest.authenticator(each.credential) is None)


def enrolling(before: Cluster, listed: Iterable[Authenticator], credential: str, of: str) -> Change:
    """Return the change that enrols a registered authenticator, by its short name or its id.

    `of` is whose it is; empty where that is for the list to say.

    Raises:
        CredentialUnclear: none such awaits its enrolment, or several do.
        CredentialAltered: what the control plane says of it is not of this person, cluster and admin UI.
    """
    found = [each for each in listed if each.state in AWAITING and each.operator == (of or each.operator)]
    chosen = [each for each in found if credential in (each.name, each.credential)]
    if len(chosen) != 1:
        names = ", ".join(each.name for each in found) or "none; register one first (aerodb register, or the admin UI)"
        whose = f" of {of}" if of else ""
        raise CredentialUnclear(
            f"{credential!r} is not among the authenticators{whose} that await their enrolment: {names}", field="name"
        )
    return enrolment(checked(before, chosen[0], of or chosen[0].operator), chosen[0].copies)


def enrolment(endorsement: Endorsement, copies: Copies) -> Change:
    """Return the change that enrols a credential."""
    after = enrolment_text(endorsement.credential, endorsement.public_key, copies)
    return Change(kind="enrol-authenticator", name=endorsement.operator, before="", after=after)


def revoking(before: Cluster, credential: str, of: str) -> Change:
    """Return the change that revokes an enrolled authenticator, by its short name or its id; `of` as for enrolling.

    Raises:
        CredentialUnclear: there is none such, or there are several.
    """
    found = [each for each in before.enrolled if each.person == (of or each.person)]
    chosen = [each for each in found if credential in (short_name(each.credential), each.credential)]
    if len(chosen) != 1:
        names = ", ".join(short_name(each.credential) for each in found if not each.revoked) or "none"
        whose = f" of {of}" if of else ""
        held = [each.person for each in before.enrolled if credential in (short_name(each.credential), each.credential)]
        another = f"; it is of {', '.join(held)}: name whose it is (--of)" if held and not chosen else ""
        raise CredentialUnclear(
            f"{credential!r} is not among the enrolled authenticators{whose}: {names}{another}", field="name"
        )
    return Change(kind="revoke-authenticator", name=chosen[0].person, before=chosen[0].credential, after=REVOKED)


def checked(cluster: Cluster, listed: Authenticator, of: str) -> Endorsement:
    """Return what is said of a listed credential, if it is sound, and for this person, cluster and admin UI.

    Raises:
        CredentialAltered: it is not.
    """
    try:
        endorsement = canonical.decode(listed.endorsement.encode(), Endorsement)
        webauthn.public_key(endorsement.public_key)
    except (AeroError, UnicodeEncodeError) as error:
        raise CredentialAltered(f"what is said of it cannot be read: {error}") from error
    wrong = webauthn.foreign_part(endorsement, cluster, of)
    if wrong:
        raise CredentialAltered(f"it is for the {wrong}")
    if endorsement.credential != listed.credential:
        raise CredentialAltered(f"it is for the credential {endorsement.credential!r}, not {listed.credential!r}")
    return endorsement
