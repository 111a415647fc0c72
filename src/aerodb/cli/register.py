"""Registering an authenticator on this machine, and enrolling it: no key passes through the control plane's hands.

- The page is served from here and its answer is read here; the change that is asked for is of the key that was read.
- It ends in a request like any other: `configure` on the granted primary, read, typed and signed by the person's SSH
  key. Where they stop, or nothing is registered in time, nothing was asked for.
"""

from typing import TYPE_CHECKING

import click

from aerodb.cli.act import person_profile
from aerodb.cli.chained import shown_chain
from aerodb.cli.configure import ask_step
from aerodb.cli.failures import AdminUiAbsent, OriginElsewhere, PrimaryUnknown
from aerodb.cli.profile import Profile
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.protocol import api
from aerodb.protocol.chain import step_of
from aerodb.protocol.cluster import Cluster
from aerodb.views.changing import version_taken
from aerodb.views.enrolling import enrolment
from aerodb.views.observed import observe, primary_of

if TYPE_CHECKING:
    from aerodb.registration import Registered  # Only annotated here: the page and what serves it load late.

SECONDS, SECONDS_MAX = 300, 3600


@click.command(cls=ClientCommand)
@click.option("--reason", required=True, metavar="TEXT", help="Why, in your words; it is recorded.")
@click.option("--ssh-agent", is_flag=True, help="Sign by the ssh-agent, even where a key file is.")
@click.option(
    "--seconds",
    type=click.IntRange(1, SECONDS_MAX),
    default=SECONDS,
    show_default=True,
    help="How long the link is open.",
)
@click.pass_obj
def register(session: Session, *, reason: str, ssh_agent: bool, seconds: int) -> int:
    """Register an authenticator by a page that this machine serves, and enrol it as yours.

    It prints a link for a browser on this machine. The link works once. What the browser answered becomes a change of
    the configuration, which the granted primary takes once you have read its plan and typed the node's name; then each
    other node takes it by configure NODE --take.
    """
    profile = person_profile(session)
    refuse_elsewhere(profile.cluster)
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    chain = shown_chain(profile, caller)[0]
    observed = observe(profile.cluster, read(caller.get("/v1/status"), api.Status))
    primary = primary_of(observed)
    if primary is None:
        raise PrimaryUnknown("nobody who reports is the granted primary, which enrols it first", field="node")
    known = (each for each in chain.newest.enrolled if each.person == profile.operator and not each.revoked)
    mine = tuple(each.credential for each in known)
    found = _registered(session, profile, mine, seconds)
    before = chain.versions[version_taken(chain, primary) - 1]
    step = step_of(before, enrolment(found.endorsement, found.copies))
    return ask_step(session, observed, primary.node, step, reason, by_agent=ssh_agent)


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
            "authenticator for it: register it there, under Authenticators, then compare the key with the one in the "
            "plan of `aerodb configure NODE --enrol-authenticator`",
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
