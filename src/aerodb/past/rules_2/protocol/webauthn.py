"""Confirmations by a WebAuthn authenticator: an assertion over one plan, by a credential that counts as a person's.

- From version 2 of the configuration on, what counts is what is enrolled in it, and not revoked: the key is taken from
  there and from nothing else. An endorsement counts for nothing then.
- Version 1 has no place for authenticators. Under it a credential counts by an endorsement that the operator's enrolled
  SSH key has signed, in a namespace of its own, and that the assertion brings along.
- The challenge is the digest of the plan's exact bytes; an assertion is for that plan alone.
- Everything the authenticator and the browser say is read strictly: one form, nothing left over, nothing twice.
- The user was present and verified, on the endorsed origin, and in no other page's frame.
- The sign count is recorded and never judged: synchronised authenticators say 0.

Pure: no I/O, no clock. Source: W3C Web Authentication Level 3, sections 5.8.1, 6.1 and 7.2.
"""

import base64
import binascii
import hashlib
import json
from typing import Any, ClassVar, Literal, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from aerodb.past.rules_2.errors import AeroError
from aerodb.past.rules_2.protocol import canonical, sshkey, sshsig
from aerodb.past.rules_2.protocol.authenticator import short_name
from aerodb.past.rules_2.protocol.cluster import Cluster, Operator
from aerodb.past.rules_2.protocol.formats import Format, stated_version
from aerodb.past.rules_2.protocol.refusals import SignatureInvalid
from aerodb.past.rules_2.protocol.sshkey import PublicKey
from aerodb.past.rules_2.protocol.sshsig import Proof

T = TypeVar("T")

TEXT_LENGTH_MAX = 32_768
CREDENTIAL_BYTES_MAX = 1_023  # Section 4, "Credential ID".
CLIENT_DATA_BYTES_MAX = 4_096
SIGNATURE_BYTES_MAX = 2_048  # RSA with the longest key that is accepted.
RSA_BITS_MIN = 2_048  # What platform authenticators with a TPM still make; elsewhere 3072 are due.

ASSERTING, REGISTERING = "webauthn.get", "webauthn.create"

_PRESENT, _VERIFIED, _ELIGIBLE, _BACKED_UP = 0x01, 0x04, 0x08, 0x10
_ATTESTED, _EXTENDED, _RESERVED = 0x40, 0x80, 0x22
_AUTHENTICATOR_DATA_BYTES = 37  # The hash of the RP's id, the flags, the sign count; nothing more was asked for.


class AssertionInvalid(SignatureInvalid):
    """The assertion is not by an authenticator that counts as this person's, over this plan; the message says why."""


class Endorsement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator signs with their SSH key: this credential is mine, on this origin, in this cluster.

    `credential` is its id in base64url, `public_key` its SubjectPublicKeyInfo (DER) in base64.
    """

    FORMAT: ClassVar[Format] = Format(kind="endorsement")

    kind: Literal["endorsement"] = "endorsement"
    cluster: str
    operator: str
    credential: str
    public_key: str
    rp_id: str
    origin: str


class Assertion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A confirmation under version 1 of the configuration, with everything that is needed to verify it offline.

    Its canonical text stands wherever an armored SSH signature over a plan may stand. `authenticator_data`,
    `client_data` and `signature` are the browser's bytes in base64url; `endorsement` is the exact text that
    `endorsement_signature`, an armored SSH signature, is over.
    """

    FORMAT: ClassVar[Format] = Format(kind="assertion")

    kind: Literal["webauthn"] = "webauthn"
    credential: str
    authenticator_data: str
    client_data: str
    signature: str
    endorsement: str
    endorsement_signature: str


def _bare(endorsed: Assertion) -> "LaterAssertion":
    """Return what the authenticator says in a first version of an assertion, without what was said beside it."""
    return LaterAssertion(
        credential=endorsed.credential,
        authenticator_data=endorsed.authenticator_data,
        client_data=endorsed.client_data,
        signature=endorsed.signature,
    )


