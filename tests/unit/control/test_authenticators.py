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
    CredentialForeign,
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
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.protocol.credentials import Authenticator
from aerodb.protocol.sshsig import CREDENTIAL_NAMESPACE, NAMESPACE, sign_with_key
from aerodb.protocol.webauthn import AssertionInvalid
from aerodb.registration import RegistrationInvalid, ResponseMalformed
from tests.unit.protocol.authenticator import (
    KINDS,
    PRESENT,
    VERIFIED,
    SoftAuthenticator,
    cluster,
    endorsed,
    endorsement_of,
)
from tests.unit.protocol.signers import file_key, ssh_key


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


def endorse(authenticators: Authenticators, pending: Authenticator, name: str = "ana") -> Authenticator:
    """Endorse a credential by its owner's key."""
    key = file_key("ed25519" if name == "ana" else "nistp256")
    signature = sign_with_key(key, pending.endorsement.encode(), CREDENTIAL_NAMESPACE)
    return authenticators.endorse(person(name), pending.credential, signature)


def codes(log: Log) -> list[tuple[str, str]]:
    """Return event and code of every record."""
    records = [decode_record(data) for _, data in log.records()]
    assert all(record.request == "" for record in records)
    return [(record.event, record.code) for record in records]


@pytest.mark.parametrize("kind", KINDS)
def test_a_credential_is_registered_endorsed_and_remembered(log: Log, kind: str) -> None:
    """Pending dies with the process; endorsed stands in the log, and is what the browser is then asked for."""
    first = begun(log)
    pending = registered(first, SoftAuthenticator(kind))
    assert (pending.state, pending.algorithm, pending.copies) == ("pending", kind, "impossible")
    assert begun(log).mine(person("ana")) == ()
    endorsed = endorse(first, pending)
    assert codes(log) == [("endorsed", "")]
    record = decode_record(log.record(0))
    assert (record.operator, record.signature) == ("ana", endorsed.signature)
    assert log.blob(record.endorsement) == pending.endorsement.encode()
    (again,) = begun(log).mine(person("ana"))
    assert again == replace(endorsed, copies="unknown")
    assert begun(log).mine(person("ben")) == ()


def test_what_the_browser_answers_becomes_a_confirmation(log: Log) -> None:
    """Options, response, text, proof: the text is what the agents verify."""
    authenticators, key, plan = begun(log), SoftAuthenticator(), '{"plan":"x"}'
    with pytest.raises(CredentialUnknown):
        authenticators.options(person("ana"), plan)
    endorse(authenticators, registered(authenticators, key))
    options = authenticators.options(person("ana"), plan)
    assert [each.id for each in options.allow_credentials] == [key.credential]
    text = authenticators.assertion(key.confirms(plan.encode()))
    assert confirmation.verify(cluster(), person("ana"), text, plan.encode()).method == "webauthn"
    unknown = authenticators.assertion(SoftAuthenticator(identity=b"two").confirms(plan.encode()))
    with pytest.raises(AssertionInvalid, match="not endorsed"):
        confirmation.verify(cluster(), person("ana"), unknown, plan.encode())
    with pytest.raises(ResponseMalformed):
        authenticators.assertion("{}")


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
    assert authenticators.mine(person("ana")) == ()


def test_a_challenge_is_one_persons(log: Log) -> None:
    """Ben cannot answer ana's, and a new one takes the place of hers."""
    authenticators, key = begun(log), SoftAuthenticator()
    first = authenticators.begin(person("ana")).challenge
    with pytest.raises(RegistrationNotAwaited):
        authenticators.finish(person("ben"), key.registers(first))
    assert authenticators.begin(person("ana")).challenge != first
    with pytest.raises(RegistrationInvalid, match="challenge"):
        authenticators.finish(person("ana"), key.registers(first))


