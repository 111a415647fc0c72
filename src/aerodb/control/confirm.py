"""The second verb of a request's life: a confirmation is checked, logged, and only then dispatched.

- It counts once, for one request, from the one who asked, in the process that made the plan.
- The log's room for the outcome is reserved, and the record read back, before anything is sent.
"""

from aerodb.audit.record import Record
from aerodb.control.dispatch import Dispatcher
from aerodb.control.errors import (
    ConfirmationReplayed,
    PlanNotPending,
    RejectionUnconfirmable,
    RequestForeign,
    RequestNotFound,
)
from aerodb.control.explain import Explainer, Pending
from aerodb.control.record import Recorder
from aerodb.control.roles import Right, require
from aerodb.control.views import Views
from aerodb.errors import AeroError
from aerodb.protocol import canonical, confirmation
from aerodb.protocol.api import Done
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.protocol.plan import Request
from aerodb.tracing import span


class Confirmer:
    """Takes confirmations."""

    def __init__(
        self, cluster: Cluster, explainer: Explainer, recorder: Recorder, dispatcher: Dispatcher, views: Views
    ) -> None:
        """Keep whose confirmations count, where plans wait, where they are logged, who sends them, who saw the log."""
        self._cluster = cluster
        self._explainer = explainer
        self._recorder = recorder
        self._dispatcher = dispatcher
        self._views = views

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
        try:
            pending, touch = self._checked(person, request_id, signature)
            self._views.check_request(pending.plan.request)
            self._recorder.log.ensure_reserve()
        except AeroError as error:
            if not error.recorded:
                self._recorder.refused(asked, error, person.name)
            raise
        if self._explainer.take(request_id) is None:
            raise ConfirmationReplayed("the request is being confirmed", request=request_id, executed="unknown")
        sequence = self._recorder.confirmed(pending.plan, pending.text, signature, touch=touch)
        return self._dispatcher.dispatch(pending.plan, pending.text, signature, sequence)

    def _asked(self, request_id: str) -> Request:
        """Return the request as it was recorded."""
        sequences = self._recorder.log.sequences_of(request_id)
        if not sequences:
            raise RequestNotFound(f"the log knows no request {request_id!r}", field="request")
        return canonical.decode(self._recorder.log.record(sequences[0]), Record).asked

    def _checked(self, person: Operator, request_id: str, signature: str) -> tuple[Pending, bool]:
        require(person, Right.CONFIRM)
        pending = self._explainer.pending(request_id)
        if pending is None:
            raise self._why_not_pending(request_id)
        if pending.plan.request.operator != person.name:
            raise RequestForeign(
                f"{pending.plan.request.operator} asked for this, not {person.name}", request=request_id
            )
        confirmed = confirmation.verify(self._cluster, person, signature, pending.text.encode())
        return pending, confirmed.proof.touch

    def _why_not_pending(self, request_id: str) -> AeroError:
        log = self._recorder.log
        records = [canonical.decode(log.record(each), Record) for each in log.sequences_of(request_id)]
        events = {record.event: record for record in records}
        if "rejected" in events:
            return RejectionUnconfirmable(
                "the plan is a rejection, and final", request=request_id, invariants=events["rejected"].invariants
            )
        if "confirmed" in events:
            last = events.get("established") or events.get("outcome")
            became = last.result if last else "unknown"
            return ConfirmationReplayed(f"the request was confirmed before; its outcome: {became}", request=request_id)
        return PlanNotPending("the process that made the plan is gone; ask anew", request=request_id)
