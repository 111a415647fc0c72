"""Registrations of authenticators: what a browser is asked for, and what its answer is worth.

- The control plane and the command line ask the same functions, so that they never differ.
- The challenge, the origin, the relying party, the user's presence and verification are each checked; a key that could
  not confirm afterwards is refused at once.
- No statement of the authenticator's maker is asked for: what is read shows which key the browser answered with, and
  never whose it is.

The only place that uses the WebAuthn library, loaded with the first answer. No I/O, no clock.
Source: W3C Web Authentication Level 3, sections 5.4, 6.5 and 7.1.
"""

import hashlib
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from aerodb.errors import AeroError
from aerodb.protocol import webauthn
from aerodb.protocol.authenticator import Copies
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.credentials import (
    CreationOptions,
    Descriptor,
    Parameter,
    RegistrationResponse,
    RelyingParty,
    Selection,
    User,
)
from aerodb.protocol.webauthn import AssertionInvalid, Endorsement

CHALLENGE_BYTES = 32
ATTESTATION_BYTES_MAX = 32_768
ES256, EDDSA, RS256 = -7, -8, -257
"""COSE's numbers of the algorithms that confirmations are verified with."""

T = TypeVar("T")


class RegistrationInvalid(AeroError):
    """The browser's response is not a sound credential for the admin UI."""

    code = "input.registration-invalid"
    status = 400
    title = "The credential cannot be registered"


class ResponseMalformed(AeroError):
    """The browser's response is not one of the WebAuthn API."""

    code = "input.webauthn-malformed"
    status = 400
    title = "The browser's response cannot be read"


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A new credential: what is said of it, and whether its maker may copy the key to other devices."""

    endorsement: Endorsement
    copies: Copies


def creation_options(cluster: Cluster, person: str, challenge: bytes, known: Iterable[str]) -> CreationOptions:
    """Return what a browser needs in order to make a credential of `person`, other than those that are `known`."""
    handle = hashlib.sha256(f"{cluster.id}/{person}".encode()).digest()
    return CreationOptions(
        rp=RelyingParty(id=cluster.rp_id, name=f"AeroDB {cluster.name}"),
        user=User(id=webauthn.to_base64url(handle), name=person, display_name=person),
        challenge=webauthn.to_base64url(challenge),
        pub_key_cred_params=tuple(Parameter(alg=number) for number in (ES256, EDDSA, RS256)),
        exclude_credentials=tuple(Descriptor(id=each) for each in known),
        authenticator_selection=Selection(),
    )


def parsed(text: str, kind: type[T]) -> T:
    """Return a browser's response as one of `kind`.

    Raises:
        ResponseMalformed: it is none.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ResponseMalformed(f"this is not the browser's response: {error}", field="response") from error


def read_registration(cluster: Cluster, person: str, text: str, challenge: bytes, origin: str) -> Registered:
    """Return the credential in a browser's response to `challenge` on a page of `origin`.

    It is for the cluster's admin UI, wherever the page was: the relying party is the host alone.

    Raises:
        ResponseMalformed, RegistrationInvalid: there is none; the message says what is wrong.
    """
    response = parsed(text, RegistrationResponse)
    try:
        client_data = webauthn.from_base64url(
            response.response.client_data, "client data", webauthn.CLIENT_DATA_BYTES_MAX
        )
        webauthn.check_client_data(client_data, webauthn.REGISTERING, webauthn.to_base64url(challenge), origin)
        attestation = webauthn.from_base64url(
            response.response.attestation_object, "attestation", ATTESTATION_BYTES_MAX
        )
        raw_id = webauthn.from_base64url(response.id, "credential's id", webauthn.CREDENTIAL_BYTES_MAX)
        public_key, copies = _verified(raw_id, client_data, attestation, (challenge, cluster.rp_id, origin))
    except AssertionInvalid as error:
        raise RegistrationInvalid(error.message, field="response") from error
    endorsement = webauthn.endorsement_of(cluster, person, response.id, public_key)
    return Registered(endorsement=endorsement, copies="possible" if copies else "impossible")


def _verified(
    raw_id: bytes, client_data: bytes, attestation: bytes, expected: tuple[bytes, str, str]
) -> tuple[str, bool]:  # fmt: skip
    """Return a new credential's public key as text, and whether the key may be copied elsewhere."""
    from webauthn import verify_registration_response
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import (
        AuthenticatorAttestationResponse,
        CredentialDeviceType,
        RegistrationCredential,
    )

    challenge, rp_id, origin = expected
    response = AuthenticatorAttestationResponse(client_data_json=client_data, attestation_object=attestation)
    try:
        found = verify_registration_response(
            credential=RegistrationCredential(id=webauthn.to_base64url(raw_id), raw_id=raw_id, response=response),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(each) for each in (ES256, EDDSA, RS256)],
        )
        public = decoded_public_key_to_cryptography(decode_credential_public_key(found.credential_public_key))
    except Exception as error:  # Besides its own errors the library lets those of its parsers through.
        raise RegistrationInvalid(f"the response is not sound: {error}", field="response") from error
    if found.credential_id != raw_id:
        raise RegistrationInvalid("the response names another credential than the authenticator", field="response")
    return webauthn.public_text(public), found.credential_device_type is CredentialDeviceType.MULTI_DEVICE
