"""What the log lacks that nodes and this profile have seen; and this profile's own acceptance of a restored log.

- What nodes say that they hold is verified here, with their keys; that the log has what it is said to have, is proven.
- Nothing is proposed that nobody has to read: the commands that accept a log are shown whole, one for each node.
"""

from collections.abc import Iterator
from typing import NamedTuple

import click

from aerodb.audit.comparison import comparison_text
from aerodb.audit.tree import EMPTY_ROOT
from aerodb.cli.failures import OK, REJECTED, UNVERIFIED, LogUnverified, TerminalMissing
from aerodb.cli.paths import GAP_PATH
from aerodb.cli.profile import Caller, Profile
from aerodb.cli.remembered import OWN, HeldLog, accept, held, remembered
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.cli.terminal import Cell, Terminal, escape
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Agreement, Comparison, GapFound, LostRequest
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.formats import MadeLater
from aerodb.protocol.holdings import HeldRequest, Holdings, open_holdings
from aerodb.protocol.marks import Gap, Mark, mark_of, read_mark, stated_mark
from aerodb.protocol.plan import Outcome, Plan, plan_in
from aerodb.protocol.signed import open_signed
from aerodb.transport.errors import Refused

NOTHING = mark_of(0, EMPTY_ROOT)
ROLE_DENIED = "control.role-denied"
CONTRADICTS = (Agreement.BEHIND, Agreement.FORKED)
LOST_HEAD = ("NODE", "REQUEST", "ACTION", "TARGET", "OPERATOR", "RESULT", "THE LOG KNOWS", "REASON")


class Side(NamedTuple):
    """Who has seen what of the log: how that stands to it, and the newest that they saw and that is in it."""

    compared: Comparison
    seen: Mark | None
    kept: Mark

    @property
    def contradicts(self) -> bool:
        """Tell whether they have seen what the log does not have."""
        return self.compared.agreement in CONTRADICTS


def opened(cluster: Cluster, found: GapFound) -> dict[str, Holdings]:
    """Return what each node holds, verified.

    Raises:
        HoldingsForged: a node did not sign it.
    """
    return {name: open_holdings(cluster, name, signed, found.nonce) for name, signed in found.holdings.items()}


def sides(profile: Profile, caller: Caller, found: GapFound) -> tuple[list[Side], HeldLog]:
    """Return how what everyone has seen stands to the log, proven here, and the log's newest checkpoint.

    Raises:
        LogUnverified: the control plane says that the log has what it does not prove.
        HoldingsForged: a node did not sign what it is said to hold.
    """
    holdings = opened(profile.cluster, found)
    newest = {name: each.checkpoints[0] if each.checkpoints else "" for name, each in holdings.items()}
    now = held(profile, caller, newest)
    kept = {name: _kept(each, found.kept.get(name)) for name, each in holdings.items()}
    proven = held(profile, caller, {name: text for name, text in kept.items() if text})
    for each in proven.comparisons:
        if each.who in kept and each.agreement is not Agreement.CONSISTENT:
            raise LogUnverified(f"the log is said to have {each.records} records as {each.who} saw them: unproven")
    texts = {**newest, OWN: remembered(profile)}
    return [
        Side(each, stated_mark(texts.get(each.who, "")), stated_mark(kept.get(each.who, "")) or NOTHING)
        for each in now.comparisons
    ], now


def _kept(holdings: Holdings, at: int | None) -> str:
    return holdings.checkpoints[at] if at is not None and 0 <= at < len(holdings.checkpoints) else ""


@click.command(cls=ClientCommand)
@click.option("--restored", metavar="SIZE:ROOT", help="How far the log was restored, as the backup's own words are.")
@json_option
@click.pass_obj
def gap(session: Session, restored: str | None, *, as_json: bool) -> int:
    """State what nodes and this profile have seen of the log, and what of it is lost; nothing is changed.

    With --restored, the commands that are shown name that; without it, each names the newest that its node saw and
    that is in the log.
    """
    profile, base = session.profile(), read_mark(restored, "restored") if restored else None
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    body = caller.get(GAP_PATH)
    found = read(body, GapFound)
    everyone, now = sides(profile, caller, found)
    if as_json:
        session.terminal.document(body)
    else:
        _show(session.terminal, profile.cluster, found, everyone, base)
        session.terminal.line(f"the log's newest: {mark_of(now.newest.size, now.newest.root)}", "dim")
    return UNVERIFIED if any(side.contradicts for side in everyone) else OK


def _show(terminal: Terminal, cluster: Cluster, found: GapFound, everyone: list[Side], base: Mark | None) -> None:
    terminal.table(("WHO", "HAS SEEN", "OF THAT, IN THIS LOG"), [_row(side) for side in everyone])
    for name, why in found.missing.items():
        terminal.line(escape(f"What {name} holds is unknown: {why}"), "warn")
    contradicting = [side for side in everyone if side.contradicts]
    if found.lost:
        terminal.line("Requests that a node's journal knows, and of whose end this log knows nothing:", "heading")
        terminal.table(LOST_HEAD, [_lost_row(cluster, each) for each in found.lost])
    if found.left_out:
        terminal.line(f"and {found.left_out} more", "warn")
    if not contradicting:
        terminal.line("This log extends what everyone who answers has seen of it.", "good")
        return
    for line in proposals(contradicting, base):
        terminal.line(escape(line))


