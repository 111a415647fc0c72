"""Signed ahead: a promotion that its node holds until the demotion before it is executed, and its turn at any moment.

- It is held where its plan is accepted by the real foresight, and dropped by any other order for its node, by a
  withdrawal, or with its agent.
- The demotion that names it is judged by the real rules, at once or late. Its turn comes when it is executed whole:
  then each of the others reports once, at any moment, and what they said is used at any later moment, in any mixture.
- At the trigger the demoted node's report must be there, with its pledge; then every invariant is judged on what was
  said in its turn alone, and on the node's own facts of then, as in `kernel.holding`.
- Reports that a courier keeps back while a person starts the demoted node by hand, against its pledge, are beyond any
  rule, as with every order's late reports: hands are not explored here.
- P7: a primary stops for a successor only while that one holds its order, as far as the others say late.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.protocol.ahead import AFTER, Earlier
from aerodb.protocol.plan import Request
from aerodb.rules import ahead
from aerodb.rules.view import Peer, View
from tests.explorer.effects import Ahead, Effects, Found, Whole
from tests.explorer.orders import EARLIER_ID, LATER, Order
from tests.explorer.promises import Promises
from tests.explorer.reports import receiving, streamed_to, verified
from tests.explorer.requests import Requests


class Sequences:
    """The steps of requests that are signed ahead."""

    def __init__(self, effects: Effects, requests: Requests) -> None:
        """Keep what steps lead to, and how an order is run."""
        self._effects, self._requests = effects, requests
        self._orders, self._names, self._how = effects.orders, effects.names, effects.dropped.ahead
        self._node = effects.orders.nodes.values
        self._held: dict[tuple[object, ...], int] = {}
        self._foreseen: dict[int, dict[str, Peer]] = {}

    def steps(self, state: Whole, promises: Promises) -> Iterator[Found]:
        """Yield what can become of an order that is held, or be made to be held."""
        if state.ahead is None:
            if self._effects.left(state, "sequences"):
                yield from self._holds(state)
            return
        after = self._effects.dropping(state, state.ahead.place)
        if after != state:
            yield Found(f"{self._names[state.ahead.place]} drops what it holds, and signs that", after, "")
        if not state.ahead.turn and not state.ahead.dropped:
            yield from self._demoted(state, promises)
        if state.ahead.turn:
            yield from self._said(state)
        if state.ahead.turn or self._how == "unturned":
            yield from self._triggered(state, promises)

    # Held -----------------------------------------------------------------------------------------------------------

    def _holds(self, state: Whole) -> Iterator[Found]:
        for primary, number in enumerate(state.nodes):
            for place in range(len(self._names)) if self._node[number].acting else ():
                lost = self._node[state.nodes[place]].lost
                order = -1 if lost or place == primary else self._planned(state.nodes, place, primary)
                if order >= 0:
                    label = f"{self._orders.orders.values[order]} is held, after demote {self._names[primary]}"
                    yield Found(label, state._replace(ahead=Ahead(order, place, primary)).using("sequences"), "")

    def _planned(self, nodes: tuple[int, ...], place: int, primary: int) -> int:
        """Return the number of the promotion, if it is accepted after the primary's demotion; else -1."""
        key = (nodes, place, primary)
        if key not in self._held:
            self._held[key] = self._foresee(nodes, place, primary)
        return self._held[key]

    def _foresee(self, nodes: tuple[int, ...], place: int, primary: int) -> int:
        view, orders = self._view(nodes, place, primary), self._orders
        action = action_named("promote")
        view = replace(view, term=action.term(view))
        found = ahead.foreseen(view, action)
        agreed = all(each.result in ahead.AGREED for each in ahead.judged(view, action, found))
        order = Order("promote", self._names[place], "", view.term, ())
        if not agreed or found is None or found.view is None or view.term > self._effects.bounds.terms:
            return -1
        if not self._requests.asked_for(order):
            return -1
        if self._how in {"early", "pledge", "unturned"}:
            whole = tuple((name, orders.facts.number(peer.facts)) for name, peer in view.peers.items())
            order = order._replace(argument=" ahead", reports=whole)
            self._foreseen[orders.orders.number(order)] = dict(found.view.peers)
        return orders.orders.number(order)

    def _view(self, nodes: tuple[int, ...], place: int, primary: int) -> View:
        orders, cluster = self._orders, self._effects.cluster
        streaming = tuple(self._names[each] for each in self._effects.streams.from_primary(nodes, primary))
        everyone = {}
        for at, name in enumerate(self._names):
            facts = orders.facts.values[orders.facts_number(nodes[at], name)]
            if not self._node[nodes[at]].lost:
                facts = receiving(facts, self._names[primary]) if name in streaming else facts
                everyone[name] = verified(cluster, streamed_to(facts, streaming if at == primary else ()))
        name = self._names[place]
        before = Earlier(action="demote", target=self._names[primary], request=EARLIER_ID)
        request = Request(
            id=LATER.request, action="promote", target=name, arguments={AFTER: str(before)}, operator="", reason=""
        )
        own = everyone.pop(name)
        return View(cluster=cluster, request=request, own=own, peers=everyone, term=0)

    # The demotion ---------------------------------------------------------------------------------------------------

    def _demoted(self, state: Whole, promises: Promises) -> Iterator[Found]:
        """Yield the demotion before the order that is held, at once or planned for later."""
        if state.ahead is None or not self._effects.left(state, "stops"):
            return
        place, later = state.ahead.primary, self._orders.orders.values[state.ahead.order]
        if self._node[state.nodes[place]].lost:
            return
        reports = self._requests.reports_of(state, place, "demote", held=True)
        order = Order("demote", self._names[place], later.target, later.term, reports, then=True)
        if not self._requests.asked_for(order):
            return
        number = self._orders.orders.number(order)
        senders = tuple(self._names[each] for each in self._effects.streams.from_primary(state.nodes, place))
        own = self._orders.facts_number(state.nodes[place], self._names[place])
        if not self._orders.local("demote", order.target, state.nodes[place]):
            return
        if self._orders.accepts(number, own, senders):
            yield from self._requests.executed(state, promises, place, number)
            if state.plan < 0 and self._effects.left(state, "stale"):
                yield Found(f"{order} is planned", state._replace(plan=number).using("stale"), "")

    # The turn -------------------------------------------------------------------------------------------------------

    def _said(self, state: Whole) -> Iterator[Found]:
        """Yield each of the others reporting once, for the turn."""
        if state.ahead is None:
            return
        there = {name for name, _ in state.ahead.said}
        for name, facts in self._requests.reports_of(state, state.ahead.place, "promote"):
            if name not in there:
                said = tuple(sorted((*state.ahead.said, (name, facts))))
                yield Found(f"{name} reports for the turn", state._replace(ahead=state.ahead._replace(said=said)), "")

    def _triggered(self, state: Whole, promises: Promises) -> Iterator[Found]:
        """Yield the held order run, with what was said in its turn."""
        if state.ahead is None or self._node[state.nodes[state.ahead.place]].lost:
            return
        held, place = self._orders.orders.values[state.ahead.order], state.ahead.place
        number = self._in_turn(state.ahead, held)
        own = self._orders.facts_number(state.nodes[place], self._names[place])
        if number < 0 or not self._orders.local("promote", held.target, state.nodes[place]):
            return
        if self._orders.accepts(number, own):
            broken = "P5: what was said never to be executed is executed" if state.ahead.dropped else ""
            for found in self._requests.executed(state._replace(ahead=None), promises, place, number):
                yield found._replace(label=f"{found.label}, in its turn", broken=found.broken or broken)

    def _in_turn(self, waiting: Ahead, held: Order) -> int:
        """Return the order to judge in its turn, or -1 where the demoted node does not say that it has pledged."""
        primary, orders = self._names[waiting.primary], self._orders
        if self._how in {"early", "unturned"}:
            orders.given[held] = self._foreseen[waiting.order]
            return waiting.order
        said = {name: verified(self._effects.cluster, orders.facts.values[facts]) for name, facts in waiting.said}
        if self._how == "pledge":
            order = held._replace(reports=(*waiting.said, *held.reports))
            orders.given[order] = {**said, primary: self._foreseen[waiting.order][primary]}
            return orders.orders.number(order)
        pledge = said[primary].pledge if primary in said else None
        pledged = pledge is not None and (pledge.term, pledge.candidate) == (held.term, held.target)
        if not pledged and self._how != "unpledged":
            return -1
        return orders.orders.number(Order("promote", held.target, "", held.term, waiting.said))
