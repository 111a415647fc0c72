"""One node's hands in memory: every step of an operation changes one abstract node.

An operation is run again from its beginning with what the hands answered before, so it can be cut before any step that
changes something, and resumed, with anything happening in between.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

from aerodb.errors import AeroError
from aerodb.protocol.authority import Grant, Pledge, Standing
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import Signed
from tests.explorer.world import ROW, SHUTDOWN, Node, facts_of, signed_by

T = TypeVar("T")
CROSSED = "crossed"
"""What the journal holds of an operation that has come to the first step by which its effect can happen."""


class Impossible(AeroError):
    """PostgreSQL would refuse this step as the node is now."""

    code = "explorer.impossible"


class Cut(NamedTuple):
    """An operation that goes no further for now: the node, what the hands have answered, and what has happened."""

    node: Node
    replies: tuple[object, ...]
    events: tuple[tuple[str, int], ...]


class MemoryHands:
    """The hands of `name`; `replies` were given before. `cuts` collects where the operation could be cut."""

    def __init__(self, cluster: Cluster, name: str, node: Node, term: int, replies: tuple[object, ...]) -> None:
        """Begin, or go on, with an operation in the plan's `term`."""
        self.node = node
        self.replies = list(replies)
        self.events: list[tuple[str, int]] = []
        self._cluster, self._name, self._term = cluster, name, term
        self._next, self._changes = 0, 0
        self.cuts: list[Cut] = []

    def _reply(self, answer: Callable[[], T]) -> T:
        if self._next == len(self.replies):
            self.replies.append(answer())
        self._next += 1
        return cast("T", self.replies[self._next - 1])

    def _change(self, change: Callable[[], T]) -> T:
        if self._next == len(self.replies):
            if self._changes:
                self.cuts.append(Cut(self.node, tuple(self.replies), tuple(self.events)))
            self._changes += 1
        return self._reply(change)

    def _set(self, **fields: object) -> None:
        self.node = self.node._replace(**fields)  # type: ignore[arg-type]

    def _need(self, *, running: bool) -> None:
        if (self.node.state is State.RUNNING) is not running:
            raise Impossible(f"PostgreSQL on {self._name} is {self.node.state}")

    def look(self) -> Facts:
        """Return the node's facts as they are now."""
        return self._reply(lambda: self.see(facts_of(self.node, self._name, self._cluster, under_way=True)))

    @staticmethod
    def see(facts: Facts) -> Facts:
        """Return the facts as the node's agent takes them; a mutant takes them otherwise."""
        return facts

    def standing(self) -> Standing:
        """Return the durable standing."""
        return self._reply(lambda: self.node.standing)

    def write_standing(self, standing: Standing) -> None:
        """Make `standing` the durable standing."""
        self._change(lambda: self._set(standing=standing))

    def sign(self, document: Pledge | Grant) -> Signed:
        """Return `document` signed."""
        return signed_by(self._name, document)

    def cross(self, request: str) -> None:
        """Note that the effect can happen from now on."""
        del request
        self._reply(lambda: CROSSED)

    def detach(self) -> None:
        """Cut the receiver; a witness has none."""
        if self._name != "w":
            self._change(self._detach)

    def _detach(self) -> None:
        self._set(attached=None)

    def attach(self, upstream: str) -> None:
        """Name the upstream; a PostgreSQL that is down becomes a standby by its signal file."""
        down = self.node.state is not State.RUNNING
        self._change(lambda: self._set(attached=upstream, recovery=down or self.node.recovery))

    def checkpoint(self) -> None:
        """Change nothing that matters."""

    def stop(self) -> None:
        """Shut down; out of recovery, a shutdown checkpoint ends the log."""
        self._change(self._stop)

    def _stop(self) -> None:
        self._need(running=True)
        log = self.node.log if self.node.recovery else (*self.node.log, SHUTDOWN)
        self.events.append(("stopped", 0))
        self._set(state=State.STOPPED, acting=0, log=log)

    def start(self) -> None:
        """Start in the durable standing's role, where the folder agrees with it."""
        self._change(self._start)

    def _start(self) -> None:
        self._need(running=False)
        standing = self.node.standing
        standby = standing.role == "standby"
        if self.node.recovery and not standby:
            raise Impossible(f"the folder of {self._name} would not start as its standing says")
        term = 0 if standby else standing.granted.term
        if term:
            self.events.append(("acts", term))
        self._set(state=State.RUNNING, acting=term, recovery=standby)

    def promote(self) -> None:
        """Leave recovery, on a new timeline: the next number that this node knows to be free."""
        self._change(self._promote)

    def _promote(self) -> None:
        self._need(running=True)
        if not self.node.recovery:
            raise Impossible(f"{self._name} is not in recovery")
        self.events.append(("elected", self._term))
        branch = (self.node.history[-1][0] + 1, len(self.node.log))
        self._set(recovery=False, attached=None, acting=self._term, history=(*self.node.history, branch))

    def write_term(self, term: int, quorum: int) -> Lsn:
        """Write the term's row; from here on the primary acts in that term."""
        del quorum
        self._change(lambda: self._write_term(term))
        return self._reply(lambda: Lsn(len(self.node.log)))

    def _write_term(self, term: int) -> None:
        self._need(running=True)
        if self.node.recovery:
            raise Impossible(f"{self._name} is in recovery")
        self.events.append(("elected", term))
        self._set(log=(*self.node.log, ROW + term), acting=max(self.node.acting, term))

    def quorum(self) -> int:
        """Return k, as configured."""
        return self._cluster.quorum

    def fits(self, upstream: str) -> None:
        """Refuse: copies are not explored."""
        raise Impossible(upstream)

    def copy(self, upstream: str) -> Lsn:
        """Refuse: copies are not explored."""
        raise Impossible(upstream)

    def swap(self) -> None:
        """Refuse: copies are not explored."""
        raise Impossible(self._name)
