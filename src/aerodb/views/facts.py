"""The facts of the nodes for people: one row a fact, one value a node; what is equal on all of them is folded.

Pure: no I/O, no clock.
"""

from typing import NamedTuple

from aerodb.audit.comparison import comparison_text
from aerodb.protocol.api import Agreement, Comparison
from aerodb.protocol.carrying import Carrying, LogicalSlot
from aerodb.protocol.facts import Facts, Instance, Load, State
from aerodb.rules.carrying import copy_text
from aerodb.rules.replaying import sized
from aerodb.rules.watching import role_of, sees_upstream, watched_of
from aerodb.rules.writes import WAIT_SECONDS
from aerodb.views.observed import DEPOSED, Observed, Remark, deposed
from aerodb.views.status import UNKNOWN, stream, where
from aerodb.views.watching import stranger_text

NOTHING: Remark = ("dim", "\N{EM DASH}")
SILENT: Remark = ("dim", UNKNOWN[1])
"""What is said of each fact of who gives no report, or does not run, beside that this is so."""
ROLE, WAL_END, RECEIVED, REPLAYED, COUNTS = "Role", "WAL ends at", "Behind, received", "Behind, replayed", "Synchronous"
ALWAYS = frozenset({ROLE, WAL_END, RECEIVED, REPLAYED, COUNTS})
"""The facts that are shown of each node, equal or not: what a node is, and how far behind it is."""
SAID_FIRST = ("PostgreSQL", "Term of its WAL", "Timeline")
"""The facts by which what is equal is named, where they are."""


class FactRow(NamedTuple):
    """A fact's name, and each node's value."""

    fact: str
    values: tuple[Remark, ...]


class FactTable(NamedTuple):
    """The facts of some nodes: the rows in which they differ, those that are equal, and what these are in a sentence.

    `said` is empty where nothing is folded.
    """

    names: tuple[str, ...]
    rows: tuple[FactRow, ...]
    equal: tuple[FactRow, ...]
    said: str


def fact_table(names: tuple[str, ...], observed: Observed, more: tuple[FactRow, ...] = ()) -> FactTable:
    """Return the facts of nodes, with `more` rows at their end."""
    rows = (*fact_rows(names, observed), *more)
    equal = tuple(row for row in rows if row.fact not in ALWAYS and _is_equal(row))
    apart = tuple(row for row in rows if row not in equal)
    there = [observed.facts[name] for name in names if name in observed.facts]
    up = sum(not _is_down(facts) for facts in there)
    return FactTable(names, apart, equal, _said(equal, up, "report" if up == len(there) else "report and run"))


def _is_down(facts: Facts) -> bool:
    return facts.instance is not None and facts.instance.state is not State.RUNNING


def _is_equal(row: FactRow) -> bool:
    """Tell whether nothing in a row deviates: all who tell say the same, and none of it is unusual."""
    told = [value for value in row.values if value not in (NOTHING, SILENT)]
    return len(set(told)) == 1 and told[0][0] not in ("bad", "warn")


def _said(equal: tuple[FactRow, ...], count: int, do: str) -> str:
    """Return a sentence on what is folded: how many facts, of how many nodes, and what the first of them are."""
    if not equal:
        return ""
    first = [
        (row.fact, next(value[1] for value in row.values if value not in (NOTHING, SILENT)))
        for name in SAID_FIRST
        for row in equal
        if row.fact == name
    ]
    said = ", ".join(f"{name} {text}" if name == SAID_FIRST[0] else f"{_lower(name)} {text}" for name, text in first)
    whole = "1 fact is" if len(equal) == 1 else f"{len(equal)} facts are"
    head = f"{whole} equal on all {count} that {do}" if count > 1 else f"{whole} no deviation"
    return f"{head}: {said}" if said else head


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def log_row(names: tuple[str, ...], log_views: tuple[Comparison, ...]) -> FactRow:
    """Return what each node has seen of the audit log, and whether that is in it."""
    compared = {each.who: each for each in log_views}
    return FactRow("Audit log, as it has seen it", tuple(_log_cell(compared.get(name)) for name in names))


def _log_cell(found: Comparison | None) -> Remark:
    if found is None or found.agreement is Agreement.UNKNOWN:
        return UNKNOWN
    agrees = found.agreement in (Agreement.CONSISTENT, Agreement.NOTHING)
    return "plain" if agrees else "bad", comparison_text(found)


def fact_rows(names: tuple[str, ...], observed: Observed) -> tuple[FactRow, ...]:
    """Return one row a fact, one value a node; of who gives no report everything is unknown."""
    nodes = [_node_facts(name, observed) for name in names]
    facts = list(dict.fromkeys(fact for node in nodes for fact in node))
    silent = [name not in observed.facts for name in names]
    return tuple(
        FactRow(
            fact,
            tuple(node.get(fact, SILENT if dumb else NOTHING) for node, dumb in zip(nodes, silent, strict=True)),
        )
        for fact in facts
    )


