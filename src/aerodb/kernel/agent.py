"""The agent: facts, judgement, and one operation at a time.

- Nothing is begun unless all three locks open: signed, logged, proven (judged again, here, now).
- `begun` is durable before the operation, `ended` after it; a request's id is used once, for ever.
- At start it looks, and touches nothing. It never retries and never rolls forward.
- What became of an unfinished request is judged from PostgreSQL's own state at the commit point, when asked.
"""

import threading
from typing import Literal

import msgspec

from aerodb.actions import action_named
from aerodb.errors import AeroError
from aerodb.kernel import locks
from aerodb.kernel.errors import Busy, OperationFailed, RequestDuplicate, RequestUnknown, VerdictsDiffer
from aerodb.kernel.gate import files_of
from aerodb.kernel.hands import NodeHands
from aerodb.kernel.node import Node
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.store import Store
from aerodb.logs import say
from aerodb.protocol import canonical
from aerodb.protocol.authority import Standing
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.events import JournalMark
from aerodb.protocol.facts import Facts, Instance, Report, State, Unfinished
from aerodb.protocol.plan import Order, Outcome, Plan, Verdict, plan_digest
from aerodb.protocol.signed import Signed, sign
from aerodb.rules import specification
from aerodb.rules.explain import verdict_changes, view_of
from aerodb.rules.gate import Starts, refusal
from aerodb.rules.invariants import RULES
from aerodb.rules.late import Judge, judged_late, late_peers
from aerodb.rules.operation import carry_out
from aerodb.rules.policy import remembered
from aerodb.rules.position import Noted
from aerodb.rules.serving import Serving
from aerodb.rules.view import View, open_grant, open_pledge
from aerodb.tracing import note, span


