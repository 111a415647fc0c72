"""The content of an incident report: the decisions and records of a time span, in the log's order, with their proofs.

The same log and the same span give the same report, byte for byte. Pure: no I/O, no clock.
"""

from collections.abc import Mapping, Sequence

import msgspec

from aerodb.audit.checks import Asked, Unfounded, check_confirmation, check_outcome, check_recorded, check_second
from aerodb.audit.proof import fault_of, open_proof
from aerodb.audit.record import Record, read_record
from aerodb.errors import AeroError
from aerodb.protocol.api import Decision, LogEntry
from aerodb.protocol.chain import Chain
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Plan, plan_digest
from aerodb.protocol.timeline import Entry, Lag, Timeline
from aerodb.views.lags import LagPicture, picture
from aerodb.views.render import shown
from aerodb.views.requests import spoken_briefly
from aerodb.views.timeline import sentence, silences

NOT_VERIFIED = "NOT VERIFIED"
WIDTH, HEIGHT, MARGIN = 720, 180, 36


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One transition that a node saw; `place` says in words where it stands in the timeline's order."""

    place: str
    node: str
    text: str


class RecordRow(msgspec.Struct, frozen=True, kw_only=True):
    """One record, for people; `proof` is empty for a record that belongs to no request."""

    sequence: int
    at: str
    event: str
    operator: str
    what: str
    result: str
    proof: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, for people."""

    request: str
    title: str
    state: str
    operator: str
    reason: str
    plan: str
    term: int
    loss: str
    verdicts: tuple[tuple[str, str, str], ...]
    signature: str
    outcome: str
    rows: tuple[RecordRow, ...]


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report. `terms` are pairs (record's number, term) of the executed actions, in the log's order.

    `lag` is the picture of the standbys' lag around the transitions; None if nothing was sampled.
    """

    cluster: str
    cluster_id: str
    configuration: str
    since: str
    until: str
    decisions: tuple[Told, ...]
    rows: tuple[RecordRow, ...]
    terms: tuple[tuple[int, int], ...]
    moments: tuple[Moment, ...]
    lag: LagPicture | None


def incident(
    chain: Chain,
    span: tuple[str, str],
    entries: Sequence[LogEntry],
    decisions: Sequence[Decision],
    plans: Mapping[str, Plan],
    seen: Sequence[Moment] = (),
    lags: Sequence[Lag] = (),
) -> Incident:
    """Return the report on the records `entries`, in order, the decisions that they belong to, and what nodes saw.

    `plans` are those of the decisions, by request; the caller has checked each against its digest.
    """
    cluster = chain.newest
    proofs = {
        entry.sequence: _proof(cluster, entry, proof)
        for decision in decisions
        for entry, proof in zip(decision.records, decision.proofs, strict=True)
    }
    told = tuple(_told(chain, decision, plans.get(decision.line.request), proofs) for decision in decisions)
    return Incident(
        cluster=cluster.name,
        cluster_id=cluster.id,
        configuration=cluster.digest,
        since=span[0],
        until=span[1],
        decisions=told,
        rows=tuple(_row(entry, proofs) for entry in entries),
        terms=_terms(told),
        moments=tuple(seen),
        lag=picture(lags, cluster.data_nodes, terms=not cluster.watched),
    )


def _stretch(found: Timeline, entries: Sequence[LogEntry]) -> tuple[int, int] | None:
    """Return the stretch of the timeline around these records, from the last record before them to the next after.

    So it includes what led to the first of them. The timeline's order decides, not a clock.
    """
    numbers = {entry.sequence for entry in entries}
    records = [at for at, each in enumerate(found.entries) if each.kind == "record"]
    places = [at for at in records if found.entries[at].sequence in numbers]
    if not places:
        return None
    begin = max((at for at in records if at < places[0]), default=0)
    return begin, min((at for at in records if at > places[-1]), default=len(found.entries))


def moments(found: Timeline, entries: Sequence[LogEntry], *, terms: bool = True) -> tuple[Moment, ...]:
    """Return what the nodes saw around these records, and why each silent node is silent.

    Without `terms` none is named: where nodes are only watched there are none.
    """
    silent = [Moment(place="unknown", node=name, text=said) for name, said in silences(found).items()]
    begin, end = _stretch(found, entries) or (0, 0)
    seen = [each for each in found.entries[begin:end] if each.kind != "record"]
    told = ((_place(each, terms=terms), each.source, shown(sentence(each))) for each in seen)
    return (*silent, *(Moment(place=place, node=node, text=text) for place, node, text in told))


def lags_around(found: Timeline, entries: Sequence[LogEntry]) -> tuple[Lag, ...]:
    """Return the samples of lag around these records."""
    stretch = _stretch(found, entries)
    return tuple(lag for lag in found.lags if stretch and stretch[0] < lag.after <= stretch[1])


def _place(entry: Entry, *, terms: bool) -> str:
    """Return an entry's place in words: whether its order is certain, its term, and its WAL position."""
    term = "term unknown" if entry.term is None else f"term {entry.term}"
    return ", ".join((entry.order, *([term] if terms else []), *([] if entry.lsn is None else [str(entry.lsn)])))


