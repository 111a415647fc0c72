"""The log in the browser: searched, each record with its proof, and every decision whole, judged anew on the spot.

The proofs are verified here, and by the page's own script again, against the log's key; without scripts the page says
what was verified here, and how to verify it offline.
"""

from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from aerodb.actions import catalogue
from aerodb.audit.clocks import jump_text
from aerodb.audit.findings import CONFIRMATION, SECOND, Finding, FindingState
from aerodb.audit.proof import fault_of
from aerodb.audit.record import Record, RecordEvent, decode_record
from aerodb.audit.search import Query, required_instant
from aerodb.control.roles import Right
from aerodb.errors import AeroError
from aerodb.past.held import RulesOther
from aerodb.protocol import canonical, confirmation
from aerodb.protocol.api import LogEntry, ProvenEntry
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.words import words_of
from aerodb.rules.invariants import Invariant
from aerodb.views.proofs import proofs_remarks
from aerodb.views.render import Line
from aerodb.web.errors import FormMalformed
from aerodb.web.pages.requests import outcome_of, shown_plan
from aerodb.web.visit import Download, Page, Visit

JSON_LINES = "application/jsonl"
FINDINGS: dict[FindingState, tuple[str, str]] = {
    "holds": ("good", "holds"),
    "fails": ("bad", "FAILS"),
    "unchecked": ("warn", "not checked"),
    "noted": ("dim", "unproven"),
    "told": ("warn", "restored"),
    "contradicts": ("bad", "ANOTHER LOG"),
}
"""How what was found is marked."""
RECORDS_A_PAGE = 20
"""Each comes whole, with its proof, and the page stays under its 100 kB."""


@dataclass(frozen=True, kw_only=True)
class ProvenRecord:
    """A record with its exact text and its proof; `fault` says what is wrong with the proof, if something is.

    `clock` says that its clock went back, if it did.
    """

    sequence: int
    record: Record
    text: str
    proof: str
    fault: str
    clock: str


def proven_by(cluster: Cluster, entry: LogEntry | ProvenEntry, proof: str) -> ProvenRecord:
    """Return a record with what its proof is worth."""
    text, back = entry.record, entry.went_back_from
    return ProvenRecord(
        sequence=entry.sequence, record=decode_record(text.encode()), text=text, proof=proof,
        fault=fault_of(proof, cluster.log_key, entry.sequence, text), clock=jump_text(back) if back else "",
    )  # fmt: skip


def record(visit: Visit) -> Page:
    """Answer with one record, its exact text, and its proof.

    Raises:
        RecordUnknown: the log has none of that number.
    """
    visit.access.require(Right.READ_AUDIT)
    number = visit.path["sequence"]
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise FormMalformed("a record's number is expected here", field="sequence")
    entry = visit.access.entry(int(number))
    found = proven_by(visit.access.cluster, entry, entry.proof)
    proofs = proofs_remarks({found.sequence: found.fault})
    values = {"each": found, "proofs": proofs, "size": visit.access.log_size, "log_key": visit.access.cluster.log_key}
    return Page(template="record.html", here="/audit", values=values)


def exported(visit: Visit) -> Download:
    """Answer with the whole log, as `aerodb audit verify` checks it offline; the reading is recorded.

    Raises:
        CallerRefused: the person may not see it.
        LogUnavailable: the reading cannot be recorded.
    """
    parts = visit.access.export()
    return Download(name=f"aerodb-{visit.access.cluster.name}-log.jsonl", media_type=JSON_LINES, parts=parts)


def evidence(visit: Visit) -> Download:
    """Answer with one decision as a file that proves itself; the reading is recorded.

    Raises:
        CallerRefused, RequestNotFound: the person may not see it, or there is none.
        LogUnavailable: the reading cannot be recorded.
    """
    request = visit.path["request"]
    data = canonical.encode(visit.access.evidence(request))
    return Download(name=f"aerodb-evidence-{request}.json", media_type="application/json", parts=[data])


# Searching ------------------------------------------------------------------------------------------------------------


