"""An agent's metrics: one look at its own node, as numbers. What could not be seen has no sample, rather than zero.

Loaded when somebody first scrapes. Source: Prometheus, metric and label naming (base units, `_total` for counters).
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from aerodb import __version__
from aerodb.audit.note import stated_size
from aerodb.protocol.events import JournalMark, Sighting, Trace
from aerodb.protocol.facts import Facts, Instance, Load, Sender, State
from aerodb.protocol.keeping import Keeping
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.watched import Watched
from aerodb.rules.watching import watched_of

Sample = tuple[dict[str, str], float]
ROLES = ("primary", "standby", "witness")
RESULTS = ("executed", "not executed", "unknown")


def _gauge(name: str, text: str, samples: Iterable[Sample]) -> Metric:
    taken = list(samples)
    family = GaugeMetricFamily(f"aerodb_{name}", text, labels=sorted({key for labels, _ in taken for key in labels}))
    for labels, value in taken:
        family.add_metric([labels[key] for key in sorted(labels)], value)
    return family


def _one(value: float | None) -> list[Sample]:
    return [] if value is None else [({}, float(value))]


def families(sighting: Sighting, events: int, unfinished: int) -> Iterator[Metric]:
    """Yield every family for one look.

    `events` is the newest sequence of the journal of events, `unfinished` how many requests were begun and not ended.
    """
    yield InfoMetricFamily("aerodb_build", "The version of AeroDB that runs here.", {"version": __version__})
    yield _gauge("node_observed", "Whether the node could be looked at (1) or not (0).", _one(bool(sighting.facts)))
    yield CounterMetricFamily("aerodb_events", "Transitions that the observer has written down.", value=events)
    yield _requests(sighting.journal)
    yield _gauge("unfinished_requests", "Requests that were begun and have no outcome.", _one(unfinished))
    if sighting.facts is not None:
        watched = watched_of(sighting.facts)
        yield _gauge("node_watched", "Whether the node is only watched (1).", _one(watched is not None))
        yield from _standing(sighting.facts) if watched is None else _watched(sighting.facts, watched)
        if sighting.facts.instance is not None:
            yield from _instance(sighting.facts.instance, watched)
    if sighting.trace is not None:
        yield from _trace(sighting.trace)


def _requests(journal: tuple[JournalMark, ...]) -> Metric:
    family = CounterMetricFamily(
        "aerodb_requests", "Requests that ended on this node since its agent started.", labels=["outcome"]
    )
    counted = Counter(mark.result for mark in journal if mark.result)
    for result in RESULTS:
        family.add_metric([result.replace(" ", "_")], counted[result])
    return family


def _role(role: str) -> Metric:
    text = "The role that the node stands in (1); where it is only watched, in which PostgreSQL runs."
    return _gauge("node_role", text, [({"role": each}, float(each == role)) for each in ROLES])


def _serves(*, so: bool) -> Metric:
    text = "Whether PostgreSQL runs as what the node stands for; where it is only watched, whether it answers."
    return _gauge("node_serves", text, _one(so))


def _watched(facts: Facts, watched: Watched) -> Iterator[Metric]:
    """Yield what is seen of a node that stands for nothing, and has promised and journaled nothing."""
    recovery = None if facts.instance is None else facts.instance.recovery
    if recovery is not None:
        yield _role("standby" if recovery else "primary")
    yield _serves(so=recovery is not None)
    if watched.survey is not None:
        strangers = _one(len(watched.strangers))
        yield _gauge("strangers_connected", "Receivers of a watched node's WAL that are no members.", strangers)


def _standing(facts: Facts) -> Iterator[Metric]:
    standing, instance = facts.standing, facts.instance
    yield _role(standing.role)
    serves = (
        instance is not None
        and instance.state is State.RUNNING
        and instance.recovery is (standing.role == "standby")
        and standing.role != "witness"
    )
    yield _serves(so=serves)
    yield _gauge("pledged_term", "The highest term that the node has pledged.", _one(standing.pledged.term))
    yield _gauge("granted_term", "The highest term that the node knows to be granted.", _one(standing.granted.term))
    yield _gauge("node_halted", "Whether a person stopped the node.", _one(standing.halted))
    begun = facts.entries
    yield _gauge("journal_requests", "Requests that the node's journal knows, since it was made.", _one(begun))
    yield _gauge(
        "log_checkpoint_records",
        "Records of the audit log that the node has seen.",
        _one(stated_size(facts.checkpoint)),
    )


def _instance(instance: Instance, watched: Watched | None) -> Iterator[Metric]:
    states = [({"state": each.value}, float(each is instance.state)) for each in State]
    yield _gauge("postgres_state", "The state of PostgreSQL's process and control file (1).", states)
    position = instance.position
    if watched is None:
        yield _gauge("wal_term", "The term of the node's own WAL.", _one(position.term if position else None))
    yield _gauge("timeline", "The timeline of PostgreSQL.", _one(position.timeline if position else None))
    end = position.lsn if position else None
    yield _gauge("wal_position_bytes", "Where the node's WAL ends.", _one(end.value if end else None))
    if watched is None:
        yield _gauge("settings_drifted", "Settings that are not as the agent wrote them.", _one(len(instance.drift)))
    if instance.state is not State.UNREACHABLE and (watched is None or watched.survey is not None):
        yield _gauge("upstream_named", "Whether the settings name an upstream.", _one(bool(instance.attached)))
        streaming = instance.receiver is not None and instance.receiver.status == "streaming"
        yield _gauge("receiver_streaming", "Whether the node receives WAL.", _one(streaming))
    yield from _senders(instance.senders, end)
    yield from _keeping(instance.keeping)
    if instance.load is not None:
        yield from _load(instance.load)


def _keeping(keeping: Keeping) -> Iterator[Metric]:
    replay, wal, volume, slots = keeping.replay, keeping.wal, keeping.volume, keeping.slots
    yield _gauge("replay_paused", "Whether replay is paused.", _one(replay.paused if replay else None))
    yield _gauge("wal_kept_bytes", "The size of pg_wal.", _one(wal.size_bytes if wal else None))
    yield _gauge(
        "volume_free_bytes", "Free space for the data and the WAL.", _one(volume.free_bytes if volume else None)
    )
    held = None if slots is None else max((each.held_bytes or 0 for each in slots), default=0)
    yield _gauge("slots_held_bytes", "WAL that is kept for the slot furthest behind.", _one(held))


def _senders(senders: tuple[Sender, ...], end: Lsn | None) -> Iterator[Metric]:
    def lag(reached: Lsn | None, node: str) -> list[Sample]:
        return [] if reached is None or end is None else [({"standby": node}, float(max(end - reached, 0)))]

    yield _gauge(
        "sender_streaming", "Whether WAL is sent to a standby.",
        [({"standby": each.node}, float(each.state == "streaming")) for each in senders],
    )  # fmt: skip
    yield _gauge(
        "sender_synchronous", "Whether a standby counts for synchronous commits.",
        [({"standby": each.node}, float(each.sync_state in {"sync", "quorum"})) for each in senders],
    )  # fmt: skip
    flushed = [sample for each in senders for sample in lag(each.flushed, each.node)]
    yield _gauge("sender_flush_lag_bytes", "WAL that a standby has not flushed.", flushed)
    replayed = [sample for each in senders for sample in lag(each.replayed, each.node)]
    yield _gauge("sender_replay_lag_bytes", "WAL that a standby has not replayed.", replayed)


def _load(load: Load) -> Iterator[Metric]:
    yield _gauge("waiting_commits", "Commits that wait for a synchronous standby.", _one(load.waiting_commits))
    yield _gauge("sessions", "Sessions of clients.", _one(load.sessions))
    yield _gauge(
        "longest_transaction_seconds", "Age of the oldest open transaction.", _one(load.longest_transaction_seconds)
    )
    yield _gauge("prepared_transactions", "Prepared transactions.", _one(load.prepared_transactions))


def _trace(trace: Trace) -> Iterator[Metric]:
    started = dt.datetime.fromisoformat(trace.started).timestamp()
    yield _gauge("postgres_start_time_seconds", "When the postmaster started.", _one(started))
    yield _gauge("receiver_lag_bytes", "WAL of the upstream that is not flushed here.", _one(trace.receiver_lag_bytes))
    yield _gauge("replay_lag_bytes", "WAL that is received and not replayed.", _one(trace.unreplayed_bytes))
    invalid = sum(1 for reason in trace.slots.values() if reason)
    yield _gauge("slots_invalidated", "Replication slots that are invalid.", _one(invalid))
