"""One node's hands in memory: every step of an operation changes one abstract node.

- An operation is run again from its beginning with what the hands answered before, so it can be cut before any step
  that changes something, and resumed, with anything happening in between.
- A step that PostgreSQL is told to do can come later than the operation waits for it: `late` collects these ends.
- The step by which an operation's effect happens is known here, apart from the rules: outcomes are held against it.
"""

from collections.abc import Callable
from typing import NamedTuple, Self, TypeVar, cast

from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.protocol.authority import Grant, Pledge, Standing
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import Signed
from tests.explorer.reports import facts_of, streamed_to
from tests.explorer.world import BESIDE, OURS, RECOVERED, ROW, SHUTDOWN, Copy, Late, Node, Running, signed_by

T = TypeVar("T")
CROSSED = "crossed"
"""What the journal holds of an operation that has come to the first step by which its effect can happen."""

EFFECT = {
    "demote": "stop", "fence": "pledge", "follow": "attach", "promote": "promote", "reclone": "swap", "renew": "row",
    "restart": "stop", "start": "start", "stop": "stop",
}  # fmt: skip
"""The step by which each action's effect happens."""


class Impossible(AeroError):
    """PostgreSQL would refuse this step as the node is now."""

    code = "explorer.impossible"


class Cut(NamedTuple):
    """An operation that goes no further for now: the node, the hands' answers, and what happened."""

    node: Node
    replies: tuple[object, ...]
    events: tuple[tuple[str, int], ...]
    happened: bool
    crossed: bool


def is_open(node: Node) -> bool:
    """Tell whether an operation on the node was begun and not ended."""
    return node.operation is not None or bool(node.left)


def noted(node: Node, kind: str, effect_of: Callable[[Running], str], *, own: bool) -> Node:
    """Return the node with the effect of its open operations noted: their `own`, or come about by somebody's hand."""

    def note(operation: Running) -> Running:
        if effect_of(operation) != kind:
            return operation
        return operation._replace(happened=operation.happened or (own and operation.crossed), came=True)

    operation = note(node.operation) if node.operation is not None else None
    return node._replace(operation=operation, left=tuple(note(each) for each in node.left))


def stopped(node: Node) -> Node:
    """Return the node shut down cleanly; out of recovery, a shutdown checkpoint ends the log."""
    log = node.log if node.recovery else (*node.log, SHUTDOWN)
    return node._replace(state=State.STOPPED, acting=0, lawless=False, log=log, late=(), paused=-1)


def promoted(node: Node, term: int, name: str = "") -> Node:
    """Return the node out of recovery, on a new timeline: the next number that it knows to be free.

    What it writes first is like nothing that is written elsewhere: by hand, each node called `name` writes its own.
    """
    branch = (node.history[-1][0] + 1, len(node.log))
    log = (*node.log, RECOVERED + term - (int(name[1:]) if name else 0))
    return node._replace(recovery=False, attached=None, acting=term, log=log, history=(*node.history, branch),
                         paused=-1, served=True)  # fmt: skip


def started(node: Node, term: int) -> Node:
    """Return the node running, in recovery or as a primary of `term`, or of the later one whose row it has written."""
    if term and node.standing.role == "primary" and ROW + node.standing.pledged.term in node.log:
        term = max(term, node.standing.pledged.term)
    if node.weak and not node.recovery:
        node = node._replace(standing=replace(node.standing, weakened=True))
    weak, starts = OURS if node.weak else 0, node.starts + is_open(node)
    return node._replace(state=State.RUNNING, acting=0 if node.recovery else term, weak=weak, starts=starts,
                         served=not node.recovery)  # fmt: skip


