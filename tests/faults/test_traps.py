"""PostgreSQL's known traps, each fallen into for real: the rules refuse, name the invariant, and show the way out."""

import os
import signal
import threading
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.kernel.postgres.capabilities import Capability, has
from aerodb.kernel.postgres.waldump import end_of_wal
from aerodb.local.demo import kill_postgres
from aerodb.local.writer import Writer
from aerodb.protocol.facts import State
from tests.faults.behind import append_to, connect, empty_segments, facts_of, instance_of, pg_ctl, run, serves
from tests.faults.conftest import Running
from tests.faults.verdicts import failing
from tests.faults.waiting import wait_until

LONG_BYTES = 50_000_000
WAITING = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"


def _crash(running: Running, node: str) -> None:
    kill_postgres(running.layout, node)
    wait_until(lambda: instance_of(running, node).state is State.CRASHED)


def _streaming(running: Running, node: str) -> bool:
    receiver = instance_of(running, node).receiver
    return receiver is not None and receiver.status == "streaming"


# Timelines ------------------------------------------------------------------------------------------------------------


@pytest.mark.older_too
def test_the_same_timeline_number_twice(fresh: Running) -> None:
    """Two nodes on timeline 2, promoted apart: the number proves nothing, following is refused, a reclone mends it."""
    _crash(fresh, "n1")
    fresh.api.do("fence", "n3", for_="n2")
    fresh.api.do("fence", "n2", for_="n2")
    fresh.api.do("promote", "n2")  # Before the hand's: a pledger that serves by itself would have elected nobody.
    pg_ctl(fresh, "n3", "promote", "-w")
    run(fresh, "n3", "set synchronous_commit = local; create table only_here (n int)")
    pg_ctl(fresh, "n3", "stop", "-m", "fast", "-w")
    timelines = [instance_of(fresh, node).lineage[-1].timeline for node in ("n2", "n3")]
    assert timelines == [2, 2]
    assert "wal-ancestry" in failing(fresh, "follow", "n3", upstream="n2")
    fresh.api.do("reclone", "n3", upstream="n2")
    wait_until(lambda: _streaming(fresh, "n3"))
    assert run(fresh, "n3", "select to_regclass('only_here') is null") == [(True,)]


def test_both_standbys_promoted_apart(fresh: Running) -> None:
    """With no granted primary at all, two hand-made timelines 2 follow nobody, and nobody follows them."""
    _crash(fresh, "n1")
    for node in ("n2", "n3"):
        pg_ctl(fresh, node, "promote", "-w")
    for node, upstream in (("n2", "n3"), ("n3", "n2")):
        assert "role-fits" in failing(fresh, "follow", node, upstream=upstream)
        assert "role-fits" in failing(fresh, "promote", node)
        pg_ctl(fresh, node, "stop", "-m", "fast", "-w")
    assert "wal-ancestry" in failing(fresh, "follow", "n3", upstream="n2")
    assert "upstream-authority" in failing(fresh, "reclone", "n3", upstream="n2")
    fresh.api.do("start", "n1")
    for node in ("n2", "n3"):
        fresh.api.do("reclone", node, upstream="n1")
    wait_until(lambda: _streaming(fresh, "n2") and _streaming(fresh, "n3"))


def test_a_standby_promoted_by_hand_while_its_primary_lives(fresh: Running) -> None:
    """It serves as nothing, is refused everything, acknowledges nothing, and the primary loses nothing."""
    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(10)
    assert run(fresh, "n2", "select pg_promote(true)") == [(True,)]
    for path in ("/primary", "/standby"):
        with pytest.raises(AeroError):
            fresh.impostor.agent("n2").get(path)
    for action, arguments in (("promote", {}), ("renew", {}), ("follow", {"upstream": "n1"}), ("fence", {"for": "n3"})):
        assert "role-fits" in failing(fresh, action, "n2", **arguments)
    with connect(fresh, "n2", "app") as forked:
        forked.execute("set statement_timeout = 0")
        canceller = threading.Timer(0.5, forked.cancel)
        canceller.start()
        forked.execute("create table forked (n int)")
        canceller.join()
    assert writer.wait_for_more(20)
    planned = fresh.api.ask("stop", "n2")
    assert "promoted by hand" in planned.plan
    fresh.api.confirm(planned)
    assert instance_of(fresh, "n2").state is State.STOPPED
    assert "wal-ancestry" in failing(fresh, "follow", "n2", upstream="n1")
    fresh.api.do("reclone", "n2", upstream="n1")
    assert writer.wait_for_more(20)
    writer.stop()
    assert writer.lost() == []


