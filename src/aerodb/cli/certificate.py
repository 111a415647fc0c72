"""`aerodb certificate`: who is let in, by the certificate authority that is kept in the cluster's folder.

It needs that folder, and no profile. The assembly is imported when a command runs, as for any daemon.
"""

from pathlib import Path
from typing import Any

import click

from aerodb.cli.asking import Asking
from aerodb.cli.daemons import FOLDER, FOLDER_DEFAULT
from aerodb.cli.joining import FILE, bytes_of, on_keys, person
from aerodb.cli.keyfile import KEY_FILE, line_in
from aerodb.cli.session import Session
from aerodb.protocol.cluster import Role

HOLDERS = ("person", "agent", "control", "monitor", "balancer", "authority")
ISSUED = ("person", "balancer")

folder_option = click.option(
    "--folder", type=FOLDER, default=FOLDER_DEFAULT, show_default=True, help="The cluster's folder."
)


@click.group()
def certificate() -> None:
    """Issue and renew certificates, by the authority in the cluster's folder.

    A certificate lets in who is enrolled, and nobody else; no certificate acts. To enrol somebody: aerodb configure
    """


@certificate.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(ISSUED), default=ISSUED[0], show_default=True, help="What NAME shall be.")
@click.option("--role", type=click.Choice([str(role) for role in Role]), help="What they shall be enrolled as.")
@click.option("--key", type=KEY_FILE, help="The SSH public key that they bring. An operator without has one made.")
@folder_option
@click.pass_obj
def issue(session: Session, name: str, kind: str, role: str | None, key: Path | None, folder: Path) -> int:
    """Make the profile of the person NAME, with a certificate, and say how an operator enrols them.

    Of a balancer: the folder of its certificate and of configurations for HAProxy and PgBouncer. It is not enrolled.
    """
    if kind == "balancer":
        if role or key:
            raise click.UsageError("A balancer has no role and no key to sign with: leave --role and --key out.")
        return on_keys("issue_balancer_certificate", folder=folder, name=name, passphrase=_present(session))
    line = line_in(key) if key is not None else ""
    return on_keys(
        "issue_certificate", folder=folder, name=name, role=role or "", line=line, passphrase=_present(session)
    )


@certificate.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(HOLDERS), default=HOLDERS[0], show_default=True, help="What NAME is.")
@folder_option
@click.pass_obj
def renew(session: Session, name: str, kind: str, folder: Path) -> int:
    """Give NAME a new certificate for the key that is there.

    Of the authority itself, too (renew authority --kind authority): it keeps its key, so whatever it certified stays
    good. A node whose keys are on a host of their own asks for one there: aerodb join --renew
    """
    return on_keys("renew_certificate", folder=folder, name=name, kind=kind, passphrase=_present(session))


@certificate.command("renew-node")
@click.argument("file", metavar="FILE", type=FILE)
@folder_option
@click.pass_obj
def renew_node(session: Session, file: Path, folder: Path) -> int:
    """Give the node a new certificate whose host wrote FILE, by `aerodb join --renew`.

    Compare its words with those that the host showed. The node must be one of the cluster's, and its own key must have
    signed the request. What comes of it is carried back: aerodb join --renewed
    """
    confirmed = person(session.terminal)
    data = bytes_of(file)
    return on_keys("renew_node", data=data, folder=folder, confirmed=confirmed, passphrase=_present(session))


@certificate.command("replace-authority")
@folder_option
@click.pass_obj
def replace_authority(session: Session, folder: Path) -> int:
    """Make a new authority, and certificates of it for everybody whose folder is here; the cluster is down meanwhile.

    For a cluster that keeps no authority, and for one whose authority's key is not safe any more, or whose passphrase
    is forgotten. Where the key was encrypted a passphrase is asked for, twice, and the new key is encrypted by it.
    """
    return on_keys("replace_authority", folder=folder, passphrase=Asking(session.terminal).new)


@certificate.command("protect-authority")
@folder_option
@click.pass_obj
def protect_authority(session: Session, folder: Path) -> int:
    """Encrypt the authority's key by a passphrase, or by another one than before.

    It is asked for at the terminal, twice. The key stays the same, and so every certificate stays good. Whatever uses
    the authority then asks for the passphrase; nothing that runs does.
    """
    asking = Asking(session.terminal)
    return on_keys("protect_authority", folder=folder, present=asking.present, new=asking.new)


def _present(session: Session) -> Any:
    return Asking(session.terminal).present
