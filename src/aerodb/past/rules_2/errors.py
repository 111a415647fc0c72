"""The root error; each subclass is one reason for refusal, with a stable code.

Every error says four things to its reader: the domain (`input`, `control`, `kernel`, `transport`),
the stable code (`domain.reason`), a message for people, and whether anything was executed.
Pure: no I/O, no clock.
"""

from typing import Literal

Domain = Literal["input", "control", "kernel", "transport"]
Executed = Literal["executed", "not executed", "unknown"]


class AeroError(Exception):
    """The root of every error that reaches a user.

    `code` is stable and documented; `field` names the input at fault, if there is one;
    `invariants` names the violated invariants, if a rule refused; `executed` says whether
    anything was executed when the error was raised; `recorded` whether the log already holds it.
    """

    code: str = "control.internal"
    status: int = 500
    title: str = "Something failed that should not have"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        invariants: tuple[str, ...] = (),
        executed: Executed = "not executed",
        request: str | None = None,
        detail: dict[str, str] | None = None,
    ) -> None:
        """Keep the message and what a caller needs in order to act on it."""
        super().__init__(message)
        self.message = message
        self.field = field
        self.invariants = invariants
        self.executed: Executed = executed
        self.request = request
        self.detail = dict(detail or {})
        self.recorded = False

    @property
    def domain(self) -> str:
        """Return the part of the code before the first dot."""
        return self.code.partition(".")[0]


class VerificationFailed(AeroError):
    """The log is not what its key signed; the message says what was found."""

    code = "control.log-verification-failed"
    status = 409
    title = "The audit log does not verify"


class EvidenceInvalid(AeroError):
    """A part of the evidence does not hold; `field` names the part."""

    code = "control.evidence-invalid"
    status = 409
    title = "The evidence does not verify"
