"""A person's authenticators: listed; and endorsed, by the person's own SSH key, so that they can confirm in a browser.

- What is signed is the endorsement's exact text, after it was checked here against the profile's configuration.
- Nothing is signed unless a person is at a terminal and types the credential's short name.
"""

import click

from aerodb.cli.act import person_profile
from aerodb.cli.failures import OK, REJECTED, CredentialUnclear, EndorsementAltered
from aerodb.cli.paths import endorsement_path
from aerodb.cli.profile import Profile
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.cli.signing import sign
from aerodb.cli.terminal import Terminal, escape
from aerodb.errors import AeroError
from aerodb.protocol import canonical, webauthn
from aerodb.protocol.credentials import Authenticator, AuthenticatorList, Endorse
from aerodb.protocol.sshsig import CREDENTIAL_NAMESPACE
from aerodb.protocol.webauthn import Endorsement
from aerodb.views.credentials import shown_credential

PATH = "/v1/authenticators"
HEAD = ("NAME", "STATE", "KEY", "FINGERPRINT", "COPIES", "CREDENTIAL")


@click.command(cls=ClientCommand)
@json_option
@click.pass_obj
def authenticators(session: Session, *, as_json: bool) -> int:
    """List your authenticators: those that can confirm, and those that await your endorsement."""
    body = session.get(PATH)
    answer = read(body, AuthenticatorList)
    if as_json:
        session.terminal.document(body)
    elif answer.authenticators:
        session.terminal.table(HEAD, [_row(each) for each in answer.authenticators])
    else:
        session.terminal.line("You have no authenticator yet. Register one: aerodb register", "dim")
    return OK


def _row(each: Authenticator) -> list[tuple[str, str]]:
    state = ("good" if each.state == "endorsed" else "warn", each.state)
    texts = (each.algorithm, each.fingerprint, each.copies, each.credential)
    return [("heading", each.name), state, *(("plain", text) for text in texts)]


@click.command(cls=ClientCommand)
@click.argument("credential", required=False)
@click.option("--ssh-agent", is_flag=True, help="Sign by the ssh-agent, even where a key file is.")
@click.pass_obj
def endorse(session: Session, credential: str | None, *, ssh_agent: bool) -> int:
    """Sign that an authenticator, registered in the admin UI, is yours, so that it can confirm for you there.

    CREDENTIAL is its short name, or its whole id; it may be left out where only one awaits an endorsement.
    """
    profile = person_profile(session)
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    chosen = _chosen(read(caller.get(PATH), AuthenticatorList), credential)
    endorsement = checked(profile, chosen)
    _warn(session.terminal, profile)
    name = show(session.terminal, endorsement, copies=chosen.copies == "possible")
    if not typed(session.terminal, name):
        return REJECTED
    text = chosen.endorsement.encode()
    signature = sign(profile, session.terminal, text, by_agent=ssh_agent, namespace=CREDENTIAL_NAMESPACE)
    answer = caller.post(endorsement_path(endorsement.credential), canonical.encode(Endorse(signature=signature)))
    if read(answer, Authenticator).state != "endorsed":
        raise EndorsementAltered("the control plane does not say that it is endorsed now")
    session.terminal.line(f"ENDORSED: {name} can now confirm for {profile.operator} at {endorsement.origin}", "good")
    return OK


def _warn(terminal: Terminal, profile: Profile) -> None:
    """Say what nobody can tell from here of a credential that was registered in the admin UI."""
    terminal.line("  The control plane served the page on which this was registered, so the key could be", "warn")
    terminal.line("  one of its own, and what it shows would agree.", "warn")
    if profile.cluster.web_is_local:
        terminal.line("  `aerodb register` leaves it no such chance: this machine then serves the page.", "warn")
    terminal.line("")


def _chosen(answer: AuthenticatorList, credential: str | None) -> Authenticator:
    pending = [each for each in answer.authenticators if each.state == "pending"]
    found = [each for each in pending if credential in {None, each.credential, each.name}]
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.name for each in pending) or "none; register one in the browser first"
    which = f"{credential!r} is not among them" if credential else "name one"
    raise CredentialUnclear(f"{which}; your authenticators that await an endorsement: {names}", field="credential")


def checked(profile: Profile, listed: Authenticator) -> Endorsement:
    """Return what is to be endorsed, if it is the listed credential, sound, and for this person, cluster and origin.

    Raises:
        EndorsementAltered: it is not.
    """
    cluster = profile.cluster
    try:
        endorsement = canonical.decode(listed.endorsement.encode(), Endorsement)
        webauthn.public_key(endorsement.public_key)
    except (AeroError, UnicodeEncodeError) as error:
        raise EndorsementAltered(f"the endorsement cannot be read: {error}") from error
    for what, found, wanted in (
        ("cluster", endorsement.cluster, cluster.id),
        ("operator", endorsement.operator, profile.operator),
        ("origin", endorsement.origin, cluster.web_origin),
        ("relying party", endorsement.rp_id, cluster.rp_id),
        ("credential", endorsement.credential, listed.credential),
    ):
        if not wanted or found != wanted:
            raise EndorsementAltered(f"the endorsement is for the {what} {found!r}, not {wanted!r}")
    return endorsement


def show(terminal: Terminal, endorsement: Endorsement, *, copies: bool) -> str:
    """Show what will be signed, computed here from its content, and what it will allow; return its short name."""
    found = shown_credential(endorsement)
    terminal.line(escape(f"ENDORSE AUTHENTICATOR {found.name} OF {endorsement.operator}"), "heading")
    terminal.line("  Whoever has it, and is known to it, can then confirm your requests in the browser.", "warn")
    terminal.line("  One authenticator cannot be revoked: only your own key, with all that it endorsed.", "warn")
    if copies:
        terminal.line("  Its maker may copy the key to your other devices.", "warn")
    terminal.line("  Compare with the page on which it was registered:")
    for title, text in (
        ("credential", found.credential),
        ("key", found.key),
        ("origin", endorsement.origin),
        ("cluster", endorsement.cluster),
        ("words", found.words),
    ):
        terminal.line(escape(f"  {title:<12}{text}"))
    terminal.line("")
    return found.name


def typed(terminal: Terminal, name: str) -> bool:
    """Ask for the short name, and tell whether it was typed; where it was not, nothing is signed."""
    if terminal.ask(f"To endorse it, type its short name ({name}): ") == name:
        return True
    terminal.line("Not endorsed. Nothing was signed.", "bad")
    return False
