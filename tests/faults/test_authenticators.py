"""Confirming by an authenticator, on a real cluster: registered, enrolled, believed by the agents; or refused."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
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
from aerodb.protocol.chain import ChangeRefused
from aerodb.protocol.formats import MadeLater
from aerodb.protocol.plan import Order
from aerodb.protocol.webauthn import LaterAssertion
from aerodb.protocol.words import whole_words_of
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.hostile import log_key
from tests.faults.people import Api, operator_key, order_of
from tests.unit.protocol.authenticator import (
    GOOD,
    KINDS,
    PRESENT,
    VERIFIED,
    PrivateKey,
    SoftAuthenticator,
    assertion_of,
    bare_assertion,
    client_data,
    endorsement_of,
    enrolling,
)

REASON = ("--reason", "a new key")


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


def test_registered_enrolled_confirmed_revoked_verified(fresh: Running, tmp_path: Path) -> None:
    """Browser, plan, SSH key, version by version, node by node; and an auditor with version 1's words follows it all.

    What waits dies with the control plane's process; what is enrolled, or half taken, does not.
    """
    key, api = SoftAuthenticator(), fresh.api
    pending = api.register(key)
    assert (pending.state, pending.algorithm) == ("pending", "ES256")
    fresh.restart_control()
    forgotten = person(fresh).types("configure", "n1", "--enrol-authenticator", pending.name, *REASON)
    assert (forgotten.code, "input.credential-unclear" in forgotten.text) == (2, True), forgotten.text
    api.register(key)
    assert refusal(lambda: api.confirm_by(key, api.ask("stop", "n3"))) == "kernel.signature-invalid"
    typed(fresh, "n1", "--enrol-authenticator", pending.name, answer="yes", code=1)
    assert api.chain().path == (fresh.cluster.digest,)

    said = typed(fresh, "n1", "--enrol-authenticator", pending.name)
    assert pending.fingerprint in said
    assert api.confirm_by(key, api.ask("checkpoint", "n1")).result == "executed"
    behind = api.ask("follow", "n3", upstream="n1")  # What brings a cluster back is asked of who is behind, too.
    assert refusal(lambda: api.confirm_by(key, behind)) == "kernel.signature-invalid"
    fresh.restart_control()  # Between the primary's version and the others'.
    listed = person(fresh).types("authenticators").text
    assert "on n1; not yet on n2, n3: aerodb configure n2 --take" in " ".join(listed.split())
    typed(fresh, "n3", "--take")
    stopped = api.confirm_by(key, api.ask("stop", "n3"))
    assert stopped.result == "executed"

    typed(fresh, "n2", "--take")
    said = typed(fresh, "n1", "--revoke-authenticator", pending.name)
    assert "what it could confirm there, it still can" in " ".join(said.split())
    assert refusal(lambda: api.confirm_by(key, api.ask("checkpoint", "n1"))) == "kernel.signature-invalid"
    assert api.confirm_by(key, api.ask("start", "n3")).result == "executed"  # It has not taken the revocation.
    typed(fresh, "n3", "--take")
    assert refusal(lambda: api.confirm_by(key, api.ask("stop", "n3"))) == "kernel.signature-invalid"
    _verified_from_version_one(fresh, stopped.request, tmp_path / "evidence.json")


def _verified_from_version_one(running: Running, request: str, file: Path) -> None:
    """Check that version 1's words alone lead through the log, and through the evidence of a confirmation."""
    words = " ".join(whole_words_of(running.cluster.digest))
    for log in (("audit", "verify"), ("audit", "verify", str(running.layout.control / "log"), "--trust", words)):
        said = person(running).types(*log)
        assert said.code == 0, said.text
    for command in (("audit", "replay", request), ("audit", "evidence", request, "--output", str(file))):
        assert person(running).types(*command).code == 0
    said = person(running).types("audit", "verify", str(file), "--trust", words)
    assert said.code == 0, said.text
    assert "with an authenticator that version 2 of the configuration enrols as theirs" in " ".join(said.text.split())


def typed(running: Running, node: str, *words: str, answer: str | None = None, code: int = 0) -> str:
    """Change a node's configuration as the operator does at a terminal; return what was said."""
    said = person(running).types("configure", node, *words, *REASON, answer=answer)
    assert said.code == code, said.text
    return said.text


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
        """Nobody else may register or list."""
        api = Api(shared.layout, name)
        before = len(events(shared.api))
        assert refusal(lambda: api.register(SoftAuthenticator())) == "control.role-denied"
        assert refusal(api.authenticators) == "control.role-denied"
        assert events(shared.api)[before:] == [("refused", "control.role-denied")]

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_kind_registers_and_is_enrolled_once(self, shared: Running, kind: str) -> None:
        """The same credential is not registered twice, nor enrolled twice, nor its key under another id."""
        key = SoftAuthenticator(kind, identity=f"registered {kind}".encode(), key=new_key(kind))
        pending = shared.api.register(key)
        assert pending.algorithm == kind
        assert refusal(lambda: shared.api.register(key)) == "control.credential-known"
        shared.api.configure(enrolling(key, "operator"))
        assert refusal(lambda: shared.api.register(key)) == "control.credential-known"
        again = SoftAuthenticator(kind, identity=b"another id", key=key.private)
        for change in (enrolling(key, "operator"), enrolling(again, "operator")):
            with pytest.raises(ChangeRefused, match="is enrolled already"):
                shared.api.configure(change)


