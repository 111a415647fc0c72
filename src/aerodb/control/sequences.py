"""Signed ahead: an order that its node holds has its turn in the call that carries the order before it.

- The turn comes once: with the signed outcome, executed, of the request before it in hand, and in no other way.
- Anything else ends the sequence: the order is withdrawn, and what its node signs of that is recorded. So it is where
  the request before it is rejected or declined: that one's id is used, and the held order names no other.
- What another order drops is asked for by the call that carried that one, and recorded; nothing is asked for by itself.
- Which orders are held is known to this process alone. Another one can only withdraw them, when a person asks for it.
"""

import threading
from typing import NamedTuple

import msgspec

from aerodb.audit.comparison import check_comparisons, path_texts, seen_by
from aerodb.audit.note import stated_size
from aerodb.control.agents import Agents, Rules
from aerodb.control.comparison import Comparisons
from aerodb.control.dispatch import Dispatcher, LoggedAt
from aerodb.control.errors import SuccessorUnknown
from aerodb.control.record import ENDS, Became, Recorder, executed_by, telling
from aerodb.control.snapshot import Collected, collect_late
from aerodb.errors import AeroError
from aerodb.logs import say
from aerodb.protocol import canonical
from aerodb.protocol.ahead import AFTER, THEN, Earlier, Later, read_earlier, read_later
from aerodb.protocol.api import AWAITS_TURN, NOT_HELD, Done, RequestLine
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Confirmation, Plan, Request, Snapshot, Trigger, plan_digest
from aerodb.protocol.signed import Signed
from aerodb.rules.invariants import RULES
from aerodb.rules.view import open_report
from aerodb.tracing import span

SEQUENCE_ENDED = "control.sequence-ended"
"""The code of what became of a request whose turn did not come."""


class _Waiting(NamedTuple):
    """A plan whose order is held, and its text."""

    plan: Plan
    text: str


def later_of(request: Request) -> Later | None:
    """Return the request that is to come after another one; None if none is."""
    text = request.arguments.get(THEN)
    return None if text is None else read_later(text)


