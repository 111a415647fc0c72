"""How WAL flows between the model's nodes: as PostgreSQL sends it, by timeline numbers and places, never by content."""

from itertools import combinations

from aerodb.protocol.facts import State
from tests.explorer.world import Interned, Node

MIXED = -2
"""What streams here would splice two histories."""


class Streams:
    """The flow between nodes by their numbers, each computed once; `names` are the members' in their order."""

    def __init__(self, nodes: Interned[Node], names: tuple[str, ...]) -> None:
        """Keep the numbering."""
        self._numbers, self.names = nodes, names
        self._node = nodes.values
        self._known: dict[tuple[int, int], int] = {}
        self._places = {name: place for place, name in enumerate(names)}

    def upstream(self, nodes: tuple[int, ...], place: int) -> int:
        """Return the place of whom the node is attached to, or -1."""
        attached = self._node[nodes[place]].attached
        return self._places[attached] if attached is not None else -1

    def received(self, standby: int, upstream: int) -> int:
        """Return the standby once it has received one entry more, itself where there is none, -1 if not connected."""
        found = self._known.get((standby, upstream))
        if found is None:
            found = self._known[standby, upstream] = self._stream(self._node[standby], self._node[upstream])
        return found

    def _stream(self, standby: Node, upstream: Node) -> int:
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
            return self._numbers.number(standby)
        after = standby.history
        while place + 1 < len(history) and history[place + 1][1] == end:
            place += 1
            after = (*after, history[place])
        return self._numbers.number(standby._replace(log=(*standby.log, upstream.log[end]), history=after))

    def mixed(self, nodes: tuple[int, ...]) -> str:
        """Return who streams from a node with another history, for PostgreSQL goes by the timeline's number."""
        for place, number in enumerate(nodes):
            upstream = self.upstream(nodes, place)
            if upstream >= 0 and self.received(number, nodes[upstream]) == MIXED:
                return f"{self.names[place]} and {self.names[upstream]} have different histories, and stream"
        return ""

    def from_primary(self, nodes: tuple[int, ...], place: int) -> list[int]:
        """Return the places of those that stream from the node itself."""
        return [
            each
            for each, number in enumerate(nodes)
            if each != place and self.upstream(nodes, each) == place and self.received(number, nodes[place]) >= 0
        ]

    def flushed_by(self, nodes: tuple[int, ...], primary: int, entry: int) -> int:
        """Return how many that stream from the primary itself have flushed past the place of its `entry`."""
        end = self._node[nodes[primary]].log.index(entry)
        return sum(len(self._node[nodes[each]].log) > end for each in self.from_primary(nodes, primary))

    def all_of(self, standby: int, upstream: int) -> int:
        """Return the standby once it has received all of the upstream's log."""
        received = self.received(standby, upstream)
        return standby if received in {-1, MIXED, standby} else self.all_of(received, upstream)

    def quiet(self, nodes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the nodes once everything has been received by all who stream."""
        while True:
            after = list(nodes)
            for place in range(len(nodes)):
                upstream = self.upstream(nodes, place)
                if upstream >= 0:
                    after[place] = self.all_of(after[place], after[upstream])
            if tuple(after) == nodes:
                return nodes
            nodes = tuple(after)

    def drained(self, before: tuple[int, ...], after: tuple[int, ...], place: int) -> list[tuple[int, ...]]:
        """Return the ways in which standbys receive all of the log of a primary that shut down."""
        serving = self._numbers.number(self._node[after[place]]._replace(state=State.RUNNING))
        able = self.from_primary(before, place)
        found = []
        for count in range(1, len(able) + 1):
            for some in combinations(able, count):
                nodes = list(after)
                for each in some:
                    nodes[each] = self.all_of(nodes[each], serving)
                found.append(tuple(nodes))
        return found