def test_what_a_load_balancer_asks_needs_no_log(fresh: Running) -> None:
    """A node that is down says that it serves as nothing, whatever is left of its files."""
    _crash(fresh, "n1")
    control = (fresh.home("n1") / "data").resolve() / "global" / "pg_control"
    control.rename(control.with_name("moved"))
    caller = fresh.impostor.agent("n1")
    with pytest.raises(AeroError, match="none"):
        caller.get("/primary")
    control.with_name("moved").rename(control)
    fresh.api.do("start", "n1")
    wait_until(lambda: serves(fresh, "n1", "/primary") == "primary")  # Once a standby streams from it again.


# The end of the log ---------------------------------------------------------------------------------------------------


@pytest.mark.older_too
def test_a_standby_that_lacks_the_shutdown_checkpoint(fresh: Running) -> None:
    """It was not streaming when the primary shut down: its position is below the record's end, and it is not elected.

    Compared with the checkpoint's location, which is where the record starts, it would seem to have everything.
    """
    fresh.api.do("stop", "n2")
    fresh.api.do("stop", "n1")
    fresh.api.do("start", "n2")
    stopped, behind = instance_of(fresh, "n1"), instance_of(fresh, "n2")
    assert stopped.shutdown is not None
    assert behind.position is not None
    assert behind.position.lsn < stopped.shutdown
    fresh.api.do("fence", "n3", for_="n2")
    refusing = failing(fresh, "promote", "n2")
    assert set(refusing) == {"wal-prefix"}
    assert "before n3" in refusing["wal-prefix"]
    fresh.api.do("fence", "n2", for_="n3")
    fresh.api.do("promote", "n3")
    fresh.api.do("follow", "n1", upstream="n3")
    wait_until(lambda: _streaming(fresh, "n1"))


def test_the_successor_must_stream_before_writes_stop(fresh: Running) -> None:
    """A demotion for a successor that does not receive is refused before anything is stopped."""
    fresh.api.do("stop", "n2")
    assert set(failing(fresh, "demote", "n1", for_="n2")) == {"successor-streams"}
    assert instance_of(fresh, "n1").state is State.RUNNING


def test_a_new_and_empty_segment_misleads_nobody(fresh: Running) -> None:
    """A node that is down tells where its log ends, also with segments that PostgreSQL made ahead of need."""
    fresh.api.do("stop", "n3")
    before = instance_of(fresh, "n3")
    empty_segments(fresh, "n3", 20)
    found = instance_of(fresh, "n3")
    assert replace(found, keeping=before.keeping) == before  # How full the disk is, others tell too.
    fresh.api.do("start", "n3")


def test_the_end_of_the_log_is_where_recovery_ends(fresh: Running) -> None:
    """A crashed primary's position, read from its files, is the position that it recovers to."""
    from aerodb.kernel.node import read_node
    from aerodb.kernel.postgres.reading import read_control_file

    run(fresh, "n1", "create table t as select generate_series(1, 20000) as n")
    _crash(fresh, "n1")
    data = (fresh.home("n1") / "data").resolve()
    told = instance_of(fresh, "n1").position
    assert told is not None
    installation = read_node(fresh.layout.node("n1")).installation()
    assert end_of_wal(installation, data, read_control_file(installation, data)) == (1, told.lsn)
    fresh.api.do("start", "n1")
    log = (fresh.home("n1") / "run" / "postgres.log").read_text(encoding="utf-8")
    redone = [line for line in log.splitlines() if "redo done at" in line or "invalid record length at" in line]
    assert any(f"invalid record length at {told.lsn}" in line for line in redone), redone


# Synchronous commit ---------------------------------------------------------------------------------------------------


@pytest.mark.older_too
def test_a_cancelled_wait_is_no_acknowledgement(fresh: Running) -> None:
    """With both standbys fenced nothing is acknowledged; a cancelled wait warns, and its row is on the primary alone.

    The election is right to lose that row, and says where it went: the old primary has diverged, by this commit.
    """
    run(fresh, "n1", "create table t (n int)")
    fresh.api.do("fence", "n3", for_="n2")
    fresh.api.do("fence", "n2", for_="n2")
    warned: list[str] = []
    with connect(fresh, "n1") as session:
        session.add_notice_handler(lambda notice: warned.append(notice.message_primary or ""))
        waiting = threading.Thread(target=session.execute, args=("insert into t values (1)",))
        waiting.start()
        wait_until(lambda: run(fresh, "n1", WAITING) == [(1,)])
        assert run(fresh, "n1", "select * from t") == []
        session.cancel()
        waiting.join(20)
    assert ["canceling wait for synchronous replication" in text for text in warned] == [True]
    assert run(fresh, "n1", "select * from t") == [(1,)]
    _crash(fresh, "n1")
    fresh.api.do("promote", "n2")
    assert run(fresh, "n2", "select * from t") == []
    refusing = failing(fresh, "follow", "n1", upstream="n2")
    assert set(refusing) == {"wal-ancestry"}
    assert "diverged" in refusing["wal-ancestry"]
    assert "1 commit(s)" in refusing["wal-ancestry"]
    fresh.api.do("reclone", "n1", upstream="n2")
    assert (fresh.home("n1") / "data-0001").is_dir()


