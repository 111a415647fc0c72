"""Authenticators in the chain: enrolled and revoked one by one, each one person's, and taken from there alone."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.protocol import canonical, confirmation, webauthn
from aerodb.protocol.authenticator import enrolment_text, read_enrolment
from aerodb.protocol.chain import ChangeRefused, VersionRefused, chained, changed, opened
from aerodb.protocol.change import Change, said
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.sshsig import Proof
from aerodb.protocol.webauthn import AssertionInvalid
from tests.unit.protocol.authenticator import (
    KINDS,
    ORIGIN,
    SoftAuthenticator,
    assertion_of,
    bare_assertion,
    client_data,
    endorsed,
    endorsement_of,
    enrolled,
    enrolling,
    revoking,
)
from tests.unit.protocol.authenticator import cluster as founding
from tests.unit.protocol.test_chain import enrol, key_of, text_of

PLAN = b'{"plan":"promote n2"}'
KEY, BENS = SoftAuthenticator(), SoftAuthenticator("EdDSA", identity=b"bens")
ONE = founding()
TWO = changed(ONE, enrolling(KEY))
THREE = changed(TWO, enrolling(BENS, "ben"))
GONE = changed(THREE, revoking(KEY))


def person(cluster: Cluster, name: str = "ana") -> Operator:
    """Return somebody as a version enrols them."""
    found = cluster.operator(name)
    assert found is not None
    return found


def confirms(key: SoftAuthenticator, **changes: str) -> str:
    """Return the text of a genuine confirmation of the plan, changed as told."""
    return bare_assertion(key.confirms(PLAN), **changes)


def refused(text: str, why: str, cluster: Cluster = THREE, name: str = "ana", plan: bytes = PLAN) -> None:
    """Show that a confirmation is refused, with the agent's code, for this reason."""
    with pytest.raises(AssertionInvalid, match=why) as error:
        confirmation.verify(cluster, person(cluster, name), text, plan)
    assert (error.value.code, error.value.executed) == ("kernel.signature-invalid", "not executed")


# Changes --------------------------------------------------------------------------------------------------------------


def test_version_one_enrols_no_authenticator_and_a_later_one_keeps_what_it_has() -> None:
    """Enrolled is kept through every other change, byte for byte; revoked is kept too."""
    assert ONE.enrolled == ()
    later = changed(GONE, enrol("zoe"))
    assert [(each.person, each.revoked) for each in later.enrolled] == [("ana", True), ("ben", False)]
    assert chained(ONE, map(text_of, (TWO, THREE, GONE, later))).newest == later
    assert TWO.operators == ONE.operators


def test_a_document_with_another_key_than_its_change_names_is_no_version() -> None:
    """Nothing is enrolled beside the change: a key put into the document, or a revocation left out, is refused."""
    stranger = replace(TWO.enrolled[0], public_key=THREE.enrolled[1].public_key)
    for forged in (
        replace(TWO, authenticators=(stranger,)),
        replace(TWO, authenticators=(*TWO.enrolled, replace(stranger, credential="AAAA"))),
        replace(TWO, authenticators=()),
    ):
        with pytest.raises(VersionRefused, match="not what its change makes"):
            opened(ONE, text_of(forged))
    with pytest.raises(VersionRefused, match="not what its change makes"):
        opened(THREE, text_of(replace(GONE, authenticators=THREE.enrolled)))


SAME_KEY = SoftAuthenticator(identity=b"another id", key=KEY.private)
SAME_ID = SoftAuthenticator("EdDSA", identity=KEY.identity)
WEAK = SoftAuthenticator(key=rsa.generate_private_key(65_537, 1024), identity=b"weak")  # noqa: S505
CURVE = SoftAuthenticator(key=ec.generate_private_key(ec.SECP256K1()), identity=b"curve")
NEW = SoftAuthenticator("RS256", identity=b"new")
OBSERVER = replace(ONE, operators=(*ONE.operators, Operator(name="eve", role=Role.OBSERVER)))


def enrolling_text(after: str, before: str = "") -> Change:
    """Return a change that says it enrols an authenticator of ana's so."""
    return Change(kind="enrol-authenticator", name="ana", before=before, after=after)


def key_text(key: SoftAuthenticator) -> str:
    """Return an authenticator's public key as the library has it, sound or not."""
    return enrolled(key).public_key


