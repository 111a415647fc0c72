"""Logs that lie: each is sealed, whole and signed by the log's key, and says something that nobody signed.

Whoever holds the log's key can make each of them. None holds the key of an operator or of a node, but where the forgery
says so.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.audit import findings as part
from aerodb.audit.contradictions import Whole
from aerodb.audit.evidence import Evidence, EvidenceRecord
from aerodb.audit.logged import Logged
from aerodb.audit.note import sign_checkpoint
from aerodb.audit.record import Record, RecordEvent, encode_record, read_record
from aerodb.audit.store import Log
from aerodb.audit.tree import EMPTY_ROOT, leaf_hash, root_of
from aerodb.audit.trust import Trust
from aerodb.control.meters import Meters
from aerodb.control.record import Recorder
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.facts import Report
from aerodb.protocol.plan import Outcome, Plan, Request, Result, Snapshot, late_nonce, plan_digest
from aerodb.protocol.signed import Signed, sign
from aerodb.protocol.sshkey import of_public
from aerodb.protocol.sshsig import CREDENTIAL_NAMESPACE, sign_with_key
from aerodb.rules.explain import LOOK_ID, explain
from aerodb.rules.invariants import RULES
from aerodb.rules.late import digests
from tests.unit.cli.stage import Stage, stage_in
from tests.unit.neighbours.endorsed import record_endorsed
from tests.unit.protocol.authenticator import SoftAuthenticator

STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
REQUESTED, CONFIRMED, OUTCOME, REJECTED, ENDORSED, REFUSED, READ, SIGNED_IN, SIGNED_OUT = range(9)
LET_GO, LAPSED, LATER, UNKNOWN, DECLINED, FOUND_OUT, END = 9, 11, 13, 16, 20, 23, 26
"""The numbers of the genuine log's records; from `LET_GO` on it is those where another request begins.

The plan at `LET_GO` was declined by who asked for it, the order at `DECLINED` by its node.
"""

OTHER_ID = "11111111-2222-4333-8444-555555555555"


def later_configuration(cluster: Cluster) -> Cluster:
    """Return a configuration that came after the genuine one: there are an auditor, and somebody who was revoked."""
    key = of_public(STRANGER.public_key()).line
    auditor = Operator(name="carol", role=Role.AUDITOR, ssh_key=key)
    revoked = Operator(name="rita", role=Role.OPERATOR, ssh_key=key, revoked=True)
    return replace(cluster, operators=(*cluster.operators, auditor, revoked))


@dataclass
class Forged:
    """A log's content that may be changed: the records in order, and the blobs."""

    cluster: Cluster
    log_key: Ed25519PrivateKey
    keys: dict[str, Ed25519PrivateKey]
    operator: Ed25519PrivateKey
    records: list[Record]
    blobs: dict[str, bytes] = field(default_factory=dict)

    @property
    def trust(self) -> Trust:
        """Return trust in the genuine configuration, and in one that came after it."""
        return Trust(clusters=(later_configuration(self.cluster), self.cluster))

    def copy(self) -> "Forged":
        """Return the same content, to be changed."""
        return Forged(self.cluster, self.log_key, self.keys, self.operator, list(self.records), dict(self.blobs))

    def change(self, at: int, **changes: Any) -> None:
        """Change one record."""
        self.records[at] = replace(self.records[at], **changes)

    def store(self, data: bytes) -> str:
        """Keep a blob; return its digest."""
        digest = canonical.digest(data)
        self.blobs[digest] = data
        return digest

    def text(self, at: int) -> str:
        """Return one record's exact text."""
        return encode_record(self.records[at]).decode()

    @property
    def whole(self) -> Whole:
        """Return the log as it is at hand as a whole."""
        leaves = [leaf_hash(self.text(at).encode()) for at in range(len(self.records))]
        return Whole(len(leaves), lambda size: root_of(leaves[:size]) if size else EMPTY_ROOT, self.records_of)

    def records_of(self, request: str) -> Iterator[tuple[int, Record]]:
        """Yield the records of a request."""
        return ((at, record) for at, record in enumerate(self.records) if record.request == request)

    def entries(self) -> list[Logged]:
        """Return the records as a log has them."""
        return [Logged(sequence=at, text=self.text(at), record=record) for at, record in enumerate(self.records)]

    def plan(self, at: int = REQUESTED) -> Plan:
        """Return the plan that a record names."""
        return canonical.decode(self.blobs[self.records[at].plan], Plan)

    def snapshot(self, at: int = REQUESTED) -> Snapshot:
        """Return the snapshot that a record names."""
        return canonical.decode(self.blobs[self.records[at].snapshot], Snapshot)

    def outcome_of(self, at: int, **changes: Any) -> Signed:
        """Return what the agent signs of the request of a record, changed."""
        record = self.records[at]
        named = {"node": record.target, "request": record.request, "plan": record.plan}
        return self.outcome(record.target, **{**named, **changes})

    def outcome(self, signer: str = "", key: Ed25519PrivateKey | None = None, **changes: Any) -> Signed:
        """Return the genuine outcome changed, signed anew by its node, or as somebody else would."""
        signed = self.records[OUTCOME].outcome
        assert signed is not None
        outcome = canonical.decode(signed.document.encode(), Outcome)
        name = signer or signed.signer
        return sign(replace(outcome, **changes), name, key or self.keys[name])

    def signature(self, text: str, key: Ed25519PrivateKey | None = None, **more: str) -> str:
        """Return the operator's signature over a text, or another's."""
        return sign_with_key(key or self.operator, text.encode(), **more)

    # A log on disk ----------------------------------------------------------------------------------------------------

    def folder(self, folder: Path) -> Path:
        """Return the folder of a log with this content: closed, sealed, signed by the genuine log's key."""
        with Log.create(folder, self.cluster.origin, self.log_key) as log:
            for record in self.records:
                log.append(record, self.blobs)
        return folder

    def evidence(self, log: Log, request: str) -> bytes:
        """Return the evidence of one request, as a control plane that serves this log makes it."""
        sequences = log.sequences_of(request)
        records = [read_record(log.record(each)) for each in sequences]
        named = {name: next((getattr(each, name) for each in records if getattr(each, name)), "")
                 for name in ("plan", "snapshot", "late")}  # fmt: skip
        plan, snapshot, late = (self.blobs[digest].decode() if digest else None for digest in named.values())
        entries = (EvidenceRecord(record=log.record(each).decode(), proof=log.proof(each)) for each in sequences)
        configuration = canonical.encode(self.cluster).decode()
        return canonical.encode(
            Evidence(
                rules=RULES,
                request=request,
                configuration=configuration,
                entries=tuple(entries),
                plan=plan,
                snapshot=snapshot,
                late=late,
                founding=configuration,
                chain=(),
                taken=(),
            )
        )


