"""What happened, in one order that no clock decides; and the cluster as it was at any recorded moment.

Neither page asks for what is sensitive, so neither leaves a record: who may see it is decided where the API's is.
"""

from urllib.parse import urlencode

from msgspec.structs import replace

from aerodb.rules.writes import writes
from aerodb.views.chart import AXES, chart
from aerodb.views.facts import fact_table
from aerodb.views.lags import NOTHING_SAMPLED
from aerodb.views.matrix import matrix_rows
from aerodb.views.observed import observe_snapshot
from aerodb.views.status import silence_remarks
from aerodb.views.story import LEGEND, NOTHING_KNOWN, ORDERING, cut, story, summary
from aerodb.views.timeline import silences
from aerodb.views.topology import draw
from aerodb.web.errors import FormMalformed
from aerodb.web.visit import Page, Visit

ENTRIES_MAX = 120
"""How many of the newest records, and of each node's newest events: the page stays under its 100 kB."""
ZOOMED_MAX = 1_000
"""How many are read for a stretch of the log that was asked for; what it holds is shown whole."""


def timeline(visit: Visit) -> Page:
    """Answer with what every node saw and what the log holds: as a story, or, if asked for, entry by entry.

    Raises:
        CallerRefused: the person may not read requests.
        NodeUnknown: the cluster has no such node.
        FormMalformed: a term, or a record of the log, is no number.
    """
    asked = {name: visit.query.get(name, "") for name in ("node", "term", "from", "to")}
    term, first, last = (_number(asked[name], name) for name in ("term", "from", "to"))
    zoomed = first is not None or last is not None
    count = ZOOMED_MAX if zoomed else ENTRIES_MAX
    whole = visit.access.timeline(asked["node"] or None, term, count, sensitive=False)
    found = cut(whole, first, last) if zoomed else whole
    exact = visit.query.get("exact", "") == "1"
    shown = replace(found, entries=found.entries[-ENTRIES_MAX:]) if exact or not zoomed else found
    chapters = () if exact else story(shown.entries)
    values = {
        "entries": shown.entries,
        "chapters": chapters,
        "summary": summary(chapters),
        "exact": exact,
        "legend": LEGEND,
        "ordering": ORDERING,
        "nothing_known": NOTHING_KNOWN,
        "chart": chart(found.lags, found.entries, visit.access.cluster.data_nodes),
        "axes": AXES,
        "silences": silences(found),
        "nothing_sampled": NOTHING_SAMPLED,
        "redacted": len(found.redacted),
        "left_out": len(found.entries) - len(shown.entries),
        "names": [member.name for member in visit.access.cluster.members],
        "asked": asked,
        "zoomed": zoomed,
        "terms": not visit.access.cluster.watched,
        "other": _query({**asked, "exact": "" if exact else "1"}),
    }
    return Page(template="timeline.html", here="/timeline", values=values)


def _number(text: str, name: str) -> int | None:
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise FormMalformed(f"a number is expected for {name}", field=name)
    return int(text) if text else None


def _query(values: dict[str, str]) -> str:
    given = {name: value for name, value in values.items() if value}
    return "/timeline" + (f"?{urlencode(given, errors='replace')}" if given else "")


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
        "map": draw(configuration, observed, addresses=not then.redacted),
        "names": names,
        "table": fact_table(tuple(names), observed),
        "matrix": matrix_rows(names, then.matrix),
        "remarks": silence_remarks(observed),
        "redacted": then.redacted,
    }
    return Page(template="as_of.html", here="/timeline", values=values)
