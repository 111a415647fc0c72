"""What agents, control plane and an observer cost PostgreSQL: pgbench's throughput with them, beside without.

- One cluster, three nodes, one synchronous standby (`ANY 1`): pgbench's TPC-B-like transactions on the primary.
- With: all agents, the control plane, and an observer that asks for the status once a second. Without: none of them
  runs; PostgreSQL goes on as it was.
- Many short runs in pairs, the order changing from pair to pair; the ratio's interval is Student's over the logarithms.
"""

import os
import re
import statistics
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aerodb.transport.client import Client
from aerodb.transport.tls import tls_in
from benchmarks.clusters import Clusters, Ours, primary_of
from benchmarks.measured import Measured, ratio_interval, say, spread

PAIRS, PAIRS_QUICK = 24, 3
RUN_SECONDS = 5
SCALE = 10
CLIENTS = 4
_RATE = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


class Pgbench:
    """pgbench against one cluster's primary, as the application."""

    def __init__(self, cluster: Ours) -> None:
        """Find the program, the primary and the password."""
        primary = primary_of(cluster.instances)
        for session in cluster.instances.sessions.values():
            session.close()
        place = cluster.instances.places[primary]
        self._program = cluster.instances.installation.bin / "pgbench"
        self._environment = {
            **os.environ,
            "PGHOST": place.host,
            "PGPORT": str(place.port),
            "PGUSER": "app",
            "PGDATABASE": "app",
            "PGPASSFILE": str(cluster.layout.profile("operator").resolve() / "app.pgpass"),
        }

    def run(self, *arguments: str) -> str:
        """Return what one run prints."""
        ended = subprocess.run(
            [str(self._program), *arguments], env=self._environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def make(self) -> None:
        """Make its tables."""
        self.run("--initialize", "--quiet", f"--scale={SCALE}")

    def rate(self, seconds: int) -> float:
        """Return the transactions a second of one run."""
        said = self.run(f"--client={CLIENTS}", "--jobs=1", f"--time={seconds}", "--no-vacuum")
        found = _RATE.search(said)
        assert found, said
        return float(found[1])


@contextmanager
def _observed(cluster: Ours) -> Iterator[None]:
    """Ask for the status once a second meanwhile, as a person's screen would."""
    ending = threading.Event()
    client = Client(cluster.stage.cluster.control, tls_in(cluster.layout.profile("observer")), "control", 30)

    def poll() -> None:
        while not ending.wait(1.0):
            client.get("/v1/status")

    observer = threading.Thread(target=poll, daemon=True)
    observer.start()
    try:
        yield
    finally:
        ending.set()
        observer.join()


def _with(cluster: Ours, pgbench: Pgbench) -> float:
    with _observed(cluster):
        return pgbench.rate(RUN_SECONDS)


def _without(cluster: Ours, pgbench: Pgbench) -> float:
    cluster.stop_daemons()
    try:
        return pgbench.rate(RUN_SECONDS)
    finally:
        cluster.stage.start()


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure in pairs."""
    cluster = clusters.ours
    pgbench = Pgbench(cluster)
    pgbench.make()
    pgbench.rate(2)
    ours: list[float] = []
    limit: list[float] = []
    for number in range(PAIRS_QUICK if quick else PAIRS):
        order = ((_with, ours), (_without, limit))
        for run, rates in order if number % 2 == 0 else reversed(order):
            rates.append(run(cluster, pgbench))
        say(f"  pair {number + 1}: with {ours[-1]:.0f} a second, without {limit[-1]:.0f} a second")
    low, mean, high = ratio_interval(ours, limit)
    return Measured(
        unit="transactions a second",
        ours=statistics.median(ours),
        limit=statistics.median(limit),
        ratio=mean,
        more={"pairs": len(ours), "interval": [low, high], "seconds_a_run": RUN_SECONDS,
              **spread("ours_min_median_max", ours), **spread("limit_min_median_max", limit)},
    )  # fmt: skip