def content_of(stage: Stage) -> Forged:
    """Return the content of a stage's log, as it is."""
    records = [read_record(data) for _, data in stage.log.records()]
    return Forged(stage.cluster, stage.log_key, stage.keys, stage.own, records, dict(stage.log.blobs()))


def genuine(folder: Path) -> Forged:
    """Return the content of a log in which everything holds: every kind of record, and more than one request."""
    with stage_in(folder) as stage:
        _lives(stage)
        made = content_of(stage)
    made.store(canonical.encode(made.cluster))
    _ways_to_end(made)
    assert len(made.records) == END
    return made


def _have_seen(stage: Stage, *nodes: str) -> None:
    """Let nodes have seen the log as it is now, as an order would show it to them."""
    for name in nodes:
        stage.has_seen(name, stage.log.checkpoint, stage.log.size)


def _lives(stage: Stage) -> None:
    recorder = Recorder(stage.log, canonical.encode(stage.cluster), Meters(stage.log))
    _have_seen(stage, "n1")
    assert stage.run("stop", "n2", "--reason", "upgrade", typed="n2\n").code == 0
    _have_seen(stage, "n2", "n3")
    earlier = stage.log.checkpoint, stage.log.size
    assert stage.run("start", "n3", "--reason", "too early").code == 1
    pending = stage.register(SoftAuthenticator())
    signature = sign_with_key(stage.own, pending.endorsement.encode(), CREDENTIAL_NAMESPACE)
    record_endorsed(recorder, stage.person, pending.endorsement, signature)
    asked = Request(id=LOOK_ID, action="", target="", arguments={}, operator="mallory", reason="")
    recorder.refused(asked, AeroError("not enrolled"))
    recorder.read("alice", "export", {})
    session = {"session": "1f2e3d4c", "by": "process 7 (browser) of account 1000 on this machine"}
    recorder.signed("alice", "in", session)
    recorder.signed("alice", "out", session, "signed out")
    assert stage.run("stop", "n3", "--reason", "on second thoughts", typed="no\n").code == 1
    assert stage.run("stop", "n3", "--reason", "of yesterday", typed="").code == 1
    planned = read_record(stage.log.record(LAPSED))
    recorder.gone(planned.asked, "lapsed", planned.plan, "its process has ended")
    for reason in ("upgrade too", "of this nothing is known", "this is declined", "this is found out"):
        stage.restore("n3")
        stage.has_seen("n3", *earlier)  # What it is shown from here on is changed below.
        assert stage.run("stop", "n3", "--reason", reason, typed="n3\n").code == 0


