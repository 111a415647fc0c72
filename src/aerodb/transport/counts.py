"""Counts what the services of this process turned away: for people to look at, never for a decision.

prometheus-client is imported only when metrics are asked for.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aerodb.logs import KindTally, is_told, say, warnings

if TYPE_CHECKING:
    from prometheus_client import Metric  # Only annotated here: see the module's docstring.

_turned_away = KindTally(500)


def turned_away(why: str) -> None:
    """Count a connection or call that was turned away. The service's log tells of the 1st, 10th, 100th and so on."""
    times = _turned_away.count(why, why)
    if is_told(times):
        say("turned away", why=why, times=times)


def counted() -> dict[str, int]:
    """Return how many connections and calls were turned away since the process started, by reason."""
    return _turned_away.by_group()


def families() -> Iterator["Metric"]:
    """Yield the counts as Prometheus reads them."""
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 - see the module's docstring.

    for name, text, label, found in (
        ("turned_away", "Connections and calls that a service turned away.", "reason", counted()),
        ("library_warnings", "What libraries warned of; the log repeats none of it.", "library", warnings.by_group()),
    ):
        family = CounterMetricFamily(f"aerodb_{name}", text, labels=[label])
        for each, times in sorted(found.items()):
            family.add_metric([each], times)
        yield family
