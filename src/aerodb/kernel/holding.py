"""The one order that an agent holds until the request before it is executed; and its judgement, now and in its turn.

- It is held in memory alone: it ends with the process, with any other order, and when it is withdrawn. The id is noted
  durably beforehand, so that it is used for ever; whoever asks later is told that it never ran, and never will.
- It is judged twice. When it is taken: what is foreseen must be what its plan says. In its turn: on what everybody says
  after the earlier request was executed, and on nothing else. Its own node says it too, asked together with the others;
  what that look saw counts for the turn whose record it was asked for, and only for a moment.
"""

import time
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.kernel import locks
from aerodb.kernel.answers import Answers
from aerodb.kernel.errors import OrderDropped, TurnUnproven, VerdictsDiffer
from aerodb.kernel.store import Store
from aerodb.logs import say
from aerodb.past.speaking import RulesApart
from aerodb.protocol.ahead import AFTER, Held
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Order, Plan, Result, Trigger, late_nonce, plan_digest, plan_in
from aerodb.protocol.signed import Signed
from aerodb.rules import ahead, specification
from aerodb.rules.explain import peers_of, verdict_changes, view_of
from aerodb.rules.invariants import RULES

SAID_SECONDS_MAX = 1.0
"""For how long the node need not look again after it has said what it sees of itself. The operation looks again anyway,
once the position is final: this only has what should be refused be refused while nothing is left behind."""


class _Said(NamedTuple):
    """What the node said of itself while it held an order: for which asking, and until when that counts."""

    nonce: str
    facts: Facts
    until: float


class Holding:
    """The held order of one agent, if there is one. Whoever calls has seen to it that nobody else does meanwhile."""

    def __init__(self, store: Store, answers: Answers) -> None:
        """Note in `store`; answer by `answers`; hold nothing yet."""
        self._store, self._answers = store, answers
        self._order: Order | None = None
        self._held: Held | None = None
        self._said: _Said | None = None

    @property
    def held(self) -> Held | None:
        """Return what is said of the held order; None if there is none."""
        return self._held

    def keep(self, plan: Plan, order: Order) -> None:
        """Hold an order, which has been checked; what was held before is dropped.

        Raises:
            RoomMissing: the disk cannot note it; nothing is held then.
        """
        self.drop("another order came to be held")
        self._store.hold(plan.request.id)
        asked, digest = plan.request, plan_digest(order.plan)
        held = Held(
            request=asked.id, action=asked.action, plan=digest, after=asked.arguments[AFTER], term=plan.term
        )  # fmt: skip
        self._order, self._held = order, held
        say("order held", request=held.request, action=held.action, after=held.after)

    def take(self, request: str) -> Order | None:
        """Return the held order of `request`, and hold it no more: it has one turn. None if it is not held."""
        if self._held is None or self._held.request != request:
            return None
        order, self._order, self._held = self._order, None, None
        return order

    def said(self, nonce: str, facts: Facts) -> None:
        """Take what the node says of itself now, for this asking; it may be that of the held order's turn."""
        if self._held is not None:
            self._said = _Said(nonce, facts, time.monotonic() + SAID_SECONDS_MAX)

    def said_in_turn(self, trigger: Trigger) -> Facts | None:
        """Return what the node has just said of itself for this turn, once; None if it did not, or too long ago."""
        said, self._said = self._said, None
        if said is None or said.nonce != late_nonce(trigger.record) or time.monotonic() > said.until:
            return None
        return replace(said.facts, held=UNSET)  # It holds the order no more.

    def drop(self, why: str) -> Signed | None:
        """Hold nothing any more; return the answer on what was held, journaled and signed; None if nothing was."""
        held, order, self._said = self._held, self._order, None
        if held is None or order is None:
            return None
        self._order = self._held = None
        return self._answers.refused(held.request, order.plan, OrderDropped(f"it was held after {held.after}; {why}"))

    def lost(self, request: str) -> Signed | None:
        """Return the answer on an order that was held and is no more, its turn never having come; None if none was.

        What was begun in its turn is another matter: PostgreSQL's own state says what became of that.
        """
        held = self._held is not None and self._held.request == request
        if held or not self._store.was_held(request) or self._store.begun(request) is not None:
            return None
        return self._answers.dropped(request)


def refuse_to_hold(cluster: Cluster, plan: Plan, order: Order, own: Facts) -> None:
    """Refuse to hold an order whose verdicts, now and foreseen, are not what its plan says.

    Raises:
        RulesApart: the plan was made by other rules than this node's own: only by those it foresees anything.
        VerdictsDiffer: a verdict is another.
        AeroError: a report is not what it says.
    """
    if plan.rules != RULES:
        raise RulesApart(f"what is signed ahead is made by {RULES}, and not by {plan.rules}: ask when all are upgraded")
    locks.check_reports(plan, order)
    view = view_of(cluster, plan.request, own, order.reports, plan.request.id, plan.term)
    action = action_named(plan.request.action)
    changes = verdict_changes(plan.verdicts, ahead.judged(view, action, ahead.foreseen(view, action)))
    if changes:
        raise VerdictsDiffer(locks.says(changes), invariants=tuple(each.invariant for each in changes))


def in_its_turn(cluster: Cluster, order: Order, trigger: Trigger, own: Facts) -> specification.Order:
    """Return what the operation of a held order works from: every invariant holds on what is said in its turn.

    Raises:
        TurnUnproven: the earlier request's node does not say, afterwards, that it has pledged.
        VerdictsDiffer: an invariant does not hold.
        AeroError: a report is not what it says, or was made for something else.
    """
    plan = plan_in(order.plan)
    earlier, action = ahead.earlier_of(plan.request), action_named(plan.request.action)
    everyone = peers_of(cluster, trigger.late, late_nonce(trigger.record))
    pledger = everyone.get(earlier.target) if earlier is not None else None
    pledge = pledger.pledge if pledger is not None else None
    if pledge is None or (pledge.term, pledge.candidate, pledge.epoch) != (plan.term, plan.request.target, own.epoch):
        who = earlier.target if earlier is not None else "nobody"
        raise TurnUnproven(f"{who} does not say that it has pledged term {plan.term} to {plan.request.target}")
    view = view_of(cluster, plan.request, own, trigger.late, late_nonce(trigger.record), plan.term)
    failing = tuple(each for each in action.judge(view) if each.result is not Result.HOLDS)
    if failing:
        raise VerdictsDiffer(locks.says(failing), invariants=tuple(each.invariant for each in failing))
    return specification.Order(plan=plan, view=view, judge=action.judge)


def with_late(order: Order, trigger: Trigger) -> Order:
    """Return a held order with what everybody said in its turn."""
    return replace(order, late=trigger.late)
