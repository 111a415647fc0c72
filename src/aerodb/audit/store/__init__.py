"""The audit log on disk: the one part of `aerodb.audit` that does I/O."""

from aerodb.audit.store.backup import Restored, as_folder, back_up, is_backup, restore
from aerodb.audit.store.errors import (
    BackupFailed,
    BlobMismatched,
    LogReplaced,
    LogUnavailable,
    RecordUnknown,
    SearchBehind,
)
from aerodb.audit.store.exported import opened_export, verify_export
from aerodb.audit.store.finding import newest_requests, search
from aerodb.audit.store.folder import verify_content, verify_folder
from aerodb.audit.store.founding import founding_in, trusted_founding
from aerodb.audit.store.judging import How, earlier_log, judge_export, judge_folder
from aerodb.audit.store.log import Log
from aerodb.audit.verdict import LogVerdict

__all__ = [
    "BackupFailed",
    "BlobMismatched",
    "How",
    "Log",
    "LogReplaced",
    "LogUnavailable",
    "LogVerdict",
    "RecordUnknown",
    "Restored",
    "SearchBehind",
    "as_folder",
    "back_up",
    "earlier_log",
    "founding_in",
    "is_backup",
    "judge_export",
    "judge_folder",
    "newest_requests",
    "opened_export",
    "restore",
    "search",
    "trusted_founding",
    "verify_content",
    "verify_export",
    "verify_folder",
]
