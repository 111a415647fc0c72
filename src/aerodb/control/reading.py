"""Reading: the cluster now, requests, decisions, replays. Looking changes nothing and records nothing."""

from collections.abc import Callable, Iterator

from aerodb.audit.chain import along, judged_along
from aerodb.audit.checks import replayed
from aerodb.audit.clocks import stamp, went_back_from
from aerodb.audit.contradictions import Whole
from aerodb.audit.evidence import Evidence, EvidenceRecord
from aerodb.audit.findings import Finding
from aerodb.audit.logged import Logged
from aerodb.audit.record import Record, decode_record, read_record
from aerodb.audit.search import Query
from aerodb.audit.store import Log, RecordUnknown, newest_requests, search
from aerodb.audit.trust import Trust
from aerodb.control.agents import Agents, Rules
from aerodb.control.comparison import Comparisons
from aerodb.control.errors import NeverConfirmed, RequestNotFound, SnapshotNotFound
from aerodb.control.record import asking, line_of
from aerodb.control.sequences import Sequences
from aerodb.control.snapshot import Collected, SharedLooks
from aerodb.control.versions import KnownVersions, configuring
from aerodb.errors import VerificationFailed
from aerodb.past.held import frozen
from aerodb.past.speaking import SPOKEN, rules_told
from aerodb.protocol import canonical
from aerodb.protocol.api import (
    AsOf,
    Cell,
    Decision,
    Found,
    LogEntry,
    ProvenEntry,
    Records,
    Replayed,
    RequestLine,
    Requests,
    Status,
)
from aerodb.protocol.chain import Chain
from aerodb.protocol.change import read_step
from aerodb.protocol.cluster import Cluster, read_configuration
from aerodb.protocol.envelope import Configurations, Envelope
from aerodb.protocol.facts import Report
from aerodb.protocol.plan import Request, Snapshot, plan_in
from aerodb.protocol.timeline import Timeline
from aerodb.rules.invariants import RULES
from aerodb.rules.writes import writes
from aerodb.transport import expiry
from aerodb.views.matrix import matrix, matrix_then, matrix_unsafe, too_many
from aerodb.views.timeline import LogPlace, entries, lags, ordered, places_in


def _matrix_of(chain: Chain, snapshot: Snapshot, operator: str) -> Iterator[Cell]:
    """Yield the matrix of a recorded snapshot, by the rules in which its nodes spoke, where they are one and held."""
    told = {rules_told(signed) for signed in snapshot.reports.values()}
    rules = told.pop() if len(told) == 1 else RULES
    if rules != RULES and rules in frozen():  # A release's own rules are frozen too.
        return matrix_then(rules, chain.founding, snapshot, operator)
    return matrix(chain, snapshot, operator)


