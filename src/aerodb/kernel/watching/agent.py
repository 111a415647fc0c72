"""The agent of a node that is only watched: it looks, and says what it sees. It has no hands.

- By type: nothing of it runs, holds, starts, stops or judges an order, and nothing that it loads could.
- It pledges nothing and journals no request: it keeps no standing. Beside its lock and the journal of events it writes
  nothing.
- PostgreSQL is its owner's: it is neither started nor stopped with the agent, or with the host.
"""

from aerodb.kernel.alone import alone_in
from aerodb.kernel.errors import NodeFolderBroken, RequestUnknown
from aerodb.kernel.node import Node
from aerodb.kernel.watching.look import Look, Surroundings
from aerodb.past.speaking import report_in
from aerodb.protocol.authority import NodeRole
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.events import JournalMark, Trace
from aerodb.protocol.facts import Facts, Instance
from aerodb.protocol.holdings import HeldRequest, Holdings
from aerodb.protocol.signed import Signed, sign
from aerodb.protocol.watched import Watched, watched_standing
from aerodb.rules.explain import check_usable
from aerodb.rules.invariants import RULES
from aerodb.rules.serving import Serving, refused_as_watched_primary, refused_as_watched_standby

STANDING = "standing.json"
"""The file that an agent with hands keeps in the same folder."""
LEAST: NodeRole = "standby"
"""The role that is named until PostgreSQL was seen to run in one: the one that claims nothing."""


class WatchingAgent:
    """The agent of one node that is only watched."""

    starting = False
    """Nothing is ever started by it."""

    def __init__(self, node: Node) -> None:
        """Take the node's lock, and touch nothing else.

        Raises:
            NodeFolderBroken: the node is not one that is only watched, or its folder holds a standing.
            AgentAlone: another agent of the node is at work.
        """
        if node.watched is None:
            raise NodeFolderBroken(f"{node.folder} does not say where the PostgreSQL is that is watched")
        if (node.state / STANDING).exists():
            raise NodeFolderBroken(f"{node.state} holds the standing of an agent with hands, and is only to be watched")
        node.state.mkdir(mode=0o700, exist_ok=True)
        self._node, self._place = node, node.watched
        self._alone = alone_in(node.state)
        self._around = Surroundings(node)
        self._look = self._look_for("look")
        self._role = LEAST
        self._holder = NothingHeld(node)

    def _look_for(self, purpose: str) -> Look:
        return Look(self._node.name, self._place, self._around, purpose)

    @property
    def name(self) -> str:
        """Return the node's name."""
        return self._node.name

    @property
    def cluster(self) -> Cluster:
        """Return the configuration: a cluster that is only watched has one version."""
        return self._node.cluster

    @property
    def speaks(self) -> tuple[str, ...]:
        """Return the rules by which a node can be said to be only watched; by earlier ones it would be in charge."""
        return (RULES,)

    @property
    def holder(self) -> "NothingHeld":
        """Return what tells that the node holds nothing."""
        return self._holder

    @property
    def trail(self) -> tuple[JournalMark, ...]:
        """Return nothing: no request is journaled."""
        return ()

    @property
    def unfinished(self) -> int:
        """Return 0: no request is begun."""
        return 0

    # Facts ------------------------------------------------------------------------------------------------------

    def eye(self, purpose: str) -> "WatchingEye":
        """Return a look over a connection of its own."""
        return WatchingEye(self, self._look_for(purpose))

    def facts(self) -> Facts:
        """Return the node's facts now."""
        return self.facts_of(*self._look.now())

    def facts_of(self, instance: Instance, watched: Watched) -> Facts:
        """Return the facts of a look; where it does not tell the role, that in which PostgreSQL was last seen."""
        if instance.recovery is not None:
            self._role = "standby" if instance.recovery else "primary"
        return Facts(
            node=self._node.name,
            rules=RULES,
            configuration=self.cluster.digest,
            standing=watched_standing(self._role),
            instance=instance,
            unfinished=None,
            entries=0,
            checkpoint="",
            epoch=self.cluster.epoch,
            watched=watched,
        )

    def remember(self, facts: Facts) -> None:
        """Note nothing: what a watched node acknowledged is its owner's."""

    def report(self, nonce: str, facts: Facts, rules: str = RULES) -> Signed:
        """Return facts that were seen for this asking, signed for it, in the words of the rules that it is for."""
        return sign(report_in(rules, self.cluster.id, nonce, facts), self._node.name, self._node.key)

    # Load balancers -----------------------------------------------------------------------------------------------

    def serving(self) -> Serving | None:
        """Return what PostgreSQL says for a load balancer; None if it does not answer."""
        return self._look.serving()

    def refused_as_primary(self, seen: Serving | None) -> str:
        """Return why the node does not serve as a primary, by what PostgreSQL says alone; empty if it does."""
        return refused_as_watched_primary(seen)

    def refused_as_standby(self, seen: Serving | None, lag_bytes_max: int | None) -> str:
        """Return why the node does not serve as a standby within this lag (None: any); empty if it does."""
        return refused_as_watched_standby(seen, lag_bytes_max)


class WatchingEye:
    """A look at a watched node over a connection of its own."""

    def __init__(self, agent: WatchingAgent, look: Look) -> None:
        """Look for `agent`."""
        self._agent, self._look = agent, look

    def facts(self) -> Facts:
        """Return the facts now."""
        return self._agent.facts_of(*self._look.now())

    def trace(self) -> Trace:
        """Return what PostgreSQL tells of itself beyond its facts.

        Raises:
            PostgresUnreachable, StatementFailed: it does not answer, or refuses.
        """
        return self._look.trace()


class NothingHeld:
    """Tells that a node holds nothing of the audit log, and no request: nobody has shown it any."""

    def __init__(self, node: Node) -> None:
        """Sign as `node`."""
        self._node = node

    def seen_size(self, within: int | None = None) -> int:
        """Return 0: no checkpoint was seen, `within` how many records ever."""
        del within
        return 0

    def holdings(self, nonce: str) -> Signed:
        """Return that the node holds nothing, signed together with the caller's `nonce`."""
        document = Holdings(
            cluster=self._node.cluster.id,
            node=self._node.name,
            nonce=nonce,
            checkpoints=(),
            given_up=(),
            requests=(),
        )
        return sign(document, self._node.name, self._node.key)

    def request(self, request: str) -> HeldRequest:
        """Refuse to tell of a request: no journal knows one.

        Raises:
            RequestMalformed: `request` is not a request's id.
            RequestUnknown: whatever it is.
        """
        check_usable(request)
        raise RequestUnknown(f"{self._node.name} is only watched, and journals no request", request=request)
