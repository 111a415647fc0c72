"""Signing in to the admin UI, and the sessions in it: a person's certificate is who they are, here as everywhere.

- The ticket stands in a file that only its owner can read, and reaches the browser by that: never in a program's
  arguments, which every user of the machine can read, and in no address, which browsers keep.
- The address comes from the profile's configuration, never from the control plane.
"""

import os
import secrets
from pathlib import Path

import click

from aerodb.cli.failures import OK, AdminUiAbsent, FileUnusable
from aerodb.cli.paths import session_path
from aerodb.cli.profile import Profile
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.cli.terminal import escape
from aerodb.protocol.api import SessionLine, SignedIn, Ticket

PATH = "/v1/sessions"
FILE = "sign-in.html"
HEAD = ("SESSION", "PERSON", "ENDS UNUSED IN", "ENDS IN", "OPENED BY")


@click.command(cls=ClientCommand)
@click.option("--open", "opened", is_flag=True, help="Open the page in this machine's browser, too.")
@click.option("--typed", is_flag=True, help="Print a ticket to be typed in a browser on another machine; no page.")
@click.option("--sessions", is_flag=True, help="List the sessions: yours, or everyone's if you may end them.")
@click.option("--end", "ended", metavar="SESSION", help="End a session by its name in that list.")
@json_option
@click.pass_obj
def web(session: Session, *, opened: bool, typed: bool, sessions: bool, ended: str | None, as_json: bool) -> int:
    """Write a page that signs you in to the admin UI. It works once, and replaces the one before."""
    if sum((opened, typed, sessions, ended is not None)) > 1:
        raise click.UsageError("--open, --typed, --sessions and --end are one at a time")
    if as_json and not sessions:
        raise click.UsageError("--json goes with --sessions: everything else is for a person")
    if sessions:
        return _list(session, as_json=as_json)
    if ended is not None:
        return _end(session, ended)
    return _sign_in(session, opened=opened, typed=typed)


def _sign_in(session: Session, *, opened: bool, typed: bool) -> int:
    profile, terminal = session.profile(), session.terminal
    if not profile.cluster.web_origin:
        raise AdminUiAbsent("the cluster's configuration names no address for it", field="web_origin")
    ticket = read(session.connect(profile, READ_TIMEOUT_SECONDS).post(PATH, b"{}"), Ticket)
    if typed:
        terminal.line(f"Within {ticket.seconds} seconds, at {escape(profile.cluster.web_origin)}/enter, type:")
        terminal.line(f"  {escape(ticket.ticket)}", "heading")
        terminal.line("  It works once. Whoever has it could sign in as you: show it to nobody.", "dim")
        return OK
    page = write_page(profile, ticket.ticket)
    terminal.line(f"Open this page in a browser on this machine, within {ticket.seconds} seconds; it works once:")
    terminal.line(f"  {page.as_uri()}", "heading")
    if opened:
        click.launch(page.as_uri())
    return OK


def write_page(profile: Profile, ticket: str) -> Path:
    """Write the page that brings a ticket to the admin UI, for its owner's eyes alone; return where it is.

    Raises:
        FileUnusable: it cannot be written.
    """
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    from aerodb.views.render import shown

    template = (files("aerodb.cli") / "templates" / FILE).read_text(encoding="utf-8")
    text = Environment(autoescape=True, undefined=StrictUndefined).from_string(template).render(
        cluster=shown(profile.cluster.name), person=shown(profile.operator), origin=profile.cluster.web_origin,
        ticket=ticket,
    )  # fmt: skip
    path = profile.folder.resolve() / FILE
    new = path.with_name(f"{FILE}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(path)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be written: {error.strerror}; --typed needs no file") from error
    return path


def _list(session: Session, *, as_json: bool) -> int:
    body = session.get(PATH)
    found = read(body, SignedIn).sessions
    if as_json:
        session.terminal.document(body)
    elif found:
        session.terminal.table(HEAD, [[("plain", text) for text in _texts(each)] for each in found])
    else:
        session.terminal.line("Nobody is signed in.", "dim")
    return OK


def _texts(line: SessionLine) -> tuple[str, ...]:
    times = (f"{left // 60} min" for left in (min(line.unused_seconds_left, line.seconds_left), line.seconds_left))
    return line.session, line.person, *times, line.came_from


def _end(session: Session, ended: str) -> int:
    caller = session.connect(session.profile(), READ_TIMEOUT_SECONDS)
    line = read(caller.post(session_path(ended), b"{}"), SessionLine)
    session.terminal.line(escape(f"ENDED: session {line.session} of {line.person}, opened by {line.came_from}"), "good")
    return OK
