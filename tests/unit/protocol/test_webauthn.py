"""An assertion confirms one plan, by one endorsed authenticator of one person; whatever is near it confirms nothing."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.audit.record import RECORD_BYTES_MAX, Record, encode_record
from aerodb.protocol import canonical, confirmation, sshsig, webauthn
from aerodb.protocol.authenticator import short_name
from aerodb.protocol.sshsig import Proof, SshsigInvalid
from aerodb.protocol.webauthn import AssertionInvalid
from tests.unit.protocol.authenticator import (
    GOOD,
    KINDS,
    ORIGIN,
    PRESENT,
    VERIFIED,
    SoftAuthenticator,
    ana,
    assertion_of,
    client_data,
    cluster,
    endorsed,
    endorsement_of,
)
from tests.unit.protocol.signers import file_key, ssh_key

PLAN = b'{"plan":"promote n2"}'
CHALLENGE = webauthn.challenge_of(PLAN)
KEY = SoftAuthenticator()
ENDORSED = endorsed(endorsement_of(KEY))


def verify(text: str, plan: bytes = PLAN) -> Proof:
    """Return what a confirmation by ana proves."""
    return webauthn.verify(text, plan, cluster(), ana())


def refused(text: str, why: str, plan: bytes = PLAN) -> None:
    """Show that a confirmation is refused, with the agent's code, for this reason."""
    with pytest.raises(AssertionInvalid, match=why) as error:
        verify(text, plan)
    assert (error.value.code, error.value.executed) == ("kernel.signature-invalid", "not executed")


def asserted(said: bytes, **changes: Any) -> str:
    """Return a confirmation over this client data, signed as it stands."""
    return assertion_of(KEY.asserts(said, **changes), ENDORSED)


@pytest.mark.parametrize("kind", KINDS)
def test_a_genuine_assertion_proves_touch_and_user(kind: str) -> None:
    """Each kind of key confirms the plan whose digest is its challenge, and its count is read."""
    key = SoftAuthenticator(kind, counter=6)
    text = assertion_of(key.confirms(PLAN), endorsed(endorsement_of(key)))
    assert verify(text) == Proof(touch=True, verified=True, counter=7)


def test_the_count_is_no_gate() -> None:
    """An authenticator that always says 0, as synchronised ones do, confirms."""
    said = client_data("webauthn.get", CHALLENGE)
    data = KEY.data()[:33] + bytes(4)
    assert verify(asserted(said, data=data)).counter == 0


def test_members_that_browsers_add_mean_nothing() -> None:
    """The specification tells browsers to add unknown members: they are signed, and ignored."""
    verify(asserted(client_data("webauthn.get", CHALLENGE, other_keys_can_be_added_here="do not compare")))
    verify(asserted(json.dumps({"type": "webauthn.get", "challenge": CHALLENGE, "origin": ORIGIN}).encode()))


def test_one_function_verifies_both_ways() -> None:
    """A confirmation is an SSH signature or an assertion, and says which; either is over the plan's exact bytes."""
    by_ssh = sshsig.sign_with_key(file_key("ed25519"), PLAN)
    found = confirmation.verify(cluster(), ana(), by_ssh, PLAN)
    assert (found.method, found.proof) == ("ssh", Proof())
    by_authenticator = assertion_of(KEY.confirms(PLAN), ENDORSED)
    assert confirmation.verify(cluster(), ana(), by_authenticator, PLAN).method == "webauthn"
    with pytest.raises(SshsigInvalid):
        confirmation.verify(cluster(), ana(), by_ssh, PLAN + b" ")
    with pytest.raises(AssertionInvalid, match="challenge"):
        confirmation.verify(cluster(), ana(), by_authenticator, PLAN + b" ")


def _doubled(member: str, value: str) -> bytes:
    plain = client_data("webauthn.get", CHALLENGE).decode()
    return f'{{"{member}":{json.dumps(value)},{plain[1:]}'.encode()