def _ways_to_end(log: Forged) -> None:
    """Let three requests end otherwise: unknown and then never come, declined, and found out after a crash."""
    for begin, at in ((UNKNOWN, UNKNOWN + 2), (DECLINED, DECLINED + 2), (FOUND_OUT, FOUND_OUT + 2)):
        if begin == UNKNOWN:
            log.change(at, outcome=None, result="unknown")
            never = log.outcome_of(at - 1, result="not executed", plan="", late={}, established=True)
            ended = replace(log.records[at], event="established", late="", result="not executed", outcome=never)
            log.records.insert(at + 1, ended)
        elif begin == DECLINED:
            log.change(at, result="not executed", outcome=log.outcome_of(at, result="not executed", late={}))
        else:
            log.change(at, event="established", late="")


# The forgeries --------------------------------------------------------------------------------------------------------


class Forgery(NamedTuple):
    """One way to lie: what it is, how it is done, and which finding must name it."""

    name: str
    make: Callable[[Forged], None]
    sequence: int
    part: str
    state: str = "fails"


def _edited_plan(log: Forged, **changes: Any) -> None:
    """Put a plan whose content was changed, and whose digests fit again, in the place of the genuine one."""
    edited = replace(log.plan(), **changes).sealed()
    text = canonical.encode(edited).decode()
    digest = log.store(text.encode())
    log.change(REQUESTED, plan=digest)
    log.change(CONFIRMED, plan=digest, signature=log.signature(text))
    log.change(OUTCOME, plan=digest, outcome=log.outcome(plan=digest))


def _edited_verdicts(log: Forged) -> None:
    first, *rest = log.plan().verdicts
    _edited_plan(log, verdicts=(replace(first, evidence="trust me"), *rest))


def _rejection_accepted(log: Forged) -> None:
    plan = log.plan(REJECTED)
    held = tuple(replace(each, result=Result.HOLDS) for each in plan.verdicts)
    text = canonical.encode(replace(plan, accepted=True, verdicts=held).sealed())
    log.change(REJECTED, event="requested", plan=log.store(text), invariants=())


def _other_snapshot(log: Forged, snapshot: Snapshot) -> None:
    """Put another snapshot in the place of the genuine one; the plan names it, and nobody has signed that plan."""
    digest = log.store(canonical.encode(snapshot))
    text = canonical.encode(replace(log.plan(), snapshot=digest).sealed())
    log.change(REQUESTED, snapshot=digest, plan=log.store(text))
    log.change(CONFIRMED, snapshot=digest, plan=plan_digest(text.decode()))
    log.change(OUTCOME, plan=plan_digest(text.decode()))


def _forged_report(log: Forged) -> None:
    snapshot = log.snapshot()
    report = snapshot.reports["n1"]
    lie = replace(report, document=report.document.replace('"writing":true', '"writing":false') + " ")
    _other_snapshot(log, replace(snapshot, reports={**snapshot.reports, "n1": lie}))


def _stale_reports(log: Forged) -> None:
    _other_snapshot(log, replace(log.snapshot(LATER), nonce=log.records[REQUESTED].request))


def _snapshot_for_another(log: Forged) -> None:
    _other_snapshot(log, replace(log.snapshot(), nonce=OTHER_ID))


def _whole_other_plan(log: Forged) -> None:
    log.change(CONFIRMED, plan=log.records[LATER].plan, snapshot=log.records[LATER].snapshot,
               signature=log.records[LATER + 1].signature)  # fmt: skip


def _confirmed_by_a_stranger(log: Forged) -> None:
    text = log.blobs[log.records[REQUESTED].plan].decode()
    log.change(CONFIRMED, signature=log.signature(text, STRANGER))


def _asked_by_a_stranger(log: Forged) -> None:
    """Record a whole request of somebody who is not enrolled, which they signed themselves."""
    plan = replace(log.plan(), request=replace(log.plan().request, operator="mallory")).sealed()
    text = canonical.encode(plan).decode()
    digest = log.store(text.encode())
    for at in (REQUESTED, CONFIRMED, OUTCOME):
        log.change(at, operator="mallory", plan=digest)
    log.change(CONFIRMED, signature=log.signature(text, STRANGER))


def _late(log: Forged, change: Callable[[dict[str, Signed]], dict[str, Signed]]) -> None:
    said = canonical.decode(log.blobs[log.records[OUTCOME].late], Snapshot)
    log.change(OUTCOME, late=log.store(canonical.encode(replace(said, reports=change(dict(said.reports))))))


def _late_dropped(log: Forged) -> None:
    _late(log, lambda reports: {name: signed for name, signed in reports.items() if name != "n1"})


def _late_added(log: Forged) -> None:
    """Add a report that is genuine and was made late, and by which the target did not judge: its own."""
    own = canonical.decode(log.snapshot().reports["n2"].document.encode(), dict)
    own["nonce"] = late_nonce(log.text(CONFIRMED))
    _late(log, lambda reports: {**reports, "n2": sign(own, "n2", log.keys["n2"])})


def _late_by_another(log: Forged) -> None:
    _late(log, lambda reports: {**reports, "n1": replace(reports["n1"], signature=reports["n3"].signature)})


