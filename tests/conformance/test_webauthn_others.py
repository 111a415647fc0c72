"""Our verifier of assertions, and others' programs: py_webauthn, OpenSSH, the word list's reference implementation.

Ours is the stricter: what it accepts, py_webauthn accepts. Where the specification leaves no choice, both say the same.
"""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mnemonic import Mnemonic
from webauthn import verify_authentication_response
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException

from aerodb.protocol import sshsig, webauthn
from aerodb.protocol.sshsig import CREDENTIAL_NAMESPACE, NAMESPACE
from aerodb.protocol.webauthn import AssertionInvalid
from aerodb.protocol.wordlist import WORDS
from aerodb.protocol.words import words_of
from tests.unit.protocol.authenticator import (
    GOOD,
    KINDS,
    ORIGIN,
    SoftAuthenticator,
    ana,
    assertion_of,
    client_data,
    cluster,
    cose_key,
    endorsed,
    endorsement_of,
)
from tests.unit.protocol.signers import file_key, ssh_key

PLANS = st.binary(min_size=1, max_size=200)
KEYS = {kind: SoftAuthenticator(kind) for kind in KINDS}
ENDORSED = {kind: endorsed(endorsement_of(key)) for kind, key in KEYS.items()}


def ours(kind: str, response: str, plan: bytes) -> bool:
    """Tell whether our verifier accepts a browser's response as a confirmation of a plan."""
    try:
        webauthn.verify(assertion_of(response, ENDORSED[kind]), plan, cluster(), ana())
    except AssertionInvalid:
        return False
    return True


def theirs(kind: str, response: str, plan: bytes) -> bool:
    """Tell whether py_webauthn accepts it."""
    try:
        verify_authentication_response(
            credential=response,
            expected_challenge=hashlib.sha256(plan).digest(),
            expected_rp_id="localhost",
            expected_origin=ORIGIN,
            credential_public_key=cose_key(KEYS[kind].private),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError):
        return False
    return True


@given(kind=st.sampled_from(KINDS), plan=PLANS)
def test_a_genuine_assertion_is_accepted_by_both(kind: str, plan: bytes) -> None:
    """Whatever the plan, and whatever the key."""
    response = KEYS[kind].confirms(plan)
    assert ours(kind, response, plan)
    assert theirs(kind, response, plan)


@given(
    kind=st.sampled_from(KINDS),
    plan=PLANS,
    part=st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]),
    at=st.integers(min_value=0),
    bit=st.integers(0, 7),
)
def test_one_bit_changed_is_refused_by_both(kind: str, plan: bytes, part: str, at: int, bit: int) -> None:
    """Everything that the authenticator signed is as it signed it, and the signature has one form."""
    document = json.loads(KEYS[kind].confirms(plan))
    raw = bytearray(base64url_to_bytes(document["response"][part]))
    raw[at % len(raw)] ^= 1 << bit
    document["response"][part] = webauthn.to_base64url(bytes(raw))
    response = json.dumps(document)
    assert not ours(kind, response, plan)
    assert not theirs(kind, response, plan)


@given(
    kind=st.sampled_from(["ES256", "EdDSA"]),
    plan=PLANS,
    type_=st.sampled_from(["webauthn.get", "webauthn.get", "webauthn.create", "other"]),
    other_plan=st.booleans(),
    origin=st.sampled_from([ORIGIN, ORIGIN, "http://localhost:7408", "http://evil.example"]),
    rp_id=st.sampled_from(["localhost", "localhost", "evil.example"]),
    flags=st.integers(0, 7),
)
def test_signed_lies_are_judged_alike(
    kind: str, plan: bytes, type_: str, *, other_plan: bool, origin: str, rp_id: str, flags: int
) -> None:
    """Kind, challenge, origin, relying party, presence, verification: the specification leaves no choice."""
    challenge = webauthn.challenge_of(plan + b"x" if other_plan else plan)
    key = SoftAuthenticator(kind, rp_id=rp_id)
    flags &= ~0x02  # Reserved: py_webauthn ignores it.
    response = key.asserts(client_data(type_, challenge, origin), key.data(flags))
    genuine = (type_, other_plan, origin, rp_id, flags) == ("webauthn.get", False, ORIGIN, "localhost", GOOD)
    assert ours(kind, response, plan) is theirs(kind, response, plan) is genuine


@given(
    plan=PLANS,
    flags=st.integers(0, 255),
    rest=st.sampled_from([b"", b"\0", b"\xa0"]),
    more=st.dictionaries(
        st.sampled_from(["crossOrigin", "topOrigin", "tokenBinding", "x"]), st.sampled_from([True, False, None, ORIGIN])
    ),
)
def test_ours_accepts_nothing_that_theirs_refuses(plan: bytes, flags: int, rest: bytes, more: dict[str, Any]) -> None:
    """Flags, frames, extensions, bindings: where the two differ, ours refuses."""
    key = KEYS["EdDSA"]
    said = client_data("webauthn.get", webauthn.challenge_of(plan), **more)
    response = key.asserts(said, key.data(flags, rest))
    assert theirs("EdDSA", response, plan) or not ours("EdDSA", response, plan)


@pytest.mark.parametrize("kind", ["ed25519", "nistp256", "rsa"])
def test_openssh_accepts_an_endorsement_in_its_namespace_alone(tmp_path: Path, kind: str) -> None:
    """An auditor checks an endorsement with the stock ssh-keygen, and an allowed_signers file like a new cluster's."""
    text, signature = endorsed(endorsement_of(KEYS["ES256"]), file_key(kind))
    signers = tmp_path / "signers"
    signers.write_text(f'ana namespaces="{NAMESPACE},{CREDENTIAL_NAMESPACE}" {ssh_key(kind).line}\n')
    (tmp_path / "signature").write_text(signature)

    def accepts(namespace: str, data: str) -> bool:
        command = ("ssh-keygen", "-Y", "verify", "-f", signers, "-I", "ana", "-n", namespace)
        signed = (*command, "-s", tmp_path / "signature")
        return subprocess.run(signed, input=data.encode(), capture_output=True, check=False).returncode == 0

    assert accepts(CREDENTIAL_NAMESPACE, text)
    assert not accepts(NAMESPACE, text)
    assert not accepts(CREDENTIAL_NAMESPACE, text + "\n")
    assert sshsig.verify(signature, text.encode(), ssh_key(kind), CREDENTIAL_NAMESPACE) == sshsig.Proof()


def test_the_word_list_is_bip_39s() -> None:
    """Word for word, in its order."""
    assert list(WORDS) == Mnemonic("english").wordlist


@given(st.binary(min_size=32, max_size=32))
def test_digest_words_begin_the_phrase_of_bip_39(data: bytes) -> None:
    """Eight words show the same bits that the reference implementation's first eight words do."""
    phrase: str = Mnemonic("english").to_mnemonic(data)
    assert words_of(f"sha256:{data.hex()}").split() == phrase.split()[:8]
