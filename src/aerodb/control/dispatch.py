"""The fourth verb of a request's life: one order, to one agent, sent once, and its outcome recorded."""

import base64

from aerodb.control.agents import Agents
from aerodb.control.record import Recorder
from aerodb.errors import AeroError, Executed
from aerodb.logs import say
from aerodb.protocol import canonical
from aerodb.protocol.api import Done
from aerodb.protocol.plan import Order, Plan, Request, Snapshot, plan_digest
from aerodb.protocol.signed import Signed
from aerodb.tracing import note, span


class Dispatcher:
    """Carries orders to agents."""

    def __init__(self, agents: Agents, recorder: Recorder) -> None:
        """Keep the way to the agents, and the log."""
        self._agents = agents
        self._recorder = recorder

    def _order(self, plan: Plan, text: str, signature: str, sequence: int, seen: int) -> Order:
        """Return everything that the agent, who has seen the log at the size `seen`, needs to check the three locks."""
        log = self._recorder.log
        snapshot = canonical.decode(log.blob(plan.snapshot) or b"", Snapshot)
        proof, path = self._recorder.proof_since(sequence, seen)
        say("request dispatched", request=plan.request.id, target=plan.request.target)
        return Order(
            plan=text,
            signature=signature,
            record=log.record(sequence).decode(),
            proof=proof,
            consistency=tuple(base64.b64encode(each).decode() for each in path),
            reports={name: report for name, report in snapshot.reports.items() if name in plan.reports},
        )

    def dispatch(self, plan: Plan, text: str, signature: str, sequence: int) -> Done:
        """Send the order, once, record what came back, and return it.

        A failure to reach the agent is an outcome too: not executed where nothing was sent, else unknown.
        """
        with span("dispatch", kind="client", request=plan.request.id, node=plan.request.target):
            done = self._dispatch(plan, text, signature, sequence)
            note(outcome=done.result, code=done.code)
            return done

    def _dispatch(self, plan: Plan, text: str, signature: str, sequence: int) -> Done:
        try:
            signed = self._agents.order(
                plan.request.target, lambda seen: self._order(plan, text, signature, sequence, seen)
            )
            outcome = self._agents.opened(plan.request.target, plan.request.id, signed)
        except AeroError as error:
            return self._recorded(plan.request, plan_digest(text), error.executed, None, error.code, error.message)
        return self._recorded(plan.request, plan_digest(text), outcome.result, signed, outcome.code, outcome.message)

    def establish(self, request: Request, plan: str) -> Done:
        """Ask the agent what became of a request, record its answer as established afterwards, and return it.

        Raises:
            AeroError: the agent does not say; then nothing is recorded.
        """
        signed = self._agents.outcome(request.target, request.id)
        outcome = self._agents.opened(request.target, request.id, signed)
        return self._recorded(request, plan, outcome.result, signed, outcome.code, outcome.message, established=True)

    def _recorded(
        self, request: Request, plan: str, result: Executed, signed: Signed | None, code: str, message: str,
        *, established: bool = False,
    ) -> Done:  # fmt: skip
        sequence: int | None
        try:
            sequence = self._recorder.outcome(
                request, plan, result, signed=signed, code=code, message=message, established=established
            )
        except AeroError as error:
            # The action is over; that it cannot be recorded now must not hide its outcome from the one who asked.
            sequence, message = None, f"{message} The outcome could not be recorded: {error.message}".strip()
        return Done(request=request.id, result=result, outcome=signed, sequence=sequence, code=code, message=message)
