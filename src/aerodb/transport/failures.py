"""Failures that a service does not know: told in its log with their traceback, under an id that the caller is shown.

Nothing of the inside reaches the caller; with the id a person finds it.
"""

import secrets
from typing import Any

from aerodb.logs import say
from aerodb.transport.errors import InternalFailure

_ID = "aerodb_failure_id"


def told(failure: Exception, **asked: object) -> InternalFailure:
    """Return what a caller is shown of a failure, which is told in the log once, with what was `asked`."""
    kept: dict[str, Any] = failure.__dict__
    if _ID not in kept:
        kept[_ID] = secrets.token_hex(4)
        say("internal failure", failure=failure, id=kept[_ID], **asked)
    return InternalFailure(
        f"{type(failure).__name__}; the service's own log has more, under the id {kept[_ID]}",
        executed="unknown", detail={"id": kept[_ID]},
    )  # fmt: skip


def called(scope: Any) -> dict[str, str]:
    """Return what is told of a call that failed: how it was made, of which path, and never by which query or form."""
    return {"method": scope["method"], "path": scope["path"]}