class LaterAssertion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A confirmation under a later version of the configuration, which says by itself whose the credential is.

    Its canonical text stands wherever an armored SSH signature over a plan may stand; its members are the browser's.
    """

    FORMAT: ClassVar[Format] = Format(kind="assertion", version=2, earlier=Assertion, lifted=_bare)

    kind: Literal["webauthn"] = "webauthn"
    format: Literal[2] = 2
    credential: str
    authenticator_data: str
    client_data: str
    signature: str


# Encodings --------------------------------------------------------------------------------------------------------


def to_base64url(data: bytes) -> str:
    """Return `data` in base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_base64url(text: str, what: str, bytes_max: int) -> bytes:
    """Return the bytes that `text` is the one unpadded base64url form of; `what` names them in messages.

    Raises:
        AssertionInvalid: it is not, or they are more than `bytes_max`.
    """
    if len(text) * 3 // 4 > bytes_max:
        raise AssertionInvalid(f"the {what} is longer than {bytes_max} bytes")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise AssertionInvalid(f"the {what} is not base64url") from error
    if to_base64url(data) != text:
        raise AssertionInvalid(f"the {what} is not in the one form of base64url")
    return data


def challenge_of(data: bytes) -> str:
    """Return the challenge for a plan's exact bytes: the base64url of their SHA-256."""
    return to_base64url(hashlib.sha256(data).digest())


# Keys -------------------------------------------------------------------------------------------------------------


