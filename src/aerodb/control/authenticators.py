"""Authenticators: registered by a browser, endorsed by their owner's SSH key, and from then on able to confirm.

- A registration is awaited, and a credential is pending, in this process alone; both die with it.
- A credential counts once its owner's endorsement stands in the log; the log is read back when the process begins.
- Only operators have authenticators, and only the person who registered a credential may endorse it.
- Nothing here opens a lock: the agents verify the whole chain themselves. Every refusal is recorded.
"""

import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

import msgspec

from aerodb.audit.record import Record
from aerodb.control.errors import (
    CredentialForeign,
    CredentialKnown,
    CredentialUnknown,
    RegistrationInvalid,
    RegistrationNotAwaited,
    ResponseMalformed,
    WebMissing,
)
from aerodb.control.record import Recorder, about
from aerodb.control.roles import Right, require
from aerodb.errors import AeroError
from aerodb.protocol import canonical, webauthn
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.protocol.credentials import (
    AssertionResponse,
    Authenticator,
    CreationOptions,
    Descriptor,
    Parameter,
    RegistrationResponse,
    RelyingParty,
    RequestOptions,
    Selection,
    User,
)
from aerodb.protocol.sshkey import parse_line
from aerodb.protocol.webauthn import Assertion, AssertionInvalid, Endorsement

CHALLENGE_BYTES = 32
ATTESTATION_BYTES_MAX = 32_768
ES256, EDDSA, RS256 = -7, -8, -257
"""COSE's numbers of the algorithms that confirmations are verified with."""

T = TypeVar("T")