def _late_of_another(log: Forged) -> None:
    log.change(OUTCOME, late=log.records[LATER + 2].late)


def _second(log: Forged, at: int, after: int = OUTCOME) -> None:
    log.records.insert(after + 1, log.records[at])


def _swapped(log: Forged) -> None:
    log.records[CONFIRMED], log.records[OUTCOME] = log.records[OUTCOME], log.records[CONFIRMED]


def _asked_twice(log: Forged) -> None:
    again = log.plan(LATER).request
    text = canonical.encode(replace(log.plan(LATER), request=replace(again, id=log.records[0].request)).sealed())
    log.records.append(replace(log.records[LATER], request=log.records[0].request, plan=log.store(text)))


def _foreign(log: Forged, **changes: Any) -> None:
    digest = log.store(canonical.encode(replace(log.cluster, **changes)))
    for at in (REQUESTED, CONFIRMED, OUTCOME):
        log.change(at, configuration=digest)


def _endorsed_by(log: Forged, name: str) -> None:
    """Record what somebody signed with the key that is theirs in a configuration that is trusted."""
    text = log.blobs[log.records[ENDORSED].endorsement].decode().replace('"alice"', f'"{name}"')
    later = log.store(canonical.encode(later_configuration(log.cluster)))
    signature = log.signature(text, STRANGER, namespace=CREDENTIAL_NAMESPACE)
    log.change(ENDORSED, operator=name, endorsement=log.store(text.encode()), signature=signature, configuration=later)


def _found_out_before(log: Forged) -> None:
    """Record an outcome, then that it was found out, then an outcome again."""
    again = replace(log.records[OUTCOME], event="established", late="", outcome=log.outcome())
    log.records[OUTCOME + 1 : OUTCOME + 1] = [again, log.records[OUTCOME]]


def _declined_otherwise(log: Forged) -> None:
    lie = log.outcome(result="not executed", late={"n1": "sha256:0"})
    log.change(OUTCOME, result="not executed", outcome=lie)


def _other_rules_edited(log: Forged) -> None:
    """Name other rules, so that nothing is computed again, in a plan whose own digest is another's."""
    text = canonical.encode(replace(log.plan(REJECTED), rules="aerodb-rules/0"))
    log.change(REJECTED, plan=log.store(text))


def _endorsed_by_a_stranger(log: Forged) -> None:
    text = log.blobs[log.records[ENDORSED].endorsement].decode().replace('"alice"', '"mallory"')
    signature = log.signature(text, STRANGER, namespace=CREDENTIAL_NAMESPACE)
    log.change(ENDORSED, operator="mallory", endorsement=log.store(text.encode()), signature=signature)


def _endorsement_of_another(log: Forged) -> None:
    text = log.blobs[log.records[ENDORSED].endorsement].decode()
    log.change(ENDORSED, signature=log.signature(text, STRANGER, namespace=CREDENTIAL_NAMESPACE))


def _other_rules(log: Forged) -> None:
    _edited_plan(log, rules="aerodb-rules/0")


def _renamed(log: Forged, request: str) -> None:
    for at in (REQUESTED, CONFIRMED, OUTCOME):
        log.change(at, request=request)


def _established(log: Forged, **changes: Any) -> None:
    """Add what an agent would have signed afterwards; of a node that lies, or of none."""
    signed = log.outcome(established=True, late={}, **changes)
    log.records.append(replace(log.records[OUTCOME], event="established", late="", outcome=signed,
                               result=changes.get("result", "executed")))  # fmt: skip


def _untimed(log: Forged) -> None:
    log.records[REFUSED] = replace(log.records[REFUSED], at="yesterday")


def _denied_before(log: Forged) -> None:
    _established(log)
    log.change(OUTCOME, outcome=None, result="not executed")


def _denied_after(log: Forged) -> None:
    at = UNKNOWN + 2
    signed = log.outcome_of(at, late={}, established=True)
    ended = replace(log.records[at], event="established", late="", result="executed", outcome=signed)
    log.records[at : at + 2] = [ended, replace(log.records[at], result="not executed")]


def _under_another(log: Forged) -> None:
    log.change(CONFIRMED, configuration=log.store(canonical.encode(later_configuration(log.cluster))))


def _in_another_s_name(log: Forged) -> None:
    log.change(OUTCOME, outcome=log.outcome("n3", node="n3"))


def _then(log: Forged, at: int, event: RecordEvent, **changes: Any) -> None:
    """Add, after everything else, what says of the request of a record that something else became of it."""
    asked, signature = log.records[at], ""
    if event == "confirmed":
        signature = log.signature(log.blobs[asked.plan].decode())
    snapshot = asked.snapshot if event == "confirmed" else ""
    log.records.append(replace(asked, event=event, snapshot=snapshot, signature=signature, invariants=(), **changes))


