"""The evidence file: everything about one request in one canonical JSON document, verified with no server at hand.

- What is trusted is the cluster's configuration alone (cluster.json), which every person's profile holds: it names the
  log's key, each node's key and each person's key. It holds nothing secret.
- Every byte is held to something: the form is canonical, the records to the log's signed checkpoint by their proofs,
  the plan, the snapshot and the configuration to the digests in those records.
- It proves what it holds. It cannot prove that the log holds nothing more about the request.

Pure: no I/O, no clock.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec

from aerodb.actions import action_named
from aerodb.audit.proof import ProofInvalid, Proven, make_proof, open_proof, path_in
from aerodb.audit.record import Record, decode_record
from aerodb.errors import AeroError
from aerodb.protocol import canonical, confirmation
from aerodb.protocol.cluster import Cluster, Role
from aerodb.protocol.confirmation import Confirmed
from aerodb.protocol.plan import Outcome, Plan, Request, Snapshot, late_nonce, plan_digest
from aerodb.protocol.signed import open_signed
from aerodb.rules.explain import explain
from aerodb.rules.invariants import RULES
from aerodb.rules.view import open_report

T = TypeVar("T")

_AFTER: dict[str, tuple[str, ...]] = {
    "": ("requested", "rejected", "refused"),
    "requested": ("confirmed", "refused", "declined", "lapsed"),
    "rejected": ("refused",),
    "refused": ("confirmed", "refused", "declined", "lapsed", "outcome", "established"),
    "declined": ("refused",),
    "lapsed": ("refused",),
    "confirmed": ("outcome", "established", "refused"),
    "outcome": ("established", "refused"),
    "established": ("established", "refused", "outcome"),
}
"""Which record of a request may follow which."""


class EvidenceInvalid(AeroError):
    """A part of the evidence does not hold; `field` names the part."""

    code = "control.evidence-invalid"
    status = 409
    title = "The evidence does not verify"


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record's exact text, and its inclusion proof (C2SP tlog-proof)."""

    record: str
    proof: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request with everything that proves it; a request that was refused unseen has no plan and no snapshot.

    `late` is what the target's peers said after the confirmation, as the order carried it; None where none was sent, or
    where the control plane died before it could record it.
    """

    kind: Literal["evidence"] = "evidence"
    version: Literal[1] = 1
    rules: str
    request: str
    configuration: str
    plan: str | None
    snapshot: str | None
    late: str | None
    entries: tuple[Entry, ...]


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence that held: what was verified, in sentences, and the verified parts."""

    evidence: Evidence
    records: dict[int, Record]
    plan: Plan | None
    checkpoint: str
    sentences: tuple[str, ...]


def examine(data: bytes, cluster: Cluster) -> Examined:
    """Return what the evidence file `data` proves, under the configuration `cluster`.

    Raises:
        EvidenceInvalid: naming the part that does not hold.
    """
    evidence = _held("the file's form", lambda: canonical.decode(data, Evidence))
    _configuration(evidence, cluster)
    records, proven = _records(evidence, cluster)
    said = [
        f"The configuration is the one given here ({cluster.digest}).",
        f"{len(records)} records stand in the log of {cluster.name} ({', '.join(map(str, records))}), proven under one "
        f"checkpoint of {proven.checkpoint.size} records that the log's key signed.",
    ]
    plan = None
    if evidence.plan is not None and evidence.snapshot is not None:
        plan, sentences = _plan(evidence, cluster, evidence.plan, evidence.snapshot, tuple(records.values()))
        said += sentences
    elif (evidence.plan, evidence.snapshot) != (None, None) or any(each.snapshot for each in records.values()):
        raise _invalid("the plan and the snapshot", "one of them is missing")
    else:
        said.append("The request was refused before a plan was made.")
    for sequence, record in records.items():
        said += _event(cluster, sequence, record, evidence.plan)
    said += _late(evidence, cluster, tuple(records.values()))
    return Examined(
        evidence=evidence, records=records, plan=plan, checkpoint=proven.checkpoint_text, sentences=tuple(said)
    )


def _invalid(part: str, why: str) -> EvidenceInvalid:
    return EvidenceInvalid(f"{part}: {why}", field=part)


def _held(part: str, opened: Callable[[], T]) -> T:
    """Return what `opened` gives; whatever it refuses is said to be wrong with `part`."""
    try:
        return opened()
    except EvidenceInvalid:
        raise
    except (AeroError, UnicodeEncodeError) as error:
        raise _invalid(part, str(error)) from error


