"""A link that signs a person in to the admin UI: their certificate is who they are, here as everywhere.

The address comes from the profile's configuration, never from the control plane.
"""

import click

from aerodb.cli.failures import OK, AdminUiAbsent
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.protocol.api import Ticket


@click.command(cls=ClientCommand)
@click.option("--open", "opened", is_flag=True, help="Open it in this machine's browser, too.")
@click.pass_obj
def web(session: Session, *, opened: bool) -> int:
    """Print a link that signs you in to the admin UI. It works once, and replaces the one before."""
    profile = session.profile()
    if not profile.cluster.web_origin:
        raise AdminUiAbsent("the cluster's configuration names no address for it", field="web_origin")
    ticket = read(session.connect(profile, READ_TIMEOUT_SECONDS).post("/v1/sessions", b"{}"), Ticket).ticket
    link = f"{profile.cluster.web_origin}/enter?ticket={ticket}"
    session.terminal.line(link)
    if opened:
        click.launch(link)
    return OK
