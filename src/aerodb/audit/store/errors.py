"""Why the log cannot be used. Pure."""

from aerodb.errors import AeroError


class LogUnavailable(AeroError):
    """The log cannot be read or written now; nothing was written in part."""

    code = "control.log-unavailable"
    status = 503
    title = "The audit log is unavailable"


class LogReplaced(AeroError):
    """The log's files are not the ones that this process opened, or that were sealed at closing."""

    code = "control.log-replaced"
    status = 503
    title = "The audit log's files were deleted, replaced or written by someone else"


class SearchBehind(AeroError):
    """The index for searches is still being built. Each search continues the work, so ask again."""

    code = "control.search-behind"
    status = 503
    title = "The index for searches is still being built"


class RecordUnknown(AeroError):
    """The log has no record with this number, or never had this size."""

    code = "input.record-unknown"
    status = 404
    title = "The audit log has no such record"


class BlobMismatched(AeroError):
    """A blob does not match its digest, is not text, or is missing although a confirmation names it."""

    code = "control.blob-mismatched"
    status = 409
    title = "A blob is not what its digest names"


class BackupFailed(AeroError):
    """The log's backup cannot be made or put back; an unfinished copy has a different name."""

    code = "control.backup-failed"
    status = 503
    title = "The audit log's backup is not made, or not put back"