def proposals(contradicting: list[Side], base: Mark | None) -> Iterator[str]:
    """Yield what is lost, and the commands by which it is given up, each for whoever has seen it."""
    common = min(
        (side.kept for side in contradicting if side.compared.who != OWN), key=lambda each: each.size, default=NOTHING
    )
    first = (base or common).size
    last = max(side.compared.records or 0 for side in contradicting) - 1
    yield f"Lost, at most: records {first} to {last} of the log that was seen."
    yield "Where this log is to stand, each of these gives up what it saw, once you have read what that is:"
    for side in sorted(contradicting, key=lambda each: each.compared.who != OWN):  # This profile first: it must know.
        restored = base or (common if side.compared.who == OWN else side.kept)
        command = "aerodb audit accept" if side.compared.who == OWN else f"aerodb accept-log {side.compared.who}"
        reason = "" if side.compared.who == OWN else ' --reason "..."'
        yield f"  {command} --seen {side.seen} --restored {restored}{reason}"


def _row(side: Side) -> list[Cell]:
    style = "bad" if side.contradicts else "plain"
    kept = f"{side.kept.size} records, proven" if side.contradicts and side.kept.size else "all of it, proven"
    if side.contradicts and not side.kept.size:
        kept = "nothing is proven"
    seen = str(side.seen) if side.seen else "nothing"
    return [("plain", side.compared.who), (style, seen), (style, kept if side.seen else "-")]


def _lost_row(cluster: Cluster, lost: LostRequest) -> list[Cell]:
    """Return a lost request as its node holds it; what does not verify is said to be so."""
    plan, result = _plan(lost.held.plan), "begun, without an outcome" if lost.held.plan else "not begun"
    if lost.held.outcome is not None:
        try:
            outcome = open_signed(lost.held.outcome, Outcome, cluster.member(lost.node).public_key)
            result = f"{outcome.result} {outcome.code}".strip()
        except AeroError:
            result = "NOT SIGNED BY IT"
    asked = plan.request if plan else None
    words = (asked.action, asked.target, asked.operator) if asked else (_unplanned(lost.held), lost.node, "-")
    texts = (lost.node, lost.held.request, *words, result, lost.log or "nothing", asked.reason if asked else "-")
    return [("plain", text) for text in texts]


def _unplanned(held: HeldRequest) -> str:
    """Say what a node holds of a request whose plan it does not show, or shows in a form that is not read here."""
    if held.plan:
        return "by a plan that is not read here"
    return "refused before it began" if held.outcome is not None else "given to be held"


def _plan(text: str) -> Plan | None:
    try:
        return plan_in(text) if text else None
    except (canonical.NotCanonical, MadeLater):
        return None


@click.command("accept", cls=ClientCommand)
@click.option("--seen", required=True, metavar="SIZE:ROOT", help="What this profile has seen of the log.")
@click.option("--restored", required=True, metavar="SIZE:ROOT", help="How far the log was restored.")
@click.pass_obj
def accept_log(session: Session, seen: str, restored: str) -> int:
    """Give up what this profile has seen of the log beyond what was restored; what is given up is kept in a file.

    It is for this profile alone. Each node accepts the log by an action of its own: `aerodb accept-log`.
    """
    terminal = session.terminal
    if not terminal.interactive:
        raise TerminalMissing("a log is accepted by a person: stdin and stdout must both be a terminal")
    profile, named = session.profile(), Gap(read_mark(seen, "seen"), read_mark(restored, "restored"))
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    _check_nodes(profile, caller, named)
    terminal.line(f"This profile gives up the log {named.seen} that it saw,", "heading")
    terminal.line(f"and takes the one that begins with {named.restored} for the real one.", "heading")
    terminal.line("")
    name = profile.cluster.name
    if terminal.ask(f"To confirm, type the cluster's name ({escape(name)}): ") != name:
        terminal.line("Not confirmed. Nothing was changed.", "bad")
        return REJECTED
    kept = accept(profile, caller, named)
    terminal.line(escape(f"Accepted. What was given up is kept in {kept}"), "good")
    return OK


def _check_nodes(profile: Profile, caller: Caller, named: Gap) -> None:
    """Refuse a log that lacks what a node saw within what is named as restored.

    Raises:
        LogUnverified: so it is; the message names the node.
    """
    try:
        found = read(caller.get(GAP_PATH), GapFound)
    except Refused as error:
        if error.code != ROLE_DENIED:
            raise
        return  # Who may not read the log may sign nothing by it either.
    within = {
        name: next(
            (text for text in each.checkpoints if (stated_mark(text) or NOTHING).size <= named.restored.size), ""
        )
        for name, each in opened(profile.cluster, found).items()
    }
    for each in held(profile, caller, within).comparisons:
        if each.who in within and each.agreement not in (Agreement.CONSISTENT, Agreement.NOTHING):
            raise LogUnverified(
                f"this log is not the one of which {each.who} saw {comparison_text(each)}: less than "
                f"{named.restored.size} records are the same"
            )
