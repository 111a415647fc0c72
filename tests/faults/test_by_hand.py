"""A hand promoted a node, and the others were carried along: requests lead on, and nothing acknowledged is lost."""

from aerodb.local.writer import Writer
from aerodb.protocol.facts import State
from tests.faults.behind import instance_of, pg_ctl, run
from tests.faults.conftest import Running
from tests.faults.waiting import wait_until

STREAMS = "select count(*) from pg_stat_wal_receiver where status = 'streaming'"


def _last_branch(running: Running, node: str) -> tuple[int, int | None]:
    branch = instance_of(running, node).lineage[-1]
    return branch.timeline, branch.term


def _demoted_and_started(running: Running) -> None:
    """Demote n1, and start it as the standby that it is: n2 and n3 stream from it."""
    running.api.do("demote", "n1", for_="n3")
    running.api.do("start", "n1")
    wait_until(lambda: run(running, "n2", STREAMS) == run(running, "n3", STREAMS) == [(1,)])


def test_a_hand_carries_everybody_onto_a_timeline_that_nobody_told(fresh: Running) -> None:
    """n2 and n3 show the same beginning of it, so one of them is elected over the other, with all rows.

    What is elected tells its own term: afterwards the primary moves on as ever, without another copy.
    """
    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(20)
    _demoted_and_started(fresh)
    assert run(fresh, "n1", "select pg_promote(true)") == [(True,)]
    assert writer.wait_for_more(20)
    wait_until(lambda: all(_last_branch(fresh, node) == (2, None) for node in ("n1", "n2", "n3")))
    fresh.api.do("stop", "n1")
    assert len({instance_of(fresh, node).origin for node in ("n1", "n2", "n3")} - {None}) == 1
    assert instance_of(fresh, "n1").state is State.STOPPED
    fresh.api.do("fence", "n2", for_="n3")
    furthest = fresh.api.ask("promote", "n3")
    chosen, other = ("n3", "n2") if furthest.accepted else ("n2", "n3")
    if not furthest.accepted:  # n2 has received more.
        fresh.api.do("fence", "n3", for_="n2")
        fresh.api.do("fence", "n2", for_="n2")
    fresh.api.do("promote", chosen)
    fresh.api.do("stop", other)
    for node in (other, "n1"):
        fresh.api.do("reclone", node, upstream=chosen)
    assert writer.wait_for_more(20)
    wait_until(lambda: _last_branch(fresh, other)[1] is not None and run(fresh, other, STREAMS) == [(1,)])
    fresh.api.do("demote", chosen, for_=other)
    fresh.api.do("promote", other)
    fresh.api.do("follow", chosen, upstream=other)
    told = _last_branch(fresh, other)  # n1 streams from the one that just moved, and is carried along, row after row.
    wait_until(lambda: told[1] is not None and _last_branch(fresh, "n1") == told)
    fresh.api.do("follow", "n1", upstream=other)
    assert writer.wait_for_more(20)
    writer.stop()
    assert writer.lost() == []


def test_two_timelines_that_hands_began_at_one_place_are_two(fresh: Running) -> None:
    """n2 and n3 are promoted apart where their logs end alike: one number, one place, two logs."""
    fresh.api.do("stop", "n1")
    wait_until(lambda: instance_of(fresh, "n2").position == instance_of(fresh, "n3").position)
    for node in ("n2", "n3"):
        pg_ctl(fresh, node, "promote", "-w")
    lineages = {instance_of(fresh, node).lineage for node in ("n2", "n3")}
    assert len(lineages) == 1
    origins = {instance_of(fresh, node).origin for node in ("n2", "n3")}
    assert len(origins) == 2
    assert None not in origins
