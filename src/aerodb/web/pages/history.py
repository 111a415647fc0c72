"""What happened, in one order that no clock decides; and the cluster as it was at any recorded moment."""

from aerodb.audit.lags import picture
from aerodb.control.roles import Right, require
from aerodb.protocol import canonical
from aerodb.protocol.api import AsOf
from aerodb.protocol.classification import redacted
from aerodb.protocol.cluster import Cluster, Role
from aerodb.rules.observed import Observed, observe_snapshot
from aerodb.web.errors import FormMalformed
from aerodb.web.lanes import draw as draw_lanes
from aerodb.web.pages.cluster import fact_rows, matrix_rows
from aerodb.web.topology import draw
from aerodb.web.visit import Page, Visit

ENTRIES_MAX = 120
"""How many of the newest records, and of each node's newest events: the page stays under its 100 kB."""


def timeline(visit: Visit) -> Page:
    """Answer with what every node saw and what the log holds, in one order.

    Raises:
        CallerRefused: the person may not read requests.
        NodeUnknown: the cluster has no such node.
    """
    require(visit.person, Right.READ_REQUESTS)
    node, term = visit.query.get("node", ""), visit.query.get("term", "")
    if term and not (term.isascii() and term.isdigit() and len(term) < 10):
        raise FormMalformed("a term is a number", field="term")
    found = visit.plane.reader.timeline(node or None, int(term) if term else None, ENTRIES_MAX)
    entries = found.entries[-ENTRIES_MAX:]
    values = {
        "entries": entries,
        "lanes": draw_lanes(visit.plane.cluster, entries),
        "lag": picture(found.lags, visit.plane.cluster.data_nodes),
        "missing": found.missing,
        "left_out": len(found.entries) - len(entries),
        "names": [member.name for member in visit.plane.cluster.members],
        "asked": {"node": node, "term": term},
        "log_size": found.log_size,
    }
    return Page(template="timeline.html", here="/timeline", values=values)


def as_of(visit: Visit) -> Page:
    """Answer with the cluster as a recorded snapshot has it, and what would have been accepted then.

    Raises:
        SnapshotNotFound: the log holds no such snapshot.
    """
    require(visit.person, Right.LOOK)
    then = visit.plane.reader.status_as_of(visit.path["digest"], visit.person.name)
    configuration = _configuration(visit, then)
    observed, taken = _shown(visit, observe_snapshot(configuration, then.snapshot, {}))
    values = {
        "then": then,
        "drawing": draw(configuration, observed),
        "names": [member.name for member in configuration.members],
        "rows": fact_rows(configuration, observed),
        "matrix": matrix_rows(configuration, then.matrix),
        "missing": then.snapshot.missing,
        "redacted": taken,
    }
    return Page(template="as_of.html", here="/timeline", values=values)


def _configuration(visit: Visit, then: AsOf) -> Cluster:
    blob = visit.plane.log.blob(then.configuration)
    return visit.plane.cluster if blob is None else canonical.decode(blob, Cluster)


def _shown(visit: Visit, observed: Observed) -> tuple[Observed, list[str]]:
    """Return what the person's role may see of a recorded moment, and what was taken out."""
    if visit.person.role is Role.OPERATOR:
        return observed, []
    taken: list[str] = []
    facts = {}
    for name, each in observed.facts.items():
        facts[name], paths = redacted(each, name)
        taken += paths
    return Observed(facts=facts, missing=observed.missing, forged=observed.forged), taken
