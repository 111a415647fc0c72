"""The log in the browser: searched, each record with its proof, and every decision whole, judged anew on the spot.

The proofs are verified here, and by the page's own script again, against the log's key; without scripts the page says
what was verified here, and how to verify it offline.
"""

from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from aerodb.actions import catalogue
from aerodb.audit.findings import CONFIRMATION, Finding, State
from aerodb.audit.proof import fault_of
from aerodb.audit.record import Event, Record
from aerodb.audit.search import Query, required_instant
from aerodb.control.roles import ALLOWED, Right, require
from aerodb.errors import AeroError
from aerodb.protocol import canonical, confirmation
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.words import words_of
from aerodb.rules.invariants import Invariant
from aerodb.rules.render import Line
from aerodb.web.errors import FormMalformed
from aerodb.web.pages.requests import outcome_of, shown_plan
from aerodb.web.visit import Download, Page, Visit

JSON_LINES = "application/jsonl"
FINDINGS: dict[State, tuple[str, str]] = {
    "holds": ("good", "holds"),
    "fails": ("bad", "FAILS"),
    "unchecked": ("warn", "not checked"),
    "noted": ("dim", "unproven"),
    "told": ("warn", "restored"),
}
"""How what was found is marked."""
RECORDS_A_PAGE = 20
"""Each comes whole, with its proof, and the page stays under its 100 kB."""


@dataclass(frozen=True, kw_only=True)
class Proven:
    """A record with its exact text and its proof; `fault` says what is wrong with the proof, if something is."""

    sequence: int
    record: Record
    text: str
    proof: str
    fault: str


def proven_by(cluster: Cluster, sequence: int, text: str, proof: str) -> Proven:
    """Return a record with what its proof is worth."""
    record, fault = canonical.decode(text.encode(), Record), fault_of(proof, cluster.log_key, sequence, text)
    return Proven(sequence=sequence, record=record, text=text, proof=proof, fault=fault)


def record(visit: Visit) -> Page:
    """Answer with one record, its exact text, and its proof.

    Raises:
        RecordUnknown: the log has none of that number.
    """
    require(visit.person, Right.READ_AUDIT)
    number = visit.path["sequence"]
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise FormMalformed("a record's number is expected here", field="sequence")
    entry = visit.plane.reader.entry(int(number))
    found = proven_by(visit.plane.cluster, entry.sequence, entry.record, entry.proof)
    values = {"each": found, "size": visit.plane.log.size, "log_key": visit.plane.cluster.log_key}
    return Page(template="record.html", here="/audit", values=values)


def exported(visit: Visit) -> Download:
    """Answer with the whole log, as `aerodb audit verify` checks it offline; the reading is recorded.

    Raises:
        CallerRefused: the person may not see it.
        LogUnavailable: the reading cannot be recorded.
    """
    parts = visit.plane.discloser.export(visit.person)
    return Download(name=f"aerodb-{visit.plane.cluster.name}-log.jsonl", media_type=JSON_LINES, parts=parts)


def evidence(visit: Visit) -> Download:
    """Answer with one decision as a file that proves itself; the reading is recorded.

    Raises:
        CallerRefused, RequestNotFound: the person may not see it, or there is none.
        LogUnavailable: the reading cannot be recorded.
    """
    request = visit.path["request"]
    data = canonical.encode(visit.plane.discloser.evidence(visit.person, request))
    return Download(name=f"aerodb-evidence-{request}.json", media_type="application/json", parts=[data])


# Searching ------------------------------------------------------------------------------------------------------------


def audit(visit: Visit) -> Page:
    """Answer with the records that are searched for, each with its proof, the newest first.

    Raises:
        CallerRefused: the person may not read the log.
        InstantMalformed: a time is no time.
    """
    require(visit.person, Right.READ_AUDIT)
    asked = {name: visit.query.get(name, "") for name in Query.__struct_fields__}
    times = {name: required_instant(asked[name], name) for name in ("since", "until")}
    cluster, log = visit.plane.cluster, visit.plane.log
    found = visit.plane.reader.search(Query(**{**asked, **times}), visit.before(), RECORDS_A_PAGE)
    further = {name: value for name, value in asked.items() if value}
    values = {
        "asked": asked,
        "choices": {
            "event": get_args(Event),
            "action": tuple(catalogue()),
            "node": tuple(member.name for member in cluster.members),
            "outcome": ("executed", "not executed", "unknown"),
            "invariant": tuple(invariant.value for invariant in Invariant),
            "operator": tuple(person.name for person in cluster.operators),
        },
        "records": [
            proven_by(cluster, entry.sequence, entry.record, log.proof(entry.sequence)) for entry in found.records
        ],
        "older": "" if found.next is None else urlencode({**further, "before": str(found.next)}),
        "newest": urlencode(further) if visit.before() is not None else None,
        "size": log.size,
        "checkpoint": log.checkpoint,
        "log_key": cluster.log_key,
    }
    return Page(template="audit.html", here="/audit", values=values)


# Decisions ------------------------------------------------------------------------------------------------------------


def decision(visit: Visit) -> Page:
    """Answer with one request reconstructed whole, its plan computed again and compared byte for byte.

    Raises:
        RequestNotFound: the log knows none of that id.
    """
    cluster = visit.plane.cluster
    found = visit.plane.discloser.decision(visit.person, visit.path["request"], sensitive=False)
    pairs = zip(found.records, found.proofs, strict=True)
    records = [proven_by(cluster, entry.sequence, entry.record, proof) for entry, proof in pairs]
    findings = visit.plane.reader.judged(visit.path["request"])
    values = {
        **shown_plan(found),
        "line": found.line,
        "words": words_of(found.line.plan).split(" ") if found.line.plan else [],
        "records": records,
        "log_key": cluster.log_key,
        "findings": [(FINDINGS[each.state], each) for each in findings],
        "signed": [signed_by(each, findings) for each in records if each.record.event == "confirmed"],
        "outcome": outcome_of(cluster, found),
        "redacted": found.redacted,
        "may_read_sensitive": Right.READ_SENSITIVE in ALLOWED[visit.person.role],
        "replayed": _replayed(visit) if found.plan is not None else None,
    }
    return Page(template="decision.html", here="/requests", values=values)


def signed_by(confirmed: Proven, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """Return a confirmation as it is recorded, and what was found of its signature."""
    verdict = Line("bad", "its configuration is not the one of now, so it cannot be verified here")
    for finding in findings:
        if (finding.part, finding.sequence) == (CONFIRMATION, confirmed.sequence):
            held = finding.state == "holds"
            said = "verified here, over the plan's exact bytes" if held else f"does not verify: {finding.said}"
            verdict = Line("good" if held else "bad", said)
    method = confirmation.method_of(confirmed.record.signature)
    return {"record": confirmed.record, "method": method, "verdict": verdict}


def _replayed(visit: Visit) -> dict[str, Any]:
    try:
        return {"replayed": visit.plane.reader.replay(visit.path["request"]), "fault": ""}
    except AeroError as error:
        return {"replayed": None, "fault": error.message}
