"""A request as it is named at the terminal: by its id, or by how that begins, as lists show it.

- Every command that takes a request takes it here: `request_argument` reads it, and `whole_id` makes it whole.
- A beginning is looked up once, on this machine, in the list that the control plane gives. From then on the command
  has the whole id, and checks all that it is shown or signs against that one: a list that lies can name another
  request, and never make a plan of one pass for another's.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import click

from aerodb.cli.failures import RequestAmbiguous
from aerodb.cli.profile import Caller
from aerodb.cli.session import Session, read
from aerodb.protocol.api import Requests

_BEGINNING = re.compile("[0-9a-f][0-9a-f-]{3,34}")
_WHOLE = re.compile("[0-9a-f-]{36}")
PAGE_REQUESTS, PAGES_MAX = 500, 100
"""How many requests are asked for at once, and how often at most: what is older than those is named whole."""


def request_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add to a command the request that it is about, as it is typed; `whole_id` makes it whole."""
    return click.argument("request", metavar="REQUEST")(function)


def whole_id(session: Session, caller: Caller, text: str) -> str:
    """Return the id of the one request whose id begins with `text`; where none does, `text` as it is.

    Raises:
        RequestAmbiguous: several do, or not all requests could be looked through.
    """
    if not _BEGINNING.fullmatch(text):
        return text
    found, page = dict[str, None](), {"limit": PAGE_REQUESTS}
    for _ in range(PAGES_MAX):
        answer = read(session.search(f"/v1/requests?{urlencode(page)}", caller), Requests)
        ids = (line.request for line in answer.requests)
        found.update(dict.fromkeys(each for each in ids if each.startswith(text) and _WHOLE.fullmatch(each)))
        if answer.next is None:
            break
        page = {"limit": PAGE_REQUESTS, "before": answer.next}
    else:
        why = f"there are more than the newest {PAGE_REQUESTS * PAGES_MAX} requests that {text} was looked for in"
        raise RequestAmbiguous(f"{why}; type the whole id", field="request")
    if len(found) > 1:
        raise RequestAmbiguous(f"{text} begins the ids of {len(found)} requests: {', '.join(found)}", field="request")
    return next(iter(found), text)
