"""Confirming by an authenticator, on a real cluster: registered, endorsed, believed by the agents; or refused."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec.structs import replace

from aerodb.audit.evidence import Evidence, EvidenceRecord, examine
from aerodb.audit.note import sign_checkpoint
from aerodb.audit.proof import make_proof
from aerodb.audit.record import Record, decode_record, encode_record
from aerodb.audit.tree import hashes_of, inclusion_path, leaf_hash, root_of
from aerodb.audit.trust import Trust
from aerodb.errors import EvidenceInvalid
from aerodb.local.person import Person
from aerodb.protocol import canonical, sshsig, webauthn
from aerodb.protocol.api import Planned
from aerodb.protocol.credentials import Authenticator
from aerodb.protocol.plan import Order
from aerodb.protocol.webauthn import Assertion, Endorsement
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.hostile import log_key
from tests.faults.people import Api, operator_key, order_of
from tests.unit.protocol.authenticator import (
    GOOD,
    KINDS,
    PRESENT,
    VERIFIED,
    SoftAuthenticator,
    assertion_of,
    client_data,
)


def person(running: Running) -> Person:
    """Return the operator at a terminal."""
    return Person(running.layout.profile("operator"), lambda _: None, colour=False)


def refusal(act: Callable[[], object]) -> str:
    """Return the code of a refusal by the control plane."""
    with pytest.raises(Refused) as error:
        act()
    assert error.value.executed == "not executed"
    return error.value.code


def events(api: Api) -> list[tuple[str, str]]:
    """Return event and code of every record that is about a person and no request, but for what reading owes."""
    lines = [msgspec.json.decode(line) for line in api.client.get("/v1/audit/export").splitlines()]
    records = [decode_record(line["record"].encode()) for line in lines if "record" in line]
    return [(record.event, record.code) for record in records if not record.request and record.event != "read"]


def test_registered_endorsed_confirmed_executed_verified(fresh: Running) -> None:
    """Browser, SSH key, assertion, agent; the log keeps it all, and a restart forgets only what waited."""
    key, api = SoftAuthenticator(), fresh.api
    origin = fresh.stage.cluster.web_origin
    pending = api.register(key)
    assert (pending.state, pending.algorithm, pending.signature) == ("pending", "ES256", "")
    planned = api.ask("stop", "n3")
    unendorsed = assertion_of(key.confirms(planned.plan.encode(), origin), (pending.endorsement, ""))
    assert refusal(lambda: api.confirm(planned, unendorsed)) == "kernel.signature-invalid"

    said = person(fresh).types("endorse", answer="yes")
    assert (said.code, api.authenticators()[0].state) == (1, "pending"), said.text
    said = person(fresh).types("endorse")
    assert said.code == 0, said.text
    assert pending.fingerprint in said.text
    (endorsed,) = api.authenticators()
    assert endorsed.state == "endorsed"
    assert pending.name in person(fresh).types("authenticators").text

    waiting = api.register(SoftAuthenticator("EdDSA", identity=b"two"))
    fresh.stage.kill("control")
    fresh.stage.start_control()
    fresh.stage.wait_for("control")
    assert [each.credential for each in api.authenticators()] == [endorsed.credential]
    assert refusal(lambda: api.endorse(waiting)) == "input.credential-unknown"

    planned = api.ask("stop", "n3")
    confirmation = assertion_of(
        key.confirms(planned.plan.encode(), origin), (endorsed.endorsement, endorsed.signature)
    )  # fmt: skip
    done = api.confirm(planned, confirmation)
    assert (done.result, done.code) == ("executed", "")
    record = next(
        decode_record(each.record.encode())
        for each in api.decision(planned.request).records
        if decode_record(each.record.encode()).event == "confirmed"
    )
    assert (record.signature, record.touch) == (confirmation, True)
    for words in (("audit", "verify"), ("audit", "replay", planned.request), ("show", planned.request)):
        assert person(fresh).types(*words).code == 0
    assert [event for event, _ in events(api)] == ["endorsed", "refused"]
    _checked_by_openssh(fresh, endorsed)


def _checked_by_openssh(running: Running, endorsed: Authenticator) -> None:
    """Check an endorsement with the stock ssh-keygen and the allowed_signers that the cluster was made with."""
    folder = running.layout.profile("operator")
    (folder / "endorsement.sig").write_text(endorsed.signature)
    signer = ("-f", str(folder / "allowed_signers"), "-I", "operator")
    signed = ("-n", sshsig.CREDENTIAL_NAMESPACE, "-s", str(folder / "endorsement.sig"))
    text = endorsed.endorsement.encode()
    subprocess.run(["ssh-keygen", "-Y", "verify", *signer, *signed], input=text, check=True, capture_output=True)


def test_a_request_from_the_browser_is_confirmed_at_the_terminal(fresh: Running) -> None:
    """Only its requester confirms it, once, after the same checks and by typing the same name."""
    planned = fresh.api.ask("stop", "n3", reason="asked elsewhere")
    said = person(fresh).types("confirm", planned.request)
    assert said.code == 0, said.text
    assert "asked elsewhere" in said.text
    assert "EXECUTED" in said.text
    assert fresh.api.events(planned.request) == ["requested", "confirmed", "outcome"]
    said = person(fresh).types("confirm", planned.request)
    assert said.code == 1
    assert "control.plan-not-pending" in said.text
    auditor = Person(fresh.layout.profile("auditor"), lambda _: None, colour=False)
    other = fresh.api.ask("start", "n3")
    assert "control.not-the-requester" in auditor.types("confirm", other.request).text
    assert fresh.api.events(other.request) == ["requested"]


class TestRegistration:
    """What the control plane refuses, and records."""

    @pytest.mark.parametrize("name", ["observer", "auditor"])
    def test_only_operators_have_authenticators(self, shared: Running, name: str) -> None:
        """Nobody else may register, list or endorse."""
        api = Api(shared.layout, name)
        before = len(events(shared.api))
        assert refusal(lambda: api.register(SoftAuthenticator())) == "control.role-denied"
        assert refusal(api.authenticators) == "control.role-denied"
        assert events(shared.api)[before:] == [("refused", "control.role-denied")]

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_kind_registers_and_is_endorsed_once(self, shared: Running, kind: str) -> None:
        """The same credential is not registered twice, nor endorsed twice, nor by another's signature."""
        key = SoftAuthenticator(kind, identity=f"registered {kind}".encode())
        pending = shared.api.register(key)
        assert pending.algorithm == kind
        assert refusal(lambda: shared.api.register(key)) == "control.credential-known"
        text = pending.endorsement.encode()
        foreign = sshsig.sign_with_key(Ed25519PrivateKey.generate(), text, sshsig.CREDENTIAL_NAMESPACE)
        as_plan = sshsig.sign_with_key(operator_key(shared.layout), text)
        for signature in ("", foreign, as_plan):
            assert refusal(partial(shared.api.endorse, pending, signature)) == "kernel.signature-invalid"
        assert shared.api.endorse(pending).state == "endorsed"
        assert refusal(lambda: shared.api.endorse(pending)) == "control.credential-known"


