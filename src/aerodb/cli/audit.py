"""The audit log: listed, exported, verified offline, and its plans computed again.

Verification trusts the configuration alone, which names every public key; the control plane is believed in nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import click
import msgspec

from aerodb.audit.clocks import jump_text
from aerodb.audit.proof import fault_of
from aerodb.audit.record import Record, decode_record, read_record
from aerodb.cli import verification
from aerodb.cli.backup import backup, restore
from aerodb.cli.chained import under
from aerodb.cli.decided import decision_of
from aerodb.cli.failures import OK, UNREAD, UNVERIFIED, LogUnverified
from aerodb.cli.gap import accept_log, gap
from aerodb.cli.named import request_argument, whole_id
from aerodb.cli.profile import Profile
from aerodb.cli.proving import EXPORT_PATH, FILE, evidence, keys, write_new
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.cli.terminal import Cell, escape
from aerodb.cli.verify import verify
from aerodb.errors import AeroError, VerificationFailed
from aerodb.protocol import canonical
from aerodb.protocol.api import Found, LogEntry, ProvenEntry
from aerodb.protocol.cluster import Cluster

HEAD = ("RECORD", "AT", "EVENT", "REQUEST", "OPERATOR", "ACTION", "NODE", "RESULT")


class RecordList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to GET /v1/audit/records."""

    records: tuple[LogEntry, ...]


@click.group()
def audit() -> None:
    """List, export, verify, replay, back up and restore the audit log."""


@audit.command("list", cls=ClientCommand)
@click.option("--start", type=click.IntRange(min=0), default=0, show_default=True, help="The first record's number.")
@click.option("--count", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many records at most.")
@json_option
@click.pass_obj
def list_records(session: Session, start: int, count: int, *, as_json: bool) -> int:
    """List the log's records; `aerodb show REQUEST` proves those of one request."""
    body = session.get(f"/v1/audit/records?start={start}&count={count}")
    answer = read(body, RecordList)
    if as_json:
        session.terminal.document(body)
    elif answer.records:
        _show(session, answer.records)
    else:
        session.terminal.line(f"There is no record {start} yet.", "dim")
    return OK


SEARCH_OPTIONS = (
    click.Option(["--operator"], metavar="NAME", help="Who asked."),
    click.Option(["--event"], metavar="EVENT", help="What was recorded: requested, rejected, refused, confirmed, ..."),
    click.Option(["--action"], metavar="ACTION", help="Which action of the catalogue."),
    click.Option(["--node"], metavar="NODE", help="Which node was the target."),
    click.Option(["--outcome"], metavar="RESULT", help="executed, 'not executed' or unknown."),
    click.Option(["--invariant"], metavar="NAME", help="An invariant that did not hold."),
    click.Option(["--since"], metavar="TIME", help="From this time (UTC) on, by the records' own clocks."),
    click.Option(["--until"], metavar="TIME", help="Before this time (UTC)."),
    click.Option(["--request"], metavar="PREFIX", help="The beginning of a request's id."),
    click.Option(["--text"], metavar="TEXT", help="Found anywhere in the reason, in capitals or not."),
)


def _search(session: Session, /, *, limit: int, before: int | None, as_json: bool, **asked: str | None) -> int:
    given = {name: value for name, value in {**asked, "before": before}.items() if value is not None}
    body = session.search(f"/v1/audit/search?{urlencode({**given, 'limit': limit}, errors='replace')}")
    answer = read(body, Found)
    if as_json:
        session.terminal.document(body)
        return OK
    if answer.records:
        _show(session, answer.records)
    else:
        session.terminal.line("No record matches.", "dim")
    if answer.next is not None:
        session.terminal.line(f"There may be older ones: the same, with --before {answer.next}", "dim")
    return OK


search = ClientCommand(
    "search",
    callback=click.pass_obj(_search),
    help="Search the log's records, the newest first; `aerodb audit record N` proves one.",
    params=[
        *SEARCH_OPTIONS,
        click.Option(["--limit"], type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most."),
        click.Option(["--before"], type=click.IntRange(min=0), help="Only records below this number."),
        click.Option(["--json", "as_json"], is_flag=True, help="The API's answer as canonical JSON."),
    ],
)
audit.add_command(search)


@audit.command("record", cls=ClientCommand)
@click.argument("number", type=click.IntRange(min=0))
@json_option
@click.pass_obj
def show_record(session: Session, number: int, *, as_json: bool) -> int:
    """Show one record, and whether its proof holds under the log's key in the profile's cluster.json."""
    profile = session.profile()
    body = session.connect(profile, READ_TIMEOUT_SECONDS).get(f"/v1/audit/records/{number}")
    entry = read(body, ProvenEntry)
    fault = fault_of(entry.proof, profile.cluster.log_key, number, entry.record)
    if fault or entry.sequence != number:
        raise LogUnverified(f"record {number} is not proven: {fault or f'the answer is about record {entry.sequence}'}")
    if as_json:
        session.terminal.document(body)
        return OK
    session.terminal.line(f"record {number}: proven to stand in the log that its key signed", "good")
    session.terminal.line(escape(f"  {entry.record}"))
    if entry.went_back_from:
        session.terminal.line(escape(f"  {jump_text(entry.went_back_from)}"), "warn")
    for line in entry.proof.splitlines():
        session.terminal.line(escape(f"  {line}"), "dim")
    return OK


def _show(session: Session, entries: tuple[LogEntry, ...]) -> None:
    """Show records as a table, and below it what it means where a clock went back."""
    session.terminal.table(HEAD, [_row(entry) for entry in entries])
    if any(entry.went_back_from for entry in entries):
        session.terminal.line("Where the clock went back, the order is the log's own: nothing rests on a time.", "dim")


def _row(entry: LogEntry) -> list[Cell]:
    record = _decoded(entry)
    texts = (record.event, record.request, record.people, record.action, record.target)
    result = record.result or record.code or "-"
    back = entry.went_back_from
    at: Cell = ("warn", f"{record.at}, the clock went back from {back}") if back else ("plain", record.at)
    number: Cell = ("plain", str(entry.sequence))
    return [number, at, *(("plain", text) for text in texts), ("good" if result == "executed" else "plain", result)]


def _decoded(entry: LogEntry) -> Record:
    try:
        return decode_record(entry.record.encode())
    except AeroError as error:
        raise LogUnverified(f"record {entry.sequence} is malformed: {error.message}") from error


@audit.command(cls=ClientCommand)
@click.option("--output", type=FILE, help="A new file to write to, instead of stdout.")
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "ocsf"]), default="jsonl", show_default=True,
    help="The log itself, which proves itself; or its records as OCSF events, which do not.",
)  # fmt: skip
@click.pass_obj
def export(session: Session, output: Path | None, form: str) -> int:
    """Write the whole log as JSON Lines: the checkpoint, the records, the plans and snapshots; the reading is recorded.

    As OCSF, each record becomes one event of the class API Activity, after the whole log was verified here.
    """
    profile = session.profile()
    lines = _fetched(session, profile)
    if form == "ocsf":
        lines = _ocsf(lines, profile.cluster)
    if output is None:
        for line in lines:
            if not session.terminal.document(line.removesuffix(b"\n")):
                return UNREAD
        return OK
    session.terminal.line(f"{write_new(output, lines)} bytes written.")
    return OK


