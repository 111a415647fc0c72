"""What operators ask for: every request whose plan is accepted, from every choice of reports, at once or late."""

from collections.abc import Iterator
from itertools import combinations

from aerodb.protocol.facts import Facts
from aerodb.rules.untold import is_untold
from tests.explorer.effects import Effects, Found, Whole
from tests.explorer.orders import STREAMS, Order, Reports, Run
from tests.explorer.promises import Promises, highest_elected
from tests.explorer.world import Node

SHUTS_DOWN = {"stop", "demote", "restart"}
CANDIDACIES = {"fence", "demote"}


class Requests:
    """The steps that operators ask for."""

    def __init__(self, effects: Effects) -> None:
        """Keep what steps lead to."""
        self._effects, self._bounds = effects, effects.bounds
        self._orders, self._names = effects.orders, effects.names
        self._node = effects.orders.nodes.values
        self._plans: dict[tuple[object, ...], int] = {}
        self._asked: dict[tuple[object, ...], tuple[int, ...]] = {}
        self._accepted: dict[tuple[object, ...], tuple[tuple[int, int], ...]] = {}
        self._alike = not (
            effects.bounds.stale or effects.bounds.cuts or effects.bounds.late or effects.bounds.weakenings
        )
        self._places = {name: place for place, name in enumerate(self._names)}

    def steps(self, state: Whole, promises: Promises) -> Iterator[Found]:
        """Yield every request that is accepted now, the plan under way, and the operations begun and not ended."""
        for place, order in self.accepted(state, promises):
            wanted = self._orders.orders.values[order]
            if self._may(state, wanted.action):
                yield from self.executed(state, promises, place, order)
                if state.plan < 0 and wanted.reports and self._effects.left(state, "stale"):
                    yield Found(f"{wanted} is planned", state._replace(plan=order).using("stale"), "")
        if state.plan >= 0:
            yield from self._late(state, promises)

    def _may(self, state: Whole, action: str) -> bool:
        if action in SHUTS_DOWN:
            return self._effects.left(state, "stops")
        return action != "reclone" or self._effects.left(state, "copies")

    def unfinished(self, state: Whole, promises: Promises, place: int) -> Iterator[Found]:
        """Yield the operation on the node at `place` going on, and its outcome being asked for."""
        number = state.nodes[place]
        operation = self._node[number].operation
        if operation is not None and not operation.over:
            order = self._orders.orders.values[operation.order]
            reported = self._reported(order, place)
            for run in self._runs(state, operation.order, place):
                turned = self._turned(state, order, run)
                yield from self._limited(f"{order} goes on ({run.how})", turned, promises, place, run, reported)
        for run in self._orders.asked(number):
            label = f"{self._names[place]} is asked for an outcome, {run.how}"
            yield from self._effects.ran(label, state, promises, place, run)

    # Execution ------------------------------------------------------------------------------------------------------

    def _late(self, state: Whole, promises: Promises) -> Iterator[Found]:
        """Yield the execution of the plan under way, with the reports of then and the target's facts of now."""
        order = self._orders.orders.values[state.plan]
        place = self._places[order.target]
        if self._node[state.nodes[place]].lost:
            return
        done = state._replace(plan=-1, refused=False)
        if self._holds_late(state, place, order):
            for found in self.executed(done, promises, place, state.plan):
                said_before = "P5: what was said never to be executed is executed" if state.refused else ""
                yield found._replace(broken=found.broken or said_before)
        if self._effects.dropped.asked_again and not state.refused:
            yield Found(f"{order} is refused for want of its proof, signed", state._replace(refused=True), "")

    def _holds_late(self, state: Whole, place: int, order: Order) -> bool:
        """Tell whether the plan under way holds, with the late reports of some of the peers or of all."""
        own = self._orders.facts_number(state.nodes[place], self._names[place])
        streaming = self._effects.streams.from_primary(state.nodes, place) if order.action == "demote" else []
        senders = tuple(self._names[each] for each in streaming)
        if not self._orders.accepts(state.plan, own, senders):
            return False
        there = self.reports_of(state, place, order.action, held=order.then)
        some = [each for count in range(len(there), -1, -1) for each in combinations(there, count)]
        unlate = self._effects.dropped.unlate
        return unlate or any(self._orders.accepts_late(state.plan, own, late, senders) for late in some)

    def reports_of(self, state: Whole, place: int, action: str, *, held: bool = False) -> Reports:
        """Return what all but the node at `place` say now, as the action reads it; `held`: with the order they hold."""
        found = []
        for at, name in enumerate(self._names):
            if at != place and not self._node[state.nodes[at]].lost:
                facts = self._orders.facts_number(state.nodes[at], name)
                if held and state.ahead is not None and state.ahead.place == at:
                    facts = self._orders.holding(facts, state.ahead.order, self._names[state.ahead.primary])
                found.append((name, self._orders.reduced(facts, action)))
        return tuple(found)

    def _runs(self, state: Whole, number: int, place: int) -> list[Run]:
        order = self._orders.orders.values[number]
        source = state.nodes[self._places[order.argument]] if order.action == "reclone" else -1
        streaming = self._effects.streams.from_primary(state.nodes, place) if order.action == "demote" else []
        senders = tuple(self._names[each] for each in streaming)
        return self._orders.runs(number, state.nodes[place], source, senders)

    def _reported(self, order: Order, place: int) -> frozenset[int]:
        return frozenset({place, *(self._places[name] for name, _ in order.reports)})

    def executed(self, state: Whole, promises: Promises, place: int, number: int) -> Iterator[Found]:
        """Yield what executing an order comes to; whatever its node holds is dropped."""
        order = self._orders.orders.values[number]
        alone = order.then and (state.ahead is None or state.ahead.dropped)
        used = state.using("stops") if order.action in SHUTS_DOWN else state
        used = used.using("copies") if order.action == "reclone" else used
        reported = self._reported(order, place)
        used = self._effects.dropping(used.with_node(place, self._orders.ready(used.nodes[place])), place)
        for run in self._runs(used, number, place):
            words = {"cut": " begins, and goes no further for now", "late": " begins, and is not waited for any longer"}
            label = f"{order}{words.get(run.how, '' if run.how == 'whole' else f' ({run.how})')}"
            for found in self._limited(label, self._turned(used, order, run), promises, place, run, reported):
                held = found._replace(broken=f"P7: {order.target} stops, and nobody holds an order") if alone else found
                yield self._started_rightly(held, order, state, promises)

    def _turned(self, state: Whole, order: Order, run: Run) -> Whole:
        """Return the state in which the order after this one has its turn, where this one was executed whole."""
        if not order.then or state.ahead is None or run.how != "whole":
            return state
        return state._replace(ahead=state.ahead._replace(turn=True))

    def _limited(
        self, label: str, state: Whole, promises: Promises, place: int, run: Run, reported: frozenset[int]
    ) -> list[Found]:
        """Return what a run comes to, where it may still be cut, or end before its effect."""
        counted = {"cut": "cuts", "late": "late"}.get(run.how)
        begun = self._node[state.nodes[place]].operation is not None
        if counted is not None and not (counted == "cuts" and begun):
            if not self._effects.left(state, counted):
                return []
            state = state.using(counted)
        return self._effects.ran(label, state, promises, place, run, reported)

    def _started_rightly(self, found: Found, order: Order, state: Whole, promises: Promises) -> Found:
        """Check a start as a primary by request."""
        node = self._node[state.nodes[self._places[order.target]]]
        if order.action not in {"start", "restart"} or node.recovery or found.broken or node.standing.role != "primary":
            return found
        if any(
            election.term > node.standing.granted.term and self._names[election.node] != order.target
            for election in promises.elections
        ):
            return found._replace(broken=f"P3: {order.target} starts in term {node.standing.granted.term}")
        return found

    # Acceptance -----------------------------------------------------------------------------------------------------

    def accepted(self, state: Whole, promises: Promises) -> tuple[tuple[int, int], ...]:
        """Return the orders whose plans would be accepted now, each with the place of its target."""
        known = max(self._node[each].standing.pledged.term for each in state.nodes)
        top = min(self._bounds.terms, max(known, highest_elected(promises)) + 1)
        key = (state.nodes, top)
        found = self._accepted.get(key)
        if found is None:
            found = self._accepted[key] = tuple(self._all(state.nodes, top))
        return found

    def _all(self, nodes: tuple[int, ...], top: int) -> Iterator[tuple[int, int]]:
        for place, name in enumerate(self._names):
            if self._node[nodes[place]].lost:
                continue
            for action in self._bounds.actions:
                if self._orders.local(action, name, nodes[place]):
                    for order in self._for_target(nodes, place, action, top):
                        yield place, order

    def _for_target(self, nodes: tuple[int, ...], place: int, action: str, top: int) -> Iterator[int]:
        if action in CANDIDACIES:
            yield from self._candidacies(nodes, place, action, top)
            return
        others = [each for each in range(len(self._names)) if each != place and not self._node[nodes[each]].lost]
        subsets = [each for count in range(len(others) + 1) for each in combinations(others, count)]
        for upstream in [self._names[each] for each in others] if action in STREAMS else [""]:
            choices = subsets[:1] if action == "stop" else subsets
            if upstream:
                choices = [(self._places[upstream],), tuple(others)]
            yield from self._of_choices(nodes, place, (action, upstream), choices)

    def _of_choices(
        self, nodes: tuple[int, ...], place: int, asked: tuple[str, str], choices: list[tuple[int, ...]]
    ) -> Iterator[int]:
        """Yield the accepted orders of one request, by those who report; one for each term where the rest is alike."""
        terms = set()
        for reporting in choices:
            key = (asked, place, nodes[place], tuple((each, nodes[each]) for each in reporting))
            order = self._plans.get(key)
            if order is None:
                order = self._plans[key] = self._plan(nodes, place, asked, reporting)
            if order >= 0:
                term = self._orders.orders.values[order].term
                if self._alike and term in terms:
                    continue
                terms.add(term)
                yield order

    def _plan(self, nodes: tuple[int, ...], place: int, asked: tuple[str, str], reporting: tuple[int, ...]) -> int:
        """Return the number of an accepted plan, or -1."""
        orders, name, (action, argument) = self._orders, self._names[place], asked
        named = [(self._names[each], nodes[each]) for each in reporting]
        whole = tuple((peer, orders.facts_number(node, peer)) for peer, node in named)
        if argument == "w":
            return -1
        own = orders.facts_number(nodes[place], name)
        term = orders.term_of(Order(action, name, argument, 0, whole), own)
        if term > self._bounds.terms:
            return -1
        reduced = tuple((each, orders.reduced(facts, action)) for each, facts in whole)
        order = Order(action, name, argument, term, reduced)
        number = orders.orders.number(order)
        return number if self.asked_for(order) and orders.accepts(number, own) else -1

    def asked_for(self, order: Order) -> bool:
        """Tell whether a request is one of those that are made within the bounds."""
        return not self._bounds.requests or str(order) in self._bounds.requests

    def _candidacies(self, nodes: tuple[int, ...], place: int, action: str, top: int) -> Iterator[int]:
        """Yield pledges to ask for: in any term up to one above all that is known, which covers every stale plan."""
        name = self._names[place]
        senders: tuple[str, ...] = ()
        if action == "demote":
            senders = tuple(self._names[each] for each in self._effects.streams.from_primary(nodes, place))
        reports = self._reports(nodes, place, action)
        key = (action, place, nodes[place], top, senders, reports)
        found = self._asked.get(key)
        if found is None:
            found = self._asked[key] = self._ask(Order(action, name, "", top, reports), nodes[place], senders)
        yield from found

    def _reports(self, nodes: tuple[int, ...], place: int, action: str) -> tuple[tuple[str, int], ...]:
        """Return the reports of all peers, where the action's verdicts read any."""
        if action == "fence" and not is_untold(self._facts(nodes[place], self._names[place])):
            return ()
        named = [
            (name, self._orders.facts_number(nodes[at], name))
            for at, name in enumerate(self._names)
            if at != place and not self._node[nodes[at]].lost
        ]
        return tuple((name, self._orders.reduced(facts, action)) for name, facts in named)

    def _facts(self, node: int, name: str) -> Facts:
        return self._orders.facts.values[self._orders.facts_number(node, name)]

    def _ask(self, asked: Order, node: int, senders: tuple[str, ...]) -> tuple[int, ...]:
        """Return the accepted orders like `asked`, for each candidate, and in each term up to its own."""
        (action, name), orders = asked[:2], self._orders
        own, found = orders.facts_number(node, name), []
        for term in range(2, asked.term + 1):
            for candidate in self._effects.cluster.data_nodes:
                order = Order(action, name, candidate, term, asked.reports)
                number = orders.orders.number(order)
                sensible = action == "fence" or candidate != name
                if sensible and self.asked_for(order) and orders.accepts(number, own, senders):
                    found.append(number)
        return tuple(found)


def serves(node: Node) -> bool:
    """Tell whether the node takes writes in a term that it was granted."""
    standing = node.standing
    return standing.role == "primary" and node.acting == standing.granted.term and not node.lawless