def _declined_by(log: Forged, name: str) -> None:
    """Record a whole request of somebody's under the later configuration, and that they declined it."""
    cluster, asked = later_configuration(log.cluster), replace(log.plan(LET_GO).request, operator=name)
    reports = {}
    for node, signed in log.snapshot(LET_GO).reports.items():
        report = canonical.decode(signed.document.encode(), Report)
        taken = replace(report, facts=replace(report.facts, configuration=cluster.digest))
        reports[node] = sign(taken, node, log.keys[node])
    snapshot = replace(log.snapshot(LET_GO), reports=reports)
    plan = log.store(canonical.encode(explain(cluster, action_named(asked.action), asked, snapshot)))
    later = log.store(canonical.encode(cluster))
    log.change(LET_GO, operator=name, configuration=later, plan=plan, snapshot=log.store(canonical.encode(snapshot)))
    log.change(LET_GO + 1, operator=name, configuration=later, plan=plan)


def _declined_alone(log: Forged) -> None:
    log.change(LET_GO + 1, plan="")
    del log.records[LET_GO]


def _signed_by(log: Forged, name: str) -> None:
    """Record that somebody in a configuration that is trusted signed in and out."""
    later = log.store(canonical.encode(later_configuration(log.cluster)))
    for at in (SIGNED_IN, SIGNED_OUT):
        log.change(at, operator=name, configuration=later)


def _signed_out_of_another(log: Forged) -> None:
    """Record that somebody else signed out of a person's session."""
    later = log.store(canonical.encode(later_configuration(log.cluster)))
    log.change(SIGNED_OUT, operator="carol", configuration=later)


