"""Every action's answer on every node, for one snapshot: a new or a recorded one. Pure: no I/O, no clock."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aerodb.actions import catalogue
from aerodb.audit.checks import explained_by
from aerodb.errors import AeroError
from aerodb.past.held import number_of
from aerodb.past.speaking import RulesApart
from aerodb.protocol.api import Cell
from aerodb.protocol.chain import Chain
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Loss, Request, Result, Snapshot, Verdict, plan_in
from aerodb.rules.charge import judge_in_charge, loss_in_charge
from aerodb.rules.explain import check_request, opened_view, peers_of, refuse_silent
from aerodb.rules.invariants import Invariant
from aerodb.rules.specification import Action
from aerodb.rules.view import Peer

_NO_ANSWER = Loss(claim="cannot be proven", statement="Nothing can be judged.", arithmetic=())

CELLS_AN_ACTION_MAX = 400
"""The most requests of one action that are judged: enough for twenty nodes and one argument that names a node."""


def matrix(chain: Chain, snapshot: Snapshot, operator: str) -> Iterator[Cell]:
    """Yield a cell for each action on each node; the snapshot's reports are verified here, once for all cells.

    Raises:
        NodeUnknown, ReportForged, ReportStale, ClusterForeign, PledgeForged: a report is not what it says.
    """
    everyone = peers_of(chain.newest, snapshot.reports, snapshot.nonce)
    return matrix_unsafe(chain, snapshot, operator, everyone)


def matrix_unsafe(chain: Chain, snapshot: Snapshot, operator: str, everyone: dict[str, Peer]) -> Iterator[Cell]:
    """Yield a cell for each action on each node with each of its possible arguments, if these can be listed.

    Each node is judged by the version of the configuration that it has taken.

    Nothing is verified: `everyone` must be what the snapshot's reports say. Its only legal callers have just verified
    those very reports: `control/reading.py`, which collected them, and `control/veil.py`, which took out what is
    sensitive.
    """
    cluster = chain.newest
    for action, request in _asked(cluster, snapshot, operator):
        peer = everyone.get(request.target)
        judging = chain.judging(peer.facts.configuration) if peer else cluster
        yield _cell(judging, action, request, everyone, snapshot)


def matrix_then(rules: str, cluster: Cluster, snapshot: Snapshot, operator: str) -> Iterator[Cell]:
    """Yield the cells of a snapshot whose reports all use earlier rules; those rules judge and verify the reports."""
    for action, request in _asked(cluster, snapshot, operator):
        yield _cell_then(rules, cluster, action, request, snapshot)


def _asked(cluster: Cluster, snapshot: Snapshot, operator: str) -> Iterator[tuple[Action, Request]]:
    """Yield every request that has a cell, with its action."""
    left_out = too_many(cluster)
    for action in catalogue().values():
        if action.name not in left_out:
            for request in requests_of(cluster, action, snapshot.nonce, operator):
                yield action, request


def _cell_then(rules: str, cluster: Cluster, action: Action, request: Request, snapshot: Snapshot) -> Cell:
    if (number_of(rules) or 0) < action.since:
        why = f"it came with aerodb-rules/{action.since}, and not every node spoke those: ask for it on one that does"
        return _silent_cell(request, Verdict(invariant=RulesApart.code, result=Result.UNKNOWN, evidence=why))
    try:
        refuse_silent(request, snapshot)
        plan = plan_in(explained_by(rules, cluster, request, snapshot, {}))
    except AeroError as error:
        return _silent_cell(request, Verdict(invariant=error.code, result=Result.UNKNOWN, evidence=error.message))
    return _told_cell(request, plan.verdicts, plan.loss)


def too_many(cluster: Cluster) -> tuple[str, ...]:
    """Return the actions that are left out because a large cluster allows too many requests of them."""
    counts = {
        action.name: len(cluster.members) * math.prod(len(values) for values in listed)
        for action in catalogue().values()
        if (listed := action.every_arguments(cluster)) is not None
    }
    return tuple(name for name, count in counts.items() if count > CELLS_AN_ACTION_MAX)


def requests_of(cluster: Cluster, action: Action, request_id: str, operator: str) -> Iterator[Request]:
    """Yield every well-formed request of an action, if they can be listed; `request_id` is the reports' nonce."""
    listed = action.every_arguments(cluster)
    if listed is None:
        return
    for target in (member.name for member in cluster.members):
        for values in itertools.product(*listed):
            arguments = {argument.name: value for argument, value in zip(action.needed, values, strict=True)}
            request = Request(
                id=request_id, action=action.name, target=target, arguments=arguments, operator=operator, reason="look"
            )
            try:
                check_request(cluster, action, request)
            except AeroError:
                continue
            yield request


