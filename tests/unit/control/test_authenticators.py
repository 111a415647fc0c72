"""Registrations: one challenge, one answer, one person; and a log that is the only memory."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.audit.record import decode_record
from aerodb.audit.store import Log
from aerodb.control.authenticators import PENDING_A_PERSON_MAX, Authenticators
from aerodb.control.errors import (
    CredentialKnown,
    CredentialsPending,
    CredentialUnknown,
    RegistrationNotAwaited,
    WebMissing,
)
from aerodb.control.meters import Meters
from aerodb.control.record import Recorder
from aerodb.errors import AeroError
from aerodb.protocol import canonical, confirmation
from aerodb.protocol.chain import step_of
from aerodb.protocol.change import Change, step_text
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.protocol.credentials import Authenticator
from aerodb.protocol.plan import Request
from aerodb.protocol.webauthn import AssertionInvalid, challenge_of
from aerodb.registration import RegistrationInvalid, ResponseMalformed
from tests.unit.kernel.test_agent import PLAN
from tests.unit.neighbours.endorsed import record_endorsed
from tests.unit.protocol.authenticator import (
    KINDS,
    PRESENT,
    VERIFIED,
    SoftAuthenticator,
    cluster,
    endorsed,
    endorsement_of,
    enrolling,
    revoking,
)
from tests.unit.protocol.signers import ssh_key
from tests.unit.protocol.test_chain import revoke


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """Yield a real log."""
    with Log.create(tmp_path / "log", "aerodb.log/cluster-1", Ed25519PrivateKey.generate()) as made:
        yield made


def begun(log: Log, configured: Cluster | None = None) -> Authenticators:
    """Return the authenticators of a process that begins now."""
    used = configured or cluster()
    return Authenticators(Recorder(log, canonical.encode(used), Meters(log)))


def person(name: str) -> Operator:
    """Return ana or ben."""
    found = cluster().operator(name)
    assert found is not None
    return found


def registered(authenticators: Authenticators, key: SoftAuthenticator, name: str = "ana") -> Authenticator:
    """Register a credential as a browser does."""
    challenge = authenticators.begin(person(name)).challenge
    return authenticators.finish(person(name), key.registers(challenge))


def grown(authenticators: Authenticators, *changes: Change) -> Authenticators:
    """Have the configuration change, as nodes sign that they took it."""
    versions = authenticators._recorder.versions
    for change in changes:
        step = step_text(step_of(versions.newest, change))
        asked = Request(
            id=step, action="configure", target="n1", arguments={"change": step}, operator="ana", reason="a test"
        )
        versions.executed(asked)
    return authenticators


def plan_under(configured: Cluster) -> str:
    """Return the text of a plan that was made under a version."""
    asked = Request(id="x", action="stop", target="n1", arguments={}, operator="ana", reason="a test")
    return canonical.encode(replace(PLAN, request=asked, configuration=configured.digest)).decode()


def mine(authenticators: Authenticators, name: str = "ana") -> list[Authenticator]:
    """Return one person's authenticators."""
    return [each for each in authenticators.known(person(name)) if each.operator == name]


def codes(log: Log) -> list[tuple[str, str]]:
    """Return event and code of every record."""
    records = [decode_record(data) for _, data in log.records()]
    assert all(record.request == "" for record in records)
    return [(record.event, record.code) for record in records]


@pytest.mark.parametrize("kind", KINDS)
def test_a_credential_is_registered_awaits_and_is_enrolled_by_a_version(log: Log, kind: str) -> None:
    """Pending dies with the process, and is in no record; enrolled and revoked are the configuration's."""
    authenticators, key = begun(log), SoftAuthenticator(kind)
    pending = registered(authenticators, key)
    assert (pending.state, pending.algorithm, pending.copies) == ("pending", kind, "impossible")
    assert begun(log).known(person("ana")) == ()
    assert codes(log) == []
    (enrolled,) = mine(grown(authenticators, enrolling(key)))
    assert enrolled == replace(pending, state="enrolled")
    (revoked,) = mine(grown(authenticators, revoking(key)))
    assert revoked == replace(pending, state="revoked")
    assert mine(authenticators, "ben") == []


