"""Requests, judged and run by the real actions on one node; every judgement and every run is remembered.

- What an outcome says is held against what happened: `Run.broken` says where they differ.
- A request is planned from reports; the plan is accepted only if every verdict holds, as in `rules.explain`.
- The node judges again, with its own facts as they are now and the same reports, as in `kernel.agent`.
- Peers' reports are reduced to what the action's verdicts can read, so that equal plans are one plan.
"""

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.errors import AeroError
from aerodb.protocol.ahead import THEN, Earlier, Held, Later
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Instance
from aerodb.protocol.plan import Loss, Plan, Request, Result, Verdict
from aerodb.rules import specification
from aerodb.rules.invariants import Invariant, holds
from aerodb.rules.late import judged_late
from aerodb.rules.operation import carry_out
from aerodb.rules.untold import is_untold
from aerodb.rules.view import Peer, View
from tests.explorer.hands import EFFECT, Cut, MemoryHands
from tests.explorer.reports import facts_of, receiving, streamed_to, verified
from tests.explorer.world import Interned, Node, Running

LOCAL = {
    Invariant.JOURNAL_SETTLED,
    Invariant.POLICY_KNOWN,
    Invariant.RECEIVER_KNOWN,
    Invariant.ROLE_FITS,
    Invariant.RUNNING_FITS,
}
STREAMS = {"follow", "reclone"}
"""The actions that take a log from somewhere; their argument names the node."""
ARGUMENTS = {"fence": "for", "demote": "for", "follow": "upstream", "reclone": "upstream"}
EARLIER_ID = "11111111-2222-4333-8444-555555555555"
LATER = Later(request="99999999-2222-4333-8444-555555555555", plan=f"sha256:{'5' * 64}")
"""A demotion, and the promotion that is signed ahead of it, as each names the other."""
NO_LOSS = Loss(claim="none", statement="", arithmetic=())


Reports = tuple[tuple[str, int], ...]
"""Peers' reports, by number."""


class Order(NamedTuple):
    """One request with the reports that its plan rests on, by number; `then`: it names the one after it."""

    action: str
    target: str
    argument: str
    term: int
    reports: tuple[tuple[str, int], ...]
    then: bool = False

    def __str__(self) -> str:
        """Say it as an operator would."""
        word = {"fence": " for ", "demote": " for ", "follow": " to ", "reclone": " from "}.get(self.action, "")
        return f"{self.action} {self.target}{word}{self.argument}{f' in term {self.term}' if self.term else ''}"


class Run(NamedTuple):
    """What one run of an operation can come to: the node, what happened on the way, and how far it came.

    `broken` says where the outcome that was given is not what happened ("": it is).
    """

    node: int
    events: tuple[tuple[str, int], ...]
    how: str
    broken: str = ""


def always(view: View) -> bool:
    """Return true."""
    del view
    return True


def never(action: str, view: View) -> bool:
    """Return false."""
    del action, view
    return False


class Dropped(NamedTuple):
    """What a mutant changes: verdicts that are taken to hold (by action and invariant) `when`, and the hands.

    - `asked_again`: a node that has signed a refusal runs the same request when it comes whole.
    - `unlate`: nothing is judged again on what the others say after the confirmation.
    - `unmarked`: the journal does not say whether an operation came to where its effect can happen: it may have.
    - `hasty`: actions of which "unknown" is said to be "not executed". `forbids`: requests that are refused besides.
    - `ahead`: what becomes of an order that is held: "kept" when it was dropped; run "unturned", before its turn, or
      "early", in it, on what its plan foresaw; or on what was said since, but for the foreseen "pledge".
    """

    verdicts: frozenset[tuple[str, str]] = frozenset()
    when: Callable[[View], bool] = always
    hands: type[MemoryHands] = MemoryHands
    asked_again: bool = False
    unlate: bool = False
    unmarked: bool = False
    hasty: frozenset[str] = frozenset()
    forbids: Callable[[str, View], bool] = never
    ahead: str = ""