def test_only_its_owner_endorses_a_credential(log: Log) -> None:
    """Ben neither endorses nor registers what is ana's; and nothing is endorsed twice, or unregistered."""
    authenticators, key = begun(log), SoftAuthenticator()
    pending = registered(authenticators, key)
    with pytest.raises(CredentialForeign):
        endorse(authenticators, pending, "ben")
    with pytest.raises(CredentialKnown):
        registered(authenticators, key, "ben")
    with pytest.raises(CredentialUnknown):
        endorse(authenticators, replace(pending, credential="AAAA"))
    with pytest.raises(AssertionInvalid):
        authenticators.endorse(person("ana"), pending.credential, "")
    endorse(authenticators, pending)
    with pytest.raises(CredentialKnown):
        endorse(authenticators, pending)
    assert [event for event, _ in codes(log)] == [*["refused"] * 4, "endorsed", "refused"]


def test_an_endorsement_counts_only_while_its_key_does(log: Log) -> None:
    """A revoked person, a replaced key, an admin UI elsewhere: nothing is read back."""
    authenticators = begun(log)
    endorse(authenticators, registered(authenticators, SoftAuthenticator()))
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
    assert authenticators.mine(person("ana")) == tuple(kept)
    endorse(authenticators, kept[0])
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
    assert len(authenticators.mine(person("ana"))) == PENDING_A_PERSON_MAX


class TestAdmitting:
    """An endorsement that was made on its owner's own machine: recorded as it is, or refused."""

    def test_it_counts_at_once_and_for_ever(self, log: Log) -> None:
        """Nothing was pending; a process that begins later reads it back; and it is admitted once."""
        authenticators, key, plan = begun(log), SoftAuthenticator(), '{"plan":"x"}'
        text, signature = endorsed(endorsement_of(key))
        found = authenticators.admit(person("ana"), text, signature)
        assert (found.state, found.endorsement, found.signature) == ("endorsed", text, signature)
        (again,) = begun(log).mine(person("ana"))
        assert again == found
        confirmed = authenticators.assertion(key.confirms(plan.encode()))
        assert confirmation.verify(cluster(), person("ana"), confirmed, plan.encode()).method == "webauthn"
        with pytest.raises(CredentialKnown):
            authenticators.admit(person("ana"), text, signature)
        assert codes(log) == [("endorsed", ""), ("refused", "control.credential-known")]

    def test_it_takes_the_place_of_what_waited(self, log: Log) -> None:
        """Where the same credential was pending with another key, the signed one stands, and nothing waits."""
        authenticators = begun(log)
        registered(authenticators, SoftAuthenticator("EdDSA"))
        text, signature = endorsed(endorsement_of(SoftAuthenticator()))
        authenticators.admit(person("ana"), text, signature)
        (found,) = authenticators.mine(person("ana"))
        assert (found.state, found.endorsement) == ("endorsed", text)

    @pytest.mark.parametrize(
        "changes",
        [
            {"cluster": "cluster-2"}, {"operator": "ben"}, {"origin": "http://localhost:1"}, {"rp_id": "evil.example"},
            {"public_key": "AAAA"}, {"credential": "!"}, {"credential": "A" * 1400},
        ],
        ids=str,
    )  # fmt: skip
    def test_what_is_not_sound_is_refused_and_recorded(self, log: Log, changes: dict[str, str]) -> None:
        """Signed or not: it must be this person's, for this cluster and its admin UI, with a key that can confirm."""
        authenticators = begun(log)
        text, signature = endorsed(endorsement_of(SoftAuthenticator(), **changes))
        with pytest.raises(AssertionInvalid):
            authenticators.admit(person("ana"), text, signature)
        assert codes(log) == [("refused", "kernel.signature-invalid")]
        assert authenticators.mine(person("ana")) == ()

    def test_what_is_not_the_owners_is_refused(self, log: Log) -> None:
        """Another's signature, a plan's namespace, another text, and another's credential."""
        authenticators, ben = begun(log), file_key("nistp256")
        text, signature = endorsed(endorsement_of(SoftAuthenticator()))
        for wrong in ("", endorsed(text, ben)[1], endorsed(text, namespace=NAMESPACE)[1]):
            with pytest.raises(AssertionInvalid):
                authenticators.admit(person("ana"), text, wrong)
        with pytest.raises(AssertionInvalid):
            authenticators.admit(person("ana"), text + " ", signature)
        registered(authenticators, SoftAuthenticator(), "ben")
        with pytest.raises(CredentialForeign):
            authenticators.admit(person("ana"), text, signature)
        assert authenticators.mine(person("ana")) == ()