def role_text(name: str, observed: Observed) -> Remark:
    """Return what a node is, and from whom it receives WAL."""
    facts = observed.facts.get(name)
    if facts is None:
        return ("bad", "not verified" if name in observed.forged else "not observed")
    if deposed(facts, observed) is not None:
        return "bad", DEPOSED
    role, upstream = role_of(facts), facts.instance.attached if facts.instance else None
    if role == UNKNOWN[1]:
        return UNKNOWN
    if role == "standby" and not upstream and not sees_upstream(facts):
        return ("plain", role)
    if role == "standby":
        return ("plain", f"standby of {upstream}") if upstream else ("warn", "standby of none")
    return ("bad", f"{role}, of {upstream}") if upstream else ("plain", role)


def _node_facts(name: str, observed: Observed) -> dict[str, Remark]:
    facts = observed.facts.get(name)
    found = {ROLE: role_text(name, observed)}
    if facts is None:
        return found
    found |= _standing_facts(facts)
    if facts.instance is None:
        return found
    found |= {**_log_facts(facts.instance, own=watched_of(facts) is None), **_stream_facts(name, facts, observed)}
    found |= {**_load_facts(facts.instance, own=watched_of(facts) is None), **_kept_facts(facts.instance)}
    return {fact: SILENT if value == UNKNOWN else value for fact, value in found.items()} if _is_down(facts) else found


def _standing_facts(facts: Facts) -> dict[str, Remark]:
    standing = facts.standing
    instance = facts.instance
    style = "plain" if instance and instance.state == "running" else "bad"
    watched = watched_of(facts)
    if instance is not None and watched is not None:
        others = ", ".join(stranger_text(each) for each in watched.strangers)
        return {
            "PostgreSQL": (style, f"{instance.state}, {instance.version}".removesuffix(", ")),
            "In charge": ("plain", "its owner: it is only watched"),
            "Other receivers": ("plain", others or "none"),
        }
    return {
        "PostgreSQL": (style, f"{instance.state}, {instance.version}") if instance else ("dim", "none: a witness"),
        "Pledged": ("plain", f"term {standing.pledged.term} to {standing.pledged.node}"),
        "Granted, as it knows": ("plain", f"term {standing.granted.term} to {standing.granted.node}"),
        "Requests in its journal": ("plain", str(facts.entries)),
    }


def _log_facts(instance: Instance, *, own: bool) -> dict[str, Remark]:
    """Return where the WAL ends; of a node that AeroDB is in charge of (`own`), in which term and under which k."""
    ends = where(instance)
    quorum = UNKNOWN if instance.quorum is None else ("plain", str(instance.quorum))
    return {
        **({"Term of its WAL": ends.term} if own else {}),
        "Timeline": ends.timeline,
        WAL_END: ends.lsn if ends.lsn == UNKNOWN else ("mono", ends.lsn[1]),
        **({"Quorum in force (k)": quorum} if own else {}),
    }


def _stream_facts(name: str, facts: Facts, observed: Observed) -> dict[str, Remark]:
    instance, fed = facts.instance, stream(name, facts, observed)
    if instance is None or fed is None:
        return {}
    receiver = instance.receiver
    sync = fed.sync or ("warn", "detached")
    return {
        COUNTS: ("plain", sync[1]) if sync[0] == "good" else sync,
        RECEIVED: fed.received,
        REPLAYED: fed.replayed,
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
        "Slots": f"{len(slots)}, which keep {held}{_bound(instance)}" if slots else "none" if slots == () else None,
        "Unlogged relations": None if unlogged is None else str(unlogged),
    }
    return {name: UNKNOWN if text is None else ("plain", text) for name, text in texts.items()}


def _bound(instance: Instance) -> str:
    """Return up to how much WAL each slot may keep; empty where that is not told."""
    if not isinstance(instance.carrying, Carrying):
        return ""
    most = instance.carrying.slots_keep_bytes_max
    return ", without a bound" if most is None else f", {sized(most)} each at most"


def _waiting(load: Load) -> Remark:
    """Return how many commits wait: each does for a moment, and only one that waits for long is unusual."""
    long = load.longest_wait_seconds >= WAIT_SECONDS
    return ("warn" if long else "plain"), f"{load.waiting_commits}" + (
        f", {load.longest_wait_seconds} s" if long else ""
    )


def _logical(instance: Instance, load: Load) -> str:
    """Return a node's logical slots by name; of a standby's with what each is worth there."""
    carrying = instance.carrying
    if not isinstance(carrying, Carrying):
        return str(load.logical_slots)
    if not instance.recovery:
        return ", ".join(f"{each.name}{_valid(each)}" for each in carrying.logical) or "0"
    return ", ".join(f"{each.name} ({copy_text(each)})" for each in carrying.logical) or "0"


def _valid(slot: LogicalSlot) -> str:
    return f" (invalid: {slot.invalid})" if slot.invalid else ""


def _load_facts(instance: Instance, *, own: bool) -> dict[str, Remark]:
    load = instance.load
    written = "as the agent wrote them" if own else "its owner's"
    settings: Remark = ("bad", ", ".join(instance.drift)) if instance.drift else ("plain", written)
    if load is None:
        return {"Settings": settings}
    return {
        "Settings": settings,
        "Sessions": ("plain", str(load.sessions)),
        "Longest transaction": ("plain", f"{load.longest_transaction_seconds} s"),
        "Commits waiting": _waiting(load),
        "Prepared transactions": ("plain", str(load.prepared_transactions)),
        "Backups running": ("plain", str(load.backups)),
        "Logical slots": ("plain", _logical(instance, load)),
    }
