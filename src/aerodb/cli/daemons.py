"""The commands that run something: each hands over to the assembly, which wires the parts together.

The assembly is imported when a command runs, never before: the command line itself is a client and nothing more.
"""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from aerodb.cli.asking import Asking
from aerodb.cli.session import Session

FOLDER = click.Path(file_okay=False, path_type=Path)
FOLDER_DEFAULT = Path("aerodb-cluster")
UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.@-]{0,200}\.service")
"""A name that systemd takes as it is. Source: systemd.unit(5)."""


log_format_option = click.option(
    "--log-format", type=click.Choice(["json", "text"]), default="json", show_default=True,
    help="How it says on standard output what it does.",
)  # fmt: skip


def _run(name: str, **arguments: Any) -> int:
    code: int = getattr(import_module("aerodb.assembly"), name)(**arguments)
    return code


postgres_option = click.option(
    "--postgres", default="", metavar="MAJOR|FOLDER",
    help="Which PostgreSQL: a major version of the system's packages, as 16, or the folder of its programs."
    "  [default: the one that aerodb[local] brings]",
)  # fmt: skip


def size_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add what a new cluster's size is asked for by; what is left out is None."""
    for option in (
        click.option("--ports-from", type=click.IntRange(1, 65_535), metavar="PORT",
                     help="The first of a run of ports, all free.  [default: the first free run from 7400 on]"),
        click.option("--quorum", type=click.IntRange(0, 8), metavar="K",
                     help="How many standbys must flush a commit before it is acknowledged.  [default: 1]"),
        click.option("--witness", is_flag=True, default=None, help="Add a member that votes and holds no data."),
        click.option("--nodes", type=click.IntRange(2, 9), metavar="N", help="How many data nodes.  [default: 3]"),
    ):  # fmt: skip
        function = option(function)
    return function


@click.command()
@click.option(
    "--folder", type=FOLDER, default=FOLDER_DEFAULT, show_default=True, help="Where the cluster lives; made if need be."
)
@postgres_option
@size_options
def up(folder: Path, postgres: str, **size: int | None) -> int:
    """Run a whole cluster on this machine: PostgreSQL, its agents, the control plane."""
    return _run("up", folder=folder, asked=_asked(size), postgres=postgres)


def _asked(size: dict[str, int | None]) -> dict[str, int]:
    return {name: value for name, value in size.items() if value is not None}


@click.command()
@click.option("--folder", type=FOLDER, required=True, help="The agent's own folder.")
@click.option("--leave-down", is_flag=True, help="Do not start PostgreSQL together with the agent.")
@click.option(
    "--as-it-stands", is_flag=True,
    help="Start PostgreSQL also where the node stands as a primary: for whoever has seen that no other was elected.",
)  # fmt: skip
@click.option(
    "--postgres-unit",
    default="",
    metavar="UNIT",
    help="Have systemd run PostgreSQL, in a unit of this name.  [default: it runs in the agent's control group]",
)
@log_format_option
def agent(folder: Path, *, leave_down: bool, as_it_stands: bool, postgres_unit: str, log_format: str) -> int:
    """Run the agent of one node."""
    if leave_down and as_it_stands:
        raise click.UsageError("--leave-down and --as-it-stands exclude each other")
    if postgres_unit and not UNIT.fullmatch(postgres_unit):
        raise click.UsageError("--postgres-unit is the name of a service's unit, such as aerodb-postgres@n1.service")
    return _run(
        "agent", folder=folder, leave_down=leave_down, as_it_stands=as_it_stands, unit=postgres_unit,
        log_format=log_format,
    )  # fmt: skip


@click.command()
@click.option("--folder", type=FOLDER, required=True, help="The agent's own folder.")
def gate(folder: Path) -> int:
    """Say whether PostgreSQL of a node may be started by its host: exit code 0 is yes.

    It reads the node's files, and needs no agent. Whatever starts PostgreSQL by itself asks it first: in systemd,
    ExecCondition=aerodb gate --folder FOLDER.
    """
    return _run("gate", folder=folder)


@click.command()
@click.option("--folder", type=FOLDER, required=True, help="The control plane's own folder.")
@log_format_option
def serve(folder: Path, *, log_format: str) -> int:
    """Run the control plane."""
    return _run("serve", folder=folder, log_format=log_format)


@click.command()
@click.option("--folder", type=FOLDER, required=True, help="Where the new cluster's folders are made.")
@postgres_option
@size_options
@click.pass_obj
def init(session: Session, /, folder: Path, postgres: str, **size: int | None) -> int:
    """Make the folders, keys and configuration of a new cluster.

    At a terminal a passphrase is asked for, twice, and the certificate authority's key is encrypted by it. Elsewhere it
    is not encrypted, and the last line says so.
    """
    passphrase = Asking(session.terminal).new if session.terminal.interactive else None
    return _run("init", folder=folder, asked=_asked(size), postgres=postgres, passphrase=passphrase)


@click.command()
@click.option("--folder", type=FOLDER, help="Where the demonstration's cluster lives.")
@postgres_option
def demo(folder: Path | None, postgres: str) -> int:
    """Show a switchover, a failover and their proofs on a cluster of its own."""
    return _run("demo", folder=folder, postgres=postgres)