FORGERIES = (
    Forgery("a confirmation of what was declined", lambda log: _then(log, LET_GO, "confirmed"), END, part.ORDER),
    Forgery("a confirmation of what had lapsed", lambda log: _then(log, LAPSED, "confirmed"), END, part.ORDER),
    Forgery("an outcome of what was declined", lambda log: _then(log, LET_GO, "outcome", result="unknown"), END,
            part.ORDER),
    Forgery("a second decline", lambda log: _second(log, LET_GO + 1, LET_GO + 1), LET_GO + 2, part.ORDER),
    Forgery("a lapse of what was declined", lambda log: _then(log, LET_GO, "lapsed"), END, part.ORDER),
    Forgery("a decline of what had lapsed", lambda log: _then(log, LAPSED, "declined"), END, part.ORDER),
    Forgery("a decline of what was confirmed", lambda log: _then(log, REQUESTED, "declined"), END, part.ORDER),
    Forgery("a lapse of what was confirmed", lambda log: _then(log, REQUESTED, "lapsed"), END, part.ORDER),
    Forgery("a declined rejection", lambda log: _then(log, REJECTED, "declined"), END, part.ORDER),
    Forgery("a decline of nothing", _declined_alone, LET_GO, part.ORDER),
    Forgery("a decline of another plan", lambda log: log.change(LET_GO + 1, plan=log.records[LATER].plan), LET_GO + 1,
            part.PLAN),
    Forgery("a lapse of another plan", lambda log: log.change(LAPSED + 1, plan=log.records[LATER].plan), LAPSED + 1,
            part.PLAN),
    Forgery("a decline by somebody else than who asked", lambda log: log.change(LET_GO + 1, operator="mallory"),
            LET_GO + 1, part.REQUEST_ID),
    Forgery("a decline by an unenrolled name", lambda log: _declined_by(log, "mallory"), LET_GO + 1, part.PERSON),
    Forgery("a decline by an auditor", lambda log: _declined_by(log, "carol"), LET_GO + 1, part.PERSON),
    Forgery("a decline by one who is revoked", lambda log: _declined_by(log, "rita"), LET_GO + 1, part.PERSON),
    Forgery("a decline under another configuration", lambda log: log.change(LET_GO + 1, configuration=log.store(
        canonical.encode(later_configuration(log.cluster)))), LET_GO + 1, part.CONFIGURATION),
    Forgery("a decline that is signed", lambda log: log.change(LET_GO + 1, signature="x"), LET_GO + 1, part.FORM),
    Forgery("a decline of no request", lambda log: log.change(LET_GO + 1, request=""), LET_GO + 1, part.REQUEST_ID),
    Forgery("a sign-in by an unenrolled name", lambda log: _signed_by(log, "mallory"), SIGNED_IN, part.PERSON),
    Forgery("a sign-out by one who is revoked", lambda log: _signed_by(log, "rita"), SIGNED_OUT, part.PERSON),
    Forgery("a sign-out of a session that never began", lambda log: log.records.__delitem__(SIGNED_IN), SIGNED_IN,
            part.ORDER),
    Forgery("a second sign-out", lambda log: _second(log, SIGNED_OUT, SIGNED_OUT), SIGNED_OUT + 1, part.ORDER),
    Forgery("a sign-out of another's session", _signed_out_of_another, SIGNED_OUT, part.ORDER),
    Forgery("a sign-out by another program's session", lambda log: log.change(SIGNED_OUT, arguments={
        "session": "1f2e3d4c", "by": "another machine"}), SIGNED_OUT, part.ORDER),
    Forgery("a sign-in under a request", lambda log: log.change(SIGNED_IN, request=OTHER_ID), SIGNED_IN, part.ORDER),
    Forgery("a sign-in with a result", lambda log: log.change(SIGNED_IN, result="executed"), SIGNED_IN, part.FORM),
    Forgery("a confirmation of nonsense", lambda log: log.change(CONFIRMED, signature="nonsense"),
            CONFIRMED, part.CONFIRMATION),
    Forgery("a confirmation by a stranger's key", _confirmed_by_a_stranger, CONFIRMED, part.CONFIRMATION),
    Forgery("a confirmation of another's plan", _whole_other_plan, CONFIRMED, part.CONFIRMATION),
    Forgery("a confirmation by an unenrolled name", _asked_by_a_stranger, CONFIRMED, part.CONFIRMATION),
    Forgery("a touch that was none", lambda log: log.change(CONFIRMED, touch=True), CONFIRMED, part.CONFIRMATION),
    Forgery("an executed that no agent signed", lambda log: log.change(OUTCOME, outcome=None), OUTCOME, part.OUTCOME),
    Forgery("a result that is none", lambda log: log.change(OUTCOME, outcome=None, result="done"),
            OUTCOME, part.OUTCOME),
    Forgery("an outcome by a stranger's key", lambda log: log.change(OUTCOME, outcome=log.outcome("n2", STRANGER)),
            OUTCOME, part.OUTCOME),
    Forgery("an outcome by another node's key", lambda log: log.change(OUTCOME, outcome=log.outcome(
        "n2", log.keys["n3"])), OUTCOME, part.OUTCOME),
    Forgery("an outcome in another node's name", _in_another_s_name, OUTCOME, part.OUTCOME),
    Forgery("an outcome of another cluster", lambda log: log.change(OUTCOME, outcome=log.outcome(cluster="x")),
            OUTCOME, part.OUTCOME),
    Forgery("an outcome that speaks for another node", lambda log: log.change(OUTCOME, outcome=log.outcome(node="n3")),
            OUTCOME, part.OUTCOME),
    Forgery("an outcome under another signer's name", lambda log: log.change(OUTCOME, outcome=log.outcome(
        "n3", log.keys["n2"])), OUTCOME, part.OUTCOME),
    Forgery("an outcome of another request", lambda log: log.change(OUTCOME, outcome=log.outcome(request=OTHER_ID)),
            OUTCOME, part.OUTCOME),
    Forgery("an outcome of another plan", lambda log: log.change(OUTCOME, outcome=log.outcome(
        plan=log.records[LATER].plan)), OUTCOME, part.OUTCOME),
    Forgery("an outcome of no plan", lambda log: log.change(OUTCOME, outcome=log.outcome(plan="")),
            OUTCOME, part.OUTCOME),
    Forgery("a record of another plan than its outcome", lambda log: log.change(
        OUTCOME, plan=log.records[LATER].plan, outcome=log.outcome(plan=log.records[LATER].plan)),
        OUTCOME, part.OUTCOME),
    Forgery("a result that the agent did not sign", lambda log: log.change(OUTCOME, result="not executed"),
            OUTCOME, part.OUTCOME),
    Forgery("a message that the agent did not sign", lambda log: log.change(OUTCOME, message="all is well"),
            OUTCOME, part.OUTCOME),
    Forgery("a code that the agent did not sign", lambda log: log.change(OUTCOME, code="kernel.well"),
            OUTCOME, part.OUTCOME),
    Forgery("an outcome that is taken back", lambda log: _established(log, result="not executed"), END,
            part.OUTCOME),
    Forgery("an outcome found out afterwards, by nobody", lambda log: log.records.append(replace(
        log.records[OUTCOME], event="established", late="", outcome=None, result="not executed")), END,
        part.OUTCOME),
    Forgery("that nothing happened, found out afterwards by nobody", lambda log: log.change(UNKNOWN + 3, outcome=None),
            UNKNOWN + 3, part.OUTCOME),
    Forgery("a denial before what the agent signed", _denied_before, END, part.OUTCOME),
    Forgery("a denial after what the agent signed", _denied_after, UNKNOWN + 3, part.OUTCOME),
    Forgery("an endorsement by an unenrolled name", _endorsed_by_a_stranger, ENDORSED, part.ENDORSEMENT),
    Forgery("an endorsement by a stranger's key", _endorsement_of_another, ENDORSED, part.ENDORSEMENT),
    Forgery("an endorsement with a touch that was none", lambda log: log.change(ENDORSED, touch=True), ENDORSED,
            part.ENDORSEMENT),
    Forgery("an endorsement by an auditor", lambda log: _endorsed_by(log, "carol"), ENDORSED, part.ENDORSEMENT),
    Forgery("an endorsement by one who is revoked", lambda log: _endorsed_by(log, "rita"), ENDORSED, part.ENDORSEMENT),
    Forgery("an endorsement under a request", lambda log: log.change(ENDORSED, request=OTHER_ID), ENDORSED,
            part.ORDER),
    Forgery("a plan whose verdicts were edited", _edited_verdicts, REQUESTED, part.PLAN),
    Forgery("a plan whose digest is another's", lambda log: log.change(REQUESTED, plan=log.store(canonical.encode(
        replace(log.plan(), digest="sha256:0")))), REQUESTED, part.PLAN),
    Forgery("a plan that is none", lambda log: log.change(REQUESTED, plan=log.store(b"{}")), REQUESTED, part.PLAN),
    Forgery("no plan", lambda log: log.change(REQUESTED, plan=""), REQUESTED, part.PLAN),
    Forgery("a rejection that was accepted", _rejection_accepted, REJECTED, part.PLAN),
    Forgery("a rejection recorded as a request", lambda log: log.change(REJECTED, event="requested"), REJECTED,
            part.PLAN),
    Forgery("invariants that did not fail", lambda log: log.change(REJECTED, invariants=("wal-prefix",)), REJECTED,
            part.PLAN),
    Forgery("another reason than the plan's", lambda log: log.change(REJECTED, reason="no reason"), REJECTED,
            part.PLAN),
    Forgery("a report that its node did not sign", _forged_report, REQUESTED, part.SNAPSHOT),
    Forgery("reports that were made for another request", _stale_reports, REQUESTED, part.SNAPSHOT),
    Forgery("a snapshot for another request", _snapshot_for_another, REQUESTED, part.SNAPSHOT),
    Forgery("a snapshot of another cluster", lambda log: _other_snapshot(log, replace(log.snapshot(), cluster="x")),
            REQUESTED, part.SNAPSHOT),
    Forgery("no snapshot", lambda log: log.change(REQUESTED, snapshot=""), REQUESTED, part.SNAPSHOT),
    Forgery("a request that says executed", lambda log: log.change(REQUESTED, result="executed"), REQUESTED, part.FORM),
    Forgery("an endorsement with a target", lambda log: log.change(ENDORSED, target="n1"), ENDORSED, part.FORM),
    Forgery("an unknown outcome without late reports", lambda log: log.change(UNKNOWN + 2, late=""), UNKNOWN + 2,
            part.LATE),
    Forgery("a second confirmation", lambda log: _second(log, CONFIRMED, CONFIRMED), CONFIRMED + 1, part.ORDER),
    Forgery("a confirmation after the outcome", lambda log: _second(log, CONFIRMED), OUTCOME + 1, part.ORDER),
    Forgery("a second outcome", lambda log: _second(log, OUTCOME), OUTCOME + 1, part.ORDER),
    Forgery("an outcome after it was found out", _found_out_before, OUTCOME + 2, part.ORDER),
    Forgery("a request in the same words", lambda log: _second(log, REQUESTED), OUTCOME + 1, part.REQUEST_ID),
    Forgery("an outcome before its confirmation", _swapped, CONFIRMED, part.ORDER),
    Forgery("a confirmation of nothing", lambda log: log.records.__delitem__(REQUESTED), 0, part.ORDER),
    Forgery("a confirmed rejection", lambda log: log.records.append(replace(
        log.records[REJECTED], event="confirmed", signature=log.signature(
            log.blobs[log.records[REJECTED].plan].decode()), invariants=())), END, part.ORDER),
    Forgery("an id that is used twice", _asked_twice, END, part.REQUEST_ID),
    Forgery("an id that is none", lambda log: _renamed(log, "r1"), REQUESTED, part.REQUEST_ID),
    Forgery("a time that is none", _untimed, REFUSED, part.FORM),
    Forgery("an id above all ids", lambda log: _renamed(log, "\U0010ffff"), REQUESTED, part.REQUEST_ID),
    Forgery("the id of a look", lambda log: _renamed(log, LOOK_ID), REQUESTED, part.REQUEST_ID),
    Forgery("no id", lambda log: _renamed(log, ""), REQUESTED, part.REQUEST_ID),
    Forgery("a confirmation of other words", lambda log: log.change(CONFIRMED, reason="another"), CONFIRMED,
            part.REQUEST_ID),
    Forgery("a configuration of another cluster", lambda log: _foreign(log, id="x"), REQUESTED, part.CONFIGURATION),
    Forgery("a configuration with another log", lambda log: _foreign(log, log_key="x"), REQUESTED, part.CONFIGURATION),
    Forgery("a configuration that is none", lambda log: log.change(REFUSED, configuration=log.store(b"{}")), REFUSED,
            part.CONFIGURATION),
    Forgery("a configuration that is not trusted", lambda log: _foreign(log, quorum=0), REQUESTED, part.CONFIGURATION,
            "unchecked"),
    Forgery("a configuration that is not at hand", lambda log: log.change(REFUSED, configuration="sha256:0"), REFUSED,
            part.CONFIGURATION, "unchecked"),
    Forgery("no configuration", lambda log: log.change(REFUSED, configuration=""), REFUSED, part.CONFIGURATION,
            "unchecked"),
    Forgery("a confirmation under another configuration", _under_another, CONFIRMED,
            part.CONFIRMATION),
    Forgery("a plan by other rules", _other_rules, REQUESTED, part.RULES_OF_PLAN, "unchecked"),
    Forgery("a plan by other rules that is not whole", _other_rules_edited, REJECTED, part.PLAN),
    Forgery("late reports that a refusal did not see", _declined_otherwise, OUTCOME, part.OUTCOME),
    Forgery("a late report dropped", _late_dropped, OUTCOME, part.OUTCOME),
    Forgery("a late report added", _late_added, OUTCOME, part.OUTCOME),
    Forgery("a late report by another", _late_by_another, OUTCOME, part.LATE),
    Forgery("the late reports of another confirmation", _late_of_another, OUTCOME, part.LATE),
    Forgery("no late reports", lambda log: log.change(OUTCOME, late=""), OUTCOME, part.LATE),
    Forgery("late reports that the outcome does not name", lambda log: log.change(OUTCOME, outcome=log.outcome(
        late={})), OUTCOME, part.OUTCOME),
)  # fmt: skip
"""Every lie; the first finding that names it is of this record and this part."""


