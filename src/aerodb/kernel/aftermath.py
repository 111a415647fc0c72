"""What became of a request that was begun: told from PostgreSQL's own state at the commit point, and the journal."""

from collections.abc import Callable

from aerodb.actions import action_named
from aerodb.errors import AeroError, writable
from aerodb.kernel.answers import Answers
from aerodb.kernel.hands import NodeHands
from aerodb.kernel.over import as_watched, what_is_over
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.store import Begun, Store
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Order, Plan, plan_in
from aerodb.protocol.signed import Signed
from aerodb.rules import specification
from aerodb.rules.late import digests


class Aftermath:
    """Finds out what became of one node's requests. Whoever calls has seen to it that no operation is under way."""

    def __init__(
        self, store: Store, hands: NodeHands, postgres: Postgres | None, look: Callable[[], Facts], answers: Answers
    ) -> None:
        """Judge by what `look` and `store` show; settle with `hands`; answer by `answers`."""
        self._store, self._hands, self._postgres, self._look, self._answers = store, hands, postgres, look, answers

    def found(self, plan: Plan, before: Facts) -> specification.Established:
        """Judge a request that was begun and not ended by the node as it is now."""
        crossed = self._store.crossed(plan.request.id)
        facts = what_is_over(self._look, self._postgres)
        return action_named(plan.request.action).established(plan, before, facts, crossed)

    def after_failure(self, order: Order, work: specification.Order, failure: AeroError) -> Signed:
        """Judge from PostgreSQL's own state what a failed operation left; unknown stays unfinished."""
        plan, request = work.plan, work.plan.request.id
        action = action_named(plan.request.action)
        try:
            found = as_watched(self.found(plan, work.view.own.facts), failure)
            if found.result == "executed":
                self._hands.write_standing(action.settle(self._hands, plan))
        except Exception as error:  # noqa: BLE001 - not even that can be seen: unknown, to be asked for
            found = specification.Established(result="unknown", evidence=writable(f"nothing can be seen: {error}"))
        outcome = self._answers.signed(
            request, order.plan, found.result, failure, evidence=(found.evidence,), late=digests(order.late)
        )
        return self._answers.last(request, outcome) if found.ends else outcome

    def establish(self, begun: Begun) -> Signed:
        """Return what became of a request that was begun and not ended, as it is established now."""
        plan = plan_in(begun.plan)
        found = self.found(plan, begun.before)
        if found.result == "executed":
            self._hands.write_standing(action_named(plan.request.action).settle(self._hands, plan))
        request, evidence = begun.request, (found.evidence,)
        outcome = self._answers.signed(request, begun.plan, found.result, evidence=evidence, established=True)
        return self._answers.last(request, outcome) if found.ends else outcome