UNMADE: list[tuple[Cluster, Change, str]] = [
        (ONE, enrolling(NEW, "nobody"), "nobody of the name"),
        (OBSERVER, enrolling(NEW, "eve"), "only operators confirm"),
        (changed(ONE, Change(kind="revoke", name="ben", before="operator", after="revoked")), enrolling(NEW, "ben"),
         "ben is revoked"),
        (replace(ONE, web="", web_origin=""), enrolling(NEW), "no admin UI"),
        (TWO, enrolling(KEY), "credential is enrolled already, as that of ana"),
        (TWO, enrolling(KEY, "ben"), "credential is enrolled already, as that of ana"),
        (TWO, enrolling(SAME_KEY), "key is enrolled already, as that of ana"),
        (TWO, enrolling(SAME_KEY, "ben"), "key is enrolled already, as that of ana"),
        (TWO, enrolling(SAME_ID, "ben"), "credential is enrolled already"),
        (GONE, enrolling(KEY), "credential was enrolled, and is revoked"),
        (GONE, enrolling(SAME_KEY), "key was enrolled, and is revoked"),
        (GONE, enrolling(SAME_ID, "ben"), "credential was enrolled, and is revoked"),
        (ONE, enrolling(WEAK), "unsound"),
        (ONE, enrolling(CURVE), "none of ES256"),
        (ONE, enrolling_text(f"new {key_text(NEW)[:-4]} unknown"), "cannot be enrolled: "),
        (ONE, enrolling_text(f"bmV {key_text(NEW)} unknown"), "base64url"),
        (ONE, enrolling_text(f"bmV3= {key_text(NEW)} unknown"), "base64url"),
        (ONE, enrolling_text(f"{'A' * 2000} {key_text(NEW)} unknown"), "longer than"),
        (ONE, enrolling_text(f"bmV3 {key_text(NEW)}"), "one form"),
        (ONE, enrolling_text(f"bmV3 {key_text(NEW)} perhaps"), "one form"),
        (ONE, enrolling_text(f" {key_text(NEW)} unknown"), "one form"),
        (ONE, enrolling_text(f"bmV3  {key_text(NEW)} unknown"), "one form"),
        (ONE, enrolling_text(f"bmV3 {key_text(NEW)} unknown "), "one form"),
        (ONE, enrolling_text(enrolling(NEW).after, before="bmV3"), "nothing before"),
        (ONE, enrolling_text(""), "one form"),
        (TWO, revoking(KEY, "ben"), "ben has no authenticator"),
        (TWO, revoking(NEW), "ana has no authenticator"),
        (ONE, revoking(KEY), "ana has no authenticator"),
        (GONE, revoking(KEY), "revoked already"),
        (TWO, Change(kind="revoke-authenticator", name="ana", before=KEY.credential, after=""), "the change says"),
        (TWO, revoking(KEY, "nobody"), "nobody of the name"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "change", "why"), UNMADE)
def test_what_cannot_be_enrolled_or_revoked_is_refused(before: Cluster, change: Change, why: str) -> None:
    """Nobody's, an observer's, twice, under another id or name, unsound, in a second form: no such version is made."""
    with pytest.raises(ChangeRefused, match=why) as error:
        changed(before, change)
    assert (error.value.code, error.value.executed) == ("input.change-refused", "not executed")


def test_an_authenticator_of_who_is_no_operator_any_more_can_still_be_revoked() -> None:
    """It may come back to power with its person, so it can be ended while it has none."""
    less = changed(TWO, Change(kind="re-role", name="ana", before="operator", after="auditor"))
    assert changed(less, revoking(KEY)).enrolled[0].revoked


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(["ana", "ben", "eve"]), st.booleans()), max_size=10))
def test_no_credential_and_no_key_is_ever_two_authenticators(drawn: list[tuple[str, str, bool]]) -> None:
    """After any changes each credential and each key stands once, nothing vanished, and nothing revoked came back."""
    now = ONE
    for kind, name, ends in drawn:
        change = (revoking if ends else enrolling)(SoftAuthenticator(kind, identity=kind.encode()), name)
        before = now
        try:
            now = changed(now, change)
        except ChangeRefused:
            continue
        for part in ("credential", "public_key"):
            found = [getattr(each, part) for each in now.enrolled]
            assert len(set(found)) == len(found)
        after = {each.credential: each for each in now.enrolled}
        assert all(after[each.credential] in {each, replace(each, revoked=True)} for each in before.enrolled)


def test_what_an_enrolment_says_reads_back_and_is_said_in_words() -> None:
    """One form each way; a person reads whose it is, its short name, and its key's fingerprint."""
    each = TWO.enrolled[0]
    assert read_enrolment("ana", enrolment_text(each.credential, each.public_key, each.copies)) == each
    assert said(enrolling(KEY)).startswith("enrols the authenticator ")
    assert said(enrolling(KEY)).endswith(" of ana")
    assert "SHA256:" in said(enrolling(KEY))
    assert said(revoking(KEY)) == f"revokes the authenticator {said(enrolling(KEY)).split()[3].rstrip(',')} of ana"


