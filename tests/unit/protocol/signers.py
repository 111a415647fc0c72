"""Keys of every accepted kind for tests, and a security key in software that signs as PROTOCOL.u2f says."""

import hashlib
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aerodb.protocol import sshkey, sshsig, sshwire
from aerodb.protocol.sshkey import SshKey

FILE_KINDS = ("ed25519", "nistp256", "nistp384", "nistp521", "rsa")
SECURITY_KINDS = (sshkey.ED25519_SK, sshkey.ECDSA_SK)
TOUCHED, VERIFIED = 1, 4


@cache
def file_key(kind: str) -> sshsig.PrivateKey:
    """Return the key of one kind; the same at every call, since RSA keys take long to make."""
    curves: dict[str, ec.EllipticCurve] = {
        "nistp256": ec.SECP256R1(),
        "nistp384": ec.SECP384R1(),
        "nistp521": ec.SECP521R1(),
    }
    if kind in curves:
        return ec.derive_private_key(7**60, curves[kind])
    if kind == "rsa":
        return rsa.generate_private_key(65537, 3072)
    return Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)


def ssh_key(kind: str) -> SshKey:
    """Return the public half of `file_key(kind)`."""
    return sshkey.of_public(file_key(kind).public_key())


def blob(*parts: bytes) -> bytes:
    """Return the parts as SSH strings, one after the other."""
    return b"".join(sshwire.string(part) for part in parts)


def ed25519_key(point: bytes) -> SshKey:
    """Return an Ed25519 key of any 32 bytes, sound or not."""
    return SshKey(sshkey.ED25519, blob(b"ssh-ed25519", point))


def rsa_key(exponent: int, modulus: int) -> SshKey:
    """Return an RSA key of any two numbers, sound or not."""
    return SshKey(sshkey.RSA, blob(b"ssh-rsa") + sshwire.mpint(exponent) + sshwire.mpint(modulus))


@dataclass(frozen=True)
class SecurityKey:
    """A security key in software: it signs what an authenticator would, with the flags that it is told."""

    algorithm: str
    application: str = "ssh:"

    @property
    def _private(self) -> Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
        if self.algorithm == sshkey.ED25519_SK:
            return Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)
        return ec.derive_private_key(11**50, ec.SECP256R1())

    @property
    def key(self) -> SshKey:
        """Return the public key, with its application."""
        public = self._private.public_key()
        name, application = self.algorithm.encode(), self.application.encode()
        if isinstance(public, ec.EllipticCurvePublicKey):
            point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            return SshKey(self.algorithm, blob(name, b"nistp256", point, application))
        return SshKey(self.algorithm, blob(name, public.public_bytes_raw(), application))

    def sign(self, data: bytes, flags: int, counter: int = 42) -> str:
        """Return the armored signature over `data`."""
        state = bytes([flags]) + sshwire.uint32(counter)
        application, message = (
            hashlib.sha256(part).digest() for part in (self.application.encode(), sshsig.to_be_signed(data))
        )
        raw = self._raw(application + state + message)
        return sshsig.armored(self.key.blob, blob(self.algorithm.encode(), raw) + state)

    def _raw(self, message: bytes) -> bytes:
        private = self._private
        if isinstance(private, Ed25519PrivateKey):
            return private.sign(message)
        r, s = utils.decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA256())))
        return sshwire.mpint(r) + sshwire.mpint(s)
