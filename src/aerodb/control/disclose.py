"""Who is shown which facts, and which reading is itself recorded.

- An operator sees the cluster as it is now, signed by its nodes: they must be able to verify it before they sign, at
  any hour, also while the log cannot be written. So is the snapshot of their own request: the request is the record.
- Everyone else sees sensitive facts as redactions, and is told which; texts that were made from them are made anew from
  the redacted ones (`control.veil`). Who may not read the log sees no plan's exact text and no record's, but what they
  say without it.
- An auditor (or an operator) who asks for the sensitive facts of anything else - the cluster now, another's snapshot,
  the timeline, an evidence file, an export - leaves exactly one record, written before anything is shown; where it
  cannot be written, nothing is shown.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from aerodb.audit.evidence import Evidence
from aerodb.audit.export import blocks, export
from aerodb.audit.findings import Finding
from aerodb.audit.record import read_record
from aerodb.audit.search import Query
from aerodb.control.agents import Rules
from aerodb.control.explain import Explainer
from aerodb.control.reading import Reader
from aerodb.control.record import Recorder
from aerodb.control.roles import ALLOWED, Right, require
from aerodb.control.veil import Veil, reasons
from aerodb.past.speaking import SPOKEN
from aerodb.protocol import canonical
from aerodb.protocol.api import (
    Ask,
    AsOf,
    Decision,
    EventLine,
    Found,
    LogEntry,
    Planned,
    ProvenEntry,
    Records,
    Replayed,
    Requests,
    Status,
)
from aerodb.protocol.classification import REDACTED, Clean, redacted, redacted_event
from aerodb.protocol.cluster import Operator, Role
from aerodb.protocol.events import OBSERVER_FAILED
from aerodb.protocol.facts import Facts, Report
from aerodb.protocol.plan import Snapshot, plan_in
from aerodb.protocol.timeline import Entry, Timeline

UNPROVEN = frozenset({"fails", "unchecked", "contradicts"})
"""The states of findings whose sentences may quote the documents that they are about."""


class Discloser:
    """Shows what a person's role may see."""

    def __init__(self, reader: Reader, recorder: Recorder, explainer: Explainer) -> None:
        """Keep what reads, what records the reading, and what explains."""
        self._reader = reader
        self._recorder = recorder
        self._explainer = explainer

    def look(self, person: Operator, ask: Ask, speaks: Rules = SPOKEN) -> Planned:
        """Return the plan that a request would have now, as far as the person may see it; records nothing.

        Raises:
            RequestMalformed, NodeUnknown, ActionUnknown, CallerRefused, SnapshotInconsistent, TargetSilent, RulesApart.
        """
        require(person, Right.LOOK)
        planned, plan, snapshot = self._explainer.look(person, ask, speaks)
        return planned if person.role is Role.OPERATOR else self._veil(snapshot).planned(planned, plan)

    def _veil(self, snapshot: Snapshot) -> Veil:
        return Veil(self._reader.chain_of(snapshot), snapshot)

    def requests(self, person: Operator, before: int | None, limit: int) -> Requests:
        """Return one page of the requests, the newest first.

        Raises:
            CallerRefused: the person may not read requests.
            LogUnavailable: the log cannot be searched.
        """
        require(person, Right.READ_REQUESTS)
        return self._reader.requests(before, limit)

    def replay(self, person: Operator, request: str) -> Replayed:
        """Compute a request's plan again, and compare the bytes.

        Raises:
            CallerRefused, RequestNotFound: the person may not see it, or there is none.
        """
        require(person, Right.READ_REQUESTS)
        return self._reader.replay(request)

    def judged(self, person: Operator, request: str) -> tuple[Finding, ...]:
        """Return what holds of a request's records; of what fails, who may not read them learns which part it is.

        Raises:
            CallerRefused, RequestNotFound: the person may not see it, or there is none.
        """
        require(person, Right.READ_REQUESTS)
        found = self._reader.judged(request)
        if Right.READ_AUDIT in ALLOWED[person.role]:
            return found
        return tuple(
            replace(each, said=f"{each.part}: {REDACTED}", why="") if each.state in UNPROVEN else each for each in found
        )

    def search(self, person: Operator, query: Query, before: int | None, limit: int) -> Found:
        """Return one page of the records that match, the newest first.

        Raises:
            CallerRefused: the person may not read the log.
            LogUnavailable: the log cannot be searched.
        """
        require(person, Right.READ_AUDIT)
        return self._reader.search(query, before, limit)

    def records(self, person: Operator, start: int, count: int) -> Records:
        """Return records of the log, in its order; those that there are.

        Raises:
            CallerRefused: the person may not read the log.
        """
        require(person, Right.READ_AUDIT)
        return self._reader.entries(start, count)

    def checkpoint(self, person: Operator) -> str:
        """Return the log's newest checkpoint.

        Raises:
            CallerRefused: the person may not read the log.
        """
        require(person, Right.READ_AUDIT)
        return self._reader.checkpoint

    def entry(self, person: Operator, sequence: int) -> ProvenEntry:
        """Return one record with its proof.

        Raises:
            CallerRefused, RecordUnknown: the person may not read the log, or there is none.
        """
        require(person, Right.READ_AUDIT)
        return self._reader.entry(sequence)

    def status(self, person: Operator, *, sensitive: bool, judged: bool = True, speaks: Rules = SPOKEN) -> Status:
        """Return the cluster as it is now, as far as the person's role may see it; `judged` is as the reader has it.

        Raises:
            CallerRefused: the person may not look, or may not see what they asked for.
            RulesApart: who asks speaks none of our rules.
            LogUnavailable: the reading cannot be recorded.
        """
        require(person, Right.LOOK)
        if sensitive:
            require(person, Right.READ_SENSITIVE)
        status = self._reader.status(person.name, judged=judged, speaks=speaks)
        if person.role is Role.OPERATOR:
            return status
        if not sensitive:
            veil = self._veil(status.snapshot)
            shown = replace(
                status, matrix=veil.matrix(status.matrix, person.name), writes=veil.writes(status.writes)
            )  # fmt: skip
            return redacted_status(shown)
        self._recorder.read(person.name, "status", {"snapshot": status.snapshot_digest})
        return status

    def status_as_of(self, person: Operator, digest: str, *, sensitive: bool) -> AsOf:
        """Return a recorded snapshot and the answers of then; its reports only to the requester, or where asked for.

        Raises:
            CallerRefused, SnapshotNotFound: the person may not see it, or there is none.
            LogUnavailable: the reading cannot be recorded.
        """
        require(person, Right.LOOK)
        if sensitive:
            require(person, Right.READ_SENSITIVE)
        found = self._reader.status_as_of(digest, person.name)
        if person.role is Role.OPERATOR and self._reader.requester(found.snapshot.nonce) == person.name:
            return found
        if not sensitive:
            matrix = self._veil(found.snapshot).matrix(found.matrix, person.name)
            return redacted_as_of(replace(found, matrix=matrix))
        self._recorder.read(person.name, "snapshot", {"request": found.snapshot.nonce}, digest)
        return found

    def timeline(
        self, person: Operator, node: str | None, term: int | None, records_max: int, *, sensitive: bool
    ) -> Timeline:
        """Return the timeline, its sensitive texts only where they are asked for.

        Raises:
            CallerRefused, NodeUnknown: the person may not see it, or there is no such node.
            LogUnavailable: the reading cannot be recorded.
        """
        require(person, Right.READ_REQUESTS)
        if sensitive:
            require(person, Right.READ_SENSITIVE)
        found = self._reader.timeline(node, term, records_max)
        if not sensitive:
            return redacted_timeline(found, recorded=Right.READ_AUDIT in ALLOWED[person.role])
        self._recorder.read(person.name, "timeline", {})
        return found

    def decision(self, person: Operator, request: str, *, sensitive: bool) -> Decision:
        """Return a request's decision; its snapshot only to the requester, or where it is asked for.

        Raises:
            CallerRefused, RequestNotFound: the person may not see it, or there is none.
            LogUnavailable: the reading cannot be recorded.
        """
        require(person, Right.READ_REQUESTS)
        if sensitive:
            require(person, Right.READ_SENSITIVE)
        decision = self._reader.decision(request)
        if Right.READ_AUDIT not in ALLOWED[person.role]:
            return self._outlined(decision)
        own = person.role is Role.OPERATOR and decision.line.operator == person.name
        if own or decision.snapshot is None:
            return decision
        if not sensitive:
            return replace(decision, snapshot=None, redacted=("snapshot",))
        self._recorder.read(person.name, "snapshot", {"request": request}, _digest(decision.snapshot))
        return decision

    def _outlined(self, decision: Decision) -> Decision:
        """Return a decision for who may not read the log: what happened, and the plan as it may be shown."""
        events = tuple(_event(entry) for entry in decision.records)
        shown = None
        if decision.plan is not None and decision.snapshot is not None:
            snapshot = canonical.decode(decision.snapshot.encode(), Snapshot)
            shown = self._veil(snapshot).plan(plan_in(decision.plan))
        taken = (*(["plan", "snapshot"] if decision.plan is not None else []), "records")
        return replace(
            decision, plan=None, snapshot=None, records=(), proofs=(), redacted=taken, shown=shown, events=events
        )

    def evidence(self, person: Operator, request: str) -> Evidence:
        """Return the evidence of one request; the reading is recorded.

        Raises:
            CallerRefused, RequestNotFound: the person may not see it, or there is none.
            LogUnavailable: the reading cannot be recorded.
        """
        require(person, Right.READ_REQUESTS)
        require(person, Right.READ_SENSITIVE)
        found = self._reader.evidence(request)
        self._recorder.read(person.name, "evidence", {"request": request}, _digest(found.snapshot))
        return found

    def export(self, person: Operator) -> Iterator[bytes]:
        """Return the whole log as JSON Lines, many at a time; the reading is recorded, and so in the export itself.

        Raises:
            CallerRefused: the person may not see it.
            LogUnavailable: the reading cannot be recorded.
        """
        require(person, Right.READ_AUDIT)
        require(person, Right.READ_SENSITIVE)
        self._recorder.read(person.name, "export", {})
        return blocks(export(self._recorder.log))


