"""What a person compares of a credential, on two screens; and where what is enrolled holds by now.

Computed from what is said of the credential, from the chain and from the nodes' reports. Pure: no I/O, no clock.
"""

import msgspec

from aerodb.protocol import canonical, webauthn
from aerodb.protocol.authenticator import EnrolledAuthenticator, fingerprint, short_name
from aerodb.protocol.chain import Chain
from aerodb.protocol.cluster import Cluster, Role
from aerodb.protocol.facts import Facts
from aerodb.protocol.webauthn import Endorsement
from aerodb.protocol.words import words_of
from aerodb.rules.versions import taken
from aerodb.views.observed import Remark
from aerodb.views.requests import take_command


class ShownCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential's short name, its id, its key's algorithm and fingerprint, and the words of what is said of it."""

    name: str
    credential: str
    key: str
    words: str


def shown_credential(endorsement: Endorsement) -> ShownCredential:
    """Return what is shown of a credential.

    Raises:
        AssertionInvalid: its key is not sound.
    """
    algorithm = webauthn.algorithm_of(webauthn.public_key(endorsement.public_key))
    return ShownCredential(
        name=short_name(endorsement.credential),
        credential=endorsement.credential,
        key=f"{algorithm} {fingerprint(endorsement.public_key)}",
        words=endorsement_words(canonical.encode(endorsement)),
    )


def endorsement_words(endorsement: bytes) -> str:
    """Return the words of the exact bytes of what is said of a credential, which two screens show."""
    return words_of(canonical.digest(endorsement))


# In the chain -----------------------------------------------------------------------------------------------------


def counts(cluster: Cluster, credential: str) -> bool:
    """Tell whether an authenticator confirms under a version: enrolled, not revoked, and of a present operator."""
    each = cluster.authenticator(credential)
    person = cluster.operator(each.person) if each else None
    if each is None or person is None:
        return False
    return not each.revoked and not person.revoked and person.role is Role.OPERATOR


def holding(chain: Chain, facts: dict[str, Facts], each: EnrolledAuthenticator) -> Remark:
    """Return on which nodes an authenticator confirms by now, by the versions that they report, and what is missing."""
    members = [member.name for member in chain.founding.members]
    at = {name: len(taken(facts[name])) for name in members if name in facts and _on(chain, facts[name])}
    there = [name for name in at if counts(chain.versions[at[name] - 1], each.credential)]
    due = counts(chain.newest, each.credential)
    amiss = [name for name in at if (name in there) is not due]
    said = f"on {', '.join(there)}" if there else "on no node"
    if amiss:
        what = f"; not yet on {', '.join(amiss)}" if due else ", until the change is taken there"
        said += f"{what}: {take_command(amiss[0])}"
    unknown = [name for name in members if name not in at]
    if unknown:
        said += f"; not known of {', '.join(unknown)}"
    return ("warn" if amiss or unknown else "good" if due else "dim"), said


def _on(chain: Chain, facts: Facts) -> bool:
    """Tell whether a node is on the chain."""
    path = taken(facts)
    return path == chain.path[: len(path)]
