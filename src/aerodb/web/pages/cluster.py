"""The cluster as it was just observed: can writes be acknowledged, what deviates, the map, the facts that differ."""

from aerodb.protocol.api import Status
from aerodb.protocol.cluster import Cluster
from aerodb.rules.writes import writes
from aerodb.views.certificates import certificates_text
from aerodb.views.facts import fact_table, log_row
from aerodb.views.matrix import matrix_rows
from aerodb.views.observed import observe
from aerodb.views.status import deviations, status_remarks, writes_style
from aerodb.views.topology import draw
from aerodb.web.visit import Json, Page, Visit


def status_of(visit: Visit, *, judged: bool) -> Status:
    """Return the cluster as it is now; looking records nothing.

    Raises:
        CallerRefused: the person may not look.
    """
    return visit.access.status(sensitive=False, judged=judged)


def cluster(visit: Visit) -> Page:
    """Answer with whether writes can be acknowledged, what deviates, the map, and every node's facts."""
    return cluster_page(visit.access.cluster, status_of(visit, judged=False))


def sensitive(visit: Visit) -> Page:
    """Answer with everything that an auditor may see; the reading is recorded, and so it is sent, never linked to.

    Raises:
        CallerRefused: the person may not see it.
        LogUnavailable: the reading cannot be recorded.
    """
    status = visit.access.status(sensitive=True, judged=False)
    return cluster_page(visit.access.cluster, status)


def cluster_page(configuration: Cluster, status: Status) -> Page:
    """Return the page of a status: a function of the two alone."""
    observed = observe(configuration, status)
    found = writes(configuration, observed.facts)
    names = tuple(member.name for member in configuration.members)
    return Page(
        template="cluster.html",
        here="/",
        values={
            "status": status,
            "writes": found,
            "certificates": certificates_text(status.certificates),
            "map": draw(configuration, observed, addresses=not status.redacted),
            "table": fact_table(names, observed, (log_row(names, status.log_views),)),
            "deviations": deviations(found, status_remarks(status, observed)),
            "reporting": (len(observed.facts), len(names)),
        },
    )


def writes_now(visit: Visit) -> Json:
    """Answer with whether writes can be acknowledged: the line on top of the pages that are about something else.

    Raises:
        CallerRefused: the person may not look.
    """
    configuration, status = visit.access.cluster, status_of(visit, judged=False)
    found = writes(configuration, observe(configuration, status).facts)
    return Json(value={"style": writes_style(found), "text": f"Writes: {found.headline}"})


def now(visit: Visit) -> Page:
    """Answer with every action's verdict on every node."""
    return now_page(visit.access.cluster, status_of(visit, judged=True))


def now_page(configuration: Cluster, status: Status) -> Page:
    """Return the page of a status's matrix: a function of the two alone."""
    observed, names = observe(configuration, status), [member.name for member in configuration.members]
    found = writes(configuration, observed.facts)
    return Page(
        template="now.html",
        here="/now",
        values={
            "status": status,
            "writes": found,
            "names": names,
            "rows": matrix_rows(names, status.matrix),
            "deviations": deviations(found, status_remarks(status, observed)),
            "accepted": sum(cell.accepted for cell in status.matrix),
        },
    )
