"""`python -m benchmarks`: every measure, beside its bare limit; the last line is one line of JSON, a key a measure."""

import argparse
import json
import sys
from typing import Protocol

from benchmarks import (
    agent_memory,
    at_rest,
    cli_start,
    explain,
    from_nothing,
    jammed_doors,
    log_appends,
    pgbench_throughput,
    scale_agents,
    scale_log,
    switchover_outage,
    web_pages,
)
from benchmarks.clusters import Clusters, clusters
from benchmarks.measured import Measured, say


class Measure(Protocol):
    """What measures one thing; `quick` gives a fast look, with fewer rounds."""

    def __call__(self, clusters: Clusters, *, quick: bool) -> Measured:
        """Measure."""


MEASURES: dict[str, Measure] = {
    "cli_start": cli_start.measure,
    "log_appends": log_appends.measure,
    "switchover_outage": switchover_outage.measure,
    "explain": explain.measure,
    "web_pages": web_pages.measure,
    "at_rest": at_rest.measure,
    "from_nothing": from_nothing.measure,
    "agent_memory": agent_memory.measure,
    "pgbench_throughput": pgbench_throughput.measure,
    "jammed_doors": jammed_doors.measure,
    "scale_log": scale_log.measure,
    "scale_agents": scale_agents.measure,
}


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, no measurement")
    parser.add_argument("--only", action="append", choices=list(MEASURES), help="one measure; may be repeated")
    options = parser.parse_args()
    found: dict[str, dict[str, object]] = {}
    with clusters() as made:
        for name, measure in MEASURES.items():
            if options.only and name not in options.only:
                continue
            say(f"{name}:")
            measured = measure(made, quick=options.quick)
            say(f"  ratio {measured.ratio:.3f}")
            found[name] = measured.document()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