def new_key(kind: str) -> PrivateKey:
    """Return a new key of one kind."""
    if kind == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65_537, 2_048) if kind == "RS256" else Ed25519PrivateKey.generate()


class TestAHostileControlPlane:
    """The agent itself refuses every bad assertion, though whoever carries it holds all of the control plane's keys."""

    @pytest.fixture
    def key(self, shared: Running) -> SoftAuthenticator:
        """Return an authenticator of the operator's, enrolled everywhere."""
        key = SoftAuthenticator(identity=b"carried", key=new_key("ES256"))
        shared.api.enrol(key)
        return key

    @pytest.fixture
    def genuine(self, shared: Running, key: SoftAuthenticator) -> tuple[Planned, Order]:
        """Return an order for n3, confirmed by the authenticator, genuine in every part, and never carried out."""
        planned = shared.api.ask("stop", "n3")
        confirmation = shared.api.assertion(key, planned)
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
        self, shared: Running, key: SoftAuthenticator, genuine: tuple[Planned, Order]
    ) -> None:
        """One thing wrong in each; the same order with the assertion as the authenticator made it is executed."""
        before = shared.impostor.facts("n3")
        planned, order = genuine
        for case, signature in bad_assertions(shared, key, planned.plan.encode()).items():
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


def bad_assertions(running: Running, key: SoftAuthenticator, plan: bytes) -> dict[str, str]:
    """Return confirmations that are each wrong in one thing, signed by the genuine authenticator where it can."""
    cluster, origin = running.stage.cluster, running.stage.cluster.web_origin
    challenge = webauthn.challenge_of(plan)
    said = client_data("webauthn.get", challenge, origin)
    stranger = SoftAuthenticator(identity=key.identity, key=ec.generate_private_key(ec.SECP256R1()))
    document = endorsement_of(
        key, cluster=cluster.id, operator="operator", rp_id=cluster.rp_id, origin=cluster.web_origin
    )
    owner = operator_key(running.layout)

    def signed(said: bytes, data: bytes | None = None, **changes: str) -> str:
        return bare_assertion(key.asserts(said, data), **changes)

    def endorsing(by: SoftAuthenticator, public_key: str) -> str:
        text = canonical.encode(replace(document, public_key=public_key)).decode()
        signature = sshsig.sign_with_key(owner, text.encode(), sshsig.CREDENTIAL_NAMESPACE)
        return assertion_of(by.asserts(said), (text, signature))

    good = canonical.decode(signed(said).encode(), LaterAssertion)
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
        "another key": bare_assertion(stranger.asserts(said)),
        "another credential": signed(said, credential="AAAA"),
        "no credential": signed(said, credential=""),
        "padded base64": signed(said, signature=good.signature + "="),
        "a second form": signed(said) + "\n",
        "its owner's endorsement": endorsing(key, document.public_key),
        "an endorsement of another key": endorsing(stranger, strangers),
    }


# Evidence -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evidence(shared: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the evidence of a request that an authenticator confirmed, as the command line writes it."""
    key = SoftAuthenticator(identity=b"evident", key=new_key("ES256"))
    shared.api.enrol(key)
    planned = shared.api.ask("follow", "n3", upstream="n1")
    assert shared.api.confirm_by(key, planned).result == "executed"
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
    assert re.search("operator signed exactly this plan, with an authenticator that version .* enrols as theirs", said)


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
        with pytest.raises((EvidenceInvalid, MadeLater)) as refused:  # A format's digit names a later one.
            examine(flipped, Trust(clusters=(shared.cluster,)))
        parts.add(refused.value.field)
    assert {"record 2 of 3 or its proof", "the plan", "the snapshot", "the configuration"} <= parts


def test_a_log_of_lies_does_not_hide_a_bad_assertion(shared: Running, evidence: Path) -> None:
    """Whoever holds the log's key and writes a bad assertion into it is told that the signature does not hold."""
    document = canonical.decode(evidence.read_bytes(), Evidence)
    records = [decode_record(entry.record.encode()) for entry in document.entries]
    good = canonical.decode(records[1].signature.encode(), LaterAssertion)
    stranger = SoftAuthenticator(identity=b"evident", key=ec.generate_private_key(ec.SECP256R1()))
    assert document.plan is not None
    said = client_data("webauthn.get", webauthn.challenge_of(document.plan.encode()), shared.cluster.web_origin)
    lies = {
        "another key": bare_assertion(stranger.asserts(said)),
        "another credential": canonical.encode(replace(good, credential="AAAA")).decode(),
        "another origin": bare_assertion(
            stranger.asserts(client_data("webauthn.get", webauthn.challenge_of(b""), "http://localhost:1"))
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
