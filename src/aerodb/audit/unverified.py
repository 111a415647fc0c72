"""What does not verify, as errors: apart from what verifies, so that whoever only names them loads nothing else."""

from aerodb.errors import AeroError


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
