"""`aerodb timeline`: what every node saw change and what the log holds, in one order that no clock decides."""

import shutil
import textwrap

import click

from aerodb.cli.failures import OK
from aerodb.cli.session import ClientCommand, Session, json_option, read
from aerodb.cli.terminal import Cell, Terminal, escape
from aerodb.protocol.timeline import Entry, Timeline
from aerodb.views.lags import DIGITS, NOTHING_SAMPLED, picture
from aerodb.views.story import (
    EVENTS,
    GAP,
    LEGEND,
    NOTHING_KNOWN,
    ORDERING,
    REQUEST,
    Chapter,
    StoryLine,
    cut,
    story,
    summary,
)
from aerodb.views.timeline import sentence, silences

TERM = "TERM"
HEAD = ("ORDER", TERM, "WAL POSITION", "SOURCE", "NUMBER", "WHAT", "CLOCK, NOT TRUSTED")
ORDERS: dict[str, Cell] = {"start": ("dim", "first"), "after": ("plain", "after"), "uncertain": ("warn", "uncertain")}
STYLES = {"record": "heading", "event": "plain", "gap": "warn"}
MARKS = {
    REQUEST: ("\N{BLACK SQUARE}", "#"),
    EVENTS: ("\N{WHITE CIRCLE}", "o"),
    GAP: ("\N{BLACK UP-POINTING TRIANGLE}", "!"),
    "uncertain": ("?", "?"),
}
"""The mark of each kind of chapter, also where the terminal has no UTF-8."""
RECORDS_MAX = 1000
INDENT = 22
"""Where what stands beneath a chapter's title begins."""


@click.command(cls=ClientCommand)
@json_option
@click.option("--node", metavar="NODE", help="Only what is about this node.")
@click.option("--term", type=click.IntRange(min=1), help="Only what is shown within this term.")
@click.option(
    "--records", type=click.IntRange(1, RECORDS_MAX), help="How many of the newest records, and events a node."
)
@click.option(
    "--from", "first", type=click.IntRange(min=0), metavar="RECORD", help="Only from this record of the log on."
)
@click.option("--to", "last", type=click.IntRange(min=0), metavar="RECORD", help="Only up to this record of the log.")
@click.option("--exact", is_flag=True, help="Every entry as a row, with its term, WAL position, number and clock.")
@click.option("--sensitive", is_flag=True, help="Texts that are else redacted; the reading is recorded.")
@click.pass_obj
def timeline(
    session: Session,
    /,
    *,
    as_json: bool,
    first: int | None,
    last: int | None,
    exact: bool,
    **given: str | int | bool | None,
) -> int:
    """Show what the nodes saw change and what the log holds, as a story; clocks do not decide its order."""
    from urllib.parse import urlencode

    if as_json and not (first is last is None):
        raise click.UsageError("--json is the API's own answer, which --from and --to cannot cut")
    zoomed = {} if first is last is None or given["records"] else {"records": RECORDS_MAX}
    asked = {name: int(value) if name == "sensitive" else value for name, value in given.items() if value} | zoomed
    query = urlencode(asked, errors="replace")
    body = session.get("/v1/timeline" + (f"?{query}" if query else ""))
    if as_json:
        session.terminal.document(body)
        return OK
    answer = cut(read(body, Timeline), first, last)
    for name, said in silences(answer).items():
        session.terminal.line(escape(f"{name} {said}"), "bad")
    terms = not session.profile().cluster.watched
    _show_lag(session, answer, terms=terms)
    if exact:
        head = HEAD if terms else tuple(each for each in HEAD if each != TERM)
        session.terminal.table(head, [_row(entry, terms=terms) for entry in answer.entries])
    else:
        _tell(session.terminal, story(answer.entries))
    session.terminal.line(f"audit log: {answer.log_size} records", "dim")
    if answer.redacted:
        session.terminal.line(f"{len(answer.redacted)} sensitive texts are redacted.", "warn")
    return OK


def _tell(terminal: Terminal, chapters: tuple[Chapter, ...]) -> None:
    """Tell the story, below its legend."""
    at = 0 if terminal.draws else 1
    if not chapters:
        terminal.line(NOTHING_KNOWN, "dim")
        return
    terminal.line(summary(chapters), "heading")
    terminal.line(ORDERING, "dim")
    for kind, said in LEGEND.items():
        terminal.line(f"  {MARKS[kind][at]} {said}", "dim")
    for chapter in chapters:
        order = f" {MARKS['uncertain'][at]}" if chapter.uncertain else ""
        head = f"{chapter.when.since:>8}  {chapter.when.time:8}  {MARKS[chapter.kind][at]}{order} {chapter.title}"
        became = f"   {chapter.state} {chapter.code}".rstrip()
        terminal.line(escape(head + became), {REQUEST: "heading", GAP: "warn"}.get(chapter.kind, "plain"))
        for text in filter(None, (chapter.about, *(_line(line, at) for line in chapter.lines))):
            for part in _wrapped(escape(text)):
                terminal.line(part, "dim" if text == chapter.about else "plain")


def _wrapped(text: str) -> list[str]:
    """Return a text as lines of the terminal's width, beneath a chapter's title."""
    width = max(shutil.get_terminal_size().columns, INDENT + 40)
    return textwrap.wrap(text, width, initial_indent=" " * INDENT, subsequent_indent=" " * (INDENT + 4))


def _line(line: StoryLine, at: int) -> str:
    return f"{MARKS['uncertain'][at] + ' ' if line.uncertain else ''}{line.node}  {line.said}"


def _show_lag(session: Session, answer: Timeline, *, terms: bool) -> None:
    """Show the lag, and the terms where there are any, as a picture of characters."""
    drawn = picture(answer.lags, sorted({each.node for lag in answer.lags for each in lag.standbys}), terms=terms)
    if drawn is None:
        session.terminal.line(NOTHING_SAMPLED, "dim")
        return
    table = {} if session.terminal.draws else DIGITS
    for line in drawn.legend:
        session.terminal.line(line.translate(table), "dim")
    for line in drawn.lines:
        session.terminal.line(escape(line.translate(table)))
    session.terminal.line("")


def _row(entry: Entry, *, terms: bool) -> list[Cell]:
    unknown: Cell = ("dim", "-")
    term: Cell = unknown if entry.term is None else ("plain", str(entry.term))
    return [
        ORDERS[entry.order],
        *([term] if terms else []),
        unknown if entry.lsn is None else ("plain", str(entry.lsn)),
        ("plain", escape(entry.source)),
        ("dim", str(entry.sequence)),
        (STYLES[entry.kind], escape(sentence(entry))),
        ("dim", escape(entry.at)),
    ]