CLIENT_DATA: dict[str, tuple[bytes, str]] = {
    "a registration": (client_data("webauthn.create", CHALLENGE), "type"),
    "a payment": (client_data("payment.get", CHALLENGE), "type"),
    "another plan": (client_data("webauthn.get", webauthn.challenge_of(b"{}")), "challenge"),
    "a padded challenge": (client_data("webauthn.get", CHALLENGE + "="), "challenge"),
    "no challenge": (json.dumps({"type": "webauthn.get", "origin": ORIGIN}).encode(), "challenge"),
    "another origin": (client_data("webauthn.get", CHALLENGE, "http://localhost:7408"), "origin"),
    "another scheme": (client_data("webauthn.get", CHALLENGE, "https://localhost:7407"), "origin"),
    "a longer origin": (client_data("webauthn.get", CHALLENGE, ORIGIN + "/"), "origin"),
    "a frame": (client_data("webauthn.get", CHALLENGE, crossOrigin=True), "frame"),
    "perhaps a frame": (client_data("webauthn.get", CHALLENGE, crossOrigin=0), "frame"),
    "a frame, null": (client_data("webauthn.get", CHALLENGE, crossOrigin=None), "frame"),
    "a page above": (client_data("webauthn.get", CHALLENGE, topOrigin="http://evil.example"), "frame"),
    "the same page above": (client_data("webauthn.get", CHALLENGE, topOrigin=ORIGIN), "frame"),
    "a token binding": (client_data("webauthn.get", CHALLENGE, tokenBinding={"status": "present"}), "TLS token"),
    "a type twice": (_doubled("type", "webauthn.create"), "twice"),
    "an origin twice": (_doubled("origin", "http://evil.example"), "twice"),
    "the same origin twice": (_doubled("origin", ORIGIN), "twice"),
    "a challenge twice": (_doubled("challenge", "AAAA"), "twice"),
    "a key twice within": (client_data("webauthn.get", CHALLENGE)[:-1] + b',"x":{"a":1,"a":2}}', "twice"),
    "no JSON": (b"{", "not JSON"),
    "a list": (b"[]", "not a JSON object"),
    "a byte order mark": (b"\xef\xbb\xbf" + client_data("webauthn.get", CHALLENGE), "not JSON"),
    "no UTF-8": (client_data("webauthn.get", CHALLENGE)[:-1] + b',"x":"\xff"}', "not JSON"),
    "trailing bytes": (client_data("webauthn.get", CHALLENGE) + b"{}", "not JSON"),
    "too much": (client_data("webauthn.get", CHALLENGE, x="y" * 5_000), "longer"),
    "too deep": (b"[" * 4_000, "not JSON"),
}


@pytest.mark.parametrize("case", CLIENT_DATA)
def test_what_the_browser_says_is_read_strictly(case: str) -> None:
    """Though the authenticator has signed it: another kind, plan, origin, frame, form, or anything twice is refused."""
    said, why = CLIENT_DATA[case]
    refused(asserted(said), why)


AUTHENTICATOR_DATA: dict[str, tuple[Callable[[], bytes], str]] = {
    "nobody present": (lambda: KEY.data(VERIFIED), "present"),
    "nobody verified": (lambda: KEY.data(PRESENT), "verify"),
    "no flag": (lambda: KEY.data(0), "present"),
    "reserved flag 1": (lambda: KEY.data(GOOD | 0x02), "reserved"),
    "reserved flag 5": (lambda: KEY.data(GOOD | 0x20), "reserved"),
    "backed up, not eligible": (lambda: KEY.data(GOOD | 0x10), "backed up"),
    "a new credential": (lambda: KEY.data(GOOD | 0x40, b"\0" * 18), "new credential"),
    "extensions": (lambda: KEY.data(GOOD | 0x80, b"\xa0"), "extensions"),
    "extensions, left out": (lambda: KEY.data(GOOD | 0x80), "extensions"),
    "trailing bytes": (lambda: KEY.data(GOOD, b"\0"), "1 bytes trail"),
    "too short": (lambda: KEY.data()[:-1], "36 bytes"),
    "nothing": (lambda: b"", "0 bytes"),
    "another relying party": (lambda: SoftAuthenticator(rp_id="evil.example").data(), "another relying party"),
    "a relying party above": (lambda: SoftAuthenticator(rp_id="host").data(), "another relying party"),
}


@pytest.mark.parametrize("case", AUTHENTICATOR_DATA)
def test_what_the_authenticator_says_is_read_strictly(case: str) -> None:
    """Though it has signed it: without its user, for another relying party, or with anything more, it is refused."""
    make, why = AUTHENTICATOR_DATA[case]
    refused(asserted(client_data("webauthn.get", CHALLENGE), data=make()), why)


def test_a_credential_that_may_be_copied_confirms() -> None:
    """A synchronised credential is accepted; its owner endorsed it."""
    assert verify(asserted(client_data("webauthn.get", CHALLENGE), data=KEY.data(GOOD | 0x18))).verified


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_is_signed(kind: str) -> None:
    """A signature by another key, over other data, or none, is refused."""
    key = SoftAuthenticator(kind)
    trust = endorsed(endorsement_of(key))
    said, data = client_data("webauthn.get", CHALLENGE), key.data()
    good = key.sign(data + hashlib.sha256(said).digest())
    for signature in (b"", good[:-1], good + b"\0", bytes(len(good)), key.sign(data + said), key.sign(data)):
        refused(assertion_of(key.asserts(said, data, signature), trust), "signature")
    counted = data[:-1] + bytes([data[-1] ^ 1])
    refused(assertion_of(key.asserts(said, counted, good), trust), "signature")
    refused(assertion_of(key.asserts(said + b" ", data, good), trust), "signature")


