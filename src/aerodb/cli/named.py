"""A request as it is named at the terminal: by its id, or by how that begins, as lists show it."""

import re

from aerodb.cli.failures import RequestAmbiguous
from aerodb.cli.profile import Caller
from aerodb.cli.session import read
from aerodb.protocol.api import Requests

_BEGINNING = re.compile("[0-9a-f][0-9a-f-]{3,34}")
LOOKED_THROUGH = 500
"""How many of the newest requests are looked through."""


def whole_id(caller: Caller, text: str) -> str:
    """Return the id of the one request, of the newest, whose id begins with `text`; else `text` as it is.

    Raises:
        RequestAmbiguous: several do.
    """
    if not _BEGINNING.fullmatch(text):
        return text
    lines = read(caller.get(f"/v1/requests?limit={LOOKED_THROUGH}"), Requests).requests
    found = [line.request for line in lines if line.request.startswith(text)]
    if len(found) > 1:
        raise RequestAmbiguous(f"{text} begins the ids of {len(found)} requests: {', '.join(found)}", field="request")
    return found[0] if found else text
