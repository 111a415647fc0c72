"""Procedures in the browser: choose one and its nodes, and see its requests in order, each as far as it can be judged.

Nothing is chosen beforehand, and nothing is asked for here: each line leads to the form of its own request.
"""

from typing import Any
from urllib.parse import urlencode

from aerodb.control.roles import Right
from aerodb.errors import AeroError
from aerodb.rules.explain import REASON_CHARACTERS_MAX
from aerodb.rules.procedures import KINDS, ProcedureKind, kind_named
from aerodb.rules.writes import newest_grant
from aerodb.views.observed import observe
from aerodb.views.procedure import orders_of, progress_of, remarks_of, title_of
from aerodb.views.watching import watched_notice
from aerodb.web.visit import Page, Visit

HERE = "/procedures"


def choice(visit: Visit) -> Page:
    """Answer with the choice of a procedure."""
    visit.access.require(Right.LOOK)
    values = {"kinds": list(KINDS.values()), "notice": watched_notice(visit.access.cluster)}
    return Page(template="procedure_choice.html", here=HERE, values=values)


def laid(visit: Visit) -> Page:
    """Answer with a procedure as it is laid out; with its form, where its nodes are not named yet."""
    visit.access.require(Right.LOOK)
    kind = kind_named(visit.path["procedure"])
    named = {part.name: visit.query.get(part.name, "") for part in kind.parts}
    reason = visit.query.get("reason")
    if reason is None or not all(named.values()):
        return Page(template="procedure_form.html", here=HERE, values=form_values(visit, kind))
    found = visit.access.procedure(kind.name, named, reason)
    orders = orders_of(found)
    values = {
        "kind": kind,
        "procedure": found,
        "title": title_of(found),
        "progress": progress_of(found),
        "remarks": remarks_of(found),
        "orders": orders,
        "reads": visit.access.may(Right.READ_AUDIT),
        "asks": visit.access.may(Right.REQUEST),
        "again": f"{HERE}/{kind.name}?{urlencode({**named, 'reason': found.reason})}",
        "writes": found.writes,
    }
    return Page(template="procedure.html", here=HERE, values=values)


def form_values(visit: Visit, kind: ProcedureKind) -> dict[str, Any]:
    """Return what the form of a procedure shows: nothing is chosen, and who cannot play a part is not offered."""
    names, holder = visit.access.cluster.data_nodes, _holder(visit)
    return {
        "kind": kind,
        "names": names,
        "unsuited": {part.name: part.unsuited(names, holder) for part in kind.parts},
        "reason_characters_max": REASON_CHARACTERS_MAX,
        "notice": watched_notice(visit.access.cluster),
    }


def _holder(visit: Visit) -> str:
    """Return the holder of the newest grant that is known now; empty where nobody says."""
    try:
        found = observe(visit.access.cluster, visit.access.status(sensitive=False, judged=False)).facts
    except AeroError:
        return ""
    newest = newest_grant(found)
    return newest.node if newest is not None else ""