def test_another_key_signs_nothing_for_it() -> None:
    """The credential's id alone is nothing: the key that was endorsed must have signed."""
    other = SoftAuthenticator(key=ec.derive_private_key(17, ec.SECP256R1()))
    refused(assertion_of(other.confirms(PLAN), ENDORSED), "signature is not the credential's")
    edwards = SoftAuthenticator("EdDSA")
    refused(assertion_of(edwards.confirms(PLAN), ENDORSED), "signature is not the credential's")


def test_another_credential_is_refused() -> None:
    """The assertion names the credential that was endorsed."""
    refused(assertion_of(SoftAuthenticator(identity=b"two").confirms(PLAN), ENDORSED), "another credential")


UNENDORSED: dict[str, tuple[Callable[[], tuple[str, str]], str]] = {
    "no endorsement": (lambda: ("", ""), "not endorsed by ana"),
    "no signature": (lambda: (ENDORSED[0], ""), "not endorsed by ana"),
    "ben's signature": (lambda: endorsed(endorsement_of(KEY), file_key("nistp256")), "another key"),
    "ben's endorsement": (lambda: endorsed(endorsement_of(KEY, operator="ben")), "operator 'ben'"),
    "a plan's namespace": (lambda: endorsed(endorsement_of(KEY), namespace="plan@aerodb"), "namespace 'plan@aerodb'"),
    "another cluster": (lambda: endorsed(endorsement_of(KEY, cluster="cluster-2")), "cluster 'cluster-2'"),
    "another origin": (lambda: endorsed(endorsement_of(KEY, origin="http://localhost:1")), "origin"),
    "another relying party": (lambda: endorsed(endorsement_of(KEY, rp_id="evil.example")), "relying party"),
    "another text": (lambda: (ENDORSED[0].replace("ana", "ann"), ENDORSED[1]), "not over these bytes"),
    "no canonical text": (lambda: endorsed(ENDORSED[0] + " "), "canonical"),
    "another document": (lambda: endorsed('{"kind":"plan"}'), "Endorsement"),
    "a member more": (lambda: endorsed(ENDORSED[0].replace('"kind"', '"also":"x","kind"')), "Endorsement"),
    "a member twice": (lambda: endorsed(ENDORSED[0].replace('"kind"', '"kind":"endorsement","kind"')), "canonical"),
}


@pytest.mark.parametrize("case", UNENDORSED)
def test_a_credential_counts_only_by_its_owners_endorsement(case: str) -> None:
    """For this cluster, this person, this origin, in its own namespace, by the enrolled key, in its one form."""
    make, why = UNENDORSED[case]
    refused(assertion_of(KEY.confirms(PLAN), make()), why)


def test_another_persons_confirmation_is_none() -> None:
    """Ana's endorsed authenticator confirms nothing for ben."""
    ben = cluster().operator("ben")
    assert ben is not None
    with pytest.raises(AssertionInvalid, match="not endorsed by ben"):
        webauthn.verify(assertion_of(KEY.confirms(PLAN), ENDORSED), PLAN, cluster(), ben)


def test_without_an_admin_ui_no_assertion_counts() -> None:
    """Where the configuration names no origin, an endorsement for none does not make one."""
    bare = cluster(web_origin="", web="")
    trust = endorsed(endorsement_of(KEY, origin="", rp_id=""))
    with pytest.raises(AssertionInvalid, match="origin"):
        webauthn.verify(assertion_of(KEY.confirms(PLAN, ""), trust), PLAN, bare, ana())


def test_a_replaced_ssh_key_takes_its_endorsements_along() -> None:
    """Whoever enrols a new key has no authenticator until they endorse again."""
    person = replace(ana(), ssh_key=ssh_key("nistp384").line)
    with pytest.raises(AssertionInvalid, match="another key"):
        webauthn.verify(assertion_of(KEY.confirms(PLAN), ENDORSED), PLAN, cluster(), person)


def _spki(public: Any) -> str:
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def _small_order() -> str:
    honest = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(honest[:-32] + b"\x01" + bytes(31)).decode()


def _compressed() -> str:
    public = ec.derive_private_key(17, ec.SECP256R1()).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    return base64.b64encode(head + point).decode()


