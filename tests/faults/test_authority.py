"""Write authority on real clusters: pledges that are broken by hands, nodes that are started by others, dead ends."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aerodb.local.demo import kill_postgres
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.size import Size
from aerodb.local.writer import Writer
from aerodb.protocol import canonical
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Plan
from aerodb.rules.ways import Step, failover, planned
from tests.faults.behind import facts_of, instance_of, pg_ctl, run
from tests.faults.conftest import Running, _end_postgres, _folder_above
from tests.faults.verdicts import failing, planned_for
from tests.faults.waiting import wait_until


def gate(running: Running, node: str) -> tuple[int, str]:
    """Ask the gate as a service manager would: its exit code, and what it says."""
    command = [sys.executable, "-m", "aerodb", "gate", "--folder", str(running.layout.node(node))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return ended.returncode, ended.stdout.strip()


def streams(running: Running, node: str) -> bool:
    """Tell whether a standby streams."""
    receiver = instance_of(running, node).receiver
    return receiver is not None and receiver.status == "streaming"


def start_by_hand(running: Running, node: str) -> None:
    """Start PostgreSQL as a service manager does that knows nothing of the node's standing."""
    home = running.home(node)
    conf = home / "conf"
    options = f"-c config_file={conf}/postgresql.conf -c hba_file={conf}/pg_hba.conf -c ident_file={conf}/pg_ident.conf"
    pg_ctl(running, node, "start", "-w", "-s", "-l", str(home / "run" / "postgres.log"), "-o", options)


def acknowledged_again(running: Running) -> bool:
    """Tell whether a row is acknowledged, by way of the printed DSN."""
    writer = Writer(running.layout.dsn())
    writer.start()
    came = writer.wait_for_more(30)
    writer.stop()
    return came and writer.lost() == []


# A pledge that is not kept -------------------------------------------------------------------------------------------


def test_a_demoted_primary_that_its_host_starts_elects_nobody(fresh: Running) -> None:
    """Started by hand, out of recovery: `promote` names the broken pledge; the others' pledges are the way out."""
    fresh.api.do("demote", "n1", for_="n2")
    assert failing(fresh, "promote", "n2") == {}
    start_by_hand(fresh, "n1")
    wait_until(lambda: instance_of(fresh, "n1").state is State.RUNNING)
    assert instance_of(fresh, "n1").recovery is False
    found = failing(fresh, "promote", "n2")
    assert set(found) == {"pledges-kept"}
    assert "n1 has a PostgreSQL that runs out of recovery" in found["pledges-kept"]
    fresh.api.do("fence", "n3", for_="n2")
    plan = planned_for(fresh, "promote", "n2")
    assert plan.accepted
    assert any("not counted: n1" in verdict.evidence for verdict in plan.verdicts)
    fresh.api.do("promote", "n2")
    fresh.api.do("follow", "n3", upstream="n2")
    fresh.api.do("stop", "n1")
    assert acknowledged_again(fresh)


def test_the_gate_keeps_a_demoted_primary_down_with_no_agent(fresh: Running) -> None:
    """It reads files alone: no for the demoted node, yes for a standby, no for a primary, and for one in the middle."""
    assert gate(fresh, "n1")[0] == 1
    assert "stands as a primary" in gate(fresh, "n1")[1]
    fresh.api.do("demote", "n1", for_="n2")
    fresh.kill_all()
    assert gate(fresh, "n1") == (1, "no: n1 was stopped by a request; it stays down until a person starts it")
    pg_ctl(fresh, "n3", "stop", "-m", "fast", "-w")
    assert gate(fresh, "n3") == (0, "yes: PostgreSQL of n3 may start")
    journal = fresh.layout.node("n3") / "state" / "journal"
    begun = next((fresh.layout.node("n1") / "state" / "journal").glob("*.begun.json"))
    (journal / begun.name).write_bytes(begun.read_bytes())
    assert "has no outcome" in gate(fresh, "n3")[1]


def test_the_gate_keeps_a_standby_down_that_was_promoted_by_hand(fresh: Running) -> None:
    """Its control file tells; the agent that comes up beside it leaves it down too."""
    pg_ctl(fresh, "n3", "promote", "-w")
    pg_ctl(fresh, "n3", "stop", "-m", "fast", "-w")
    code, said = gate(fresh, "n3")
    assert code == 1
    assert "out of recovery" in said or "has not been in recovery all along" in said
    fresh.stage.kill("n3")
    fresh.stage.start_agent("n3")
    fresh.stage.wait_for("n3")
    assert instance_of(fresh, "n3").state is State.STOPPED


