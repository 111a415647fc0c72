"""Bad input, wrong people, signatures and proofs: each refused with its own code, recorded, nothing executed."""

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.audit.note import sign_checkpoint
from aerodb.audit.proof import make_proof
from aerodb.audit.tree import leaf_hash
from aerodb.errors import AeroError
from aerodb.protocol import canonical, sshsig
from aerodb.protocol.api import Planned
from aerodb.protocol.plan import Order, Plan
from aerodb.protocol.signed import sign
from aerodb.transport.client import Client
from aerodb.transport.errors import Refused
from aerodb.transport.tls import tls_in
from tests.faults.behind import serves
from tests.faults.conftest import Running
from tests.faults.people import Api, new_id, operator_key, order_of
from tests.faults.waiting import wait_until

NODES = ("n1", "n2", "n3")


@pytest.fixture(autouse=True)
def nothing_executed(shared: Running) -> Iterator[None]:
    """Show that no refusal here leaves a trace on any node: standing, journal and PostgreSQL stay as they were."""
    before = {name: _lasting(shared, name) for name in NODES}
    yield
    assert {name: _lasting(shared, name) for name in NODES} == before


def _lasting(shared: Running, node: str) -> tuple[object, ...]:
    """Return what an execution would have changed."""
    facts = shared.impostor.facts(node)
    assert facts.instance is not None
    return facts.standing, facts.unfinished, facts.instance.state, facts.instance.attached, facts.instance.folder


def refused(error: pytest.ExceptionInfo[Refused]) -> str:
    """Return the code of a refusal that says that nothing was executed."""
    assert error.value.executed == "not executed"
    return error.value.code


@pytest.mark.parametrize(
    ("action", "target", "arguments", "code", "field"),
    [
        ("fly", "n1", {}, "input.action-unknown", "action"),
        ("stop", "n9", {}, "input.node-unknown", "node"),
        ("fence", "n2", {"for_": "n9"}, "input.node-unknown", "arguments.for"),
        ("fence", "n2", {}, "input.malformed", "arguments.for"),
        ("stop", "n2", {"upstream": "n1"}, "input.malformed", "arguments.upstream"),
        ("follow", "n2", {"upstream": "n2"}, "input.malformed", "arguments.upstream"),
    ],
)
def test_bad_input_names_its_field(
    shared: Running, action: str, target: str, arguments: dict[str, str], code: str, field: str
) -> None:
    """Unknown nodes, actions and arguments are input errors that name the field; no snapshot is taken for them."""
    request = new_id()
    with pytest.raises(Refused) as error:
        shared.api.ask(action, target, request, **arguments)
    assert (refused(error), error.value.field) == (code, field)
    assert shared.api.events(request) == ["refused"]
    assert shared.api.decision(request).snapshot is None


@pytest.mark.parametrize("person", ["observer", "auditor"])
def test_only_operators_ask(shared: Running, person: str) -> None:
    """An observer's and an auditor's request is refused, and recorded."""
    request = new_id()
    with pytest.raises(Refused) as error:
        Api(shared.layout, person).ask("stop", "n3", request)
    assert refused(error) == "control.role-denied"
    assert shared.api.codes(request) == ["control.role-denied"]


def test_an_observer_reads_no_audit_log(shared: Running) -> None:
    """The log is for operators and auditors."""
    with pytest.raises(Refused) as error:
        Api(shared.layout, "observer").client.get("/v1/audit/records")
    assert refused(error) == "control.role-denied"
    assert Api(shared.layout, "auditor").client.get("/v1/audit/checkpoint")


def test_an_agents_certificate_is_no_person(shared: Running) -> None:
    """A node's key opens nothing at the control plane."""
    caller = Client(shared.stage.cluster.control, tls_in(shared.layout.node("n1")), "control", 20)
    with pytest.raises(Refused) as error:
        caller.get("/v1/status")
    assert refused(error) == "control.caller-unknown"


