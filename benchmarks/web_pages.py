"""How long a page of the admin UI takes, beside the API's answer that it shows, side by side; and how heavy it is.

The page is the cluster's, which is read from every node, twice. `more` has the median of every other page.
"""

import http.client
import statistics
import time
from collections.abc import Callable

from aerodb.protocol import canonical
from aerodb.protocol.api import Ticket
from benchmarks.clusters import Clusters, Operator
from benchmarks.measured import Measured, say, spread

ROUNDS, ROUNDS_QUICK = 100, 10
WARM_UP = 3
PAGE = "/"
OTHERS = ("/now", "/requests", "/timeline", "/audit", "/actions", "/roles", "/requests/new")


class Window:
    """A browser window's one connection, signed in."""

    def __init__(self, operator: Operator, address: str, origin: str) -> None:
        """Spend a ticket."""
        host, _, port = address.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self._headers = {"Host": origin.partition("://")[2], "Origin": origin}
        ticket = canonical.decode(operator.client.post("/v1/sessions", b"{}"), Ticket).ticket
        form = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", "/enter", f"ticket={ticket}", form)
        answer = self._connection.getresponse()
        answer.read()
        self._headers["Cookie"] = (answer.getheader("Set-Cookie") or "").partition(";")[0]

    def get(self, path: str) -> bytes:
        """Read a page."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, path
        return body


def _milliseconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - begun)


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure in turn."""
    cluster = clusters.ours
    configuration = cluster.layout.cluster()
    window = Window(cluster.operator, configuration.web, configuration.web_origin)
    rounds = ROUNDS_QUICK if quick else ROUNDS
    pairs = [
        (_milliseconds(lambda: window.get(PAGE)), _milliseconds(lambda: cluster.operator.client.get("/v1/status")))
        for _ in range(WARM_UP + rounds)
    ][WARM_UP:]
    ours, limit = ([pair[side] for pair in pairs] for side in (0, 1))
    others = {
        path: statistics.median(_milliseconds(lambda path=path: window.get(path)) for _ in range(rounds))  # type: ignore[misc]
        for path in OTHERS
    }
    medians = statistics.median(ours), statistics.median(limit)
    say(f"  {rounds} rounds: the page {medians[0]:.1f} ms, the API's status {medians[1]:.1f} ms")
    return Measured(
        unit="ms",
        ours=medians[0],
        limit=medians[1],
        ratio=medians[0] / medians[1],
        more={
            **spread("ours_min_median_max", ours),
            "others_median_ms": {path: round(each, 2) for path, each in others.items()},
            "page_bytes": {path: len(window.get(path)) for path in (PAGE, *OTHERS)},
        },
    )
