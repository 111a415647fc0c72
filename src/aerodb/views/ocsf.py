"""The log's records as OCSF events of the class API Activity, for tools that collect events from many sources.

An OCSF event carries no proof, but names its record (`metadata.log_name`, `metadata.sequence`). What has no place in
the schema is kept in `unmapped`. The log does not record where a caller called from; `src_endpoint`, which is required,
says so.

Pure: no I/O, no clock. Source: OCSF 1.6.0, classes/api_activity (category 6, class 6003).
"""

from typing import Any

import msgspec

from aerodb import __version__
from aerodb.audit.record import Record, RecordEvent
from aerodb.audit.search import instant
from aerodb.protocol.calendar import milliseconds_of

VERSION = "1.6.0"
CLASS = 6003
NOT_RECORDED = "not recorded"

ACTIVITIES: dict[RecordEvent, tuple[int, str]] = {
    "requested": (1, "Create"),
    "rejected": (1, "Create"),
    "refused": (99, "Refuse"),
    "signed": (3, "Update"),
    "confirmed": (3, "Update"),
    "triggered": (3, "Update"),
    "outcome": (3, "Update"),
    "established": (3, "Update"),
    "endorsed": (1, "Create"),
    "read": (2, "Read"),
    "declined": (3, "Update"),
    "lapsed": (3, "Update"),
    "signed-in": (1, "Create"),
    "signed-out": (4, "Delete"),
}
SEVERITIES = {1: "Informational", 2: "Low", 3: "Medium"}
STATUSES = {0: "Unknown", 1: "Success", 2: "Failure"}


def epoch_milliseconds(at: str) -> int:
    """Return a record's time as milliseconds since 1970; 0 if it is malformed."""
    known = instant(at)
    return (milliseconds_of(known) if known else None) or 0


def _judged(record: Record) -> tuple[int, int]:
    """Return a record's OCSF status and severity."""
    if record.event in ("rejected", "refused"):
        return 2, 2
    if record.event in ("outcome", "established"):
        return {"executed": (1, 1), "not executed": (2, 2)}.get(record.result, (0, 3))
    return 1, 1


def event_of(sequence: int, record: Record, origin: str) -> dict[str, Any]:
    """Return the record `sequence` of the log `origin` as an OCSF event, in plain values."""
    activity, name = ACTIVITIES[record.event]
    status, severity = _judged(record)
    left = {
        field: value
        for field, value in msgspec.to_builtins(record).items()
        if field not in ("kind", "format", "at", "request", "operator", "action", "target", "reason") and value
    }
    event: dict[str, Any] = {
        "category_uid": CLASS // 1000,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "API Activity",
        "activity_id": activity,
        "activity_name": name,
        "type_uid": CLASS * 100 + activity,
        "type_name": f"API Activity: {name}",
        "time": epoch_milliseconds(record.at),
        "severity_id": severity,
        "severity": SEVERITIES[severity],
        "status_id": status,
        "status": STATUSES[status],
        "actor": {"user": {"name": record.operator}},
        "api": {
            "operation": f"{record.event} {record.action}".rstrip(),
            "service": {"name": "AeroDB control plane"},
        },
        "src_endpoint": {"name": NOT_RECORDED},
        "metadata": {
            "version": VERSION,
            "product": {"name": "AeroDB", "vendor_name": "AeroDB", "version": __version__},
            "uid": f"{origin}#{sequence}",
            "sequence": sequence,
            "log_name": origin,
            "original_time": record.at,
        },
        "unmapped": left,
    }
    if record.request:
        event["api"]["request"] = {"uid": record.request}
        event["metadata"]["correlation_uid"] = record.request
    if record.target:
        event["resources"] = [{"name": record.target, "type": "node"}]
    texts = {"message": record.reason, "status_code": record.code, "status_detail": record.message}
    return event | {field: value for field, value in texts.items() if value}
