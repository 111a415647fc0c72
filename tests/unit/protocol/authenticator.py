"""A WebAuthn authenticator and a browser in software: genuine registrations and assertions, altered where told to.

Source: W3C Web Authentication Level 3, sections 5.8.1 (client data), 6.1 (authenticator data), 6.5.4 (attestation).
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aerodb.protocol import canonical, sshsig, webauthn
from aerodb.protocol.authenticator import EnrolledAuthenticator, enrolment_text
from aerodb.protocol.change import Change
from aerodb.protocol.cluster import Cluster, Member, Operator, Role
from aerodb.protocol.webauthn import Assertion, Endorsement, LaterAssertion
from tests.unit.protocol.signers import file_key, ssh_key

KINDS = ("ES256", "EdDSA", "RS256")
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
GOOD = PRESENT | VERIFIED
ORIGIN = "http://localhost:7407"

PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def private_key(kind: str) -> PrivateKey:
    """Return the key of one kind; the same at every call, since RSA keys take long to make."""
    if kind == "ES256":
        return ec.derive_private_key(13**50, ec.SECP256R1())
    if kind == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return Ed25519PrivateKey.from_private_bytes(b"\x0b" * 32)


def cose_key(private: PrivateKey) -> bytes:
    """Return a public key as an authenticator states it (RFC 9053)."""
    public = private.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        numbers = public.public_numbers()
        length_bytes = public.key_size // 8
        x, y = (number.to_bytes(length_bytes, "big") for number in (numbers.x, numbers.y))
        algorithm, curve = (-7, 1) if length_bytes == 32 else (-35, 2)
        return cbor2.dumps({1: 2, 3: algorithm, -1: curve, -2: x, -3: y})
    if isinstance(public, rsa.RSAPublicKey):
        modulus = public.public_numbers().n
        length_bytes = (modulus.bit_length() + 7) // 8
        return cbor2.dumps({1: 3, 3: -257, -1: modulus.to_bytes(length_bytes, "big"), -2: b"\x01\x00\x01"})
    return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()})


def client_data(kind: str, challenge: str, origin: str = ORIGIN, **more: Any) -> bytes:
    """Return what a browser says of the page that asked."""
    members = {"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False} | more
    return json.dumps(members, separators=(",", ":")).encode()


def _origin_in(said: bytes) -> str:
    """Return the page's origin in a browser's client data, however malformed the rest is."""
    found = re.search(rb'"origin":"(https?://[^"]*)"', said)
    return found[1].decode() if found else ORIGIN


@dataclass
class SoftAuthenticator:
    """One authenticator with one credential; it counts its signatures.

    `rp_id` is which relying party it says, where that is not the host of the page, as a browser would have it.
    """

    kind: str = "ES256"
    identity: bytes = b"credential-one"
    rp_id: str = ""
    counter: int = 0
    key: PrivateKey | None = None
    private: PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        """Take a key."""
        self.private = self.key or private_key(self.kind)

    @property
    def credential(self) -> str:
        """Return the credential's id in base64url."""
        return webauthn.to_base64url(self.identity)

    def data(self, flags: int = GOOD, rest: bytes = b"", origin: str = ORIGIN) -> bytes:
        """Return authenticator data, with the next count."""
        self.counter += 1
        party = self.rp_id or origin.partition("://")[2].partition(":")[0]
        return hashlib.sha256(party.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big") + rest

    def sign(self, message: bytes) -> bytes:
        """Return the raw signature."""
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            return self.private.sign(message, ec.ECDSA(SHA256()))
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(message, padding.PKCS1v15(), SHA256())
        return self.private.sign(message)

    def registers(self, challenge: str, origin: str = ORIGIN, flags: int = GOOD, **more: Any) -> str:
        """Return the JSON of a browser's response to creation options."""
        attested = b"\0" * 16 + len(self.identity).to_bytes(2, "big") + self.identity + cose_key(self.private)
        data = self.data(flags | ATTESTED, attested, origin)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        said = client_data("webauthn.create", challenge, origin, **more)
        response = {
            "clientDataJSON": webauthn.to_base64url(said),
            "attestationObject": webauthn.to_base64url(attestation),
            "transports": ["internal"],
        }
        return self._json(response)

    def asserts(self, said: bytes, data: bytes | None = None, signature: bytes | None = None) -> str:
        """Return the JSON of a browser's response to request options, whose client data is `said`."""
        stated = self.data(origin=_origin_in(said)) if data is None else data
        signed = self.sign(stated + hashlib.sha256(said).digest()) if signature is None else signature
        response = {
            "clientDataJSON": webauthn.to_base64url(said),
            "authenticatorData": webauthn.to_base64url(stated),
            "signature": webauthn.to_base64url(signed),
            "userHandle": None,
        }
        return self._json(response)

    def _json(self, response: dict[str, Any]) -> str:
        outer = {"id": self.credential, "rawId": self.credential, "type": "public-key", "response": response}
        return json.dumps(outer | {"clientExtensionResults": {}, "authenticatorAttachment": "platform"})

    def confirms(self, plan: bytes, origin: str = ORIGIN, **more: Any) -> str:
        """Return the JSON of a browser's genuine response for a plan."""
        return self.asserts(client_data("webauthn.get", webauthn.challenge_of(plan), origin, **more))


# The chain around it ----------------------------------------------------------------------------------------------


def cluster(**changes: Any) -> Cluster:
    """Return a configuration that enrols ana, with an SSH key, and ben, with another."""
    people = (("ana", "ed25519"), ("ben", "nistp256"))
    values: dict[str, Any] = {
        "name": "orders",
        "id": "cluster-1",
        "members": (
            Member(name="n1", witness=False, agent="", postgres_host="", postgres_port=0, public_key=""),
        ),
        "operators": tuple(
            Operator(name=name, role=Role.OPERATOR, ssh_key=ssh_key(kind).line) for name, kind in people
        ),
        "quorum": 1,
        "genesis": "n1",
        "log_key": "",
        "control": "",
        "web": "127.0.0.1:7407",
        "web_origin": ORIGIN,
    }  # fmt: skip
    return Cluster(**values | changes)


def endorsement_of(authenticator: SoftAuthenticator, **changes: Any) -> Endorsement:
    """Return the endorsement of an authenticator's credential by ana, changed as told."""
    values: dict[str, Any] = {
        "cluster": "cluster-1",
        "operator": "ana",
        "credential": authenticator.credential,
        "public_key": webauthn.public_text(authenticator.private.public_key()),
        "rp_id": "localhost",
        "origin": ORIGIN,
    }
    return Endorsement(**values | changes)


def endorsed(
    endorsement: Endorsement | str,
    key: sshsig.PrivateKey | None = None,
    namespace: str = sshsig.CREDENTIAL_NAMESPACE,
) -> tuple[str, str]:
    """Return an endorsement's text and its signature, by ana's key unless another is given."""
    text = endorsement if isinstance(endorsement, str) else canonical.encode(endorsement).decode()
    return text, sshsig.sign_with_key(key or file_key("ed25519"), text.encode(), namespace)


def _answered(response: str) -> dict[str, Any]:
    """Return what a browser's response holds, as a confirmation names it."""
    parsed = json.loads(response)
    return {
        "credential": parsed["id"],
        "authenticator_data": parsed["response"]["authenticatorData"],
        "client_data": parsed["response"]["clientDataJSON"],
        "signature": parsed["response"]["signature"],
    }


def assertion_of(response: str, endorsement: tuple[str, str], **changes: str) -> str:
    """Return a browser's response as the text of a confirmation, changed as told."""
    said = {"endorsement": endorsement[0], "endorsement_signature": endorsement[1]}
    return canonical.encode(Assertion(**_answered(response) | said | changes)).decode()


def bare_assertion(response: str, **changes: str) -> str:
    """Return a browser's response as a confirmation under a later version of the configuration, changed as told."""
    return canonical.encode(LaterAssertion(**_answered(response) | changes)).decode()


def enrolled(key: SoftAuthenticator, name: str = "ana") -> EnrolledAuthenticator:
    """Return an authenticator as a version enrols it, whether its key is sound or not."""
    public = key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return EnrolledAuthenticator(
        person=name, credential=key.credential, public_key=base64.b64encode(public).decode(), copies="impossible"
    )


def enrolling(key: SoftAuthenticator, name: str = "ana") -> Change:
    """Return the change that enrols an authenticator."""
    each = enrolled(key, name)
    after = enrolment_text(each.credential, each.public_key, each.copies)
    return Change(kind="enrol-authenticator", name=name, before="", after=after)


def revoking(key: SoftAuthenticator, name: str = "ana") -> Change:
    """Return the change that revokes an authenticator."""
    return Change(kind="revoke-authenticator", name=name, before=key.credential, after="revoked")


def ana() -> Operator:
    """Return the operator whose credentials these are."""
    person = cluster().operator("ana")
    assert person is not None
    return person
