"""The cluster as it was just observed: whether writes can be acknowledged, what each node is, and what could be done.

Everything about a node is read from that node's own signed report, verified here; a role that is not shown the reports
is told so, and what was taken out. What cannot be told is said to be unknown; it is never left out, and never guessed.
"""

import re

import click
from msgspec.structs import replace

from aerodb.audit.comparison import comparison_text, silent_comparison
from aerodb.cli.chained import chain_of
from aerodb.cli.completed import complete_nodes
from aerodb.cli.failures import NO_WRITES, OK, UNVERIFIED
from aerodb.cli.profile import Caller, Profile
from aerodb.cli.remembered import held
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.cli.terminal import Cell, Terminal, escape
from aerodb.errors import AeroError
from aerodb.protocol import api, canonical
from aerodb.protocol.chain import Chain, founded
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Result
from aerodb.protocol.writes import Writes
from aerodb.rules.watching import role_of, sees_upstream
from aerodb.rules.writes import writes
from aerodb.views.certificates import certificates_text
from aerodb.views.matrix import matrix_rows
from aerodb.views.observed import DEPOSED, Observed, deposed, observe
from aerodb.views.outage import stops_writes
from aerodb.views.proofs import short
from aerodb.views.render import wrapped
from aerodb.views.status import (
    UNKNOWN,
    Aspect,
    aspects,
    deviations,
    equal_sentence,
    profile_remarks,
    status_remarks,
    stream,
    where,
    whole_text,
    writes_style,
)
from aerodb.views.unusual import Unusual
from aerodb.views.versions import is_foreign

FIRST_HEAD, LAST_HEAD = ("NODE", "ROLE"), ("WAL POSITION", "LAG, RECEIVED", "LAG, REPLAYED", "SYNC")
SHORT_HEAD = ("WAL", "RECEIVED", "REPLAYED", "SYNC")
"""The same four where the nodes differ in more, so that the table stays within 80 columns."""
NOTHING: Cell = ("dim", "-")
WRITES_MARKS = {
    "yes": ("\N{BLACK CIRCLE}", "*"),
    "no": ("\N{BLACK SQUARE}", "#"),
    "unknown": ("\N{BLACK UP-POINTING TRIANGLE}", "!"),
}
"""The mark of each answer, also where the terminal has no UTF-8."""
MARKS = {"bad": WRITES_MARKS["no"], "warn": WRITES_MARKS["unknown"]}
"""The mark of what deviates, by its style."""
COMMAND = re.compile("aerodb [a-z-]+ [0-9a-f-]{36}")
ROLE_STYLES = {"primary": "good", "standby": "plain", "witness": "dim"}


@click.command(cls=ClientCommand)
@click.argument("node", metavar="[NODE]", required=False, shell_complete=complete_nodes)
@click.option("--actions", is_flag=True, help="Also what would be accepted now, and which invariants forbid the rest.")
@click.option("--sensitive", is_flag=True, help="For auditors: the nodes' signed reports; the reading is recorded.")
@json_option
@click.pass_obj
def status(session: Session, node: str | None, *, actions: bool, sensitive: bool, as_json: bool) -> int:
    """Show whether writes can be acknowledged, what deviates, and the cluster as it is; of NODE also what it may do.

    Looking records nothing. The exit code is 7 where no commit is known to be acknowledged.
    """
    profile = session.profile()
    if node is not None:
        profile.cluster.member(node)
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    told = read(caller.get(f"/v1/status{'?sensitive=1' if sensitive else ''}"), api.Status)
    observed = observe(profile.cluster, told)
    comparisons, fault = compared_here(profile, caller, told, observed)
    chain = _chain(profile, caller, told, observed)
    answer = replace(
        told, writes=writes(profile.cluster, observed.facts), log_views=comparisons
    )  # Judged on what verifies.
    if as_json:
        session.terminal.document(canonical.encode(answer))
    else:
        show_status(session.terminal, chain, answer, observed, fault)
        asked = [member.name for member in profile.cluster.members if actions or member.name == node]
        if asked or not profile.cluster.watched:
            show_actions(session.terminal, answer, asked)
    contradicted = any(each.agreement in (api.Agreement.BEHIND, api.Agreement.FORKED) for each in comparisons)
    if observed.forged or is_foreign(chain, answer) or fault or contradicted:
        return UNVERIFIED
    return OK if answer.writes.acknowledged == "yes" else NO_WRITES


