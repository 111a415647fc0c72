"""The first verb of a request's life: a request becomes a plan, recorded before it is shown."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import msgspec

from aerodb.actions import action_named
from aerodb.audit.checks import explained_by
from aerodb.audit.record import read_record
from aerodb.audit.store import newest_requests
from aerodb.control.agents import Agents, Rules
from aerodb.control.comparison import Comparisons
from aerodb.control.errors import KeyReused, RequestKnown, VersionUntaken
from aerodb.control.gaps import Gaps
from aerodb.control.record import Recorder, asking, executed_by, telling
from aerodb.control.roles import Right, require, require_authority
from aerodb.control.sequences import Sequences
from aerodb.control.snapshot import Collected, asked_for, collect_consistent
from aerodb.errors import AeroError
from aerodb.logs import say
from aerodb.past.held import number_of
from aerodb.past.speaking import SPOKEN, RulesApart, named
from aerodb.protocol import canonical
from aerodb.protocol.ahead import THEN, read_later
from aerodb.protocol.api import Ask, Planned
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.plan import Plan, Request, Snapshot, plan_digest, plan_in
from aerodb.rules.ahead import over_sentence
from aerodb.rules.arguments import RequestMalformed
from aerodb.rules.charge import out_of_charge
from aerodb.rules.explain import LOOK_ID, REQUEST_ID, check_request, failed, refuse_silent
from aerodb.rules.invariants import Invariant
from aerodb.rules.specification import Action
from aerodb.tracing import note, span

AWAITING = ("requested", "signed")
"""After which records a plan awaits a confirmation: its requester's, or a second person's."""

LEFT_OVER_MAX = 500
"""How many of the newest requests a new process looks at for plans that an earlier one left behind."""


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that awaits its confirmation, in this process alone.

    `signature` is the requester's, where that is logged and a second person is awaited.
    """

    plan: Plan
    text: str
    signature: str = ""


def rules_for(cluster: Cluster, action: Action, speaks: Rules) -> Rules:
    """Return the rules by which a request for an action may be planned for who speaks these, the newest first.

    Raises:
        RulesApart: who asks speaks none of ours, or none that has the action.
    """
    both = asked_for(cluster, speaks)
    found = tuple(each for each in both if (number_of(each) or 0) >= action.since)
    if not found:
        raise _apart("who asks", f"{_came(action)}, and who asks speaks {named(speaks)}")
    return found


def _came(action: Action) -> str:
    return f"{action.name} came with aerodb-rules/{action.since}"


def _refuse_apart(cluster: Cluster, action: Action, request: Request, collected: Collected) -> None:
    """Refuse a request whose target answers, but in other rules than those that its plan could be made by.

    Raises:
        RulesApart: it names both.
    """
    why = collected.snapshot.missing.get(request.target, "")
    if why.startswith(RulesApart.code):
        needs = _came(action) if action.since > 1 else f"the configuration has version {cluster.version}"
        said = f"{request.target} cannot be planned for ({why.partition(': ')[2]})"
        raise _apart(request.target, f"{needs}, and {said}")


def _apart(who: str, why: str) -> RulesApart:
    return RulesApart(f"{why}: upgrade {who} first", field="target", invariants=(Invariant.CONFIGURATION_AGREES,))


def refuse_untaken(cluster: Cluster, plan: Plan, name: str) -> None:
    """Refuse who is an operator in the newest version, and not yet in `cluster`, under which a plan was made.

    Raises:
        VersionUntaken: so it is.
    """
    person = cluster.operator(name)
    if person is None or person.role is not Role.OPERATOR or not person.ssh_key:
        raise VersionUntaken(
            f"{plan.request.target} has taken version {cluster.version} of the configuration, in which {name} is "
            "no operator with a key: somebody who is has it take the next one first (configure)",
            request=plan.request.id,
        )


