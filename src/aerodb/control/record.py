"""The third verb of a request's life: what happened is recorded, in the log's own order, with the clock named.

Clocks are recorded and never read back: no decision rests on one.
"""

import datetime as dt
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import msgspec

from aerodb.audit.note import stated_size
from aerodb.audit.record import MESSAGE_CHARACTERS_MAX, LaterRecord, Record, RecordOne, TurnRecord, decode_record
from aerodb.audit.store import Log
from aerodb.control.allowance import Allowance
from aerodb.control.errors import ConfirmationReplayed
from aerodb.control.meters import Meters
from aerodb.control.versions import KnownVersions
from aerodb.errors import AeroError, Executed
from aerodb.logs import say
from aerodb.protocol import canonical
from aerodb.protocol.ahead import AFTER
from aerodb.protocol.api import AWAITS_SECOND, AWAITS_TURN, RequestLine
from aerodb.protocol.cluster import Cluster, Operator, read_configuration
from aerodb.protocol.plan import Confirmation, Plan, Request, plan_digest, plan_in
from aerodb.protocol.signed import Signed
from aerodb.tracing import span
from aerodb.transport.counts import turned_away
from aerodb.transport.errors import REFUSES_THE_CALLER

SAID = {
    "requested": "planned",
    "signed": "signed first",
    "triggered": "has its turn",
    "outcome": "has its outcome",
    "established": "had its outcome established",
}


ENDS = frozenset({"outcome", "established"})
"""The events whose records say what became of a request."""


SENDS = frozenset({"confirmed", "triggered"})
"""The events after which something is sent: until its answer is recorded, what became of it is unknown."""


def about(person: Operator) -> Request:
    """Return the request of a record that is about a person and no request: an empty one."""
    return Request(id="", action="", target="", arguments={}, operator=person.name, reason="")


def telling(records: Sequence[Record]) -> Record:
    """Return which of a request's records tells what became of it: the last one that is no refusal, where one is.

    What is refused afterwards, whoever tried it, changes nothing about the request. Nor does an answer that was lost,
    where the node has signed meanwhile what became of it: that record tells. What stands in the record that a request's
    turn has come is signed of another one.
    """
    final = (each for each in reversed(records) if each.event in ENDS and each.outcome and each.result != "unknown")
    return next(final, next((each for each in reversed(records) if each.event != "refused"), records[-1]))


def executed_by(records: Sequence[Record]) -> Executed:
    """Return whether a request was executed, by its records: what was sent and has no answer is unknown."""
    last = telling(records)
    if last.event in ENDS and last.result in ("executed", "not executed"):
        return "executed" if last.result == "executed" else "not executed"
    return "unknown" if any(each.event in SENDS for each in records) else "not executed"


def asking(records: Iterable[Record]) -> Record:
    """Return which of a request's records, in order, tells what was asked: the first that is no refusal, where one is.

    Somebody may be turned away under an id before anything is planned under it.
    """
    rest = iter(records)
    first = next(rest)
    return first if first.event != "refused" else next((each for each in rest if each.event != "refused"), first)


def _refused_result(error: AeroError) -> Executed:
    """Return what a refusal itself had executed: of one that tells of an earlier confirmation, nothing."""
    return "not executed" if isinstance(error, ConfirmationReplayed) else error.executed


def line_of(records: Sequence[Record], *, awaits: bool) -> RequestLine:
    """Return a request as it stands in a list, from its records; `awaits` tells whether it can still be confirmed."""
    first, last = asking(records), telling(records)
    state: str = AWAITS_TURN if last.event == "confirmed" and AFTER in first.arguments else last.event
    if last.event in ("requested", "signed"):
        state = ("planned" if last.event == "requested" else AWAITS_SECOND) if awaits else "lapsed"
    elif last.event in {"outcome", "established"}:
        state = last.result
    return RequestLine(
        request=first.request,
        at=first.at,
        operator=first.operator,
        action=first.action,
        target=first.target,
        arguments=first.arguments,
        reason=first.reason,
        state=state,
        code=last.code,
        plan=first.plan or None,
    )