def _proof(cluster: Cluster, entry: LogEntry, proof: str) -> str:
    fault = fault_of(proof, cluster.log_key, entry.sequence, entry.record)
    if fault:
        return f"NOT PROVEN: {fault}"
    size = open_proof(proof, cluster.log_key, entry.record.encode()).checkpoint.size
    return f"proven, checkpoint of {size} records"


def _row(entry: LogEntry, proofs: dict[int, str]) -> RecordRow:
    record = read_record(entry.record.encode())
    arguments = [f"{name} {value}" for name, value in spoken_briefly(record.arguments, record.action)]
    return RecordRow(
        sequence=entry.sequence,
        at=shown(record.at),
        event=record.event,
        operator=shown(record.people),
        what=shown(" ".join([record.action, record.target, *arguments]).strip()),
        result=shown(record.result or record.code),
        proof=proofs.get(entry.sequence, ""),
    )


def _told(chain: Chain, decision: Decision, plan: Plan | None, proofs: dict[int, str]) -> Told:
    line = decision.line
    records = [read_record(entry.record.encode()) for entry in decision.records]
    return Told(
        request=line.request,
        title=shown(plan.title if plan else f"{line.action} {line.target}"),
        state=shown(f"{line.state} {line.code}".strip()),
        operator=shown(line.operator),
        reason=shown(line.reason),
        plan=plan_digest(decision.plan) if decision.plan is not None else "none was made",
        term=plan.term if plan else 0,
        loss=shown(plan.loss.statement) if plan else "",
        verdicts=_verdicts(plan),
        signature=_signature(chain, records, decision.plan or ""),
        outcome=_outcome(chain, records),
        rows=tuple(_row(entry, proofs) for entry in decision.records),
    )


def _verdicts(plan: Plan | None) -> tuple[tuple[str, str, str], ...]:
    found = plan.verdicts if plan else ()
    return tuple((each.invariant, str(each.result), shown(each.evidence)) for each in found)


def _signature(chain: Chain, records: list[Record], plan_text: str) -> str:
    confirmed = next((each for each in records if each.event == "confirmed"), None)
    if confirmed is None:
        return "none: it was never confirmed"
    try:
        cluster = _version(chain, confirmed)
        check_confirmation(cluster, confirmed.operator, plan_text, confirmed.signature)
        check_second(cluster, confirmed, plan_text)
    except AeroError as error:
        return f"{NOT_VERIFIED}: {shown(error.message)}"
    touch = ", with a key that demands a touch" if confirmed.touch else ""
    second = confirmed.seconded
    then = f"; {shown(second.operator)} signed second" if second is not None else ""
    return f"{shown(confirmed.operator)} signed the plan {confirmed.plan}{touch}{then}"


def _version(chain: Chain, record: Record) -> Cluster:
    """Return the version that a record was made under.

    Raises:
        Unfounded: the chain has no such version.
    """
    found = chain.named(record.configuration)
    if found is None:
        raise Unfounded(
            f"it was made under the configuration {record.configuration}, not one that follows from the profile's"
        )
    return found


def _outcome(chain: Chain, records: list[Record]) -> str:
    last = next((each for each in reversed(records) if each.event in ("outcome", "established")), None)
    if last is None:
        return "none is recorded"
    try:
        cluster = _version(chain, last)
        if last.outcome is not None:
            asked = Asked(last.request, last.target, last.plan)
            check_recorded(last, check_outcome(cluster, asked, last.result, last.outcome))
        elif last.result == "executed":
            raise Unfounded("it is recorded as executed, and no agent signed it")
    except AeroError as error:
        return f"{NOT_VERIFIED}: {shown(error.message)}"
    signer = f"signed by the agent of {shown(last.outcome.signer)}" if last.outcome else "signed by no agent"
    return " ".join(filter(None, (f"{last.result}, {signer}.", shown(last.code), shown(last.message))))


def _terms(told: tuple[Told, ...]) -> tuple[tuple[int, int], ...]:
    """Return the record number and term of each executed action, in the log's order."""
    found = (
        (row.sequence, each.term)
        for each in told
        for row in each.rows
        if each.term and row.result == "executed" and row.event in ("outcome", "established")
    )
    return tuple(sorted(found))


def steps(terms: Sequence[tuple[int, int]]) -> tuple[str, list[tuple[int, int, str]]]:
    """Return the path of the picture of the terms, and its labelled points, in whole pixels."""
    if not terms:
        return "", []
    first, last = terms[0][0], terms[-1][0]
    low, high = min(term for _, term in terms), max(term for _, term in terms)
    points = [
        (
            MARGIN + (WIDTH - 2 * MARGIN) * (sequence - first) // max(last - first, 1),
            HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (term - low) // max(high - low, 1),
            f"term {term}, record {sequence}",
        )
        for sequence, term in terms
    ]
    return f"M{points[0][0]} {points[0][1]}" + "".join(f"H{x}V{y}" for x, y, _ in points[1:]), points
