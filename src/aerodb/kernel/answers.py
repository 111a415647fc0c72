"""The agent's answers on requests: signed, journaled, given once.

- The first signed answer is final: it is durable before it is given, and the request's id is never used again.
- A second order with the same id is refused, and told what became of the first.
"""

from typing import Literal

from aerodb.errors import AeroError
from aerodb.kernel.errors import OrderDropped, RequestDuplicate, RequestUnknown
from aerodb.kernel.node import Node
from aerodb.kernel.store import Store
from aerodb.kernel.versions import TakenVersions
from aerodb.logs import say
from aerodb.past.speaking import rules_named, said_in
from aerodb.protocol import canonical
from aerodb.protocol.events import JournalMark
from aerodb.protocol.plan import Outcome, plan_digest
from aerodb.protocol.signed import Signed, sign
from aerodb.tracing import note

OutcomeResult = Literal["executed", "not executed", "unknown"]


class Answers:
    """The answers of one agent: those it has given, and new ones."""

    def __init__(self, node: Node, store: Store, versions: TakenVersions) -> None:
        """Sign as `node`; journal into `store`."""
        self._node, self._store, self._versions = node, store, versions
        self._marks: list[JournalMark] = []

    @property
    def trail(self) -> tuple[JournalMark, ...]:
        """Return what was journaled since this agent started, in order; for display only."""
        return tuple(self._marks)

    def given(self, request: str) -> Signed | None:
        """Return the final answer on a request; None if there is none yet."""
        ended = self._store.ended(request)
        return ended.outcome if ended else None

    def refuse_known(self, request: str) -> None:
        """Refuse a request whose id was used before.

        Raises:
            RequestDuplicate: the id was used; the first outcome stands.
        """
        if not self._store.knows(request):
            return
        given = self.given(request)
        if given is None and self._store.begun(request) is None:
            raise RequestDuplicate("the request is held, or was", request=request, executed="unknown")
        if given is None:
            raise RequestDuplicate("the request was begun and has no outcome yet", request=request, executed="unknown")
        outcome = canonical.decode(given.document.encode(), Outcome)
        raise RequestDuplicate(
            f"the request's first outcome stands: {outcome.result}", request=request, executed=outcome.result
        )

    def begun(self, request: str) -> None:
        """Add to the trail, for display, that a request was begun."""
        self._marks.append(JournalMark(request=request, result=""))

    def refused(self, request: str, plan_text: str, error: AeroError) -> Signed:
        """Journal and return a refusal: the request was not executed, and never will be."""
        say("order refused", request=request, code=error.code)
        return self.last(request, self.signed(request, plan_text, "not executed", error))

    def never(self, request: str) -> Signed:
        """Journal and return the answer that a request never came here and will never be executed."""
        never = RequestUnknown(f"{self._node.name} was never asked to run {request}, and now never will")
        return self.last(request, self.signed(request, "", "not executed", never, established=True))

    def dropped(self, request: str) -> Signed:
        """Journal and return the answer that an order was held once, is no more, and will never be executed."""
        dropped = OrderDropped(
            f"{self._node.name} held it in memory, and holds it no more: it was not executed, and never will be"
        )
        return self.last(request, self.signed(request, "", "not executed", dropped, established=True))

    def last(self, request: str, outcome: Signed) -> Signed:
        """Journal and return the answer that ends a request."""
        self._store.end(request, outcome)
        ended = canonical.decode(outcome.document.encode(), Outcome)
        self._marks.append(JournalMark(request=request, result=ended.result))
        say("order ended", request=request, result=ended.result, code=ended.code, established=ended.established)
        return outcome

    def signed(
        self,
        request: str,
        plan_text: str,
        result: OutcomeResult,
        error: AeroError | None = None,
        *,
        evidence: tuple[str, ...] = (),
        established: bool = False,
        late: dict[str, str] | None = None,
    ) -> Signed:
        """Return a signed answer, in the format that the plan's rules know; `last` journals it."""
        note(outcome=result, code=error.code if error else "")
        outcome = Outcome(
            cluster=self._node.cluster.id,
            node=self._node.name,
            epoch=self._versions.chain.newest.epoch,
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
        return sign(said_in(rules_named(plan_text), outcome), self._node.name, self._node.key)
