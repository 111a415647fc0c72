"""What the command line itself refuses, and the exit code of every error.

The exit codes are part of the interface: 0 done, 1 rejected or not executed, 2 usage or input, 3 unknown,
4 transport, 5 not a terminal, 6 verification failed, 7 (of `status`) commits are not known to be acknowledged,
8 signed, and a second person, or the request before it, is awaited, 141 (of an export) its reader went away.
"""

from aerodb.errors import AeroError, EvidenceInvalid, VerificationFailed

OK, REJECTED, USAGE, UNKNOWN, TRANSPORT, NOT_A_TERMINAL, UNVERIFIED, NO_WRITES, AWAITED = range(9)
UNREAD = 141
"""An export that lost its reader is not whole; it ends as if the pipe's signal had ended it (128 + SIGPIPE)."""

BY_DOMAIN = {"input": USAGE, "transport": TRANSPORT}
BY_RESULT = {"executed": OK, "not executed": REJECTED, "unknown": UNKNOWN, "held": AWAITED}


class RequestAmbiguous(AeroError):
    """What was typed begins the ids of several requests, or of more than can be looked through."""

    code = "input.request-ambiguous"
    status = 400
    title = "Several requests begin so"


class TerminalMissing(AeroError):
    """An action was asked for where nobody can read its plan or type its confirmation."""

    code = "input.terminal-missing"
    status = 400
    title = "An action needs a person at a terminal"


class ProfileUnusable(AeroError):
    """The profile folder lacks something, or holds something that cannot be read."""

    code = "input.profile-unusable"
    status = 400
    title = "The profile cannot be used"


class KeyUnusable(AeroError):
    """The operator's key cannot sign."""

    code = "input.signing-key-unusable"
    status = 400
    title = "The operator's key cannot be used"


class FactsRedacted(AeroError):
    """What was asked for rests on facts that the caller's role is not shown."""

    code = "input.facts-redacted"
    status = 403
    title = "Your role is not shown what this rests on"


class FileUnusable(AeroError):
    """A file named on the command line cannot be read, or would be overwritten."""

    code = "input.file-unusable"
    status = 400
    title = "The file cannot be used"


class AdminUiAbsent(AeroError):
    """The cluster is run without the admin UI."""

    code = "input.admin-ui-absent"
    status = 404
    title = "The cluster has no admin UI"


class PrimaryUnknown(AeroError):
    """Nobody who reports is the granted primary, which takes each version of the configuration first."""

    code = "input.primary-unknown"
    status = 409
    title = "There is no granted primary to begin with"


class OriginElsewhere(AeroError):
    """The admin UI is on another host than localhost, and only its own pages can register an authenticator for it."""

    code = "input.origin-elsewhere"
    status = 409
    title = "This machine is not the admin UI's host"


class RegistrationLapsed(AeroError):
    """The browser answered nothing in the time that the link was open."""

    code = "input.registration-lapsed"
    status = 408
    title = "Nothing was registered in time"


class LinkUsed(AeroError):
    """The link of a registration takes one answer, and has it."""

    code = "input.link-used"
    status = 409
    title = "The link was used"


class OutcomeUnknown(AeroError):
    """The confirmation was sent, and what became of it was not learned."""

    code = "transport.outcome-unknown"
    status = 504
    title = "What became of the request is unknown"


class Stopped(AeroError):
    """A person stopped the command before anything was confirmed."""

    code = "input.stopped"
    status = 400
    title = "The command was stopped by hand"


class ProgramFailed(AeroError):
    """The program failed where it should not have."""

    code = "control.command-failed"
    status = 500
    title = "The command failed where it should not have"


class Unverified(AeroError):
    """Something that was shown or signed elsewhere does not verify here."""

    code = "control.unverified"
    status = 409
    title = "What the control plane said does not verify here"


class PlanAltered(Unverified):
    """The plan is not the one that was asked for, or not what its evidence makes it."""

    code = "control.plan-unverified"
    title = "The plan does not verify here"


class ConfigurationUnverified(Unverified):
    """A version of the configuration does not follow, proven, from the profile's version 1."""

    code = "control.configuration-unverified"
    title = "The configuration does not verify here"


class LogUnverified(VerificationFailed, Unverified):
    """The audit log is not what its key signed, as this machine finds."""


class EvidenceUnverified(EvidenceInvalid, Unverified):
    """A part of an evidence file does not hold, as this machine finds; the message names it."""


class OutcomeUnverified(Unverified):
    """The outcome is not what the target's agent signed for this request."""

    code = "control.outcome-unverified"
    title = "The outcome does not verify here"


MADE_LATER = "input.made-later"
"""What says that something cannot be verified here, since whoever made it has a later version."""

LOG_CODES = frozenset({LogUnverified.code, "control.log-behind", "control.log-forked"})
"""What says that the audit log is not what it was, whoever finds it; `aerodb.audit` is not loaded for it."""


CREDENTIAL_UNVERIFIED = "control.credential-unverified"
"""What says that a registered authenticator is not what it should be; `aerodb.views.enrolling` is not loaded for it."""


def exit_code(error: AeroError) -> int:
    """Return the exit code that says what `error` means to a caller."""
    if isinstance(error, Unverified) or error.code in {*LOG_CODES, MADE_LATER, CREDENTIAL_UNVERIFIED}:
        return UNVERIFIED
    if isinstance(error, TerminalMissing):
        return NOT_A_TERMINAL
    if error.executed == "unknown":
        return UNKNOWN
    return BY_DOMAIN.get(error.domain, REJECTED)