class TestAHostileControlPlane:
    """The agent itself refuses every bad assertion, though whoever carries it holds all of the control plane's keys."""

    @pytest.fixture
    def trust(self, shared: Running) -> tuple[SoftAuthenticator, Authenticator]:
        """Return an authenticator of the operator's, endorsed."""
        key = SoftAuthenticator(identity=b"carried")
        return key, shared.api.endorse(shared.api.register(key))

    @pytest.fixture
    def genuine(self, shared: Running, trust: tuple[SoftAuthenticator, Authenticator]) -> tuple[Planned, Order]:
        """Return an order for n3, confirmed by the authenticator, genuine in every part, and never carried out."""
        key, endorsed = trust
        planned = shared.api.ask("stop", "n3")
        confirmation = assertion_of(
            key.confirms(planned.plan.encode(), shared.stage.cluster.web_origin),
            (endorsed.endorsement, endorsed.signature),
        )
        shared.stage.kill("n3")
        try:
            assert shared.api.confirm(planned, confirmation).code == "transport.unreachable"
        finally:
            shared.stage.start_agent("n3")
            shared.stage.wait_for("n3")
        return planned, order_of(shared.api, planned.request, shared.impostor.seen("n3"))

    def _forged(self, shared: Running, order: Order, signature: str) -> Order:
        """Return the order with another signature, in a log that holds it, signed with the stolen log key."""
        key = load_pem_private_key((shared.layout.control / "log.key").read_bytes(), None)
        assert isinstance(key, Ed25519PrivateKey)
        record = encode_record(replace(decode_record(order.record.encode()), signature=signature))
        checkpoint = sign_checkpoint(shared.stage.cluster.origin, 1, leaf_hash(record), key)
        proof = make_proof(0, (), checkpoint)
        return replace(order, signature=signature, record=record.decode(), proof=proof, consistency=())

    def test_every_bad_assertion_is_refused_and_nothing_is_executed(
        self, shared: Running, trust: tuple[SoftAuthenticator, Authenticator], genuine: tuple[Planned, Order]
    ) -> None:
        """One thing wrong in each; the same order with the assertion as the authenticator made it is executed."""
        before = shared.impostor.facts("n3")
        planned, order = genuine
        for case, signature in bad_assertions(shared, *trust, planned.plan.encode()).items():
            with pytest.raises(Refused) as error:
                shared.impostor.run("n3", self._forged(shared, order, signature))
            assert error.value.code == "kernel.signature-invalid", case
        after = shared.impostor.facts("n3")
        assert (after.standing, after.entries, after.unfinished) == (before.standing, before.entries, before.unfinished)
        assert after.instance is not None
        assert after.instance.state == "running"
        outcome = shared.impostor.run("n3", order)
        assert (outcome.result, outcome.code) == ("executed", "")  # So nothing else than the assertions was refused.
        shared.api.do("start", "n3")


