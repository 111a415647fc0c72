"""The agent: facts, judgement, and one operation at a time.

- Nothing is begun unless all three locks open: signed, logged, proven (judged again, here, now).
- Until the first lock is open, a refusal is raised, and uses nothing up: anybody could have sent that order. From then
  on the first answer is the last: a refusal is signed and journaled like any other outcome.
- `begun` is durable before the operation, `ended` after it; a request's id is used once, for ever.
- One agent a node: the system holds its lock for as long as the process lives.
- At start it looks, and touches nothing. It never retries and never rolls forward.
- What became of an unfinished request is judged from PostgreSQL's own state at the commit point, when asked.
"""

import threading

import msgspec

from aerodb.actions import action_named
from aerodb.errors import AeroError, writable
from aerodb.kernel import locks
from aerodb.kernel.alone import alone_in
from aerodb.kernel.answers import Answers
from aerodb.kernel.errors import AgentEnding, Busy, OperationFailed, RequestDuplicate, VerdictsDiffer
from aerodb.kernel.gate import lets_start
from aerodb.kernel.hands import NodeHands
from aerodb.kernel.holder import Holder
from aerodb.kernel.judging import judge_of
from aerodb.kernel.node import Node
from aerodb.kernel.over import as_watched, what_is_over
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.store import Begun, Store
from aerodb.kernel.versions import TakenVersions
from aerodb.kernel.vouching import vouched, vouched_for
from aerodb.logs import say
from aerodb.past.speaking import facts_in, report_in
from aerodb.protocol.authority import Standing
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.events import JournalMark
from aerodb.protocol.facts import UNDER_WAY, Facts, Instance, Unfinished
from aerodb.protocol.plan import Confirmation, Order, Plan, Verdict, plan_in
from aerodb.protocol.signed import Signed, sign
from aerodb.rules import specification
from aerodb.rules.explain import check_usable, verdict_changes, view_of
from aerodb.rules.invariants import RULES
from aerodb.rules.late import digests, late_peers
from aerodb.rules.operation import carry_out
from aerodb.rules.policy import remembered
from aerodb.rules.serving import Serving
from aerodb.rules.view import View, noted_of
from aerodb.tracing import note, span