def test_no_node_becomes_a_primary_with_its_host(fresh: Running) -> None:
    """A crashed primary's agent leaves it down; a person's start brings it back, by the proof of a majority."""
    kill_postgres(fresh.layout, "n1")
    fresh.stage.kill("n1")
    fresh.stage.start_agent("n1")
    fresh.stage.wait_for("n1")
    assert instance_of(fresh, "n1").state is State.CRASHED
    fresh.api.do("start", "n1")
    assert acknowledged_again(fresh)


# Wherever a node begins to stream ------------------------------------------------------------------------------------


def test_a_standby_that_was_promoted_by_hand_and_stopped_never_streams(fresh: Running) -> None:
    """`start` does not bring it up, and says why; what is acknowledged is on the other standby; a reclone leads out."""
    pg_ctl(fresh, "n3", "promote", "-w")
    run(fresh, "n3", "set synchronous_commit = local; create table only_here as select generate_series(1, 50000) n")
    pg_ctl(fresh, "n3", "stop", "-m", "fast", "-w")
    planned_start = fresh.api.ask("start", "n3")
    plan = canonical.decode(planned_start.plan.encode(), Plan)
    refused = {verdict.invariant: verdict.evidence for verdict in plan.verdicts if verdict.result != "holds"}
    assert "out of recovery" in refused["role-fits"]
    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(20)
    writer.stop()
    assert instance_of(fresh, "n3").receiver is None
    assert {each.node for each in instance_of(fresh, "n1").senders} == {"n2"}
    assert "wal-ancestry" in failing(fresh, "follow", "n3", upstream="n1")
    fresh.api.do("reclone", "n3", upstream="n1")
    wait_until(lambda: streams(fresh, "n3"))


def test_a_standby_whose_upstream_reports_starts_streaming(fresh: Running) -> None:
    """The plain case stays plain: stopped and started, it follows on."""
    fresh.api.do("stop", "n3")
    assert not any("DETACHED" in note for note in planned_for(fresh, "start", "n3").notes)
    fresh.api.do("start", "n3")
    wait_until(lambda: streams(fresh, "n3"))


# Dead ends -----------------------------------------------------------------------------------------------------------


@contextmanager
def cluster_of(ports_from: int, size: Size) -> Iterator[Running]:
    """Run a cluster of another size."""
    folder = Path(tempfile.mkdtemp(prefix="aerodb-authority-", dir=_folder_above()))
    folder.chmod(0o711)
    layout = Layout(root=folder / "cluster")
    running: Running | None = None
    try:
        make_cluster(layout.root, size.at_free_ports(ports_from + 500))
        running = Running(layout)
        running.stage.start()
        yield running
    finally:
        if running is not None:
            running.kill_all()
            for node in running.cluster.data_nodes:
                _end_postgres(running, node)
        shutil.rmtree(folder, ignore_errors=True)


def lose(running: Running, node: str) -> None:
    """Kill a node's PostgreSQL and its agent."""
    kill_postgres(running.layout, node)
    running.stage.kill(node)


def bring_agent_back(running: Running, node: str) -> None:
    """Start a node's agent anew, its PostgreSQL left down."""
    running.stage.start_agent(node, leave_down=True)
    running.stage.wait_for(node)


def walk(running: Running, steps: tuple[Step, ...]) -> None:
    """Ask for each request of a way, and confirm it."""
    for step in steps:
        word = {"follow": "upstream", "fence": "for_", "demote": "for_"}.get(step.action)
        running.api.do(step.action, step.target, **({word: step.other} if word else {}))


def test_a_stopped_primary_and_a_witness_fenced_for_a_node_that_is_lost(ports_from: int) -> None:
    """Two data nodes and a witness: n1 pledges while it is down, the witness again, and n1 is the primary anew."""
    with cluster_of(ports_from, Size(nodes=2, witness=True)) as running:
        running.api.do("stop", "n1")
        running.api.do("fence", "w1", for_="n2")
        lose(running, "n2")
        assert set(failing(running, "start", "n1")) == {"no-higher-grant"}
        running.api.do("fence", "n1", for_="n1")
        running.api.do("fence", "w1", for_="n1")
        running.api.do("start", "n1")
        running.api.do("promote", "n1")
        bring_agent_back(running, "n2")
        running.api.do("follow", "n2", upstream="n1")
        assert acknowledged_again(running)
        assert facts_of(running, "n1").standing.granted.term == 3
        running.api.do("fence", "w1", for_="n2")
        assert facts_of(running, "w1").standing.granted == facts_of(running, "n1").standing.granted


