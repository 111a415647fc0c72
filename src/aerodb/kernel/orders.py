"""Orders: the three locks, the judgement, and one operation at a time; held ones too, and what became of any.

- Nothing is begun unless all three locks open: signed, logged, proven (judged again, here, now).
- Until the first lock is open, a refusal is raised, and uses nothing up: anybody could have sent that order. From then
  on the first answer is the last: a refusal is signed and journaled like any other outcome.
- `begun` is durable before the operation, `ended` after it; a request's id is used once, for ever.
"""

from collections.abc import Callable
from typing import NamedTuple

from aerodb.actions import action_named
from aerodb.errors import AeroError
from aerodb.kernel import locks
from aerodb.kernel.aftermath import Aftermath
from aerodb.kernel.answers import Answers
from aerodb.kernel.aside import aside
from aerodb.kernel.errors import Busy, OperationFailed, OrderHeld, OrderNotHeld, RequestDuplicate, VerdictsDiffer
from aerodb.kernel.hands import NodeHands
from aerodb.kernel.holding import Holding, in_its_turn, refuse_to_hold, with_late
from aerodb.kernel.judging import judge_of
from aerodb.kernel.node import Node
from aerodb.kernel.store import Store
from aerodb.kernel.turns import Turns
from aerodb.kernel.versions import TakenVersions
from aerodb.kernel.vouching import vouched, vouched_for
from aerodb.logs import say
from aerodb.past.speaking import facts_in
from aerodb.protocol.ahead import AFTER
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Confirmation, Order, Plan, Trigger, Verdict, plan_in
from aerodb.protocol.signed import Signed
from aerodb.rules import specification
from aerodb.rules.ahead import foreseen, judged
from aerodb.rules.explain import check_usable, verdict_changes, view_of
from aerodb.rules.late import digests, late_peers
from aerodb.rules.operation import carry_out
from aerodb.rules.view import View
from aerodb.tracing import note, span


class OrderParts(NamedTuple):
    """What an agent's orders work with.

    `look` returns the facts of now, with what is to be remembered of them; `remember` returns other facts so;
    `make_ready` prepares what an operation does while writes stand still, as far as that changes nothing.
    """

    store: Store
    versions: TakenVersions
    hands: NodeHands
    answers: Answers
    holding: Holding
    aftermath: Aftermath
    turns: Turns
    look: Callable[[], Facts]
    remember: Callable[[Facts], Facts]
    make_ready: Callable[[], None]
    report: Callable[[str], Signed]


def _to_be_held(plan: Plan) -> AeroError | None:
    """Return why a plan is not run as soon as its order comes; None where it is."""
    if AFTER not in plan.request.arguments:
        return None
    return OrderNotHeld(f"it comes after {plan.request.arguments[AFTER]}: it is held, and runs in its turn")


