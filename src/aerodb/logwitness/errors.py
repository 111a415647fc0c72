"""Why a log witness refuses, or does not run: one error per reason. The statuses are those of C2SP tlog-witness."""

from aerodb.errors import AeroError


class LogUnknown(AeroError):
    """The checkpoint is of a log that the witness was not told to watch."""

    code = "control.log-witness-unknown-log"
    status = 404
    title = "The log witness does not watch this log"


class LogUnsigned(AeroError):
    """The checkpoint is not signed with the key of the log that it names."""

    code = "control.log-witness-unsigned"
    status = 403
    title = "The log's key did not sign what the log witness was shown"


class SizeDiffers(AeroError):
    """The log starts from another size than the witness cosigned last, which is `size`."""

    code = "control.log-witness-size"
    status = 409
    title = "The log witness knows another size of the log"

    def __init__(self, message: str, size: int = 0) -> None:
        """Keep the size that the witness knows."""
        super().__init__(message)
        self.size = size


class LogAnother(SizeDiffers):
    """The log's key signed another log of the size that the witness cosigned; the witness keeps the note as proof."""

    code = "control.log-witness-another-log"
    title = "The log witness has cosigned another log"


class Unproven(AeroError):
    """Nothing proves that the checkpoint extends the one that the witness cosigned last."""

    code = "control.log-witness-unproven"
    status = 422
    title = "The checkpoint is not proven to extend what the log witness has seen"


class MemoryBroken(AeroError):
    """A log witness's memory is missing, damaged or not its own; it never begins anew by itself."""

    code = "control.log-witness-memory"
    status = 500
    title = "The log witness's memory cannot be trusted"


class MemoryFull(AeroError):
    """A log witness cannot write down what it has seen, so it cosigns nothing."""

    code = "control.log-witness-full"
    status = 507
    title = "The log witness cannot write down what it sees"


class WitnessBroken(AeroError):
    """A log witness's folder lacks a part, a part is damaged, or the folder is taken."""

    code = "control.log-witness-folder"
    status = 500
    title = "The log witness's folder cannot be used"


class WitnessAlone(AeroError):
    """Another process is using the log witness's folder; only one may at a time."""

    code = "control.log-witness-running"
    status = 409
    title = "Another process has the log witness's folder"


class LogWatched(AeroError):
    """The witness already watches a log of that name, with this key or another."""

    code = "input.log-witness-log-known"
    status = 409
    title = "The log witness watches that log already"


class SeenOther(AeroError):
    """The checkpoint to be given up is not the one that the log witness has cosigned."""

    code = "input.log-witness-seen"
    status = 409
    title = "The log witness has cosigned something else"