class Agent:
    """One node's agent."""

    def __init__(self, node: Node, make_hands: type[NodeHands] = NodeHands) -> None:
        """Read the node's durable state; touch nothing. `make_hands` makes what operations work with.

        Raises:
            AgentAlone: another agent of the node is at work.
            StandingUnreadable, VersionsUnreadable: it is missing or damaged.
            PostgresMissing: PostgreSQL's programs are not there.
        """
        self._node = node
        self._alone = alone_in(node.state)
        self._store = Store(node.state)
        self._versions = TakenVersions(node.state, node.cluster)
        self._postgres = node.postgres()
        self._looked_at = node.postgres("look")
        self._hands = make_hands(node.name, node.key, self._store, self._versions, self._postgres, self._facts)
        self._answers, self._holder = Answers(node, self._store, self._versions), Holder(node, self._store)
        self._working = threading.Lock()
        self._taking = threading.Lock()
        self._taken = ""
        self._ending = False
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
            with self._taking:
                down = self._postgres is not None and not self._postgres.running
                free = not self._ending and not self._working.locked()
                if not (down and free and lets_start(self._node, self._store, as_it_stands=as_it_stands)):
                    return
                self._take("")
            try:
                self._hands.process.start()
            finally:
                self._release()
            say("PostgreSQL started with its agent, in its standing")
        except Exception as error:  # noqa: BLE001 - whatever keeps PostgreSQL down, its agent is there to say so
            say("PostgreSQL did not start with its agent", failure=error)
        finally:
            self.starting = False

    def stop_with_host(self) -> None:
        """Shut PostgreSQL down cleanly, as its host goes down; its standing stays what it was."""
        if self._postgres is not None and self._postgres.running:
            self._postgres.stop()

    # Facts ------------------------------------------------------------------------------------------------------

    def _instance(self, postgres: Postgres | None) -> Instance | None:
        if postgres is None:
            return None
        standing = self._store.standing
        return postgres.look(standing, noted_of(self.cluster, self._node.name, standing))

    @property
    def trail(self) -> tuple[JournalMark, ...]:
        """Return what the journal noted since this agent started, in order; for looking only."""
        return self._answers.trail

    @property
    def unfinished(self) -> int:
        """Return how many requests were begun and not ended, one under way included."""
        return len(self._store.unfinished())

    def facts_through(self, postgres: Postgres | None) -> Facts:
        """Return the facts as seen over another connection than the one that operations use, so as to hold none up.

        What the journal has unfinished is left out.
        """
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
        )

    def facts(self) -> Facts:
        """Return the node's facts now, an unfinished request among them."""
        facts, begun = self.facts_through(self._looked_at), self._store.unfinished()
        return msgspec.structs.replace(facts, unfinished=self._unfinished(begun[0], facts)) if begun else facts

    def _unfinished(self, begun: Begun, facts: Facts) -> Unfinished:
        plan = plan_in(begun.plan)
        if self._taken == begun.request:
            found = specification.Established(result="unknown", evidence=UNDER_WAY + self._hands.work.said(facts))
        elif self._working.locked():
            found = specification.Established(result="unknown", evidence="another request is under way; ask again")
        else:
            found = self._found(plan, begun.before)
        return Unfinished(
            request=begun.request, action=plan.request.action, result=found.result, evidence=found.evidence
        )

    def remember(self, facts: Facts) -> None:
        """Note durably what facts show of the policy that the node serves under, unless an operation is under way."""
        if remembered(facts, self.cluster.quorum) == facts.standing:
            return
        with self._taking:  # No operation begins meanwhile.
            if not self._working.locked():
                self._remember(facts)

    def _remember(self, facts: Facts) -> Facts:
        """Return the facts with the standing that goes with them, which is then the durable one."""
        if facts.standing != self._store.standing:
            return facts  # They are older than the standing; the next look shows what there is to note.
        standing = remembered(facts, self.cluster.quorum)
        if standing != facts.standing:
            say("the policy that the node serves under was seen to change", weakened=standing.weakened)
            self._store.write_standing(standing)
        return msgspec.structs.replace(facts, standing=standing)

    def report(self, nonce: str, facts: Facts, rules: str = RULES) -> Signed:
        """Return facts that were seen for this asking, signed for it, in the words of the rules that it is for."""
        return sign(report_in(rules, self.cluster.id, nonce, facts), self._node.name, self._node.key)

    @property
    def holder(self) -> Holder:
        """Return what says what the node holds of the audit log."""
        return self._holder

    def serving(self) -> tuple[Standing, Serving | None]:
        """Return what a load balancer is told by: the standing, and what PostgreSQL says, where it answers."""
        seen = self._looked_at.serving() if self._looked_at is not None else None
        return self._store.standing, seen

    # Judgement --------------------------------------------------------------------------------------------------

    def judge(self, order: Order, facts: Facts) -> tuple[Verdict, ...]:
        """Return the verdicts on an order by the facts as they are now, running nothing.

        Raises:
            AeroError: the plan or the reports are not what they say.
        """
        plan = locks.open_plan(self.cluster, self._node.name, order.plan)
        locks.check_reports(plan, order)
        late = late_peers(self.cluster, self._node.name, order)
        return judge_of(plan, late)(self._view(plan, order, facts))

    def _view(self, plan: Plan, order: Order, own: Facts) -> View:
        return view_of(self.cluster, plan.request, own, order.reports, plan.request.id, plan.term)

    def _judge_again(self, plan: Plan, order: Order) -> specification.Order:
        """Return what an operation works from: every verdict holds, as the plan said, and late too where that matters.

        Raises:
            VerdictsDiffer: one does not, any more.
            AeroError: a late report is not what it says.
        """
        late = late_peers(self.cluster, self._node.name, order)
        judge = judge_of(plan, late)
        with span("judge"):
            view = self._view(plan, order, self._remember(self.facts()))
            changes = verdict_changes(plan.verdicts, judge(view))
            if changes:
                raise VerdictsDiffer(locks.says(changes), invariants=tuple(each.invariant for each in changes))
        return specification.Order(plan=plan, view=view, judge=judge, late=late)

    # Operation --------------------------------------------------------------------------------------------------

    def run(self, order: Order) -> Signed:
        """Check the three locks, run the one operation, and return the signed outcome; a refusal is one too.

        Raises:
            NotCanonical, PlanAltered, PlanForeign, RequestMalformed: it is no order for this node.
            OperatorRefused, SignatureRefused: nobody who may has signed it. Nothing of this uses the request up.
            RequestDuplicate: the request's id has been used; its first outcome stands.
        """
        with span("locks"):
            plan = locks.signed_plan(self._versions.chain, self._node.name, order)
        request = plan.request.id
        say("order received", request=request, action=plan.request.action)
        note(request=request, action=plan.request.action, node=self._node.name)
        with self._taking:
            if self._taken == request:
                raise RequestDuplicate("the request is under way", request=request, executed="unknown")
            self._answers.refuse_known(request)
            locks.check_rules(plan)
            refusal = self._refuses_any()
            if refusal is not None:
                return self._answers.refused(request, order.plan, refusal)
            self._take(request)
        try:
            return self._run(plan, order)
        finally:
            self._release()

    def _refuses_any(self) -> AeroError | None:
        """Return why no order at all is taken now, or None."""
        if self._ending:
            return AgentEnding(f"the agent of {self._node.name} is ending")
        if self._working.locked():
            return Busy(f"another action is under way on {self._node.name}")
        return None

    def _take(self, request: str) -> None:
        self._working.acquire()
        self._hands.work.begin()
        self._taken = request

    def _release(self) -> None:
        self._taken = ""
        self._working.release()

    def _run(self, plan: Plan, order: Order) -> Signed:
        request, cluster = plan.request.id, self.cluster
        try:
            with span("locks"):
                locks.check_form(cluster, plan)
                locks.check_reports(plan, order)
                self._store.write_seen(vouched(self._node, locks.check_logged(cluster, plan, order, self._store.seen)))
            work = self._judge_again(plan, order)
            self._store.begin(request, order.plan, facts_in(plan.rules, work.view.own.facts))
        except AeroError as error:
            return self._answers.refused(request, order.plan, error)
        self._answers.begun(request)
        say("order begun", request=request, action=plan.request.action, term=plan.term)
        return self._operate(order, work)

    def _operate(self, order: Order, work: specification.Order) -> Signed:
        request, action = work.plan.request.id, work.plan.request.action
        try:
            with span("operate", request=request, action=action, node=self._node.name):
                evidence = carry_out(action_named(action), self._hands, work)
        except Exception as error:  # noqa: BLE001 - whatever failed, PostgreSQL's own state says what was executed
            failure = error if isinstance(error, AeroError) else OperationFailed(repr(error))
            say("operation failed", failure=error, request=request)
            return self._after_failure(order, work, failure)
        told = (*evidence, *vouched_for(self.cluster, self._store.seen))
        said = self._answers.signed(request, order.plan, "executed", evidence=told, late=digests(order.late))
        return self._answers.last(request, said)

    def _after_failure(self, order: Order, work: specification.Order, failure: AeroError) -> Signed:
        """Judge from PostgreSQL's own state what a failed operation left; unknown stays unfinished."""
        plan, request = work.plan, work.plan.request.id
        action = action_named(plan.request.action)
        try:
            found = as_watched(self._found(plan, work.view.own.facts), failure)
            if found.result == "executed":
                self._hands.write_standing(action.settle(self._hands, plan))
        except Exception as error:  # noqa: BLE001 - not even that can be seen: unknown, to be asked for
            found = specification.Established(result="unknown", evidence=writable(f"nothing can be seen: {error}"))
        outcome = self._answers.signed(
            request, order.plan, found.result, failure, evidence=(found.evidence,), late=digests(order.late)
        )
        return self._answers.last(request, outcome) if found.ends else outcome

    def _found(self, plan: Plan, before: Facts) -> specification.Established:
        """Judge a request that was begun and not ended by the node as it is now."""
        crossed = self._store.crossed(plan.request.id)
        facts = what_is_over(self._facts, self._postgres)
        return action_named(plan.request.action).established(plan, before, facts, crossed)

    # Outcomes, afterwards ---------------------------------------------------------------------------------------

    def outcome(self, request: str, unverified: Confirmation) -> Signed:
        """Return what became of a request, established now where it is not known yet.

        A request that the journal does not know is durably noted as not executed, so that it can never run later: but
        only where an operator's confirmation of it is shown. So nobody else can use up ids, each of which is kept.

        Raises:
            RequestMalformed: that is no request's id.
            ConfirmationMissing: it is not known here, and nobody's confirmation of it is shown. Nothing is promised.
            Busy: it, or another action, is under way.
        """
        check_usable(request)
        with self._taking:
            given = self._answers.given(request)
            if given is not None:
                return given
            begun = self._store.begun(request)
            if begun is None and self._taken != request:
                locks.check_confirmed(self._versions.chain, self._node.name, request, unverified)
                return self._answers.never(request)
            if begun is None or self._working.locked():
                does = f": {self._hands.work.step}" if self._taken else ""
                raise Busy(f"an action is under way on {self._node.name}{does}", executed="unknown")
            self._take(request)
        try:
            return self._establish(begun)
        finally:
            self._release()

    def _establish(self, begun: Begun) -> Signed:
        plan = plan_in(begun.plan)
        found = self._found(plan, begun.before)
        if found.result == "executed":
            self._hands.write_standing(action_named(plan.request.action).settle(self._hands, plan))
        request, evidence = begun.request, (found.evidence,)
        outcome = self._answers.signed(request, begun.plan, found.result, evidence=evidence, established=True)
        return self._answers.last(request, outcome) if found.ends else outcome

    # Ending -----------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Take no order any more, and return when the operation under way has ended; what it waits for is cut short."""
        with self._taking:
            self._ending = True
        say("no order is taken any more", under_way=self._taken)
        if self._postgres is not None:
            self._postgres.interrupt()
        with self._working:
            say("no operation is under way any more")
