"""What happened, in one order that no clock decides; and the cluster as it was at any recorded moment.

Neither page asks for what is sensitive, so neither leaves a record: who may see it is decided where the API's is.
"""

from aerodb.rules.writes import writes
from aerodb.views.lags import NOTHING_SAMPLED, picture
from aerodb.views.lanes import draw as draw_lanes
from aerodb.views.matrix import matrix_rows
from aerodb.views.observed import observe_snapshot
from aerodb.views.status import silence_remarks
from aerodb.views.timeline import silences
from aerodb.views.topology import draw
from aerodb.web.errors import FormMalformed
from aerodb.web.pages.cluster import fact_rows
from aerodb.web.visit import Page, Visit

ENTRIES_MAX = 120
"""How many of the newest records, and of each node's newest events: the page stays under its 100 kB."""


def timeline(visit: Visit) -> Page:
    """Answer with what every node saw and what the log holds, in one order.

    Raises:
        CallerRefused: the person may not read requests.
        NodeUnknown: the cluster has no such node.
    """
    node, term = visit.query.get("node", ""), visit.query.get("term", "")
    if term and not (term.isascii() and term.isdigit() and len(term) < 10):
        raise FormMalformed("a term is a number", field="term")
    asked = node or None, int(term) if term else None, ENTRIES_MAX
    found = visit.access.timeline(*asked, sensitive=False)
    entries = found.entries[-ENTRIES_MAX:]
    values = {
        "entries": entries,
        "lanes": draw_lanes(visit.access.cluster, entries),
        "lag": picture(found.lags, visit.access.cluster.data_nodes),
        "silences": silences(found),
        "nothing_sampled": NOTHING_SAMPLED,
        "redacted": len(found.redacted),
        "left_out": len(found.entries) - len(entries),
        "names": [member.name for member in visit.access.cluster.members],
        "asked": {"node": node, "term": term},
        "log_size": found.log_size,
    }
    return Page(template="timeline.html", here="/timeline", values=values)


def as_of(visit: Visit) -> Page:
    """Answer with the cluster as a recorded snapshot has it, and what would have been accepted then.

    Raises:
        SnapshotNotFound: the log holds no such snapshot.
    """
    then = visit.access.status_as_of(visit.path["digest"], sensitive=False)
    configuration = visit.access.configuration(then.configuration)
    observed = observe_snapshot(configuration, then.snapshot, then.facts)
    names = [member.name for member in configuration.members]
    values = {
        "then": then,
        "writes": writes(configuration, observed.facts),
        "drawing": draw(configuration, observed),
        "names": names,
        "rows": fact_rows(configuration, observed),
        "matrix": matrix_rows(names, then.matrix),
        "remarks": silence_remarks(observed),
        "redacted": then.redacted,
    }
    return Page(template="as_of.html", here="/timeline", values=values)
