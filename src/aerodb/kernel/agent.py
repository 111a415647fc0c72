"""The agent: its node's facts, its orders, and its life with the host.

- One agent a node: the system holds its lock for as long as the process lives.
- At start it looks, and touches nothing. It never retries and never rolls forward.
- What became of an unfinished request is judged from PostgreSQL's own state at the commit point, when asked.
"""

from contextlib import suppress

import msgspec

from aerodb.kernel.aftermath import Aftermath
from aerodb.kernel.alone import alone_in
from aerodb.kernel.answers import Answers
from aerodb.kernel.errors import OnlyWatched
from aerodb.kernel.gate import lets_start
from aerodb.kernel.hands import NodeHands
from aerodb.kernel.holder import Holder
from aerodb.kernel.holding import Holding
from aerodb.kernel.node import Node
from aerodb.kernel.orders import OrderParts, Orders
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.store import Begun, Store
from aerodb.kernel.turns import Turns
from aerodb.kernel.versions import TakenVersions
from aerodb.logs import say
from aerodb.past.speaking import SPOKEN, report_in
from aerodb.protocol.authority import Standing
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.events import JournalMark, Trace
from aerodb.protocol.facts import UNDER_WAY, Facts, Instance, Unfinished
from aerodb.protocol.plan import Confirmation, Order, Trigger, Verdict, plan_in
from aerodb.protocol.signed import Signed, sign
from aerodb.rules import specification
from aerodb.rules.invariants import RULES
from aerodb.rules.policy import remembered
from aerodb.rules.reach import held_to
from aerodb.rules.serving import Serving, refused_as_primary, refused_as_standby
from aerodb.rules.view import noted_of


