"""How long writes stop in a planned switchover, beside the same steps done by hand on the same PostgreSQL.

- The third node streams from the successor beforehand; then a CHECKPOINT, the shutdown, the promotion.
- Ours: the promotion is signed ahead of the demotion, through the HTTP API, by somebody who reads each plan for ten
  seconds. Beside it, in two confirmations: `demote` and then `promote`, each confirmed at once, without reading.
- The limit: CHECKPOINT, SIGINT and the end of the process, `pg_promote(false)` polled closely, a reload for the others.
- One run of each, in turn, on two clusters of one making; which of them is first changes from pair to pair.
"""

import statistics
import time
from collections.abc import Callable

import psycopg

from aerodb.kernel.postgres import process
from aerodb.local.layout import Layout
from aerodb.local.writer import Writer
from benchmarks.clusters import Bare, Clusters, Instances, Ours, roles_for_switchover
from benchmarks.measured import Measured, say, spread

PAIRS, PAIRS_QUICK = 12, 2
READS_SECONDS, READS_SECONDS_QUICK = 10.0, 1.0
"""For how long somebody reads a plan before they sign it."""
ROWS_BEFORE, ROWS_AFTER = 300, 50
PROMOTION_SECONDS_MAX = 30.0
NUDGE_POLLS = 20


def _observed(layout: Layout, steps: Callable[[], None]) -> float:
    """Return the longest gap, in milliseconds, that a writer sees while `steps` move the primary."""
    with psycopg.connect(layout.dsn(), autocommit=True) as connection:
        connection.execute("drop table if exists ledger")  # A writer counts from 1.
    writer = Writer(layout.dsn())
    writer.start()
    assert writer.wait_for_more(ROWS_BEFORE)
    begin = time.monotonic()
    try:
        steps()
        end = time.monotonic()
        assert writer.wait_for_more(ROWS_AFTER)
    finally:
        writer.stop()
    lost = writer.lost()
    assert not lost, f"{len(lost)} acknowledged rows are lost"
    return 1000 * writer.longest_gap(begin, end)


def ours(cluster: Ours, reads_seconds: float) -> float:
    """Return the outage of one switchover by AeroDB, signed ahead by somebody who reads each plan, in milliseconds."""
    return _switched(cluster, lambda old, new, third: cluster.switch_over_ahead(old, new, third, reads_seconds))


def in_two(cluster: Ours) -> float:
    """Return the outage of one whose two confirmations are given one after the other, in milliseconds."""
    return _switched(cluster, cluster.switch_over)


def _switched(cluster: Ours, switch_over: Callable[[str, str, str], None]) -> float:
    instances = cluster.instances
    old, new, third = roles_for_switchover(instances)
    gap = _observed(cluster.layout, lambda: switch_over(old, new, third))
    cluster.rejoin(old, new, third)
    cluster.settle(new)
    return gap


def bare(cluster: Bare) -> float:
    """Return the outage of one switchover by hand, in milliseconds."""
    instances = cluster.instances
    old, new, third = roles_for_switchover(instances)
    gap = _observed(cluster.layout, lambda: _by_hand(instances, old, new, third))
    instances.postgres[old].replication.attach(new)
    instances.postgres[old].start(standby=True)
    instances.wait_for_stream(new, old, third)
    return gap


def _by_hand(instances: Instances, old: str, new: str, third: str) -> None:
    sessions, postgres = instances.sessions, instances.postgres
    postgres[third].replication.attach(new)
    instances.wait_for_stream(new, third)
    assert sessions[new].run("select pg_is_in_recovery() as it")[0]["it"]
    sessions[old].run("checkpoint")
    sessions[old].close()
    postgres[old].stop()
    _promote(instances, new)


def _promote(instances: Instances, new: str) -> None:
    """Promote, polling closely; a reload now and then wakes a promotion that would sleep a whole retry interval."""
    session, polls = instances.sessions[new], 0
    session.run("select pg_promote(false)")

    def out() -> bool:
        nonlocal polls
        polls += 1
        if polls % NUDGE_POLLS == 0:
            process.reload(instances.places[new])
        return not session.run("select pg_is_in_recovery() as it")[0]["it"]

    assert process.wait_until(out, PROMOTION_SECONDS_MAX, 0.001)


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure in pairs."""
    one, other = clusters.ours, clusters.bare
    times: dict[str, list[float]] = {"ours": [], "in two": [], "limit": []}
    reads_seconds = READS_SECONDS_QUICK if quick else READS_SECONDS
    runs: list[tuple[str, Callable[[], float]]] = [
        ("ours", lambda: ours(one, reads_seconds)), ("limit", lambda: bare(other)), ("in two", lambda: in_two(one)),
    ]  # fmt: skip
    for number in range(PAIRS_QUICK if quick else PAIRS):
        for name, run in runs if number % 2 == 0 else reversed(runs):
            times[name].append(run())
        say(f"  pair {number + 1}: {', '.join(f'{name} {values[-1]:.0f} ms' for name, values in times.items())}")
    medians = {name: statistics.median(values) for name, values in times.items()}
    return Measured(
        unit="ms without writes",
        ours=medians["ours"],
        limit=medians["limit"],
        ratio=medians["ours"] / medians["limit"],
        more={
            "pairs": len(times["ours"]),
            "asked_again": one.operator.asked_again,
            **spread("ours_min_median_max", times["ours"]),
            **spread("in_two_min_median_max", times["in two"]),
            **spread("limit_min_median_max", times["limit"]),
        },
    )