# What nodes had seen --------------------------------------------------------------------------------------------------


def _another(log: Forged, size: int) -> str:
    """Return the checkpoint of another log of so many records, by the same key."""
    return sign_checkpoint(log.cluster.origin, size, bytes(range(32)), log.log_key)


def _reporting(log: Forged, reports: dict[str, Signed], node: str, checkpoint: str) -> dict[str, Signed]:
    """Return reports of which one is by a node that had seen another checkpoint: its own key signs that."""
    report = canonical.decode(reports[node].document.encode(), Report)
    said = replace(report, facts=replace(report.facts, checkpoint=checkpoint))
    return {**reports, node: sign(said, node, log.keys[node])}


def had_seen(log: Forged, node: str, checkpoint: str) -> None:
    """Let a node have seen this when it reported for the plan that was declined; the plan is made from that."""
    snapshot = log.snapshot(LET_GO)
    snapshot = replace(snapshot, reports=_reporting(log, snapshot.reports, node, checkpoint))
    request = log.plan(LET_GO).request
    plan = log.store(canonical.encode(explain(log.cluster, action_named(request.action), request, snapshot)))
    log.change(LET_GO, plan=plan, snapshot=log.store(canonical.encode(snapshot)))
    log.change(LET_GO + 1, plan=plan)


