"""Public keys: what is read, and what is refused before anything that it signs is believed."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from aerodb.protocol import sshkey, sshwire
from aerodb.protocol.sshkey import KeyMalformed, KeyWeak, SshKey
from tests.unit.protocol.signers import (
    FILE_KINDS,
    SECURITY_KINDS,
    SecurityKey,
    blob,
    ed25519_key,
    file_key,
    rsa_key,
    ssh_key,
)

P = 2**255 - 19
Y8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
CANONICAL_TORSION = [0, 1, P - 1, Y8, P - Y8]
NONCANONICAL = [P + excess for excess in range(19)]
ED25519_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDUKiC5Cj26xITrSaegTViMZzretIDwySvrVAIpRRBy3"


def _line(algorithm: str, content: bytes) -> str:
    return f"{algorithm} {base64.b64encode(content).decode()}"


def test_a_line_is_read_as_ssh_keygen_wrote_it() -> None:
    """A `.pub` line yields its algorithm and comment, and the fingerprint that `ssh-keygen -l` prints."""
    key = sshkey.parse_line(f"{ED25519_LINE} ana@example.org at home\n")
    assert (key.algorithm, key.comment, key.touch) == ("ssh-ed25519", "ana@example.org at home", False)
    assert key.fingerprint == "SHA256:DCpd5jS70iqrlznyTd/iK0WnbLwF7BQd+3Vgc6dbRiM"
    assert key.line == f"{ED25519_LINE} ana@example.org at home"


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_every_accepted_kind_is_accepted(kind: str) -> None:
    """A key of each allowed kind is read back from its own line, and judged sound."""
    key = ssh_key(kind)
    assert sshkey.parse_line(key.line) == key
    sshkey.refuse_weak(key)


@pytest.mark.parametrize("algorithm", SECURITY_KINDS)
def test_security_keys_are_accepted_and_known_as_such(algorithm: str) -> None:
    """A security key is sound, and says that its signatures prove a touch."""
    key = SecurityKey(algorithm).key
    assert sshkey.parse_line(key.line) == key
    assert key.touch
    assert sshkey.sound(key).application == "ssh:"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        ED25519_LINE.removeprefix("ssh-ed25519 "),
        f"no-pty {ED25519_LINE}",
        ED25519_LINE.replace("ssh-ed25519", "ssh-rsa"),
        ED25519_LINE.replace("ssh-ed25519 ", "ssh-ed25519  "),
        f"{ED25519_LINE}\n{ED25519_LINE}",
        f"{ED25519_LINE} a\x00b",
        f"{ED25519_LINE} \u202egro.elpmaxe",
        f"{ED25519_LINE} {'x' * 16384}",
        _line("ssh-ed25519", b"\x00\x00\x00\xffssh-ed25519"),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AB==",
        "ssh-ed25519 \u00e4\u00e4\u00e4\u00e4",
    ],
)
def test_a_line_that_is_no_key_is_malformed(line: str) -> None:
    """Options, two lines, wrong names, bad base64, bytes that cannot be shown: no key is read from them."""
    with pytest.raises(KeyMalformed):
        sshkey.parse_line(line)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text brings the reader to any other error than its own."""
    try:
        sshkey.parse_line(f"ssh-ed25519 {text}")
        sshkey.parse_line(text)
    except KeyMalformed:
        pass


@given(st.sampled_from(sshkey.ALLOWED), st.binary(max_size=200))
def test_any_content_is_judged_or_refused(algorithm: str, content: bytes) -> None:
    """No content brings the judgement to any other answer than sound or weak, and chance makes no sound key."""
    with pytest.raises(KeyWeak):
        sshkey.refuse_weak(SshKey(algorithm, blob(algorithm.encode()) + content))


@pytest.mark.parametrize("y", [*CANONICAL_TORSION, *NONCANONICAL])
@pytest.mark.parametrize("sign", [0, 1])
def test_points_of_small_order_and_second_encodings_are_refused(y: int, sign: int) -> None:
    """All eight torsion points, with either sign, and every encoding at or above the prime, are refused."""
    with pytest.raises(KeyWeak, match=r"small order|canonical"):
        sshkey.refuse_weak(ed25519_key((y | sign << 255).to_bytes(32, "little")))