def bad_assertions(
    running: Running, key: SoftAuthenticator, endorsed: Authenticator, plan: bytes
) -> dict[str, str]:  # fmt: skip
    """Return confirmations that are each wrong in one thing, signed by the genuine authenticator where it can."""
    cluster, origin = running.stage.cluster, running.stage.cluster.web_origin
    challenge, trust = webauthn.challenge_of(plan), (endorsed.endorsement, endorsed.signature)
    said = client_data("webauthn.get", challenge, origin)
    stranger = SoftAuthenticator(identity=key.identity, key=ec.generate_private_key(ec.SECP256R1()))
    document = canonical.decode(endorsed.endorsement.encode(), Endorsement)
    owner, thief = operator_key(running.layout), Ed25519PrivateKey.generate()

    def signed(said: bytes, data: bytes | None = None) -> str:
        return assertion_of(key.asserts(said, data), trust)

    def trusting(by: SoftAuthenticator, who: sshsig.PrivateKey, *, namespace: str = "", **changes: str) -> str:
        text = canonical.encode(replace(document, **changes)).decode()
        signature = sshsig.sign_with_key(who, text.encode(), namespace or sshsig.CREDENTIAL_NAMESPACE)
        return assertion_of(by.asserts(said), (text, signature))

    good = canonical.decode(signed(said).encode(), Assertion)
    strangers = webauthn.public_text(stranger.private.public_key())
    return {
        "another plan": signed(client_data("webauthn.get", webauthn.challenge_of(plan + b" "), origin)),
        "a registration": signed(client_data("webauthn.create", challenge, origin)),
        "another origin": signed(client_data("webauthn.get", challenge, "http://localhost:1")),
        "cross-origin": signed(client_data("webauthn.get", challenge, origin, crossOrigin=True)),
        "a page above": signed(client_data("webauthn.get", challenge, origin, topOrigin=origin)),
        "a token binding": signed(client_data("webauthn.get", challenge, origin, tokenBinding={"status": "present"})),
        "a key twice": signed(said[:-1] + b',"origin":"http://evil.example"}'),
        "trailing JSON": signed(said + b" x"),
        "nobody present": signed(said, key.data(VERIFIED, origin=origin)),
        "nobody verified": signed(said, key.data(PRESENT, origin=origin)),
        "a reserved flag": signed(said, key.data(GOOD | 0x20, origin=origin)),
        "a byte more": signed(said, key.data(GOOD, b"\0", origin)),
        "another party": signed(said, hashlib.sha256(b"evil.example").digest() + key.data()[32:]),
        "another key": assertion_of(stranger.asserts(said), trust),
        "another credential": assertion_of(key.asserts(said), trust, credential="AAAA"),
        "padded base64": canonical.encode(replace(good, signature=good.signature + "=")).decode(),
        "a second form": canonical.encode(good).decode() + "\n",
        "not endorsed": canonical.encode(replace(good, endorsement="", endorsement_signature="")).decode(),
        "a thief's endorsement": trusting(stranger, thief, public_key=strangers),
        "a plan's namespace": trusting(key, owner, namespace=sshsig.NAMESPACE),
        "another cluster": trusting(key, owner, cluster=f"{cluster.id}0"),
        "another operator": trusting(key, owner, operator="observer"),
        "an endorsed other origin": trusting(key, owner, origin="http://localhost:1"),
        "an endorsed other party": trusting(key, owner, rp_id="evil.example"),
    }


# Evidence -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evidence(shared: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the evidence of a request that an authenticator confirmed, as the command line writes it."""
    key = SoftAuthenticator(identity=b"evident")
    endorsed = shared.api.endorse(shared.api.register(key))
    planned = shared.api.ask("follow", "n3", upstream="n1")
    confirmation = assertion_of(
        key.confirms(planned.plan.encode(), shared.cluster.web_origin), (endorsed.endorsement, endorsed.signature)
    )
    assert shared.api.confirm(planned, confirmation).result == "executed"
    file = tmp_path_factory.mktemp("evidence") / "evidence.json"
    assert person(shared).types("audit", "evidence", planned.request, "--output", str(file)).code == 0
    return file


