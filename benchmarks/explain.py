"""How long an explanation takes, beside reading the same facts once from the three PostgreSQL, side by side.

The plan asked for is `demote`; nothing is recorded. The limit reads once; a snapshot reads twice, and judges. Both go
over connections that are kept, as a browser keeps its own; a first call, which opens its connection, is told apart.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from aerodb.transport.client import Kept
from benchmarks.clusters import Clusters, primary_of
from benchmarks.measured import Measured, say, spread

ROUNDS, ROUNDS_QUICK = 200, 20
WARM_UP = 5


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure in turn."""
    cluster = clusters.ours
    sessions = cluster.instances.sessions
    primary = primary_of(cluster.instances)
    successor = next(name for name in cluster.instances.names if name != primary)
    path = f"/v1/explain?action=demote&target={primary}&for={successor}"
    kept = Kept(cluster.operator.client)
    ours, first, limit = [], [], []
    with ThreadPoolExecutor(len(sessions)) as pool:
        for number in range(WARM_UP + (ROUNDS_QUICK if quick else ROUNDS)):
            begun = time.perf_counter()
            kept.get(path)
            once = time.perf_counter()
            cluster.operator.client.get(path)
            between = time.perf_counter()
            list(pool.map(lambda session: session.look(), sessions.values()))
            ended = time.perf_counter()
            if number >= WARM_UP:
                ours.append(1000 * (once - begun))
                first.append(1000 * (between - once))
                limit.append(1000 * (ended - between))
    for session in sessions.values():
        session.close()
    medians = statistics.median(ours), statistics.median(limit)
    say(f"  {len(ours)} rounds: ours {medians[0]:.1f} ms, limit {medians[1]:.1f} ms")
    return Measured(
        unit="ms",
        ours=medians[0],
        limit=medians[1],
        ratio=medians[0] / medians[1],
        more={
            "rounds": len(ours),
            **spread("ours_min_median_max", ours),
            **spread("first_call_min_median_max", first),
            **spread("limit_min_median_max", limit),
        },
    )
