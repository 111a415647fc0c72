"""The evidence file: everything about one request in one canonical JSON document, verified with no server at hand.

- What is trusted is the cluster's configuration alone (cluster.json), which every person's profile holds: it names the
  log's key, each node's key and each person's key. It holds nothing secret.
- Every byte is held to something: the form is canonical, the records to the log's signed checkpoint by their proofs,
  the plan, the snapshot and the configuration to the digests in those records.
- What the records mean is judged as it is in a whole log. It cannot prove that the log holds nothing more about the
  request.
- A plan is computed again by the rules that made it. Where this build does not hold those, that alone is unchecked.

Pure: no I/O, no clock.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar, Literal, TypeVar

import msgspec

from aerodb.audit import findings as part
from aerodb.audit.chain import following, judged_along
from aerodb.audit.checks import rules_of
from aerodb.audit.cosignature import cosigned_by, cosigners, known_keys, only_by
from aerodb.audit.findings import Finding, Meaning, Tally
from aerodb.audit.logged import Logged
from aerodb.audit.proof import ProofInvalid, Proven, make_proof, open_proof, path_in
from aerodb.audit.record import decode_record
from aerodb.audit.trust import Trust
from aerodb.errors import AeroError, EvidenceInvalid
from aerodb.past import held
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster, read_configuration
from aerodb.protocol.envelope import Envelope
from aerodb.protocol.formats import Format, MadeLater

T = TypeVar("T")


class EvidenceRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record's exact text, and its inclusion proof (C2SP tlog-proof)."""

    record: str
    proof: str


