"""A control plane in memory, with the API's real documents, the real rules and a real audit log; and a person.

It is honest unless a test makes it otherwise: `alter` changes an answer on its way, `fail` raises in its place.
"""

import io
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aerodb.actions import action_named
from aerodb.audit.evidence import Evidence, EvidenceRecord
from aerodb.audit.export import export
from aerodb.audit.record import Record, RecordEvent, read_record
from aerodb.audit.search import Query
from aerodb.audit.store import Log, SearchBehind, search
from aerodb.cli.commands import run
from aerodb.cli.profile import Profile
from aerodb.cli.session import Session
from aerodb.cli.terminal import Terminal
from aerodb.control.authenticators import Authenticators
from aerodb.control.comparison import Comparisons
from aerodb.control.meters import Meters
from aerodb.control.record import Recorder
from aerodb.protocol import canonical
from aerodb.protocol.api import (
    Ask,
    Cell,
    Confirm,
    Decision,
    Done,
    Found,
    LogEntry,
    Planned,
    ProvenEntry,
    RequestLine,
    Status,
)
from aerodb.protocol.api import (
    Shown as Checkpoints,
)
from aerodb.protocol.authority import Branch, Position
from aerodb.protocol.cluster import Cluster, Member, Operator, Role
from aerodb.protocol.credentials import Authenticator, Endorse, Endorsed
from aerodb.protocol.credentials import AuthenticatorList as Listed
from aerodb.protocol.envelope import Configurations
from aerodb.protocol.events import Event as Seen
from aerodb.protocol.events import EventPage, Kind
from aerodb.protocol.facts import Facts, Instance, Receiver, Report, Sender, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Outcome, Plan, Request, Result, Snapshot, late_nonce, plan_digest
from aerodb.protocol.signed import Signed, public_text, sign
from aerodb.protocol.sshkey import of_public, parse_line
from aerodb.protocol.sshsig import verify
from aerodb.protocol.timeline import Timeline
from aerodb.rules.explain import explain, failed
from aerodb.rules.invariants import RULES
from aerodb.rules.standing import genesis
from aerodb.rules.writes import writes
from aerodb.transport.errors import Interrupted
from aerodb.transport.problem import problem_bytes, refused_by
from aerodb.views.timeline import entries, ordered, places_in
from tests.unit.protocol.authenticator import ORIGIN, SoftAuthenticator

NODES = ("n1", "n2", "n3")
WITNESS = "w1"
LINEAGE = (Branch(timeline=1, begin=Lsn(0), term=1),)
LOOK = "00000000-0000-4000-8000-000000000000"
STAMP = "2030-01-02T03:04:05Z"


class Screen(io.StringIO):
    """A stream that says whether it is a terminal."""

    terminal = True

    def isatty(self) -> bool:
        """Tell whether this is a terminal."""
        return self.terminal


@dataclass
class Shown:
    """What a run left: the exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def plain(self) -> str:
        """Return what was written to stdout, without colour."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.out)


def key_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as OpenSSH keeps it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def instance(name: str, lsn: Lsn) -> Instance:
    """Return the facts of a healthy PostgreSQL: n1 is the primary, the others stream from it."""
    primary = name == "n1"
    senders = tuple(
        Sender(node=each, state="streaming", sync_state="quorum", sent=lsn, flushed=lsn, replayed=lsn)
        for each in NODES[1:]
    )
    return Instance(
        system="7000000000000000001",
        folder="data",
        version="18.1",
        state=State.RUNNING,
        recovery=not primary,
        position=Position(term=1, bound=1, timeline=1, lsn=lsn),
        lineage=LINEAGE,
        quorum=1,
        attached=None if primary else "n1",
        restores=False,
        receiver=None if primary else Receiver(status="streaming", upstream="127.0.0.1:5432", flushed=lsn),
        replayed=True,
        senders=senders if primary else (),
        drift=(),
        shutdown=None,
        load=None,
        identity=name,
    )