def _had_seen_late(log: Forged, node: str, checkpoint: str) -> None:
    """Let a node have seen this when it reported after the confirmation; the target judged by that."""
    said = canonical.decode(log.blobs[log.records[OUTCOME].late], Snapshot)
    reports = _reporting(log, said.reports, node, checkpoint)
    late = log.store(canonical.encode(replace(said, reports=reports)))
    log.change(OUTCOME, late=late, outcome=log.outcome(late=digests(reports)))


CONTRADICTED = (
    Forgery("a node that was shown another log", lambda log: had_seen(log, "n1", _another(log, 3)), LET_GO, part.SEEN,
            "another"),
    Forgery("a witness that was shown another log", lambda log: had_seen(log, "w1", _another(log, 1)), LET_GO,
            part.SEEN, "another"),
    Forgery("the target that was shown another log", lambda log: had_seen(log, "n3", _another(log, LET_GO)), LET_GO,
            part.SEEN, "another"),
    Forgery("a node that was shown another log that was longer", lambda log: had_seen(
        log, "n2", _another(log, LET_GO + 1)), LET_GO, part.SEEN, "another"),
    Forgery("a node that had seen more than there is", lambda log: had_seen(log, "n2", _another(log, END + 1)), LET_GO,
            part.SEEN, "behind"),
    Forgery("a node that was shown another log, said late", lambda log: _had_seen_late(log, "n1", _another(log, 2)),
            OUTCOME, part.SEEN, "another"),
    Forgery("a node that had seen more than there is, said late", lambda log: _had_seen_late(
        log, "n3", _another(log, END + 9)), OUTCOME, part.SEEN, "behind"),
)  # fmt: skip
"""Logs in which everything is signed and replays, and by whose own reports a node had seen another log; the state says
how the log stands to that."""
