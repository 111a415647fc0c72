"""What follows from a step: writes that can be acknowledged are, elections are noted, and every property is checked."""

from typing import NamedTuple

from tests.explorer.orders import Dropped, Orders, Run
from tests.explorer.promises import (
    Broken,
    Election,
    Promises,
    acknowledged,
    acting,
    elected,
    gone,
    primary_of,
    waits,
)
from tests.explorer.streams import Streams
from tests.explorer.world import COUNTED, Bounds, Interned, Node, cluster_of, first_node

DIGIT = 8
_PLACES: dict[str, int] = {name: DIGIT**place for place, name in enumerate(COUNTED)}


def used_up(used: int, name: str) -> int:
    """Return how often what is counted as `name` has happened, by the number that counts everything."""
    counted: int = used // _PLACES[name] % DIGIT
    return counted


class Ahead(NamedTuple):
    """A promotion that the node at `place` holds, until the demotion of the one at `primary` is executed.

    `turn`: it is, and that one has signed it. `said` are the reports that were made since, by number. `dropped`: its
    node has signed that it holds it no more (only a mutant goes on with it).
    """

    order: int
    place: int
    primary: int
    turn: bool = False
    said: tuple[tuple[str, int], ...] = ()
    dropped: bool = False


class Whole(NamedTuple):
    """One state of everything: nodes and promises by number, a plan under way (-1: none), and what was used up.

    `ahead` is an order that is held. `refused` says that the target of the plan under way has signed "not executed"
    for it.
    """

    nodes: tuple[int, ...]
    promises: int
    plan: int
    used: int
    refused: bool = False
    ahead: Ahead | None = None

    def with_node(self, place: int, node: int) -> "Whole":
        """Return the state with one node changed."""
        return self._replace(nodes=(*self.nodes[:place], node, *self.nodes[place + 1 :]))

    def using(self, name: str) -> "Whole":
        """Return the state with one more of what is counted as `name` used up."""
        return self._replace(used=self.used + _PLACES[name])


class Found(NamedTuple):
    """One step: what happened, the state after it, and the property that it breaks ("": none)."""

    label: str
    state: Whole
    broken: str


class Effects:
    """One configuration: its members, the numberings, and what steps lead to."""

    def __init__(self, bounds: Bounds, dropped: Dropped) -> None:
        """Begin with nothing known."""
        self.bounds, self.dropped = bounds, dropped
        self.cluster = cluster_of(bounds.data, bounds.quorum, witness=bounds.witness)
        self.names = tuple(member.name for member in self.cluster.members)
        self.orders = Orders(self.cluster, dropped)
        self.streams = Streams(self.orders.nodes, self.names)
        self.promises: Interned[Promises] = Interned()
        self.everyone = frozenset(range(len(self.names)))
        self._node = self.orders.nodes.values

    def first(self) -> Whole:
        """Return the state of a new cluster."""
        nodes = tuple(self.orders.nodes.number(first_node(name)) for name in self.names)
        return Whole(nodes, self.promises.number(Promises((), (Election(1, 0, frozenset()),))), -1, 0)

    def left(self, state: Whole, name: str) -> bool:
        """Tell whether what is counted as `name` may happen once more."""
        most = getattr(self.bounds, name)
        return bool(most) and used_up(state.used, name) < most

    def dropping(self, state: Whole, place: int) -> Whole:
        """Return the state once the node at `place` holds no order any more, and has signed that."""
        if state.ahead is None or state.ahead.place != place:
            return state
        kept = state.ahead._replace(dropped=True) if self.dropped.ahead == "kept" else None
        return state._replace(ahead=kept)

    def after(self, label: str, state: Whole, promises: Promises) -> Found:
        """Acknowledge what can be acknowledged, and check."""
        try:
            for write, status in enumerate(promises.writes):
                if waits(status):
                    promises = self._acknowledged(state, promises, write, primary_of(status))
        except Broken as broken:
            return Found(label, state, str(broken))
        mixed = self.streams.mixed(state.nodes)
        if mixed:
            return Found(label, state, f"P4: {mixed}")
        return Found(label, state._replace(promises=self.promises.number(promises)), "")

    def _acknowledged(self, state: Whole, promises: Promises, write: int, place: int) -> Promises:
        node = self._node[state.nodes[place]]
        if not node.acting or write not in node.log:
            return promises
        flushed = self.streams.flushed_by(state.nodes, place, write) >= self.bounds.quorum
        if flushed or (node.weak and promises.writes[write] < 0):
            return acknowledged(promises, write, node, place, flushed=flushed)
        return promises

    def ran(
        self, label: str, state: Whole, promises: Promises, place: int, run: Run, reported: frozenset[int] | None = None
    ) -> list[Found]:
        """Return what a run on the node at `place` comes to; an election in it rests on those who `reported`."""
        after, node = state.with_node(place, run.node), self._node[run.node]
        if run.broken:
            return [Found(label, after, run.broken)]
        try:
            for kind, term in run.events:
                if kind == "elected":
                    promises = elected(promises, term, place, node, self.everyone if reported is None else reported)
                elif kind == "acts":
                    acting(promises, term, place)
                else:
                    promises = gone(promises, place)
        except Broken as broken:
            return [Found(label, after, str(broken))]
        found = [self.after(label, after, promises)]
        if ("stopped", 0) in run.events:
            for nodes in self.streams.drained(state.nodes, after.nodes, place):
                whole = after._replace(nodes=nodes)
                found.append(self.after(f"{label}, and {self._received(after, whole)} all of its log", whole, promises))
        return found

    def _received(self, before: Whole, after: Whole) -> str:
        pairs = zip(self.names, before.nodes, after.nodes, strict=True)
        return f"{', '.join(name for name, old, new in pairs if old != new) or 'nobody'} receives"

    def changed(self, label: str, state: Whole, promises: Promises, place: int, node: Node) -> Found:
        """Return what a change of the node at `place` comes to."""
        return self.after(label, state.with_node(place, self.orders.nodes.number(node)), promises)
