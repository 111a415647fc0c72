"""Authenticators as the API takes and gives them: a browser's options and responses, and what awaits its enrolment.

The options are what `PublicKeyCredential.parseCreationOptionsFromJSON` and `parseRequestOptionsFromJSON` read, the
responses what `PublicKeyCredential.toJSON` writes. Pure: no I/O, no clock.
Source: W3C Web Authentication Level 3, sections 5.1.8 to 5.1.10, and 5.4, 5.5.
"""

from typing import Literal

import msgspec

from aerodb.protocol.authenticator import Copies


class RelyingParty(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For whom a credential is made: the admin UI's host, and the cluster's name."""

    id: str
    name: str


class User(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Whose a credential is; `id` is opaque, in base64url."""

    id: str
    name: str
    display_name: str


class Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of key, by its COSE number."""

    type: Literal["public-key"] = "public-key"
    alg: int


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One credential, by its id in base64url."""

    type: Literal["public-key"] = "public-key"
    id: str


class Selection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which authenticators will do: those that verify their user."""

    user_verification: Literal["required"] = "required"
    resident_key: Literal["discouraged"] = "discouraged"


class CreationOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a browser needs in order to make a credential."""

    rp: RelyingParty
    user: User
    challenge: str
    pub_key_cred_params: tuple[Parameter, ...]
    exclude_credentials: tuple[Descriptor, ...]
    authenticator_selection: Selection
    attestation: Literal["none"] = "none"


class RequestOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a browser needs in order to have a plan confirmed; the challenge is the digest of the plan's exact bytes."""

    challenge: str
    rp_id: str
    allow_credentials: tuple[Descriptor, ...]
    user_verification: Literal["required"] = "required"


class AttestationBytes(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a registration's response that counts, in base64url."""

    client_data: str = msgspec.field(name="clientDataJSON")
    attestation_object: str = msgspec.field(name="attestationObject")


class RegistrationResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser answers to creation options; members that mean nothing here are ignored."""

    id: str
    response: AttestationBytes


class AssertionBytes(msgspec.Struct, frozen=True, kw_only=True):
    """The part of an assertion's response that counts, in base64url."""

    client_data: str = msgspec.field(name="clientDataJSON")
    authenticator_data: str = msgspec.field(name="authenticatorData")
    signature: str


class AssertionResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser answers to request options; members that mean nothing here are ignored."""

    id: str
    response: AssertionBytes


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /v1/authenticators: the JSON of the browser's response, as it wrote it."""

    response: str


AuthenticatorState = Literal["pending", "endorsed", "enrolled", "revoked"]
"""Pending: it awaits its enrolment. Endorsed: it confirms under version 1 of the configuration, which enrols none."""


class Authenticator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One credential of one person. It confirms nothing while it is pending, or once it is revoked.

    `name` is short, to be typed. `endorsement` is the exact text whose words two screens show: whose the credential is,
    its key, and for which admin UI. `signature` is its owner's SSH key's over that, where that is what it counts by.
    `copies` says whether its maker may copy the key to other devices, where that is known.
    """

    credential: str
    name: str
    operator: str
    state: AuthenticatorState
    algorithm: str
    fingerprint: str
    copies: Copies
    endorsement: str
    signature: str = ""


class AuthenticatorList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All authenticators: those that are or were enrolled first, each in the order in which they came."""

    authenticators: tuple[Authenticator, ...]
