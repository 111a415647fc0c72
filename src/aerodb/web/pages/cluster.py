"""The cluster as it was just observed: drawn, and as a table that says the same; and what would be accepted now."""

from aerodb.audit.comparison import comparison_text
from aerodb.protocol.api import Agreement, Comparison, Status
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Instance
from aerodb.rules.replaying import sized
from aerodb.rules.writes import writes
from aerodb.views.certificates import certificates_text
from aerodb.views.matrix import matrix_rows
from aerodb.views.observed import Observed, Remark, observe
from aerodb.views.status import UNKNOWN, status_remarks, stream, where
from aerodb.views.topology import draw
from aerodb.web.visit import Page, Visit

NOTHING: Remark = ("dim", "—")

FactRow = tuple[str, tuple[Remark, ...]]
"""A fact's name, and each node's value."""


def status_of(visit: Visit, *, judged: bool) -> Status:
    """Return the cluster as it is now; looking records nothing.

    Raises:
        CallerRefused: the person may not look.
    """
    return visit.access.status(sensitive=False, judged=judged)


def cluster(visit: Visit) -> Page:
    """Answer with the topology and every node's facts."""
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
    return Page(
        template="cluster.html",
        here="/",
        values={
            "status": status,
            "writes": writes(configuration, observed.facts),
            "certificates": certificates_text(status.certificates),
            "drawing": draw(configuration, observed),
            "names": [member.name for member in configuration.members],
            "rows": [*fact_rows(configuration, observed), log_row(configuration, status)],
            "remarks": status_remarks(status, observed),
        },
    )


def log_row(configuration: Cluster, status: Status) -> FactRow:
    """Return what each node has seen of the audit log, and whether that is in it."""
    compared = {each.who: each for each in status.log_views}
    cells = (_log_cell(compared.get(member.name)) for member in configuration.members)
    return "Audit log, as it has seen it", tuple(cells)


def _log_cell(found: Comparison | None) -> Remark:
    if found is None or found.agreement is Agreement.UNKNOWN:
        return UNKNOWN
    agrees = found.agreement in (Agreement.CONSISTENT, Agreement.NOTHING)
    return "plain" if agrees else "bad", comparison_text(found)


def fact_rows(configuration: Cluster, observed: Observed) -> list[FactRow]:
    """Return one row a fact, one value a node."""
    nodes = [_node_facts(member.name, observed) for member in configuration.members]
    names = list(dict.fromkeys(name for node in nodes for name in node))
    silent = [member.name not in observed.facts for member in configuration.members]
    return [
        (name, tuple(node.get(name, UNKNOWN if dumb else NOTHING) for node, dumb in zip(nodes, silent, strict=True)))
        for name in names
    ]


def _node_facts(name: str, observed: Observed) -> dict[str, Remark]:
    facts = observed.facts.get(name)
    if facts is None:
        said = "not verified" if name in observed.forged else "not observed"
        return {"Role": ("bad", said)}
    found = {"Role": ("plain", facts.standing.role), **_standing_facts(facts)}
    if facts.instance is None:
        return found
    found |= {**_log_facts(facts.instance), **_stream_facts(name, facts, observed)}
    return {**found, **_load_facts(facts.instance), **_kept_facts(facts.instance)}


def _standing_facts(facts: Facts) -> dict[str, Remark]:
    standing = facts.standing
    instance = facts.instance
    style = "good" if instance and instance.state == "running" else "bad"
    return {
        "PostgreSQL": (style, f"{instance.state}, {instance.version}") if instance else ("dim", "none: a witness"),
        "Pledged": ("plain", f"term {standing.pledged.term} to {standing.pledged.node}"),
        "Granted, as it knows": ("plain", f"term {standing.granted.term} to {standing.granted.node}"),
        "Requests in its journal": ("plain", str(facts.entries)),
    }


def _log_facts(instance: Instance) -> dict[str, Remark]:
    ends = where(instance)
    return {
        "Term of its WAL": ends.term,
        "Timeline": ends.timeline,
        "WAL ends at": ends.lsn if ends.lsn == UNKNOWN else ("mono", ends.lsn[1]),
        "Quorum in force (k)": UNKNOWN if instance.quorum is None else ("plain", str(instance.quorum)),
    }


def _stream_facts(name: str, facts: Facts, observed: Observed) -> dict[str, Remark]:
    instance, fed = facts.instance, stream(name, facts, observed)
    if instance is None or fed is None:
        return {}
    receiver = instance.receiver
    return {
        "Streams from": ("warn", "nobody: detached") if fed.upstream is None else ("plain", fed.upstream),
        "Synchronous": fed.sync or NOTHING,
        "Behind, received": fed.received,
        "Behind, replayed": fed.replayed,
        "Replay": _replay(instance),
        "Receiver": ("warn", "none") if receiver is None else ("plain", receiver.status),
    }


def _replay(instance: Instance) -> Remark:
    replay = instance.keeping.replay
    if replay is None:
        return UNKNOWN
    return ("bad", "paused") if replay.paused else ("plain", f"goes on; {replay.conflicts} queries cancelled by it")


def _kept_facts(instance: Instance) -> dict[str, Remark]:
    slots, wal, volume, unlogged = (getattr(instance.keeping, each) for each in ("slots", "wal", "volume", "unlogged"))
    held = sized(max((each.held_bytes or 0 for each in slots or ()), default=0))
    texts = {
        "Free space": volume and f"{sized(volume.free_bytes)} of {sized(volume.size_bytes)}",
        "pg_wal": wal and sized(wal.size_bytes),
        "Slots": f"{len(slots)}, which keep {held}" if slots else "none" if slots == () else None,
        "Unlogged relations": None if unlogged is None else str(unlogged),
    }
    return {name: UNKNOWN if text is None else ("plain", text) for name, text in texts.items()}


def _load_facts(instance: Instance) -> dict[str, Remark]:
    load = instance.load
    settings: Remark = ("bad", ", ".join(instance.drift)) if instance.drift else ("plain", "as the agent wrote them")
    if load is None:
        return {"Settings": settings}
    return {
        "Settings": settings,
        "Sessions": ("plain", str(load.sessions)),
        "Longest transaction": ("plain", f"{load.longest_transaction_seconds} s"),
        "Commits waiting": ("warn" if load.waiting_commits else "plain", str(load.waiting_commits)),
        "Prepared transactions": ("plain", str(load.prepared_transactions)),
        "Backups running": ("plain", str(load.backups)),
        "Logical slots": ("plain", str(load.logical_slots)),
    }


def now(visit: Visit) -> Page:
    """Answer with every action's verdict on every node."""
    return now_page(visit.access.cluster, status_of(visit, judged=True))


def now_page(configuration: Cluster, status: Status) -> Page:
    """Return the page of a status's matrix: a function of the two alone."""
    observed, names = observe(configuration, status), [member.name for member in configuration.members]
    return Page(
        template="now.html",
        here="/now",
        values={
            "status": status,
            "writes": writes(configuration, observed.facts),
            "names": names,
            "rows": matrix_rows(names, status.matrix),
            "remarks": status_remarks(status, observed),
            "accepted": sum(cell.accepted for cell in status.matrix),
        },
    )