def audit(visit: Visit) -> Page:
    """Answer with the records that are searched for, each with its proof, the newest first.

    Raises:
        CallerRefused: the person may not read the log.
        InstantMalformed: a time is no time.
    """
    visit.access.require(Right.READ_AUDIT)
    asked = {name: visit.query.get(name, "") for name in Query.__struct_fields__}
    times = {name: required_instant(asked[name], name) for name in ("since", "until")}
    cluster = visit.access.cluster
    found = visit.access.search(Query(**{**asked, **times}), visit.before(), RECORDS_A_PAGE)
    records = [proven_by(cluster, entry, visit.access.entry(entry.sequence).proof) for entry in found.records]
    further = {name: value for name, value in asked.items() if value}
    values = {
        "asked": asked,
        "choices": {
            "event": get_args(RecordEvent),
            "action": tuple(catalogue()),
            "node": tuple(member.name for member in cluster.members),
            "outcome": ("executed", "not executed", "unknown"),
            "invariant": tuple(invariant.value for invariant in Invariant),
            "operator": tuple(person.name for person in cluster.operators),
        },
        "records": records,
        "proofs": proofs_remarks({each.sequence: each.fault for each in records}),
        "older": "" if found.next is None else urlencode({**further, "before": str(found.next)}),
        "newest": urlencode(further) if visit.before() is not None else None,
        "size": visit.access.log_size,
        "checkpoint": visit.access.checkpoint(),
        "log_key": cluster.log_key,
    }
    return Page(template="audit.html", here="/audit", values=values)


# Decisions ------------------------------------------------------------------------------------------------------------


def decision(visit: Visit) -> Page:
    """Answer with one request reconstructed whole, its plan computed again and compared byte for byte.

    Raises:
        RequestNotFound: the log knows none of that id.
    """
    cluster = visit.access.cluster
    found = visit.access.decision(visit.path["request"], sensitive=False)
    pairs = zip(found.records, found.proofs, strict=True)
    records = [proven_by(cluster, entry, proof) for entry, proof in pairs]
    findings = visit.access.judged(visit.path["request"])
    values = {
        **shown_plan(found),
        "line": found.line,
        "words": words_of(found.line.plan).split(" ") if found.line.plan else [],
        "records": records,
        "proofs": proofs_remarks({each.sequence: each.fault for each in records}),
        "log_key": cluster.log_key,
        "findings": [(FINDINGS[each.state], each) for each in findings],
        "signed": [signed_by(each, findings) for each in records if each.record.event == "confirmed"],
        "outcome": outcome_of(cluster, found),
        "redacted": found.redacted,
        "events": found.events,
        "may_read_sensitive": visit.access.may(Right.READ_SENSITIVE),
        "replayed": _replayed(visit) if found.plan is not None else None,
    }
    return Page(template="decision.html", here="/requests", values=values)


def signed_by(confirmed: ProvenRecord, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """Return a confirmation as it is recorded, and what was found of its signature."""
    verdict = Line("bad", "its configuration is not the one of now, so it cannot be verified here")
    for finding in findings:
        if (finding.part, finding.sequence) == (CONFIRMATION, confirmed.sequence):
            held = finding.state == "holds"
            said = "verified here, over the plan's exact bytes" if held else f"does not verify: {finding.said}"
            verdict = Line("good" if held else "bad", said)
    method = confirmation.method_of(confirmed.record.signature)
    return {"record": confirmed.record, "method": method, "verdict": verdict, "second": second_by(confirmed, findings)}


def second_by(confirmed: ProvenRecord, findings: tuple[Finding, ...]) -> dict[str, Any] | None:
    """Return the second person's signature in a confirmation, and what was found of it; None where none is due."""
    second = confirmed.record.seconded
    found = [each for each in findings if (each.part, each.sequence) == (SECOND, confirmed.sequence)]
    wrong = [each.said for each in found if each.state != "holds"]
    if second is None and not wrong:
        return None
    held = bool(found) and not wrong
    said = "verified here, over the plan's exact bytes" if held else f"does not verify: {'; '.join(wrong)}"
    method = confirmation.method_of(second.signature) if second is not None else ""
    return {"second": second, "method": method, "verdict": Line("good" if held else "bad", said)}


def _replayed(visit: Visit) -> dict[str, Any]:
    try:
        return {"replayed": visit.access.replay(visit.path["request"]), "fault": "", "style": ""}
    except AeroError as error:  # That the rules of then are not held says nothing against the decision.
        return {"replayed": None, "fault": error.message, "style": "warn" if isinstance(error, RulesOther) else "bad"}