def verify_alone(file: Path, cluster: Path) -> tuple[int, str]:
    """Verify a file as an auditor does, in another folder and without a profile; return exit code and what is said."""
    command = [sys.executable, "-m", "aerodb", "audit", "verify", str(file), "--cluster", str(cluster)]
    alone = {"PATH": os.environ["PATH"], "HOME": str(file.parent)}
    ended = subprocess.run(command, cwd=file.parent, env=alone, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_an_assertion_is_verified_offline(shared: Running, evidence: Path, tmp_path: Path) -> None:
    """With nothing but the file and cluster.json: the chain from the enrolled key to the plan holds, and is told."""
    trusted = tmp_path / "cluster.json"
    trusted.write_bytes((shared.layout.control / "cluster.json").read_bytes())
    code, said = verify_alone(evidence, trusted)
    assert code == 0, said
    assert "operator signed exactly this plan, with an authenticator that their enrolled SSH key endorsed" in said


def test_one_changed_byte_is_refused_and_the_part_named(shared: Running, evidence: Path, tmp_path: Path) -> None:
    """Anywhere in the assertion, and all over the file: which part does not hold is told, with exit code 6."""
    data = evidence.read_bytes()
    begin = data.index(rb"\\\"kind\\\":\\\"webauthn\\\"")
    changed = tmp_path / "changed.json"
    changed.write_bytes(data[: begin - 200] + bytes([data[begin - 200] ^ 1]) + data[begin - 199 :])
    code, said = verify_alone(changed, shared.layout.control / "cluster.json")
    assert (code, "control.evidence-invalid" in said) == (6, True), said
    assert "record 2 of 3 or its proof" in said
    parts = set()
    for offset in (*range(begin - 1_000, begin + 1_000, 7), *range(0, len(data), max(1, len(data) // 200))):
        flipped = data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]
        with pytest.raises(EvidenceInvalid) as refused:
            examine(flipped, Trust(clusters=(shared.cluster,)))
        parts.add(refused.value.field)
    assert {"record 2 of 3 or its proof", "the plan", "the snapshot", "the configuration"} <= parts


def test_a_log_of_lies_does_not_hide_a_bad_assertion(shared: Running, evidence: Path) -> None:
    """Whoever holds the log's key and writes a bad assertion into it is told that the signature does not hold."""
    document = canonical.decode(evidence.read_bytes(), Evidence)
    records = [decode_record(entry.record.encode()) for entry in document.entries]
    good = canonical.decode(records[1].signature.encode(), Assertion)
    stranger = SoftAuthenticator(identity=b"evident", key=ec.generate_private_key(ec.SECP256R1()))
    assert document.plan is not None
    said = client_data("webauthn.get", webauthn.challenge_of(document.plan.encode()), shared.cluster.web_origin)
    trust = (good.endorsement, good.endorsement_signature)
    lies = {
        "another key": assertion_of(stranger.asserts(said), trust),
        "no endorsement": canonical.encode(replace(good, endorsement="{}")).decode(),
        "another origin": assertion_of(
            stranger.asserts(client_data("webauthn.get", webauthn.challenge_of(b""), "http://localhost:1")), trust
        ),
    }
    assert examine(
        canonical.encode(_logged(shared, document, records)), Trust(clusters=(shared.cluster,))
    ).meaning.whole
    for lie in lies.values():
        forged = [records[0], replace(records[1], signature=lie), records[2]]
        with pytest.raises(EvidenceInvalid) as refused:
            examine(canonical.encode(_logged(shared, document, forged)), Trust(clusters=(shared.cluster,)))
        assert refused.value.field == "the operator's signature"


def _logged(shared: Running, document: Evidence, records: list[Record]) -> Evidence:
    """Return the evidence with these records, in a log of their own that the stolen log key signed."""
    texts = [encode_record(record) for record in records]
    leaves = [leaf_hash(text) for text in texts]
    hash_of = hashes_of(leaves)
    checkpoint = sign_checkpoint(shared.cluster.origin, len(texts), root_of(leaves), log_key(shared))
    proofs = [make_proof(at, inclusion_path(hash_of, at, len(texts)), checkpoint) for at in range(len(texts))]
    entries = tuple(
        EvidenceRecord(record=text.decode(), proof=proof) for text, proof in zip(texts, proofs, strict=True)
    )
    return replace(document, entries=entries)
