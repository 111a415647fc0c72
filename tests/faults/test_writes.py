"""What is said of the writes, against real writers: status, plans, and what load balancers are told."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from aerodb.errors import AeroError
from aerodb.local.demo import kill_postgres
from aerodb.local.writer import Writer
from aerodb.protocol import canonical
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Plan
from aerodb.protocol.writes import Writes
from aerodb.rules.writes import writes
from aerodb.views.observed import observe
from aerodb.views.unusual import stream_remarks
from tests.faults.behind import append_to, connect, instance_of, pg_ctl, run, serves
from tests.faults.conftest import Running
from tests.faults.verdicts import failing
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


@pytest.mark.older_too
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
    conf = fresh.home("n1") / "conf"
    options = f"-c config_file={conf}/postgresql.conf -c hba_file={conf}/pg_hba.conf -c ident_file={conf}/pg_ident.conf"
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


def _remarks(running: Running) -> list[str]:
    return [each.text for each in stream_remarks(observe(running.cluster, running.api.status()))]


def test_a_paused_replay_is_seen_before_anything_is_stopped_or_cut(fresh: Running) -> None:
    """It receives and flushes, so commits go on; it is no successor and pledges nothing, until it replays again."""
    run(fresh, "n2", "select pg_wal_replay_pause()")
    run(fresh, "n1", "create table later as select generate_series(1, 100000) as n")
    wait_until(lambda: any("n2: replay is paused" in text for text in _remarks(fresh)))
    assert set(failing(fresh, "demote", "n1", for_="n2")) == {"successor-streams"}
    assert set(failing(fresh, "fence", "n2", for_="n2")) == {"replay-runs"}
    assert told(fresh).acknowledged == "yes"
    replay = instance_of(fresh, "n2").keeping.replay
    assert replay is not None
    assert replay.unreplayed_bytes > 0
    run(fresh, "n2", "select pg_wal_replay_resume()")
    wait_until(lambda: failing(fresh, "demote", "n1", for_="n2") == {})


def test_a_successor_whose_setting_is_below_the_primarys_is_rejected(fresh: Running) -> None:
    """Raised on the primary alone, `max_connections` pauses a standby's replay: the plan says so before writes stop."""
    append_to(fresh.home("n1") / "conf" / "postgresql.conf", "max_connections = 120\n")
    fresh.api.do("stop", "n1")
    fresh.api.do("start", "n1")
    wait_until(lambda: [each.state for each in instance_of(fresh, "n1").senders] == ["streaming"] * 2)
    refused = failing(fresh, "demote", "n1", for_="n2")
    assert set(refused) == {"successor-streams"}
    assert "max_connections 100, the primary's 120" in refused["successor-streams"] or "paused" in str(refused)
    assert any("max_connections 100, the primary's 120" in text for text in _remarks(fresh))


def test_what_a_promotion_leaves_behind_is_counted_and_said(fresh: Running) -> None:
    """Unlogged tables are empty on the node that is promoted, and slots stay: both stand in the plans, with numbers."""
    with connect(fresh, "n1", "app") as session:
        session.execute("create unlogged table scratch (n int primary key)")
        session.execute("insert into scratch select generate_series(1, 1000)")
        session.execute("select pg_create_physical_replication_slot('left_here', true)")
    wait_until(lambda: instance_of(fresh, "n2").keeping.unlogged == 2)
    planned = canonical.decode(fresh.api.ask("demote", "n1", for_="n2").plan.encode(), Plan)
    said = "\n".join(planned.notes)
    assert "2 relation(s) are UNLOGGED (tables, their indexes, sequences): they are EMPTY afterwards." in said
    assert "Replication slots stay on n1 (1 physical)" in said
    fresh.api.do("demote", "n1", for_="n2")
    promote = canonical.decode(fresh.api.ask("promote", "n2").plan.encode(), Plan)
    assert "2 relation(s) are UNLOGGED" in "\n".join(promote.notes)
    fresh.api.do("promote", "n2")
    with connect(fresh, "n2", "app") as session:
        assert session.execute("select count(*) from scratch").fetchone() == (0,)


def test_a_frozen_third_standby_is_named_before_it_holds_a_demotion_up(fresh: Running) -> None:
    """Its receiver is held: PostgreSQL shows it as streaming; the plan says that a shutdown waits for it."""
    receiver = run(fresh, "n3", "select pid from pg_stat_wal_receiver")[0][0]
    os.kill(receiver, signal.SIGSTOP)
    try:
        run(fresh, "n1", "create table unsent as select generate_series(1, 1000) as n")

        def warned() -> bool:
            notes = canonical.decode(fresh.api.ask("demote", "n1", for_="n2").plan.encode(), Plan).notes
            return any("n3 has said nothing for" in note and "wal_sender_timeout" in note for note in notes)

        wait_until(warned)
        assert any("n1: n3 is connected, and has said nothing for" in text for text in _remarks(fresh))
        refused = failing(fresh, "demote", "n1", for_="n3")
        assert "has said nothing for" in refused["successor-streams"]
    finally:
        os.kill(receiver, signal.SIGCONT)


def test_balancers_may_ask_by_head_and_options(fresh: Running) -> None:
    """HAProxy asks by OPTIONS unless it is told otherwise, others by HEAD: the same status, and no other method."""
    for node, expected in (("n1", 200), ("n2", 503)):
        wait_until(lambda: serves(fresh, "n1", "/primary") == "primary")
        for method in ("GET", "HEAD", "OPTIONS"):
            assert _status(fresh, node, method, "/primary") == expected, (node, method)
        assert _status(fresh, node, "POST", "/primary") == 405


def test_too_few_standbys_are_left_and_a_person_does_without(fresh: Running) -> None:
    """Commits wait, by the page's hand they are acknowledged, and `status` says each; taken back, they wait again."""
    for node in ("n2", "n3"):
        kill_postgres(fresh.layout, node)
        fresh.stage.kill(node)
    waiting = becomes(fresh, lambda each: each.acknowledged == "no")
    assert waiting.headline == "waiting at n1; 0 of 2 standbys stream, 1 is needed"
    conf = fresh.home("n1") / "conf" / "postgresql.conf"
    whole = conf.read_text(encoding="utf-8")
    append_to(conf, "\nsynchronous_standby_names = ''\n")
    with connect(fresh, "n1") as hand:
        hand.execute("select pg_reload_conf()")
        wait_until(lambda: hand.execute("show synchronous_standby_names").fetchall() == [("",)])
        hand.execute("create table alone (n int)")
        without = told(fresh)
        assert without.headline == "unknown: n1 takes writes, and what a commit waits for was changed by hand"
        assert without.details[0] == "Not as configured: synchronous_standby_names."
        conf.write_text(whole, encoding="utf-8")
        hand.execute("select pg_reload_conf()")
    becomes(fresh, lambda each: "by hand" not in each.headline)