@given(st.binary(min_size=32, max_size=32))
def test_points_are_on_the_curve_exactly_where_an_independent_decoder_says_so(point: bytes) -> None:
    """The judgement of a point agrees with solving the curve's equation for x as RFC 8032 section 5.1.3 does."""
    y = int.from_bytes(point, "little") & (2**255 - 1)
    d = 37095705934669439343138083508754565189542113879843219016388785533085940283555
    u, v = (y * y - 1) % P, (d * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    exists = y < P and y not in CANONICAL_TORSION and v * x * x % P in (u, P - u)
    try:
        sshkey.refuse_weak(ed25519_key(point))
    except KeyWeak:
        assert not exists
    else:
        assert exists


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_ed25519_keys_have_32_bytes(length: int) -> None:
    """An Ed25519 key of any other length is refused."""
    with pytest.raises(KeyWeak, match="32 bytes"):
        sshkey.refuse_weak(ed25519_key(b"\x02" * length))


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_trailing_bytes_are_refused(kind: str) -> None:
    """A key with one byte more is another blob for the same key, and refused."""
    key = ssh_key(kind)
    with pytest.raises(KeyWeak, match="trail"):
        sshkey.refuse_weak(SshKey(key.algorithm, key.blob + b"\x00"))


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_truncated_keys_are_refused(kind: str) -> None:
    """A key with any number of bytes missing at its end is refused."""
    key = ssh_key(kind)
    for length in range(len(key.blob)):
        with pytest.raises(KeyWeak):
            sshkey.refuse_weak(SshKey(key.algorithm, key.blob[:length]))


@pytest.mark.parametrize("algorithm", ["ssh-dss", "ssh-rsa-cert-v01@openssh.com", "rsa-sha2-512", "none", ""])
def test_other_algorithms_are_refused(algorithm: str) -> None:
    """DSA, certificates, and names that are no key's are read where they have a form, and refused."""
    key = SshKey(algorithm, blob(algorithm.encode(), b"\x02" * 32))
    with pytest.raises(KeyWeak, match="not accepted"):
        sshkey.refuse_weak(key)


def test_short_rsa_is_refused() -> None:
    """RSA with 2048 bits, sound in itself, is refused for its length."""
    public = rsa.generate_private_key(65537, 2048).public_key()
    with pytest.raises(KeyWeak, match="2048 bits"):
        sshkey.refuse_weak(sshkey.of_public(public))


@pytest.mark.parametrize("exponent", [0, 1, 3, 35, 65535, 65536, 65538, 2**64 + 1])
def test_rsa_exponents_must_be_odd_and_large_enough(exponent: int) -> None:
    """An exponent below 65537, even, or longer than OpenSSL verifies with is refused."""
    with pytest.raises(KeyWeak, match="exponent"):
        sshkey.refuse_weak(rsa_key(exponent, 2**3072 - 1))


@pytest.mark.parametrize(
    ("bits", "lowest", "message"),
    [(0, 0, "1 bits"), (3070, 1, "3071 bits"), (3071, 0, "even"), (16384, 1, "16385 bits")],
)
def test_rsa_moduli_must_be_odd_and_of_a_fitting_length(bits: int, lowest: int, message: str) -> None:
    """A modulus that is even, too short or too long is refused."""
    with pytest.raises(KeyWeak, match=message):
        sshkey.refuse_weak(rsa_key(65537, 2**bits | lowest))


@pytest.mark.parametrize("number", [b"\x00\x01\x00\x01", b"\x81\x00\x01", b"\x00"])
def test_integers_have_one_encoding(number: bytes) -> None:
    """A padded or a negative RSA exponent is refused: the same key would have two blobs."""
    content = blob(b"ssh-rsa", number) + sshwire.mpint(2**3072 - 1)
    with pytest.raises(KeyWeak, match="shortest"):
        sshkey.refuse_weak(SshKey("ssh-rsa", content))


@pytest.mark.parametrize(
    ("curve", "point"),
    [
        (b"nistp256", b"\x04" + b"\x01" * 64),
        (b"nistp256", b"\x04" + b"\x00" * 64),
        (b"nistp256", b"\x00"),
        (b"nistp256", b""),
        (b"nistp256", b"\x02" + b"\x01" * 32),
        (b"nistp384", b"\x04" + b"\x01" * 96),
        (b"nistp521", b"\x04" + b"\x01" * 132),
    ],
)
def test_ec_points_off_the_curve_are_refused(curve: bytes, point: bytes) -> None:
    """The point at infinity, a compressed point, and a point that is on no curve are refused."""
    algorithm = f"ecdsa-sha2-{curve.decode()}"
    with pytest.raises(KeyWeak, match="point"):
        sshkey.refuse_weak(SshKey(algorithm, blob(algorithm.encode(), curve, point)))


def test_a_key_of_one_curve_under_the_name_of_another_is_refused() -> None:
    """The algorithm, the curve's name and the point must agree."""
    key = ssh_key("nistp384")
    content = key.blob.replace(b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp256")
    with pytest.raises(KeyWeak, match="curve"):
        sshkey.refuse_weak(SshKey("ecdsa-sha2-nistp256", content))
    with pytest.raises(KeyWeak, match="algorithm"):
        sshkey.refuse_weak(SshKey("ecdsa-sha2-nistp256", key.blob))


@pytest.mark.parametrize("kind", ["nistp256", "nistp384", "nistp521"])
def test_a_sound_point_has_one_encoding(kind: str) -> None:
    """The key's own point, compressed, or under another curve's name, would be a second blob for it: refused."""
    public = file_key(kind).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    name = f"ecdsa-sha2-{kind}".encode()
    for curve, form in ((kind, PublicFormat.CompressedPoint), ("nistp999", PublicFormat.UncompressedPoint)):
        content = blob(name, curve.encode(), public.public_bytes(Encoding.X962, form))
        with pytest.raises(KeyWeak, match=r"uncompressed|names the curve"):
            sshkey.refuse_weak(SshKey(name.decode(), content))


@pytest.mark.parametrize("algorithm", SECURITY_KINDS)
@pytest.mark.parametrize("application", ["", "https://example.org", "webauthn"])
def test_security_keys_must_be_for_ssh(algorithm: str, application: str) -> None:
    """A security key that a web page could ask to sign is no key for plans."""
    with pytest.raises(KeyWeak, match="not SSH"):
        sshkey.refuse_weak(SecurityKey(algorithm, application).key)


def test_a_curve_that_ssh_does_not_have_is_refused() -> None:
    """A private key with no SSH form is weak, not an internal error."""
    with pytest.raises(KeyWeak, match="no SSH form"):
        sshkey.of_public(ec.derive_private_key(5, ec.SECP256K1()).public_key())


@given(st.integers(0, 2**4100))
def test_integers_survive_the_wire(value: int) -> None:
    """Every integer reads back as itself, and nothing trails."""
    reader = sshwire.WireReader(sshwire.mpint(value))
    assert reader.mpint() == value
    reader.end()


def test_file_keys_are_stable_within_a_run() -> None:
    """The tests' keys are made once, so that tests may compare them."""
    assert file_key("rsa") is file_key("rsa")