class MemoryHands:
    """The hands of `name`; `replies` were given before. `cuts` and `lates` collect where the operation could end."""

    def __init__(
        self, cluster: Cluster, name: str, node: Node, work: tuple[str, int], replies: tuple[object, ...] = (),
        source: Node | None = None,
    ) -> None:  # fmt: skip
        """Begin, or go on, with an operation: `work` is the action and the plan's term; a copy is made of `source`."""
        self.node = node
        self.replies = list(replies)
        self.events: list[tuple[str, int]] = []
        self._cluster, self._name, self._source = cluster, name, source
        self._action, self._term = work
        self._next = 0
        self.happened = node.operation is not None and node.operation.happened
        self.crossed = node.operation is not None and node.operation.crossed
        self.senders: tuple[str, ...] = ()
        self.cuts: list[Cut] = []
        self.lates: list[Cut] = []

    def _reply(self, answer: Callable[[], T]) -> T:
        if self._next == len(self.replies):
            self.replies.append(answer())
        self._next += 1
        return cast("T", self.replies[self._next - 1])

    def _change(self, change: Callable[[], T]) -> T:
        if self._next == len(self.replies):
            self.cuts.append(self._cut(self.node))
        return self._reply(change)

    def _cut(self, node: Node) -> Cut:
        return Cut(node, tuple(self.replies), tuple(self.events), self.happened, self.crossed)

    def _set(self, **fields: object) -> None:
        self.node = self.node._replace(**fields)  # type: ignore[arg-type]

    def _need(self, *, running: bool) -> None:
        if (self.node.state is State.RUNNING) is not running or self.node.state is State.UNREACHABLE:
            raise Impossible(f"PostgreSQL on {self._name} is {self.node.state}")

    def _later(self, kind: str, term: int, **fields: object) -> None:
        """Note that the operation can end here, with PostgreSQL told to do it and not done."""
        node = self.node._replace(late=(*self.node.late, Late(kind, term)), **fields)  # type: ignore[arg-type]
        self.lates.append(self._cut(node))

    def _effect(self, kind: str) -> None:
        self.happened = self.happened or EFFECT[self._action] == kind

    @property
    def process(self) -> Self:
        """Return these very hands: one abstract node has all subjects in one value, and a mutant changes any step."""
        return self

    replication = data = settings = process

    def look(self) -> Facts:
        """Return the node's facts as they are now."""
        return self._reply(self._look)

    def _look(self) -> Facts:
        facts = streamed_to(facts_of(self.node, self._name, self._cluster, under_way=True), self.senders)
        return self.see(facts)

    @staticmethod
    def see(facts: Facts) -> Facts:
        """Return the facts as the node's agent takes them; a mutant takes them otherwise."""
        return facts

    def standing(self) -> Standing:
        """Return the durable standing."""
        return self._reply(lambda: self.node.standing)

    def accept_log(self, request: str) -> int:
        """Give up what was seen of the log: there is none in this world."""
        raise Impossible(f"{request}: there is no log here")

    def take_version(self, document: str) -> None:
        """Take a version of the configuration: there is one alone in this world."""
        raise Impossible(f"{document}: there is one configuration here")

    def write_standing(self, standing: Standing) -> None:
        """Make `standing` the durable standing."""
        self._change(lambda: self._write_standing(standing))

    def _write_standing(self, standing: Standing) -> None:
        self._set(standing=standing)
        if self.crossed and standing.pledge is not None and standing.pledged.term == self._term:
            self._effect("pledge")

    def sign(self, document: Pledge | Grant, rules: str) -> Signed:
        """Return `document` signed; the rules here are always this build's."""
        del rules
        return signed_by(self._name, document)

    def cross(self, request: str) -> None:
        """Note that the effect can happen from now on."""
        del request
        self._reply(self._cross)

    def _cross(self) -> None:
        self.crossed = True

    def detach(self) -> None:
        """Cut the receiver; a witness has none."""
        if self._name != "w":
            self._change(self._detach)

    def _detach(self) -> None:
        self._set(attached=None)
        if 0 <= self.node.paused < len(self.node.log):
            raise Impossible(f"{self._name} has not replayed all that it received")

    def attach(self, upstream: str) -> None:
        """Name the upstream; a PostgreSQL that is down becomes a standby by its signal file."""
        self._change(lambda: self._attach(upstream))

    def _attach(self, upstream: str) -> None:
        down = self.node.state is not State.RUNNING
        self._set(attached=upstream, recovery=down or self.node.recovery)
        self._effect("attach")

    def checkpoint(self) -> None:
        """Change nothing that matters."""

    def stop(self) -> None:
        """Shut down; out of recovery, a shutdown checkpoint ends the log."""
        self._change(self._stop)

    def _stop(self) -> None:
        if self.node.state is State.UNREACHABLE:
            self._set(state=State.CRASHED, late=())
            self._effect("stop")
            return
        self._need(running=True)
        self._later("stop", 0, state=State.UNREACHABLE, acting=0)
        self.events.append(("stopped", 0))
        self.node = stopped(self.node)
        self._effect("stop")

    def start(self) -> None:
        """Start in the durable standing's role, where the folder agrees with it."""
        self._change(self._start)

    def _start(self) -> None:
        self._need(running=False)
        standing = self.node.standing
        if standing.role == "standby":
            self._set(recovery=True)
        if self.node.recovery is not (standing.role == "standby"):
            raise Impossible(f"the folder of {self._name} would not start as its standing says")
        term = 0 if self.node.recovery else standing.granted.term
        self._later("start", term, state=State.UNREACHABLE)
        if term:
            self.events.append(("acts", term))
        starts = self.node.starts + 1  # Its own operation is open, be it that nothing else is.
        self.node = started(self.node, term)._replace(starts=starts)
        self._effect("start")

    def promote(self) -> None:
        """Leave recovery, on a new timeline."""
        self._change(self._promote)

    def _promote(self) -> None:
        self._need(running=True)
        if not self.node.recovery:
            raise Impossible(f"{self._name} is not in recovery")
        self._later("promote", self._term)
        self.events.append(("elected", self._term))
        self.node = promoted(self.node, self._term)
        self._effect("promote")

    def write_term(self, term: int, quorum: int, epoch: int) -> Lsn:
        """Write the term's row; from here on the primary acts in that term."""
        del quorum, epoch
        self._change(lambda: self._write_term(term))
        return self._reply(lambda: Lsn(len(self.node.log)))

    def _write_term(self, term: int) -> None:
        self._need(running=True)
        if self.node.recovery:
            raise Impossible(f"{self._name} is in recovery")
        self._later("row", term)
        self.events.append(("elected", term))
        self.node = rowed(self.node, term)
        self._effect("row")

    def reload(self) -> None:
        """Change nothing that matters: what proofs rest on is taken up by attaching and detaching alone."""

    def quorum(self) -> int:
        """Return k, as configured."""
        return self._cluster.quorum

    def fits(self, upstream: str) -> None:
        """Change nothing: there is room for every copy."""

    def copy(self, upstream: str) -> Lsn:
        """Copy the upstream's folder as it is at this moment; return where its log ends."""
        self._change(lambda: self._copy(upstream))
        return self._reply(lambda: Lsn(len(self.node.copied.log) if self.node.copied else 0))

    def _copy(self, upstream: str) -> None:
        source = self._source
        if source is None or source.state is not State.RUNNING:
            raise Impossible(f"nothing can be copied from {upstream}")
        self._set(copied=Copy(source.log, source.history))

    def swap(self) -> None:
        """Put the copied folder in use."""
        self._change(self._swap)

    def _swap(self) -> None:
        self._need(running=False)
        copied = self.node.copied
        if copied is None:
            raise Impossible(f"{self._name} has no copied folder")
        self._set(log=copied.log, history=copied.history, recovery=True, folder=self.node.folder + 1, copied=None,
                  state=State.CRASHED, served=False)  # fmt: skip
        self._effect("swap")


def rowed(node: Node, term: int) -> Node:
    """Return the node with the term's row written; it acts in that term from here on."""
    return node._replace(log=(*node.log, ROW + term), acting=max(node.acting, term))


def weakened(node: Node) -> Node:
    """Return the node with its synchronous policy emptied by hand."""
    return node._replace(weak=BESIDE)