def public_text(public: Any) -> str:
    """Return a sound public key of the library as an endorsement, and the chain of configurations, name it.

    Raises:
        AssertionInvalid: it is of a kind or a value that is not accepted.
    """
    sound = _sound(public)
    return base64.b64encode(sound.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def public_key(text: str) -> PublicKey:
    """Return the sound public key that `text` is the one form of.

    Raises:
        AssertionInvalid: it is not one; the message says why.
    """
    try:
        public = load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as error:
        raise AssertionInvalid("the key is not a public key that can be read") from error
    if public_text(public) != text:
        raise AssertionInvalid("the key is not in its one form")
    return _sound(public)


def algorithm_of(public: PublicKey) -> str:
    """Return the name of a sound key's algorithm, as COSE names it."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        return "ES256"
    return "RS256" if isinstance(public, rsa.RSAPublicKey) else "EdDSA"


def _sound(public: Any) -> PublicKey:
    try:
        if isinstance(public, Ed25519PublicKey):
            return sshkey.sound_ed25519(public.public_bytes_raw())
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            return sshkey.sound_rsa(numbers.e, numbers.n, RSA_BITS_MIN)
    except sshkey.KeyWeak as error:
        raise AssertionInvalid(f"the credential's key is unsound: {error.message}") from error
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        return public
    raise AssertionInvalid("the credential's key is none of ES256 (P-256), EdDSA (Ed25519) and RS256")


# What the browser says --------------------------------------------------------------------------------------------


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise AssertionInvalid("the client data has a key twice")
    return found


def _client_data(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise AssertionInvalid("the client data is not JSON in UTF-8") from error
    if not isinstance(found, dict):
        raise AssertionInvalid("the client data is not a JSON object")
    return found


def check_client_data(data: bytes, kind: str, challenge: str, origin: str) -> None:
    """Check what the browser says of the page that asked: its kind, its challenge, its origin, and no frame.

    Browsers may add members that we do not know (section 5.8.1.1); they are signed too, and mean nothing here.

    Raises:
        AssertionInvalid: anything is missing, twice, or not as it must be.
    """
    found = _client_data(data)
    for name, wanted in (("type", kind), ("challenge", challenge), ("origin", origin)):
        if found.get(name) != wanted:
            raise AssertionInvalid(f"the client data's {name} is {found.get(name)!r}, not {wanted!r}")
    if found.get("crossOrigin", False) is not False or "topOrigin" in found:
        raise AssertionInvalid("the assertion was made in a frame of another origin's page")
    if "tokenBinding" in found:
        raise AssertionInvalid("the assertion is bound to a TLS token, which is not known here")


# What the authenticator says --------------------------------------------------------------------------------------


def _proof(data: bytes, rp_id: str) -> Proof:
    if len(data) < _AUTHENTICATOR_DATA_BYTES:
        raise AssertionInvalid(f"the authenticator data has {len(data)} bytes; {_AUTHENTICATOR_DATA_BYTES} are due")
    if data[:32] != hashlib.sha256(rp_id.encode()).digest():
        raise AssertionInvalid(f"the authenticator data is for another relying party than {rp_id!r}")
    flags = data[32]
    _refuse_flags(flags)
    if len(data) != _AUTHENTICATOR_DATA_BYTES:
        trailing = len(data) - _AUTHENTICATOR_DATA_BYTES
        raise AssertionInvalid(f"{trailing} bytes trail behind the authenticator data")
    return Proof(touch=True, verified=True, counter=int.from_bytes(data[33:37], "big"))


def _refuse_flags(flags: int) -> None:
    if not flags & _PRESENT:
        raise AssertionInvalid("the authenticator did not find its user present")
    if not flags & _VERIFIED:
        raise AssertionInvalid("the authenticator did not verify its user")
    if flags & _RESERVED:
        raise AssertionInvalid("the authenticator data has a reserved flag set")
    if flags & _BACKED_UP and not flags & _ELIGIBLE:
        raise AssertionInvalid("the authenticator data says backed up, of a credential that cannot be")
    if flags & _ATTESTED:
        raise AssertionInvalid("the authenticator data holds a new credential, and is no assertion")
    if flags & _EXTENDED:
        raise AssertionInvalid("the authenticator data holds extensions, and none was asked for")


def _check_signature(public: PublicKey, signature: bytes, message: bytes) -> None:
    try:
        if isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, message, ec.ECDSA(SHA256()))
        elif isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, message, padding.PKCS1v15(), SHA256())
        else:
            public.verify(signature, message)
    except InvalidSignature as error:
        raise AssertionInvalid("the assertion's signature is not the credential's over this") from error


# The chain --------------------------------------------------------------------------------------------------------


def foreign_part(endorsement: Endorsement, cluster: Cluster, operator: str) -> str:
    """Return what an endorsement is for in place of this person, cluster and admin UI; empty where it is for these."""
    parts = (
        ("cluster", endorsement.cluster, cluster.id),
        ("operator", endorsement.operator, operator),
        ("origin", endorsement.origin, cluster.web_origin),
        ("relying party", endorsement.rp_id, cluster.rp_id),
    )
    wrong = (f"{what} {found!r}, not {wanted!r}" for what, found, wanted in parts if not wanted or found != wanted)
    return next(wrong, "")


def open_endorsement(cluster: Cluster, person: Operator, text: str, signature: str) -> Endorsement:
    """Return the endorsement in `text`, if `person` signed it and it is for this cluster and its admin UI.

    Raises:
        AssertionInvalid: it is not.
    """
    try:
        sshsig.verify(signature, text.encode(), sshkey.parse_line(person.ssh_key), sshsig.CREDENTIAL_NAMESPACE)
        endorsement = canonical.decode(text.encode(), Endorsement)
    except (AeroError, UnicodeEncodeError) as error:
        raise AssertionInvalid(f"the credential is not endorsed by {person.name}: {error}") from error
    wrong = foreign_part(endorsement, cluster, person.name)
    if wrong:
        raise AssertionInvalid(f"the endorsement is for the {wrong}")
    return endorsement


def credential_of(unverified: str) -> str:
    """Return which credential a text says that it is an assertion of; nothing where it is none of any version."""
    try:
        return _read(unverified, LaterAssertion).credential
    except AssertionInvalid:
        return ""


def endorsement_of(cluster: Cluster, person: str, credential: str, public_key: str) -> Endorsement:
    """Return what is said of a credential of `person` for the admin UI: people compare its words on two screens."""
    return Endorsement(
        cluster=cluster.id,
        operator=person,
        credential=credential,
        public_key=public_key,
        rp_id=cluster.rp_id,
        origin=cluster.web_origin,
    )


def _by_endorsement(cluster: Cluster, person: Operator, text: str) -> tuple[LaterAssertion, str]:
    """Return what an assertion says, and the key of its credential by the endorsement that it brings along."""
    if _says_later(text):
        raise AssertionInvalid("it is by an enrolled authenticator, and version 1 of the configuration enrols none")
    assertion = _read(text, Assertion)
    endorsement = open_endorsement(cluster, person, assertion.endorsement, assertion.endorsement_signature)
    if assertion.credential != endorsement.credential:
        raise AssertionInvalid("the assertion is by another credential than the endorsed one")
    return _bare(assertion), endorsement.public_key


def _by_enrolment(cluster: Cluster, person: Operator, text: str) -> tuple[LaterAssertion, str]:
    """Return what an assertion says, and the key of its credential as the configuration enrols it."""
    if not _says_later(text):
        raise AssertionInvalid(
            f"it rests on an endorsement, which counts under version 1 of the configuration alone: under version "
            f"{cluster.version} an authenticator is enrolled (aerodb configure NODE --enrol-authenticator)"
        )
    assertion = _read(text, LaterAssertion)
    found = cluster.authenticator(assertion.credential)
    name = short_name(assertion.credential)
    if found is None:
        raise AssertionInvalid(f"version {cluster.version} of the configuration has no authenticator {name}")
    if found.person != person.name:
        raise AssertionInvalid(f"the authenticator {name} is {found.person}'s, not {person.name}'s")
    if found.revoked:
        raise AssertionInvalid(f"the authenticator {name} is revoked in version {cluster.version} of the configuration")
    return assertion, found.public_key


def _says_later(text: str) -> bool:
    """Tell whether a text says that it is an assertion of a later version, by an enrolled authenticator."""
    return stated_version(text.encode(errors="replace"), LaterAssertion.FORMAT) > 1


def _read(text: str, kind: type[T]) -> T:
    try:
        return canonical.decode(text.encode(), kind)
    except (AeroError, UnicodeEncodeError) as error:
        raise AssertionInvalid(f"the assertion is malformed: {error}") from error


def verify(text: str, data: bytes, cluster: Cluster, person: Operator) -> Proof:
    """Return what is proven if `text` is an assertion over exactly the plan `data` by an authenticator of `person`.

    Which authenticators count, and by what, is for `cluster` to say: see the top.

    Raises:
        AssertionInvalid: it is not; the message says what is wrong.
    """
    if len(text) > TEXT_LENGTH_MAX:
        raise AssertionInvalid(f"the assertion is longer than {TEXT_LENGTH_MAX} characters")
    key_by = _by_endorsement if cluster.link is None else _by_enrolment
    assertion, key = key_by(cluster, person, text)
    from_base64url(assertion.credential, "credential's id", CREDENTIAL_BYTES_MAX)
    client_data = from_base64url(assertion.client_data, "client data", CLIENT_DATA_BYTES_MAX)
    check_client_data(client_data, ASSERTING, challenge_of(data), cluster.web_origin)
    authenticator_data = from_base64url(assertion.authenticator_data, "authenticator data", 1_024)
    proof = _proof(authenticator_data, cluster.rp_id)
    signature = from_base64url(assertion.signature, "assertion's signature", SIGNATURE_BYTES_MAX)
    message = authenticator_data + hashlib.sha256(client_data).digest()
    _check_signature(public_key(key), signature, message)
    return proof