def _configuration(evidence: Evidence, cluster: Cluster) -> None:
    part = "the configuration"
    inside = _held(part, lambda: canonical.decode(evidence.configuration.encode(), Cluster))
    if inside.digest != cluster.digest:
        raise _invalid(part, f"the file was made under {inside.digest}; given here is {cluster.digest}")


def _records(evidence: Evidence, cluster: Cluster) -> tuple[dict[int, Record], Proven]:
    """Return the records by their proven numbers, rising, and what the last proof showed."""
    records, checkpoints, last = dict[int, Record](), set[str](), ""
    proven: Proven | None = None
    for at, entry in enumerate(evidence.entries):
        part = f"record {at + 1} of {len(evidence.entries)} or its proof"
        proven = _held(part, lambda entry=entry: _proven(entry, cluster))  # type: ignore[misc]
        record = _held(part, lambda entry=entry: decode_record(entry.record.encode()))  # type: ignore[misc]
        if records and proven.index <= max(records):
            raise _invalid(part, "it is out of the log's order")
        if (record.request, record.configuration) != (evidence.request, cluster.digest):
            raise _invalid(part, "it is of another request or configuration")
        if record.event not in _AFTER.get(last, ()):
            raise _invalid(part, f"{record.event} does not follow {last or 'nothing'}")
        records[proven.index], last = record, record.event
        checkpoints.add(proven.checkpoint_text)
    if proven is None or len(checkpoints) != 1:
        raise _invalid("the proofs", f"they rest on {len(checkpoints)} checkpoints, not on one")
    return records, proven


def _proven(entry: Entry, cluster: Cluster) -> Proven:
    """Return what the entry's proof shows; it must be in the one form that the log gives it."""
    proven = open_proof(entry.proof, cluster.log_key, entry.record.encode())
    if proven.checkpoint_text.count("\u2014 ") != 1:
        raise ProofInvalid("the checkpoint has a signature that the log never made")
    if make_proof(proven.index, path_in(entry.proof), proven.checkpoint_text) != entry.proof:
        raise ProofInvalid("the proof is not in its one form")
    return proven


def _plan(
    evidence: Evidence, cluster: Cluster, plan_text: str, snapshot_text: str, records: tuple[Record, ...]
) -> tuple[Plan, list[str]]:
    """Check the snapshot, and compute the plan again from it; return it and what was verified."""
    first, snapshot_digest = records[0], canonical.digest(snapshot_text.encode())
    if (first.event == "refused") or first.snapshot != snapshot_digest:
        raise _invalid("the snapshot", "it is not the one that the log's records name")
    if any(each.plan not in ("", plan_digest(plan_text)) for each in records) or first.plan != plan_digest(plan_text):
        raise _invalid("the plan", "it is not the one that the log's records name")
    snapshot = _held("the snapshot", lambda: canonical.decode(snapshot_text.encode(), Snapshot))
    for name, signed in snapshot.reports.items():
        _held(f"the report of {name}", lambda name=name, signed=signed: open_report(  # type: ignore[misc]
            cluster, name, signed, evidence.request))  # fmt: skip
    plan = _held("the plan", lambda: canonical.decode(plan_text.encode(), Plan))
    _same_request(plan, records)
    if not plan.rules == evidence.rules == RULES:
        raise _invalid("the rules", f"the plan was made by {plan.rules}; here are {RULES}: verify with that version")
    again = _held("the plan", lambda: explain(cluster, action_named(plan.request.action), plan.request, snapshot))
    if canonical.encode(again).decode() != plan_text:
        raise _invalid("the plan", "computed again from the snapshot by the rules, it is another")
    silent = f" {', '.join(snapshot.missing)} did not report." if snapshot.missing else ""
    said = "acceptable" if plan.accepted else "a rejection"
    return plan, [
        f"Each report in the snapshot is signed by its own node: {', '.join(snapshot.reports)}.{silent}",
        f"The plan, computed again here from the snapshot by the rules {RULES}, is byte for byte the recorded one: "
        f"{said}, {len(plan_text.encode())} bytes, {plan_digest(plan_text)}.",
    ]


def _same_request(plan: Plan, records: tuple[Record, ...]) -> None:
    """Check that the plan and every record are of one and the same request, word for word."""
    for record in records:
        said = Request(
            id=record.request, action=record.action, target=record.target, arguments=record.arguments,
            operator=record.operator, reason=record.reason,
        )  # fmt: skip
        if said != plan.request:
            raise _invalid("the plan", "its request is not that of the log's records")
    if plan.accepted != (records[0].event == "requested"):
        raise _invalid("the plan", f"it was recorded as {records[0].event}, and is not")