class Sequences:
    """The requests of one control plane that come after others."""

    def __init__(
        self, cluster: Cluster, agents: Agents, recorder: Recorder, dispatcher: Dispatcher, comparisons: Comparisons
    ) -> None:
        """Have nothing held yet."""
        self._cluster, self._agents, self._recorder, self._dispatcher = cluster, agents, recorder, dispatcher
        self._comparisons = comparisons
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._unheld: set[str] = set()

    def refuse_unknown(self, plan: Plan) -> None:
        """Refuse a plan that names a request after it whose order was not given to its node by this process.

        Raises:
            SuccessorUnknown: so it is, or somebody else asked for that one.
        """
        later = later_of(plan.request)
        waiting = self._waiting.get(later.request) if later else None
        if later is None or (
            waiting is not None
            and plan_digest(waiting.text) == later.plan
            and waiting.plan.request.operator == plan.request.operator
        ):
            return
        raise SuccessorUnknown(
            f"request {later.request} is not held by its node for {plan.request.operator} through this process: ask "
            "for it anew, and sign it",
            request=plan.request.id,
        )

    # Held -------------------------------------------------------------------------------------------------------------

    def hold(self, plan: Plan, confirmed: Confirmation, sequence: int) -> Done:
        """Give an order to its node to hold, once, and return that it does, or what became of it instead."""
        asked, node = plan.request, plan.request.target
        with span("hold", kind="client", request=asked.id, node=node):
            try:
                cosigned = self._dispatcher.cosigned()
                if isinstance(cosigned, AeroError):
                    raise cosigned
                logged, nobody = LoggedAt(sequence, cosigned), Snapshot(cluster="", nonce="", reports={}, missing={})
                signed = self._agents.hold(
                    node, lambda seen: self._dispatcher.order(plan, confirmed, logged, seen, nobody)
                )
                if _is_report(signed):
                    return self._held(plan, confirmed.plan, signed)
                became = self._dispatcher.became(asked, plan_digest(confirmed.plan), signed)
            except AeroError as error:
                return self._ended(plan, confirmed.plan, error.message, error.code)
            return self._dispatcher.recorded(asked, plan_digest(confirmed.plan), became)

    def _held(self, plan: Plan, text: str, signed: Signed) -> Done:
        """Note that an order is held, as its node's signed report says.

        Raises:
            SuccessorUnknown: it says something else.
        """
        asked, digest = plan.request, plan_digest(text)
        held = open_report(self._cluster, asked.target, signed, asked.id).facts.held or None
        if held is None or (held.request, held.plan) != (asked.id, digest):
            raise SuccessorUnknown(f"{asked.target} does not say that it holds the order", request=asked.id)
        with self._lock:
            self._waiting[asked.id] = _Waiting(plan, text)
        say("order held", request=asked.id, target=asked.target, after=held.after)
        message = f"{asked.target} holds the order until {held.after} is executed"
        return Done(request=asked.id, result="held", outcome=signed, sequence=None, code="", message=message)

    def waits(self, request: str) -> bool:
        """Tell whether the order of a request is held, as far as this process knows."""
        return request in self._waiting

    def waiting(self) -> frozenset[str]:
        """Return the requests whose orders are held, as far as this process knows."""
        with self._lock:
            return frozenset(self._waiting)

    def reported(self, collected: Collected, asked: frozenset[str]) -> None:
        """Note which orders their nodes report to hold no more; `asked` were held before the nodes were asked.

        In earlier rules no report says what a node holds.
        """
        with self._lock:
            for request in asked & self._waiting.keys() if collected.rules == RULES else ():
                peer = collected.everyone.get(self._waiting[request].plan.request.target)
                if peer is not None and (not peer.facts.held or peer.facts.held.request != request):
                    self._unheld.add(request)

    def told(self, line: RequestLine) -> RequestLine:
        """Return a request's line; whose node has reported that it holds its order no more awaits no turn."""
        dropped = line.state == AWAITS_TURN and line.request in self._unheld and line.request in self._waiting
        return msgspec.structs.replace(line, state=NOT_HELD) if dropped else line

    def unheld_by(self, speaks: Rules) -> dict[str, str] | msgspec.UnsetType:
        """Return the requests whose orders are so, each by its node, for who speaks these rules; unset: none is."""
        with self._lock:
            found = [(self._waiting[each].plan.request.target, each) for each in self._unheld & self._waiting.keys()]
        return dict(sorted(found)) if found and RULES in speaks else msgspec.UNSET

    def answered(self, done: Done) -> None:
        """Carry no order on of which its node has signed that it never ran."""
        if done.result == "not executed" and done.outcome is not None:
            with self._lock:
                self._waiting.pop(done.request, None)

    def collect_dropped(self, by: Request) -> tuple[Done, ...]:
        """Record what a node has signed of what it held, and holds no more since the order of `by` came to it.

        It is what its node says now; where that says nothing, or holds it still, nothing is recorded.
        """
        with self._lock:
            found = [each for each in self._waiting.values() if each.plan.request.target == by.target]
        return tuple(filter(None, (self._collected(each) for each in found if each.plan.request.id != by.id)))

    def _collected(self, waiting: _Waiting) -> Done | None:
        asked, digest = waiting.plan.request, plan_digest(waiting.text)
        try:
            signed = self._agents.outcome(asked.target, asked.id, Confirmation(plan=waiting.text, signature=""))
            became = self._dispatcher.became(asked, digest, signed)
        except AeroError:
            return None
        with self._lock:
            mine = self._waiting.pop(asked.id, None)  # Its turn may have come meanwhile: whose that is records it.
        return None if mine is None else self._dispatcher.recorded(asked, digest, became)

    # Its turn ---------------------------------------------------------------------------------------------------------

    def follow(self, plan: Plan, done: Done, text: str) -> Done:
        """Return what became of a request and of the one after it, whose turn comes if this one is executed.

        Whatever else is held until this very request is executed has no turn: its plan does not name that.
        """
        followed = self._followed(plan, done, text)
        self.over(plan.request.id, f"{done.result}, and does not name it")
        return followed

    def _followed(self, plan: Plan, done: Done, text: str) -> Done:
        later = later_of(plan.request)
        with self._lock:
            waiting = self._waiting.pop(later.request, None) if later else None
        if waiting is None:
            return msgspec.structs.replace(done, then=self._ended_meanwhile(later.request)) if later else done
        if done.result != "executed" or done.outcome is None or done.sequence is None:
            what = "is executed, and that could not be recorded" if done.result == "executed" else f"is {done.result}"
            why = f"{plan.request.action} {plan.request.target}, which it comes after, {what}"
            return msgspec.structs.replace(done, then=self._ended(waiting.plan, waiting.text, why, SEQUENCE_ENDED))
        return msgspec.structs.replace(done, then=self._triggered(waiting, text, done.outcome))

    def _ended_meanwhile(self, request: str) -> Done | msgspec.UnsetType:
        """Return what the log holds of an order that was dropped, and recorded so, while the one before it ran."""
        try:
            records = self._recorder.records_of(request)
        except AeroError:  # The request before it is executed and recorded, whatever can be read of this one.
            return msgspec.UNSET
        told, executed = telling([*records.values()]), executed_by([*records.values()])
        if told.event not in ENDS:
            return msgspec.UNSET
        at = next(each for each, record in records.items() if record is told)
        return Done(
            request=request, result=executed, outcome=told.outcome, sequence=at, code=told.code, message=told.message
        )  # fmt: skip

    def _triggered(self, waiting: _Waiting, before: str, outcome: Signed) -> Done:
        plan, digest, said = waiting.plan, plan_digest(waiting.text), b""
        asked, node = plan.request, plan.request.target
        with span("trigger", kind="client", request=asked.id, node=node):
            try:
                sequence = self._recorder.triggered(plan, waiting.text, outcome)
                cosigned = self._dispatcher.cosigned()
                record = self._recorder.log.record(sequence).decode()
                collected = collect_late(self._cluster, self._agents, plan, record, itself=True)
                own = collected.everyone.get(node)
                late, said = collected.snapshot, canonical.encode(collected.snapshot)
                if isinstance(cosigned, AeroError):
                    raise cosigned
                self._comparisons.check_request(asked, collected.everyone)
                logged = LoggedAt(sequence, cosigned)
                signed = self._agents.trigger(
                    node, asked.id, lambda seen: self._trigger(asked, before, logged, seen, late),
                    None if own is None else stated_size(own.facts.checkpoint),
                )  # fmt: skip
                became = self._dispatcher.became(asked, digest, signed)
            except AeroError as error:
                if error.executed == "not executed":  # Nothing was sent: it is held still, unless it is withdrawn.
                    return self._ended(plan, waiting.text, error.message, error.code, late=said)
                became = Became(result=error.executed, signed=None, code=error.code, message=error.message)
            return self._dispatcher.recorded(asked, digest, became, late=said)

    def _trigger(self, asked: Request, before: str, logged: LoggedAt, seen: int, late: Snapshot) -> Trigger:
        log = self._recorder.log
        check_comparisons((seen_by(asked.target, seen, log.size),), log.size)
        proof, paths = self._dispatcher.proof(logged, seen)
        say("request triggered", request=asked.id, target=asked.target)
        return Trigger(
            request=asked.id, plan=before, record=log.record(logged.sequence).decode(), proof=proof,
            consistency=path_texts(paths[0]), late=late.reports,
        )  # fmt: skip

    # Its end ----------------------------------------------------------------------------------------------------------

    def over(self, request: str, became: str) -> None:
        """Withdraw what was to follow a request, if anything is held, because that `became` what no turn comes of."""
        with self._lock:
            following = [each for each, waiting in self._waiting.items() if _before(waiting.plan).request == request]
            ended = [self._waiting.pop(each) for each in following]
        for waiting in ended:
            why = f"{_before(waiting.plan).words}, which it comes after, is {became}"
            self._ended(waiting.plan, waiting.text, why, SEQUENCE_ENDED)

    def withdraw(self, request: Request, plan: str, why: str, *, established: bool) -> Done:
        """Have the order of a request dropped by its node, because a person asks for it, and record what that signs.

        `plan` is the digest of its plan. What is said of one that was sent already is `established` afterwards.

        Raises:
            AeroError, of which `executed` is unknown: the node does not say; then nothing is recorded.
        """
        with self._lock:
            self._waiting.pop(request.id, None)
        say("order withdrawn", request=request.id, why=why)
        signed = self._agents.withdraw(request.target, request.id)
        became = self._dispatcher.became(request, plan, signed)
        return self._dispatcher.recorded(request, plan, became, established=established)

    def _ended(self, plan: Plan, text: str, why: str, code: str, late: bytes = b"") -> Done:
        """Withdraw an order whose turn does not come any more, and record what its node signs, or that it is silent."""
        asked, digest = plan.request, plan_digest(text)
        try:
            signed = self._agents.withdraw(asked.target, asked.id)
            became = self._dispatcher.became(asked, digest, signed)
        except AeroError as error:
            message = f"{why}. It could not be withdrawn from {asked.target}: {error.message}"
            became = Became(result="unknown", signed=None, code=code, message=message)
            return self._dispatcher.recorded(asked, digest, became, late=late)
        done = self._dispatcher.recorded(asked, digest, became, late=late)
        return msgspec.structs.replace(done, message=f"{why}. {done.message}")

    def close(self) -> None:
        """Withdraw what is still held, as this process ends."""
        with self._lock:
            left, self._waiting = list(self._waiting.values()), {}
        for waiting in left:
            self._ended(waiting.plan, waiting.text, "the control plane's process has ended", SEQUENCE_ENDED)


def _before(plan: Plan) -> Earlier:
    return read_earlier(plan.request.arguments[AFTER])


def _is_report(unverified: Signed) -> bool:
    """Tell whether a node answered with a report, and not with an outcome."""
    try:
        kind = msgspec.json.decode(unverified.document, type=dict[str, msgspec.Raw]).get("kind", msgspec.Raw())
    except msgspec.DecodeError:
        return False
    return bytes(kind) == b'"report"'
