"""What is said of the writes, against real writers: status, plans, and what load balancers are told."""

from collections.abc import Callable
from pathlib import Path

from aerodb.errors import AeroError
from aerodb.local.demo import kill_postgres
from aerodb.local.writer import Writer
from aerodb.protocol import canonical
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Plan
from aerodb.protocol.writes import Writes
from aerodb.rules.observed import observe
from aerodb.rules.writes import writes
from tests.faults.behind import instance_of, pg_ctl, run
from tests.faults.conftest import Running
from tests.faults.waiting import wait_until


def told(running: Running) -> Writes:
    """Return the answer that `status` begins with: judged on consistent reports, as the CLI does."""
    while True:
        status = running.api.status()
        if status.consistent:
            return writes(running.cluster, observe(running.cluster, status).facts)


def notes(plan: str) -> tuple[str, ...]:
    """Return what a plan says of the writes."""
    found = canonical.decode(plan.encode(), Plan).notes
    return tuple(note for note in found if note.startswith("Writes "))


def serves(running: Running, node: str, path: str) -> str:
    """Return what a load balancer is told: the role, or why not."""
    try:
        return running.impostor.agent(node).get(path).decode().strip()
    except AeroError as error:
        return error.message.removeprefix("HTTP 503: ").strip()


def does(running: Running, action: str, target: str, **arguments: str) -> tuple[str, ...]:
    """Ask and confirm; return what the plan said of the writes."""
    planned = running.api.ask(action, target, **arguments)
    done = running.api.confirm(planned)
    assert done.result == "executed", done
    return notes(planned.plan)


def becomes(running: Running, condition: Callable[[Writes], bool]) -> Writes:
    """Return the first answer that is as it should come to be."""
    wait_until(lambda: condition(told(running)))
    return told(running)


def test_a_failover_says_at_every_step_whether_writes_are_acknowledged(fresh: Running) -> None:
    """As README has it: after `promote` commits wait, as plan and status say; a real writer agrees at every step."""
    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(20)
    assert told(fresh).headline == "acknowledged by n1, survives the loss of 1 more node"
    kill_postgres(fresh.layout, "n1")
    wait_until(lambda: instance_of(fresh, "n1").state is State.CRASHED)
    assert told(fresh).headline == "no primary; last known n1, term 1"
    does(fresh, "fence", "n2", for_="n2")
    does(fresh, "fence", "n3", for_="n2")
    said = does(fresh, "promote", "n2")
    assert said == (
        "Writes now: no primary; last known n1, term 1.",
        "Writes afterwards: waiting at n2; 0 of 2 standbys stream, 1 is needed.",
    )
    found = told(fresh)
    assert (found.acknowledged, found.headline) == ("no", "waiting at n2; 0 of 2 standbys stream, 1 is needed")
    assert serves(fresh, "n2", "/primary") == "none: commits wait: 0 standby(s) stream, 1 needed"
    acknowledged = len(writer.acknowledged)
    wait_until(lambda: run(fresh, "n2", "select count(*) from pg_stat_activity where wait_event = 'SyncRep'") != [(0,)])
    assert len(writer.acknowledged) == acknowledged
    said = does(fresh, "follow", "n3", upstream="n2")
    assert said[-1] == "Writes afterwards: acknowledged by n2, survives the loss of 0 more nodes."
    assert writer.wait_for_more(20)
    assert becomes(fresh, lambda found: found.acknowledged == "yes").headline in said[-1]
    assert serves(fresh, "n2", "/primary") == "primary"
    writer.stop()
    assert writer.lost() == []


def test_the_third_node_cascading_beforehand_brings_the_writes_back_with_the_promotion(fresh: Running) -> None:
    """A switchover's plans say it before it is so: none after `demote`, acknowledged with `promote`."""
    writer = Writer(fresh.layout.dsn())
    writer.start()
    does(fresh, "follow", "n3", upstream="n2")
    becomes(fresh, lambda found: found.survives == 0)
    wait_until(lambda: [each.node for each in instance_of(fresh, "n2").senders if each.state == "streaming"] == ["n3"])
    said = does(fresh, "demote", "n1", for_="n2")
    then = "acknowledged by n2, survives the loss of 0 more nodes"
    assert said[-1] == f"Writes afterwards: none until n2 is promoted; then {then}."
    assert told(fresh).acknowledged == "no"
    assert does(fresh, "promote", "n2")[-1] == f"Writes afterwards: {then}."
    assert writer.wait_for_more(20)
    assert told(fresh).headline == then
    writer.stop()
    assert writer.lost() == []


def test_a_returned_old_primary_draws_no_traffic(fresh: Running) -> None:
    """Started by hand beside the new one, it holds the last grant that it knows, runs, and serves nobody."""
    killed = Path("/proc") / str(fresh.postmaster("n1"))
    kill_postgres(fresh.layout, "n1")
    wait_until(lambda: instance_of(fresh, "n1").state is State.CRASHED)
    fresh.api.do("fence", "n2", for_="n2")
    fresh.api.do("fence", "n3", for_="n2")
    fresh.api.do("follow", "n3", upstream="n2")
    fresh.api.do("promote", "n2")
    becomes(fresh, lambda found: found.acknowledged == "yes")
    options = f"-c config_file={fresh.home('n1') / 'conf' / 'postgresql.conf'}"
    wait_until(lambda: not killed.exists())  # PostgreSQL takes one that nobody has collected yet for alive.
    pg_ctl(fresh, "n1", "start", "-w", "-l", str(fresh.home("n1") / "run" / "postgres.log"), "-o", options)
    wait_until(lambda: instance_of(fresh, "n1").state is State.RUNNING)
    assert instance_of(fresh, "n1").recovery is False
    assert serves(fresh, "n1", "/primary") == "none: commits wait: 0 standby(s) stream, 1 needed"
    assert serves(fresh, "n2", "/primary") == "primary"
    assert told(fresh).node == "n2"


def test_a_standby_that_replays_nothing_serves_nobody(fresh: Running) -> None:
    """Paused replay, a lag beyond the one asked for, no stream: each is a no; all else is a yes again."""
    wait_until(lambda: serves(fresh, "n2", "/standby?lag=16MB") == "standby")
    run(fresh, "n2", "select pg_wal_replay_pause()")
    assert serves(fresh, "n2", "/standby") == "none: replay is paused"
    run(fresh, "n2", "select pg_wal_replay_resume()")
    wait_until(lambda: serves(fresh, "n2", "/standby") == "standby")
    fresh.api.do("stop", "n1")
    wait_until(lambda: serves(fresh, "n2", "/standby").startswith("none: it does not stream"))
    assert "input.lag-malformed" in _code(fresh, "n2", "/standby?lag=much")


def _code(running: Running, node: str, path: str) -> str:
    try:
        running.impostor.agent(node).get(path)
    except AeroError as error:
        return error.code
    return ""


def _status(running: Running, node: str, method: str, path: str) -> int:
    connection = running.impostor.agent(node).connect()
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        assert method != "HEAD" or answer.read() == b""
        return answer.status
    finally:
        connection.close()


def test_balancers_may_ask_by_head_and_options(fresh: Running) -> None:
    """HAProxy asks by OPTIONS unless it is told otherwise, others by HEAD: the same status, and no other method."""
    for node, expected in (("n1", 200), ("n2", 503)):
        wait_until(lambda: serves(fresh, "n1", "/primary") == "primary")
        for method in ("GET", "HEAD", "OPTIONS"):
            assert _status(fresh, node, method, "/primary") == expected, (node, method)
        assert _status(fresh, node, "POST", "/primary") == 405
