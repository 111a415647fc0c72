"""SSHSIG: one signature proves one thing, and nothing near it."""

import base64
from collections.abc import Callable
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aerodb.protocol import sshkey, sshsig, sshwire
from aerodb.protocol.sshkey import SshKey
from aerodb.protocol.sshsig import Proof, SshsigInvalid
from tests.unit.protocol.signers import (
    FILE_KINDS,
    SECURITY_KINDS,
    TOUCHED,
    VERIFIED,
    SecurityKey,
    blob,
    ed25519_key,
    file_key,
    ssh_key,
)

DATA = b'{"plan":"promote n2"}'
FAST_KINDS = [kind for kind in FILE_KINDS if kind != "rsa"]


@cache  # ECDSA draws a number for each signature; a test that is run again must meet the same bytes.
def _signed(kind: str) -> tuple[str, SshKey]:
    """Return an armored signature over DATA by a key of any kind, and that key."""
    if kind in SECURITY_KINDS:
        return SecurityKey(kind).sign(DATA, TOUCHED), SecurityKey(kind).key
    return sshsig.sign_with_key(file_key(kind), DATA), ssh_key(kind)


def _content(armor: str) -> bytes:
    return base64.b64decode("".join(armor.splitlines()[1:-1]))


def _envelope(**changes: bytes) -> str:
    """Return the armor of a valid Ed25519 signature with some of its parts replaced."""
    signature = _ed25519_signature(changes.get("namespace", b"plan@aerodb"))
    parts = {
        "magic": b"SSHSIG",
        "version": sshwire.uint32(1),
        "key": ssh_key("ed25519").blob,
        "namespace": b"plan@aerodb",
        "reserved": b"",
        "hash": b"sha512",
        "signature": signature,
        "trailing": b"",
    } | changes
    strings = (parts[name] for name in ("key", "namespace", "reserved", "hash", "signature"))
    return sshsig._armor(parts["magic"] + parts["version"] + blob(*strings) + parts["trailing"])


def _ed25519_signature(namespace: bytes) -> bytes:
    """Return the Ed25519 key's signature over DATA in a namespace, as a signature blob."""
    key = file_key("ed25519")
    assert isinstance(key, Ed25519PrivateKey)
    raw = key.sign(sshsig.to_be_signed(DATA, namespace.decode()))
    return blob(b"ssh-ed25519", raw)


def test_the_signed_bytes_are_those_of_the_protocol() -> None:
    """What is signed is the preamble, the namespace, nothing reserved, the hash's name, the hash."""
    expected = b"SSHSIG" + blob(b"plan@aerodb", b"", b"sha512")
    assert sshsig.to_be_signed(DATA).startswith(expected)
    assert len(sshsig.to_be_signed(DATA)) == len(expected) + 4 + 64


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_a_signature_verifies(kind: str) -> None:
    """A key's signature over the data verifies, and proves no touch."""
    armor, key = _signed(kind)
    assert sshsig.verify(armor, DATA, key) == Proof()


@pytest.mark.parametrize("kind", SECURITY_KINDS)
@pytest.mark.parametrize("flags", [TOUCHED, TOUCHED | VERIFIED])
def test_a_touched_security_key_proves_its_touch(kind: str, flags: int) -> None:
    """The flags and the counter that a security key signed are what the proof says."""
    armor = SecurityKey(kind).sign(DATA, flags, counter=7)
    proof = sshsig.verify(armor, DATA, SecurityKey(kind).key)
    assert proof == Proof(touch=True, verified=bool(flags & VERIFIED), counter=7)


@pytest.mark.parametrize("kind", SECURITY_KINDS)
@pytest.mark.parametrize("flags", [0, VERIFIED])
def test_a_security_key_that_was_not_touched_is_refused(kind: str, flags: int) -> None:
    """A perfectly valid signature that nobody touched the key for is refused."""
    with pytest.raises(SshsigInvalid, match="not touched"):
        sshsig.verify(SecurityKey(kind).sign(DATA, flags), DATA, SecurityKey(kind).key)


@pytest.mark.parametrize("kind", SECURITY_KINDS)
def test_a_touch_cannot_be_claimed_afterwards(kind: str) -> None:
    """Setting the flag of touch in an untouched signature makes it a signature over other bytes."""
    content = bytearray(_content(SecurityKey(kind).sign(DATA, 0)))
    content[-5] |= TOUCHED
    with pytest.raises(SshsigInvalid, match="not over these bytes"):
        sshsig.verify(sshsig._armor(bytes(content)), DATA, SecurityKey(kind).key)


