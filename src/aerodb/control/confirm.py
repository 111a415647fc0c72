"""The second verb of a request's life: a confirmation is checked, logged, and only then dispatched; or it is declined.

- It counts once, for one request, from the one who asked, in the process that made the plan.
- The log's room for the outcome is reserved, and the record read back, before anything is sent.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from aerodb.actions import action_named
from aerodb.audit.record import Record
from aerodb.control.comparison import Comparisons
from aerodb.control.dispatch import Dispatcher
from aerodb.control.errors import ConfirmationReplayed, RejectionUnconfirmable, RequestNotFound
from aerodb.control.explain import Explainer, Pending
from aerodb.control.record import Recorder, line_of
from aerodb.control.roles import Right, require, require_authority
from aerodb.errors import AeroError
from aerodb.protocol import canonical, confirmation
from aerodb.protocol.api import Done, RequestLine
from aerodb.protocol.cluster import Operator
from aerodb.protocol.plan import Request, plan_digest
from aerodb.protocol.refusals import PlanNotPending, RequestForeign
from aerodb.tracing import span


class Confirmer:
    """Takes confirmations."""

    def __init__(
        self, explainer: Explainer, recorder: Recorder, dispatcher: Dispatcher, comparisons: Comparisons
    ) -> None:
        """Keep where plans wait, where they are logged, who sends them, who saw the log."""
        self._explainer = explainer
        self._recorder = recorder
        self._dispatcher = dispatcher
        self._comparisons = comparisons

    def confirm(self, person: Operator, request_id: str, signature: str) -> Done:
        """Log the confirmation, send the order, once, and return the outcome.

        Raises:
            RequestNotFound, PlanNotPending, ConfirmationReplayed, RejectionUnconfirmable: nothing awaits it.
            CallerRefused, RequestForeign, SshsigInvalid, AssertionInvalid: it is not the requester's confirmation.
            LogUnavailable: it cannot be logged; nothing was sent.
            LogForked, LogBehind: the log does not extend what somebody has seen of it; nothing was sent or recorded.
        """
        asked = self._asked(request_id)
        with span("confirm", request=asked.id, action=asked.action, node=asked.target):
            return self._confirm(person, asked, signature)

    def _confirm(self, person: Operator, asked: Request, signature: str) -> Done:
        request_id = asked.id
        with self._recorder.refusals(asked, person.name):
            pending, touch = self._checked(person, request_id, signature)
            self._comparisons.check_request(pending.plan.request)
            self._recorder.log.ensure_reserve()
        with self._decided(request_id):
            sequence = self._recorder.confirmed(pending.plan, pending.text, signature, touch=touch)
        self._recorder.versions.confirmed(pending.plan.request)
        return self._dispatcher.dispatch(pending.plan, pending.text, signature, sequence)

    def decline(self, person: Operator, request_id: str) -> RequestLine:
        """Let a plan go unconfirmed, for good, and return the request's line; only its requester may.

        Raises:
            RequestNotFound, PlanNotPending, ConfirmationReplayed, RejectionUnconfirmable: nothing awaits it.
            CallerRefused, RequestForeign: it is not theirs to decline.
            LogUnavailable: it cannot be recorded; it awaits nothing any more all the same.
            LogForked, LogBehind: the log does not extend what somebody has seen of it; the plan awaits as before.
        """
        asked = self._asked(request_id)
        with self._recorder.refusals(asked, person.name):
            pending = self._own(person, request_id)
            self._comparisons.check()
        with self._decided(request_id):
            self._recorder.gone(asked, "declined", plan_digest(pending.text), "")
        return line_of(self._records(request_id), awaits=False)

    @contextmanager
    def _decided(self, request_id: str) -> Iterator[None]:
        """Take a plan, alone, while what becomes of it is recorded."""
        with self._explainer.taken(request_id) as taken:
            if taken is None:
                raise ConfirmationReplayed(
                    "what becomes of it was just decided", request=request_id, executed="unknown"
                )
            yield

    def _asked(self, request_id: str) -> Request:
        """Return the request as it was recorded."""
        sequences = self._recorder.log.sequences_of(request_id)
        if not sequences:
            raise RequestNotFound(f"the log knows no request {request_id!r}", field="request")
        return canonical.decode(self._recorder.log.record(sequences[0]), Record).asked

    def _checked(self, person: Operator, request_id: str, signature: str) -> tuple[Pending, bool]:
        pending = self._own(person, request_id)
        cluster = self._recorder.versions.chain.judging(pending.plan.configuration)
        signer = cluster.operator(person.name) or person
        confirmed = confirmation.verify(cluster, signer, signature, pending.text.encode())
        return pending, confirmed.proof.touch

    def _own(self, person: Operator, request_id: str) -> Pending:
        """Return the plan of a person's own that awaits what they decide."""
        require(person, Right.CONFIRM)
        pending = self._explainer.pending(request_id)
        if pending is None:
            raise self._why_not_pending(request_id)
        if pending.plan.request.operator != person.name:
            raise RequestForeign(
                f"{pending.plan.request.operator} asked for this, not {person.name}", request=request_id
            )
        asked = pending.plan.request
        require_authority(person, asked.action, action_named(asked.action).authority)
        return pending

    def _records(self, request_id: str) -> list[Record]:
        log = self._recorder.log
        return [canonical.decode(log.record(each), Record) for each in log.sequences_of(request_id)]

    def _why_not_pending(self, request_id: str) -> AeroError:
        events = {record.event: record for record in self._records(request_id)}
        if "rejected" in events:
            return RejectionUnconfirmable(
                "the plan is a rejection, and final", request=request_id, invariants=events["rejected"].invariants
            )
        if "confirmed" in events:
            last = events.get("established") or events.get("outcome")
            became = last.result if last else "unknown"
            return ConfirmationReplayed(f"the request was confirmed before; its outcome: {became}", request=request_id)
        if "declined" in events:
            return PlanNotPending("it was declined by who asked; ask anew", request=request_id)
        return PlanNotPending("the process that made the plan is gone; ask anew", request=request_id)
