"""Authenticators: registered by a browser, endorsed by their owner's SSH key, and from then on able to confirm.

- A registration is awaited, and a credential is pending, in this process alone; both die with it.
- A credential counts once its owner's endorsement stands in the log; the log is read back when the process begins.
- One that was registered on its owner's own machine comes with its endorsement, and is never pending.
- Only operators have authenticators, and only the person who registered a credential may endorse it.
- Nothing here opens a lock: the agents verify the whole chain themselves. Every refusal is recorded.
"""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from aerodb.audit.record import decode_record
from aerodb.control.errors import (
    CredentialForeign,
    CredentialKnown,
    CredentialsPending,
    CredentialUnknown,
    RegistrationNotAwaited,
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
    RequestOptions,
)
from aerodb.protocol.sshkey import parse_line
from aerodb.protocol.webauthn import Assertion, Endorsement
from aerodb.registration import CHALLENGE_BYTES, creation_options, parsed, read_registration

PENDING_A_PERSON_MAX = 8
"""How many of one person's credentials await their endorsement at once."""


class Authenticators:
    """The authenticators of one cluster's operators."""

    def __init__(self, recorder: Recorder) -> None:
        """Read the endorsed ones back from the log."""
        self._recorder = recorder
        self._lock = threading.Lock()
        self._challenges: dict[str, bytes] = {}
        self._pending: dict[str, Authenticator] = {}
        self._endorsed = {each.credential: each for each in self._read_back()}

    @property
    def _cluster(self) -> Cluster:
        return self._recorder.versions.newest

    def _read_back(self) -> Iterator[Authenticator]:
        """Yield the endorsed credentials of the log whose owner's enrolled key still is the one that signed."""
        log = self._recorder.log
        for sequence in log.sequences_of(""):
            record = decode_record(log.record(sequence))
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
            CredentialsPending: too many of theirs await their endorsement.
        """
        with self._recorded(person):
            if not self._cluster.web_origin:
                raise WebMissing("the configuration names no origin of an admin UI")
            self._refuse_crowd(person)
            self._challenges[person.name] = secrets.token_bytes(CHALLENGE_BYTES)
            known = (each.credential for each in self._of(person))
            return creation_options(self._cluster, person.name, self._challenges[person.name], known)

    def finish(self, person: Operator, response: str) -> Authenticator:
        """Return the credential in a browser's response, which now awaits its endorsement.

        Raises:
            CallerRefused, RegistrationNotAwaited, ResponseMalformed, RegistrationInvalid: it is none.
            CredentialKnown: it is somebody's already.
            CredentialsPending: too many of theirs await their endorsement.
        """
        with self._recorded(person):
            challenge = self._challenges.pop(person.name, None)
            if challenge is None:
                raise RegistrationNotAwaited("no registration was begun, or it was answered already; begin anew")
            found = read_registration(self._cluster, person.name, response, challenge, self._cluster.web_origin)
            pending = _authenticator(found.endorsement, "possible" if found.copies else "impossible")
            if pending.credential in self._pending or pending.credential in self._endorsed:
                raise CredentialKnown("the credential is registered already", field="response")
            self._refuse_crowd(person)
            self._pending[pending.credential] = pending
            return pending

    def _refuse_crowd(self, person: Operator) -> None:
        if sum(each.operator == person.name for each in self._pending.values()) >= PENDING_A_PERSON_MAX:
            raise CredentialsPending(
                f"{PENDING_A_PERSON_MAX} credentials of {person.name} await their endorsement, and no more may: "
                "endorse one, or begin the control plane's process anew, which forgets them"
            )

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
            return self._endorse(person, pending, signature)

    def admit(self, person: Operator, text: str, signature: str) -> Authenticator:
        """Record an endorsement of a credential that was registered on its owner's own machine; `text` is signed.

        There is nothing here to choose: it is recorded as it is, or refused.

        Raises:
            CallerRefused: they may have none.
            AssertionInvalid: the text is not a sound endorsement for this admin UI, or not signed by their SSH key.
            CredentialKnown, CredentialForeign: the credential is known already.
            LogUnavailable: it cannot be logged, and counts for nothing.
        """
        with self._recorded(person):
            endorsement = webauthn.open_endorsement(self._cluster, person, text, signature)
            webauthn.from_base64url(endorsement.credential, "credential's id", webauthn.CREDENTIAL_BYTES_MAX)
            found = _authenticator(endorsement, "unknown")
            if found.credential in self._endorsed or found.credential in self._pending:
                self._awaiting(person, found.credential)
            return self._endorse(person, found, signature)

    def _endorse(self, person: Operator, found: Authenticator, signature: str) -> Authenticator:
        touch = parse_line(person.ssh_key).touch
        self._recorder.endorsed(person, found.endorsement, signature, touch=touch)
        endorsed = msgspec.structs.replace(found, state="endorsed", signature=signature)
        self._endorsed[found.credential] = endorsed
        self._pending.pop(found.credential, None)
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
        answered = parsed(response, AssertionResponse)
        with self._lock:
            known = self._endorsed.get(answered.id)
        assertion = Assertion(
            credential=answered.id,
            authenticator_data=answered.response.authenticator_data,
            client_data=answered.response.client_data,
            signature=answered.response.signature,
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
