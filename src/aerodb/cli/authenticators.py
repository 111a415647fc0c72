"""People's authenticators: listed as the chain of configurations has them, with what awaits its enrolment there.

- What is enrolled, and where it holds, is computed here from the verified chain and the nodes' signed reports.
- Only what is pending is the control plane's word. What is said of such a credential is checked here against the
  profile's configuration; whether its key is a person's own is for that person to compare.
"""

import click

from aerodb.cli.chained import shown_chain
from aerodb.cli.failures import OK, CredentialAltered, CredentialUnclear
from aerodb.cli.profile import Caller, Profile
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.errors import AeroError
from aerodb.protocol import api, canonical, webauthn
from aerodb.protocol.authenticator import Copies, EnrolledAuthenticator, enrolment_text, fingerprint, short_name
from aerodb.protocol.chain import REVOKED, Chain
from aerodb.protocol.change import Change
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.credentials import Authenticator, AuthenticatorList
from aerodb.protocol.webauthn import Endorsement
from aerodb.views.credentials import holding
from aerodb.views.observed import Observed, observe, primary_of

PATH = "/v1/authenticators"
HEAD = ("NAME", "WHOSE", "STATE", "KEY", "COPIES", "CONFIRMS", "CREDENTIAL")
AWAITING = ("pending", "endorsed")
"""The states of what can be enrolled."""

Row = list[tuple[str, str]]


@click.command(cls=ClientCommand)
@json_option
@click.pass_obj
def authenticators(session: Session, *, as_json: bool) -> int:
    """List all authenticators: whose each is, whether it counts, on which nodes; and what awaits its enrolment."""
    profile = session.profile()
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    body = caller.get(PATH)
    answer = read(body, AuthenticatorList)
    if as_json:
        session.terminal.document(body)
        return OK
    chain = shown_chain(profile, caller)[0]
    observed = observe(profile.cluster, read(caller.get("/v1/status"), api.Status))
    waiting = awaiting(chain, answer)
    rows = [*(_enrolled(chain, observed, each) for each in chain.newest.enrolled), *map(_waiting, waiting)]
    if not rows:
        session.terminal.line("Nobody has an authenticator yet. Register one: aerodb register", "dim")
        return OK
    session.terminal.table(HEAD, rows)
    primary = primary_of(observed)
    for each in waiting:
        of = "" if each.operator == profile.operator else f" --of {each.operator}"
        node = primary.node if primary else "PRIMARY"
        session.terminal.line(
            f"Awaits its enrolment: aerodb configure {node} --enrol-authenticator {each.name}{of}", "dim"
        )
    return OK


def awaiting(chain: Chain, answer: AuthenticatorList) -> list[Authenticator]:
    """Return what the control plane says is registered, and the chain does not enrol."""
    return [
        each
        for each in answer.authenticators
        if each.state in AWAITING and chain.newest.authenticator(each.credential) is None
    ]


def _enrolled(chain: Chain, observed: Observed, each: EnrolledAuthenticator) -> Row:
    key = webauthn.algorithm_of(webauthn.public_key(each.public_key))
    state = ("dim", REVOKED) if each.revoked else ("good", "enrolled")
    texts = (f"{key} {fingerprint(each.public_key)}", each.copies)
    plain = [("plain", text) for text in texts]
    where = holding(chain, observed.facts, each)
    return [
        ("heading", short_name(each.credential)),
        ("plain", each.person),
        state,
        *plain,
        where,
        ("plain", each.credential),
    ]


def _waiting(each: Authenticator) -> Row:
    where = "under version 1 alone" if each.state == "endorsed" else "on no node"
    texts = (f"{each.algorithm} {each.fingerprint}", each.copies, where, each.credential)
    return [
        ("heading", each.name),
        ("plain", each.operator),
        ("warn", each.state),
        *(("plain", text) for text in texts),
    ]


# Changes --------------------------------------------------------------------------------------------------------------


def enrolling(profile: Profile, caller: Caller, credential: str, of: str) -> Change:
    """Return the change that enrols a registered authenticator of somebody, by its short name or its id.

    Raises:
        CredentialUnclear: none such awaits its enrolment.
        CredentialAltered: what the control plane says of it is not of this person, cluster and admin UI.
    """
    listed = read(caller.get(PATH), AuthenticatorList).authenticators
    found = [each for each in listed if each.state in AWAITING and each.operator == of]
    chosen = [each for each in found if credential in (each.name, each.credential)]
    if len(chosen) != 1:
        names = ", ".join(each.name for each in found) or "none; register one first (aerodb register, or the admin UI)"
        raise CredentialUnclear(
            f"{credential!r} is not among the authenticators of {of} that await their enrolment: {names}",
            field="credential",
        )
    return enrolment(checked(profile.cluster, chosen[0], of), chosen[0].copies)


def enrolment(endorsement: Endorsement, copies: Copies) -> Change:
    """Return the change that enrols a credential."""
    after = enrolment_text(endorsement.credential, endorsement.public_key, copies)
    return Change(kind="enrol-authenticator", name=endorsement.operator, before="", after=after)


def revoking(before: Cluster, credential: str, of: str) -> Change:
    """Return the change that revokes an enrolled authenticator of somebody, by its short name or its id.

    Raises:
        CredentialUnclear: they have none such.
    """
    found = [each for each in before.enrolled if each.person == of]
    chosen = [each for each in found if credential in (short_name(each.credential), each.credential)]
    if len(chosen) != 1:
        names = ", ".join(short_name(each.credential) for each in found if not each.revoked) or "none"
        raise CredentialUnclear(
            f"{credential!r} is not among the enrolled authenticators of {of}: {names}", field="credential"
        )
    return Change(kind="revoke-authenticator", name=of, before=chosen[0].credential, after=REVOKED)


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
    for what, found, wanted in (
        ("cluster", endorsement.cluster, cluster.id),
        ("operator", endorsement.operator, of),
        ("origin", endorsement.origin, cluster.web_origin),
        ("relying party", endorsement.rp_id, cluster.rp_id),
        ("credential", endorsement.credential, listed.credential),
    ):
        if not wanted or found != wanted:
            raise CredentialAltered(f"it is for the {what} {found!r}, not {wanted!r}")
    return endorsement
