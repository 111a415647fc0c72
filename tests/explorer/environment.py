"""What happens by itself, or by people's hands past AeroDB: clients, WAL, crashes, losses, effects that come late.

A hand's step is bounded by what `promises` says can be promised beside it; the gate of `rules` is for what starts
PostgreSQL with its host.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from aerodb.protocol.facts import State
from aerodb.rules.gate import Files, refusal
from tests.explorer.effects import Effects, Found, Whole
from tests.explorer.hands import is_open, noted, promoted, rowed, started, stopped
from tests.explorer.orders import Run
from tests.explorer.promises import Promises, gone
from tests.explorer.world import BESIDE, BY_HAND, Late, Node, first_node, identity

DOWN = {State.STOPPED, State.CRASHED}


class Environment:
    """The steps that no operator asks AeroDB for."""

    def __init__(self, effects: Effects) -> None:
        """Keep what steps lead to."""
        self._effects, self._bounds = effects, effects.bounds
        self._node, self._number = effects.orders.nodes.values, effects.orders.nodes.number

    def steps(self, state: Whole, promises: Promises, place: int) -> Iterator[Found]:
        """Yield what can happen to the node at `place`."""
        node = self._node[state.nodes[place]]
        if node.lost:
            return
        yield from self._data(state, promises, place, node)
        if self._effects.names[place] != "w":
            yield from self._process(state, promises, place, node)
            for late in node.late:
                yield from self._late(state, promises, place, node, late)
            yield from self._hands(state, promises, place, node)
        if self._effects.left(state, "losses"):
            yield self._lost(state, promises, place)

    # Data -----------------------------------------------------------------------------------------------------------

    def _data(self, state: Whole, promises: Promises, place: int, node: Node) -> Iterator[Found]:
        name, effects = self._effects.names[place], self._effects
        if node.acting and len(promises.writes) < self._bounds.writes:
            write = len(promises.writes)
            waiting = promises._replace(writes=(*promises.writes, -1 - place))
            written = node._replace(log=(*node.log, write))
            yield effects.changed(f"a client writes {write} on {name}", state, waiting, place, written)
        if node.attached is not None:
            upstream = effects.streams.upstream(state.nodes, place)
            received = effects.streams.received(state.nodes[place], state.nodes[upstream])
            if received not in {-1, state.nodes[place]}:
                label = f"{name} receives an entry from {effects.names[upstream]}"
                yield effects.after(label, state.with_node(place, received), promises)

    # Processes ------------------------------------------------------------------------------------------------------

    def _process(self, state: Whole, promises: Promises, place: int, node: Node) -> Iterator[Found]:
        name, effects = self._effects.names[place], self._effects
        if node.state not in DOWN:
            if effects.left(state, "crashes"):
                down = node._replace(state=State.CRASHED, acting=0, lawless=False, late=(), paused=-1)
                after = state.using("crashes")
                yield effects.changed(f"{name} crashes", after, gone(promises, place), place, down)
        elif node.state in DOWN and not refusal("standing", name, node.standing, _files(node)):
            term = 0 if node.recovery else node.standing.granted.term
            up = started(node, term)._replace(weak=BESIDE if node.weak else 0)
            run = Run(self._number(up), (("acts", term),) if term else (), "whole")
            yield from effects.ran(f"{name} starts with its host", state, promises, place, run)

    def _late(self, state: Whole, promises: Promises, place: int, node: Node, late: Late) -> Iterator[Found]:
        """Yield an effect that comes after the operation's wait for it has ended."""
        run = self.came(node, late)
        if run is None:
            return
        label = f"what {self._effects.names[place]} was told comes about at last: {late.kind}"
        if late.denied:
            yield Found(label, state, f"P5: {late.kind} happens, and it was said that it never would")
            return
        yield from self._effects.ran(label, state, promises, place, run)

    def came(self, node: Node, late: Late) -> Run | None:
        """Return what comes of an effect that was told of, where it still can."""
        rest = tuple(each for each in node.late if each is not late)
        before = self._noted(node._replace(late=rest), late.kind, own=True)
        if late.kind == "stop" and node.state is State.UNREACHABLE:
            return Run(self._number(stopped(before)), (("stopped", 0),), "late")
        if late.kind == "start" and node.state is State.UNREACHABLE:
            events = (("acts", late.term),) if late.term else ()
            return Run(self._number(started(before, late.term)), events, "late")
        if node.state is not State.RUNNING:
            return None
        if late.kind == "promote" and node.recovery:
            return Run(self._number(promoted(before, late.term)), (("elected", late.term),), "late")
        if late.kind == "row" and not node.recovery:
            return Run(self._number(rowed(before, late.term)), (("elected", late.term),), "late")
        return None

    def _noted(self, node: Node, kind: str, *, own: bool) -> Node:
        return noted(node, kind, self._effects.orders.effect_of, own=own)

    # Hands ----------------------------------------------------------------------------------------------------------

    def _hands(self, state: Whole, promises: Promises, place: int, node: Node) -> Iterator[Found]:
        name, effects = self._effects.names[place], self._effects
        if effects.left(state, "hands"):
            for kind in self._bounds.by_hand:
                run = self._by_hand(kind, name, node)
                if run is not None:
                    yield from effects.ran(
                        f"somebody's hand on {name}: {kind}", state.using("hands"), promises, place, run
                    )
        if effects.left(state, "weakenings") and not node.weak:
            served = node.state is State.RUNNING and node.acting > 0
            standing = replace(node.standing, weakened=node.standing.weakened or served)
            weak = node._replace(weak=BESIDE, standing=standing)
            label = f"somebody empties the synchronous policy on {name}"
            yield effects.changed(label, state.using("weakenings"), promises, place, weak)
        if node.weak:
            yield effects.changed(
                f"somebody puts the synchronous policy on {name} back", state, promises, place, node._replace(weak=0)
            )
        if node.paused >= 0:
            yield effects.changed(f"replay on {name} goes on", state, promises, place, node._replace(paused=-1))
        elif effects.left(state, "pauses") and node.state is State.RUNNING and node.recovery:
            paused = node._replace(paused=len(node.log))
            yield effects.changed(f"replay on {name} stands still", state.using("pauses"), promises, place, paused)

    def _by_hand(self, kind: str, name: str, node: Node) -> Run | None:
        before = self._noted(node, kind, own=False)
        if kind == "start" and node.state in DOWN:
            return self._started_by_hand(name, before)
        if node.state is not State.RUNNING:
            return None
        if kind == "stop":
            return Run(self._number(stopped(before)), (("stopped", 0),), "whole")
        if kind == "promote" and node.recovery:
            return Run(self._number(promoted(before, BY_HAND, name)._replace(attached=before.attached)), (), "whole")
        return None

    def _started_by_hand(self, name: str, node: Node) -> Run:
        if node.recovery:
            starts = node.starts + is_open(node)
            return Run(self._number(node._replace(state=State.RUNNING, starts=starts, served=False)), (), "whole")
        standing = node.standing
        term = standing.granted.term if standing.granted.node == name else BY_HAND
        lawless = term != BY_HAND and standing.pledged.term > term and standing.pledged.node != name
        starts = node.starts + is_open(node)
        standing = replace(standing, weakened=standing.weakened or (bool(node.weak) and term > 0))
        up = node._replace(
            standing=standing, state=State.RUNNING, acting=term, lawless=lawless, starts=starts, served=True
        )
        return Run(self._number(up), (("acts", term),) if term != BY_HAND else (), "whole")

    def _lost(self, state: Whole, promises: Promises, place: int) -> Found:
        name = self._effects.names[place]
        never = first_node(name)._replace(state=State.CRASHED, attached=None, log=(), acting=0, lost=True)
        label = f"{name} is lost for ever"
        return self._effects.changed(label, state.using("losses"), gone(promises, place), place, never)


def _files(node: Node) -> Files:
    """Return what a node's files say while it is down."""
    stopped_as, served = ("shut down", "in production"), node.served
    clean = 0 if node.state is State.STOPPED else 1
    return Files(
        control=stopped_as[clean] if served else ("shut down in recovery", "in archive recovery")[clean],
        signal=node.recovery, copied=False, attached=node.attached, unfinished="it" if is_open(node) else None,
        identity=identity(node.folder),
    )  # fmt: skip
