"""How long the command line takes to start and say its help, beside Python's own start."""

import statistics
import subprocess
import sys
import time

from benchmarks.clusters import Clusters
from benchmarks.measured import Measured, say, spread

ROUNDS, ROUNDS_QUICK = 40, 8


def _seconds(*arguments: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure in turn."""
    del clusters
    ours, limit = [], []
    for _ in range(ROUNDS_QUICK if quick else ROUNDS):
        ours.append(1000 * _seconds("-m", "aerodb", "--help"))
        limit.append(1000 * _seconds("-c", "pass"))
    medians = statistics.median(ours), statistics.median(limit)
    say(f"  {len(ours)} rounds: ours {medians[0]:.1f} ms, limit {medians[1]:.1f} ms")
    return Measured(
        unit="ms",
        ours=medians[0],
        limit=medians[1],
        ratio=medians[0] / medians[1],
        more={"rounds": len(ours), **spread("ours_min_median_max", ours), **spread("limit_min_median_max", limit)},
    )