@pytest.mark.parametrize("service", ["control", "n1"])
def test_who_shows_no_certificate_gets_no_answer(shared: Running, service: str) -> None:
    """A caller without a certificate of the cluster's authority is not even answered."""
    cluster = shared.stage.cluster
    host, _, port = (cluster.control if service == "control" else cluster.member(service).agent).rpartition(":")
    context = ssl.create_default_context(cafile=str(shared.layout.control / "ca.crt"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _answer(context, host, int(port), service)


def _answer(context: ssl.SSLContext, host: str, port: int, name: str) -> bytes:
    """Return the first byte of an answer to a caller without a certificate."""
    with (
        socket.create_connection((host, port), 10) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        secure.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        found = secure.recv(1)
        if not found:
            raise ConnectionResetError
        return found


def test_an_agent_obeys_the_control_plane_alone(shared: Running) -> None:
    """An operator's own certificate moves no agent; the load balancer's question is answered."""
    caller = shared.impostor.agent("n1", shared.layout.profile("operator"))
    for path in ("/v1/orders", f"/v1/outcomes/{new_id()}", "/v1/judge"):
        with pytest.raises(Refused) as error:
            caller.post(path, b"{}")
        assert refused(error) == "control.role-denied"
    wait_until(lambda: serves(shared, "n1", "/primary") == "primary")
    assert caller.get("/primary") == b"primary\n"
    with pytest.raises(AeroError):
        caller.get("/standby")


@pytest.fixture
def planned(shared: Running) -> Planned:
    """Return a plan that could be confirmed."""
    found = shared.api.ask("stop", "n3")
    assert found.accepted
    return found


def test_a_signature_must_be_over_these_bytes(shared: Running, planned: Planned) -> None:
    """Another byte, another request, another key, another namespace, no signature: each refused and recorded."""
    key = operator_key(shared.layout)
    other = shared.api.ask("stop", "n3")
    altered = planned.plan.replace("stop", "stoq", 1)
    foreign = sshsig.sign_with_key(Ed25519PrivateKey.generate(), planned.plan.encode())
    for signature in (
        sshsig.sign_with_key(key, altered.encode()),
        sshsig.sign_with_key(key, other.plan.encode()),
        foreign,
        "",
        "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n",
    ):
        with pytest.raises(Refused) as error:
            shared.api.confirm(planned, signature)
        assert refused(error) == "kernel.signature-invalid"
    assert shared.api.events(planned.request) == ["requested", *["refused"] * 5]


def test_a_rejection_cannot_be_confirmed(shared: Running) -> None:
    """A plan with a verdict that does not hold is final."""
    rejected = shared.api.ask("promote", "n2")
    assert not rejected.accepted
    with pytest.raises(Refused) as error:
        shared.api.confirm(rejected)
    assert refused(error) == "control.plan-rejected"
    assert "election-quorum" in error.value.invariants


def test_the_idempotency_key_is_the_request(shared: Running) -> None:
    """Missing: 400. The same for another payload: 422. The same again: 409, naming what became of the first."""
    body = b'{"action":"stop","arguments":{},"reason":"r","target":"n3"}'
    with pytest.raises(Refused) as error:
        shared.api.client.post("/v1/requests", body)
    assert (refused(error), error.value.status) == ("input.idempotency-key-missing", 400)
    request = new_id()
    shared.api.ask("promote", "n2", request)
    with pytest.raises(Refused) as error:
        shared.api.ask("stop", "n3", request)
    assert (refused(error), error.value.status) == ("input.idempotency-key-reused", 422)
    with pytest.raises(Refused) as error:
        shared.api.ask("promote", "n2", request)
    assert (refused(error), error.value.status) == ("control.request-known", 409)
    assert "rejected" in error.value.message
    assert error.value.request == request


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"action":1}', b'{"a":"' + b"x" * 70_000 + b'"}', b"\xff\xfe", b"[" * 50_000]
)
def test_malformed_bodies_are_refused_and_the_services_live_on(shared: Running, body: bytes) -> None:
    """Whatever is sent, the answer is a problem with a code, and the next question is answered."""
    with pytest.raises(Refused) as error:
        shared.api.client.post("/v1/requests", body, {"Idempotency-Key": new_id()})
    assert refused(error).startswith("input.")
    with pytest.raises(Refused) as error:
        shared.impostor.agent("n1").post("/v1/orders", body)
    assert refused(error).startswith("input.")
    assert shared.api.status().consistent is not None


def test_an_oversized_body_is_refused_by_the_agent(shared: Running) -> None:
    """More than any order can be is not read to its end."""
    with pytest.raises(AeroError) as error:
        shared.impostor.agent("n1").post("/v1/orders", b" " * (9 << 20))
    assert error.value.code in {"input.too-large", "transport.interrupted"}
    assert shared.impostor.facts("n1").node == "n1"


class TestAHostileControlPlane:
    """Whoever holds the control plane's keys, all of them, still moves no node."""

    @pytest.fixture
    def order(self, shared: Running) -> Order:
        """Return an order for n3 that is genuine in every part, confirmed, logged, and never sent."""
        if shared.impostor.seen("n3") == 0:
            shared.api.do("stop", "n3")
            shared.api.do("start", "n3")
        planned = shared.api.ask("stop", "n3")
        shared.stage.kill("n3")
        try:
            done = shared.api.confirm(planned)
            assert (done.result, done.code) == ("not executed", "transport.unreachable")
        finally:
            shared.stage.start_agent("n3")
            shared.stage.wait_for("n3")
        return order_of(shared.api, planned.request, shared.impostor.seen("n3"))

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"proof": ""}, "kernel.not-logged"),
            ({"record": "{}"}, "kernel.not-logged"),
            ({"reports": {}}, "kernel.plan-altered"),
            ({"consistency": ("AAAA",)}, "kernel.log-rewritten"),
        ],
    )
    def test_every_lock_is_checked(self, shared: Running, order: Order, change: dict[str, Any], code: str) -> None:
        """Without a proof, the record, the reports, or a log that extends the last one: not executed, now or later."""
        outcome = shared.impostor.run("n3", replace(order, **change))
        assert (outcome.result, outcome.code) == ("not executed", code)
        with pytest.raises(Refused) as error:
            shared.impostor.run("n3", order)
        assert (error.value.code, error.value.executed) == ("kernel.request-duplicate", "not executed")

    def test_what_no_operator_signed_gets_no_signed_word(self, shared: Running, order: Order) -> None:
        """Anybody who holds the control plane's keys could have sent it: refused, and the request is not used up."""
        entries = shared.impostor.facts("n3").entries
        with pytest.raises(Refused) as error:
            shared.impostor.run("n3", replace(order, signature="x"))
        assert refused(error) == "kernel.signature-invalid"
        assert shared.impostor.facts("n3").entries == entries

    def test_a_plan_for_another_node_or_cluster_is_refused(self, shared: Running, order: Order) -> None:
        """The plan names its node and its cluster."""
        plan = canonical.decode(order.plan.encode(), Plan)
        other = canonical.encode(replace(plan, cluster="another").sealed()).decode()
        broken = canonical.encode(replace(plan, term=99)).decode()
        for node, sent, code in (
            ("n2", order, "kernel.plan-foreign"),
            ("n3", replace(order, plan=other), "kernel.plan-foreign"),
            ("n3", replace(order, plan=broken), "kernel.plan-altered"),
        ):
            with pytest.raises(Refused) as error:
                shared.impostor.run(node, sent)
            assert refused(error) == code

    def test_a_log_of_ones_own_is_not_the_log(self, shared: Running, order: Order) -> None:
        """A second log, signed with the stolen log key itself, does not extend what the node has seen."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key((shared.layout.control / "log.key").read_bytes(), None)
        assert isinstance(key, Ed25519PrivateKey)
        root = leaf_hash(order.record.encode())
        alone = make_proof(0, (), sign_checkpoint(shared.stage.cluster.origin, 1, root, key))
        outcome = shared.impostor.run("n3", replace(order, proof=alone, consistency=()))
        assert (outcome.result, outcome.code) == ("not executed", "kernel.log-rewritten")

    def test_a_forged_report_is_refused(self, shared: Running, order: Order) -> None:
        """Reports are signed by their nodes: one that the control plane makes up is not those that the plan names."""
        forged = sign({"kind": "report"}, "n1", Ed25519PrivateKey.generate())
        outcome = shared.impostor.run("n3", replace(order, reports={**order.reports, "n1": forged}))
        assert outcome.code == "kernel.plan-altered"
