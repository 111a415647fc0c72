"""What an agent and the control plane take of the processor while nobody asks anything: ms a second, beside our aims.

- Counted by the scheduler for each process, over a minute, once what the start left behind is over.
- An agent at rest still looks at its node once a second, as `watch_seconds` says.
"""

import statistics
import time
from pathlib import Path

from benchmarks.clusters import Clusters
from benchmarks.measured import Measured, say

AGENT_MILLISECONDS_MAX, CONTROL_MILLISECONDS_MAX = 4.0, 2.0
SETTLED_SECONDS = 10
SECONDS, SECONDS_QUICK = 120, 20
TICKS_A_SECOND = 100
"""The unit of /proc/PID/stat on Linux, whatever the kernel's own."""


def _milliseconds(process: int) -> float:
    """Return the processor's time that a process has taken, with that of its threads that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS_A_SECOND


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure the agents and the control plane together, while all rest."""
    cluster = clusters.ours
    names = [*cluster.instances.names, "control"]
    time.sleep(SETTLED_SECONDS)
    begin = time.monotonic()
    before = {name: _milliseconds(cluster.stage.process(name).pid) for name in names}
    time.sleep(SECONDS_QUICK if quick else SECONDS)
    seconds = time.monotonic() - begin
    taken = {name: (_milliseconds(cluster.stage.process(name).pid) - before[name]) / seconds for name in names}
    control, agents = taken.pop("control"), list(taken.values())
    say(f"  agents {', '.join(f'{each:.1f}' for each in agents)}, control plane {control:.1f} ms a second")
    agent = statistics.median(agents)
    return Measured(
        unit="ms of the processor a second, an agent",
        ours=agent,
        limit=AGENT_MILLISECONDS_MAX,
        ratio=agent / AGENT_MILLISECONDS_MAX,
        more={"agents": agents, "control": control, "control_limit": CONTROL_MILLISECONDS_MAX},
    )
