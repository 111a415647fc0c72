"""One node: what it is, what may be asked of it now, the requests about it, and what it saw last.

What cannot be read, such as the log or a silent node's events, is said to be so; the rest of the page stands.
"""

from typing import Any

from aerodb.errors import AeroError
from aerodb.protocol.api import RequestLine, Status
from aerodb.protocol.classification import REDACTED
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.timeline import Entry
from aerodb.rules.writes import writes
from aerodb.views.facts import fact_rows, log_row, role_text
from aerodb.views.observed import observe
from aerodb.views.requests import concerns
from aerodb.views.status import about, deviations, status_remarks
from aerodb.web.pages.cluster import status_of
from aerodb.web.visit import Page, Visit

REQUESTS_LOOKED_AT = 100
SHOWN_MAX = 10
RECORDS_MAX = 60
"""How many of the newest records are ordered with the node's own events."""


def node(visit: Visit) -> Page:
    """Answer with one node as it was just observed; looking records nothing.

    Raises:
        NodeUnknown: the cluster has none of that name.
    """
    name = visit.access.cluster.member(visit.path["node"]).name
    lines, unread = _requests(visit, name)
    entries, unseen = _events(visit, name)
    found = node_values(visit.access.cluster, name, status_of(visit, judged=True))
    found |= {"lines": lines, "unread": unread, "entries": entries, "unseen": unseen}
    return Page(template="node.html", here="/", values=found)


def node_values(cluster: Cluster, name: str, status: Status) -> dict[str, Any]:
    """Return what the page shows of a status: a function of the three alone."""
    observed = observe(cluster, status)
    found = writes(cluster, observed.facts)
    cells = [cell for cell in status.matrix if cell.node == name]
    member, hidden = cluster.member(name), bool(status.redacted)
    return {
        "name": name,
        "role": role_text(name, observed),
        "member": member,
        "agent_at": REDACTED if hidden else member.agent,
        "postgres_at": REDACTED if hidden else f"{member.postgres_host}:{member.postgres_port}",
        "status": status,
        "writes": found,
        "deviations": deviations(found, about(name, status_remarks(status, observed))),
        "rows": (*fact_rows((name,), observed), log_row((name,), status.log_views)),
        "accepted": [cell for cell in cells if cell.accepted],
        "rejected": [cell for cell in cells if not cell.accepted],
    }


def _requests(visit: Visit, name: str) -> tuple[list[RequestLine], str]:
    """Return the newest requests that name a node, and why they cannot be read, where they cannot."""
    try:
        found = visit.access.requests(None, REQUESTS_LOOKED_AT).requests
    except AeroError as error:
        return [], error.message
    return [line for line in found if concerns(line, name)][:SHOWN_MAX], ""


def _events(visit: Visit, name: str) -> tuple[list[Entry], str]:
    """Return what a node saw last, the newest first, and why that cannot be read, where it cannot."""
    try:
        found = visit.access.timeline(name, None, RECORDS_MAX, sensitive=False)
    except AeroError as error:
        return [], error.message
    own = [entry for entry in found.entries if entry.source == name]
    return own[: -SHOWN_MAX - 1 : -1], found.missing.get(name, "")