class Authenticators:
    """The authenticators of one cluster's operators."""

    def __init__(self, cluster: Cluster, recorder: Recorder) -> None:
        """Read the endorsed ones back from the log."""
        self._cluster = cluster
        self._recorder = recorder
        self._lock = threading.Lock()
        self._challenges: dict[str, bytes] = {}
        self._pending: dict[str, Authenticator] = {}
        self._endorsed = {each.credential: each for each in self._read_back()}

    def _read_back(self) -> Iterator[Authenticator]:
        """Yield the endorsed credentials of the log whose owner's enrolled key still is the one that signed."""
        log = self._recorder.log
        for sequence in log.sequences_of(""):
            record = canonical.decode(log.record(sequence), Record)
            person = self._cluster.operator(record.operator)
            text = log.blob(record.endorsement) if record.event == "endorsed" else None
            if person is None or person.revoked or text is None:
                continue
            try:
                endorsement = webauthn.open_endorsement(self._cluster, person, text.decode(), record.signature)
                found = _authenticator(endorsement, "unknown")
            except AeroError:
                continue  # Its owner's key is another one now, or the admin UI is elsewhere.
            yield msgspec.structs.replace(found, state="endorsed", signature=record.signature)

    @contextmanager
    def _recorded(self, person: Operator) -> Iterator[None]:
        """Hold what is known for one caller, who must be allowed, and record why they are refused."""
        with self._lock:
            try:
                require(person, Right.ENDORSE)
                yield
            except AeroError as error:
                self._recorder.refused(about(person), error)
                raise

    def mine(self, person: Operator) -> tuple[Authenticator, ...]:
        """Return a person's authenticators, the endorsed ones first.

        Raises:
            CallerRefused: they can have none.
        """
        require(person, Right.ENDORSE)
        with self._lock:
            return self._of(person)

    def _of(self, person: Operator) -> tuple[Authenticator, ...]:
        known = (*self._endorsed.values(), *self._pending.values())
        return tuple(each for each in known if each.operator == person.name)

    # Registration -----------------------------------------------------------------------------------------------------

    def begin(self, person: Operator) -> CreationOptions:
        """Return what the person's browser needs in order to make a credential; an earlier beginning is forgotten.

        Raises:
            CallerRefused: they may have none.
            WebMissing: the cluster has no admin UI.
        """
        with self._recorded(person):
            if not self._cluster.web_origin:
                raise WebMissing("the configuration names no origin of an admin UI")
            self._challenges[person.name] = secrets.token_bytes(CHALLENGE_BYTES)
            return self._creation_options(person, self._challenges[person.name])

    def _creation_options(self, person: Operator, challenge: bytes) -> CreationOptions:
        handle = hashlib.sha256(f"{self._cluster.id}/{person.name}".encode()).digest()
        return CreationOptions(
            rp=RelyingParty(id=self._cluster.rp_id, name=f"AeroDB {self._cluster.name}"),
            user=User(id=webauthn.to_base64url(handle), name=person.name, display_name=person.name),
            challenge=webauthn.to_base64url(challenge),
            pub_key_cred_params=tuple(Parameter(alg=number) for number in (ES256, EDDSA, RS256)),
            exclude_credentials=tuple(Descriptor(id=each.credential) for each in self._of(person)),
            authenticator_selection=Selection(),
        )

    def finish(self, person: Operator, response: str) -> Authenticator:
        """Return the credential in a browser's response, which now awaits its endorsement.

        Raises:
            CallerRefused, RegistrationNotAwaited, ResponseMalformed, RegistrationInvalid: it is none.
            CredentialKnown: it is somebody's already.
        """
        with self._recorded(person):
            challenge = self._challenges.pop(person.name, None)
            if challenge is None:
                raise RegistrationNotAwaited("no registration was begun, or it was answered already; begin anew")
            found = self._registered(person, response, challenge)
            if found.credential in self._pending or found.credential in self._endorsed:
                raise CredentialKnown("the credential is registered already", field="response")
            self._pending[found.credential] = found
            return found

    def _registered(self, person: Operator, text: str, challenge: bytes) -> Authenticator:
        parsed = _parsed(text, RegistrationResponse)
        try:
            client_data = webauthn.from_base64url(
                parsed.response.client_data, "client data", webauthn.CLIENT_DATA_BYTES_MAX
            )
            webauthn.check_client_data(
                client_data, webauthn.REGISTERING, webauthn.to_base64url(challenge), self._cluster.web_origin
            )
            attestation = webauthn.from_base64url(
                parsed.response.attestation_object, "attestation", ATTESTATION_BYTES_MAX
            )
            credential, public_key, copies = self._verified(parsed.id, client_data, attestation, challenge)
            endorsement = Endorsement(
                cluster=self._cluster.id,
                operator=person.name,
                credential=credential,
                public_key=public_key,
                rp_id=self._cluster.rp_id,
                origin=self._cluster.web_origin,
            )
            return _authenticator(endorsement, "possible" if copies else "impossible")
        except AssertionInvalid as error:
            raise RegistrationInvalid(error.message, field="response") from error

    def _verified(
        self, identity: str, client_data: bytes, attestation: bytes, challenge: bytes
    ) -> tuple[str, str, bool]:  # fmt: skip
        """Return a new credential's id, its public key's text, and whether the key may be copied elsewhere."""
        from webauthn import verify_registration_response
        from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography
        from webauthn.helpers.cose import COSEAlgorithmIdentifier
        from webauthn.helpers.structs import (
            AuthenticatorAttestationResponse,
            CredentialDeviceType,
            RegistrationCredential,
        )

        raw_id = webauthn.from_base64url(identity, "credential's id", webauthn.CREDENTIAL_BYTES_MAX)
        response = AuthenticatorAttestationResponse(client_data_json=client_data, attestation_object=attestation)
        try:
            found = verify_registration_response(
                credential=RegistrationCredential(id=identity, raw_id=raw_id, response=response),
                expected_challenge=challenge,
                expected_rp_id=self._cluster.rp_id,
                expected_origin=self._cluster.web_origin,
                require_user_verification=True,
                supported_pub_key_algs=[COSEAlgorithmIdentifier(each) for each in (ES256, EDDSA, RS256)],
            )
            public = decoded_public_key_to_cryptography(decode_credential_public_key(found.credential_public_key))
        except Exception as error:  # Besides its own errors the library lets those of its parsers through.
            raise RegistrationInvalid(f"the response is not sound: {error}", field="response") from error
        if found.credential_id != raw_id:
            raise RegistrationInvalid("the response names another credential than the authenticator", field="response")
        copies = found.credential_device_type is CredentialDeviceType.MULTI_DEVICE
        return webauthn.to_base64url(raw_id), webauthn.public_text(public), copies

    # Endorsement ------------------------------------------------------------------------------------------------------

    def endorse(self, person: Operator, credential: str, signature: str) -> Authenticator:
        """Record the owner's signature over a pending credential's endorsement; from then on it can confirm.

        Raises:
            CallerRefused, CredentialUnknown, CredentialForeign, CredentialKnown: there is nothing to endorse.
            AssertionInvalid: the signature is not their SSH key's over that text.
            LogUnavailable: it cannot be logged, and counts for nothing.
        """
        with self._recorded(person):
            pending = self._awaiting(person, credential)
            webauthn.open_endorsement(self._cluster, person, pending.endorsement, signature)
            touch = parse_line(person.ssh_key).touch
            self._recorder.endorsed(person, pending.endorsement, signature, touch=touch)
            endorsed = msgspec.structs.replace(pending, state="endorsed", signature=signature)
            self._endorsed[credential] = endorsed
            del self._pending[credential]
            return endorsed

    def _awaiting(self, person: Operator, credential: str) -> Authenticator:
        known = self._pending.get(credential) or self._endorsed.get(credential)
        if known is None:
            raise CredentialUnknown(
                "no such credential awaits an endorsement in this process; register it anew", field="credential"
            )
        if known.operator != person.name:
            raise CredentialForeign(f"the credential is {known.operator}'s, not {person.name}'s", field="credential")
        if known.state == "endorsed":
            raise CredentialKnown("the credential is endorsed already", field="credential")
        return known

    # Confirmation -----------------------------------------------------------------------------------------------------

    def options(self, person: Operator, plan_text: str) -> RequestOptions:
        """Return what the person's browser needs in order to have a plan confirmed.

        Raises:
            CallerRefused: they may not confirm.
            CredentialUnknown: they have no endorsed authenticator.
        """
        require(person, Right.CONFIRM)
        endorsed = [each for each in self.mine(person) if each.state == "endorsed"]
        if not endorsed:
            raise CredentialUnknown(f"{person.name} has no endorsed authenticator")
        return RequestOptions(
            challenge=webauthn.challenge_of(plan_text.encode()),
            rp_id=self._cluster.rp_id,
            allow_credentials=tuple(Descriptor(id=each.credential) for each in endorsed),
        )

    def assertion(self, response: str) -> str:
        """Return a browser's response, with its credential's endorsement, as the text of a confirmation.

        Nothing is verified here: whoever takes the confirmation does that, and records why it is refused.

        Raises:
            ResponseMalformed: it is not a response.
        """
        parsed = _parsed(response, AssertionResponse)
        with self._lock:
            known = self._endorsed.get(parsed.id)
        assertion = Assertion(
            credential=parsed.id,
            authenticator_data=parsed.response.authenticator_data,
            client_data=parsed.response.client_data,
            signature=parsed.response.signature,
            endorsement=known.endorsement if known else "",
            endorsement_signature=known.signature if known else "",
        )
        return canonical.encode(assertion).decode()


def _authenticator(endorsement: Endorsement, copies: Literal["possible", "impossible", "unknown"]) -> Authenticator:
    return Authenticator(
        credential=endorsement.credential,
        name=webauthn.short_name(endorsement.credential),
        operator=endorsement.operator,
        state="pending",
        algorithm=webauthn.algorithm_of(webauthn.public_key(endorsement.public_key)),
        fingerprint=webauthn.fingerprint(endorsement.public_key),
        copies=copies,
        endorsement=canonical.encode(endorsement).decode(),
    )


def _parsed(text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ResponseMalformed(f"this is not the browser's response: {error}", field="response") from error