def _chain(profile: Profile, caller: Caller, told: api.Status, observed: Observed) -> Chain:
    """Return the chain of configurations, verified here; version 1 alone where what proves the rest is not shown."""
    named = (told.configuration, *(facts.configuration for facts in observed.facts.values()))
    try:
        return chain_of(profile, caller, named)
    except AeroError:
        return founded(profile.cluster)


def compared_here(
    profile: Profile, caller: Caller, told: api.Status, observed: Observed
) -> tuple[tuple[api.Comparison, ...], str]:
    """Return how what everyone has seen of the log stands to it, as proven here, and why that could not be proven.

    What the control plane says against its own log is taken from it as well.
    """
    nodes = {name: facts.checkpoint for name, facts in observed.facts.items()}
    silent = tuple(silent_comparison(member.name) for member in profile.cluster.members if member.name not in nodes)
    members = {member.name for member in profile.cluster.members}
    others = tuple(each for each in told.log_views if each.who not in members)
    try:
        proven, fault = held(profile, caller, nodes).comparisons, ""
    except AeroError as error:
        proven, fault = tuple(map(silent_comparison, nodes)), error.message
    return (*proven, *silent, *others), fault


def show_status(terminal: Terminal, chain: Chain, answer: api.Status, observed: Observed, fault: str = "") -> None:
    """Show a status: the writes, what deviates, the nodes, and in what they are equal.

    `fault` is why the log could not be held against what was seen of it, if it could not.
    """
    cluster = chain.newest
    show_writes(terminal, answer.writes)
    unheld = [Unusual("bad", f"The audit log could not be held against what was seen of it: {fault}")] if fault else []
    remarks = [*unheld, *profile_remarks(chain, answer, observed), *status_remarks(answer, observed)]
    show_remarks(terminal, answer.writes, remarks)
    apart = tuple(each for each in aspects(observed) if not each.equal or not equal_sentence(observed))
    head = (*FIRST_HEAD, *(each.name for each in apart), *(SHORT_HEAD if apart else LAST_HEAD))
    terminal.table(head, [node_row(member.name, observed, apart) for member in cluster.members])
    terminal.line("")
    if equal_sentence(observed):
        terminal.line(escape(equal_sentence(observed)))
    snapshot = short(answer.snapshot_digest)
    terminal.line(escape(f"cluster {cluster.name} ({cluster.id}), snapshot {snapshot}"), "dim")
    seen = "; ".join(f"{each.who}: {comparison_text(each)}" for each in answer.log_views)
    terminal.line(escape(f"audit log: {answer.log_size} records, seen by {seen or 'nobody'}"), "dim")
    terminal.line(escape(certificates_text(answer.certificates)), "dim")


def show_remarks(terminal: Terminal, found: Writes, remarks: list[Unusual]) -> None:
    """Show what deviates, each with its mark, what follows beneath it, and what is only to be known after that."""
    heading, deviating, others = deviations(found, remarks)
    terminal.line(heading, "heading")
    for each in deviating:
        indent = 4 if each.follows else 2
        mark = MARKS[each.style][0 if terminal.draws else 1]
        text = escape(whole_text(each))
        whole = COMMAND.sub(lambda found: found[0].replace(" ", "\0"), text)  # It is copied as it stands.
        for row in _rows(terminal, whole, indent, f"{mark} "):
            terminal.line(row.replace("\0", " "), each.style)
    for each in others:
        for row in _rows(terminal, escape(each.text), 0):
            terminal.line(row, each.style)
    terminal.line("")


def _rows(terminal: Terminal, text: str, indent: int, first: str = "") -> list[str]:
    """Return a text as a terminal's lines, broken at spaces; one line where a program reads it."""
    return wrapped(text, indent, first) if terminal.stdout.isatty() else [f"{first.rjust(indent)}{text}"]


