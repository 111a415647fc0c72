"""SSHSIG: signatures over a file, as `ssh-keygen -Y sign` makes them and `ssh-keygen -Y verify` checks them.

- What is signed names its namespace, so that a signature made for anything else is none here.
- A signature is read strictly: the armor is byte for byte what OpenSSH writes, and nothing trails behind a value.
- It is checked against the one key that is given; the key that it carries is only compared with it.
- A security key's signature counts only with a touch, and the flags that say so are part of what is signed.

Pure: no I/O, no clock. Source: OpenSSH's PROTOCOL.sshsig and PROTOCOL.u2f, RFC 8332 (RSA with SHA-2), RFC 5656.
"""

import base64
import binascii
import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aerodb.past.rules_2.protocol import sshkey, sshwire
from aerodb.past.rules_2.protocol.refusals import SignatureInvalid
from aerodb.past.rules_2.protocol.sshkey import SshKey

PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

NAMESPACE = "plan@aerodb"
CREDENTIAL_NAMESPACE = "credential@aerodb"
"""For endorsements of authenticators: a signature over a plan is none over an endorsement, nor the other way round."""

HASH = "sha512"
RSA_SHA2_512 = "rsa-sha2-512"

_MAGIC = b"SSHSIG"
_VERSION = 1
_BEGIN = "-----BEGIN SSH SIGNATURE-----\n"
_END = "-----END SSH SIGNATURE-----\n"
_COLUMNS = 70
_ARMOR_LENGTH_MAX = 32768

_FLAG_TOUCHED = 0x01
_FLAG_VERIFIED = 0x04

_RSA_HASHES: dict[str, hashes.HashAlgorithm] = {"rsa-sha2-256": hashes.SHA256(), RSA_SHA2_512: hashes.SHA512()}


class SshsigInvalid(SignatureInvalid):
    """The signature is not this key's, over these bytes, for this purpose."""


class Proof(msgspec.Struct, frozen=True):
    """What a valid signature proves of the person: that a security key was touched, and that it knew its user.

    `counter` is the security key's own count of its signatures. For a key in a file all three are false or 0.
    """

    touch: bool = False
    verified: bool = False
    counter: int = 0


class _Envelope(msgspec.Struct, frozen=True):
    """The parts of a signature as they were read; nothing about them is believed yet."""

    public_blob: bytes
    namespace: str
    hash_name: str
    signature_blob: bytes


def to_be_signed(data: bytes, namespace: str = NAMESPACE) -> bytes:
    """Return the bytes that a key signs for `data`."""
    return _message(data, namespace, HASH)


def _message(data: bytes, namespace: str, hash_name: str) -> bytes:
    parts = (namespace.encode(), b"", hash_name.encode(), hashlib.new(hash_name, data).digest())
    return _MAGIC + b"".join(sshwire.string(part) for part in parts)


def armored(public_blob: bytes, signature_blob: bytes, namespace: str = NAMESPACE) -> str:
    """Return the signature in the form of a `.sig` file, made over `to_be_signed`."""
    parts = (public_blob, namespace.encode(), b"", HASH.encode(), signature_blob)
    blob = _MAGIC + sshwire.uint32(_VERSION) + b"".join(sshwire.string(part) for part in parts)
    return _armor(blob)


def _armor(blob: bytes) -> str:
    text = base64.b64encode(blob).decode()
    lines = (text[start : start + _COLUMNS] + "\n" for start in range(0, len(text), _COLUMNS))
    return _BEGIN + "".join(lines) + _END


# Signing ----------------------------------------------------------------------------------------------------------


def sign_with_key(key: PrivateKey, data: bytes, namespace: str = NAMESPACE) -> str:
    """Return the armored signature of `key` over `data` for `namespace`.

    Raises:
        KeyWeak: nobody would accept a signature of that key.
    """
    public = sshkey.of_public(key.public_key())
    sshkey.refuse_weak(public)
    message = to_be_signed(data, namespace)
    if isinstance(key, Ed25519PrivateKey):
        name, raw = public.algorithm, key.sign(message)
    elif isinstance(key, rsa.RSAPrivateKey):
        name, raw = RSA_SHA2_512, key.sign(message, padding.PKCS1v15(), _RSA_HASHES[RSA_SHA2_512])
    else:
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(_curve_hash(key.curve))))
        name, raw = public.algorithm, sshwire.mpint(r) + sshwire.mpint(s)
    return armored(public.blob, sshwire.string(name.encode()) + sshwire.string(raw), namespace)


def _curve_hash(curve: ec.EllipticCurve) -> hashes.HashAlgorithm:
    """Return the hash that RFC 5656 section 6.2.1 pairs with a curve."""
    if curve.key_size <= 256:
        return hashes.SHA256()
    return hashes.SHA384() if curve.key_size <= 384 else hashes.SHA512()


# Verifying --------------------------------------------------------------------------------------------------------


