"""Unexpected failures: written to the service's log with a traceback, under an id that the caller is shown.

No internals reach the caller; the id lets a person find them in the log.
"""

import secrets
from typing import Any

from aerodb.logs import say
from aerodb.transport.errors import InternalFailure

_ID = "aerodb_failure_id"


def told(failure: Exception, **asked: object) -> InternalFailure:
    """Write a failure to the service's log, once, with what was `asked`; return what the caller is shown of it."""
    kept: dict[str, Any] = failure.__dict__
    if _ID not in kept:
        kept[_ID] = secrets.token_hex(4)
        say("internal failure", failure=failure, id=kept[_ID], **asked)
    return InternalFailure(
        f"{type(failure).__name__}; the service's own log has more, under the id {kept[_ID]}",
        executed="unknown", detail={"id": kept[_ID]},
    )  # fmt: skip


def called(scope: Any) -> dict[str, str]:
    """Return what is logged of a failed call: its method and path, never its query or form, which may hold secrets."""
    return {"method": scope["method"], "path": scope["path"]}
