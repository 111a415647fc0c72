"""What an agent's service and its observer need of an agent: one that looks, or one that acts as well.

An agent that only watches is no more than `Looking`: what acts is not among its methods.
"""

from typing import Protocol

from aerodb.protocol.cluster import Cluster
from aerodb.protocol.events import JournalMark, Trace
from aerodb.protocol.facts import Facts
from aerodb.protocol.holdings import HeldRequest
from aerodb.protocol.plan import Confirmation, Order, Trigger, Verdict
from aerodb.protocol.signed import Signed
from aerodb.rules.serving import Serving


class Eye(Protocol):
    """A look at the node over a connection of its own: so that whoever looks by it holds nobody else up."""

    def facts(self) -> Facts:
        """Return the facts now, without what a journal of requests has unfinished."""

    def trace(self) -> Trace | None:
        """Return what a running PostgreSQL tells of itself beyond its facts; None of a witness."""


class Holds(Protocol):
    """What tells what a node holds of the audit log and of requests."""

    def seen_size(self, within: int | None = None) -> int:
        """Return the log's size in records by the newest checkpoint seen (of at most `within` records, if given)."""

    def holdings(self, nonce: str) -> Signed:
        """Return what the node holds, signed together with the caller's `nonce`."""

    def request(self, request: str) -> HeldRequest:
        """Return what the journal holds of one request."""


class Looking(Protocol):
    """An agent that looks at its node, and says what it sees."""

    starting: bool
    """Whether PostgreSQL is being started together with the agent."""

    @property
    def name(self) -> str:
        """Return the node's name."""

    @property
    def cluster(self) -> Cluster:
        """Return the newest version of the configuration that the node has taken."""

    @property
    def speaks(self) -> tuple[str, ...]:
        """Return the rules in whose words the node can say all that must be said of it, the newest first."""

    @property
    def holder(self) -> Holds:
        """Return what tells what the node holds."""

    @property
    def trail(self) -> tuple[JournalMark, ...]:
        """Return what the journal of requests noted since this agent started, in order."""

    @property
    def unfinished(self) -> int:
        """Return how many requests were begun and not ended."""

    def eye(self, purpose: str) -> Eye:
        """Return a look of one's own; `purpose` becomes part of its connection's application_name."""

    def facts(self) -> Facts:
        """Return the node's facts now."""

    def remember(self, facts: Facts) -> None:
        """Note durably what facts show that nothing else would, if anything."""

    def report(self, nonce: str, facts: Facts, rules: str) -> Signed:
        """Return facts that were seen for this asking, signed for it, in the words of these rules."""

    def serving(self) -> Serving | None:
        """Return what PostgreSQL says for a load balancer; None if it does not answer."""

    def refused_as_primary(self, seen: Serving | None) -> str:
        """Return why the node does not serve as the primary, by what was seen; empty if it does."""

    def refused_as_standby(self, seen: Serving | None, lag_bytes_max: int | None) -> str:
        """Return why the node does not serve as a standby within this lag (None: any); empty if it does."""


class Acting(Looking, Protocol):
    """An agent that also acts on its node, by signed orders alone."""

    def judge(self, order: Order, facts: Facts) -> tuple[Verdict, ...]:
        """Return the verdicts on an order by the facts as they are now, running nothing."""

    def run(self, order: Order) -> Signed:
        """Run an order, and return its signed outcome."""

    def hold(self, order: Order) -> Signed:
        """Hold an order until its turn."""

    def trigger(self, trigger: Trigger) -> Signed:
        """Run the held order whose turn has come."""

    def withdraw(self, request: str) -> Signed:
        """Drop a held order."""

    def outcome(self, request: str, unverified: Confirmation) -> Signed:
        """Return what became of a request."""
