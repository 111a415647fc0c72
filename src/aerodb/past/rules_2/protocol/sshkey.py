"""OpenSSH public keys: read from one line, and judged before anything that they sign is believed.

- A line is `algorithm base64 [comment]`, without options; the blob names the same algorithm as the line.
- A key is believed only if everything in its blob is accounted for: a known algorithm, sound parameters, no byte more.
- Ed25519 (RFC 8032) is judged here because the library only notices a bad point when it verifies, and never a point
  of small order, for which anybody can make signatures.

Pure: no I/O, no clock. Source: RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709, OpenSSH's PROTOCOL.u2f.
"""

import base64
import hashlib

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aerodb.past.rules_2.errors import AeroError
from aerodb.past.rules_2.protocol import sshwire
from aerodb.past.rules_2.protocol.base64text import from_base64

PublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey

ED25519 = "ssh-ed25519"
ED25519_SK = "sk-ssh-ed25519@openssh.com"
ECDSA_SK = "sk-ecdsa-sha2-nistp256@openssh.com"
RSA = "ssh-rsa"

LINE_LENGTH_MAX = 16384
RSA_BITS_MIN = 3072
RSA_BITS_MAX = 16384  # What OpenSSH itself allows; a longer one only makes every verification slow.
RSA_EXPONENT_MIN = 65537
RSA_EXPONENT_BITS_MAX = 64  # OpenSSL verifies nothing beyond it with a modulus of more than 3072 bits.

_CURVES: dict[str, ec.EllipticCurve] = {
    "nistp256": ec.SECP256R1(),
    "nistp384": ec.SECP384R1(),
    "nistp521": ec.SECP521R1(),
}
_ECDSA = {f"ecdsa-sha2-{name}": name for name in _CURVES} | {ECDSA_SK: "nistp256"}
ALLOWED = (ED25519, ED25519_SK, *_ECDSA, RSA)

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


class KeyMalformed(AeroError):
    """The line is not an OpenSSH public key."""

    code = "input.key-malformed"
    status = 400
    title = "This is not an OpenSSH public key"


class KeyWeak(AeroError):
    """The key is of a kind, a length or a value that proves nothing about who signed."""

    code = "input.key-weak"
    status = 400
    title = "The key is not sound enough to be trusted"


class SshKey(msgspec.Struct, frozen=True):
    """A public key that was read, not judged: its algorithm, its wire form, and what its owner called it."""

    algorithm: str
    blob: bytes
    comment: str = ""

    @property
    def touch(self) -> bool:
        """Tell whether the key lives in a security key, so that each signature says if it was touched."""
        return self.algorithm in (ED25519_SK, ECDSA_SK)

    @property
    def fingerprint(self) -> str:
        """Return "SHA256:" and the unpadded base64 digest of the blob, as `ssh-keygen -l` shows it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def line(self) -> str:
        """Return the line that `parse_line` reads as this key."""
        return f"{self.algorithm} {base64.b64encode(self.blob).decode()} {self.comment}".rstrip(" ")


class SoundKey(msgspec.Struct, frozen=True):
    """A judged key: the library's key, and for a security key the application that it signs for (else empty)."""

    public: PublicKey
    application: str


def parse_line(line: str) -> SshKey:
    """Return the key of one line, such as a `.pub` file holds; white space around it is ignored.

    Raises:
        KeyMalformed: not one line of algorithm, base64 and comment, or the blob is of another algorithm.
    """
    text = line.strip(" \t\r\n")
    if len(text) > LINE_LENGTH_MAX or not text.isprintable():
        raise KeyMalformed("a public key is one line of printable text", field="ssh_key")
    algorithm, _, rest = text.partition(" ")
    encoded, _, comment = rest.partition(" ")
    blob = _from_base64(encoded)
    if algorithm_of(blob) != algorithm:
        raise KeyMalformed(f"the line says {algorithm}, and its content is something else", field="ssh_key")
    return SshKey(algorithm=algorithm, blob=blob, comment=comment.strip(" "))


def _from_base64(encoded: str) -> bytes:
    try:
        return from_base64(encoded)
    except ValueError as error:
        raise KeyMalformed("the second word of the line is not base64 in its one form", field="ssh_key") from error


def algorithm_of(blob: bytes) -> str:
    """Return the algorithm that a key's wire form begins with.

    Raises:
        KeyMalformed: it begins with no name.
    """
    try:
        return sshwire.WireReader(blob).text()
    except sshwire.WireMalformed as error:
        raise KeyMalformed(f"the key's content is malformed: {error.message}", field="ssh_key") from error


