"""What the control plane counts of itself since it started: for people to look at, never for a decision."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from aerodb import __version__
from aerodb.audit.record import Record, RecordEvent
from aerodb.audit.store import Log
from aerodb.transport import counts, expiry
from aerodb.transport.metrics import MetricFamilies

CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 60)
CODES_MAX = 200
"""An agent's own codes are passed on; one that makes up ever new ones must not fill the memory."""


class Meters:
    """The control plane's metrics, in a registry of their own."""

    def __init__(self, log: Log) -> None:
        """Begin at zero; `log` is looked at whenever somebody scrapes."""
        self._registry = registry = CollectorRegistry()
        self._codes: set[str] = set()
        Info("aerodb_build", "The version of AeroDB that runs here.", registry=registry).info({"version": __version__})
        self._records = Counter(
            "aerodb_control_records", "Records appended to the audit log, by event and outcome.", ["event", "outcome"],
            registry=registry,
        )  # fmt: skip
        self._refusals = Counter(
            "aerodb_control_refusals", "Calls of the API that were refused, by code.", ["code"], registry=registry
        )
        self._calls = Histogram(
            "aerodb_control_agent_call_duration_seconds", "Calls of agents, by node and kind.", ["node", "call"],
            buckets=CALL_SECONDS, registry=registry,
        )  # fmt: skip
        size = Gauge("aerodb_log_records", "Records that the audit log has.", registry=registry)
        size.set_function(lambda: log.size)
        writable = Gauge("aerodb_log_writable", "Whether the audit log can be written.", registry=registry)
        writable.set_function(lambda: float(log.writable()))
        registry.register(MetricFamilies(counts.families))
        registry.register(MetricFamilies(expiry.families))
        self._contradictions = Gauge(
            "aerodb_log_contradictions", "Nodes and others who have seen of the audit log what it does not have.",
            registry=registry,
        )  # fmt: skip
        for event in get_args(RecordEvent):
            for result in ("executed", "not_executed", "unknown") if event in {"outcome", "established"} else ("",):
                self._records.labels(event, result)

    def recorded(self, record: Record) -> None:
        """Count a record that was appended."""
        outcome = record.result if record.event in {"outcome", "established"} else ""
        self._records.labels(record.event, outcome.replace(" ", "_")).inc()

    def contradicted(self, count: int) -> None:
        """Say how many have seen of the log what it does not have, as far as is known now."""
        self._contradictions.set(count)

    def refused(self, code: str) -> None:
        """Count a refusal."""
        if code not in self._codes and len(self._codes) >= CODES_MAX:
            code = "other"
        self._codes.add(code)
        self._refusals.labels(code).inc()

    @contextmanager
    def call(self, node: str, kind: str) -> Iterator[None]:
        """Measure one call of an agent."""
        with self._calls.labels(node, kind).time():
            yield

    def exposition(self) -> bytes:
        """Return the metrics as Prometheus reads them."""
        return generate_latest(self._registry)