def test_what_the_browser_answers_becomes_a_confirmation_under_the_version_of_the_plan(log: Log) -> None:
    """Options, response, text, proof: what counts is what the version enrols that the plan was made under."""
    authenticators, key, other = begun(log), SoftAuthenticator(), SoftAuthenticator("EdDSA", identity=b"two")
    grown(authenticators, enrolling(key), enrolling(other))
    one, two, three = authenticators._recorder.versions.chain.versions
    with pytest.raises(CredentialUnknown, match="under version 1"):
        authenticators.options(person("ana"), plan_under(one))
    for under, keys in ((two, [key]), (three, [key, other])):
        plan = plan_under(under)
        options = authenticators.options(person("ana"), plan)
        assert [each.id for each in options.allow_credentials] == [each.credential for each in keys]
        assert options.challenge == challenge_of(plan.encode())
        text = authenticators.assertion(under.digest, key.confirms(plan.encode()))
        assert confirmation.verify(under, person("ana"), text, plan.encode()).method == "webauthn"
    late = authenticators.assertion(two.digest, other.confirms(plan_under(two).encode()))
    with pytest.raises(AssertionInvalid, match="has no authenticator"):
        confirmation.verify(two, person("ana"), late, plan_under(two).encode())
    with pytest.raises(CredentialUnknown):
        authenticators.options(person("ben"), plan_under(three))
    grown(authenticators, revoking(key))
    four = authenticators._recorder.versions.newest
    options = authenticators.options(person("ana"), plan_under(four))
    assert [each.id for each in options.allow_credentials] == [other.credential]
    with pytest.raises(ResponseMalformed):
        authenticators.assertion(three.digest, "{}")


def test_what_was_endorsed_counts_under_version_one_and_awaits_its_enrolment_afterwards(log: Log) -> None:
    """As release 0.1.0 recorded it: read back, asked for and brought along under version 1, and no later."""
    key = SoftAuthenticator()
    said, signature = endorsed(endorsement_of(key))
    record_endorsed(begun(log)._recorder, person("ana"), said, signature)
    authenticators = begun(log)
    (found,) = mine(authenticators)
    assert (found.state, found.endorsement, found.signature, found.copies) == ("endorsed", said, signature, "unknown")
    plan = plan_under(cluster())
    assert [each.id for each in authenticators.options(person("ana"), plan).allow_credentials] == [key.credential]
    text = authenticators.assertion(cluster().digest, key.confirms(plan.encode()))
    assert confirmation.verify(cluster(), person("ana"), text, plan.encode()).method == "webauthn"
    unknown = SoftAuthenticator(identity=b"two").confirms(plan.encode())
    with pytest.raises(AssertionInvalid, match="not endorsed"):
        confirmation.verify(
            cluster(), person("ana"), authenticators.assertion(cluster().digest, unknown), plan.encode()
        )
    grown(authenticators, revoke("ben"))
    assert [each.state for each in mine(authenticators)] == ["pending"]
    with pytest.raises(CredentialUnknown, match="under version 2"):
        authenticators.options(person("ana"), plan_under(authenticators._recorder.versions.newest))
    with pytest.raises(CredentialKnown):
        registered(authenticators, key)


def test_options_are_what_browsers_read(log: Log) -> None:
    """The names are the API's own; what is registered already is excluded; nothing personal is in the handle."""
    authenticators = begun(log)
    registered(authenticators, SoftAuthenticator())
    options = json.loads(canonical.encode(authenticators.begin(person("ana"))))
    assert options["rp"] == {"id": "localhost", "name": "AeroDB orders"}
    assert [each["alg"] for each in options["pubKeyCredParams"]] == [-7, -8, -257]
    assert options["authenticatorSelection"] == {"residentKey": "discouraged", "userVerification": "required"}
    assert options["attestation"] == "none"
    assert options["excludeCredentials"] == [{"id": SoftAuthenticator().credential, "type": "public-key"}]
    assert set(options["user"]) == {"id", "name", "displayName"}