class Explainer:
    """Makes plans. The ones that were accepted wait in memory: they lapse with this process, which is recorded."""

    def __init__(
        self, cluster: Cluster, agents: Agents, recorder: Recorder, comparisons: Comparisons, gaps: Gaps,
        sequences: Sequences,
    ) -> None:  # fmt: skip
        """Keep what plans are made from, and what is to follow them."""
        self._sequences = sequences
        self._gaps = gaps
        self._cluster = cluster
        self._agents = agents
        self._recorder = recorder
        self._comparisons = comparisons
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._decided: set[str] = set()
        self._pending: dict[str, Pending] = {}

    def pending(self, request: str) -> Pending | None:
        """Return the plan that awaits its confirmation."""
        return self._pending.get(request)

    def awaits(self, request: str) -> bool:
        """Tell whether a request is on its way to a plan, awaits a confirmation, or is just being given one.

        What its node would refuse, for a version of the configuration that it has taken since, awaits none.
        """
        with self._lock:
            under_way = request in self._asked or request in self._decided
        return under_way or self._pends(request)

    @contextmanager
    def taken(self, pending: Pending) -> Iterator[bool]:
        """Let a plan go, and hold it while what becomes of it is recorded: whoever takes it is the only one.

        Yields false where it awaits nothing any more, or something else than when the caller looked at it: one that was
        signed meanwhile is another one.
        """
        request = pending.plan.request.id
        with self._lock:
            found = self._pending.get(request) is pending
            if found:
                del self._pending[request]
                self._decided.add(request)
        try:
            yield found
        finally:
            if found:
                with self._lock:
                    self._decided.discard(request)

    def put_back(self, pending: Pending, signature: str) -> None:
        """Let a plan that its caller has taken wait on, with its requester's logged signature, for a second person."""
        with self._lock:
            self._pending[pending.plan.request.id] = msgspec.structs.replace(pending, signature=signature)

    def close(self) -> None:
        """Record that whatever still awaits its confirmation lapses with this process."""
        for pending in list(self._pending.values()):
            with self.taken(pending) as found:
                if found:
                    self.lapse(((pending.plan.request, plan_digest(pending.text)),))

    def left_over(self) -> tuple[tuple[Request, str], ...]:
        """Return the requests, with their plans' digests, that await a confirmation by the log alone.

        It is asked before anybody is answered: an earlier process made those plans, so nobody can confirm them. Only
        the newest requests are looked at; an older one is shown as lapsed all the same.
        """
        log, found = self._recorder.log, []
        with suppress(AeroError):
            for request, _ in newest_requests(log, None, LEFT_OVER_MAX):
                records = [read_record(log.record(each)) for each in log.sequences_of(request)]
                if telling(records).event in AWAITING:
                    found.append((asking(records).asked, asking(records).plan))
        return tuple(found)

    def lapse(self, plans: Iterable[tuple[Request, str]]) -> None:
        """Record that plans, which nobody can confirm any more, have lapsed.

        A log that does not extend what somebody has seen of it is not made longer: what it lost may come back, and a
        confirmation be in it.
        """
        with suppress(AeroError):
            self._comparisons.check()
            for request, plan in plans:
                self._recorder.gone(request, "lapsed", plan, "its process has ended, and it was not confirmed")

    def ask(self, person: Operator, request_id: str, ask: Ask, speaks: Rules = SPOKEN) -> Planned:
        """Return the recorded plan of a new request, by rules that who asks speaks.

        Raises:
            RulesApart: there are no rules that all speak who take part; it names them.
            RequestMalformed, NodeUnknown, ActionUnknown: before anything is looked at.
            CallerRefused: the person may not ask.
            KeyReused, RequestKnown: the id has been used.
            SnapshotInconsistent, TargetSilent: nothing can be judged.
            LogUnavailable: nothing can be recorded.
            LogForked, LogBehind: the log does not extend what somebody has seen of it; nothing is recorded either.
            GapMistaken: what is to be given up of the log is not missing in it.
            VersionUntaken: the target judges by a version in which the person is no operator yet.
        """
        if not REQUEST_ID.fullmatch(request_id) or request_id == LOOK_ID:
            raise RequestMalformed("the Idempotency-Key is a UUID in lower case", field="Idempotency-Key")
        request = Request(id=request_id, operator=person.name, **msgspec.structs.asdict(ask))
        say("request asked", request=request_id, operator=person.name, action=request.action, target=request.target)
        with span("ask", request=request_id, action=request.action, node=request.target):
            return self._ask(person, request, speaks)

    def _ask(self, person: Operator, request: Request, speaks: Rules) -> Planned:
        with self._asking(request.id):
            self._refuse_known(request)
            with self._recorder.refusals(request):
                return self._plan(person, request, speaks)

    @contextmanager
    def _asking(self, request_id: str) -> Iterator[None]:
        """Hold an id from before it is looked up until its plan awaits its confirmation: whoever holds it is alone."""
        with self._lock:
            if request_id in self._asked:
                raise RequestKnown("the request is under way", request=request_id, executed="unknown")
            self._asked.add(request_id)
        try:
            yield
        finally:
            with self._lock:
                self._asked.discard(request_id)

    def _refuse_known(self, request: Request) -> None:
        records = [*self._recorder.records_of(request.id).values()]
        if not records or (THEN in request.arguments and all(each.event == "refused" for each in records)):
            return  # The id is named by the order that is to follow: where nothing was planned yet, it comes again.
        first, last = asking(records), telling(records)
        same = (first.action, first.target, first.arguments, first.reason, first.operator) == (
            request.action, request.target, request.arguments, request.reason, request.operator,
        )  # fmt: skip
        became = f"{last.event} {last.result or last.code}".strip()
        if not same:
            raise KeyReused(f"the id was used for {first.action} {first.target}: {became}", request=request.id)
        executed = executed_by(records)
        if self._pends(request.id):
            became = f"{became}; it awaits its confirmation: aerodb confirm {request.id}"
        elif THEN in request.arguments and executed == "not executed":
            became = f"{became}. {over_sentence(read_later(request.arguments[THEN]).request)}"
        raise RequestKnown(
            f"what became of it: {became}", request=request.id, invariants=last.invariants, executed=executed
        )

    def _pends(self, request: str) -> bool:
        """Tell whether a plan awaits a confirmation that its node would take."""
        with self._lock:
            pending = self._pending.get(request)
            return pending is not None and not self._recorder.versions.passed(pending.plan)

    def _plan(self, person: Operator, request: Request, speaks: Rules) -> Planned:
        require(person, Right.REQUEST)
        require_authority(person, request.action, action_named(request.action).authority)
        plan, text, snapshot = self._explained(request, speaks)
        refuse_untaken(self._recorder.versions.chain.judging(plan.configuration), plan, plan.request.operator)
        self._recorder.planned(plan, text, canonical.encode(snapshot), failed(plan.verdicts))
        if plan.accepted:
            with self._lock:
                self._pending[request.id] = Pending(plan=plan, text=text)
        else:
            self._sequences.over(request.id, "rejected")
        return Planned(request=request.id, accepted=plan.accepted, plan=text, digest=plan_digest(text))

    def _explained(self, request: Request, speaks: Rules) -> tuple[Plan, str, Snapshot]:
        """Return the plan of a request and its text, and the snapshot that it was made from."""
        action = action_named(request.action)
        check_request(self._cluster, action, request)
        newest = self._recorder.versions.newest
        asked = rules_for(newest, action, speaks)
        collected = collect_consistent(self._cluster, self._agents, request.id, asked)
        self._recorder.versions.reported(collected.everyone)
        self._check_log(request, collected)
        _refuse_apart(newest, action, request, collected)
        refuse_silent(request, collected.snapshot)
        with span("explain", action=request.action, node=request.target):
            cluster = self._version_of(request.target, collected)
            text = explained_by(collected.rules, cluster, request, collected.snapshot, collected.everyone)
            plan = plan_in(text)
            note(outcome="accepted" if plan.accepted else "rejected")
        return plan, text, collected.snapshot

    def _check_log(self, request: Request, collected: Collected) -> None:
        """Refuse to plan by a log that contradicts what was seen, but for the request that settles that.

        Whether there is what such a request settles is asked only of a target that answers and that AeroDB is in charge
        of: one that is silent says nothing of it, and of one that is only watched everything is rejected by its plan.

        Raises:
            LogForked, LogBehind, GapMistaken.
        """
        own = collected.everyone.get(request.target)
        if own is None or out_of_charge(self._cluster, own.facts):
            self._comparisons.check(collected.everyone)
            return
        self._comparisons.check_request(request, collected.everyone)
        self._gaps.check(request)

    def _version_of(self, target: str, collected: Collected) -> Cluster:
        """Return the version that the target judges by, or the newest where it did not report."""
        versions, peer = self._recorder.versions, collected.everyone.get(target)
        return versions.of(peer.facts) if peer else versions.newest

    def look(self, person: Operator, ask: Ask, speaks: Rules = SPOKEN) -> tuple[Planned, Plan, Snapshot]:
        """Return the plan that a request would have now, and what it was made from; records nothing.

        Raises:
            RulesApart: as `ask`.
            RequestMalformed, NodeUnknown, ActionUnknown, SnapshotInconsistent, TargetSilent, LogForked, LogBehind.
        """
        request = Request(id=LOOK_ID, operator=person.name, **msgspec.structs.asdict(ask))
        plan, text, snapshot = self._explained(request, speaks)
        planned = Planned(request=LOOK_ID, accepted=plan.accepted, plan=text, digest=plan_digest(text))
        return planned, plan, snapshot
