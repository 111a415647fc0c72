"""`aerodb join` and `aerodb admit`: hosts of a cluster that others made, to be watched from then on.

The keys, folders and words are the assembly's, which is imported when a command runs. What a person compares and types
is asked for here. Neither command needs a profile, or a control plane.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from aerodb.cli.asking import Asking
from aerodb.cli.daemons import FOLDER
from aerodb.cli.failures import FileUnusable, TerminalMissing
from aerodb.cli.keyfile import line_in
from aerodb.cli.session import Session
from aerodb.cli.terminal import Terminal, escape

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FILE_BYTES_MAX = 1 << 20
LOGIN = "aerodb_watch"
"""As `aerodb.protocol.watched`, which help does not load."""


@click.command()
@click.option("--watch", is_flag=True, help="Make a node's keys on this host, and what it says of itself.")
@click.option("--admitted", type=FILE, help="Let the node join, by the file that `aerodb admit` made for it.")
@click.option("--renew", is_flag=True, help="Ask for a new certificate of the node on this host.")
@click.option("--renewed", type=FILE, help="Put the certificate into its place that came back.")
@click.option("--postgres", "instance", metavar="VERSION/CLUSTER", help="The PostgreSQL, as Debian calls it: 15/main.")
@click.option("--socket", metavar="FOLDER", help="Of any other PostgreSQL: the folder of its socket, with --port.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The port of that socket.")
@click.option("--name", metavar="NODE", help="What the node is called.  [default: as the host]")
@click.option("--address", metavar="HOST:PORT", help="Where the agent listens.  [default: the only address, port 7401]")
@click.option(
    "--postgres-address", metavar="HOST:PORT",
    help="Where other hosts reach PostgreSQL.  [default: the host of --address, and PostgreSQL's port]",
)  # fmt: skip
@click.option("--login", metavar="ROLE", help=f"The user as which the agent runs, and its role.  [default: {LOGIN}]")
@click.option("--folder", type=FOLDER, help="The node's folder.  [default: /var/lib/aerodb/nodes/NODE]")
@click.pass_obj
def join(
    session: Session,
    /,
    *,
    watch: bool,
    admitted: Path | None,
    renew: bool,
    renewed: Path | None,
    folder: Path | None,
    **typed: Any,
) -> int:
    """Have a PostgreSQL on this host watched by a control plane, and touch nothing of it.

    First, with --watch: keys are made here, which never travel. NODE.join is what to carry to the control plane's
    machine, and its eight words are what to compare there. Then, with --admitted: the file that came back is checked,
    and a person compares the words of the cluster, since its control plane may look at this host from then on.

    Years later, with --renew: NODE.renewal is what to carry, and its words are what to compare, where the authority is
    kept (aerodb certificate renew-node). Then, with --renewed: the certificate that came back is put into its place.
    """
    if [watch, admitted is not None, renew, renewed is not None].count(True) != 1:
        raise click.UsageError(
            "type --watch, to make keys; or --admitted FILE, once the node was admitted; or --renew, and then "
            "--renewed FILE, for a new certificate"
        )
    given = {name: value for name, value in typed.items() if value is not None}
    if renew or renewed is not None:
        name = given.pop("name", "") if renew else ""
        if given:
            raise click.UsageError("--renew goes with --name and --folder alone, --renewed with --folder")
        if renewed is not None:
            return on_keys("put_renewed", data=bytes_of(renewed), folder=folder)
        return on_keys("ask_renewal", folder=folder, name=name, into=Path())
    if admitted is not None:
        if given:
            raise click.UsageError("--admitted goes with --folder alone: the rest is what the host said of itself")
        return on_keys("join_admitted", admission=bytes_of(admitted), folder=folder, confirmed=person(session.terminal))
    if ("instance" in given) == ("socket" in given) or ("socket" in given) != ("port" in given):
        raise click.UsageError("type --postgres VERSION/CLUSTER, or both --socket FOLDER and --port PORT")
    empty = {"instance": "", "socket": "", "port": 0, "name": "", "address": "", "postgres_address": "", "login": LOGIN}
    return on_keys("join_watched", asked={**empty, **given, "folder": folder, "into": Path()})


@click.command()
@click.argument("joins", metavar="JOIN...", nargs=-1, required=True, type=FILE)
@click.option("--name", metavar="CLUSTER", required=True, help="What the cluster is called.")
@click.option("--folder", type=FOLDER, help="Where it is made.  [default: ./CLUSTER]")
@click.option(
    "--control", metavar="HOST:PORT", default="",
    help="Where the control plane listens.  [default: on this machine alone, the first free port from 7400 on]",
)  # fmt: skip
@click.option(
    "--operator", "operators", metavar="NAME=FILE", multiple=True,
    help="An operator, and the file of the public SSH key that they have.  [default: one, whose key is made here]",
)  # fmt: skip
@click.pass_obj
def admit(
    session: Session,
    joins: tuple[Path, ...],
    *,
    name: str,
    folder: Path | None,
    control: str,
    operators: tuple[str, ...],
) -> int:
    """Make a cluster of hosts that asked to join, to be watched.

    Each JOIN is the file that a host made. Compare its words with those that the host showed. The authority's key is
    made here and stays, encrypted by a passphrase that is asked for; each host gets a certificate for the key that it
    has.
    """
    confirmed, passphrase = person(session.terminal), Asking(session.terminal).new
    files = [(str(path), bytes_of(path)) for path in joins]
    return on_keys(
        "admit", files=files, name=name, folder=folder or Path(name), control=control, confirmed=confirmed,
        passphrase=passphrase, operators=[_operator(each) for each in operators],
    )  # fmt: skip


def _operator(typed: str) -> tuple[str, str]:
    """Return the name of an operator and the line of their public key."""
    name, between, file = typed.partition("=")
    if not between:
        raise click.UsageError("--operator is NAME=FILE: a name, and the file of a public SSH key")
    return name, line_in(Path(file))


def on_keys(name: str, /, **arguments: Any) -> int:
    """Have the assembly run a command that makes or replaces keys, by its name; return its exit code."""
    code: int = import_module("aerodb.assembly").on_keys(name, **arguments)
    return code


def bytes_of(path: Path) -> bytes:
    """Return what a file holds that a person carried here.

    Raises:
        FileUnusable: it cannot be read, or is far too large to be what it should be.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error}") from error
    if len(data) > FILE_BYTES_MAX:
        raise FileUnusable(f"{path} has more than {FILE_BYTES_MAX} bytes, and no such file has")
    return data


def person(terminal: Terminal) -> Any:
    """Return how a person is shown lines and asked for the cluster's name.

    Raises:
        TerminalMissing: nobody reads and types.
    """
    if not terminal.interactive:
        raise TerminalMissing("words are compared by a person: stdin and stdout must both be a terminal")

    def confirmed(lines: list[str], name: str) -> bool:
        for line in lines:
            terminal.line(escape(line))
        if terminal.ask(f"To confirm, type the cluster's name ({escape(name)}): ") == name:
            return True
        terminal.line("Not confirmed. Nothing was made.", "bad")
        return False

    return confirmed