# Settings behind the agent's back -------------------------------------------------------------------------------------


@pytest.mark.older_too
def test_alter_system_is_off(fresh: Running) -> None:
    """PostgreSQL itself refuses it, to the superuser too; a version that cannot refuse it shows it as drift."""
    if not has(int(instance_of(fresh, "n1").major), Capability.ALLOW_ALTER_SYSTEM):
        run(fresh, "n1", "alter system set synchronous_commit = off")
        assert instance_of(fresh, "n1").drift == ("synchronous_commit",)
        assert "synchronous_commit" in failing(fresh, "demote", "n1", for_="n2")["policy-known"]
        return
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="ALTER SYSTEM"):
        run(fresh, "n1", "alter system set synchronous_commit = off")


@pytest.mark.parametrize(
    ("node", "line", "drifts", "invariant"),
    [
        ("n1", "synchronous_standby_names = ''", "synchronous_standby_names", "policy-known"),
        ("n1", "synchronous_commit = off", "synchronous_commit", "policy-known"),
        ("n3", "restore_command = 'true'", "restore_command", "receiver-known"),
        ("n3", "primary_conninfo = 'host=127.0.0.1 port=1'", "primary_conninfo", "receiver-known"),
    ],
)
def test_a_setting_that_was_smuggled_in(fresh: Running, node: str, line: str, drifts: str, invariant: str) -> None:
    """What stands in postgresql.auto.conf, which overrides the agent's files, forbids what rests on it, and no stop."""
    demote = fresh.api.ask("demote", "n1", for_="n2")
    append_to(fresh.home(node) / "data" / "postgresql.auto.conf", f"{line}\n")
    pg_ctl(fresh, node, "reload")
    wait_until(lambda: drifts in instance_of(fresh, node).drift)
    action, arguments = ("demote", {"for_": "n2"}) if node == "n1" else ("fence", {"for_": "n2"})
    assert drifts in failing(fresh, action, node, **arguments)[invariant]
    assert failing(fresh, "stop", node) == failing(fresh, "checkpoint", node) == {}
    if node == "n1":  # Smuggled in after the plan was made: the agent finds it by itself.
        done = fresh.api.confirm(demote)
        assert (done.result, done.code) == ("not executed", "kernel.verdicts-differ")
        assert "policy-known" in done.message


@pytest.mark.parametrize("line", ["work_mem = 8MB", "wal_level = logical", "synchronous_commit = remote_apply"])
def test_a_setting_that_no_proof_rests_on(fresh: Running, line: str) -> None:
    """A stray setting in postgresql.auto.conf, or one that is as good as ours, is no drift and forbids nothing."""
    for node in ("n1", "n2"):
        append_to(fresh.home(node) / "data" / "postgresql.auto.conf", f"{line}\n")
        pg_ctl(fresh, node, "reload")
    fresh.api.do("stop", "n2")
    assert instance_of(fresh, "n2").drift == ()
    fresh.api.do("start", "n2")
    wait_until(lambda: _streaming(fresh, "n2"))
    assert instance_of(fresh, "n1").drift == instance_of(fresh, "n2").drift == ()
    assert failing(fresh, "demote", "n1", for_="n2") == failing(fresh, "fence", "n2", for_="n2") == {}


def test_a_setting_that_the_next_reload_takes_up(fresh: Running) -> None:
    """A weaker policy in the candidate's files is found before it is in force: a promotion's own reload would do it."""
    fresh.api.do("fence", "n3", for_="n2")
    fresh.api.do("fence", "n2", for_="n2")
    append_to(fresh.home("n2") / "data" / "postgresql.auto.conf", "synchronous_standby_names = ''\n")
    assert run(fresh, "n2", "show synchronous_standby_names") != [("",)]
    assert set(failing(fresh, "promote", "n2")) == {"policy-known"}


def test_a_role_that_escapes_the_quorum(fresh: Running) -> None:
    """ALTER ROLE ... SET synchronous_commit is found on the primary, and on the standbys that replay it.

    It takes no way out: such commits were never acknowledged synchronously, and a standby could not undo it. The claim
    says that they are not covered.
    """
    run(fresh, "n1", "alter role app set synchronous_commit = off")
    wait_until(lambda: bool(instance_of(fresh, "n2").drift))
    assert failing(fresh, "demote", "n1", for_="n2") == failing(fresh, "fence", "n2", for_="n2") == {}
    run(fresh, "n1", "alter role app set synchronous_commit = remote_apply")
    wait_until(lambda: not instance_of(fresh, "n2").drift)
    run(fresh, "n1", "alter role app reset synchronous_commit")
    assert instance_of(fresh, "n1").drift == ()