def verify(armor: str, data: bytes, key: SshKey, namespace: str = NAMESPACE) -> Proof:
    """Return what is proven if `armor` is the signature of `key` over exactly `data` for `namespace`.

    Raises:
        SshsigInvalid: it is not; the message says what is wrong.
    """
    try:
        envelope = _read(armor)
        if envelope.public_blob != key.blob:
            raise SshsigInvalid(f"the signature was made with another key than {key.fingerprint}")
        if envelope.namespace != namespace:
            raise SshsigInvalid(f"the signature is for the namespace {envelope.namespace!r}, not {namespace!r}")
        sound = sshkey.sound(key)
        return _check(sound, key, envelope.signature_blob, _message(data, namespace, envelope.hash_name))
    except sshwire.WireMalformed as error:
        raise SshsigInvalid(f"the signature is malformed: {error.message}") from error
    except sshkey.KeyWeak as error:
        raise SshsigInvalid(f"the signature is of an unsound key: {error.message}") from error
    except InvalidSignature as error:
        raise SshsigInvalid("the signature is not over these bytes") from error


def _read(armor: str) -> _Envelope:
    reader = sshwire.WireReader(_unarmored(armor))
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise SshsigInvalid("the signature is malformed: it is not an SSHSIG")
    version = reader.uint32()
    if version != _VERSION:
        raise SshsigInvalid(f"the signature is of version {version}, not {_VERSION}")
    public_blob, namespace, reserved, hash_name = reader.string(), reader.text(), reader.string(), reader.text()
    signature_blob = reader.string()
    reader.end()
    if reserved:
        raise SshsigInvalid("the signature is malformed: its reserved field is not empty")
    if hash_name not in ("sha256", "sha512"):
        raise SshsigInvalid(f"the signature uses the hash {hash_name!r}, not sha256 or sha512")
    return _Envelope(public_blob, namespace, hash_name, signature_blob)


def _unarmored(armor: str) -> bytes:
    if len(armor) > _ARMOR_LENGTH_MAX:
        raise SshsigInvalid(f"the signature is malformed: it is longer than {_ARMOR_LENGTH_MAX} characters")
    if not (armor.startswith(_BEGIN) and armor.endswith(_END)):
        raise SshsigInvalid("the signature is malformed: it is not an armored SSH signature")
    try:
        blob = base64.b64decode(armor[len(_BEGIN) : -len(_END)].replace("\n", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SshsigInvalid("the signature is malformed: its armor holds no base64") from error
    if _armor(blob) != armor:
        raise SshsigInvalid("the signature is malformed: its armor is not exactly as OpenSSH writes it")
    return blob


def _check(sound: sshkey.SoundKey, key: SshKey, signature_blob: bytes, message: bytes) -> Proof:
    reader = sshwire.WireReader(signature_blob)
    name, raw = reader.text(), reader.string()
    proof = Proof()
    if key.touch:
        flags, counter = reader.byte(), reader.uint32()
        proof = Proof(touch=bool(flags & _FLAG_TOUCHED), verified=bool(flags & _FLAG_VERIFIED), counter=counter)
        message = _authenticator_message(sound.application, flags, counter, message)
    reader.end()
    if isinstance(sound.public, rsa.RSAPublicKey):
        _check_rsa(sound.public, name, raw, message)
    elif name != key.algorithm:
        raise SshsigInvalid(f"the signature is malformed: it is {name!r}, and the key is {key.algorithm}")
    elif isinstance(sound.public, Ed25519PublicKey):
        sound.public.verify(raw, message)
    else:
        _check_ecdsa(sound.public, raw, message)
    if key.touch and not proof.touch:
        raise SshsigInvalid("the security key was not touched for this signature")
    return proof


def _authenticator_message(application: str, flags: int, counter: int, message: bytes) -> bytes:
    """Return what a security key signs in the place of `message` (PROTOCOL.u2f, "SSH U2F Signatures")."""
    state = bytes([flags]) + sshwire.uint32(counter)
    return hashlib.sha256(application.encode()).digest() + state + hashlib.sha256(message).digest()


def _check_rsa(public: rsa.RSAPublicKey, name: str, raw: bytes, message: bytes) -> None:
    if name == "ssh-rsa":
        raise SshsigInvalid("the signature is RSA with SHA-1, which proves nothing any more")
    if name not in _RSA_HASHES:
        raise SshsigInvalid(f"the signature is malformed: it is {name!r}, and the key is RSA")
    public.verify(raw, message, padding.PKCS1v15(), _RSA_HASHES[name])


def _check_ecdsa(public: ec.EllipticCurvePublicKey, raw: bytes, message: bytes) -> None:
    reader = sshwire.WireReader(raw)
    signature = utils.encode_dss_signature(reader.mpint(), reader.mpint())
    reader.end()
    public.verify(signature, message, ec.ECDSA(_curve_hash(public.curve)))
