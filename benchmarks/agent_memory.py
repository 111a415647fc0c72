"""How much memory an agent takes that has been used and is idle, in MB (10^6 bytes), beside the limit that we set.

- PSS counts a page that n processes share as a n-th. `ours` is an agent's while nothing of AeroDB but this measurement
  and that agent runs: three agents on one machine would share the libraries, and each look smaller.
- `beside_the_others` is the median over the agents while all of them and the control plane run.
"""

import re
import statistics
from pathlib import Path

from benchmarks.clusters import Clusters, Ours, roles_for_switchover
from benchmarks.measured import Measured, say

LIMIT_MB = 40.0
LOOKS, LOOKS_QUICK = 100, 10
_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)
_RSS = re.compile(r"^Rss:\s+(\d+) kB$", re.MULTILINE)


def _megabytes(process: int) -> tuple[float, float]:
    """Return a process's PSS and RSS."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    found = _PSS.search(text), _RSS.search(text)
    assert found[0] is not None
    assert found[1] is not None
    return int(found[0][1]) * 1024 / 1e6, int(found[1][1]) * 1024 / 1e6


def _use(cluster: Ours, looks: int) -> None:
    """Let every agent be everything once: primary, candidate, third node, looked at often."""
    for _ in cluster.instances.names:
        nodes = roles_for_switchover(cluster.instances)
        cluster.switch_over(*nodes)
        cluster.rejoin(*nodes)
        cluster.settle(nodes[1])
    for session in cluster.instances.sessions.values():
        session.close()
    for _ in range(looks):
        cluster.operator.client.get("/v1/status")


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure all agents together, then one alone."""
    cluster = clusters.ours
    _use(cluster, LOOKS_QUICK if quick else LOOKS)
    names = cluster.instances.names
    together = [_megabytes(cluster.stage.process(name).pid)[0] for name in names]
    kept = names[0]
    for name in ["control", *names[1:]]:
        cluster.stage.process(name).terminate()
        cluster.stage.process(name).wait()
    alone, resident = _megabytes(cluster.stage.process(kept).pid)
    cluster.stage.process(kept).terminate()
    cluster.stage.process(kept).wait()
    cluster.stage.start()
    say(f"  one agent alone {alone:.1f} MB (RSS {resident:.1f} MB); of three {statistics.median(together):.1f} MB each")
    return Measured(
        unit="MB of PSS",
        ours=alone,
        limit=LIMIT_MB,
        ratio=alone / LIMIT_MB,
        more={"beside_the_others": statistics.median(together), "resident": resident},
    )