WEAK: dict[str, tuple[Callable[[], str], str]] = {
    "nothing": (lambda: "", "can be read"),
    "no base64": (lambda: "?", "can be read"),
    "a short RSA key": (lambda: _spki(rsa.generate_private_key(65537, 1024).public_key()), "1024 bits"),  # noqa: S505
    "a small exponent": (lambda: _spki(rsa.generate_private_key(3, 2048).public_key()), "exponent"),
    "another curve": (lambda: _spki(ec.derive_private_key(17, ec.SECP384R1()).public_key()), "none of ES256"),
    "a point of small order": (_small_order, "small order"),
    "a compressed point": (_compressed, "one form"),
    "trailing bytes": (
        lambda: base64.b64encode(base64.b64decode(endorsement_of(KEY).public_key) + b"\0").decode(),
        "read|one form",
    ),
}


@pytest.mark.parametrize("case", WEAK)
def test_an_unsound_key_confirms_nothing_though_it_is_endorsed(case: str) -> None:
    """Keys that prove nothing, or that have a second form, are refused when they are used."""
    make, why = WEAK[case]
    refused(assertion_of(KEY.confirms(PLAN), endorsed(endorsement_of(KEY, public_key=make()))), why)


@pytest.mark.parametrize("member", ["authenticator_data", "client_data", "signature"])
def test_base64url_has_one_form(member: str) -> None:
    """Padding, the other alphabet, spare bits, and white space are refused."""
    response = KEY.confirms(PLAN)
    good: str = getattr(canonical.decode(assertion_of(response, ENDORSED).encode(), webauthn.Assertion), member)
    for bad in (good + "=", good + "==", good + "\n", good[:-1] + "+", good[:-1] + "/", "A" + good + "é", "A"):
        refused(assertion_of(response, ENDORSED, **{member: bad}), "base64url|longer")


def test_spare_bits_are_refused() -> None:
    """Two texts of one credential's id would be two credentials."""
    with pytest.raises(AssertionInvalid, match="one form"):
        webauthn.from_base64url("AB", "id", 10)
    assert webauthn.from_base64url("AA", "id", 10) == b"\0"


@given(st.binary(max_size=100))
def test_base64url_gives_back_what_it_was_given(data: bytes) -> None:
    """Every value has its one form."""
    assert webauthn.from_base64url(webauthn.to_base64url(data), "value", 100) == data


@pytest.mark.parametrize("text", ["{", "{}", '{"kind":"webauthn"}', "{\ud800"])
def test_what_is_no_assertion_is_refused(text: str) -> None:
    """Anything that only begins like one is refused."""
    refused(text, "malformed")


def test_nothing_long_is_even_read() -> None:
    """Each part has its greatest length, and the whole has one."""
    refused("{" * (webauthn.TEXT_LENGTH_MAX + 1), "longer than 32768 characters")
    for length_bytes in range(1, 50):
        text = webauthn.to_base64url(bytes(length_bytes))
        assert len(webauthn.from_base64url(text, "value", length_bytes)) == length_bytes
        with pytest.raises(AssertionInvalid, match=f"longer than {length_bytes - 1} bytes"):
            webauthn.from_base64url(text, "value", length_bytes - 1)


def test_an_assertion_has_one_form() -> None:
    """White space, a member more and a member twice are refused: the log's bytes are what was verified."""
    good = assertion_of(KEY.confirms(PLAN), ENDORSED)
    credential = f'"credential":"{KEY.credential}"'
    for bad in (
        good + "\n",
        good.replace(credential, f"{credential},{credential}"),
        good.replace(credential, f'"also":"x",{credential}'),
        good.replace(":", ": ", 1),
    ):
        assert bad != good
        refused(bad, "malformed")


def test_the_largest_assertion_fits_into_a_record() -> None:
    """RSA on both sides, the longest id, and a full plan of words still leave a record half empty."""
    key = SoftAuthenticator("RS256", identity=b"\xff" * webauthn.CREDENTIAL_BYTES_MAX)
    text, signature = endorsed(endorsement_of(key), file_key("rsa"))
    said = client_data("webauthn.get", CHALLENGE, x="y" * 3_500)
    confirmed = assertion_of(key.asserts(said), (text, signature))
    record = Record(
        event="confirmed", at="", clock="", request="", operator="ana", reason="r" * 500, signature=confirmed
    )
    assert len(encode_record(record)) < RECORD_BYTES_MAX / 2


def test_a_short_name_is_typed_easily() -> None:
    """Eight digits, of the id alone."""
    assert short_name(KEY.credential) == short_name(KEY.credential)
    assert len(short_name("")) == 8


@pytest.mark.parametrize(
    ("origin", "rp_id"), [("http://localhost:7407", "localhost"), ("https://db.example", "db.example"), ("", "")]
)
def test_the_relying_party_is_the_host_of_the_origin(origin: str, rp_id: str) -> None:
    """The admin UI's host, without scheme and port."""
    assert cluster(web_origin=origin).rp_id == rp_id
