"""A way out: from a state, some requests lead to an acknowledged write, with every surviving node there to report.

- The search asks, what looks nearest first, with everyone's reports, and with time for all that is under way to come.
- A hand is lent only where the product asks for it: a policy that was emptied is put back, a paused replay goes on.
- It is looked for where a way can be: a majority of the members is there, no more data nodes are lost than standbys
  flush each commit, and every acknowledged write is still in some log. With too few standbys left for an
  acknowledgement, a primary with all of those that are left is enough.
- Where a new primary is lost for ever after a standby received the switch to its timeline, and before it was told its
  term, there is one where no more than that standby was carried along, and the logs that are left contain one another:
  else nobody can tell which of them is ahead until the lost node is back.
- Where people promoted a node past AeroDB, and no granted primary runs, there may be none: that needs a hand.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import pairwise

from aerodb.actions import catalogue
from aerodb.protocol.facts import Facts, State
from aerodb.rules.untold import is_untold
from tests.explorer.effects import Effects, Whole
from tests.explorer.environment import Environment
from tests.explorer.hands import is_open
from tests.explorer.orders import ARGUMENTS, Order
from tests.explorer.promises import WEAKLY, Promises
from tests.explorer.requests import serves
from tests.explorer.world import Node

Nodes = tuple[int, ...]

TERMS_MORE = 3
"""How far the terms of a way out may go beyond those that are explored."""
STATES_MAX = 2000
"""How many states are looked at before a state is said to have no way out."""
ASKED = ("start", "follow", "promote", "renew", "fence", "stop", "reclone", "demote")


class Ways:
    """The ways out of one configuration's states."""

    def __init__(self, effects: Effects, environment: Environment) -> None:
        """Know none yet."""
        self._effects, self._environment = effects, environment
        self._node, self._orders = effects.orders.nodes.values, effects.orders
        self._names = effects.names
        self._good: set[Nodes] = set()
        self._moved: dict[Nodes, tuple[tuple[str, Nodes], ...]] = {}
        self._quiet: dict[Nodes, Nodes] = {}
        self._actions = tuple(action for action in ASKED if action in catalogue())

    def none(self, state: Whole, promises: Promises) -> str:
        """Return why there is no way out of the state ("": there is one, or there need not be)."""
        if not self._expected(state.nodes, promises):
            return ""
        first = self.quiet(state.nodes)
        if first in self._good:
            return ""
        parents: dict[Nodes, Nodes | None] = {first: None}
        ahead = [(self._distance(first), 0, first)]
        while ahead and len(parents) < STATES_MAX:
            _, steps, nodes = heappop(ahead)
            if nodes in self._good or self._writes(nodes):
                self._remember(nodes, parents)
                return ""
            for _, after in self.moves(nodes):
                if after not in parents:
                    parents[after] = nodes
                    heappush(ahead, (2 * self._distance(after) + steps + 1, steps + 1, after))
        return f"P6: no requests lead to an acknowledged write ({len(parents)} states looked at)"

    def _distance(self, nodes: Nodes) -> int:
        """Estimate how many requests are left: only the order of the search rests on it."""
        if nodes in self._good:
            return 0
        return min(
            (self._distance_by(nodes, at) for at, name in enumerate(self._names) if name != "w"),
            default=0,
        )

    def _distance_by(self, nodes: Nodes, candidate: int) -> int:
        cluster, node = self._effects.cluster, self._node[nodes[candidate]]
        if node.lost:
            return 2 * len(nodes)
        streaming = set(self._effects.streams.from_primary(nodes, candidate))
        serving = node.state is State.RUNNING and serves(node)
        costs = sorted(
            self._cost_to_follow(nodes[at], node, serving=serving)
            for at, name in enumerate(self._names)
            if at != candidate and name != "w" and at not in streaming
        )
        followers = sum(costs[: max(0, cluster.quorum - len(streaming))])
        if serving:
            return followers
        name, standing = self._names[candidate], node.standing.pledged
        pledged = sum(self._node[each].standing.pledged == standing for each in nodes) if standing.node == name else 0
        behind = sum(len(self._node[each].log) > len(node.log) for each in nodes)
        up = int(node.state is not State.RUNNING) + int(is_open(node))
        return max(0, cluster.majority - pledged) + followers + up + 2 * behind + 1

    def _remember(self, nodes: Nodes, parents: dict[Nodes, Nodes | None]) -> None:
        here: Nodes | None = nodes
        while here is not None:
            self._good.add(here)
            here = parents[here]

    def _expected(self, nodes: Nodes, promises: Promises) -> bool:
        left = [place for place, number in enumerate(nodes) if not self._node[number].lost]
        data = [place for place in left if self._names[place] != "w"]
        cluster = self._effects.cluster
        held = {entry for place in data for entry in self._node[nodes[place]].log}
        kept = all(write in held for write, status in enumerate(promises.writes) if 0 < status < WEAKLY)
        gone = len(cluster.data_nodes) - len(data)
        comparable = gone == 0 or self._comparable(self.quiet(nodes), data)
        return len(left) >= cluster.majority and gone <= cluster.quorum and kept and comparable

    def _comparable(self, nodes: Nodes, data: list[int]) -> bool:
        """Tell whether all terms are told, or of one node at most not, and then the logs contain one another."""
        untold = sum(is_untold(self._facts(nodes[place], place)) for place in data)
        found = sorted((self._node[nodes[place]] for place in data), key=lambda node: len(node.log))
        contained = all(more.log[: len(less.log)] == less.log for less, more in pairwise(found))
        return untold == 0 or (untold == 1 and contained and not any(node.acting for node in found))

    def _facts(self, number: int, place: int) -> Facts:
        return self._orders.facts.values[self._orders.facts_number(number, self._names[place])]

    def _writes(self, nodes: Nodes) -> bool:
        """Tell whether a write would be acknowledged now, or (with too few left) wait for lost standbys alone."""
        data = sum(not self._node[each].lost for each, name in zip(nodes, self._names, strict=True) if name != "w")
        needed = min(self._effects.cluster.quorum, data - 1)
        return any(
            node.state is State.RUNNING
            and serves(node)
            and len(self._effects.streams.from_primary(nodes, at)) >= needed
            for at, node in enumerate(map(self._node.__getitem__, nodes))
        )

    def _cost_to_follow(self, number: int, primary: Node, *, serving: bool) -> int:
        node = self._node[number]
        if node.lost:
            return 0
        promised = 3 * int(serving and node.standing.pledged.term > primary.standing.granted.term)
        stands = int(node.state is not State.RUNNING) + int(node.standing.role == "primary") + int(is_open(node))
        return 1 + promised + stands

    # Moves ----------------------------------------------------------------------------------------------------------

    def quiet(self, nodes: Nodes) -> Nodes:
        """Return the nodes once all that is under way has come about, and the hands asked for have been lent."""
        found = self._quiet.get(nodes)
        if found is None:
            found = nodes
            for place in range(len(nodes)):
                found = self._settled_down(found, place)
            found = self._quiet[nodes] = self._effects.streams.quiet(found)
        return found

    def _settled_down(self, nodes: Nodes, place: int) -> Nodes:
        node = self._node[nodes[place]]._replace(weak=0, paused=-1)
        for late in node.late:
            run = self._environment.came(node, late)
            if run is not None:
                node = self._node[run.node]
        return (*nodes[:place], self._orders.nodes.number(node._replace(late=())), *nodes[place + 1 :])

    def moves(self, nodes: Nodes) -> tuple[tuple[str, Nodes], ...]:
        """Return what a person can ask for now, with the nodes afterwards."""
        found = self._moved.get(nodes)
        if found is None:
            found = self._moved[nodes] = tuple(self._moves(nodes))
        return found

    def _moves(self, nodes: Nodes) -> Iterator[tuple[str, Nodes]]:
        for place, name in enumerate(self._names):
            number = nodes[place]
            if self._node[number].lost:
                continue
            for settled in self._orders.asked(number):
                yield f"ask {name} for the outcome", self._after(nodes, place, settled.node, stopped=False)
            for action in self._actions:
                if self._orders.local(action, name, number):
                    yield from self._asked(nodes, place, action)

    def _asked(self, nodes: Nodes, place: int, action: str) -> Iterator[tuple[str, Nodes]]:
        orders, name = self._orders, self._names[place]
        reports = tuple(
            (peer, orders.facts_number(nodes[at], peer))
            for at, peer in enumerate(self._names)
            if at != place and not self._node[nodes[at]].lost
        )
        own = orders.facts_number(nodes[place], name)
        streaming = self._effects.streams.from_primary(nodes, place) if action == "demote" else []
        senders = tuple(self._names[each] for each in streaming)
        for argument in self._arguments(nodes, action):
            term = orders.term_of(Order(action, name, argument, 0, reports), own)
            order = Order(action, name, argument, term, reports)
            number = orders.orders.number(order)
            if term > self._effects.bounds.terms + TERMS_MORE or not orders.accepts(number, own, senders):
                continue
            source = nodes[self._names.index(argument)] if action == "reclone" else -1
            runs = [
                run
                for run in orders.runs(number, orders.ready(nodes[place]), source, senders)
                if run.how not in {"cut", "late"}
            ]
            for run in runs[-1:]:
                yield str(order), self._after(nodes, place, run.node, stopped=("stopped", 0) in run.events)

    def _arguments(self, nodes: Nodes, action: str) -> tuple[str, ...]:
        if action not in ARGUMENTS:
            return ("",)
        return tuple(name for at, name in enumerate(self._names) if name != "w" and not self._node[nodes[at]].lost)

    def _after(self, before: Nodes, place: int, number: int, *, stopped: bool) -> Nodes:
        after = (*before[:place], number, *before[place + 1 :])
        drained = self._effects.streams.drained(before, after, place) if stopped else []
        return self.quiet(drained[-1] if drained else after)
