"""Who called: as the server's protocol puts it into a request's scope."""

from typing import Any

from aerodb.transport.tls import Caller

CALLER = "aerodb.caller"


def caller_in(scope: Any) -> Caller:
    """Return who called, from a request's scope."""
    caller: Caller = scope["extensions"][CALLER]
    return caller
