"""`aerodb timeline`: what every node saw change and what the log holds, in one order that no clock decides."""

import click

from aerodb.cli.failures import OK
from aerodb.cli.session import ClientCommand, Session, json_option, read
from aerodb.cli.terminal import Cell, escape
from aerodb.protocol.timeline import Entry, Timeline
from aerodb.views.lags import LEGEND, NOTHING_SAMPLED, picture
from aerodb.views.timeline import sentence, silences

HEAD = ("ORDER", "TERM", "WAL POSITION", "SOURCE", "NUMBER", "WHAT", "CLOCK, NOT TRUSTED")
ORDERS: dict[str, Cell] = {"start": ("dim", "first"), "after": ("plain", "after"), "uncertain": ("warn", "uncertain")}
STYLES = {"record": "heading", "event": "plain", "gap": "warn"}


@click.command(cls=ClientCommand)
@json_option
@click.option("--node", metavar="NODE", help="Only what is about this node.")
@click.option("--term", type=click.IntRange(min=1), help="Only what is shown within this term.")
@click.option("--records", type=click.IntRange(1, 1000), help="How many of the newest records, and events a node.")
@click.option("--sensitive", is_flag=True, help="Texts that are else redacted; the reading is recorded.")
@click.pass_obj
def timeline(session: Session, /, *, as_json: bool, **given: str | int | bool | None) -> int:
    """Show what the nodes saw change and what the log holds, in one order; clocks do not decide it."""
    from urllib.parse import urlencode

    asked = {name: int(value) if name == "sensitive" else value for name, value in given.items() if value}
    query = urlencode(asked, errors="replace")
    body = session.get("/v1/timeline" + (f"?{query}" if query else ""))
    answer = read(body, Timeline)
    if as_json:
        session.terminal.document(body)
        return OK
    for name, said in silences(answer).items():
        session.terminal.line(escape(f"{name} {said}"), "bad")
    _show_lag(session, answer)
    session.terminal.table(HEAD, [_row(entry) for entry in answer.entries])
    session.terminal.line(f"audit log: {answer.log_size} records", "dim")
    if answer.redacted:
        session.terminal.line(f"{len(answer.redacted)} sensitive texts are redacted.", "warn")
    return OK


def _show_lag(session: Session, answer: Timeline) -> None:
    """Show the lag and the terms as a picture of characters."""
    drawn = picture(answer.lags, sorted({each.node for lag in answer.lags for each in lag.standbys}))
    if drawn is None:
        session.terminal.line(NOTHING_SAMPLED, "dim")
        return
    session.terminal.line(LEGEND, "dim")
    for line in drawn.lines:
        session.terminal.line(escape(line))
    session.terminal.line("")


def _row(entry: Entry) -> list[Cell]:
    unknown: Cell = ("dim", "-")
    return [
        ORDERS[entry.order],
        unknown if entry.term is None else ("plain", str(entry.term)),
        unknown if entry.lsn is None else ("plain", str(entry.lsn)),
        ("plain", escape(entry.source)),
        ("dim", str(entry.sequence)),
        (STYLES[entry.kind], escape(sentence(entry))),
        ("dim", escape(entry.at)),
    ]
