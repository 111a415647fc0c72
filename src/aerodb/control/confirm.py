"""The second verb of a request's life: a confirmation is checked, logged, and only then dispatched; or it is declined.

- It counts once, for one request, from the one who asked, in the process that made the plan.
- Where the configuration asks for a second person, the requester's signature is logged first, and nothing is sent.
  Another operator's over the same bytes makes it a confirmation, which holds both. The plan waits for that here too.
- Only the requester declines. Another operator who does not sign does nothing: a third one still may.
- The log's room for the outcome is reserved, and the record read back, before anything is sent.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from aerodb.actions import action_named, needs_second, second_of
from aerodb.audit.record import Record
from aerodb.control.comparison import Comparisons
from aerodb.control.dispatch import Dispatcher
from aerodb.control.errors import ConfirmationReplayed, RejectionUnconfirmable, RequestNotFound
from aerodb.control.explain import Explainer, Pending, refuse_untaken
from aerodb.control.record import Recorder, asking, executed_by, line_of, telling
from aerodb.control.roles import Right, require, require_authority
from aerodb.control.sequences import Sequences
from aerodb.errors import AeroError
from aerodb.protocol import canonical, confirmation
from aerodb.protocol.ahead import AFTER
from aerodb.protocol.api import Done, RequestLine
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.protocol.plan import Confirmation, Request, Second, plan_digest
from aerodb.protocol.refusals import PlanNotPending, RequestForeign, SecondMissing, SecondRefused
from aerodb.tracing import span


class Confirmer:
    """Takes confirmations."""

    def __init__(
        self, explainer: Explainer, recorder: Recorder, dispatcher: Dispatcher, sequences: Sequences,
        comparisons: Comparisons,
    ) -> None:  # fmt: skip
        """Keep where plans wait, where they are logged, who sends them, now or in their turn, who saw the log."""
        self._sequences = sequences
        self._explainer = explainer
        self._recorder = recorder
        self._dispatcher = dispatcher
        self._comparisons = comparisons

    def confirm(self, person: Operator, request_id: str, signature: str) -> Done:
        """Log the confirmation, send the order, once, and return the outcome.

        Where a second person is due it is theirs, and the requester's is logged already.

        Raises:
            RequestNotFound, PlanNotPending, ConfirmationReplayed, RejectionUnconfirmable: nothing awaits it.
            CallerRefused, RequestForeign, SshsigInvalid, AssertionInvalid: it is not the requester's confirmation.
            SecondMissing, SecondRefused, VersionUntaken: a second person is due, and it is not theirs, or not yet.
            LogUnavailable: it cannot be logged; nothing was sent.
            LogForked, LogBehind: the log does not extend what somebody has seen of it; nothing was sent or recorded.
        """
        asked = self._asked(request_id)
        with span("confirm", request=asked.id, action=asked.action, node=asked.target):
            return self._confirm(person, asked, signature)

    def _confirm(self, person: Operator, asked: Request, signature: str) -> Done:
        with self._recorder.refusals(asked, person.name):
            pending = self._pending(person, asked.id)
            signed, touches = self._checked(person, pending, signature)
            self._recorder.versions.refuse_passed(pending.plan)
            self._comparisons.check_request(pending.plan.request)
            self._sequences.refuse_unknown(pending.plan)
            self._recorder.log.ensure_reserve()
        with self._decided(pending, person.name):
            sequence = self._recorder.confirmed(pending.plan, signed, touch=touches[0], second_touch=touches[1])
        self._recorder.versions.confirmed(pending.plan.request)
        if AFTER in pending.plan.request.arguments:
            done = self._sequences.hold(pending.plan, signed, sequence)
        else:
            done = self._dispatcher.dispatch(pending.plan, signed, sequence)
            done = self._sequences.follow(pending.plan, done, pending.text)
        dropped = self._sequences.collect_dropped(pending.plan.request)
        return replace(done, dropped=dropped) if dropped else done

    def sign_first(self, person: Operator, request_id: str, signature: str) -> RequestLine:
        """Log the requester's signature of a plan that a second person must sign too; nothing is sent.

        Raises:
            RequestNotFound, PlanNotPending, ConfirmationReplayed, RejectionUnconfirmable: nothing awaits it.
            CallerRefused, RequestForeign, SshsigInvalid, AssertionInvalid: it is not the requester's.
            SecondRefused: no second person is due.
            LogUnavailable: it cannot be logged; the plan awaits nothing any more.
            LogForked, LogBehind: the log does not extend what somebody has seen of it; nothing was recorded.
        """
        asked = self._asked(request_id)
        with self._recorder.refusals(asked, person.name):
            pending = self._own(person, request_id)
            touch = self._checked_first(person, pending, signature)
            self._recorder.versions.refuse_passed(pending.plan)
            self._comparisons.check_request(pending.plan.request)
        with self._decided(pending, person.name):
            self._recorder.signed_first(pending.plan, pending.text, signature, touch=touch)
            self._explainer.put_back(pending, signature)
        return line_of(self._records(request_id), awaits=True)

    def decline(self, person: Operator, request_id: str) -> RequestLine:
        """Let a plan go unconfirmed, for good, and return the request's line; only its requester may.

        Raises:
            RequestNotFound, PlanNotPending, ConfirmationReplayed, RejectionUnconfirmable: nothing awaits it.
            CallerRefused, RequestForeign: it is not theirs to decline.
            LogUnavailable: it cannot be recorded; it awaits nothing any more all the same.
            LogForked, LogBehind: the log does not extend what somebody has seen of it; the plan awaits as before.
        """
        asked, records = self._asked(request_id), self._records(request_id)
        last = telling(records)
        if AFTER in asked.arguments and (last.event in {"confirmed", "triggered"} or last.result == "unknown"):
            return self._withdraw(person, asked, records)
        with self._recorder.refusals(asked, person.name):
            pending = self._own(person, request_id)
            self._comparisons.check()
        with self._decided(pending, person.name):
            self._recorder.gone(asked, "declined", plan_digest(pending.text), "")
        self._sequences.over(asked.id, "declined")
        return line_of(self._records(request_id), awaits=False)

    def _withdraw(self, person: Operator, asked: Request, records: list[Record]) -> RequestLine:
        """Have an order that awaits its turn dropped, for its requester."""
        with self._recorder.refusals(asked, person.name):
            require(person, Right.CONFIRM)
            self._refuse_other(person, asked)
        sent = telling(records).event != "confirmed"
        self._sequences.withdraw(asked, asking(records).plan, f"{person.name} declined it", established=sent)
        return line_of(self._records(asked.id), awaits=False)

    @contextmanager
    def _decided(self, pending: Pending, by: str) -> Iterator[None]:
        """Take a plan, alone and as it was looked at, while what becomes of it is recorded."""
        with self._explainer.taken(pending) as taken:
            if not taken:
                raise ConfirmationReplayed(
                    "what becomes of it was just decided", request=pending.plan.request.id, executed="unknown"
                )
            try:
                yield
            except PlanNotPending as error:  # In this very moment its node has taken a later version.
                self._recorder.refused(pending.plan.request, error, by)
                raise

    def _asked(self, request_id: str) -> Request:
        """Return the request as it was recorded."""
        records = self._records(request_id)
        if not records:
            raise RequestNotFound(f"the log knows no request {request_id!r}", field="request")
        return asking(records).asked

    def _cluster(self, pending: Pending) -> Cluster:
        """Return the version that a plan was made under: keys count as they are enrolled there."""
        return self._recorder.versions.chain.judging(pending.plan.configuration)

    def _checked(self, person: Operator, pending: Pending, signature: str) -> tuple[Confirmation, tuple[bool, bool]]:
        """Return the whole confirmation that a signature makes, and whether the first and the second show a touch."""
        if needs_second(self._cluster(pending), pending.plan.request):
            return self._checked_second(person, pending, signature)
        self._refuse_foreign(person, pending)
        touch = self._touched(self._cluster(pending), person, pending.text, signature)
        return Confirmation(plan=pending.text, signature=signature), (touch, False)

    def _checked_first(self, person: Operator, pending: Pending, signature: str) -> bool:
        """Return whether the requester's signature shows a touch, where a second one is due after it."""
        cluster, request = self._cluster(pending), pending.plan.request.id
        if not needs_second(cluster, pending.plan.request):
            raise SecondRefused("no second person is asked here: confirm it", request=request)
        if pending.signature:
            raise ConfirmationReplayed(
                f"{person.name} has signed it; it awaits a second person", request=request, executed="not executed"
            )
        return self._touched(cluster, person, pending.text, signature)

    def _checked_second(
        self, person: Operator, pending: Pending, signature: str
    ) -> tuple[Confirmation, tuple[bool, bool]]:
        cluster, asked = self._cluster(pending), pending.plan.request
        if not pending.signature and asked.operator == person.name:
            raise SecondMissing(
                f"{person.name} signs it first, and then a second person: nothing is sent before", request=asked.id
            )
        if not pending.signature:
            raise RequestForeign(f"{asked.operator} asked for this, and signs it first", request=asked.id)
        if asked.operator != person.name:
            refuse_untaken(cluster, pending.plan, person.name)
        second = Second(operator=person.name, signature=signature)
        signed = Confirmation(plan=pending.text, signature=pending.signature, second=second)
        proven = second_of(cluster, asked, signed)
        first = self._touched(cluster, cluster.operator(asked.operator) or person, pending.text, pending.signature)
        return signed, (first, proven is not None and proven.proof.touch)

    def _touched(self, cluster: Cluster, person: Operator, text: str, signature: str) -> bool:
        """Return whether a person's confirmation, which is verified, shows a touch."""
        signer = cluster.operator(person.name) or person
        return confirmation.verify(cluster, signer, signature, canonical.utf8(text)).proof.touch

    def _pending(self, person: Operator, request_id: str) -> Pending:
        """Return a plan that awaits a confirmation, for somebody who may confirm what it is for."""
        require(person, Right.CONFIRM)
        pending = self._explainer.pending(request_id)
        if pending is None:
            raise self._why_not_pending(request_id)
        asked = pending.plan.request
        require_authority(person, asked.action, action_named(asked.action).authority)
        return pending

    def _own(self, person: Operator, request_id: str) -> Pending:
        """Return the plan of a person's own that awaits what they decide."""
        pending = self._pending(person, request_id)
        self._refuse_foreign(person, pending)
        return pending

    def _refuse_foreign(self, person: Operator, pending: Pending) -> None:
        self._refuse_other(person, pending.plan.request)

    def _refuse_other(self, person: Operator, asked: Request) -> None:
        if asked.operator != person.name:
            raise RequestForeign(f"{asked.operator} asked for this, not {person.name}", request=asked.id)

    def _records(self, request_id: str) -> list[Record]:
        return [*self._recorder.records_of(request_id).values()]

    def _why_not_pending(self, request_id: str) -> AeroError:
        records = self._records(request_id)
        events = {record.event: record for record in records}
        if "rejected" in events:
            return RejectionUnconfirmable(
                "the plan is a rejection, and final", request=request_id, invariants=events["rejected"].invariants
            )
        if "confirmed" in events:
            became = executed_by(records)
            return ConfirmationReplayed(
                f"the request was confirmed before; its outcome: {became}", request=request_id, executed=became
            )
        if "declined" in events:
            return PlanNotPending("it was declined by who asked; ask anew", request=request_id)
        return PlanNotPending(
            "the plan awaits nothing any more: the process that made it has ended, or what was decided could not be "
            "recorded; ask anew",
            request=request_id,
        )