def _fetched(session: Session, profile: Profile) -> Iterator[bytes]:
    """Yield an export's lines; it is asked for, and recorded as read, only when the first one is taken."""
    yield from session.connect(profile, READ_TIMEOUT_SECONDS).lines(EXPORT_PATH)


def _ocsf(lines: Iterator[bytes], cluster: Cluster) -> Iterator[bytes]:
    """Yield an export's records as OCSF events, a line each, once the export is verified to be intact."""
    from aerodb.audit.store import opened_export, verify_content
    from aerodb.views.ocsf import event_of

    try:
        with opened_export(lines, cluster.log_key) as (database, folder):
            size = verify_content(database, cluster.log_key, folder).size
            for sequence, data in database.all_bodies(size):
                yield canonical.encode(event_of(sequence, read_record(data), cluster.origin)) + b"\n"
    except VerificationFailed as error:
        raise LogUnverified(error.message) from error


for command in (verify, evidence, keys, backup, restore, gap, accept_log):
    audit.add_command(command)


@audit.command(cls=ClientCommand)
@request_argument
@json_option
@click.pass_obj
def replay(session: Session, request: str, *, as_json: bool) -> int:
    """Compute a request's plan again, on this machine, from its recorded snapshot, and compare the bytes.

    The snapshot of somebody else's request is sensitive: reading it is recorded in the log.
    """
    profile = session.profile()
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    request = whole_id(session, caller, request)
    decision = decision_of(caller, request)
    if "snapshot" in decision.redacted:
        decision = decision_of(caller, request, "?sensitive=1")
    if decision.plan is not None:
        profile = under(profile, caller, verification.read_plan(decision.plan).configuration)
    replayed = verification.replay(profile.cluster, decision)
    if as_json:
        session.terminal.document(canonical.encode(replayed))
    elif replayed.identical:
        said = "IDENTICAL: computed again here from the recorded snapshot, byte for byte the recorded plan"
        session.terminal.line(f"{said} ({replayed.length_bytes} bytes).", "good")
    else:
        session.terminal.line("DIFFERENT: the recorded plan is not what its recorded snapshot makes it.", "bad")
    if not as_json:
        from aerodb.views.proofs import short

        form = short if replayed.identical else str  # Two that differ are told apart by all of them.
        session.terminal.line(f"  recorded {form(replayed.recorded_digest)}", "dim")
        session.terminal.line(f"  computed {form(replayed.computed_digest)}", "dim")
    return OK if replayed.identical else UNVERIFIED
