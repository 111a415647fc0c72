"""The requests so far, and one of them with everything that the log holds of it."""

import shutil
from itertools import zip_longest
from urllib.parse import urlencode

import click

from aerodb.audit.clocks import jump_text
from aerodb.audit.proof import fault_of
from aerodb.audit.record import decode_record
from aerodb.cli.decided import of_request
from aerodb.cli.failures import OK, UNVERIFIED
from aerodb.cli.named import request_argument, whole_id
from aerodb.cli.paths import request_path
from aerodb.cli.profile import Profile
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, full_option, json_option, read
from aerodb.cli.terminal import Cell, Terminal, escape
from aerodb.cli.verification import read_plan
from aerodb.errors import AeroError
from aerodb.protocol.api import Decision, LogEntry, RequestLine, Requests, Status
from aerodb.protocol.cluster import Cluster
from aerodb.views import listing
from aerodb.views.observed import observe, step_of
from aerodb.views.proofs import proofs_remarks
from aerodb.views.render import plan_lines, redacted_plan_lines
from aerodb.views.requests import NOTHING_ASKED, spoken, spoken_briefly, state_style

HEAD = ("REQUEST", "AT", "OPERATOR", "ACTION", "NODE", "ARGUMENTS", "STATE", "CODE", "REASON")


@click.command("requests", cls=ClientCommand)
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most.")
@click.option("--before", type=click.IntRange(min=0), help="Only those that began before this record of the log.")
@click.option("--full", is_flag=True, help="Whole: ids, times, arguments, codes and reasons, however wide that is.")
@json_option
@click.pass_obj
def requests(session: Session, limit: int, before: int | None, *, full: bool, as_json: bool) -> int:
    """List the requests, the newest first: on a terminal as wide as that is, elsewhere whole.

    `aerodb show REQUEST` shows one of them; the beginning of its id is enough.
    """
    page = {"limit": limit} if before is None else {"limit": limit, "before": before}
    body = session.search(f"/v1/requests?{urlencode(page)}")
    answer = read(body, Requests)
    if as_json:
        session.terminal.document(body)
    elif answer.requests:
        _show(session.terminal, answer.requests, full=full)
        if answer.next is not None:
            session.terminal.line(f"Older ones: aerodb requests --before {answer.next}", "dim")
    else:
        session.terminal.line(NOTHING_ASKED, "dim")
    return OK


def _show(terminal: Terminal, lines: tuple[RequestLine, ...], *, full: bool) -> None:
    """Show a list of requests; cut to the terminal's width, unless it is asked for whole or a program reads it."""
    if full or not terminal.stdout.isatty():
        terminal.table(HEAD, [_row(line) for line in lines])
        return
    terminal.table(listing.HEAD, listing.listed(lines, shutil.get_terminal_size().columns))
    terminal.line("One of them: aerodb show REQUEST. Codes and reasons: aerodb requests --full", "dim")


def _row(line: RequestLine) -> list[Cell]:
    arguments = " ".join(f"{name} {value}" for name, value in spoken_briefly(line.arguments, line.action)) or "-"
    texts = (line.request, line.at, line.operator, line.action, line.target, arguments)
    state = (state_style(line.state), line.state)
    return [*(("plain", text) for text in texts), state, ("plain", line.code or "-"), ("dim", line.reason)]


@click.command(cls=ClientCommand)
@request_argument
@full_option
@json_option
@click.pass_obj
def show(session: Session, request: str, *, full: bool, as_json: bool) -> int:
    """Show one request: its plan, the log's records of it, and whether their proofs hold."""
    profile = session.profile()
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    request = whole_id(session, caller, request)
    body = caller.get(request_path(request))
    decision = of_request(read(body, Decision), request)
    faults = proof_faults(profile.cluster, decision)
    if as_json:
        session.terminal.document(body)
    else:
        now = step_now(session, profile, decision.line)
        show_decision(session.terminal, decision, faults, now, full=full)
    return UNVERIFIED if any(faults) else OK


def proof_faults(cluster: Cluster, decision: Decision) -> list[str]:
    """Return what is wrong with the proof of each record, in the records' order; empty where nothing is."""
    pairs = zip_longest(decision.records, decision.proofs[: len(decision.records)])
    return [
        "there is no proof of it" if proof is None else fault_of(proof, cluster.log_key, entry.sequence, entry.record)
        for entry, proof in pairs
    ]


def step_now(session: Session, profile: Profile, line: RequestLine) -> str:
    """Return what a node does for a request that is confirmed and has no outcome, by a look that records nothing.

    It is empty if the node is not known to work at it.
    """
    if line.state != "confirmed":
        return ""
    try:
        status = read(session.connect(profile, READ_TIMEOUT_SECONDS).get("/v1/status"), Status)
    except AeroError:
        return ""
    return step_of(observe(profile.cluster, status), line.target, line.request)


def show_decision(
    terminal: Terminal, decision: Decision, faults: list[str], step: str = "", *, full: bool = False
) -> None:
    """Show a request: its plan, its state and what is under way for it (`step`), its records and their proofs."""
    line = decision.line
    if decision.shown is not None:
        terminal.lines(redacted_plan_lines(decision.shown, line.plan or "", full=full))
    elif decision.plan is not None:
        terminal.lines(plan_lines(read_plan(decision.plan), decision.plan, full=full))
    else:
        named = "".join(f" {name} {value}" for name, value in spoken(line.arguments, line.action))
        terminal.line(escape(f"{line.action} {line.target}{named}, asked by {line.operator}: {line.reason}"), "heading")
    terminal.line("")
    state = f"{line.state.upper()} {line.code}".rstrip()
    terminal.line(escape(f"{state}   (at {line.at}, request {line.request})"), state_style(line.state))
    if step:
        terminal.line(escape(f"UNDER WAY on {line.target}: {step}"), "warn")
    for each in decision.events:
        said = f"record {each.sequence}: {each.event} {each.result} {each.code}".rstrip()
        terminal.line(escape(f"{said}, by {each.operator}, at {each.at}; its text is redacted for your role"), "dim")
    for style, text in proofs_remarks(
        {each.sequence: fault for each, fault in zip(decision.records, faults, strict=True)}
    ):
        terminal.line(escape(text), style)
    for entry in decision.records:
        _show_record(terminal, entry, full=full)


def _show_record(terminal: Terminal, entry: LogEntry, *, full: bool) -> None:
    """Show a record in one line; its exact text if that is asked for, or where it cannot be read."""
    try:
        record = decode_record(entry.record.encode())
        said = f"record {entry.sequence}: {record.event} {record.result} {record.code}".rstrip()
        terminal.line(escape(f"{said}, by {record.people}, at {record.at}"), "dim")
    except AeroError as error:
        terminal.line(escape(f"record {entry.sequence}: {error.message}"), "bad")
        full = True
    if full:
        terminal.line(escape(f"  {entry.record}"), "dim")
    if entry.went_back_from:
        terminal.line(escape(f"  {jump_text(entry.went_back_from)}"), "warn")