def _digest(text: str | None) -> str:
    return canonical.digest(text.encode()) if text is not None else ""


def redacted_status(status: Status) -> Status:
    """Return a status without signed reports and sensitive facts; each part that is taken out is named."""
    snapshot, facts, taken = _redacted_snapshot(status.snapshot)
    return replace(status, snapshot=snapshot, facts=facts, redacted=taken)


def redacted_as_of(found: AsOf) -> AsOf:
    """Return a status as of then without signed reports and sensitive facts; each part that is taken out is named."""
    snapshot, facts, taken = _redacted_snapshot(found.snapshot)
    return replace(found, snapshot=snapshot, facts=facts, redacted=taken)


def _redacted_snapshot(snapshot: Snapshot) -> tuple[Snapshot, dict[str, Facts], tuple[str, ...]]:
    facts, taken = dict[str, Facts](), list[str]()
    for name, signed in snapshot.reports.items():
        report = canonical.decode(signed.document.encode(), Report)  # The reader verified it.
        facts[name], paths = redacted(report.facts, name)
        taken += paths
    missing = reasons(snapshot.missing)
    taken += [f"{name}.missing" for name in missing]
    return replace(snapshot, reports={}, missing=missing), facts, tuple(taken)


def _event(entry: LogEntry) -> EventLine:
    """Return what a record says to who may not read it."""
    record = read_record(entry.record.encode())
    return EventLine(
        sequence=entry.sequence, at=record.at, event=record.event, operator=record.people, result=record.result,
        code=record.code, invariants=record.invariants,
    )  # fmt: skip


def redacted_timeline(found: Timeline, *, recorded: bool = True) -> Timeline:
    """Return a timeline without its sensitive texts; each that is taken out is named.

    Unless it is for who may read what is `recorded`, a record that is of no request is shown without what it was of.
    """
    entries, taken = [], []
    for entry in found.entries:
        gone = redacted_event(entry.what, _texts_seen(entry))
        if entry.kind == "record" and not entry.request and not recorded and entry.subject:
            gone["subject"] = REDACTED
        texts = {name: Clean(gone.get(name, getattr(entry, name))) for name in ("subject", "before", "after")}
        entries.append(replace(entry, **texts))
        taken += [f"{entry.source}/{entry.sequence}.{name}" for name in gone]
    missing = reasons(found.missing)
    taken += [f"{name}.missing" for name in missing]
    return replace(found, entries=tuple(entries), missing=missing, redacted=tuple(taken))


def _texts_seen(entry: Entry) -> dict[str, str]:
    """Return those of an entry's texts that were seen on a node; a record has none, and a plain gap has numbers."""
    if entry.kind == "event":
        return {"subject": entry.subject, "before": entry.before, "after": entry.after}
    return {"after": entry.after} if entry.subject == OBSERVER_FAILED else {}
