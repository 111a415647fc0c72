"""Metrics over HTTP, for whoever the cluster's authority certified to scrape. Scraping changes nothing.

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
"""The kind of a certificate that may scrape, and do nothing else."""


def scraper_only(cluster: Cluster, caller: Caller) -> None:
    """Refuse whoever is neither a monitor, nor the control plane, nor an enrolled person.

    Raises:
        CallerRefused: so it is.
    """
    person = cluster.operator(caller.name) if caller.kind == "person" else None
    if caller.kind in {MONITOR, "control"} or (person is not None and not person.revoked):
        return
    raise CallerRefused(f"{caller.name} ({caller.kind}) may not scrape")


class MetricFamilies:
    """What prometheus-client collects from: families that are made anew for each scrape."""

    def __init__(self, families: Callable[[], Iterable["Metric"]]) -> None:
        """Keep what makes them."""
        self._families = families

    def collect(self) -> Iterable["Metric"]:
        """Return the families as they are now."""
        return self._families()


def exposition(families: Callable[[], Iterable["Metric"]]) -> bytes:
    """Return metrics as Prometheus reads them."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - see the module's docstring.

    registry = CollectorRegistry()
    registry.register(MetricFamilies(families))
    return generate_latest(registry)