@dataclass
class Stage:
    """A cluster of three nodes and a witness, its control plane, and the operator alice with her profile folder."""

    folder: Path
    keys: dict[str, Ed25519PrivateKey] = field(default_factory=dict)
    own: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    facts: dict[str, Facts] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    sent: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    alter: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    fail: dict[str, BaseException] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    decisions: dict[str, Decision] = field(default_factory=dict)
    result: str = "executed"
    breaks_off: int | None = None
    behind: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the keys, the configuration, the log and the profile folder."""
        self.keys = {name: Ed25519PrivateKey.generate() for name in (*NODES, WITNESS)}
        self.log_key = log_key = Ed25519PrivateKey.generate()
        self.log = Log.create(self.folder / "log", "aerodb.log/cluster-1", log_key)
        self.cluster = Cluster(
            name="orders",
            id="cluster-1",
            members=tuple(self._member(name) for name in self.keys),
            operators=(Operator(name="alice", role=Role.OPERATOR, ssh_key=of_public(self.own.public_key()).line),),
            quorum=1,
            genesis="n1",
            log_key=self.log.verifier_key,
            control="localhost:1",
            web="localhost:7407",
            web_origin=ORIGIN,
        )
        self.person = self.cluster.operators[0]
        meters = Meters(self.log)
        recorder = Recorder(self.log, canonical.encode(self.cluster), meters)
        self.authenticators = Authenticators(recorder)
        self.views = Comparisons(self.cluster, self.log, meters)
        for at, name in enumerate(self.keys):
            self.facts[name] = self._facts(name, Lsn(0x3000000 - 0x100 * at))
        self.profile = self.folder / "operator"
        self.profile.mkdir()
        (self.profile / "profile.json").write_text('{"control": "localhost:1", "operator": "alice"}')
        (self.profile / "cluster.json").write_bytes(canonical.encode(self.cluster))
        (self.profile / "id_ed25519").write_bytes(key_bytes(self.own))

    def _member(self, name: str) -> Member:
        return Member(
            name=name,
            witness=name == WITNESS,
            agent="localhost:2",
            postgres_host="" if name == WITNESS else "localhost",
            postgres_port=0 if name == WITNESS else 5432,
            public_key=public_text(self.keys[name]),
        )

    def _facts(self, name: str, lsn: Lsn) -> Facts:
        return Facts(
            node=name,
            rules=RULES,
            configuration=self.cluster.digest,
            standing=genesis(name, "n1", witness=name == WITNESS, folder="" if name == WITNESS else name),
            instance=None if name == WITNESS else instance(name, lsn),
            unfinished=None,
            entries=0,
            checkpoint="",
        )

    def change(self, name: str, **changes: Any) -> None:
        """Change what PostgreSQL on a node is."""
        before = self.facts[name].instance
        assert before is not None
        self.facts[name] = msgspec.structs.replace(
            self.facts[name], instance=msgspec.structs.replace(before, **changes)
        )

    def register(self, key: SoftAuthenticator) -> Authenticator:
        """Register an authenticator for alice as a browser does."""
        challenge = self.authenticators.begin(self.person).challenge
        return self.authenticators.finish(self.person, key.registers(challenge))

    # A person ---------------------------------------------------------------------------------------------------------

    def run(self, *words: str, typed: str = "", terminal: bool = True) -> Shown:
        """Run one command as alice does; `typed` is what she types."""
        streams = Screen(typed), Screen(), Screen()
        for stream in streams:
            stream.terminal = terminal
        session = Session(terminal=Terminal(*streams), connect=self._connect, folder=self.profile)
        code = run(words, session)
        return Shown(code, streams[1].getvalue(), streams[2].getvalue())

    def _connect(self, profile: Profile, timeout_seconds: float) -> "Stage":
        assert profile.operator == "alice"
        assert timeout_seconds > 0
        return self

    # The control plane's API ------------------------------------------------------------------------------------------

    def get(self, path: str) -> bytes:
        """Answer a GET."""
        return self._answer("GET", path, b"", {})

    def lines(self, path: str) -> Iterator[bytes]:
        """Answer a GET line by line; where the test says so, break off after so many."""
        for at, line in enumerate(self.get(path).splitlines(keepends=True)):
            if at == self.breaks_off:
                raise Interrupted("the answer broke off", executed="not executed")
            yield line

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
        """Answer a POST."""
        return self._answer("POST", path, body, headers or {})

    def posts(self) -> list[str]:
        """Return the paths of the POSTs so far."""
        return [path for method, path, _ in self.sent if method == "POST"]

    def _answer(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        self.sent.append((method, path, headers))
        named = re.sub("/(requests|records|authenticators)/[^/]+", r"/\1/ID", urlsplit(path).path)
        place = f"{method} {named}"
        if place in self.fail:
            raise self.fail[place]
        if self.behind and place in ("GET /v1/requests", "GET /v1/audit/search"):
            raise refused_by(503, problem_bytes(SearchBehind(f"the index covers {self.behind.pop(0)} records")))
        answer = self._route(place, path, body, headers)
        data = answer if isinstance(answer, bytes) else canonical.encode(answer)
        return self.alter[place](data) if place in self.alter else data

    def _route(self, place: str, path: str, body: bytes, headers: dict[str, str]) -> object:
        request = unquote(path.split("/")[3]) if place.count("/") > 2 else ""
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        routes: dict[str, Callable[[], object]] = {
            "POST /v1/requests": lambda: self._ask(headers["Idempotency-Key"], canonical.decode(body, Ask)),
            "POST /v1/requests/ID/confirmation": lambda: self._confirm(request, canonical.decode(body, Confirm)),
            "POST /v1/requests/ID/decline": lambda: self._decline(request),
            "POST /v1/requests/ID/outcome": lambda: self._done(self.decisions[request]),
            "GET /v1/authenticators": lambda: Listed(authenticators=self.authenticators.mine(self.person)),
            "POST /v1/authenticators/ID/endorsement": lambda: self.authenticators.endorse(
                self.person, request, canonical.decode(body, Endorse).signature
            ),
            "POST /v1/endorsements": lambda: self._admit(canonical.decode(body, Endorsed)),
            "GET /v1/requests": lambda: {"requests": [each.line for each in self.decisions.values()], "next": None},
            "GET /v1/requests/ID": lambda: self.decisions[request],
            "GET /v1/requests/ID/evidence": lambda: self.evidence(request),
            "GET /v1/configurations": lambda: Configurations(founding=self.cluster.digest, envelopes=()),
            "GET /v1/status": self._status,
            "GET /v1/explain": lambda: self._explain(query),
            "GET /v1/whoami": lambda: {"operator": "alice", "role": "operator"},
            "GET /v1/audit/records": lambda: {"records": self._entries(range(self.log.size))},
            "GET /v1/audit/search": lambda: self._search(query),
            "GET /v1/audit/records/ID": lambda: self._proven(int(path.split("/")[4])),
            "GET /v1/audit/comparison": lambda: self.views.compare(
                self.person, canonical.decode(urlsafe_b64decode(query["seen"]), Checkpoints)
            ),
            "GET /v1/timeline": self._timeline,
            "GET /v1/audit/export": lambda: b"".join(export(self.log)),
        }
        return routes[place]()

    def _admit(self, endorsed: Endorsed) -> Authenticator:
        return self.authenticators.admit(self.person, endorsed.endorsement, endorsed.signature)

    def _timeline(self) -> Timeline:
        """Return the log's records and what one node saw; another gave nothing."""
        records = [(sequence, read_record(data)) for sequence, data in self.log.records()]
        seen = Seen(
            sequence=1, node="n2", kind=Kind.STATE, subject="", before="running", after="stopped", term=1, lsn=None,
            writing=False, entries=1, at="2030-01-01T00:00:00Z", clock="a clock",
        )  # fmt: skip
        pages = {"n2": EventPage(node="n2", last=1, lost=(), events=(seen,))}
        items = ordered(records, lambda digest: places_in(blob) if (blob := self.log.blob(digest)) else (), pages)
        return Timeline(
            cluster=self.cluster.id,
            cluster_name=self.cluster.name,
            entries=entries(items),
            missing={"n3": "it sleeps"},
            log_size=self.log.size,
        )

    def snapshot(self, nonce: str) -> Snapshot:
        """Return the signed reports of all who report."""
        reports = {
            name: sign(Report(cluster=self.cluster.id, node=name, nonce=nonce, facts=facts), name, self.keys[name])
            for name, facts in self.facts.items()
            if name not in self.missing
        }
        return Snapshot(cluster=self.cluster.id, nonce=nonce, reports=reports, missing=self.missing)

    def _plan(self, request: Request) -> tuple[Plan, str]:
        snapshot = self.snapshot(request.id)
        plan = explain(self.cluster, action_named(request.action), request, snapshot)
        return plan, canonical.encode(snapshot).decode()

    def _ask(self, request_id: str, ask: Ask) -> Planned:
        words = msgspec.structs.asdict(ask)
        plan, snapshot = self._plan(Request(id=request_id, operator="alice", **words))
        text = canonical.encode(plan).decode()
        state = "planned" if plan.accepted else "rejected"
        line = RequestLine(
            request=request_id,
            at=STAMP,
            operator="alice",
            action=ask.action,
            target=ask.target,
            arguments=ask.arguments,
            reason=ask.reason,
            state=state,
            code="",
            plan=plan_digest(text),
        )
        event: RecordEvent = "requested" if plan.accepted else "rejected"
        self._record(event, plan, text, snapshot, invariants=failed(plan.verdicts))
        self.decisions[request_id] = Decision(line=line, plan=text, snapshot=snapshot, records=(), proofs=())
        self._refresh(request_id)
        return Planned(request=request_id, accepted=plan.accepted, plan=text, digest=plan_digest(text))

    def _record(
        self,
        event: RecordEvent,
        plan: Plan,
        text: str,
        snapshot: str,
        blobs: dict[str, bytes] | None = None,
        **fields: Any,
    ) -> int:
        record = Record(
            event=event, at=STAMP, clock="a test's", request=plan.request.id, operator="alice",
            action=plan.request.action, target=plan.request.target, reason=plan.request.reason,
            arguments=plan.request.arguments, configuration=self.cluster.digest, plan=plan_digest(text),
            snapshot="" if event in ("outcome", "declined") else canonical.digest(snapshot.encode()), **fields,
        )  # fmt: skip
        own = {record.plan: text.encode(), record.snapshot: snapshot.encode()} if record.snapshot else {}
        return self.log.append(record, {**own, **(blobs or {})})

    def late(self, record: str, target: str) -> Snapshot:
        """Return what the target's peers say once a confirmation's `record` is in the log."""
        said = self.snapshot(late_nonce(record))
        return msgspec.structs.replace(
            said, reports={name: signed for name, signed in said.reports.items() if name != target}
        )

    def _search(self, query: dict[str, str]) -> Found:
        limit, before = int(query.pop("limit")), query.pop("before", None)
        entries = search(self.log, Query(**query), None if before is None else int(before), limit)
        found = tuple(LogEntry(sequence=sequence, record=data.decode()) for sequence, data in entries)
        return Found(records=found, next=found[-1].sequence if len(found) == limit else None)

    def _proven(self, sequence: int) -> ProvenEntry:
        record = self.log.record(sequence).decode()
        return ProvenEntry(sequence=sequence, record=record, proof=self.log.proof(sequence))

    def _refresh(self, request: str) -> None:
        sequences = self.log.sequences_of(request)
        self.decisions[request] = msgspec.structs.replace(
            self.decisions[request],
            records=self._entries(sequences),
            proofs=self.log.proofs(sequences),
        )

    def _entries(self, sequences: Any) -> tuple[LogEntry, ...]:
        return tuple(LogEntry(sequence=each, record=self.log.record(each).decode()) for each in sequences)

    def _confirm(self, request: str, confirm: Confirm) -> Done:
        decision = self.decisions[request]
        assert decision.plan is not None
        assert decision.snapshot is not None
        verify(confirm.signature, decision.plan.encode(), parse_line(self.cluster.operators[0].ssh_key))
        plan = canonical.decode(decision.plan.encode(), Plan)
        sequence = self._record("confirmed", plan, decision.plan, decision.snapshot, signature=confirm.signature)
        self.executed.append(request)
        late = self.late(self.log.record(sequence).decode(), plan.request.target)
        done, text = self._done(decision, late), canonical.encode(late)
        self._record(
            "outcome", plan, decision.plan, decision.snapshot, {canonical.digest(text): text}, outcome=done.outcome,
            result=done.result, late=canonical.digest(text),
        )  # fmt: skip
        self._refresh(request)
        return done

    def _decline(self, request: str) -> RequestLine:
        decision = self.decisions[request]
        assert decision.plan is not None
        assert decision.snapshot is not None
        self._record("declined", canonical.decode(decision.plan.encode(), Plan), decision.plan, decision.snapshot)
        line = msgspec.structs.replace(decision.line, state="declined")
        self.decisions[request] = msgspec.structs.replace(decision, line=line)
        self._refresh(request)
        return line

    def evidence(self, request: str) -> Evidence:
        """Return the evidence of a request, as the control plane makes it."""
        decision = self.decisions[request]
        return Evidence(
            rules=RULES,
            request=request,
            configuration=canonical.encode(self.cluster).decode(),
            plan=decision.plan,
            snapshot=decision.snapshot,
            late=self._late_text(decision),
            founding=canonical.encode(self.cluster).decode(),
            chain=(),
            taken=(),
            entries=tuple(
                EvidenceRecord(record=entry.record, proof=proof)
                for entry, proof in zip(decision.records, decision.proofs, strict=True)
            ),
        )

    def _late_text(self, decision: Decision) -> str | None:
        named = [read_record(entry.record.encode()).late for entry in decision.records]
        found = [self.log.blob(digest) for digest in named if digest]
        return found[0].decode() if found and found[0] else None

    def outcome(self, decision: Decision, **changes: Any) -> Signed:
        """Return the outcome as the target's agent signs it."""
        line = decision.line
        outcome = Outcome(
            epoch=1,
            cluster=self.cluster.id,
            node=line.target,
            request=line.request,
            plan=plan_digest(decision.plan or ""),
            result=self.result,  # type: ignore[arg-type]
            established=False,
            code="",
            message="",
            evidence=("it is so",),
        )
        return sign(msgspec.structs.replace(outcome, **changes), line.target, self.keys[line.target])

    def _done(self, decision: Decision, late: Snapshot | None = None) -> Done:
        digests = {name: signed.digest for name, signed in late.reports.items()} if late else {}
        signed = self.outcome(decision, late=digests)
        return Done(
            request=decision.line.request,
            result=self.result,  # type: ignore[arg-type]
            outcome=signed,
            sequence=self.log.size - 1,
            code="",
            message="",
        )

    def _explain(self, query: dict[str, str]) -> Planned:
        action, target = query.pop("action"), query.pop("target")
        request = Request(id=LOOK, action=action, target=target, arguments=query, operator="alice", reason="a look")
        text = canonical.encode(plan := self._plan(request)[0]).decode()
        return Planned(request=LOOK, accepted=plan.accepted, plan=text, digest=plan_digest(text))

    def _status(self) -> Status:
        snapshot = self.snapshot(LOOK)
        return Status(
            cluster=self.cluster.id,
            cluster_name="orders",
            configuration=self.cluster.digest,
            consistent=True,
            writes=writes(self.cluster, {name: each for name, each in self.facts.items() if name not in self.missing}),
            snapshot_digest=canonical.digest(canonical.encode(snapshot)),
            snapshot=snapshot,
            matrix=tuple(self._cells()),
            log_size=self.log.size,
            log_writable=True,
        )

    def _cells(self) -> Iterator[Cell]:
        for action in ("stop", "start"):
            for node in set(NODES) - set(self.missing):
                request = Request(id=LOOK, action=action, target=node, arguments={}, operator="alice", reason="a look")
                plan, _ = self._plan(request)
                failed = tuple(each for each in plan.verdicts if each.result is not Result.HOLDS)
                yield Cell(
                    action=action, node=node, arguments={}, accepted=plan.accepted, failed=failed, loss=plan.loss
                )


@contextmanager
def stage_in(folder: Path) -> Iterator[Stage]:
    """Yield a stage; its log is closed afterwards."""
    stage = Stage(folder)
    try:
        yield stage
    finally:
        stage.log.close()