def test_a_crashed_primary_without_synchronous_standbys_pledges_from_its_files(ports_from: int) -> None:
    """K = 0: its log ends beyond the others', so it is elected itself, and nothing that it acknowledged is lost."""
    with cluster_of(ports_from, Size(quorum=0)) as running:
        writer = Writer(running.layout.dsn())
        writer.start()
        assert writer.wait_for_more(20)
        kill_postgres(running.layout, "n1")
        wait_until(lambda: instance_of(running, "n1").state is State.CRASHED)
        running.api.do("fence", "n2", for_="n2")
        running.api.do("fence", "n3", for_="n2")
        assert "commit-quorum" in failing(running, "promote", "n2")
        running.api.do("fence", "n1", for_="n1")
        running.api.do("fence", "n2", for_="n1")
        running.api.do("start", "n1")
        running.api.do("promote", "n1")
        assert writer.wait_for_more(20)
        writer.stop()
        assert writer.lost() == []


def test_four_data_nodes_switch_over_and_fail_over_by_the_way_that_is_laid_out(ports_from: int) -> None:
    """A demotion before anybody was fenced is refused, and nothing stops; the ways go through, and lose nothing."""
    with cluster_of(ports_from, Size(nodes=4)) as running:
        writer = Writer(running.layout.dsn())
        writer.start()
        assert writer.wait_for_more(10)
        found = failing(running, "demote", "n1", for_="n2")
        assert set(found) == {"successor-electable"}
        assert "fence 1 more for n2 beforehand" in found["successor-electable"]
        walk(running, planned(running.cluster, "n1", "n2").steps)
        assert writer.wait_for_more(10)
        lose(running, "n2")
        way = failover(running.cluster, "n2", "n3")
        promoted = next(at for at, step in enumerate(way.steps) if step.action == "promote")
        walk(running, way.steps[: promoted + 1])
        assert writer.wait_for_more(10)
        walk(running, way.steps[promoted + 1 :])
        writer.stop()
        assert writer.lost() == []


def test_the_third_node_of_a_switchover_is_no_dead_end(fresh: Running) -> None:
    """Carried into the new term untold, it is an upstream all the same: the next switchover begins as laid out."""
    walk(fresh, planned(fresh.cluster, "n1", "n2").steps)
    assert facts_of(fresh, "n3").standing.granted.term == 1
    walk(fresh, planned(fresh.cluster, "n2", "n3").steps)
    assert acknowledged_again(fresh)
    assert facts_of(fresh, "n3").standing.granted.term == 3


@contextmanager
def held_checkpointer(running: Running, node: str) -> Iterator[None]:
    """Hold a node's checkpointer still: a checkpoint that begins meanwhile ends only afterwards."""
    query = "select pid from pg_stat_activity where backend_type = 'checkpointer'"
    pid = int(run(running, node, query)[0][0])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


CHECKPOINTING = "select count(*) from pg_stat_activity where query = 'checkpoint' and state = 'active'"
STREAMING = "select count(*) from pg_stat_replication where usename = 'n2' or application_name = 'n2'"


# The demotion ---------------------------------------------------------------------------------------------------------


def test_a_successor_that_is_lost_during_the_checkpoint_stops_nothing(fresh: Running) -> None:
    """The demotion judges again after its checkpoint: the primary goes on, and has pledged nothing."""
    planned_demotion = fresh.api.ask("demote", "n1", for_="n2")
    with held_checkpointer(fresh, "n1"):
        told: list[str] = []
        asking = threading.Thread(target=lambda: told.append(fresh.api.confirm(planned_demotion).result))
        asking.start()
        wait_until(lambda: run(fresh, "n1", CHECKPOINTING) == [(1,)])
        kill_postgres(fresh.layout, "n2")
        wait_until(lambda: run(fresh, "n1", STREAMING) == [(0,)])
    asking.join(60)
    assert told == ["not executed"]
    assert instance_of(fresh, "n1").state is State.RUNNING
    assert facts_of(fresh, "n1").standing.pledged.term == 1
    assert acknowledged_again(fresh)