BAD: dict[str, tuple[Callable[[SoftAuthenticator, str], str], type[AeroError]]] = {
    "another challenge": (lambda key, _: key.registers("AAAA"), RegistrationInvalid),
    "another origin": (lambda key, asked: key.registers(asked, "http://evil.example"), RegistrationInvalid),
    "a frame": (lambda key, asked: key.registers(asked, crossOrigin=True), RegistrationInvalid),
    "an assertion": (lambda key, asked: key.registers(asked, type="webauthn.get"), RegistrationInvalid),
    "nobody present": (lambda key, asked: key.registers(asked, flags=VERIFIED), RegistrationInvalid),
    "nobody verified": (lambda key, asked: key.registers(asked, flags=PRESENT), RegistrationInvalid),
    "another party": (lambda _, asked: SoftAuthenticator(rp_id="evil.example").registers(asked), RegistrationInvalid),
    "a weak key": (
        lambda _, asked: SoftAuthenticator(key=rsa.generate_private_key(65537, 1024)).registers(asked),  # noqa: S505
        RegistrationInvalid,
    ),
    "another id": (
        lambda key, asked: key.registers(asked).replace(key.credential, "AAAA"), RegistrationInvalid
    ),
    "a cut attestation": (
        lambda key, asked: key.registers(asked).replace('"attestationObject": "', '"attestationObject": "AAAA'),
        RegistrationInvalid,
    ),
    "no JSON": (lambda *_: "{", ResponseMalformed),
    "another document": (lambda *_: "{}", ResponseMalformed),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_an_unsound_registration_is_refused_recorded_and_spent(log: Log, case: str) -> None:
    """Each with its reason; the challenge was answered, and is not answered again."""
    authenticators, key = begun(log), SoftAuthenticator()
    make, error = BAD[case]
    asked = authenticators.begin(person("ana")).challenge
    with pytest.raises(error):
        authenticators.finish(person("ana"), make(key, asked))
    with pytest.raises(RegistrationNotAwaited):
        authenticators.finish(person("ana"), key.registers(asked))
    assert [code for _, code in codes(log)] == [error.code, RegistrationNotAwaited.code]
    assert mine(authenticators) == []


def test_a_challenge_is_one_persons(log: Log) -> None:
    """Ben cannot answer ana's, and a new one takes the place of hers."""
    authenticators, key = begun(log), SoftAuthenticator()
    first = authenticators.begin(person("ana")).challenge
    with pytest.raises(RegistrationNotAwaited):
        authenticators.finish(person("ben"), key.registers(first))
    assert authenticators.begin(person("ana")).challenge != first
    with pytest.raises(RegistrationInvalid, match="challenge"):
        authenticators.finish(person("ana"), key.registers(first))


def test_a_credential_is_registered_once(log: Log) -> None:
    """Whoever's it is, and whether it waits, is enrolled, or was revoked; and a revoked one is not excluded anew."""
    authenticators, key = begun(log), SoftAuthenticator()
    registered(authenticators, key)
    for changes in ((), (enrolling(key),), (revoking(key),)):
        grown(authenticators, *changes)
        for name in ("ana", "ben"):
            with pytest.raises(CredentialKnown):
                registered(authenticators, key, name)
    assert authenticators.begin(person("ana")).exclude_credentials == ()
    assert codes(log) == [("refused", "control.credential-known")] * 6


def test_an_endorsement_counts_only_while_its_key_does(log: Log) -> None:
    """A revoked person, a replaced key, an admin UI elsewhere: nothing is read back."""
    said, signature = endorsed(endorsement_of(SoftAuthenticator()))
    record_endorsed(begun(log)._recorder, person("ana"), said, signature)
    ana, ben = cluster().operators
    revoked = cluster(operators=(replace(ana, revoked=True), ben))
    replaced = cluster(operators=(replace(ana, ssh_key=ssh_key("nistp384").line), ben))
    for configured in (revoked, replaced, cluster(web_origin="http://localhost:1"), cluster(operators=(ben,))):
        assert not begun(log, configured)._endorsed
    assert len(begun(log)._endorsed) == 1


def test_without_an_admin_ui_nothing_is_registered(log: Log) -> None:
    """There is no origin for which a browser could make a credential."""
    with pytest.raises(WebMissing):
        begun(log, cluster(web_origin="", web="")).begin(person("ana"))
    assert codes(log) == [("refused", "control.web-missing")]


def test_another_curve_is_not_registered(log: Log) -> None:
    """What could not confirm afterwards is refused at once."""
    key = SoftAuthenticator(key=ec.derive_private_key(17, ec.SECP384R1()))
    with pytest.raises(RegistrationInvalid, match="not sound"):
        registered(begun(log), key)


def test_one_persons_pending_credentials_are_few(log: Log) -> None:
    """Beyond the bound nothing is begun or kept for that person, and others are not kept waiting."""
    authenticators = begun(log)
    keys = [SoftAuthenticator(identity=f"{at}".encode()) for at in range(PENDING_A_PERSON_MAX)]
    kept = [registered(authenticators, key) for key in keys]
    with pytest.raises(CredentialsPending, match=f"^{PENDING_A_PERSON_MAX} credentials of ana"):
        authenticators.begin(person("ana"))
    registered(authenticators, SoftAuthenticator(identity=b"ben's"), "ben")
    assert codes(log) == [("refused", "control.credentials-pending")]
    assert mine(authenticators) == kept
    grown(authenticators, enrolling(keys[0]))
    registered(authenticators, SoftAuthenticator(identity=b"one more"))


def test_a_challenge_given_out_before_does_not_pass_the_bound(log: Log) -> None:
    """Answering is bounded as beginning is: nothing is kept beyond it."""
    authenticators = begun(log)
    for at in range(PENDING_A_PERSON_MAX - 1):
        registered(authenticators, SoftAuthenticator(identity=f"{at}".encode()))
    challenge = authenticators.begin(person("ana")).challenge
    stolen = authenticators._challenges["ana"]
    authenticators.finish(person("ana"), SoftAuthenticator(identity=b"last").registers(challenge))
    authenticators._challenges["ana"] = stolen
    with pytest.raises(CredentialsPending):
        authenticators.finish(person("ana"), SoftAuthenticator(identity=b"over").registers(challenge))
    assert len(mine(authenticators)) == PENDING_A_PERSON_MAX
