"""People, and an impostor: callers of the real services over real mutual TLS, quicker than a terminal."""

import base64
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from aerodb.audit.chain import verified_chain
from aerodb.audit.note import stated_size
from aerodb.audit.proof import make_proof
from aerodb.audit.tree import consistency_path, hashes_of, inclusion_path, leaf_hash
from aerodb.control.errors import SnapshotInconsistent
from aerodb.errors import AeroError
from aerodb.local.layout import Layout
from aerodb.past.speaking import SPOKEN, stated
from aerodb.protocol import canonical
from aerodb.protocol.ahead import AFTER, read_earlier
from aerodb.protocol.api import Ask, Confirm, Decision, Done, Planned, Status
from aerodb.protocol.chain import Chain, step_of
from aerodb.protocol.change import Change, step_text
from aerodb.protocol.credentials import Authenticator, AuthenticatorList, CreationOptions, Register
from aerodb.protocol.envelope import Configurations
from aerodb.protocol.facts import Facts, Report
from aerodb.protocol.plan import Confirmation, Extent, Order, Outcome, Snapshot, Trigger, late_nonce, plan_in
from aerodb.protocol.signed import Signed
from aerodb.protocol.sshsig import PrivateKey, sign_with_key
from aerodb.transport.client import Client
from aerodb.transport.errors import Refused
from aerodb.transport.tls import tls_in
from aerodb.views.observed import observe, primary_of
from tests.unit.protocol.authenticator import SoftAuthenticator, bare_assertion, enrolling

REASON = "a test"
UNCONFIRMED = canonical.encode(Confirmation(plan="", signature=""))
"""What is shown to a node by whoever asks for an outcome and has no confirmation."""


def new_id() -> str:
    """Return an id that was never used."""
    return str(uuid.uuid4())


