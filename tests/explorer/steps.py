"""Everything that can happen next: what PostgreSQL and clients do by themselves, and what operators ask for."""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from aerodb.protocol.facts import State
from aerodb.rules.gate import Files, refusal
from tests.explorer.orders import Dropped, Order, Orders, Run
from tests.explorer.promises import (
    Broken,
    Election,
    Promises,
    acknowledged,
    acting,
    elected,
    gone,
    highest_elected,
)
from tests.explorer.world import Bounds, Interned, Node, cluster_of, first_node

MIXED = -2


class Whole(NamedTuple):
    """One state of everything: nodes and promises by number, a plan under way (-1: none), and what was used up."""

    nodes: tuple[int, ...]
    promises: int
    plan: int
    crashes: int
    stops: int
    cuts: int
    stale: int


class Found(NamedTuple):
    """One step: what happened, the state after it, and the property that it breaks ("": none)."""

    label: str
    state: Whole
    broken: str


class Explored:
    """One configuration's steps."""

    def __init__(self, bounds: Bounds, dropped: Dropped) -> None:
        self.bounds = bounds
        self.cluster = cluster_of(bounds.data, bounds.quorum, witness=bounds.witness)
        self.names = tuple(member.name for member in self.cluster.members)
        self.orders = Orders(self.cluster, dropped)
        self.promises: Interned[Promises] = Interned()
        self._node = self.orders.nodes.values
        self._streams: dict[tuple[int, int], int] = {}
        self._plans: dict[tuple[object, ...], int] = {}
        self._asked: dict[tuple[object, ...], tuple[int, ...]] = {}
        self._changed: dict[tuple[object, ...], int] = {}

    def first(self) -> Whole:
        """Return the state of a new cluster."""
        nodes = tuple(self.orders.nodes.number(first_node(name)) for name in self.names)
        promises = self.promises.number(Promises((), (Election(1, 0, frozenset()),)))
        return Whole(nodes, promises, -1, 0, 0, 0, 0)

    # Effects --------------------------------------------------------------------------------------------------------

    def _after(self, label: str, state: Whole, promises: Promises) -> Found:
        """Acknowledge what can be acknowledged, and check."""
        try:
            for write, status in enumerate(promises.writes):
                if status < 0 and self._flushed(state, -1 - status, write):
                    promises = acknowledged(promises, write, self._node[state.nodes[-1 - status]].acting)
            self._unmixed(state)
        except Broken as broken:
            return Found(label, state, str(broken))
        return Found(label, state._replace(promises=self.promises.number(promises)), "")

    def _unmixed(self, state: Whole) -> None:
        """Check that whoever streams continues the upstream's log.

        Raises:
            Broken: PostgreSQL would splice two histories, for it goes by the timeline's number.
        """
        for place, number in enumerate(state.nodes):
            upstream = self._upstream(state, place)
            if upstream >= 0 and self._streamed(number, state.nodes[upstream]) == MIXED:
                raise Broken(f"P4: {self.names[place]} and {self.names[upstream]} have different histories, and stream")

    def _flushed(self, state: Whole, primary: int, write: int) -> bool:
        """Tell whether enough standbys that stream from the primary itself have flushed past the write."""
        needed, number = self.bounds.quorum, state.nodes[primary]
        place = self._node[number].log.index(write)
        for each in state.nodes:
            if needed and each != number and self._streamed(each, number) >= 0 and len(self._node[each].log) > place:
                needed -= 1
        return needed == 0

    def _streamed(self, standby: int, upstream: int) -> int:
        """Return the standby once it has received one entry more, itself where there is none, -1 if not connected."""
        found = self._streams.get((standby, upstream))
        if found is None:
            found = self._streams[standby, upstream] = self._stream(self._node[standby], self._node[upstream])
        return found

    def _stream(self, standby: Node, upstream: Node) -> int:
        """Stream as PostgreSQL does: by timeline numbers and places, never by content."""
        receives = standby.state is State.RUNNING and standby.recovery and standby.attached is not None
        if not receives or upstream.state is not State.RUNNING or upstream is standby:
            return -1
        timeline, end, history = standby.history[-1][0], len(standby.log), upstream.history
        place = next((at for at, (number, _) in enumerate(history) if number == timeline), None)
        if place is None:
            return -1
        switch = history[place + 1][1] if place + 1 < len(history) else len(upstream.log)
        if end > switch:
            return -1
        if standby.log != upstream.log[:end]:
            return MIXED
        if end == len(upstream.log):
            return self.orders.nodes.number(standby)
        after = standby.history
        while place + 1 < len(history) and history[place + 1][1] == end:
            place += 1
            after = (*after, history[place])
        return self.orders.nodes.number(standby._replace(log=(*standby.log, upstream.log[end]), history=after))

    def _upstream(self, state: Whole, place: int) -> int:
        """Return the place of whom the node is attached to, or -1."""
        attached = self._node[state.nodes[place]].attached
        return self.names.index(attached) if attached is not None else -1

    @staticmethod
    def _with(state: Whole, place: int, node: int) -> Whole:
        return state._replace(nodes=(*state.nodes[:place], node, *state.nodes[place + 1 :]))

    # What happens by itself -----------------------------------------------------------------------------------------

    def steps(self, state: Whole) -> Iterator[Found]:
        """Yield every step."""
        promises = self.promises.values[state.promises]
        for place, number in enumerate(state.nodes):
            node = self._node[number]
            yield from self._environment(state, promises, place, node)
            if node.operation is not None:
                yield from self._unfinished(state, promises, place, node)
        yield from self._requests(state, promises)

    def _environment(self, state: Whole, promises: Promises, place: int, node: Node) -> Iterator[Found]:
        name, bounds = self.names[place], self.bounds
        if node.acting and len(promises.writes) < bounds.writes:
            write = len(promises.writes)
            after = self._with(state, place, self.orders.nodes.number(node._replace(log=(*node.log, write))))
            waiting = promises._replace(writes=(*promises.writes, -1 - place))
            yield self._after(f"a client writes {write} on {name}", after, waiting)
        if node.attached is not None:
            upstream = self._upstream(state, place)
            received = self._streamed(state.nodes[place], state.nodes[upstream])
            if received not in {-1, state.nodes[place]}:
                label = f"{name} receives an entry from {self.names[upstream]}"
                yield self._after(label, self._with(state, place, received), promises)
        if name != "w":
            yield from self._process(state, promises, place, node)

    def _process(self, state: Whole, promises: Promises, place: int, node: Node) -> Iterator[Found]:
        """Yield a crash, and a start together with the host."""
        name = self.names[place]
        if node.state is State.RUNNING:
            if state.crashes < self.bounds.crashes:
                down = self.orders.nodes.number(node._replace(state=State.CRASHED, acting=0))
                after = self._with(state, place, down)._replace(crashes=state.crashes + 1)
                yield self._after(f"{name} crashes", after, gone(promises, place))
        elif node.operation is None and not refusal("standing", name, node.standing, _files(node)):
            term = 0 if node.recovery else node.standing.granted.term
            up = self.orders.nodes.number(node._replace(state=State.RUNNING, acting=term))
            run = Run(up, (("acts", term),) if term else (), "whole")
            yield from self._ran(f"{name} starts with its host", state, promises, place, run)

    def _unfinished(self, state: Whole, promises: Promises, place: int, node: Node) -> Iterator[Found]:
        """Yield the operation going on, and its outcome being asked for."""
        operation = node.operation
        if operation is None:
            return
        number, order = state.nodes[place], self.orders.orders.values[operation.order]
        for run in self.orders.runs(operation.order, number):
            yield from self._ran(f"{order} goes on ({run.how})", state, promises, place, run)
        settled = self.orders.settled(number)
        if settled.node != number:
            yield from self._ran(f"{order} is {settled.how}", state, promises, place, settled)

    # What operators ask for -----------------------------------------------------------------------------------------

    def _ran(self, label: str, state: Whole, promises: Promises, place: int, run: Run) -> Iterator[Found]:
        """Yield what a run comes to."""
        after, node = self._with(state, place, run.node), self._node[run.node]
        try:
            for kind, term in run.events:
                if kind == "elected":
                    promises = elected(promises, term, place, node)
                elif kind == "acts":
                    acting(promises, term, place)
                else:
                    promises = gone(promises, place)
        except Broken as broken:
            yield Found(label, after, str(broken))
            return
        yield self._after(label, after, promises)
        if ("stopped", 0) in run.events:
            yield from self._drained(label, state, after, promises, place)

    def _drained(self, label: str, state: Whole, after: Whole, promises: Promises, place: int) -> Iterator[Found]:
        """Yield the ways in which the standbys receive all of the log of a primary that shuts down."""
        number = self.orders.nodes.number(self._node[after.nodes[place]]._replace(state=State.RUNNING))
        able = [
            each
            for each in range(len(self.names))
            if self._upstream(state, each) == place and self._streamed(state.nodes[each], state.nodes[place]) >= 0
        ]
        for count in range(1, len(able) + 1):
            for drained in combinations(able, count):
                whole = after
                for each in drained:
                    whole = self._with(whole, each, self._all(whole.nodes[each], number))
                names = ", ".join(self.names[each] for each in drained)
                yield self._after(f"{label}, and {names} receives all of its log", whole, promises)

    def _all(self, standby: int, upstream: int) -> int:
        received = self._streamed(standby, upstream)
        return standby if received in {-1, standby} else self._all(received, upstream)

    def _requests(self, state: Whole, promises: Promises) -> Iterator[Found]:
        for place, name in enumerate(self.names):
            for action in self.bounds.actions:
                if not self.orders.local(action, name, state.nodes[place]):
                    continue
                if action in {"stop", "demote"} and state.stops >= self.bounds.stops:
                    continue
                for order in self._accepted(state, promises, place, action):
                    yield from self._executed(state, promises, place, order)
                    if state.plan < 0 and state.stale < self.bounds.stale and self.orders.orders.values[order].reports:
                        label = f"{self.orders.orders.values[order]} is planned"
                        yield Found(label, state._replace(plan=order, stale=state.stale + 1), "")
        if state.plan >= 0:
            yield from self._late(state, promises)

    def _late(self, state: Whole, promises: Promises) -> Iterator[Found]:
        """Yield the execution of the plan under way, with the reports of then and the target's facts of now."""
        place = self.names.index(self.orders.orders.values[state.plan].target)
        own = self.orders.facts_number(state.nodes[place], self.names[place])
        if self.orders.accepts(state.plan, own):
            yield from self._executed(state._replace(plan=-1), promises, place, state.plan, late=True)

    def _executed(
        self, state: Whole, promises: Promises, place: int, number: int, *, late: bool = False
    ) -> Iterator[Found]:
        order = self.orders.orders.values[number]
        used = state._replace(stops=state.stops + 1) if order.action in {"stop", "demote"} else state
        for run in self.orders.runs(number, state.nodes[place]):
            if run.how == "cut" and state.cuts >= self.bounds.cuts:
                continue
            begun = used._replace(cuts=state.cuts + 1) if run.how == "cut" else used
            label = f"{order}{' begins, and goes no further for now' if run.how == 'cut' else ''}"
            label += f" ({run.how})" if run.how not in {"cut", "whole"} else ""
            for found in self._ran(label, begun, promises, place, run):
                yield found if late else self._started_rightly(found, order, state, promises)

    def _started_rightly(self, found: Found, order: Order, state: Whole, promises: Promises) -> Found:
        """Check a start as a primary by request, of which the reports are of now."""
        node = self._node[state.nodes[self.names.index(order.target)]]
        if order.action != "start" or node.standing.role == "standby" or found.broken:
            return found
        if highest_elected(promises) > node.standing.granted.term:
            return found._replace(broken=f"P3: {order.target} starts in term {node.standing.granted.term}")
        return found

    def _accepted(self, state: Whole, promises: Promises, place: int, action: str) -> Iterator[int]:
        """Yield the orders for the target whose plans would be accepted now."""
        if action in {"fence", "demote"}:
            yield from self._candidacies(state, promises, place, action)
            return
        others = [each for each in range(len(self.names)) if each != place]
        if action == "stop":
            choices: list[tuple[int, ...]] = [()]
        elif action == "follow":
            choices = [(each, *(other for other in others if other != each)) for each in others]
        else:
            choices = [each for count in range(len(others) + 1) for each in combinations(others, count)]
        for reporting in choices:
            key = (action, place, state.nodes[place], tuple((each, state.nodes[each]) for each in reporting))
            order = self._plans.get(key)
            if order is None:
                order = self._plans[key] = self._plan(state, place, action, reporting)
            if order >= 0:
                yield order

    def _plan(self, state: Whole, place: int, action: str, reporting: tuple[int, ...]) -> int:
        """Return the number of an accepted plan, or -1."""
        orders, name = self.orders, self.names[place]
        named = [(self.names[each], state.nodes[each]) for each in reporting]
        whole = tuple((peer, orders.facts_number(node, peer)) for peer, node in named)
        argument = self.names[reporting[0]] if action == "follow" else ""
        if argument == "w":
            return -1
        own = orders.facts_number(state.nodes[place], name)
        term = orders.term_of(Order(action, name, argument, 0, whole), own)
        if term > self.bounds.terms:
            return -1
        reduced = tuple((each, orders.reduced(facts, action)) for each, facts in whole)
        order = Order(action, name, argument, term, reduced)
        number = orders.orders.number(order)
        return number if self._asked_for(order) and orders.accepts(number, own) else -1

    def _asked_for(self, order: Order) -> bool:
        return not self.bounds.requests or str(order) in self.bounds.requests

    def _candidacies(self, state: Whole, promises: Promises, place: int, action: str) -> Iterator[int]:
        """Yield pledges to ask for: in any term up to one above all that is known, which covers every stale plan."""
        name = self.names[place]
        known = max(self._node[each].standing.pledged.term for each in state.nodes)
        top = min(self.bounds.terms, max(known, highest_elected(promises)) + 1)
        senders: tuple[str, ...] = ()
        if action == "demote":
            streaming = [
                each
                for each in range(len(self.names))
                if self._upstream(state, each) == place and self._streamed(state.nodes[each], state.nodes[place]) >= 0
            ]
            senders = tuple(self.names[each] for each in streaming)
        reports = self._reports(state, place, action) if action == "demote" else ()
        key = (action, place, state.nodes[place], top, senders, reports)
        found = self._asked.get(key)
        if found is None:
            found = self._asked[key] = self._ask(Order(action, name, "", top, reports), state.nodes[place], senders)
        yield from found

    def _reports(self, state: Whole, place: int, action: str) -> tuple[tuple[str, int], ...]:
        """Return the reports of all peers, reduced."""
        orders, named = self.orders, [each for each in enumerate(self.names) if each[0] != place]
        return tuple((name, orders.reduced(orders.facts_number(state.nodes[at], name), action)) for at, name in named)

    def _ask(self, asked: Order, node: int, senders: tuple[str, ...]) -> tuple[int, ...]:
        """Return the accepted orders like `asked`, for each candidate, and in each term up to its own."""
        action, name = asked.action, asked.target
        own, orders = self.orders.facts_number(node, name), self.orders
        found = []
        for term in range(2, asked.term + 1):
            for candidate in self.cluster.data_nodes:
                order = Order(action, name, candidate, term, asked.reports)
                number = orders.orders.number(order)
                sensible = action == "fence" or candidate != name
                if sensible and self._asked_for(order) and orders.accepts(number, own, senders):
                    found.append(number)
        return tuple(found)


def _files(node: Node) -> Files:
    """Return what a node's files say while it is down."""
    return Files(
        control="shut down in recovery" if node.recovery else "shut down",
        signal=node.recovery,
        copied=False,
        attached=node.attached,
        unfinished=None,
        identity=node.standing.folder,
    )