class Reader:
    """Answers questions from the agents' facts and from the log."""

    def __init__(
        self, versions: KnownVersions, agents: Agents, log: Log, comparisons: Comparisons,
        awaits: Callable[[str], bool], sequences: Sequences,
    ) -> None:  # fmt: skip
        """Keep what to read; `awaits` tells of a request whether its plan can still be confirmed."""
        self._awaits, self._sequences = awaits, sequences
        self._versions = versions
        self._agents = agents
        self._log = log
        self._comparisons = comparisons
        self._looks = SharedLooks(agents, lambda: versions.newest)

    @property
    def _cluster(self) -> Cluster:
        return self._versions.newest

    def status(self, operator: str, *, judged: bool = True, speaks: Rules = SPOKEN) -> Status:
        """Return the cluster as it is now, and every action's answer on every node, unless nobody asks for those.

        All of it is in rules that who asks speaks, and every node that answers.

        Raises:
            RulesApart: who asks speaks none of ours.
        """
        asked = self._sequences.waiting()
        collected = self._looks.now(speaks)
        self._versions.reported(collected.everyone)
        self._sequences.reported(collected, asked)
        snapshot, judged = collected.snapshot, judged and not collected.differ
        return Status(
            cluster=self._cluster.id,
            cluster_name=self._cluster.name,
            configuration=self._cluster.digest,
            consistent=not collected.differ,
            writes=writes(self._cluster, {name: peer.facts for name, peer in collected.everyone.items()}),
            snapshot_digest=canonical.digest(canonical.encode(snapshot)),
            snapshot=snapshot,
            matrix=self._matrix(collected, operator) if judged else (),
            unjudged=too_many(self._cluster),
            log_size=self._log.size,
            log_writable=self._log.writable(),
            log_views=self._comparisons.reported(collected.everyone),
            certificates=expiry.known(),
            earlier=collected.earlier(speaks),
            unheld=self._sequences.unheld_by(speaks),
        )

    def _matrix(self, collected: Collected, operator: str) -> tuple[Cell, ...]:
        if collected.rules != RULES:
            return tuple(matrix_then(collected.rules, self._versions.chain.founding, collected.snapshot, operator))
        return tuple(matrix_unsafe(self._versions.chain, collected.snapshot, operator, collected.everyone))

    def status_as_of(self, digest: str, operator: str) -> AsOf:
        """Return a recorded snapshot, and every action's answer on it, judged by the same code as the status is.

        Raises:
            SnapshotNotFound: the log holds no such snapshot.
        """
        try:
            snapshot = canonical.decode(self._log.blob(digest) or b"", Snapshot)
        except canonical.NotCanonical as error:
            raise SnapshotNotFound(f"the log holds no snapshot {digest!r}", field="digest") from error
        cluster = self.cluster_of(snapshot)
        return AsOf(
            cluster=cluster.id,
            cluster_name=cluster.name,
            configuration=cluster.digest,
            snapshot_digest=digest,
            snapshot=snapshot,
            matrix=tuple(_matrix_of(self.chain_of(snapshot), snapshot, operator)),
            unjudged=too_many(cluster),
        )

    def requester(self, request: str) -> str | None:
        """Return who asked for a request, or None where the log knows no such request."""
        sequences = self._log.sequences_of(request)
        return asking(read_record(self._log.record(each)) for each in sequences).operator if sequences else None

    def cluster_of(self, snapshot: Snapshot) -> Cluster:
        """Return the configuration under which a snapshot was taken, where the log holds it; else the one of now."""
        for signed in snapshot.reports.values():
            named = canonical.decode(signed.document.encode(), Report).facts.configuration
            known = self._versions.chain.named(named)  # Looked up first: so the state is shown without the log, too.
            if known is not None or self._log.blob(named) is not None:
                return known or self.configuration(named)
        return self._cluster

    def chain_of(self, snapshot: Snapshot) -> Chain:
        """Return the versions under which a snapshot's nodes judged; see `cluster_of`."""
        cluster, chain = self.cluster_of(snapshot), self._versions.chain
        return chain if chain.named(cluster.digest) is not None else Chain((cluster,))

    def configuration(self, digest: str) -> Cluster:
        """Return the configuration of a digest, where the log holds it; else the one of now."""
        found = self._log.blob(digest)
        return self._cluster if found is None else read_configuration(found)

    def timeline(self, node: str | None, term: int | None, records_max: int) -> Timeline:
        """Return what every node saw and the newest records of the log, in one order, and what is missing.

        Raises:
            NodeUnknown: the cluster has no such node.
        """
        if node is not None:
            self._cluster.member(node)
        size = self._log.size
        found = [
            (sequence, read_record(data)) for sequence, data in self._log.records(max(size - records_max, 0), size)
        ]
        pages, missing = self._agents.events(records_max)
        items = ordered(found, self._places_of, pages)
        return Timeline(
            cluster=self._cluster.id,
            cluster_name=self._cluster.name,
            entries=entries(items, node, term),
            missing=missing,
            log_size=size,
            lags=lags(items, node, term),
        )

    def _places_of(self, digest: str) -> tuple[LogPlace, ...]:
        blob = self._log.blob(digest)
        return places_in(blob) if blob is not None else ()

    # The log ----------------------------------------------------------------------------------------------------

    def records(self, request: str) -> list[tuple[int, bytes]]:
        """Return the records of one request.

        Raises:
            RequestNotFound: there are none.
            VerificationFailed: one was altered, or is filed under a request that it is not about.
        """
        sequences = self._log.sequences_of(request)
        if not sequences:
            raise RequestNotFound(f"the log knows no request {request!r}", field="request")
        found = [(each, self._log.record(each)) for each in sequences]
        for sequence, data in found:
            if read_record(data).request != request:
                raise VerificationFailed(f"record {sequence} is filed under {request}, and is about another request")
        return found

    def requests(self, before: int | None, limit: int) -> Requests:
        """Return one page of the requests and how far each came, the newest first.

        Raises:
            LogUnavailable: the log cannot be searched.
        """
        found = newest_requests(self._log, before, limit)
        lines = (self._line([read_record(data) for _, data in self.records(each)]) for each, _ in found)
        return Requests(requests=tuple(lines), next=found[-1][1] if len(found) == limit else None)

    def entries(self, start: int, count: int) -> Records:
        """Return records of the log, in its order; those that there are."""
        found, before = list[LogEntry](), self._time_of(start - 1)
        for sequence, data in self._log.records(start, start + count):
            at = stamp(data)
            back = went_back_from(before, at)
            found.append(LogEntry(sequence=sequence, record=data.decode(), went_back_from=back))
            before = at
        return Records(records=tuple(found))

    @property
    def checkpoint(self) -> str:
        """Return the log's newest checkpoint."""
        return self._log.checkpoint

    def search(self, query: Query, before: int | None, limit: int) -> Found:
        """Return one page of the records that match, the newest first.

        Raises:
            LogUnavailable: the log cannot be searched.
        """
        entries = search(self._log, query, before, limit)
        return Found(
            records=tuple(self._entry(sequence, data) for sequence, data in entries),
            next=entries[-1][0] if len(entries) == limit else None,
        )

    def entry(self, sequence: int) -> ProvenEntry:
        """Return one record with its proof.

        Raises:
            RecordUnknown: there is none.
        """
        data = self._log.record(sequence)
        proof, back = self._log.proof(sequence), self._went_back_from(sequence, data)
        return ProvenEntry(sequence=sequence, record=data.decode(), proof=proof, went_back_from=back)

    def _entry(self, sequence: int, data: bytes) -> LogEntry:
        return LogEntry(sequence=sequence, record=data.decode(), went_back_from=self._went_back_from(sequence, data))

    def _went_back_from(self, sequence: int, data: bytes) -> str:
        """Return the time of the record right before a record, where that is later than its own."""
        return went_back_from(self._time_of(sequence - 1), stamp(data))

    def _time_of(self, sequence: int) -> str:
        """Return the time of a record; nothing where there is none, or where it was altered, which it tells."""
        try:
            return stamp(self._log.record(sequence))
        except (RecordUnknown, VerificationFailed):
            return ""

    def decision(self, request: str) -> Decision:
        """Return everything that the log holds of one request.

        Raises:
            RequestNotFound: nothing.
        """
        entries = self.records(request)
        records = [decode_record(data) for _, data in entries]
        plan = next((record.plan for record in records if record.plan), "")
        snapshot = next((record.snapshot for record in records if record.snapshot), "")
        return Decision(
            line=self._line(records),
            plan=self._text(plan),
            snapshot=self._text(snapshot),
            records=tuple(self._entry(sequence, data) for sequence, data in entries),
            proofs=self._log.proofs([sequence for sequence, _ in entries]),
        )

    def evidence(self, request: str) -> Evidence:
        """Return everything about one request, as a file that proves itself.

        Raises:
            RequestNotFound: the log knows no such request.
        """
        decision = self.decision(request)
        records = [decode_record(entry.record.encode()) for entry in decision.records]
        record, late = asking(records), next((each.late for each in records if each.late), "")
        return Evidence(
            founding=canonical.encode(self._versions.chain.founding).decode(),
            chain=self.configurations().envelopes,
            taken=self._taken_by(record.target),
            rules=plan_in(decision.plan).rules if decision.plan else RULES,
            request=request,
            configuration=self._text(record.configuration) or "",
            plan=decision.plan,
            snapshot=decision.snapshot,
            late=self._text(late),
            entries=tuple(
                EvidenceRecord(record=entry.record, proof=proof)
                for entry, proof in zip(decision.records, decision.proofs, strict=True)
            ),
        )

    def configurations(self) -> Configurations:
        """Return the chain of configurations, each later version with what proves it."""
        chain = self._versions.chain
        envelopes = (self._envelope(each) for each in chain.versions[1:])
        return Configurations(founding=chain.founding.digest, envelopes=tuple(envelopes))

    def _envelope(self, version: Cluster) -> Envelope:
        return self._enveloped(version, self._versions.maker(version.digest))

    def _enveloped(self, version: Cluster, request: str) -> Envelope:
        """Return a version with the request by which a node took it."""
        decision = self.decision(request)
        found = list(zip(decision.records, decision.proofs, strict=True))
        opened = [read_record(entry.record.encode()) for entry, _ in found]
        at = next(at for at, record in enumerate(opened) if record.event == "confirmed")
        signed = (at for at, each in enumerate(opened) if each.result == "executed" and each.outcome is not None)
        outcome = next(signed, None)
        return Envelope(
            document=canonical.encode(version).decode(),
            plan=decision.plan or "",
            signature=opened[at].signature,
            second=opened[at].seconded,
            record=found[at][0].record,
            proof=found[at][1],
            outcome="" if outcome is None else found[outcome][0].record,
            outcome_proof="" if outcome is None else found[outcome][1],
        )

    def _taken_by(self, node: str) -> tuple[Envelope, ...]:
        """Return the versions that a node took which another had made, each with the request by which it did."""
        found = []
        for _, data in configuring(self._log):
            record = read_record(data)
            step = read_step(record.arguments.get("change", ""), "change")
            version = self._versions.chain.named(step.digest)
            makes = version is not None and self._versions.maker(version.digest) == record.request
            if version is not None and record.target == node and record.result == "executed" and not makes:
                found.append(self._enveloped(version, record.request))
        return tuple(found)

    def _line(self, records: list[Record]) -> RequestLine:
        return self._sequences.told(line_of(records, awaits=self._awaits(records[0].request)))

    def _text(self, digest: str) -> str | None:
        found = self._log.blob(digest) if digest else None
        return None if found is None else found.decode()

    def replay(self, request: str) -> Replayed:
        """Compute a request's plan again from its recorded snapshot and configuration, and compare the bytes.

        Raises:
            RequestNotFound: the log holds no plan of it.
            RulesOther: the plan was made by other rules.
        """
        records = [decode_record(data) for _, data in self.records(request)]
        found = next((record for record in records if record.plan and record.snapshot), None)
        digests = (found.plan, found.snapshot, found.configuration) if found else ()
        blobs = [self._log.blob(digest) for digest in digests]
        if not blobs or any(blob is None for blob in blobs):
            raise RequestNotFound(f"the log holds no plan of {request}", field="request")
        text, snapshot, configuration = (blob or b"" for blob in blobs)
        return replayed(read_configuration(configuration), request, text.decode(), snapshot.decode())

    def judged(self, request: str) -> tuple[Finding, ...]:
        """Return what holds of a request's records under this configuration, as `aerodb audit verify` judges them.

        Raises:
            RequestNotFound: there are none.
        """
        entries = [
            Logged(sequence=sequence, text=data.decode(), record=decode_record(data))
            for sequence, data in self.records(request)
        ]
        founding = Trust(clusters=(self._versions.chain.founding,))
        trust = along(founding, configuring(self._log), self._log.blob)
        whole = Whole(self._log.size, self._log.root_at, self._log.records_of)
        return tuple(judged_along(trust, entries, self._log.blob, whole))

    def unresolved(self, request: str) -> tuple[Request, Record]:
        """Return a confirmed request, and the record of its confirmation, for its outcome to be asked for.

        Raises:
            RequestNotFound, NeverConfirmed: there is nothing to ask for.
        """
        records = [decode_record(data) for _, data in self.records(request)]
        confirmed = next((record for record in records if record.event == "confirmed"), None)
        if confirmed is None:
            raise NeverConfirmed("the log holds no confirmation of it, so it was never sent", request=request)
        return confirmed.asked, confirmed