class Orders:
    """The orders of one agent."""

    def __init__(self, node: Node, parts: OrderParts) -> None:
        """Have nothing under way."""
        self._node = node
        self._store, self._versions, self._hands, self._answers = parts[:4]
        self._holding, self._aftermath, self._turns = parts.holding, parts.aftermath, parts.turns
        self._look, self._remember, self._make_ready = parts.look, parts.remember, parts.make_ready
        self._report = parts.report

    @property
    def _cluster(self) -> Cluster:
        return self._versions.chain.newest

    # Judgement --------------------------------------------------------------------------------------------------

    def judge(self, order: Order, facts: Facts) -> tuple[Verdict, ...]:
        """Return the verdicts on an order by the facts as they are now, running nothing.

        Raises:
            AeroError: the plan or the reports are not what they say.
        """
        plan = locks.open_plan(self._cluster, self._node.name, order.plan)
        locks.check_reports(plan, order)
        late, view = late_peers(self._cluster, self._node.name, order), self._view(plan, order, facts)
        action = action_named(plan.request.action)
        ahead_of_it = foreseen(view, action)
        return judged(view, action, ahead_of_it) if ahead_of_it else judge_of(plan, late)(view)

    def _view(self, plan: Plan, order: Order, own: Facts) -> View:
        return view_of(self._cluster, plan.request, own, order.reports, plan.request.id, plan.term)

    def _judge_again(self, plan: Plan, order: Order) -> specification.Order:
        """Return what an operation works from: every verdict holds, as the plan said, and late too where that matters.

        Raises:
            VerdictsDiffer: one does not, any more.
            AeroError: a late report is not what it says.
        """
        late = late_peers(self._cluster, self._node.name, order)
        judge = judge_of(plan, late)
        with span("judge"):
            view = self._view(plan, order, self._look())
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
        with self._turns.taking:
            self._refuse_used(request)
            locks.check_rules(plan)
            refusal = self._turns.refuses_any() or _to_be_held(plan)
            if refusal is not None:
                return self._answers.refused(request, order.plan, refusal)
            self._holding.drop(f"the order of request {request} came")
            self._turns.take(request)
        try:
            return self._run(plan, order)
        finally:
            self._turns.release()

    def hold(self, order: Order) -> Signed:
        """Check an order that comes after another request, and hold it until its turn; what was held before is dropped.

        Return the signed report that shows it, made for the request's id; or the signed outcome that it was refused.

        Raises:
            As `run`.
        """
        plan = locks.signed_plan(self._versions.chain, self._node.name, order)
        request = plan.request.id
        with self._turns.taking:
            self._refuse_used(request)
            refusal = self._turns.refuses_any()
            if refusal is None and _to_be_held(plan) is None:
                refusal = OrderNotHeld("it comes after no other request: it is run, and not held")
            if refusal is not None:
                return self._answers.refused(request, order.plan, refusal)
            self._turns.take(request)
        try:
            self._check_locks(plan, order)
            refuse_to_hold(self._cluster, plan, order, self._look())
            self._holding.keep(plan, order)
            self._make_ready()
        except AeroError as error:
            return self._answers.refused(request, order.plan, error)
        finally:
            self._turns.release()
        return self._report(request)

    def trigger(self, trigger: Trigger) -> Signed:
        """Run the held order whose turn has come, once, and return its signed outcome; a refusal is one too.

        Raises:
            OrderNotHeld: this process does not hold it. Nothing of this uses a request up.
            RequestDuplicate: its first outcome stands.
            Busy, AgentEnding: another action is under way, or none is begun any more; the order is held as before.
        """
        with self._turns.taking:
            if self._holding.held is None or self._holding.held.request != trigger.request:
                self._refuse_used(trigger.request)
            refusal = self._turns.refuses_any()
            if refusal is not None:
                raise refusal
            order = self._holding.take(trigger.request)
            if order is None:
                raise OrderNotHeld(f"{self._node.name} does not hold it", request=trigger.request)
            self._turns.take(trigger.request)
        try:
            return self._run_held(order, trigger)
        finally:
            self._turns.release()

    def withdraw(self, request: str) -> Signed:
        """Drop the held order of a request, for good, and return the signed answer that it was not executed.

        Raises:
            OrderNotHeld: it is not held here; it was begun, or is not known.
            Busy: it, or another action, is under way.
        """
        check_usable(request)
        with self._turns.taking:
            given = self._answers.given(request)
            if given is not None:
                return given
            if self._turns.busy:
                raise Busy(f"an action is under way on {self._node.name}", executed="unknown")
            held = self._holding.held
            dropped = self._holding.drop("it was withdrawn") if held and held.request == request else None
            found = dropped or self._holding.lost(request)
            if found is None:
                begun = self._store.begun(request) is not None
                said = "has begun it: ask what became of it" if begun else "does not hold it"
                raise OrderNotHeld(f"{self._node.name} {said}", request=request, executed="unknown")
            return found

    def _refuse_used(self, request: str) -> None:
        """Refuse a request that is under way, or whose id was used before.

        Raises:
            RequestDuplicate: so it is; its one answer is given, or will be, to whoever sent it first.
        """
        if self._turns.taken == request:
            raise RequestDuplicate("the request is under way", request=request, executed="unknown")
        self._answers.refuse_known(request)

    def _run(self, plan: Plan, order: Order) -> Signed:
        request = plan.request.id
        try:
            with span("locks"):
                self._check_locks(plan, order)
            work = self._judge_again(plan, order)
            self._store.begin(request, order.plan, facts_in(plan.rules, work.view.own.facts))
        except AeroError as error:
            return self._answers.refused(request, order.plan, error)
        self._answers.begun(request)
        say("order begun", request=request, action=plan.request.action, term=plan.term)
        return self._operate(order, work)

    def _check_locks(self, plan: Plan, order: Order) -> None:
        """Check a signed plan's form and its reports, and that its confirmation is logged; remember that log as seen.

        Raises:
            AeroError: one of them is not what it must be.
        """
        locks.check_form(self._cluster, plan)
        locks.check_reports(plan, order)
        self._store.write_seen(vouched(self._node, locks.check_logged(self._cluster, plan, order, self._store.seen)))

    def _run_held(self, order: Order, trigger: Trigger) -> Signed:
        plan, cluster = plan_in(order.plan), self._cluster
        request = plan.request.id
        try:
            with span("locks"):
                locks.check_form(cluster, plan)
                locks.check_signed(cluster, plan, order)
                seen = locks.check_turn(cluster, order, trigger, self._store.seen)
            with aside(lambda: self._store.write_seen(vouched(self._node, seen))):  # Durable before it is begun.
                work = in_its_turn(cluster, order, trigger, self._own_in_turn(trigger))
            self._store.begin(request, order.plan, facts_in(plan.rules, work.view.own.facts))
        except AeroError as error:
            return self._answers.refused(request, order.plan, error)
        self._answers.begun(request)
        say("held order begun", request=request, action=plan.request.action, term=plan.term)
        return self._operate(with_late(order, trigger), work)

    def _own_in_turn(self, trigger: Trigger) -> Facts:
        """Return the node's own facts, seen since the record of its turn is in the log."""
        said = self._holding.said_in_turn(trigger)
        if said is None or said.standing != self._store.standing:
            return self._look()
        return self._remember(said)

    def _operate(self, order: Order, work: specification.Order) -> Signed:
        request, action = work.plan.request.id, work.plan.request.action
        try:
            with span("operate", request=request, action=action, node=self._node.name):
                evidence = carry_out(action_named(action), self._hands, work)
        except Exception as error:  # noqa: BLE001 - whatever failed, PostgreSQL's own state says what was executed
            failure = error if isinstance(error, AeroError) else OperationFailed(repr(error))
            say("operation failed", failure=error, request=request)
            return self._aftermath.after_failure(order, work, failure)
        told = (*evidence, *vouched_for(self._cluster, self._store.seen))
        said = self._answers.signed(request, order.plan, "executed", evidence=told, late=digests(order.late))
        return self._answers.last(request, said)

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
        with self._turns.taking:
            given = self._answers.given(request)
            if given is not None:
                return given
            begun = self._store.begun(request)
            held = self._holding.held
            if held is not None and held.request == request:
                raise OrderHeld(
                    f"{self._node.name} holds it until {held.after} is executed; nothing of it has happened",
                    executed="not executed", request=request,
                )  # fmt: skip
            lost = self._holding.lost(request) if begun is None and self._turns.taken != request else None
            if lost is not None:
                return lost
            if begun is None and self._turns.taken != request:
                locks.check_confirmed(self._versions.chain, self._node.name, request, unverified)
                return self._answers.never(request)
            if begun is None or self._turns.busy:
                does = f": {self._hands.work.step}" if self._turns.taken else ""
                raise Busy(f"an action is under way on {self._node.name}{does}", executed="unknown")
            self._turns.take(request)
        try:
            return self._aftermath.establish(begun)
        finally:
            self._turns.release()