@pytest.mark.older_too
def test_a_fenced_standby_never_receives_again(fresh: Running) -> None:
    """A reload, a restart, a new agent: no receiver comes back, and the position that was pledged stays final."""
    fresh.api.do("fence", "n3", for_="n2")
    pledged = instance_of(fresh, "n3").position
    run(fresh, "n1", "create table later (n int)")
    pg_ctl(fresh, "n3", "reload")
    fresh.stage.kill("n3")
    fresh.stage.start_agent("n3")
    fresh.stage.wait_for("n3")
    assert run(fresh, "n3", "select count(*) from pg_stat_wal_receiver") == [(0,)]
    fresh.api.do("stop", "n3")
    fresh.api.do("start", "n3")
    found = instance_of(fresh, "n3")
    assert (found.receiver, found.attached, found.position) == (None, None, pledged)


# Copies that were cut off ---------------------------------------------------------------------------------------------


def _copying(home: Path) -> int:
    """Return the process id of the base backup into a new folder of `home`, or 0."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if (
            words
            and words[0].endswith(b"/pg_basebackup")
            and any(each.startswith(f"{home}/data-".encode()) for each in words)
        ):
            return int(entry.name)
    return 0


@pytest.mark.parametrize("agent_dies", [False, True])
def test_a_base_backup_that_is_killed(fresh: Running, *, agent_dies: bool) -> None:
    """What it left is never started; the node goes on as it was; a new reclone works."""
    home = fresh.home("n3").resolve()
    planned = fresh.api.ask("reclone", "n3", upstream="n1")
    told: list[str] = []
    asking = threading.Thread(target=lambda: told.append(fresh.api.confirm(planned).result))
    asking.start()
    found = 0
    while not found:
        found = _copying(home)
        assert asking.is_alive()
    os.kill(found, signal.SIGSTOP)
    if agent_dies:
        fresh.stage.kill("n3")
    os.kill(found, signal.SIGKILL)
    asking.join(60)
    if agent_dies:
        fresh.stage.start_agent("n3")
        fresh.stage.wait_for("n3")
    assert told == ["unknown" if agent_dies else "not executed"]
    assert fresh.api.outcome(planned.request).result == "not executed"
    assert not (fresh.home("n3") / "data-0002").exists()
    assert instance_of(fresh, "n3").folder == "data-0001"
    assert facts_of(fresh, "n3").standing.upstream is None  # It had ended acknowledging before the copy began.
    fresh.api.do("reclone", "n3", upstream="n1")
    assert instance_of(fresh, "n3").folder == "data-0002"
    assert not _copying(home)


def _peak_bytes(pid: int) -> int:
    """Return the most memory that a process has ever held."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


def test_a_long_record_is_not_read_whole(fresh: Running) -> None:
    """A crashed node's agent tells where the log ends, and its memory does not grow with what the log holds."""
    run(fresh, "n1", f"select pg_logical_emit_message(true, 'x', repeat('y', {LONG_BYTES}))")
    before = _peak_bytes(fresh.stage.process("n1").pid)
    _crash(fresh, "n1")
    told = instance_of(fresh, "n1").position
    assert told is not None
    assert told.lsn.value > LONG_BYTES
    assert _peak_bytes(fresh.stage.process("n1").pid) - before < LONG_BYTES


def test_the_ends_of_records_are_postgresqls_own(fresh: Running) -> None:
    """Where each record ends is worked out as PostgreSQL itself says it, over many pages and a segment's end."""
    from aerodb.kernel.postgres.lsns import record_end
    from aerodb.protocol.lsn import Lsn

    if not run(fresh, "n1", "select name from pg_available_extensions where name = 'pg_walinspect'"):
        pytest.skip(f"PostgreSQL {instance_of(fresh, 'n1').version} was installed without pg_walinspect")
    run(fresh, "n1", "create extension pg_walinspect")
    begin = run(fresh, "n1", "select pg_current_wal_lsn()")[0][0]
    run(fresh, "n1", "create table wide as select repeat(md5(n::text), 60) as w from generate_series(1, 9000) n")
    run(fresh, "n1", "select pg_switch_wal()")
    run(fresh, "n1", "create table one_more (n int)")
    query = "select start_lsn::text, end_lsn::text, record_length, record_type from pg_get_wal_records_info"
    records = run(fresh, "n1", f"{query}('{begin}', pg_current_wal_flush_lsn())")
    assert len(records) > 1000
    for start, end, length_bytes, kind in records:
        told = record_end(Lsn.parse(start), length_bytes, 16 << 20, switches=kind == "SWITCH")
        assert told == Lsn.parse(end), (start, end, length_bytes, kind)
