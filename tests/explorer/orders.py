"""Requests, judged and run by the real actions on one node; every judgement and every run is remembered.

- A request is planned from reports; the plan is accepted only if every verdict holds, as in `rules.explain`.
- The node judges again, with its own facts as they are now and the same reports, as in `kernel.agent`.
- Peers' reports are reduced to what the action's verdicts can read, so that equal plans are one plan.
"""

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.errors import AeroError
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Instance, Sender
from aerodb.protocol.plan import Loss, Plan, Request, Result, Verdict
from aerodb.rules import specification
from aerodb.rules.invariants import Invariant, holds
from aerodb.rules.operation import carry_out
from aerodb.rules.view import View
from tests.explorer.hands import CROSSED, MemoryHands
from tests.explorer.world import Interned, Node, Running, facts_of, verified

LOCAL = {
    Invariant.JOURNAL_SETTLED,
    Invariant.POLICY_KNOWN,
    Invariant.RECEIVER_KNOWN,
    Invariant.ROLE_FITS,
    Invariant.RUNNING_FITS,
}
NO_LOSS = Loss(claim="none", statement="", arithmetic=())


class Order(NamedTuple):
    """One request with the reports that its plan rests on, by number."""

    action: str
    target: str
    argument: str
    term: int
    reports: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        """Say it as an operator would."""
        word = {"fence": " for ", "demote": " for ", "follow": " to "}.get(self.action, "")
        return f"{self.action} {self.target}{word}{self.argument}{f' in term {self.term}' if self.term else ''}"


class Run(NamedTuple):
    """What one run of an operation can come to: the node, what happened on the way, and how far it came."""

    node: int
    events: tuple[tuple[str, int], ...]
    how: str


def always(view: View) -> bool:
    """Return true."""
    del view
    return True


class Dropped(NamedTuple):
    """What a mutant changes: verdicts that are taken to hold (by action and invariant) `when`, and the hands."""

    verdicts: frozenset[tuple[str, str]] = frozenset()
    when: Callable[[View], bool] = always
    hands: type[MemoryHands] = MemoryHands


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
        self._runs: dict[tuple[int, int], list[Run]] = {}
        self._views: dict[int, tuple[Plan, View]] = {}

    def facts_number(self, node: int, name: str) -> int:
        """Return the number of what `name` says of itself."""
        found = self._facts.get((node, name))
        if found is None:
            facts = self.dropped.hands.see(facts_of(self.nodes.values[node], name, self.cluster, under_way=False))
            found = self._facts[node, name] = self.facts.number(facts)
        return found

    def reduced(self, number: int, action: str) -> int:
        """Return the number of a peer's report with what the action's verdicts cannot read left out."""
        found = self._reduced.get((number, action))
        if found is None:
            facts = replace(self.facts.values[number], unfinished=None)
            if facts.instance is not None:
                facts = replace(facts, instance=_reduced_instance(facts, action))
            found = self._reduced[number, action] = self.facts.number(facts)
        return found

    def local(self, action: str, target: str, node: int) -> bool:
        """Tell whether the verdicts on the target alone (journal, role, process) hold; nothing helps without."""
        key = ("local", action, node)
        found = self._holding.get(key)
        if found is None:
            own = self.facts.values[self.facts_number(node, target)]
            verdicts = self._judge(action)(self._view(Order(action, target, "", 0, ()), own))
            found = all(each.result is Result.HOLDS for each in verdicts if each.invariant in LOCAL)
            self._holding[key] = found
        return found

    # Judgement ------------------------------------------------------------------------------------------------------

    def _view(self, order: Order, own: Facts) -> View:
        argument = {"fence": "for", "demote": "for", "follow": "upstream"}.get(order.action)
        request = Request(
            id="", action=order.action, target=order.target, arguments={argument: order.argument} if argument else {},
            operator="", reason="",
        )  # fmt: skip
        peers = {name: verified(self.cluster, self.facts.values[number]) for name, number in order.reports}
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
            facts = self.facts.values[own]
            if facts.instance is not None and senders:
                facts = replace(facts, instance=replace(facts.instance, senders=tuple(map(_sender, senders))))
            wanted = self.orders.values[order]
            verdicts = self._judge(wanted.action)(self._view(wanted, facts))
            found = self._holding[key] = all(verdict.result is Result.HOLDS for verdict in verdicts)
        return found

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

    def runs(self, order: int, node: int) -> list[Run]:
        """Return every way in which the operation can go on that `node`, begun or resumed: whole, or cut."""
        found = self._runs.get((order, node))
        if found is None:
            found = self._runs[order, node] = self._run(order, node)
        return found

    def _run(self, order: int, number: int) -> list[Run]:
        node, wanted = self.nodes.values[number], self.orders.values[order]
        operation = node.operation
        replies = operation.replies if operation else ()
        hands = self.dropped.hands(self.cluster, wanted.target, node, wanted.term, replies)
        own = operation.own if operation else self.facts_number(number, wanted.target)
        begun = Running(order, own, ())
        try:
            carry_out(action_named(wanted.action), hands, self._work(order, self.facts.values[own]))
            last = Run(self.nodes.number(hands.node._replace(operation=None)), tuple(hands.events), "whole")
        except AeroError:
            failed = self.nodes.number(hands.node._replace(operation=begun))
            last = self.settled(failed, tuple(hands.events), crossed=CROSSED in hands.replies)
        cuts = [
            Run(self.nodes.number(cut.node._replace(operation=begun._replace(replies=cut.replies))), cut.events, "cut")
            for cut in hands.cuts
        ]
        return [run for run in (*cuts, last) if run.node != number]

    def settled(self, number: int, events: tuple[tuple[str, int], ...] = (), *, crossed: bool = False) -> Run:
        """Return the node once the outcome of its unfinished operation was asked for, as `kernel.agent` does it."""
        node = self.nodes.values[number]
        if node.operation is None:
            return Run(number, events, "settled")
        order = self.orders.values[node.operation.order]
        facts = self.dropped.hands.see(facts_of(node, order.target, self.cluster, under_way=True))
        before = self.facts.values[node.operation.own]
        work, action = self._work(node.operation.order, before), action_named(order.action)
        crossed = crossed or CROSSED in node.operation.replies
        found = action.established(work.plan, before, facts, crossed)
        if found.result == "unknown":
            return Run(number, events, "unknown")
        hands = self.dropped.hands(self.cluster, order.target, node, order.term, ())
        if found.result == "executed":
            hands.write_standing(action.settle(hands, work.plan))
        after = self.nodes.number(hands.node._replace(operation=None))
        return Run(after, (*events, *hands.events), f"settled: {found.result}")


def _reduced_instance(facts: Facts, action: str) -> Instance | None:
    """Return what the action can read of a peer's PostgreSQL: its history, or whether it keeps its pledge."""
    instance = facts.instance
    if instance is None or action not in {"demote", "follow", "promote", "renew", "start"}:
        return None
    if action in {"follow", "start"}:
        return replace(instance, position=None, attached=None, shutdown=None, quorum=None)
    pledged = facts.standing.pledge is not None
    position = instance.position if pledged and facts.standing.upstream is None else None
    quiet = replace(instance, position=position, lineage=(), shutdown=None, quorum=None)
    return quiet if pledged else replace(quiet, recovery=None, attached=None)


def _sender(name: str) -> Sender:
    return Sender(node=name, state="streaming", sync_state="quorum", sent=None, flushed=None, replayed=None)
