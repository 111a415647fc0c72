"""Reading: the cluster now, requests, decisions, replays. Looking changes nothing and records nothing."""

import itertools
from collections.abc import Iterator

from aerodb.actions import action_named, catalogue
from aerodb.audit.evidence import Entry, Evidence
from aerodb.audit.record import Record, read_record
from aerodb.audit.search import Query
from aerodb.audit.store import Log, newest_requests, search
from aerodb.control.agents import Agents
from aerodb.control.errors import NeverConfirmed, RequestNotFound
from aerodb.control.snapshot import collect
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import (
    Cell,
    Decision,
    Found,
    LogEntry,
    ProvenEntry,
    Replayed,
    RequestLine,
    Requests,
    Status,
)
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Loss, Plan, Request, Result, Snapshot, Verdict, plan_digest
from aerodb.rules.explain import LOOK_ID, check_request, explain, opened_view, peers_of
from aerodb.rules.invariants import RULES
from aerodb.rules.specification import Action
from aerodb.rules.view import Peer

CELLS_AN_ACTION_MAX = 400
"""How many requests of one action a status judges: all of them, up to twenty nodes and one argument."""


class Reader:
    """Answers questions from the agents' facts and from the log."""

    def __init__(self, cluster: Cluster, agents: Agents, log: Log) -> None:
        """Keep what to read."""
        self._cluster = cluster
        self._agents = agents
        self._log = log

    def status(self, operator: str) -> Status:
        """Return the cluster as it is now, and every action's answer on every node."""
        snapshot, differ = collect(self._cluster, self._agents, LOOK_ID)
        return Status(
            cluster=self._cluster.id,
            cluster_name=self._cluster.name,
            configuration=self._cluster.digest,
            consistent=not differ,
            snapshot_digest=canonical.digest(canonical.encode(snapshot)),
            snapshot=snapshot,
            matrix=() if differ else tuple(self._matrix(snapshot, operator)),
            unjudged=self._too_many(),
            log_size=self._log.size,
            log_writable=self._log.writable(),
        )

    def _matrix(self, snapshot: Snapshot, operator: str) -> Iterator[Cell]:
        everyone = peers_of(self._cluster, snapshot.reports, snapshot.nonce)  # Verified once, for all the cells.
        for action in catalogue().values():
            if action.name in self._too_many():
                continue
            for request in self._possible(action, operator):
                yield self._cell(action, request, everyone, snapshot)

    def _too_many(self) -> tuple[str, ...]:
        """Return the actions that a large cluster allows too many requests of to judge them all at once."""
        nodes = len(self._cluster.members)
        counts = {action.name: nodes ** (1 + len(action.arguments)) for action in catalogue().values()}
        return tuple(name for name, count in counts.items() if count > CELLS_AN_ACTION_MAX)

    def _possible(self, action: Action, operator: str) -> Iterator[Request]:
        """Yield every well-formed request for `action`."""
        names = [member.name for member in self._cluster.members]
        for target in names:
            for values in itertools.product(names, repeat=len(action.arguments)):
                arguments = {argument.name: value for argument, value in zip(action.arguments, values, strict=True)}
                request = Request(
                    id=LOOK_ID, action=action.name, target=target, arguments=arguments, operator=operator, reason="look"
                )
                try:
                    check_request(self._cluster, action, request)
                except AeroError:
                    continue
                yield request

    def _cell(self, action: Action, request: Request, everyone: dict[str, Peer], snapshot: Snapshot) -> Cell:
        try:
            view = opened_view(self._cluster, action, request, everyone, snapshot)
            verdicts, loss = action.judge(view), action.loss(view)
        except AeroError as error:
            silent = Verdict(invariant=error.code, result=Result.UNKNOWN, evidence=error.message)
            return Cell(
                action=action.name, node=request.target, arguments=request.arguments, accepted=False, failed=(silent,),
                loss=_no_answer(),
            )  # fmt: skip
        return Cell(
            action=action.name,
            node=request.target,
            arguments=request.arguments,
            accepted=all(verdict.result is Result.HOLDS for verdict in verdicts),
            failed=tuple(verdict for verdict in verdicts if verdict.result is not Result.HOLDS),
            loss=loss,
        )

    # The log ----------------------------------------------------------------------------------------------------

    def records(self, request: str) -> list[tuple[int, bytes]]:
        """Return the records of one request.

        Raises:
            RequestNotFound: there are none.
        """
        sequences = self._log.sequences_of(request)
        if not sequences:
            raise RequestNotFound(f"the log knows no request {request!r}", field="request")
        return [(each, self._log.record(each)) for each in sequences]

    def requests(self, before: int | None, limit: int) -> Requests:
        """Return one page of the requests and how far each came, the newest first.

        Raises:
            LogUnavailable: the log cannot be searched.
        """
        found = newest_requests(self._log, before, limit)
        lines = (_line([read_record(data) for _, data in self.records(each)]) for each, _ in found)
        return Requests(requests=tuple(lines), next=found[-1][1] if len(found) == limit else None)

    def search(self, query: Query, before: int | None, limit: int) -> Found:
        """Return one page of the records that match, the newest first.

        Raises:
            LogUnavailable: the log cannot be searched.
        """
        entries = search(self._log, query, before, limit)
        return Found(
            records=tuple(LogEntry(sequence=sequence, record=data.decode()) for sequence, data in entries),
            next=entries[-1][0] if len(entries) == limit else None,
        )

    def entry(self, sequence: int) -> ProvenEntry:
        """Return one record with its proof.

        Raises:
            RecordUnknown: there is none.
        """
        return ProvenEntry(
            sequence=sequence, record=self._log.record(sequence).decode(), proof=self._log.proof(sequence)
        )

    def decision(self, request: str) -> Decision:
        """Return everything that the log holds of one request.

        Raises:
            RequestNotFound: nothing.
        """
        entries = self.records(request)
        records = [canonical.decode(data, Record) for _, data in entries]
        plan = next((record.plan for record in records if record.plan), "")
        snapshot = next((record.snapshot for record in records if record.snapshot), "")
        return Decision(
            line=_line(records),
            plan=self._text(plan),
            snapshot=self._text(snapshot),
            records=tuple(LogEntry(sequence=sequence, record=data.decode()) for sequence, data in entries),
            proofs=self._log.proofs([sequence for sequence, _ in entries]),
        )

    def evidence(self, request: str) -> Evidence:
        """Return everything about one request, as a file that proves itself.

        Raises:
            RequestNotFound: the log knows no such request.
        """
        decision = self.decision(request)
        record = canonical.decode(decision.records[0].record.encode(), Record)
        return Evidence(
            rules=canonical.decode(decision.plan.encode(), Plan).rules if decision.plan else RULES,
            request=request,
            configuration=self._text(record.configuration) or "",
            plan=decision.plan,
            snapshot=decision.snapshot,
            entries=tuple(
                Entry(record=entry.record, proof=proof)
                for entry, proof in zip(decision.records, decision.proofs, strict=True)
            ),
        )

    def _text(self, digest: str) -> str | None:
        found = self._log.blob(digest) if digest else None
        return None if found is None else found.decode()

    def replay(self, request: str) -> Replayed:
        """Compute a request's plan again from its recorded snapshot and configuration, and compare the bytes.

        Raises:
            RequestNotFound: the log holds no plan of it.
        """
        records = [canonical.decode(data, Record) for _, data in self.records(request)]
        found = next((record for record in records if record.plan and record.snapshot), None)
        blobs = (
            [self._log.blob(digest) for digest in (found.plan, found.snapshot, found.configuration)] if found else []
        )
        if not blobs or any(blob is None for blob in blobs):
            raise RequestNotFound(f"the log holds no plan of {request}", field="request")
        text, snapshot, configuration = (blob or b"" for blob in blobs)
        plan = canonical.decode(text, Plan)
        again = explain(
            canonical.decode(configuration, Cluster), action_named(plan.request.action), plan.request,
            canonical.decode(snapshot, Snapshot),
        )  # fmt: skip
        computed = canonical.encode(again)
        return Replayed(
            request=request,
            identical=computed == text,
            recorded_digest=plan_digest(text.decode()),
            computed_digest=canonical.digest(computed),
            length_bytes=len(text),
        )

    def unresolved(self, request: str) -> tuple[Request, str]:
        """Return a confirmed request, and its plan's digest, for its outcome to be asked for.

        Raises:
            RequestNotFound, NeverConfirmed: there is nothing to ask for.
        """
        records = [canonical.decode(data, Record) for _, data in self.records(request)]
        confirmed = next((record for record in records if record.event == "confirmed"), None)
        if confirmed is None:
            raise NeverConfirmed("the log holds no confirmation of it, so it was never sent", request=request)
        return (
            Request(
                id=confirmed.request, action=confirmed.action, target=confirmed.target, arguments=confirmed.arguments,
                operator=confirmed.operator, reason=confirmed.reason,
            ),
            confirmed.plan,
        )  # fmt: skip


def _no_answer() -> Loss:
    return Loss(claim="cannot be proven", statement="Nothing can be judged.", arithmetic=())


def _line(records: list[Record]) -> RequestLine:
    first, last = records[0], records[-1]
    state = {"requested": "planned"}.get(last.event, last.event)
    if last.event in {"outcome", "established"}:
        state = last.result
    if last.event == "refused" and any(record.event in {"outcome", "established"} for record in records):
        state = next(record.result for record in reversed(records) if record.event in {"outcome", "established"})
    return RequestLine(
        request=first.request,
        at=first.at,
        operator=first.operator,
        action=first.action,
        target=first.target,
        reason=first.reason,
        state=state,
        code=last.code,
        plan=first.plan or None,
    )
