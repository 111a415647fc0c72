"""The audit log on disk: the one part of `aerodb.audit` that does I/O."""

from aerodb.audit.store.errors import BlobMismatched, LogReplaced, LogUnavailable, RecordUnknown, SearchBehind
from aerodb.audit.store.finding import newest_requests, search
from aerodb.audit.store.folder import processes_for, verify_folder
from aerodb.audit.store.log import Log

__all__ = [
    "BlobMismatched",
    "Log",
    "LogReplaced",
    "LogUnavailable",
    "RecordUnknown",
    "SearchBehind",
    "newest_requests",
    "processes_for",
    "search",
    "verify_folder",
]
