"""How long it takes from an empty folder to a cluster that works, beside three bare nodes that stream.

- Ours: keys, certificates, three nodes, their agents and the control plane, until all of them answer.
- The limit: initdb, a start, two base backups side by side, two starts, until both standbys stream.
- One run of each in turn, on the same disk; which of them is first changes from pair to pair.
"""

import os
import shutil
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from aerodb.kernel.postgres import process
from aerodb.kernel.postgres.installation import Installation, find_installation
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.size import Size
from aerodb.local.stage import Stage
from benchmarks.clusters import PORTS_FROM, Clusters
from benchmarks.measured import Measured, say, spread

PAIRS, PAIRS_QUICK = 6, 2
STREAMING_SECONDS_MAX = 60.0


def _ours(folder: Path) -> float:
    """Return how long AeroDB's cluster takes, in seconds."""
    begin = time.monotonic()
    make_cluster(folder, Size().at_free_ports(PORTS_FROM + 500))
    stage = Stage(Layout(root=folder))
    try:
        stage.start()
        return time.monotonic() - begin
    finally:
        stage.stop()


class _Bare:
    """Three PostgreSQLs in one folder, by their own programs."""

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        self._installation: Installation = find_installation()
        self._folder = folder
        folder.mkdir()
        if self._installation.account:
            os.chown(folder, *self._installation.account.owner)

    def _run(self, program: str, *arguments: str | Path) -> None:
        self._installation.run(program, *arguments, timeout_seconds=120)

    def _start(self, number: int) -> None:
        options = f"-c port={5432 + number} -c listen_addresses= -c unix_socket_directories={self._folder}"
        data, log = self._folder / f"d{number}", self._folder / f"log{number}"
        self._run("pg_ctl", "start", "-w", "-s", "-D", data, "-l", log, "-o", options)

    def _copy(self, number: int) -> None:
        self._run(
            "pg_basebackup", "-R", "-c", "fast", "-h", self._folder, "-U", "me", "-D", self._folder / f"d{number}"
        )
        self._start(number)

    def begin(self) -> None:
        """Return once both standbys stream."""
        self._run("initdb", "-D", self._folder / "d0", "-U", "me", "-A", "trust", "--locale=C")
        self._start(0)
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._copy, (1, 2)))
        where = f"host={self._folder} port=5432 user=me dbname=postgres"
        with psycopg.connect(where, autocommit=True) as session:
            statement = "select count(*) from pg_stat_replication where state = 'streaming'"
            assert process.wait_until(lambda: session.execute(statement).fetchone() == (2,), STREAMING_SECONDS_MAX)

    def end(self) -> None:
        """Stop all of them."""
        for number in range(3):
            if (self._folder / f"d{number}" / "postmaster.pid").exists():
                self._run("pg_ctl", "stop", "-w", "-s", "-m", "immediate", "-D", self._folder / f"d{number}")


def _bare(folder: Path) -> float:
    """Return how long the bare nodes take, in seconds."""
    begin, nodes = time.monotonic(), _Bare(folder)
    try:
        nodes.begin()
        return time.monotonic() - begin
    finally:
        nodes.end()


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure in pairs."""
    above = clusters.folder("from-nothing")
    above.chmod(0o711)
    times: dict[str, list[float]] = {"ours": [], "limit": []}
    runs: list[tuple[str, Callable[[Path], float]]] = [("ours", _ours), ("limit", _bare)]
    for number in range(PAIRS_QUICK if quick else PAIRS):
        for name, run in runs if number % 2 == 0 else reversed(runs):
            folder = above / f"{name}-{number}"
            times[name].append(run(folder))
            shutil.rmtree(folder)
        say(f"  pair {number + 1}: ours {times['ours'][-1]:.2f} s, limit {times['limit'][-1]:.2f} s")
    medians = {name: statistics.median(values) for name, values in times.items()}
    return Measured(
        unit="s from an empty folder",
        ours=medians["ours"],
        limit=medians["limit"],
        ratio=medians["ours"] / medians["limit"],
        more={
            "pairs": len(times["ours"]),
            **spread("ours_min_median_max", times["ours"]),
            **spread("limit_min_median_max", times["limit"]),
        },
    )