class Orders:
    """Every judgement and every run, by the real rules (or, for a mutant, by what is left of them)."""

    def __init__(self, cluster: Cluster, dropped: Dropped) -> None:
        self.cluster, self.dropped = cluster, dropped
        self.nodes: Interned[Node] = Interned()
        self.facts: Interned[Facts] = Interned()
        self.orders: Interned[Order] = Interned()
        self._facts: dict[tuple[int, str], int] = {}
        self._reduced: dict[tuple[int, str], int] = {}
        self._planned: dict[tuple[object, ...], int | None] = {}
        self._holding: dict[tuple[object, ...], bool] = {}
        self._runs: dict[tuple[int, int, int, tuple[str, ...]], list[Run]] = {}
        self.given: dict[Order, dict[str, Peer]] = {}

    def facts_number(self, node: int, name: str) -> int:
        """Return the number of what `name` says of itself."""
        found = self._facts.get((node, name))
        if found is None:
            facts = self.dropped.hands.see(facts_of(self.nodes.values[node], name, self.cluster, under_way=False))
            found = self._facts[node, name] = self.facts.number(self._unfinished(node, facts))
        return found

    def _unfinished(self, number: int, facts: Facts) -> Facts:
        """Return the facts with what can be established now of the oldest request that was begun and not ended."""
        node = self.nodes.values[number]
        operation = node.left[0] if node.left else node.operation
        if facts.unfinished is None or operation is None:
            return facts
        order = self.orders.values[operation.order]
        work, before = self._work(operation.order, self.facts.values[operation.own]), self.facts.values[operation.own]
        result = action_named(order.action).established(work.plan, before, facts, operation.crossed).result
        return replace(facts, unfinished=replace(facts.unfinished, result=result))

    def reduced(self, number: int, action: str) -> int:
        """Return the number of a peer's report with what the action's verdicts cannot read left out."""
        found = self._reduced.get((number, action))
        if found is None:
            facts = replace(self.facts.values[number], unfinished=None)
            if facts.instance is not None:
                facts = replace(facts, instance=_reduced_instance(facts, action))
            found = self._reduced[number, action] = self.facts.number(facts)
        return found

    def holding(self, number: int, order: int, primary: str) -> int:
        """Return the number of a report with the order in it that its node holds, after a demotion of `primary`."""
        held, after = self.orders.values[order], Earlier(action="demote", target=primary, request=EARLIER_ID)
        said = Held(request=LATER.request, action=held.action, plan=LATER.plan, after=str(after), term=held.term)
        return self.facts.number(replace(self.facts.values[number], held=said))

    def local(self, action: str, target: str, node: int) -> bool:
        """Tell whether the verdicts on the target alone (journal, role, process) hold; nothing helps without."""
        key = ("local", action, node)
        found = self._holding.get(key)
        if found is None:
            own = self.facts.values[self.facts_number(node, target)]
            verdicts = self._judge(action)(self._view(Order(action, target, "", 0, ()), own))
            local = LOCAL - {Invariant.RUNNING_FITS} if action == "reclone" else LOCAL
            found = all(each.result is Result.HOLDS for each in verdicts if each.invariant in local)
            self._holding[key] = found
        return found

    # Judgement ------------------------------------------------------------------------------------------------------

    def _view(self, order: Order, own: Facts) -> View:
        argument = ARGUMENTS.get(order.action)
        arguments = {argument: order.argument} if argument else {}
        request = Request(
            id=EARLIER_ID if order.then else "", action=order.action, target=order.target,
            arguments={**arguments, THEN: str(LATER)} if order.then else arguments, operator="", reason="",
        )  # fmt: skip
        peers = _heard(order, self.given.get(order) or self._peers(order.reports))
        itself = verified(self.cluster, own)
        return View(cluster=self.cluster, request=request, own=itself, peers=peers, term=order.term)

    def _judge(self, action: str) -> Callable[[View], tuple[Verdict, ...]]:
        real, dropped = action_named(action).judge, {name for of, name in self.dropped.verdicts if of == action}
        if not dropped:
            return real

        def judge(view: View) -> tuple[Verdict, ...]:
            verdicts = real(view)
            if not self.dropped.when(view):
                return verdicts
            return tuple(
                holds(Invariant(each.invariant), "") if each.invariant in dropped else each for each in verdicts
            )

        return judge

    def term_of(self, order: Order, own: int) -> int:
        """Return the term that the action itself would name in a plan from these (whole) reports."""
        key = ("term", order, own)
        if key not in self._planned:
            view = self._view(order, self.facts.values[own])
            self._planned[key] = action_named(order.action).term(view)
        return self._planned[key] or 0

    def accepts(self, order: int, own: int, senders: tuple[str, ...] = ()) -> bool:
        """Tell whether every verdict holds, with the target's facts `own`; `senders` stream from it."""
        key = (order, own, senders)
        found = self._holding.get(key)
        if found is None:
            facts = streamed_to(self.facts.values[own], senders)
            wanted = self.orders.values[order]
            view = self._view(wanted, facts)
            judged = all(verdict.result is Result.HOLDS for verdict in self._judge(wanted.action)(view))
            found = self._holding[key] = judged and not self.dropped.forbids(wanted.action, view)
        return found

    def accepts_late(self, order: int, own: int, late: Reports, senders: tuple[str, ...]) -> bool:
        """Tell whether every verdict holds, what is not stable on what the peers say `late` too."""
        key = (order, own, late, senders)
        found = self._holding.get(key)
        if found is None:
            wanted = self.orders.values[order]
            peers = _heard(wanted, self._peers(late))
            judge = judged_late(self._judge(wanted.action), peers)
            verdicts = judge(self._view(wanted, streamed_to(self.facts.values[own], senders)))
            found = self._holding[key] = all(verdict.result is Result.HOLDS for verdict in verdicts)
        return found

    def _peers(self, reports: Reports) -> dict[str, Peer]:
        return {name: verified(self.cluster, self.facts.values[number]) for name, number in reports}

    # Operation ------------------------------------------------------------------------------------------------------

    def _work(self, number: int, own: Facts) -> specification.Order:
        order = self.orders.values[number]
        view = self._view(order, own)
        plan = Plan(
            rules="", cluster=self.cluster.id, cluster_name="", configuration="", snapshot="", request=view.request,
            term=order.term, accepted=True, title="", effects=(), irreversible=(), notes=(), loss=NO_LOSS,
            commit_point="", failures=(), verdicts=(), reports={},
        )  # fmt: skip
        return specification.Order(plan=plan, view=view, judge=self._judge(order.action))

    def runs(self, order: int, node: int, source: int = -1, senders: tuple[str, ...] = ()) -> list[Run]:
        """Return every way in which the operation can go on that `node`, begun or resumed: whole, cut, or late.

        `source` is the node that a copy would be made of (-1: none); `senders` stream from the node.
        """
        key = (order, node, source, senders)
        found = self._runs.get(key)
        if found is None:
            found = self._runs[key] = self._run(order, node, source, senders)
        return found

    def effect_of(self, operation: Running) -> str:
        """Return the step by which an operation's effect happens."""
        return EFFECT[self.orders.values[operation.order].action]

    def ready(self, number: int) -> int:
        """Return the node as a new operation finds it: nobody works at what was begun before, and was not ended."""
        node = self.nodes.values[number]
        if node.operation is None:
            return number
        over = node.operation._replace(over=True, replies=())
        return self.nodes.number(node._replace(operation=None, left=(*node.left, over)))

    def asked(self, number: int) -> list[Run]:
        """Return what asking for the outcome of each operation that was begun and not ended comes to."""
        node = self.nodes.values[number]
        found = [self.settled(number)] if node.operation is not None else []
        for at, operation in enumerate(node.left):
            if node.operation is None:
                rest = node._replace(operation=operation, left=(*node.left[:at], *node.left[at + 1 :]))
                found.append(self.settled(self.nodes.number(rest)))
        return [run for run in found if run.how != "unknown" or run.broken]

    def _hands(self, order: Order, node: Node, source: int = -1) -> MemoryHands:
        replies = node.operation.replies if node.operation and not node.operation.over else ()
        copied = self.nodes.values[source] if source >= 0 else None
        return self.dropped.hands(self.cluster, order.target, node, (order.action, order.term), replies, copied)

    def _run(self, order: int, number: int, source: int, senders: tuple[str, ...]) -> list[Run]:
        node, wanted = self.nodes.values[number], self.orders.values[order]
        operation = node.operation
        own = operation.own if operation else self.facts_number(number, wanted.target)
        begun = operation or Running(order, own, ())
        hands = self._hands(wanted, node, source)
        hands.senders = senders
        try:
            carry_out(action_named(wanted.action), hands, self._work(order, self.facts.values[own]))
            broken = "" if hands.happened else f"P5: {wanted} is executed, and nothing happened"
            last = Run(self._number(hands.node, None), tuple(hands.events), "whole", broken)
        except AeroError:
            failed = begun._replace(happened=hands.happened, over=True, crossed=hands.crossed)
            last = self.settled(self._number(hands.node, failed), tuple(hands.events))
        cuts = [self._interrupted(cut, begun, "cut") for cut in hands.cuts]
        lates = [self._interrupted(late, begun, "late") for late in hands.lates]
        return [run for run in (*cuts, *lates, last) if run.node != number or run.broken]

    def _number(self, node: Node, operation: Running | None) -> int:
        if operation is None and not node.left:
            node = node._replace(starts=0, copied=None)
        return self.nodes.number(node._replace(operation=operation))

    def _interrupted(self, cut: Cut, begun: Running, how: str) -> Run:
        over = how == "late"
        operation = begun._replace(
            replies=() if over else cut.replies, happened=cut.happened, over=over, crossed=cut.crossed
        )
        return Run(self._number(cut.node, operation), cut.events, how)

    def settled(self, number: int, events: tuple[tuple[str, int], ...] = ()) -> Run:
        """Return the node once the outcome of its unfinished operation was asked for, as `kernel.agent` does it."""
        node = self.nodes.values[number]
        operation = node.operation
        if operation is None:
            return Run(number, events, "settled")
        order = self.orders.values[operation.order]
        before, action = self.facts.values[operation.own], action_named(order.action)
        work, hands = self._work(operation.order, before), self._hands(order, node._replace(operation=None))
        try:
            facts = hands.see(facts_of(node, order.target, self.cluster, under_way=True))
            found = action.established(work.plan, before, facts, operation.crossed or self.dropped.unmarked)
            if found.result == "unknown" and order.action in self.dropped.hasty:
                found = specification.Established(result="not executed", evidence="")
            if found.result == "executed":
                hands.write_standing(action.settle(hands, work.plan))
        except AeroError:
            found = specification.SILENT
        if not found.ends:
            return Run(self._number(node, operation._replace(over=True, replies=())), events, "unknown")
        return self._said(hands, order, operation, found.result, events)

    def _said(
        self, hands: MemoryHands, order: Order, operation: Running, found: str, events: tuple[tuple[str, int], ...]
    ) -> Run:
        """Return the node whose request has the last outcome `found`, which must be what happened, if it tells."""
        executed, broken, late = found == "executed", "", hands.node.late
        pending = any(each.kind == EFFECT[order.action] for each in late)
        true = operation.happened or operation.came or (operation.crossed and not pending)
        if executed and not true:
            broken = f"P5: {order} is said to be executed, and nothing happened"
        if operation.happened and found == "not executed":
            broken = f"P5: {order} is said to be not executed, and it has happened"
        if not executed:
            late = tuple(each._replace(denied=each.kind == EFFECT[order.action]) for each in late)
        after = self._number(hands.node._replace(late=late), None)
        return Run(after, (*events, *hands.events), f"settled: {found}", broken)