def _cell(cluster: Cluster, action: Action, request: Request, everyone: dict[str, Peer], snapshot: Snapshot) -> Cell:
    try:
        view = opened_view(cluster, action, request, everyone, snapshot)
        verdicts, loss = judge_in_charge(action, view), loss_in_charge(action, view)
    except AeroError as error:
        return _silent_cell(request, Verdict(invariant=error.code, result=Result.UNKNOWN, evidence=error.message))
    return _told_cell(request, verdicts, loss)


def _silent_cell(request: Request, why: Verdict) -> Cell:
    return Cell(
        action=request.action, node=request.target, arguments=request.arguments, accepted=False, failed=(why,),
        loss=_NO_ANSWER,
    )  # fmt: skip


def _told_cell(request: Request, verdicts: tuple[Verdict, ...], loss: Loss) -> Cell:
    return Cell(
        action=request.action,
        node=request.target,
        arguments=request.arguments,
        accepted=all(verdict.result is Result.HOLDS for verdict in verdicts),
        failed=tuple(verdict for verdict in verdicts if verdict.result is not Result.HOLDS),
        loss=loss,
    )


@dataclass(frozen=True, kw_only=True)
class MatrixRow:
    """One action with its arguments, and each node's cell (None: the request is not well formed for that node)."""

    action: str
    arguments: tuple[tuple[str, str], ...]
    first: bool
    cells: tuple[Cell | None, ...]

    @property
    def typed(self) -> str:
        """Return the action as it is typed, without its target."""
        return " ".join([self.action, *(f"--{name} {value}" for name, value in self.arguments)])


def matrix_rows(names: Sequence[str], cells: Sequence[Cell]) -> list[MatrixRow]:
    """Return the cells, which must be in the catalogue's order, as one row for each action and its arguments."""
    by_row: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, Cell]] = {}
    for cell in cells:
        by_row.setdefault((cell.action, tuple(cell.arguments.items())), {})[cell.node] = cell
    before, rows = "", []
    for (action, arguments), found in by_row.items():
        columns = tuple(found.get(name) for name in names)
        rows.append(MatrixRow(action=action, arguments=arguments, first=action != before, cells=columns))
        before = action
    return rows


FITS = frozenset({Invariant.IN_CHARGE.value, Invariant.ROLE_FITS.value, Invariant.RUNNING_FITS.value})
"""The invariants by which an action does not apply to a node at all, whoever else pledges or reports."""


def misfits(action: str, names: Sequence[str], cells: Sequence[Cell]) -> dict[str, str]:
    """Return the nodes that an action does not apply to now, each with why not, as its evidence says.

    A node whose fit is not known is not among them, and none is where the cells hold no request of the action.
    """
    found = dict[str, str]()
    own = [cell for cell in cells if cell.action == action]
    for name in names if own else ():
        reasons = [_misfit(cell) for cell in own if cell.node == name]
        if not reasons:
            found[name] = "no request of it can name this node"
        elif all(reasons):
            found[name] = reasons[0]
    return found


def _misfit(cell: Cell) -> str:
    """Return why a cell's action does not apply to its node; empty where it does, or that is not known."""
    violated = (each for each in cell.failed if each.invariant in FITS and each.result is Result.VIOLATED)
    return next((each.evidence for each in violated), "")


def unnamed(action: str, argument: str, values: Sequence[str], cells: Sequence[Cell]) -> dict[str, str]:
    """Return the values of an argument that no request of an action can have now, of those nodes that it applies to.

    None is returned where the cells hold no request of the action.
    """
    fitting = [cell for cell in cells if cell.action == action and not _misfit(cell)]
    named = {cell.arguments.get(argument) for cell in fitting}
    return {each: "no node that could act now can name it" for each in values if fitting and each not in named}