class EvidenceOne(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first version of an evidence file, of a cluster whose configuration had version 1 alone."""

    FORMAT: ClassVar[Format] = Format(kind="evidence file", field="version")

    kind: Literal["evidence"] = "evidence"
    version: Literal[1] = 1
    rules: str
    request: str
    configuration: str
    plan: str | None
    snapshot: str | None
    late: str | None
    entries: tuple[EvidenceRecord, ...]


def _lifted(first: EvidenceOne) -> "Evidence":
    """Return an evidence file of version 1 in the words of version 2."""
    said = {name: getattr(first, name) for name in EvidenceOne.__struct_fields__ if name != "version"}
    return Evidence(**said, founding=first.configuration, chain=(), taken=())


class Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request with everything that proves it; a request that was refused unseen has no plan and no snapshot.

    `late` is what the target's peers said after the confirmation, as the order carried it; None where none was sent, or
    where the control plane died before it could record it. `chain` are all later versions of the configuration that the
    control plane knows, `taken` those that the request's target took which another node had made. `founding` is
    version 1, for whoever trusts its digest and has no other copy of it: it counts by its digest alone.
    """

    FORMAT: ClassVar[Format] = Format(
        kind="evidence file", version=2, field="version", earlier=EvidenceOne, lifted=_lifted
    )

    kind: Literal["evidence"] = "evidence"
    version: Literal[2] = 2
    rules: str
    request: str
    configuration: str
    plan: str | None
    snapshot: str | None
    late: str | None
    entries: tuple[EvidenceRecord, ...]
    founding: str
    chain: tuple[Envelope, ...]
    taken: tuple[Envelope, ...]


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence that held: what was verified, in sentences, its sum, and the checkpoint of the log that it is from.

    Where its plan was made by rules that are not held here, `meaning` says so, and it is not whole.
    """

    evidence: Evidence
    proven: Proven
    meaning: Meaning
    sentences: tuple[str, ...]


def examine(data: bytes, trust: Trust) -> Examined:
    """Return what the evidence file `data` proves, under the configurations that are trusted.

    Raises:
        EvidenceInvalid: naming the part that does not hold.
    """
    evidence = _held("the file's form", lambda: canonical.decode(data, Evidence))
    trust = _held(part.CONFIGURATION, lambda: _along(evidence, trust))
    cluster = _configuration(evidence, trust)
    _founded(evidence, trust)
    entries, proven = _records(evidence, cluster)
    _complete(evidence, entries)
    numbers = ", ".join(str(each.sequence) for each in entries)
    said = [
        f"The configuration is {_named_so(trust, cluster)} ({cluster.digest}).",
        f"{len(entries)} records stand in the log of {cluster.name} ({numbers}), proven under one "
        f"checkpoint of {proven.checkpoint.size} records that the log's key signed.",
    ]
    tally = Tally()
    for finding in (*_earlier(trust, entries), *_judged(evidence, trust, entries)):
        other_rules = finding.state == "unchecked" and finding.part == part.RULES_OF_PLAN
        if finding.state in ("fails", "unchecked") and not other_rules:
            raise _invalid(finding.part, f"record {finding.sequence}: {finding.said}")
        tally.add(finding)
        said.append(f"Not checked: the plan was {finding.said}." if other_rules else finding.said)
    _ruled(evidence)
    if evidence.plan is None:
        said.append("The request was refused before a plan was made.")
    return Examined(evidence=evidence, proven=proven, meaning=tally.sum(), sentences=tuple(said))


def founding_in_evidence(data: bytes) -> bytes:
    """Return the text in an evidence file that is said to be version 1 of the configuration; nothing of it is proven.

    Raises:
        EvidenceInvalid: it is no evidence file.
    """
    return _held("the file's form", lambda: canonical.decode(data, Evidence)).founding.encode()


def _along(evidence: Evidence, trust: Trust) -> Trust:
    """Return what is trusted with the versions that the file proves, and where in the log its target took which.

    Raises:
        EnvelopeInvalid: a version is not proven.
    """
    return following(trust, evidence.chain, evidence.taken)


def _named_so(trust: Trust, cluster: Cluster) -> str:
    """Return how a configuration came to be trusted."""
    if cluster.digest in {each.digest for each in trust.clusters}:
        return "the one given here"
    return f"version {cluster.version}, which follows, change by change, from the one given here"


def _earlier(trust: Trust, entries: tuple[Logged, ...]) -> Iterator[Finding]:
    """Yield what a file cannot show whose records name another configuration than the newest that is trusted."""
    for entry in entries:
        if entry.record.configuration != trust.newest.digest:
            why = "made under an earlier configuration than the newest given; that it still counted only a log shows"
            said = f"Record {entry.sequence} was {why}."
            yield Finding(state="noted", part=part.CONFIGURATION, sequence=entry.sequence, said=said, why=why)


def checkpoint_in(data: bytes, vkey: str) -> str:
    """Return the text of the checkpoint that the evidence file `data` stands under; nothing else of it is verified.

    Raises:
        EvidenceInvalid: it is no evidence file, or its first record does not stand in the log with this key.
    """
    evidence = _held("the file's form", lambda: canonical.decode(data, Evidence))
    if not evidence.entries:
        raise _invalid("the proofs", "there are none")
    first = evidence.entries[0]
    return _held("the proofs", lambda: open_proof(first.proof, vkey, first.record.encode())).checkpoint_text


def _judged(evidence: Evidence, trust: Trust, entries: tuple[Logged, ...]) -> Iterator[Finding]:
    """Yield what the judge finds of the records, and what trust in their configurations does."""
    texts = (evidence.configuration, evidence.plan, evidence.snapshot, evidence.late)
    blobs = {canonical.digest(text.encode()): text.encode() for text in texts if text is not None}
    yield from judged_along(trust, entries, blobs.get)
    spans: dict[str, tuple[int, int]] = {}
    for entry in entries:
        first = spans.get(entry.record.configuration, (entry.sequence, entry.sequence))[0]
        spans[entry.record.configuration] = (first, entry.sequence)
    yield from trust.returned(spans)


def _invalid(what: str, why: str) -> EvidenceInvalid:
    return EvidenceInvalid(f"{what}: {why}", field=what)


def _held(what: str, opened: Callable[[], T]) -> T:
    """Return what `opened` gives; whatever it refuses is said to be wrong with `what`."""
    try:
        return opened()
    except (EvidenceInvalid, MadeLater):
        raise
    except (AeroError, UnicodeEncodeError) as error:
        raise _invalid(what, str(error)) from error


def _founded(evidence: Evidence, trust: Trust) -> None:
    """Check that what the file holds as version 1 is one that is trusted outright: nothing in it is left unchecked."""
    digest, given = canonical.digest(evidence.founding.encode()), [each.digest for each in trust.clusters]
    if digest not in given:
        raise _invalid(part.CONFIGURATION, f"the file's version 1 is {digest}; given here is {' or '.join(given)}")


def _configuration(evidence: Evidence, trust: Trust) -> Cluster:
    """Return the trusted configuration that the file was made under."""
    inside = _held(part.CONFIGURATION, lambda: read_configuration(evidence.configuration.encode()))
    found = trust.named(inside.digest)
    if found is None:
        given = " or ".join(each.digest for each in trust.clusters)
        raise _invalid(part.CONFIGURATION, f"the file was made under {inside.digest}; given here is {given}")
    return found


def _records(evidence: Evidence, cluster: Cluster) -> tuple[tuple[Logged, ...], Proven]:
    """Return the records with their proven numbers, rising, and what the last proof showed."""
    entries, checkpoints = list[Logged](), set[str]()
    proven: Proven | None = None
    for at, entry in enumerate(evidence.entries):
        where = f"record {at + 1} of {len(evidence.entries)} or its proof"
        proven = _held(where, lambda entry=entry: _proven(entry, cluster))  # type: ignore[misc]
        record = _held(where, lambda entry=entry: decode_record(entry.record.encode()))  # type: ignore[misc]
        if entries and proven.index <= entries[-1].sequence:
            raise _invalid(where, "it is out of the log's order")
        if record.request != evidence.request:
            raise _invalid(where, "it is of another request")
        entries.append(Logged(sequence=proven.index, text=entry.record, record=record))
        checkpoints.add(proven.checkpoint_text)
    if proven is None or len(checkpoints) != 1:
        raise _invalid("the proofs", f"they rest on {len(checkpoints)} checkpoints, not on one")
    return tuple(entries), proven


def _proven(entry: EvidenceRecord, cluster: Cluster) -> Proven:
    """Return what the entry's proof shows; it must be in the one form that the log gives it."""
    proven = open_proof(entry.proof, cluster.log_key, entry.record.encode())
    cosigned_by(proven.checkpoint_text, cosigners(cluster))
    if only_by(proven.checkpoint_text, known_keys(cluster)) != proven.checkpoint_text:
        raise ProofInvalid("the checkpoint has a signature by nobody whom the configuration names")
    if make_proof(proven.index, path_in(entry.proof), proven.checkpoint_text) != entry.proof:
        raise ProofInvalid("the proof is not in its one form")
    return proven


def _complete(evidence: Evidence, entries: tuple[Logged, ...]) -> None:
    """Check that the file holds what its records name, and nothing that none of them names.

    Where they name more than one plan, the judge says which record lies.
    """
    records = [each.record for each in entries]
    rests = any(record.snapshot for record in records)
    if {evidence.plan is None, evidence.snapshot is None} != {not rests}:
        raise _invalid("the plan and the snapshot", "one of them is missing, or named by no record")
    for what, text, named in (
        (part.PLAN, evidence.plan, {record.plan for record in records}),
        (part.SNAPSHOT, evidence.snapshot, {record.snapshot for record in records}),
        (part.LATE, evidence.late, {record.late for record in records}),
    ):
        _named(what, text, named - {""})


def _ruled(evidence: Evidence) -> None:
    """Check that the file names the rules that its plan names, or, without a plan, any."""
    named = evidence.rules if evidence.plan is None else rules_of(evidence.plan)
    if evidence.rules != named or held.number_of(named) is None:
        raise _invalid(part.RULES_OF_PLAN, f"the file says {evidence.rules!r}; its plan names {named!r}")


def _named(what: str, text: str | None, digests: set[str]) -> None:
    if (text is None) != (not digests):
        raise _invalid(what, "it is missing, or named by no record")
    if text is not None and canonical.digest(text.encode()) not in digests:
        raise _invalid(what, "it is not the one that the log's records name")
