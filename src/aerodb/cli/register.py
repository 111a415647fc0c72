"""Registering an authenticator on this machine, and endorsing it: no key passes through the control plane's hands.

- The page is served from here and its answer is read here; what is signed is what was read, and is shown first.
- The control plane is given the endorsement with its signature: it can record it as it is, or refuse it.
- Nothing is kept: where a person stops, or nothing is registered in time, nothing was signed or sent.
"""

from typing import TYPE_CHECKING

import click

from aerodb.cli.act import person_profile
from aerodb.cli.authenticators import PATH, show, typed
from aerodb.cli.failures import OK, REJECTED, AdminUiAbsent, EndorsementAltered, OriginElsewhere
from aerodb.cli.profile import Profile
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.cli.signing import sign
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.credentials import Authenticator, AuthenticatorList, Endorsed
from aerodb.protocol.sshsig import CREDENTIAL_NAMESPACE

if TYPE_CHECKING:
    from aerodb.registration import Registered  # Only annotated here: the page and what serves it load late.

SECONDS, SECONDS_MAX = 300, 3600


@click.command(cls=ClientCommand)
@click.option("--ssh-agent", is_flag=True, help="Sign by the ssh-agent, even where a key file is.")
@click.option(
    "--seconds",
    type=click.IntRange(1, SECONDS_MAX),
    default=SECONDS,
    show_default=True,
    help="How long the link is open.",
)
@click.pass_obj
def register(session: Session, *, ssh_agent: bool, seconds: int) -> int:
    """Register an authenticator by a page that this machine serves, and sign that it is yours.

    It prints a link for a browser on this machine. The link works once. What the browser answered is shown here, and
    nothing is signed until you type its short name.
    """
    profile = person_profile(session)
    refuse_elsewhere(profile.cluster)
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    mine = read(caller.get(PATH), AuthenticatorList).authenticators
    found = _registered(session, profile, tuple(each.credential for each in mine if each.state == "endorsed"), seconds)
    name = show(session.terminal, found.endorsement, copies=found.copies)
    if not typed(session.terminal, name):
        return REJECTED
    text = canonical.encode(found.endorsement)
    signature = sign(profile, session.terminal, text, by_agent=ssh_agent, namespace=CREDENTIAL_NAMESPACE)
    body = canonical.encode(Endorsed(endorsement=text.decode(), signature=signature))
    recorded = read(caller.post("/v1/endorsements", body), Authenticator)
    if (recorded.state, recorded.endorsement, recorded.signature) != ("endorsed", text.decode(), signature):
        raise EndorsementAltered("the control plane does not say that it recorded what was signed")
    session.terminal.line(
        f"ENDORSED: {name} can now confirm for {profile.operator} at {profile.cluster.web_origin}", "good"
    )
    return OK


def refuse_elsewhere(cluster: Cluster) -> None:
    """Check that a page of this machine can register an authenticator for the admin UI.

    Raises:
        AdminUiAbsent, OriginElsewhere: it cannot.
    """
    if not cluster.web_origin:
        raise AdminUiAbsent("the cluster's configuration names no address for it", field="web_origin")
    if not cluster.web_is_local:
        raise OriginElsewhere(
            f"the admin UI is at {cluster.web_origin}, and browsers let only pages of {cluster.rp_id} register an "
            "authenticator for it: register it there, under Authenticators, then compare the key's fingerprint with "
            "the one that `aerodb endorse` shows",
            field="web_origin",
        )


def _registered(session: Session, profile: Profile, known: tuple[str, ...], seconds: int) -> "Registered":
    """Return what a browser on this machine registered."""
    from aerodb.cli.desk import served

    terminal = session.terminal
    with served(profile.cluster, profile.operator, known) as desk:
        terminal.line(f"Open this link in a browser on this machine, within {seconds} seconds:")
        terminal.line(f"  {desk.link}", "heading")
        terminal.line("  It works once. Whoever has it could register in your place: show it to nobody.", "dim")
        return desk.wait(seconds)
