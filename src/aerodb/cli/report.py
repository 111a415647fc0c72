"""`aerodb report`: a span of time as one self-contained HTML file, and as Markdown."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlencode

import click
from jinja2 import Environment, StrictUndefined

from aerodb.audit.record import read_record
from aerodb.audit.search import PAGE_RECORDS_MAX, required_instant
from aerodb.cli.chained import chain_of
from aerodb.cli.decided import decision_of
from aerodb.cli.failures import OK, UNVERIFIED
from aerodb.cli.profile import Caller
from aerodb.cli.proving import FILE, write_new
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.cli.verification import read_plan
from aerodb.protocol.api import Decision, Found, LogEntry
from aerodb.protocol.timeline import Timeline
from aerodb.views.incident import HEIGHT, NOT_VERIFIED, WIDTH, Incident, incident, lags_around, moments, steps
from aerodb.views.lags import NOTHING_SAMPLED

TIMELINE_RECORDS_MAX = 1_000
MARKDOWN_SPECIAL = "\\`*_{}[]<>()#+-.!|~"


@cache
def _environment(*, html: bool) -> Environment:
    environment = Environment(autoescape=html, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - Markdown is escaped by `plain`, each value.
    environment.filters["plain"] = plain
    return environment


def plain(text: object) -> str:
    """Return a text as Markdown that shows it as it is, on one line."""
    one_line = " ".join(str(text).split())
    return "".join(f"\\{char}" if char in MARKDOWN_SPECIAL else char for char in one_line)


def html(found: Incident) -> str:
    """Return a report as one HTML document: no script, nothing from elsewhere."""
    return _rendered(found, "report.html", html=True)


def markdown(found: Incident) -> str:
    """Return a report as Markdown."""
    return _rendered(found, "report.md", html=False)


def _rendered(found: Incident, name: str, *, html: bool) -> str:
    text = (files("aerodb.cli") / "templates" / name).read_text(encoding="utf-8")
    path, points = steps(found.terms)
    template = _environment(html=html).from_string(text)
    lag = {"none": NOTHING_SAMPLED}
    return template.render(report=found, path=path, points=points, width=WIDTH, height=HEIGHT, lag=lag) + "\n"


def gathered(caller: Caller, since: str, until: str) -> tuple[list[LogEntry], list[Decision]]:
    """Return the records of the span, rising, and the decisions that they belong to, by their first record in it."""
    entries: list[LogEntry] = []
    query: dict[str, str | int] = {"since": since, "until": until, "limit": PAGE_RECORDS_MAX}
    while True:
        page = read(caller.get(f"/v1/audit/search?{urlencode(query, errors='replace')}"), Found)
        entries += page.records
        if page.next is None:
            break
        query["before"] = page.next
    entries.reverse()
    requests = dict.fromkeys(read_record(entry.record.encode()).request for entry in entries)
    return entries, [decision_of(caller, each) for each in requests if each]


@click.command(cls=ClientCommand)
@click.option("--from", "since", required=True, metavar="TIME", help="From this time (UTC) on.")
@click.option("--to", "until", required=True, metavar="TIME", help="Before this time (UTC).")
@click.option("--output", type=FILE, help="A new file for the report as HTML.")
@click.option("--markdown", "text", type=FILE, help="A new file for the report as Markdown.")
@click.pass_obj
def report(session: Session, since: str, until: str, output: Path | None, text: Path | None) -> int:
    """Write what happened in a span of time: the decisions, their proofs, the records, the terms."""
    if output is None and text is None:
        raise click.UsageError("give --output, --markdown, or both")
    required_instant(since, "from")
    required_instant(until, "to")
    profile = session.profile()
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    entries, decisions = gathered(caller, since, until)
    seen = read(caller.get(f"/v1/timeline?records={TIMELINE_RECORDS_MAX}"), Timeline)
    around = moments(seen, entries, terms=not profile.cluster.watched), lags_around(seen, entries)
    plans = {each.line.request: read_plan(each.plan) for each in decisions if each.plan is not None}
    named = (read_record(entry.record.encode()).configuration for entry in entries)
    chain = chain_of(profile, caller, named)
    found = incident(chain, (since, until), entries, decisions, plans, *around)
    for path, render in ((output, html), (text, markdown)):
        if path is not None:
            write_new(path, (render(found).encode(),))
    unproven = [row for each in found.decisions for row in each.rows if row.proof.startswith("NOT PROVEN")]
    forged = [
        said for each in found.decisions for said in (each.signature, each.outcome) if said.startswith(NOT_VERIFIED)
    ]
    said = f"{len(found.decisions)} decisions and {len(entries)} records; {len(unproven)} not proven"
    said += f", {len(forged)} signatures not verified." if forged else "."
    session.terminal.line(said, "bad" if unproven or forged else "good")
    return UNVERIFIED if unproven or forged else OK