@given(st.sampled_from([*FILE_KINDS, *SECURITY_KINDS]), st.data())
def test_any_changed_byte_of_the_content_is_refused(kind: str, data: st.DataObject) -> None:
    """No byte of the signature, inside its armor, can be changed."""
    armor, key = _signed(kind)
    content = bytearray(_content(armor))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SshsigInvalid):
        sshsig.verify(sshsig._armor(bytes(content)), DATA, key)


@given(st.sampled_from([*FAST_KINDS, *SECURITY_KINDS]), st.data())
def test_any_changed_character_of_the_armor_is_refused(kind: str, data: st.DataObject) -> None:
    """No character of the armor can be changed, left out or put in: one signature has one text."""
    armor, key = _signed(kind)
    position = data.draw(st.integers(0, len(armor) - 1))
    character = data.draw(st.characters().filter(lambda drawn: drawn != armor[position]))
    for changed in (
        armor[:position] + character + armor[position + 1 :],
        armor[:position] + armor[position + 1 :],
        armor[:position] + character + armor[position:],
    ):
        with pytest.raises(SshsigInvalid):
            sshsig.verify(changed, DATA, key)


@given(st.sampled_from([*FAST_KINDS, *SECURITY_KINDS]), st.binary().filter(lambda drawn: drawn != DATA))
def test_other_data_is_refused(kind: str, other: bytes) -> None:
    """A signature is over its own bytes and no others."""
    armor, key = _signed(kind)
    with pytest.raises(SshsigInvalid, match="not over these bytes"):
        sshsig.verify(armor, other, key)


@given(st.text())
def test_any_text_as_a_signature_is_refused(text: str) -> None:
    """No text brings the reader to any other error than its own."""
    for armor in (text, f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n"):
        with pytest.raises(SshsigInvalid):
            sshsig.verify(armor, DATA, ssh_key("ed25519"))


@given(st.binary(max_size=300))
def test_any_signature_blob_is_refused(signature: bytes) -> None:
    """No signature within a sound envelope brings the reader to any other error than its own."""
    for key in (ssh_key("ed25519"), ssh_key("nistp256"), ssh_key("rsa"), SecurityKey(sshkey.ECDSA_SK).key):
        for raw in (signature, blob(key.algorithm.encode(), signature), blob(b"rsa-sha2-512", signature)):
            with pytest.raises(SshsigInvalid):
                sshsig.verify(sshsig.armored(key.blob, raw), DATA, key)


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_another_key_is_named(kind: str) -> None:
    """A valid signature by somebody else is refused as such."""
    armor, _ = _signed(kind)
    with pytest.raises(SshsigInvalid, match="another key"):
        sshsig.verify(armor, DATA, ed25519_key(b"\x58" + b"\x66" * 31))


def test_the_carried_key_is_not_believed() -> None:
    """A signature by another key that merely carries the expected key's blob is refused."""
    other = sshkey.of_public(Ed25519PrivateKey.from_private_bytes(b"\x08" * 32).public_key())
    armor = sshsig.armored(other.blob, _ed25519_signature(b"plan@aerodb"))
    with pytest.raises(SshsigInvalid, match="not over these bytes"):
        sshsig.verify(armor, DATA, other)


def test_another_namespace_is_named() -> None:
    """A signature that the same key made over the same bytes for another purpose is refused."""
    armor = _envelope(namespace=b"git")
    with pytest.raises(SshsigInvalid, match="namespace 'git'"):
        sshsig.verify(armor, DATA, ssh_key("ed25519"))
    assert sshsig.verify(armor, DATA, ssh_key("ed25519"), namespace="git") == Proof()
    mislabelled = _envelope(signature=_ed25519_signature(b"git"))
    with pytest.raises(SshsigInvalid, match="not over these bytes"):
        sshsig.verify(mislabelled, DATA, ssh_key("ed25519"))


def _wrapped_at_76(armor: str) -> str:
    text = base64.b64encode(_content(armor)).decode()
    lines = [text[start : start + 76] for start in range(0, len(text), 76)]
    return "\n".join([armor.splitlines()[0], *lines, armor.splitlines()[-1], ""])


@pytest.mark.parametrize(
    "change",
    [
        lambda armor: armor[:0],
        lambda armor: armor + "\n",
        lambda armor: " " + armor,
        lambda armor: armor.rstrip("\n"),
        lambda armor: armor.replace("\n", "\r\n"),
        lambda armor: armor.replace("\n", ""),
        lambda armor: armor.replace("BEGIN", "begin"),
        lambda armor: armor + armor,
        lambda armor: armor.replace("\n", "\n\n", 1),
        lambda armor: armor.replace("\n", "\n" + "A" * 40_000, 1),
        _wrapped_at_76,
    ],
)
def test_the_armor_is_exact(change: Callable[[str], str]) -> None:
    """White space, other wrapping, two signatures in one text: refused, though the content might be sound."""
    armor = sshsig.sign_with_key(file_key("ed25519"), DATA)
    with pytest.raises(SshsigInvalid, match="malformed"):
        sshsig.verify(change(armor), DATA, ssh_key("ed25519"))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("magic", b"SSHSIX", "not an SSHSIG"),
        ("version", sshwire.uint32(0), "version 0"),
        ("version", sshwire.uint32(2), "version 2"),
        ("reserved", b"x", "reserved"),
        ("hash", b"sha1", "'sha1'"),
        ("hash", b"SHA512", "'SHA512'"),
        ("hash", b"", "''"),
        ("trailing", b"\x00", "trail"),
        ("trailing", b"\x00" * 32768, "longer than"),
        ("key", b"", "another key"),
        ("signature", b"", "malformed"),
        ("signature", blob(b"ssh-ed25519", b"\x00" * 64) + b"\x00", "trail"),
        ("signature", blob(b"ssh-ed25519", b"\x00" * 63), "not over these bytes"),
        ("signature", blob(b"ecdsa-sha2-nistp256", b"\x00" * 64), "the key is ssh-ed25519"),
    ],
)
def test_each_part_of_the_envelope_is_judged(part: str, value: bytes, message: str) -> None:
    """Each part has one right value, and the refusal says which part is wrong."""
    with pytest.raises(SshsigInvalid, match=message):
        sshsig.verify(_envelope(**{part: value}), DATA, ssh_key("ed25519"))


