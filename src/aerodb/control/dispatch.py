"""The fourth verb of a request's life: one order, to one agent, sent once, and its outcome recorded."""

from typing import NamedTuple

import msgspec

from aerodb.actions import gap_of
from aerodb.audit.comparison import check_comparisons, path_texts, seen_by
from aerodb.audit.record import Record
from aerodb.control.agents import Agents
from aerodb.control.comparison import Comparisons
from aerodb.control.cosigning import LogWitnesses
from aerodb.control.record import Became, Recorder
from aerodb.control.snapshot import collect_late
from aerodb.errors import AeroError
from aerodb.logs import say
from aerodb.protocol import canonical
from aerodb.protocol.ahead import THEN
from aerodb.protocol.api import Done
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Confirmation, Order, Plan, Request, Snapshot, plan_digest
from aerodb.protocol.signed import Signed
from aerodb.tracing import note, span


class LoggedAt(NamedTuple):
    """A confirmation's record, and the cosigned checkpoint that it is proven under ("": the newest, not cosigned)."""

    sequence: int
    cosigned: str


class Dispatcher:
    """Carries orders to agents."""

    def __init__(
        self, cluster: Cluster, agents: Agents, recorder: Recorder, comparisons: Comparisons, witnesses: LogWitnesses
    ) -> None:
        """Keep the way to the agents, the log, who has seen what of it, and who must cosign it."""
        self._cluster = cluster
        self._agents = agents
        self._recorder = recorder
        self._comparisons = comparisons
        self._witnesses = witnesses

    def order(self, plan: Plan, signed: Confirmation, logged: LoggedAt, seen: int, late: Snapshot) -> Order:
        """Return everything that the agent, who has seen the log at the size `seen`, needs to check the three locks."""
        log = self._recorder.log
        check_comparisons((seen_by(plan.request.target, seen, log.size),), log.size)
        snapshot = canonical.decode(log.blob(plan.snapshot) or b"", Snapshot)
        gap = gap_of(plan.request)
        sizes = (seen, gap.restored.size) if gap else (seen,)
        proof, paths = self.proof(logged, *sizes)
        say("request dispatched", request=plan.request.id, target=plan.request.target)
        return Order(
            plan=signed.plan,
            signature=signed.signature,
            second=signed.second,
            record=log.record(logged.sequence).decode(),
            proof=proof,
            consistency=path_texts(paths[0]),
            reports={name: report for name, report in snapshot.reports.items() if name in plan.reports},
            late=late.reports,
            restored=path_texts(paths[1]) if gap else (),
        )

    def proof(self, logged: LoggedAt, seen: int, *sizes: int) -> tuple[str, list[tuple[bytes, ...]]]:
        """Return the proof of a record, and the paths from the size that its node has seen, and from others."""
        cosigned = self._witnesses.since(logged.cosigned, seen)
        return self._recorder.proof_since(logged.sequence, (seen, *sizes), cosigned)

    def dispatch(self, plan: Plan, signed: Confirmation, sequence: int) -> Done:
        """Send the order, once, record what came back, and return it.

        A failure to reach the agent is an outcome too: not executed where nothing was sent, else unknown. So it is
        where log witnesses do not cosign what the configuration demands that they do.
        """
        with span("dispatch", kind="client", request=plan.request.id, node=plan.request.target):
            done = self._dispatch(plan, signed, sequence)
            note(outcome=done.result, code=done.code)
            return done

    def _dispatch(self, plan: Plan, confirmed: Confirmation, sequence: int) -> Done:
        cosigned = self.cosigned()
        collected = collect_late(self._cluster, self._agents, plan, self._recorder.log.record(sequence).decode())
        late, gap, digest = collected.snapshot, gap_of(plan.request), plan_digest(confirmed.plan)
        said = canonical.encode(late)  # Before anything is sent: afterwards nothing may fail but the recording.
        try:
            if isinstance(cosigned, AeroError):
                raise cosigned
            self._comparisons.check_request(plan.request, collected.everyone)
            logged = LoggedAt(sequence, cosigned)
            signed = self._agents.order(
                plan.request.target,
                lambda seen: self.order(plan, confirmed, logged, seen, late),
                gap.restored.size if gap else None,
            )
            became = self.became(plan.request, digest, signed)
            if THEN in plan.request.arguments and became.result == "executed":
                self._agents.greet(plan.reports)  # Who was silent then is not waited for.
        except AeroError as error:
            became = Became(result=error.executed, signed=None, code=error.code, message=error.message)
        return self.recorded(plan.request, digest, became, late=said)

    def cosigned(self) -> str | AeroError:
        """Return the cosigned checkpoint, before the late reports are asked for, which stay young so; or why not."""
        try:
            return self._witnesses.cosigned()
        except AeroError as error:
            return error

    def became(self, request: Request, plan: str, signed: Signed) -> Became:
        """Return what an agent has signed of a request and the plan of that digest.

        Raises:
            OutcomeForged: it is not the target's word on them.
        """
        outcome = self._agents.opened(request.target, request.id, signed, plan)
        return Became(result=outcome.result, signed=signed, code=outcome.code, message=outcome.message)

    def establish(self, request: Request, confirmed: Record) -> Done:
        """Ask the agent what became of a request, record its answer as established afterwards, and return it.

        `confirmed` is the record of its confirmation.

        Raises:
            AeroError, of which `executed` is unknown: the agent does not say; then nothing is recorded.
        """
        text = (self._recorder.log.blob(confirmed.plan) or b"").decode()
        second = confirmed.seconded or msgspec.UNSET
        shown = Confirmation(plan=text, signature=confirmed.signature, second=second)
        signed = self._agents.outcome(request.target, request.id, shown)
        became = self.became(request, confirmed.plan, signed)
        return self.recorded(request, confirmed.plan, became, established=True)

    def ask_lost(self, node: str, request: str) -> Done:
        """Ask the node that holds a request what became of it; the log has lost it, and so nothing is recorded.

        Raises:
            AeroError, of which `executed` is unknown: the node does not say.
        """
        signed = self._agents.outcome(node, request, Confirmation(plan="", signature=""))
        outcome = self._agents.opened(node, request, signed)
        said = f"{outcome.message} The log has lost this request: it is not recorded.".strip()
        return Done(request=request, result=outcome.result, outcome=signed, sequence=None, code=outcome.code,
                    message=said)  # fmt: skip

    def recorded(
        self, request: Request, plan: str, became: Became, *, established: bool = False, late: bytes = b""
    ) -> Done:
        """Record what became of a request, and return it, also where it cannot be recorded."""
        sequence: int | None
        message = became.message
        if became.result == "executed" and became.signed is not None:
            self._recorder.versions.executed(request)
        try:
            before = self._recorder.records_of(request.id).values()
            if any(each.event == "outcome" for each in before):  # A request has but one.
                established, late = True, b""
            sequence = self._recorder.outcome(request, plan, became, established=established, late=late)
        except AeroError as error:
            # The action is over; that it cannot be recorded now must not hide its outcome from the one who asked.
            sequence, message = None, f"{message} The outcome could not be recorded: {error.message}".strip()
        return Done(
            request=request.id, result=became.result, outcome=became.signed, sequence=sequence, code=became.code,
            message=message,
        )  # fmt: skip
