"""Metrics over HTTP, for callers whose certificate allows it. Scraping changes nothing.

Source: Prometheus text exposition format 0.0.4; prometheus-client, imported when somebody first scrapes.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from aerodb.protocol.cluster import Cluster
from aerodb.transport.errors import CallerRefused
from aerodb.transport.tls import Caller

if TYPE_CHECKING:
    from prometheus_client import Metric  # Only annotated here: a service that nobody scrapes never loads it.

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MONITOR = "monitor"
"""The kind of a certificate that allows scraping, and nothing else."""


def scraper_only(cluster: Cluster, caller: Caller) -> None:
    """Refuse a caller that is neither a monitor, nor the control plane, nor an enrolled person.

    Raises:
        CallerRefused: the caller may not scrape.
    """
    person = cluster.operator(caller.name) if caller.kind == "person" else None
    if caller.kind in {MONITOR, "control"} or (person is not None and not person.revoked):
        return
    raise CallerRefused(f"{caller.name} ({caller.kind}) may not scrape")


class MetricFamilies:
    """A collector for prometheus-client that makes its families anew for each scrape."""

    def __init__(self, families: Callable[[], Iterable["Metric"]]) -> None:
        """Make them by calling `families`."""
        self._families = families

    def collect(self) -> Iterable["Metric"]:
        """Return the families as they are now."""
        return self._families()


def exposition(families: Callable[[], Iterable["Metric"]]) -> bytes:
    """Return the metrics in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - see the module's docstring.

    registry = CollectorRegistry()
    registry.register(MetricFamilies(families))
    return generate_latest(registry)