# Confirmations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_enrolled_authenticator_confirms_by_the_configuration_alone(kind: str) -> None:
    """Each kind of key; nothing but the assertion is shown, and the key is the configuration's."""
    key = SoftAuthenticator(kind, identity=kind.encode(), counter=6)
    cluster = changed(ONE, enrolling(key))
    found = confirmation.verify(cluster, person(cluster), confirms(key), PLAN)
    assert (found.method, found.proof) == ("webauthn", Proof(touch=True, verified=True, counter=7))


def test_an_endorsement_counts_for_nothing_under_a_later_version() -> None:
    """Genuine, of this very credential, by its owner's SSH key: not even beside an enrolment of it."""
    text = assertion_of(KEY.confirms(PLAN), endorsed(endorsement_of(KEY)))
    assert confirmation.verify(ONE, person(ONE), text, PLAN).proof.verified
    refused(text, "rests on an endorsement", TWO)
    refused(text, "rests on an endorsement", changed(ONE, enrol("zoe")))
    stranger = SoftAuthenticator(identity=b"strange")
    refused(assertion_of(stranger.confirms(PLAN), endorsed(endorsement_of(stranger))), "rests on an endorsement", TWO)


def test_an_enrolment_counts_for_nothing_under_version_one() -> None:
    """Version 1 stays what it was when it was released."""
    refused(confirms(KEY), "version 1 of the configuration enrols none", ONE)


def test_only_ones_own_enrolled_and_unrevoked_authenticator_confirms() -> None:
    """Not another person's, not one that nobody enrolled, not a revoked one; before the revocation it did."""
    refused(confirms(BENS), "is ben's, not ana's")
    refused(confirms(KEY), "is ana's, not ben's", name="ben")
    refused(confirms(NEW), "has no authenticator")
    assert confirmation.verify(THREE, person(THREE), confirms(KEY), PLAN).proof.touch
    refused(confirms(KEY), "is revoked in version 4", GONE)
    assert confirmation.verify(GONE, person(GONE, "ben"), confirms(BENS), PLAN).proof.touch


def test_what_names_one_credential_and_is_signed_by_another_is_refused() -> None:
    """Whichever way round, and though both are enrolled: the key is that of the credential that is named."""
    refused(confirms(BENS, credential=KEY.credential), "not the credential's")
    refused(confirms(KEY, credential=BENS.credential), "not the credential's", name="ben")
    refused(confirms(SAME_KEY), "has no authenticator")
    refused(confirms(KEY, credential=""), "has no authenticator")


def test_an_authenticator_of_another_origin_or_plan_confirms_nothing() -> None:
    """Origin and relying party are the configuration's; the challenge is the plan's."""
    said_elsewhere = client_data("webauthn.get", webauthn.challenge_of(PLAN), "http://localhost:7408")
    refused(bare_assertion(KEY.asserts(said_elsewhere)), "origin")
    elsewhere = hashlib.sha256(b"evil.example").digest() + KEY.data()[32:]
    genuine = client_data("webauthn.get", webauthn.challenge_of(PLAN), ORIGIN)
    refused(bare_assertion(KEY.asserts(genuine, elsewhere)), "relying party")
    refused(confirms(KEY), "challenge", plan=PLAN + b" ")


def test_a_second_form_is_refused() -> None:
    """One document, one form: nothing beside it, nothing twice, no other kind or version."""
    text = confirms(KEY)
    for other in (
        text + " ",
        text.replace('"format":2', '"format":3'),
        text.replace('"webauthn"', '"assertion"'),
        text.replace('{"', '{"a":"b","', 1),
        text.replace('"format":2', '"endorsement":"","endorsement_signature":"","format":2'),
        "{}",
        "{",
        '{"format":2}',
        "{\ud800",
    ):
        refused(other, "malformed|rests on an endorsement")


def test_a_re_keyed_person_keeps_their_authenticators_and_a_revoked_one_loses_them() -> None:
    """By the same document: what an authenticator proves does not rest on the SSH key any more."""
    again = changed(TWO, Change(kind="re-key", name="ana", before=person(TWO).ssh_key, after=key_of("anew")))
    assert confirmation.verify(again, person(again), confirms(KEY), PLAN).proof.touch
    assert again.enrolled == TWO.enrolled


def test_a_later_assertion_is_no_assertion_of_then() -> None:
    """What release 0.1.0 wrote reads as it did, and loses what it brought along when it is read as a later one."""
    old = canonical.decode(assertion_of(KEY.confirms(PLAN), ("text", "signature")).encode(), webauthn.LaterAssertion)
    assert old.credential == KEY.credential
    assert webauthn.credential_of(confirms(KEY)) == KEY.credential
    assert webauthn.credential_of("-----BEGIN SSH SIGNATURE-----") == ""