def of_public(public: PublicKey) -> SshKey:
    """Return the library's key as an SSH key.

    Raises:
        KeyWeak: SSH has no name for its curve.
    """
    try:
        return parse_line(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyWeak(f"the key has no SSH form: {error}", field="ssh_key") from error


def refuse_weak(key: SshKey) -> None:
    """Refuse a key whose signatures could not be believed.

    Raises:
        KeyWeak: an algorithm that is not allowed, a short or odd RSA key, a point off its curve or of small order,
            or a blob that holds anything else than such a key.
    """
    sound(key)


def sound(key: SshKey) -> SoundKey:
    """Return the judged key, ready to verify with.

    Raises:
        KeyWeak: as `refuse_weak`.
    """
    if key.algorithm not in ALLOWED:
        raise KeyWeak(f"{key.algorithm} keys are not accepted; accepted are {', '.join(ALLOWED)}", field="ssh_key")
    reader = sshwire.WireReader(key.blob)
    try:
        if reader.text() != key.algorithm:
            raise KeyWeak(f"the key is not of the algorithm {key.algorithm}", field="ssh_key")
        public = _public(key.algorithm, reader)
        application = reader.text() if key.touch else ""
        reader.end()
    except sshwire.WireMalformed as error:
        raise KeyWeak(f"the key's content is malformed: {error.message}", field="ssh_key") from error
    if key.touch and not application.startswith("ssh:"):
        raise KeyWeak(f"the security key signs for {application!r}, which is not SSH", field="ssh_key")
    return SoundKey(public=public, application=application)


def _public(algorithm: str, reader: sshwire.WireReader) -> PublicKey:
    if algorithm in _ECDSA:
        return _ecdsa(_ECDSA[algorithm], reader.text(), reader.string())
    if algorithm == RSA:
        exponent, modulus = reader.mpint(), reader.mpint()
        return sound_rsa(exponent, modulus)
    return sound_ed25519(reader.string())


def _ecdsa(curve: str, named: str, point: bytes) -> ec.EllipticCurvePublicKey:
    if named != curve:
        raise KeyWeak(f"the key names the curve {named!r} where {curve} is due", field="ssh_key")
    if point[:1] != b"\x04":
        raise KeyWeak("the key's point is not in the uncompressed form that SSH uses", field="ssh_key")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve], point)
    except ValueError as error:
        raise KeyWeak(f"the key's point is not on the curve {curve}", field="ssh_key") from error


def sound_rsa(exponent: int, modulus: int, bits_min: int = RSA_BITS_MIN) -> rsa.RSAPublicKey:
    """Return the RSA key of two numbers.

    Raises:
        KeyWeak: a short or long modulus, or numbers that no sound key has.
    """
    bits = modulus.bit_length()
    if not bits_min <= bits <= RSA_BITS_MAX:
        raise KeyWeak(f"the RSA key has {bits} bits; {bits_min} to {RSA_BITS_MAX} are accepted", field="ssh_key")
    if modulus % 2 == 0:
        raise KeyWeak("the RSA key's modulus is even", field="ssh_key")
    if exponent % 2 == 0 or exponent < RSA_EXPONENT_MIN or exponent.bit_length() > RSA_EXPONENT_BITS_MAX:
        raise KeyWeak(
            f"the RSA key's exponent must be odd, at least {RSA_EXPONENT_MIN}, and of at most "
            f"{RSA_EXPONENT_BITS_MAX} bits",
            field="ssh_key",
        )
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise KeyWeak(f"the RSA key is unsound: {error}", field="ssh_key") from error


def sound_ed25519(point: bytes) -> Ed25519PublicKey:
    """Return the Ed25519 key of 32 bytes.

    Raises:
        KeyWeak: another encoding than the canonical one, a point off the curve, or one of small order.
    """
    if len(point) != 32:
        raise KeyWeak(f"an Ed25519 key has 32 bytes, not {len(point)}", field="ssh_key")
    y = int.from_bytes(point, "little") & (2**255 - 1)  # The top bit is the sign of x.
    if y >= _P:
        raise KeyWeak("the Ed25519 key is not in its one canonical encoding", field="ssh_key")
    if _small_order(y):
        raise KeyWeak("the Ed25519 key is a point of small order: anybody can sign for it", field="ssh_key")
    if not _on_curve(y):
        raise KeyWeak("the Ed25519 key is not a point on the curve", field="ssh_key")
    return Ed25519PublicKey.from_public_bytes(point)


def _small_order(y: int) -> bool:
    """Tell whether the points at `y` have an order that divides 8.

    Orders 1, 2 and 4 are y = 1, -1 and 0. Order 8 doubles to y = 0, so x² = -y² there; put into the curve's equation
    -x² + y² = 1 + d·x²·y², that is d·y⁴ + 2·y² = 1.
    """
    return y in (0, 1, _P - 1) or (_D * y**4 + 2 * y**2 - 1) % _P == 0


def _on_curve(y: int) -> bool:
    """Tell whether some x satisfies the curve's equation with `y`: x² = (y² - 1) / (d·y² + 1) must be a square."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return pow(square, (_P - 1) // 2, _P) == 1