def _event(cluster: Cluster, sequence: int, record: Record, plan_text: str | None) -> list[str]:
    """Return what was verified of one record beyond its place in the log."""
    if record.event == "confirmed":
        return [_held("the operator's signature", lambda: _confirmation(cluster, sequence, record, plan_text or ""))]
    if record.event in ("outcome", "established"):
        return [_held("the outcome", lambda: _outcome(cluster, sequence, record))]
    if record.event == "refused":
        return [f"Record {sequence}: refused, as the control plane recorded it ({record.code})."]
    if record.event in ("declined", "lapsed"):
        return [f"Record {sequence}: {record.event}, as the control plane recorded it; it can no longer be confirmed."]
    return []


def verified_confirmation(cluster: Cluster, operator: str, plan_text: str, signature: str) -> Confirmed:
    """Return what is proven, where `signature` is the confirmation of `plan_text` by `operator`.

    Raises:
        EvidenceInvalid: nobody of that name may confirm.
        SshsigInvalid, AssertionInvalid, KeyMalformed: the signature is not theirs, or not over this plan.
    """
    person = cluster.operator(operator)
    if person is None or person.role is not Role.OPERATOR:
        raise _invalid("the operator's signature", f"the configuration has no operator {operator!r}")
    return confirmation.verify(cluster, person, signature, plan_text.encode())


def _confirmation(cluster: Cluster, sequence: int, record: Record, plan_text: str) -> str:
    confirmed = verified_confirmation(cluster, record.operator, plan_text, record.signature)
    if confirmed.proof.touch != record.touch:
        raise _invalid("the operator's signature", "whether a key was touched is recorded otherwise")
    with_what = {
        "ssh": "with their enrolled SSH key",
        "webauthn": "with an authenticator that their enrolled SSH key endorsed",
    }
    touched = ", which was touched" if record.touch else ""
    return f"Record {sequence}: {record.operator} signed exactly this plan, {with_what[confirmed.method]}{touched}."


def _outcome(cluster: Cluster, sequence: int, record: Record) -> str:
    if record.outcome is None:
        if record.result == "executed":
            raise _invalid("the outcome", "it is recorded as executed, and no agent signed it")
        return f"Record {sequence}: {record.result}, as the control plane recorded it; no agent signed it."
    outcome = open_signed(record.outcome, Outcome, cluster.member(record.target).public_key)
    said = (outcome.cluster, outcome.node, outcome.request, outcome.result, record.outcome.signer)
    never_came = outcome.plan == "" and outcome.result != "executed"  # The agent was never shown a plan of it.
    if said != (cluster.id, record.target, record.request, record.result, record.target):
        raise _invalid("the outcome", f"what {record.target} signed is of another request, or says something else")
    if not (never_came or outcome.plan == record.plan):
        raise _invalid("the outcome", f"what {record.target} signed names another plan")
    found = ", found out afterwards" if outcome.established else ""
    return f"Record {sequence}: {outcome.result}{found}, signed by the agent of {record.target} for this plan."


def _late(evidence: Evidence, cluster: Cluster, records: tuple[Record, ...]) -> list[str]:
    """Return what was verified of what the peers said after the confirmation: made for it, and judged by the agent."""
    part, named = "what was said after the confirmation", {record.late for record in records} - {""}
    text = evidence.late
    if text is None and not named:
        return []
    if text is None or named != {canonical.digest(text.encode())}:
        raise _invalid(part, "it is not what the log's records name")
    said = _held(part, lambda: canonical.decode(text.encode(), Snapshot))
    confirmed = [
        entry.record for entry, record in zip(evidence.entries, records, strict=True) if record.event == "confirmed"
    ]
    if [said.nonce] != list(map(late_nonce, confirmed)):
        raise _invalid(part, "it was not made for this confirmation")
    for name, signed in said.reports.items():
        _held(part, lambda name=name, signed=signed: open_report(cluster, name, signed, said.nonce))  # type: ignore[misc]
    _judged_late({name: signed.digest for name, signed in said.reports.items()}, records)
    silent = f" {', '.join(said.missing)} did not report." if said.missing else ""
    return [f"Made after that confirmation, and signed by its own node: the report of each of {_names(said)}.{silent}"]


def _names(said: Snapshot) -> str:
    return ", ".join(said.reports) or "nobody"


def _judged_late(digests: dict[str, str], records: tuple[Record, ...]) -> None:
    """Check that an agent which executed the order names the same late reports as the log does."""
    for record in records:
        if record.late and record.outcome is not None and record.result == "executed":
            outcome = canonical.decode(record.outcome.document.encode(), Outcome)
            if outcome.late != digests:
                raise _invalid("the outcome", f"{record.target} judged by other late reports than the log holds")