def operator_key(layout: Layout) -> PrivateKey:
    """Return the operator's own key."""
    key = load_ssh_private_key((layout.profile("operator") / "id_ed25519").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


class Api:
    """One person, as the control plane's API sees them."""

    def __init__(self, layout: Layout, person: str = "operator") -> None:
        """Call as `person`, with their own certificate."""
        self.layout = layout
        self.client = Client(layout.cluster().control, tls_in(layout.profile(person)), "control", 90)

    def ask(
        self, action: str, target: str, request: str | None = None, reason: str = REASON, **arguments: str
    ) -> Planned:
        """Ask for an action; return its plan. Where the cluster changed while it was looked at, ask anew, as told."""
        named = {name.rstrip("_"): value for name, value in arguments.items()}
        body = canonical.encode(Ask(action=action, target=target, arguments=named, reason=reason))
        if request is not None:
            return canonical.decode(self.client.post("/v1/requests", body, {"Idempotency-Key": request}), Planned)
        return canonical.decode(self.asked(body)[1], Planned)

    def asked(self, body: bytes, named: Mapping[str, str] = MappingProxyType({})) -> tuple[str, bytes]:
        """Ask with this body, under a new id each time that the cluster changed while it was looked at.

        Return the id, and the answer as it came.
        """
        while True:
            request = new_id()
            try:
                return request, self.client.post("/v1/requests", body, {"Idempotency-Key": request, **named})
            except Refused as error:
                if error.code != SnapshotInconsistent.code:
                    raise

    def confirm(self, planned: Planned, signature: str | None = None) -> Done:
        """Confirm a plan, by the operator's own signature unless another is given."""
        signed = signature if signature is not None else sign_with_key(operator_key(self.layout), planned.plan.encode())
        path = f"/v1/requests/{planned.request}/confirmation"
        return canonical.decode(self.client.post(path, canonical.encode(Confirm(signature=signed))), Done)

    def do(self, action: str, target: str, **arguments: str) -> Done:
        """Ask and confirm; the action must be executed."""
        planned = self.ask(action, target, **arguments)
        assert planned.accepted, planned.plan
        done = self.confirm(planned)
        assert done.result == "executed", done
        return done

    def register(self, authenticator: SoftAuthenticator) -> Authenticator:
        """Register an authenticator as a browser would; it then awaits its enrolment."""
        answer = self.client.post("/v1/authenticators/registration", b"{}")
        challenge = canonical.decode(answer, CreationOptions).challenge
        response = authenticator.registers(challenge, self.layout.cluster().web_origin)
        body = canonical.encode(Register(response=response))
        return canonical.decode(self.client.post("/v1/authenticators", body), Authenticator)

    def authenticators(self) -> tuple[Authenticator, ...]:
        """Return everybody's authenticators."""
        return canonical.decode(self.client.get("/v1/authenticators"), AuthenticatorList).authenticators

    def chain(self) -> Chain:
        """Return the chain of configurations, verified from version 1 on."""
        answer = canonical.decode(self.client.get("/v1/configurations"), Configurations)
        return verified_chain(self.layout.cluster(), answer.envelopes)

    def configure(self, change: Change) -> None:
        """Have the granted primary make a version by a change, and every other node take it."""
        observed = observe(self.layout.cluster(), self.status())
        primary = primary_of(observed)
        assert primary is not None
        step = step_text(step_of(self.chain().newest, change))
        for node in (primary.node, *(name for name in observed.facts if name != primary.node)):
            self.do("configure", node, change=step)

    def enrol(self, authenticator: SoftAuthenticator) -> Authenticator:
        """Register an authenticator and have every node enrol it."""
        pending = self.register(authenticator)
        self.configure(enrolling(authenticator, pending.operator))
        return next(each for each in self.authenticators() if each.credential == pending.credential)

    def confirm_by(self, authenticator: SoftAuthenticator, planned: Planned) -> Done:
        """Confirm a plan by an enrolled authenticator, as a browser would."""
        return self.confirm(planned, self.assertion(authenticator, planned))

    def assertion(self, authenticator: SoftAuthenticator, planned: Planned) -> str:
        """Return the confirmation of a plan by an enrolled authenticator."""
        return bare_assertion(authenticator.confirms(planned.plan.encode(), self.layout.cluster().web_origin))

    def outcome(self, request: str) -> Done:
        """Ask what became of a request."""
        return canonical.decode(self.client.post(f"/v1/requests/{request}/outcome", b"{}"), Done)

    def status(self) -> Status:
        """Look."""
        return canonical.decode(self.client.get("/v1/status"), Status)

    def decision(self, request: str) -> Decision:
        """Return what the log holds of a request."""
        return canonical.decode(self.client.get(f"/v1/requests/{request}"), Decision)

    def events(self, request: str) -> list[str]:
        """Return the events of a request's records, in the log's order."""
        return [msgspec.json.decode(entry.record)["event"] for entry in self.decision(request).records]

    def codes(self, request: str) -> list[str]:
        """Return the error codes of a request's records."""
        return [msgspec.json.decode(entry.record)["code"] for entry in self.decision(request).records]


class Impostor:
    """Whoever holds the control plane's own keys, and speaks to the agents without it."""

    def __init__(self, layout: Layout) -> None:
        """Take the control plane's certificate."""
        self.layout = layout
        self.cluster = layout.cluster()

    def agent(self, node: str, folder: Path | None = None) -> Client:
        """Return a caller of one agent, with the control plane's certificate or another's."""
        tls = tls_in(folder or self.layout.control)
        return Client(self.cluster.member(node).agent, tls, node, 90)

    def report(self, node: str, nonce: str) -> Signed:
        """Return a node's genuine report, in the rules that this build speaks."""
        path = f"/v1/report?nonce={nonce}&rules={stated(SPOKEN)}"
        return canonical.decode(self.agent(node).get(path), Signed)

    def reports(self, nodes: Iterable[str], nonce: str) -> dict[str, Signed]:
        """Return the reports of those that give one."""
        found = {}
        for node in nodes:
            with suppress(AeroError):
                found[node] = self.report(node, nonce)
        return found

    def facts(self, node: str) -> Facts:
        """Return a node's facts."""
        return canonical.decode(self.report(node, new_id()).document.encode(), Report).facts

    def seen(self, node: str, within: int | None = None) -> int:
        """Return how many records the log had under the newest checkpoint that a node says it has seen.

        Where `within` is given: under the newest of at most so many records.
        """
        if within is not None:
            return canonical.decode(self.agent(node).get(f"/v1/checkpoint?within={within}"), Extent).size
        return stated_size(self.facts(node).checkpoint)

    def run(self, node: str, order: Order) -> Outcome:
        """Send an order; return the outcome that the agent signed."""
        signed = canonical.decode(self.agent(node).post("/v1/orders", canonical.encode(order)), Signed)
        return canonical.decode(signed.document.encode(), Outcome)


class Published:
    """The log as anyone may read it from an export, and every proof computed from it here."""

    def __init__(self, api: Api) -> None:
        """Read the export."""
        lines = [msgspec.json.decode(line) for line in api.client.get("/v1/audit/export").splitlines()]
        self.checkpoint: str = lines[0]["checkpoint"]
        self.records = [line["record"].encode() for line in lines if "record" in line]
        self._hash_of = hashes_of([leaf_hash(record) for record in self.records])

    def proof(self, sequence: int) -> str:
        """Return a record's inclusion proof."""
        return make_proof(sequence, inclusion_path(self._hash_of, sequence, len(self.records)), self.checkpoint)

    def consistency(self, seen: int) -> tuple[str, ...]:
        """Return the path from a size that was seen before."""
        path = consistency_path(self._hash_of, seen, len(self.records))
        return tuple(base64.b64encode(each).decode() for each in path)


def order_of(api: Api, request: str, seen: int) -> Order:
    """Return the genuine order of a confirmed request, from what is published."""
    decision, published = api.decision(request), Published(api)
    confirmed = next(entry for entry in decision.records if msgspec.json.decode(entry.record)["event"] == "confirmed")
    assert decision.plan is not None
    assert decision.snapshot is not None
    snapshot = canonical.decode(decision.snapshot.encode(), Snapshot)
    names = plan_in(decision.plan).reports
    return Order(
        plan=decision.plan,
        signature=msgspec.json.decode(confirmed.record)["signature"],
        record=confirmed.record,
        proof=published.proof(confirmed.sequence),
        consistency=published.consistency(seen),
        reports={name: signed for name, signed in snapshot.reports.items() if name in names},
        late=Impostor(api.layout).reports(names, late_nonce(confirmed.record)),
    )


def trigger_of(api: Api, request: str, seen: int) -> Trigger:
    """Return what genuinely has a held order run, whose turn has come, from what is published."""
    decision, published = api.decision(request), Published(api)
    assert decision.plan is not None
    plan = plan_in(decision.plan)
    turn = next(entry for entry in decision.records if msgspec.json.decode(entry.record)["event"] == "triggered")
    before = api.decision(read_earlier(plan.request.arguments[AFTER]).request).plan
    assert before is not None
    return Trigger(
        request=request,
        plan=before,
        record=turn.record,
        proof=published.proof(turn.sequence),
        consistency=published.consistency(seen),
        late=Impostor(api.layout).reports(plan.reports, late_nonce(turn.record)),
    )