READS_A_PEER = {"demote", "fence", "follow", "promote", "reclone", "renew", "restart", "start"}


def _heard(order: Order, peers: dict[str, Peer]) -> dict[str, Peer]:
    """Return what peers say, where a demotion's successor never denies that it streams.

    That a report does keeps a person from an outage, and not from a loss: here it is left out, so that more is tried.
    """
    if order.action != "demote" or order.argument not in peers:
        return peers
    successor = peers[order.argument]
    return {**peers, order.argument: replace(successor, facts=receiving(successor.facts, order.target))}


def _reduced_instance(facts: Facts, action: str) -> Instance | None:
    """Return what the action can read of a peer's PostgreSQL: its history, or whether it keeps its pledge."""
    instance = facts.instance
    if instance is None or action not in {
        "demote",
        "fence",
        "follow",
        "promote",
        "reclone",
        "renew",
        "restart",
        "start",
    }:
        return None
    if action == "fence":
        return replace(instance, position=None, lineage=(), attached=None, shutdown=None, quorum=None)
    if action in {"follow", "reclone", "restart", "start"}:
        return replace(instance, position=None, attached=None, shutdown=None, quorum=None)
    pledged = facts.standing.pledge is not None
    untold = pledged and is_untold(facts)
    position = instance.position if untold or (pledged and facts.standing.upstream is None) else None
    lineage = instance.lineage if pledged else ()
    quiet = replace(instance, position=position, lineage=lineage, shutdown=None, quorum=None)
    return quiet if pledged or quiet.drift else replace(quiet, recovery=None, attached=None)
