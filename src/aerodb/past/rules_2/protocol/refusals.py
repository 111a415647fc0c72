"""Refusals that more than one party of the system utters: each code means one thing, whoever says it."""

from aerodb.past.rules_2.errors import AeroError


class SignatureInvalid(AeroError):
    """A signature does not verify: of an SSH key, of an authenticator, or a person's over a plan."""

    code = "kernel.signature-invalid"
    status = 403
    title = "The signature is not valid"


class SecondMissing(AeroError):
    """The configuration asks for a second person for this action, and none has signed."""

    code = "kernel.second-missing"
    status = 403
    title = "A second person has not signed"


class SecondRefused(AeroError):
    """Whoever signed as the second person is none: the requester, nobody who may, or not over this plan."""

    code = "kernel.second-refused"
    status = 403
    title = "The second signature does not count"


class RequestForeign(AeroError):
    """Only who asked may confirm."""

    code = "control.not-the-requester"
    status = 403
    title = "Somebody else asked for this"


class PlanNotPending(AeroError):
    """No plan of this request awaits a confirmation in this process."""

    code = "control.plan-not-pending"
    status = 409
    title = "No plan awaits this confirmation"
