"""`aerodb audit backup` and `aerodb audit restore`: on the control plane's own host, with its folder at hand."""

import base64
from pathlib import Path

import click

from aerodb.audit.store import back_up
from aerodb.audit.store import restore as put_back
from aerodb.audit.verify import Progress, Verified
from aerodb.cli.failures import OK, LogUnverified
from aerodb.cli.profile import read_cluster
from aerodb.cli.proving import FILE
from aerodb.cli.session import ClientCommand, Session
from aerodb.cli.terminal import Terminal, escape
from aerodb.errors import VerificationFailed
from aerodb.views.verdict import counted

LOG = "log"
FOLDER_DEFAULT = Path("aerodb-cluster") / "control"

folder_option = click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=FOLDER_DEFAULT, show_default=True,
    help="The control plane's own folder, on its host.",
)  # fmt: skip


def _progress(terminal: Terminal) -> Progress:
    return lambda done, total: terminal.progress(f"{done} of {total} records verified")


def named(verified: Verified) -> str:
    """Return a log's size and root as they are named on the command line."""
    return f"{verified.size}:{base64.b64encode(verified.checkpoint.root).decode()}"


@click.command(cls=ClientCommand)
@click.argument("file", type=FILE)
@folder_option
@click.pass_obj
def backup(session: Session, file: Path, folder: Path) -> int:
    """Copy the log, as it is at one moment, into the new FILE; it is verified before it has that name.

    The control plane may run meanwhile, or not. Nothing is written to the log. `aerodb audit verify FILE` verifies a
    backup as it does the log's folder.
    """
    terminal = session.terminal
    try:
        verified = back_up(folder / LOG, file, read_cluster(folder / "cluster.json").log_key, _progress(terminal))
    except VerificationFailed as error:
        raise LogUnverified(f"there is no backup, since what was copied is not intact: {error.message}") from error
    finally:
        terminal.progress("")
    terminal.line(escape(f"{file}: {counted(verified.size, 'records')}, intact, as the log's key signed"), "good")
    terminal.line(f"  its size and root: {named(verified)}", "dim")
    return OK


@click.command(cls=ClientCommand)
@click.argument("file", type=FILE)
@folder_option
@click.pass_obj
def restore(session: Session, file: Path, folder: Path) -> int:
    """Put the backup in FILE in the place of the log, while the control plane does not run.

    What is there is moved aside, and never removed. The nodes and the people who have seen more of the log refuse it
    until each accepts it: `aerodb audit gap` says who has.
    """
    terminal = session.terminal
    try:
        done = put_back(file, folder / LOG, read_cluster(folder / "cluster.json").log_key, _progress(terminal))
    except VerificationFailed as error:
        raise LogUnverified(f"nothing was put back, since the backup is not intact: {error.message}") from error
    finally:
        terminal.progress("")
    terminal.line(f"The log is the backup's now: {counted(done.verified.size, 'records')}, intact.", "good")
    if done.before_records > done.verified.size:
        lost = f"records {done.verified.size} to {done.before_records - 1} are not in it"
        terminal.line(
            f"The one before had {counted(done.before_records, 'records')}, as far as it says: {lost}.", "warn"
        )
    for path in done.moved:
        terminal.line(escape(f"  kept: {path}"), "dim")
    terminal.line(f"  its size and root: {named(done.verified)}", "dim")
    terminal.line("  Start the control plane, then: aerodb audit gap", "dim")
    return OK