def show_actions(terminal: Terminal, answer: api.Status, names: list[str]) -> None:
    """Show what would be accepted now of some nodes; of none, how to ask."""
    terminal.line("")
    if not names:
        terminal.line("What may be asked now: aerodb status --actions, or aerodb status NODE")
        return
    of = f" of {names[0]}" if len(names) == 1 else ""
    terminal.line(f"Asked{of} now: accepted, or the invariants that forbid it (?: unknown, counts as no)")
    show_matrix(terminal, names, answer.matrix, answer.writes)
    for name in answer.unjudged:
        terminal.line(escape(f"{name}: too many combinations to judge at once; ask one: aerodb explain {name} NODE"))


def show_writes(terminal: Terminal, found: Writes) -> None:
    """Show whether commits can be acknowledged now: the first thing that anyone wants to know."""
    drawn, plain = WRITES_MARKS[found.acknowledged]
    mark = drawn if terminal.draws else plain
    for row in _rows(terminal, escape(f"Writes: {found.headline}"), 2, f"{mark} "):
        terminal.line(row, writes_style(found))
    for sentence in found.details:
        for row in _rows(terminal, escape(sentence), 2):
            terminal.line(row)
    terminal.line("")


def node_row(name: str, observed: Observed, apart: tuple[Aspect, ...]) -> list[Cell]:
    """Return the line of one node; `apart` are the aspects that are shown of each, since the nodes differ in them."""
    facts = observed.facts.get(name)
    if facts is None:
        said = "NOT VERIFIED" if name in observed.forged else "not observed"
        return [("heading", name), ("bad", said), *[UNKNOWN] * (len(apart) + len(LAST_HEAD))]
    head: list[Cell] = [("heading", name), _role_cell(facts, observed)]
    if facts.instance is None:
        return [*head, *[NOTHING] * (len(apart) + len(LAST_HEAD))]
    fed = stream(name, facts, observed)
    lags: list[Cell] = [NOTHING] * 3 if fed is None else [fed.received, fed.replayed, fed.sync or ("warn", "detached")]
    if lags[-1][0] == "bad":
        lags[-1] = ("bad", "no")  # Why stands among the deviations.
    return [*head, *(each.by_node[name] for each in apart), where(facts.instance).lsn, *lags]


def _role_cell(facts: Facts, observed: Observed) -> Cell:
    """Return a node's role, and from whom it receives WAL: who should from somebody and does not is marked so."""
    if deposed(facts, observed) is not None:
        return ("bad", DEPOSED)
    role, upstream = role_of(facts), facts.instance.attached if facts.instance else None
    if role == UNKNOWN[1]:
        return UNKNOWN
    if role == "standby" and not upstream and not sees_upstream(facts):
        return ("plain", role)
    if role == "standby":
        return ("plain", f"standby of {upstream}") if upstream else ("warn", "standby of none")
    return ("bad", f"{role}, of {upstream}") if upstream else (ROLE_STYLES[role], role)


def show_matrix(terminal: Terminal, names: list[str], matrix: tuple[api.Cell, ...], found: Writes) -> None:
    """Show every action (with its arguments) by node: accepted, or the invariants that forbid it, one a line."""
    rows: list[list[Cell]] = []
    for row in matrix_rows(names, [cell for cell in matrix if cell.node in names]):
        columns = [_cell_lines(cell, found) for cell in row.cells]
        for at in range(max(len(column) for column in columns)):
            start: Cell = ("plain", row.typed if at == 0 else "")
            rows.append([start, *(column[at] if at < len(column) else ("plain", "") for column in columns)])
    terminal.table(["ACTION", *names], rows)


def _cell_lines(cell: api.Cell | None, found: Writes) -> list[Cell]:
    if cell is None:
        return [NOTHING]
    if not cell.accepted:
        marks = {Result.UNKNOWN: "?"}
        return [("bad", f"{each.invariant}{marks.get(each.result, '')}") for each in cell.failed] or [("bad", "no")]
    stop = stops_writes(found, cell)
    stops: list[Cell] = [("bad", stop)] if stop else []
    loses: list[Cell] = [("bad", f"loss: {cell.loss.claim}")] if cell.loss.claim != "none" else []
    return [("good", "accepted"), *stops, *loses]