@pytest.mark.parametrize("kind", ["nistp256", "nistp384", "nistp521"])
def test_ecdsa_numbers_have_nothing_behind_them(kind: str) -> None:
    """A byte behind the two numbers of an ECDSA signature makes it another text for the same signature: refused."""
    reader = sshwire.WireReader(sshsig._read(_signed(kind)[0]).signature_blob)
    name, raw = reader.string(), reader.string()
    with pytest.raises(SshsigInvalid, match="trail"):
        sshsig.verify(sshsig.armored(ssh_key(kind).blob, blob(name, raw + b"\x00")), DATA, ssh_key(kind))


@pytest.mark.parametrize("name", [b"ssh-rsa", b"rsa-sha2-256", b"rsa-sha2-512", b"ssh-ed25519"])
def test_rsa_with_sha_1_is_refused(name: bytes) -> None:
    """An RSA signature made with SHA-1 is refused, under its own name and under every other."""
    key = file_key("rsa")
    assert isinstance(key, rsa.RSAPrivateKey)
    raw = key.sign(sshsig.to_be_signed(DATA), padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - That is the point.
    armor = sshsig.armored(ssh_key("rsa").blob, blob(name, raw))
    with pytest.raises(SshsigInvalid, match="SHA-1" if name == b"ssh-rsa" else "not over|the key is RSA"):
        sshsig.verify(armor, DATA, ssh_key("rsa"))


def test_an_unsound_key_verifies_nothing() -> None:
    """For the neutral point of Ed25519 anybody can make a signature over anything; none is believed."""
    neutral = b"\x01" + b"\x00" * 31
    forged = blob(b"ssh-ed25519", neutral + b"\x00" * 32)
    key = ed25519_key(neutral)
    with pytest.raises(SshsigInvalid, match="unsound"):
        sshsig.verify(sshsig.armored(key.blob, forged), DATA, key)


def test_a_weak_key_signs_nothing() -> None:
    """A short RSA key is refused before it signs, so that its owner learns of it."""
    with pytest.raises(sshkey.KeyWeak, match="2048 bits"):
        sshsig.sign_with_key(rsa.generate_private_key(65537, 2048), DATA)
