"""Authenticators: registered by a browser, enrolled by a version of the configuration, and then able to confirm.

- A registration is awaited, and a credential is pending, in this process alone; both die with it. What is pending
  confirms nothing: it is a request that enrols it (`configure`), and that request says what it is.
- Only operators have authenticators. Nothing here opens a lock: the agents judge by their own versions.
- Under version 1, which enrols none, a credential confirms that its owner's SSH key endorsed when release 0.1.0 let it.
  Those endorsements stand in the log, and are read back from it when the process begins; none is made any more.
- Every refusal is recorded.
"""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from aerodb.audit.record import decode_record
from aerodb.control.errors import (
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
from aerodb.protocol.authenticator import Copies, EnrolledAuthenticator, fingerprint, short_name
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.protocol.credentials import (
    AssertionResponse,
    Authenticator,
    AuthenticatorState,
    CreationOptions,
    Descriptor,
    RequestOptions,
)
from aerodb.protocol.plan import plan_in
from aerodb.protocol.webauthn import Assertion, Endorsement, LaterAssertion
from aerodb.registration import CHALLENGE_BYTES, creation_options, parsed, read_registration

PENDING_A_PERSON_MAX = 8
"""How many of one person's credentials await their enrolment at once."""


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
        """Yield the endorsed credentials of the log whose owner's key under version 1 is the one that signed."""
        log, founding = self._recorder.log, self._recorder.versions.chain.founding
        for sequence in log.sequences_of(""):
            record = decode_record(log.record(sequence))
            person = founding.operator(record.operator)
            text = log.blob(record.endorsement) if record.event == "endorsed" else None
            if person is None or person.revoked or text is None:
                continue
            try:
                endorsement = webauthn.open_endorsement(founding, person, text.decode(), record.signature)
                yield _authenticator(endorsement, "endorsed", "unknown", record.signature)
            except AeroError:
                continue  # Its owner's key is another one now, or the admin UI is elsewhere.

    @contextmanager
    def _recorded(self, person: Operator) -> Iterator[None]:
        """Hold what is known for one caller, who must be allowed, and record why they are refused."""
        with self._lock:
            try:
                require(person, Right.REGISTER)
                yield
            except AeroError as error:
                self._recorder.refused(about(person), error)
                raise

    def known(self, person: Operator) -> tuple[Authenticator, ...]:
        """Return everybody's authenticators, as an operator may see them: the enrolled ones first, the pending last.

        Raises:
            CallerRefused: they may not.
        """
        require(person, Right.REGISTER)
        with self._lock:
            return self._known()

    def _known(self) -> tuple[Authenticator, ...]:
        newest = self._cluster
        enrolled = tuple(_enrolled(newest, each) for each in newest.enrolled)
        taken = {each.credential for each in enrolled}
        waiting = tuple(
            each for each in (*self._endorsed.values(), *self._pending.values()) if each.credential not in taken
        )
        if newest.link is None:
            return waiting
        return (*enrolled, *(replace(each, state="pending", signature="") for each in waiting))

    # Registration -----------------------------------------------------------------------------------------------------

    def begin(self, person: Operator) -> CreationOptions:
        """Return what the person's browser needs in order to make a credential; an earlier beginning is forgotten.

        Raises:
            CallerRefused: they may have none.
            WebMissing: the cluster has no admin UI.
            CredentialsPending: too many of theirs await their enrolment.
        """
        with self._recorded(person):
            if not self._cluster.web_origin:
                raise WebMissing("the configuration names no origin of an admin UI")
            self._refuse_crowd(person)
            self._challenges[person.name] = secrets.token_bytes(CHALLENGE_BYTES)
            known = (e.credential for e in self._known() if e.operator == person.name and e.state != "revoked")
            return creation_options(self._cluster, person.name, self._challenges[person.name], known)

    def finish(self, person: Operator, response: str) -> Authenticator:
        """Return the credential in a browser's response, which now awaits its enrolment.

        Raises:
            CallerRefused, RegistrationNotAwaited, ResponseMalformed, RegistrationInvalid: it is none.
            CredentialKnown: it is somebody's already.
            CredentialsPending: too many of theirs await their enrolment.
        """
        with self._recorded(person):
            challenge = self._challenges.pop(person.name, None)
            if challenge is None:
                raise RegistrationNotAwaited("no registration was begun, or it was answered already; begin anew")
            found = read_registration(self._cluster, person.name, response, challenge, self._cluster.web_origin)
            pending = _authenticator(found.endorsement, "pending", found.copies)
            if any(each.credential == pending.credential for each in self._known()):
                raise CredentialKnown("the credential is registered already", field="response")
            self._refuse_crowd(person)
            self._pending[pending.credential] = pending
            return pending

    def _refuse_crowd(self, person: Operator) -> None:
        enrolled = {each.credential for each in self._cluster.enrolled}
        waiting = [each for each in self._pending.values() if each.credential not in enrolled]
        if sum(each.operator == person.name for each in waiting) >= PENDING_A_PERSON_MAX:
            raise CredentialsPending(
                f"{PENDING_A_PERSON_MAX} credentials of {person.name} await their enrolment, and no more may: "
                "enrol one, or begin the control plane's process anew, which forgets them"
            )

    # Confirmation -----------------------------------------------------------------------------------------------------

    def options(self, person: Operator, plan_text: str) -> RequestOptions:
        """Return what the person's browser needs in order to have a plan confirmed, under the version that it names.

        Raises:
            CallerRefused: they may not confirm.
            NotCanonical: it is no plan.
            CredentialUnknown: no authenticator of theirs counts under that version.
        """
        require(person, Right.CONFIRM)
        under = self._under(plan_in(plan_text).configuration)
        if under.link is None:
            found = [each.credential for each in self._endorsed.values() if each.operator == person.name]
        else:
            found = [each.credential for each in under.enrolled if each.person == person.name and not each.revoked]
        if not found:
            raise CredentialUnknown(
                f"{person.name} has no authenticator under version {under.version} of the configuration"
            )
        return RequestOptions(
            challenge=webauthn.challenge_of(plan_text.encode()),
            rp_id=under.rp_id,
            allow_credentials=tuple(Descriptor(id=each) for each in found),
        )

    def _under(self, configuration: str) -> Cluster:
        return self._recorder.versions.chain.judging(configuration)

    def assertion(self, configuration: str, response: str) -> str:
        """Return a browser's response as the text of a confirmation under the version with a digest.

        Nothing is verified here: whoever takes the confirmation does that, and records why it is refused.

        Raises:
            ResponseMalformed: it is not a response.
        """
        answered = parsed(response, AssertionResponse)
        said = LaterAssertion(
            credential=answered.id,
            authenticator_data=answered.response.authenticator_data,
            client_data=answered.response.client_data,
            signature=answered.response.signature,
        )
        if self._under(configuration).link is not None:
            return canonical.encode(said).decode()
        known = self._endorsed.get(answered.id)
        endorsed = Assertion(
            credential=said.credential,
            authenticator_data=said.authenticator_data,
            client_data=said.client_data,
            signature=said.signature,
            endorsement=known.endorsement if known else "",
            endorsement_signature=known.signature if known else "",
        )
        return canonical.encode(endorsed).decode()


def _enrolled(newest: Cluster, each: EnrolledAuthenticator) -> Authenticator:
    said = webauthn.endorsement_of(newest, each.person, each.credential, each.public_key)
    return _authenticator(said, "revoked" if each.revoked else "enrolled", each.copies)


def _authenticator(
    endorsement: Endorsement, state: AuthenticatorState, copies: Copies, signature: str = ""
) -> Authenticator:
    return Authenticator(
        credential=endorsement.credential,
        name=short_name(endorsement.credential),
        operator=endorsement.operator,
        state=state,
        algorithm=webauthn.algorithm_of(webauthn.public_key(endorsement.public_key)),
        fingerprint=fingerprint(endorsement.public_key),
        copies=copies,
        endorsement=canonical.encode(endorsement).decode(),
        signature=signature,
    )