class Became(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request: as an agent signed it, or, where `signed` is None, as the control plane knows it."""

    result: Executed
    signed: Signed | None
    code: str
    message: str


class Recorder:
    """Writes the records of one control plane."""

    def __init__(self, log: Log, configuration: bytes, meters: Meters) -> None:
        """Keep the log, and what counts its records.

        `configuration` is the cluster's founding document. The version that a record names is stored beside it.

        Raises:
            NotCanonical, VersionRefused: it is no founding document.
        """
        self.versions = KnownVersions(read_configuration(configuration))
        self.log = log
        self._meters = meters
        self._lock = threading.Lock()
        self._allowance = Allowance(time.monotonic)
        self._clock = f"system clock of {socket.gethostname()}"

    def _write(
        self, request: Request, event: str, blobs: Mapping[str, bytes], confirms: Plan | None = None, **fields: object
    ) -> int:
        kind: type[Record] = LaterRecord if event == "signed" or "second" in fields else RecordOne
        if event == "triggered":
            kind = TurnRecord
        record = kind(
            event=event,  # type: ignore[arg-type]
            at=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            clock=self._clock,
            request=request.id,
            operator=request.operator,
            action=request.action,
            target=request.target,
            arguments=request.arguments,
            reason=request.reason,
            **fields,  # type: ignore[arg-type]
        )
        with span("record", event=event, request=request.id), self._lock:
            if confirms is not None:
                self.versions.refuse_passed(confirms)  # What a node takes is known before it is logged: see dispatch.
            under = self._version(record.plan, blobs)  # Which version is the newest goes by the log's own order.
            record = msgspec.structs.replace(record, configuration=under.digest)
            sequence = self.log.append(record, {under.digest: canonical.encode(under), **blobs})
        self._meters.recorded(record)
        about = "request" if request.id else "without a request:"
        say(
            f"{about} {SAID.get(event, event)}", request=request.id, operator=request.operator, action=request.action,
            target=request.target, sequence=sequence, result=record.result, code=record.code,
        )  # fmt: skip
        return sequence

    def _version(self, plan: str, blobs: Mapping[str, bytes]) -> Cluster:
        """Return the version that the plan of a digest was made under, or, where there is no such plan, the newest."""
        chain = self.versions.chain
        if not plan or len(chain.versions) == 1:
            return chain.newest
        text = blobs.get(plan) or self.log.blob(plan)
        return chain.newest if text is None else chain.judging(plan_in(text.decode()).configuration)

    def proof_since(
        self, sequence: int, sizes: tuple[int, ...], checkpoint: str = ""
    ) -> tuple[str, list[tuple[bytes, ...]]]:
        """Return the proof of a record and the path from each of the sizes, all under one and the same checkpoint.

        That is `checkpoint`, where one is given that others have cosigned, else the newest.
        """
        with self._lock:
            if checkpoint:
                size = stated_size(checkpoint)
                return self.log.proof_under(sequence, checkpoint), [self.log.consistency(each, size) for each in sizes]
            return self.log.proof(sequence), [self.log.consistency(each) for each in sizes]

    def planned(self, plan: Plan, text: str, snapshot: bytes, failed: tuple[str, ...]) -> int:
        """Record a request and its plan; one whose invariants failed is a rejection, and final."""
        digest = plan_digest(text)
        return self._write(
            plan.request,
            "rejected" if failed else "requested",
            {digest: text.encode(), plan.snapshot: snapshot},
            plan=digest,
            snapshot=plan.snapshot,
            invariants=failed,
        )

    def signed_first(self, plan: Plan, text: str, signature: str, *, touch: bool) -> int:
        """Record the requester's confirmation of a plan that a second person must sign too; nothing is sent yet.

        Raises:
            PlanNotPending: the plan's node has taken a later version of the configuration by now.
        """
        digest = plan_digest(text)
        return self._write(
            plan.request, "signed", {}, plan, plan=digest, snapshot=plan.snapshot, signature=signature, touch=touch
        )

    def confirmed(self, plan: Plan, signed: Confirmation, *, touch: bool, second_touch: bool = False) -> int:
        """Record a confirmation, the second person's with it where there is one, before anything is sent.

        Raises:
            PlanNotPending: the plan's node has taken a later version of the configuration by now.
        """
        second = signed.seconded
        more = {"second": second, "second_touch": second_touch} if second is not None else {}
        return self._write(
            plan.request, "confirmed", {}, plan, plan=plan_digest(signed.plan), snapshot=plan.snapshot,
            signature=signed.signature, touch=touch, **more,
        )  # fmt: skip

    def gone(self, request: Request, event: Literal["declined", "lapsed"], plan: str, why: str) -> int:
        """Record that a plan awaits its confirmation no more: its requester declined it, or its process ended."""
        return self._write(request, event, {}, plan=plan, message=why)

    def refused(self, request: Request, error: AeroError, by: str = "", message: str = "") -> None:
        """Record a refusal, with its own message or a fuller one, and note so on the error.

        `by` is who called, unless they are who asked. Of a caller who may not act only so many are recorded: see
        `allowance`.
        """
        error.recorded = True
        caller, said = by or request.operator, message or error.message
        if error.code in REFUSES_THE_CALLER:
            dropped = self._allowance.take(caller)
            if dropped is None:
                turned_away("refusal not recorded")
                return
            if dropped:
                said = f"{said} ({dropped} refusals of {caller} before this one were counted, and not recorded)"
        self._write(
            request, "refused", {}, code=error.code, message=said[:MESSAGE_CHARACTERS_MAX],
            invariants=error.invariants, result=_refused_result(error),
        )  # fmt: skip

    @contextmanager
    def refusals(self, request: Request, by: str = "") -> Iterator[None]:
        """Record why what is done inside refuses a request, unless that is recorded already; see `refused`."""
        try:
            yield
        except AeroError as error:
            if not error.recorded:
                self.refused(request, error, by)
            raise

    def read(self, person: str, what: str, about: Mapping[str, str], snapshot: str = "") -> int:
        """Record that a person is about to be shown sensitive facts: what, of which request or snapshot."""
        asked = Request(id="", action="", target="", arguments={"read": what, **about}, operator=person, reason="")
        return self._write(asked, "read", {}, snapshot=snapshot)

    def signed(self, person: str, way: Literal["in", "out"], about: Mapping[str, str], why: str = "") -> int:
        """Record that a person's session in the admin UI began, or ended and why."""
        asked = Request(id="", action="", target="", arguments=dict(about), operator=person, reason="")
        return self._write(asked, f"signed-{way}", {}, message=why)

    def triggered(self, plan: Plan, text: str, outcome: Signed) -> int:
        """Record that the turn of a held request has come: the one before it is executed, as its node has signed.

        Raises:
            PlanNotPending: the plan's node has taken a later version of the configuration by now.
        """
        return self._write(plan.request, "triggered", {}, plan, plan=plan_digest(text), outcome=outcome)

    def records_of(self, request: str) -> dict[int, Record]:
        """Return the records of a request in their order, by their places in the log."""
        return {each: decode_record(self.log.record(each)) for each in self.log.sequences_of(request)}

    def outcome(self, request: Request, plan: str, became: Became, *, established: bool, late: bytes = b"") -> int:
        """Record what became of a request, and what its target's peers said `late`, as the order carried it."""
        digest = canonical.digest(late) if late else ""
        return self._write(
            request, "established" if established else "outcome", {digest: late} if late else {}, plan=plan,
            result=became.result, outcome=became.signed, code=became.code,
            message=became.message[:MESSAGE_CHARACTERS_MAX], late=digest,
        )  # fmt: skip