class Agent:
    """One node's agent."""

    def __init__(self, node: Node, make_hands: type[NodeHands] = NodeHands) -> None:
        """Read the node's durable state; touch nothing. `make_hands` makes what operations work with.

        Raises:
            StandingUnreadable: it is missing or damaged.
            PostgresMissing: PostgreSQL's programs are not there.
        """
        self._node = node
        self._store = Store(node.state)
        self._postgres = node.postgres()
        self._hands = make_hands(node.name, node.key, self._store, self._postgres, self._facts)
        self._working = threading.Lock()
        self._trail: list[JournalMark] = []

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
        """Return the cluster as the node is configured."""
        return self._node.cluster

    def start_with_host(self, *, as_it_stands: bool = False) -> bool:
        """Start PostgreSQL in its standing, as its host starts; tell whether it was started.

        It is PostgreSQL's own recovery, not an action, and passes the gate: see `rules.gate`. `as_it_stands` is for
        whoever has proven that a primary may start.
        """
        if self._postgres is None or self._postgres.running:
            return False
        starts: Starts = "standing" if as_it_stands else self._node.file.starts
        why = refusal(starts, self._node.name, self._store.standing, files_of(self._node, self._store))
        if why:
            say("PostgreSQL stays down", why=why)
            return False
        self._hands.start()
        return True

    def stop_with_host(self) -> None:
        """Shut PostgreSQL down cleanly, as its host goes down; its standing stays what it was."""
        if self._postgres is not None and self._postgres.running:
            self._postgres.stop()

    # Facts ------------------------------------------------------------------------------------------------------

    def _instance(self, postgres: Postgres | None) -> Instance | None:
        if postgres is None:
            return None
        return postgres.look(self._store.standing, self._noted())

    def _noted(self) -> Noted:
        """Return what the node's standing holds of its own word."""
        standing, cluster = self._store.standing, self._node.cluster
        return Noted(
            pledge=open_pledge(cluster, self._node.name, standing.pledge) if standing.pledge else None,
            grant=open_grant(cluster, standing.grant) if standing.grant else None,
            genesis=cluster.genesis,
            configured=cluster.quorum,
        )

    @property
    def trail(self) -> tuple[JournalMark, ...]:
        """Return what the journal noted since this agent started, in order; for looking only."""
        return tuple(self._trail)

    @property
    def unfinished(self) -> int:
        """Return how many requests were begun and not ended, one under way included."""
        return int(self._store.unfinished() is not None)

    def facts_through(self, postgres: Postgres | None) -> Facts:
        """Return the facts as seen over another connection than the one that operations use, so as to hold none up.

        What the journal has unfinished is left out.
        """
        return self._facts_of(self._instance(postgres))

    def _facts(self) -> Facts:
        """Return the facts, without what the journal has unfinished."""
        return self._facts_of(self._instance(self._postgres))

    def _facts_of(self, instance: Instance | None) -> Facts:
        seen = self._store.seen
        return Facts(
            node=self._node.name,
            rules=RULES,
            configuration=self._node.cluster.digest,
            standing=self._store.standing,
            instance=instance,
            unfinished=None,
            entries=self._store.entries,
            checkpoint=seen.size,
        )

    def facts(self) -> Facts:
        """Return the node's facts now, an unfinished request among them."""
        facts, begun = self._facts(), self._store.unfinished()
        if begun is None:
            return facts
        plan = canonical.decode(begun.plan.encode(), Plan)
        if self._working.locked():
            found = specification.Established(result="unknown", evidence="it is under way")
        else:
            found = self._found(plan, begun.before)
        unfinished = Unfinished(
            request=begun.request, action=plan.request.action, result=found.result, evidence=found.evidence
        )
        return msgspec.structs.replace(facts, unfinished=unfinished)

    def remember(self, facts: Facts) -> None:
        """Note durably what facts show of the policy that the node serves under, unless an operation is under way."""
        if remembered(facts, self._node.cluster.quorum) == facts.standing or not self._working.acquire(blocking=False):
            return
        try:
            self._remember(facts)
        finally:
            self._working.release()

    def _remember(self, facts: Facts) -> Facts:
        """Return the facts with the standing that goes with them, which is then the durable one."""
        if facts.standing != self._store.standing:
            return facts  # They are older than the standing; the next look shows what there is to note.
        standing = remembered(facts, self._node.cluster.quorum)
        if standing != facts.standing:
            say("the policy that the node serves under was seen to change", weakened=standing.weakened)
            self._store.write_standing(standing)
        return msgspec.structs.replace(facts, standing=standing)

    def report(self, nonce: str, facts: Facts) -> Signed:
        """Return facts that were seen for this asking, signed for it."""
        document = Report(cluster=self._node.cluster.id, node=self._node.name, nonce=nonce, facts=facts)
        return sign(document, self._node.name, self._node.key)

    @property
    def seen_size(self) -> int:
        """Return how many records the log had under the last checkpoint that the node saw."""
        return self._store.seen.size

    def serving(self) -> tuple[Standing, Serving | None]:
        """Return what a load balancer is told by: the standing, and what PostgreSQL says, where it answers."""
        seen = self._postgres.serving() if self._postgres is not None else None
        return self._store.standing, seen

    # Judgement --------------------------------------------------------------------------------------------------

    def judge(self, order: Order, facts: Facts) -> tuple[Verdict, ...]:
        """Return the verdicts on an order by the facts as they are now, running nothing.

        Raises:
            AeroError: the plan or the reports are not what they say.
        """
        plan = locks.open_plan(self._node.cluster, self._node.name, order.plan)
        locks.check_reports(plan, order)
        return self._judge_of(plan, order)(self._view(plan, order, facts))

    def _view(self, plan: Plan, order: Order, own: Facts) -> View:
        return view_of(self._node.cluster, plan.request, own, order.reports, plan.request.id, plan.term)

    def _judge_of(self, plan: Plan, order: Order) -> Judge:
        """Return what judges an order's action: all by the plan's reports, what is unstable by the late ones too.

        Raises:
            AeroError: a late report is not what it says.
        """
        late = late_peers(self._node.cluster, self._node.name, order)
        return judged_late(action_named(plan.request.action).judge, late)

    def _judge_again(self, plan: Plan, order: Order, judge: Judge) -> View:
        """Return the view on which every verdict holds, as the plan said.

        Raises:
            VerdictsDiffer: one does not, any more.
        """
        with span("judge"):
            view = self._view(plan, order, self._remember(self.facts()))
            changes = verdict_changes(plan.verdicts, judge(view))
            if changes:
                raise VerdictsDiffer(locks.says(changes), invariants=tuple(each.invariant for each in changes))
        return view

    # Operation --------------------------------------------------------------------------------------------------

    def run(self, order: Order) -> Signed:
        """Check the three locks, run the one operation, and return the signed outcome; a refusal is one too.

        Raises:
            Busy: another action is under way.
            RequestDuplicate: the request's id has been used; its first outcome stands.
            NotCanonical: the plan is not one.
        """
        if not self._working.acquire(blocking=False):
            raise Busy(f"another action is under way on {self._node.name}")
        try:
            return self._run(order)
        finally:
            self._working.release()

    def _run(self, order: Order) -> Signed:
        unverified = canonical.decode(order.plan.encode(), Plan)
        request = unverified.request.id
        say("order received", request=request, action=unverified.request.action)
        note(request=request, action=unverified.request.action, node=self._node.name)
        if self._store.knows(request):
            raise self._duplicate(request)
        try:
            with span("locks"):
                plan = locks.open_plan(self._node.cluster, self._node.name, order.plan)
                locks.check_signed(self._node.cluster, plan, order)
                locks.check_reports(plan, order)
                seen = locks.check_logged(self._node.cluster, plan, order, self._store.seen)
        except AeroError as error:
            say("order refused", request=request, code=error.code)
            return self._signed(request, order.plan, "not executed", error)
        self._store.write_seen(seen)
        try:
            judge = self._judge_of(plan, order)
            view = self._judge_again(plan, order, judge)
        except AeroError as error:
            return self._end(request, self._signed(request, order.plan, "not executed", error))
        self._store.begin(request, order.plan, view.own.facts)
        self._trail.append(JournalMark(request=request, result=""))
        say("order begun", request=request, action=plan.request.action, term=plan.term)
        return self._operate(plan, order, view, judge)

    def _duplicate(self, request: str) -> RequestDuplicate:
        ended = self._store.ended(request)
        if ended is None:
            return RequestDuplicate("the request was begun and has no outcome yet", request=request, executed="unknown")
        outcome = canonical.decode(ended.outcome.document.encode(), Outcome)
        return RequestDuplicate(
            f"the request's first outcome stands: {outcome.result}", request=request, executed=outcome.result
        )

    def _operate(self, plan: Plan, order: Order, view: View, judge: Judge) -> Signed:
        action, text = action_named(plan.request.action), order.plan
        work = specification.Order(plan=plan, view=view, judge=judge)
        try:
            with span("operate", request=plan.request.id, action=plan.request.action, node=self._node.name):
                evidence = carry_out(action, self._hands, work)
        except Exception as error:  # noqa: BLE001 - whatever failed, PostgreSQL's own state says what was executed
            failure = error if isinstance(error, AeroError) else OperationFailed(repr(error))
            say("operation failed", failure=error, request=plan.request.id)
            return self._after_failure(plan, text, view.own.facts, failure)
        late = {name: signed.digest for name, signed in sorted(order.late.items())}
        return self._end(plan.request.id, self._signed(plan.request.id, text, "executed", evidence=evidence, late=late))

    def _after_failure(self, plan: Plan, text: str, before: Facts, failure: AeroError) -> Signed:
        """Judge from PostgreSQL's own state what a failed operation left; unknown stays unfinished."""
        action, request = action_named(plan.request.action), plan.request.id
        try:
            found = self._found(plan, before)
            if found.result == "executed":
                self._hands.write_standing(action.settle(self._hands, plan))
        except Exception as error:  # noqa: BLE001 - not even that can be seen: unknown, to be asked for
            found = specification.Established(result="unknown", evidence=f"nothing can be seen: {error}")
        outcome = self._signed(request, text, found.result, failure, evidence=(found.evidence,))
        return outcome if found.result == "unknown" else self._end(request, outcome)

    def _found(self, plan: Plan, before: Facts) -> specification.Established:
        """Judge a request that was begun and not ended by the node as it is now."""
        crossed = self._store.crossed(plan.request.id)
        return action_named(plan.request.action).established(plan, before, self._settled_facts(), crossed)

    def _settled_facts(self) -> Facts:
        """Return the facts; a postmaster that may not have taken up what it was sent is not taken for one that runs."""
        facts = self._facts()
        if self._postgres is None or facts.instance is None or facts.instance.state is not State.RUNNING:
            return facts
        if self._postgres.accepts():
            return facts
        return msgspec.structs.replace(facts, instance=msgspec.structs.replace(facts.instance, state=State.UNREACHABLE))

    def _end(self, request: str, outcome: Signed) -> Signed:
        self._store.end(request, outcome)
        ended = canonical.decode(outcome.document.encode(), Outcome)
        self._trail.append(JournalMark(request=request, result=ended.result))
        say("order ended", request=request, result=ended.result, code=ended.code, established=ended.established)
        return outcome

    def _signed(
        self,
        request: str,
        plan_text: str,
        result: Literal["executed", "not executed", "unknown"],
        error: AeroError | None = None,
        *,
        evidence: tuple[str, ...] = (),
        established: bool = False,
        late: dict[str, str] | None = None,
    ) -> Signed:
        note(outcome=result, code=error.code if error else "")
        outcome = Outcome(
            cluster=self._node.cluster.id,
            node=self._node.name,
            request=request,
            plan=plan_digest(plan_text) if plan_text else "",
            result=result,
            established=established,
            code=error.code if error else "",
            message=error.message if error else "",
            evidence=evidence,
            invariants=error.invariants if error else (),
            late=late or {},
        )
        return sign(outcome, self._node.name, self._node.key)

    # Outcomes, afterwards ---------------------------------------------------------------------------------------

    def outcome(self, request: str) -> Signed:
        """Return what became of a request, established now where it is not known yet.

        A request that the journal does not know is durably noted as not executed, so that it can never run later.

        Raises:
            Busy: an action is under way.
        """
        if not self._working.acquire(blocking=False):
            raise Busy(f"an action is under way on {self._node.name}", executed="unknown")
        try:
            ended = self._store.ended(request)
            if ended is not None:
                return ended.outcome
            return self._establish(request)
        finally:
            self._working.release()

    def _establish(self, request: str) -> Signed:
        begun = self._store.begun(request)
        if begun is None:
            never = RequestUnknown(f"{self._node.name} was never asked to run {request}, and now never will")
            return self._end(request, self._signed(request, "", "not executed", never, established=True))
        plan = canonical.decode(begun.plan.encode(), Plan)
        action = action_named(plan.request.action)
        found = self._found(plan, begun.before)
        if found.result == "executed":
            self._hands.write_standing(action.settle(self._hands, plan))
        outcome = self._signed(request, begun.plan, found.result, evidence=(found.evidence,), established=True)
        return outcome if found.result == "unknown" else self._end(request, outcome)
