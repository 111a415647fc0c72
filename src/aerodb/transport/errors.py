"""What can go wrong between two processes: one error a reason."""

from aerodb.errors import AeroError


def plainly(error: Exception) -> str:
    """Return why the system refused, as it words it, without its number: "connection refused"."""
    if isinstance(error, TimeoutError) and not error.strerror:
        return "timed out"  # Python's own text names a line of its source.
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return told[:1].lower() + told[1:] if told[1:2].islower() else told


class Unreachable(AeroError):
    """The other side could not be reached; nothing was sent."""

    code = "transport.unreachable"
    status = 503
    title = "The other side cannot be reached"


class CertificateExpired(Unreachable):
    """The other side shows a certificate that has expired, or its authority's has; nothing was sent."""

    code = "transport.certificate-expired"
    title = "The other side's certificate has expired"


class CallsTooMany(AeroError):
    """The caller, or all callers of its kind together, have too many calls under way; nothing was begun. Try again."""

    code = "transport.calls-too-many"
    status = 429
    title = "Too many call at once"


class BodiesTooMany(AeroError):
    """The bodies of requests under way take up all the memory set aside for them; nothing was begun. Try again."""

    code = "transport.bodies-too-many"
    status = 429
    title = "Too much is being sent at once"


class BodyLate(AeroError):
    """The request's body did not come in time; nothing was begun."""

    code = "transport.body-late"
    status = 408
    title = "The body came too slowly"


class Interrupted(AeroError):
    """The request was sent, and no complete answer came back; ask what became of it."""

    code = "transport.interrupted"
    status = 504
    title = "No answer came back"


class OwnCertificateExpired(Interrupted):
    """No answer came back, and the caller's own certificate has expired: services hang up when they see it.

    Only the caller's clock says that it has expired, so the fate of what was sent is still called unknown.
    """

    code = "transport.own-certificate-expired"
    title = "Your own certificate has expired"


class AnswerMalformed(AeroError):
    """The other side's answer does not follow the protocol."""

    code = "transport.answer-malformed"
    status = 502
    title = "The answer is malformed"


class Refused(AeroError):
    """The other side refused; its code, title and words are passed on unchanged."""

    code = "transport.refused"
    title = "The other side refused"


class CallerUnknown(AeroError):
    """The caller shows no certificate that names somebody."""

    code = "control.caller-unknown"
    status = 401
    title = "The caller is unknown"


class PeerUnknown(AeroError):
    """The connection comes from this machine, and the operating system does not say from which program."""

    code = "transport.peer-unknown"
    status = 403
    title = "It cannot be told whose connection this is"


class CallerRefused(AeroError):
    """The caller is known, but may not do this."""

    code = "control.role-denied"
    status = 403
    title = "The caller's role does not allow this"


REFUSES_THE_CALLER = frozenset({CallerUnknown.code, "control.caller-revoked", CallerRefused.code})
"""The codes of refusals that concern the caller, whatever was asked."""


class BodyTooLarge(AeroError):
    """The body is larger than its path allows."""

    code = "input.too-large"
    status = 413
    title = "The body is too large"


class QueryMalformed(AeroError):
    """A part of the query is missing or of the wrong form; `field` names it."""

    code = "input.query-malformed"
    status = 400
    title = "The query is malformed"


class RouteUnknown(AeroError):
    """There is no such path, or not with this method."""

    code = "input.route-unknown"
    status = 404
    title = "There is no such resource"


class HostForeign(AeroError):
    """The browser asked for a host that is not the pages' own."""

    code = "input.host-foreign"
    status = 421
    title = "This is not the pages' address"


class OriginForeign(AeroError):
    """The form was sent from a page of another origin."""

    code = "control.origin-foreign"
    status = 403
    title = "The form comes from another site"


class InternalFailure(AeroError):
    """A service failed in a way that it did not foresee."""

    code = "control.internal"
    status = 500
    title = "Something failed that should not have"
