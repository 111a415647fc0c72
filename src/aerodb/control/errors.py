"""Why the control plane refuses: one error a reason, each with its stable code."""

from aerodb.errors import AeroError


class CallerRevoked(AeroError):
    """The caller is revoked."""

    code = "control.caller-revoked"
    status = 403
    title = "The caller is revoked"


class SnapshotInconsistent(AeroError):
    """Two reads of the cluster differ, so they are not one state."""

    code = "control.snapshot-inconsistent"
    status = 409
    title = "The cluster changed while it was looked at"


class KeyMissing(AeroError):
    """A request needs an Idempotency-Key: its id."""

    code = "input.idempotency-key-missing"
    status = 400
    title = "The Idempotency-Key is missing"


class KeyReused(AeroError):
    """The request's id has been used for another request."""

    code = "input.idempotency-key-reused"
    status = 422
    title = "The Idempotency-Key was used for another request"


class RequestKnown(AeroError):
    """The request's id has been used; what became of it stands."""

    code = "control.request-known"
    status = 409
    title = "The request is known already"


class RequestNotFound(AeroError):
    """The log knows no such request."""

    code = "input.request-unknown"
    status = 404
    title = "There is no such request"


class SnapshotNotFound(AeroError):
    """The log knows no such snapshot."""

    code = "input.snapshot-unknown"
    status = 404
    title = "There is no such snapshot"


class GapMistaken(AeroError):
    """What a request gives up of the log is not missing, or what it names as restored is not this log's beginning."""

    code = "control.gap-mistaken"
    status = 409
    title = "The gap in the audit log is another one"


class ConfirmationReplayed(AeroError):
    """The request was confirmed before; a confirmation counts once. What is said to be executed is of the first one."""

    code = "control.confirmation-replayed"
    status = 409
    title = "The request was confirmed before"


class SuccessorUnknown(AeroError):
    """The request after this one is not held by its node as this process would have to know it: ask for it anew."""

    code = "control.successor-unknown"
    status = 409
    title = "The request after this one is not held"


class RejectionUnconfirmable(AeroError):
    """The plan is a rejection; it cannot be confirmed."""

    code = "control.plan-rejected"
    status = 409
    title = "The plan is a rejection"


class NeverConfirmed(AeroError):
    """The log holds no confirmation of the request, so it was never sent anywhere."""

    code = "control.never-confirmed"
    status = 409
    title = "The request was never confirmed"


class WebMissing(AeroError):
    """The configuration names no admin UI, so no browser can hold a credential for it."""

    code = "control.web-missing"
    status = 409
    title = "The cluster has no admin UI"


class RegistrationNotAwaited(AeroError):
    """This process awaits no registration by this person."""

    code = "control.registration-not-awaited"
    status = 409
    title = "No registration is awaited"


class CredentialsPending(AeroError):
    """As many of the person's credentials await their enrolment as this process keeps for one person."""

    code = "control.credentials-pending"
    status = 409
    title = "Too many credentials await their enrolment"


class CredentialUnknown(AeroError):
    """No authenticator of the person counts under the version of the configuration that the plan names."""

    code = "input.credential-unknown"
    status = 404
    title = "There is no such credential"


class CredentialKnown(AeroError):
    """The credential is registered already."""

    code = "control.credential-known"
    status = 409
    title = "The credential is known already"


class CosignaturesMissing(AeroError):
    """Fewer log witnesses than the configuration demands cosigned the log in which the confirmation stands."""

    code = "control.cosignatures-missing"
    status = 503
    title = "Log witnesses did not cosign the audit log"


class OutcomeForged(AeroError):
    """An agent's answer is not the signed outcome of this request."""

    code = "transport.outcome-forged"
    status = 502
    title = "The outcome cannot be verified"


class ControlFolderBroken(AeroError):
    """The control plane's folder lacks a part, or a part is damaged."""

    code = "control.folder-broken"
    status = 500
    title = "The control plane's folder cannot be read"


class TicketSpent(AeroError):
    """The ticket opens no session: it works once and not for long, and a newer one replaces it."""

    code = "control.ticket-spent"
    status = 403
    title = "The ticket does not work any more"


class SessionUnknown(AeroError):
    """The browser shows no session of this control plane's process."""

    code = "control.not-signed-in"
    status = 401
    title = "Nobody is signed in"


class SessionForeign(AeroError):
    """Another program than the one that signed in shows a session's cookie; the session is ended by that."""

    code = "control.session-foreign"
    status = 403
    title = "The session is another program's"


class SessionNotFound(AeroError):
    """No session with this id goes on."""

    code = "input.session-unknown"
    status = 404
    title = "There is no such session"


class VersionUntaken(AeroError):
    """The target judges by a version of the configuration in which the person who asks is no operator yet."""

    code = "control.version-untaken"
    status = 409
    title = "The node has not taken the version that makes you an operator"