class Agent:
    """One node's agent."""

    def __init__(self, node: Node, make_hands: type[NodeHands] = NodeHands) -> None:
        """Read the node's durable state; touch nothing. `make_hands` makes what operations work with.

        Raises:
            OnlyWatched: the node is only watched: no agent with hands is made for it.
            AgentAlone: another agent of the node is at work.
            StandingUnreadable, VersionsUnreadable: it is missing or damaged.
            PostgresMissing: PostgreSQL's programs are not there.
        """
        if node.watched is not None:
            raise OnlyWatched(f"{node.name} is only watched: its agent has no hands")
        self._node = node
        self._alone = alone_in(node.state)
        self._store = Store(node.state)
        self._versions = TakenVersions(node.state, node.cluster)
        self._postgres = node.postgres()
        self._looked_at = node.postgres("look")
        self._hands = make_hands(node.name, node.key, self._store, self._versions, self._postgres, self._facts)
        self._answers, self._holder = Answers(node, self._store, self._versions), Holder(node, self._store)
        self._aftermath = Aftermath(self._store, self._hands, self._postgres, self._facts, self._answers)
        self._holding = Holding(self._store, self._answers)
        self._turns = Turns(node.name, self._hands.work.begin)
        parts = OrderParts(
            self._store, self._versions, self._hands, self._answers, self._holding, self._aftermath, self._turns,
            lambda: self._remember(self.facts()), self._remember, self._make_ready,
            lambda nonce: self.report(nonce, self.facts()),
        )  # fmt: skip
        self._orders = Orders(node, parts)
        self.starting = False
        """Whether PostgreSQL is being started together with the agent."""

    @property
    def name(self) -> str:
        """Return the node's name."""
        return self._node.name

    @property
    def standing(self) -> Standing:
        """Return the node's durable standing."""
        return self._store.standing

    @property
    def cluster(self) -> Cluster:
        """Return the newest version of the configuration that the node has taken: what it judges by."""
        return self._versions.chain.newest

    def start_with_host(self, *, as_it_stands: bool = False) -> None:
        """Start PostgreSQL in its standing, as its host starts, where the gate lets it.

        It is PostgreSQL's own recovery, not an action, and passes the gate: see `rules.gate`. `as_it_stands` is for
        whoever has proven that a primary may start. Where it fails the log says why, the facts show what is there, and
        the agent goes on.
        """
        try:
            with self._turns.taking:
                down = self._postgres is not None and not self._postgres.running
                free = not self._turns.ending and not self._turns.busy
                if not (down and free and lets_start(self._node, self._store, as_it_stands=as_it_stands)):
                    return
                self._turns.take("")
            try:
                self._hands.process.start()
            finally:
                self._turns.release()
            say("PostgreSQL started with its agent, in its standing")
        except Exception as error:  # noqa: BLE001 - whatever keeps PostgreSQL down, its agent is there to say so
            say("PostgreSQL did not start with its agent", failure=error)
        finally:
            self.starting = False

    def stop_with_host(self) -> None:
        """Shut PostgreSQL down cleanly, as its host goes down; its standing stays what it was."""
        if self._postgres is not None and self._postgres.running:
            self._postgres.stop()

    def _make_ready(self) -> None:
        if self._postgres is not None:
            self._postgres.make_ready()

    # Facts ------------------------------------------------------------------------------------------------------

    def _instance(self, postgres: Postgres | None) -> Instance | None:
        if postgres is None:
            return None
        standing = self._store.standing
        seen = postgres.look(standing, noted_of(self.cluster, self._node.name, standing))
        return held_to(seen, standing, self._store.reach)

    @property
    def trail(self) -> tuple[JournalMark, ...]:
        """Return what the journal noted since this agent started, in order; for looking only."""
        return self._answers.trail

    @property
    def unfinished(self) -> int:
        """Return how many requests were begun and not ended, one under way included."""
        return len(self._store.unfinished())

    def eye(self, purpose: str) -> "AgentEye":
        """Return a look over another connection than the one that operations use, so as to hold none up.

        Raises:
            PostgresMissing, FolderClosed: PostgreSQL's programs cannot be found, or run.
        """
        return AgentEye(self, self._node.postgres(purpose))

    def facts_through(self, postgres: Postgres | None) -> Facts:
        """Return the facts as seen over another connection, without what the journal has unfinished."""
        return self._facts_of(self._instance(postgres))

    def _facts(self) -> Facts:
        """Return the facts, without what the journal has unfinished."""
        return self._facts_of(self._instance(self._postgres))

    def _facts_of(self, instance: Instance | None) -> Facts:
        path = self._versions.chain.path
        return Facts(
            node=self._node.name,
            rules=RULES,
            configuration=path[-1],
            standing=self._store.standing,
            instance=instance,
            unfinished=None,
            entries=self._store.entries,
            checkpoint=self._store.seen.checkpoint,
            gave_up=tuple(each.request for each in self._store.seen.given_up),
            versions=path if len(path) > 1 else (),
            epoch=self.cluster.epoch,
            held=self._holding.held or msgspec.UNSET,
        )

    def facts(self) -> Facts:
        """Return the node's facts now, an unfinished request among them."""
        facts, begun = self.facts_through(self._looked_at), self._store.unfinished()
        return msgspec.structs.replace(facts, unfinished=self._unfinished(begun[0], facts)) if begun else facts

    def _unfinished(self, begun: Begun, facts: Facts) -> Unfinished:
        plan = plan_in(begun.plan)
        if self._turns.taken == begun.request:
            found = specification.Established(result="unknown", evidence=UNDER_WAY + self._hands.work.said(facts))
        elif self._turns.busy:
            found = specification.Established(result="unknown", evidence="another request is under way; ask again")
        else:
            found = self._aftermath.found(plan, begun.before)
        return Unfinished(
            request=begun.request, action=plan.request.action, result=found.result, evidence=found.evidence
        )

    def remember(self, facts: Facts) -> None:
        """Note durably what facts show of the policy that the node serves under, unless an operation is under way.

        And how far its WAL has been.
        """
        self._note_reach(facts)
        if remembered(facts, self.cluster.quorum) == facts.standing:
            return
        with self._turns.taking:  # No operation begins meanwhile.
            if not self._turns.busy:
                self._remember(facts)

    def _note_reach(self, facts: Facts) -> None:
        with suppress(OSError):  # A full disk: what was noted before is as true as it was.
            self._store.note_reach(facts.instance)

    def _remember(self, facts: Facts) -> Facts:
        """Return the facts with the standing that goes with them, which is then the durable one."""
        self._note_reach(facts)
        if facts.standing != self._store.standing:
            return facts  # They are older than the standing; the next look shows what there is to note.
        standing = remembered(facts, self.cluster.quorum)
        if standing != facts.standing:
            say("the policy that the node serves under was seen to change", weakened=standing.weakened)
            self._store.write_standing(standing)
        return msgspec.structs.replace(facts, standing=standing)

    def report(self, nonce: str, facts: Facts, rules: str = RULES) -> Signed:
        """Return facts that were seen for this asking, signed for it, in the words of the rules that it is for."""
        self._holding.said(nonce, facts)
        return sign(report_in(rules, self.cluster.id, nonce, facts), self._node.name, self._node.key)

    @property
    def holder(self) -> Holder:
        """Return what says what the node holds of the audit log."""
        return self._holder

    @property
    def speaks(self) -> tuple[str, ...]:
        """Return the rules in whose words the node can say all that must be said of it, the newest first."""
        return SPOKEN

    def serving(self) -> Serving | None:
        """Return what PostgreSQL says for a load balancer; None if it does not answer."""
        return self._looked_at.serving() if self._looked_at is not None else None

    def refused_as_primary(self, seen: Serving | None) -> str:
        """Return why the node does not serve as the primary: by what was seen, and by its standing now."""
        return refused_as_primary(self.cluster, self.name, self._store.standing, seen)

    def refused_as_standby(self, seen: Serving | None, lag_bytes_max: int | None) -> str:
        """Return why the node does not serve as a standby within this lag (None: any), likewise."""
        return refused_as_standby(self._store.standing, seen, lag_bytes_max)

    # Orders -----------------------------------------------------------------------------------------------------

    def judge(self, order: Order, facts: Facts) -> tuple[Verdict, ...]:
        """Return the verdicts on an order by the facts as they are now, running nothing: see `Orders.judge`."""
        return self._orders.judge(order, facts)

    def run(self, order: Order) -> Signed:
        """Run an order, and return its signed outcome: see `Orders.run`."""
        return self._orders.run(order)

    def hold(self, order: Order) -> Signed:
        """Hold an order until its turn: see `Orders.hold`."""
        return self._orders.hold(order)

    def trigger(self, trigger: Trigger) -> Signed:
        """Run the held order whose turn has come: see `Orders.trigger`."""
        return self._orders.trigger(trigger)

    def withdraw(self, request: str) -> Signed:
        """Drop a held order: see `Orders.withdraw`."""
        return self._orders.withdraw(request)

    def outcome(self, request: str, unverified: Confirmation) -> Signed:
        """Return what became of a request: see `Orders.outcome`."""
        return self._orders.outcome(request, unverified)

    # Ending -----------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Take no order any more, and return when the operation under way has ended; what it waits for is cut short."""
        with self._turns.taking:
            self._turns.ending = True
        say("no order is taken any more", under_way=self._turns.taken)
        if self._postgres is not None:
            self._postgres.interrupt()
        with self._turns.working:
            say("no operation is under way any more")
        with self._turns.taking, suppress(OSError):  # Its id is noted as used: the next agent can say it as well.
            self._holding.drop("the agent ended")


class AgentEye:
    """A look at an agent's node over a connection of its own."""

    def __init__(self, agent: Agent, postgres: Postgres | None) -> None:
        """Look for `agent` through `postgres`; None for a witness."""
        self._agent, self._postgres = agent, postgres

    def facts(self) -> Facts:
        """Return the facts now, without what the journal has unfinished."""
        return self._agent.facts_through(self._postgres)

    def trace(self) -> Trace | None:
        """Return what a running PostgreSQL tells of itself beyond its facts; None of a witness.

        Raises:
            PostgresUnreachable, StatementFailed: PostgreSQL does not answer, or refuses the statement.
        """
        return None if self._postgres is None else self._postgres.trace()
