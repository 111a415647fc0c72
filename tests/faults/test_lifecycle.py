"""One agent a node, nothing of it outlives its word, and an outcome is what happened: on real processes."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.local.demo import kill_postgres
from aerodb.protocol.api import Done, Planned
from aerodb.protocol.facts import State
from aerodb.transport.errors import Refused
from tests.faults.behind import append_to, connect, facts_of, instance_of, run
from tests.faults.conftest import Running
from tests.faults.hostile import Hostile
from tests.faults.people import order_of
from tests.faults.waiting import wait_until


@contextmanager
def confirming(running: Running, planned: Planned) -> Iterator[list[Done]]:
    """Confirm a plan in a thread of its own; what the operator is told is in the list once the block is left."""
    told: list[Done] = []
    asking = threading.Thread(target=lambda: told.append(running.api.confirm(planned)))
    asking.start()
    try:
        yield told
    finally:
        asking.join(120)
        assert told


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Hold one process still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def child_of(running: Running, node: str, title: str) -> int:
    """Return the process id of one of PostgreSQL's own processes, by its title."""
    postmaster = running.postmaster(node)
    for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split():
        with suppress(OSError):
            if title in Path(f"/proc/{pid}/cmdline").read_text(encoding="ascii", errors="replace"):
                return int(pid)
    raise AssertionError(title)


def copies(running: Running, node: str) -> list[int]:
    """Return the process ids of the base backups into new folders of a node."""
    home, found = str(running.home(node).resolve()), []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            if words and words[0].endswith(b"pg_basebackup") and any(word.startswith(home.encode()) for word in words):
                found.append(int(entry.name))
    return found


def begun(running: Running, node: str) -> bool:
    """Tell whether a request is under way on a node, or left unfinished; whether its agent answers or not."""
    journal = running.layout.node(node) / "state" / "journal"
    return bool({path.name[:36] for path in journal.glob("*.begun.json")}
                - {path.name[:36] for path in journal.glob("*.ended.json")})  # fmt: skip


def crossed(running: Running, node: str) -> bool:
    """Tell whether a request on a node has come to the first step by which its effect can happen."""
    return any((running.layout.node(node) / "state" / "journal").glob("*.crossed"))


def test_a_second_agent_ends_at_once(fresh: Running) -> None:
    """Beside one that lives, and beside one that is ending with its operation under way, none is at work."""
    first = fresh.stage.process("n3").pid
    second = [sys.executable, "-m", "aerodb", "agent", "--folder", str(fresh.layout.node("n3"))]

    def refused() -> None:
        ended = subprocess.run(second, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode != 0
        assert f"another agent (process {first}) is at work" in ended.stdout + ended.stderr

    refused()
    planned = fresh.api.ask("stop", "n3")
    with confirming(fresh, planned) as told, stopped(fresh.postmaster("n3")):
        wait_until(lambda: crossed(fresh, "n3"))
        refused()
        fresh.stage.process("n3").send_signal(signal.SIGTERM)
        refused()
    assert told[0].result == "executed"


@pytest.mark.parametrize(
    ("action", "node", "arguments", "held", "results"),
    [
        ("demote", "n1", {"for_": "n2"}, "checkpointer", {"not executed"}),
        ("reclone", "n3", {"upstream": "n1"}, "", {"not executed"}),
    ],
)
def test_an_agent_that_is_told_to_end(
    fresh: Running, action: str, node: str, arguments: dict[str, str], held: str, results: set[str]
) -> None:
    """Its operation ends first, and is answered; whatever it ran has ended with it, and the node is as it is said."""
    planned = fresh.api.ask(action, node, **arguments)
    agent = fresh.stage.process(node)
    with confirming(fresh, planned) as told:
        if held:
            with stopped(child_of(fresh, node, held)):
                wait_until(lambda: begun(fresh, node))
                agent.send_signal(signal.SIGTERM)
                agent.wait(60)
        else:
            wait_until(lambda: bool(copies(fresh, node)))
            with stopped(copies(fresh, node)[0]):
                agent.send_signal(signal.SIGTERM)
                agent.wait(60)
    assert {told[0].result} == results, told
    assert copies(fresh, node) == []
    fresh.stage.start_agent(node)
    fresh.stage.wait_for(node)
    assert fresh.api.outcome(planned.request).result == told[0].result
    assert instance_of(fresh, node).state is State.RUNNING
    assert facts_of(fresh, node).unfinished is None


def test_a_second_signal_ends_it_as_a_kill_does(fresh: Running) -> None:
    """The operation is cut off, the operator is told that its outcome is unknown, and it is established afterwards."""
    planned = fresh.api.ask("stop", "n3")
    agent = fresh.stage.process("n3")
    with stopped(fresh.postmaster("n3")), confirming(fresh, planned) as told:
        wait_until(lambda: crossed(fresh, "n3"))
        agent.send_signal(signal.SIGTERM)
        wait_until(lambda: "no order is taken any more" in (fresh.layout.logs / "n3.log").read_text(encoding="utf-8"))
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(60) == -signal.SIGKILL
    assert told[0].result == "unknown"
    fresh.stage.start_agent("n3", leave_down=True)
    fresh.stage.wait_for("n3")
    wait_until(lambda: instance_of(fresh, "n3").state is State.STOPPED)
    assert fresh.api.outcome(planned.request).result == "executed"


@pytest.mark.older_too
def test_a_copy_ends_with_its_agent_and_is_of_one_attempt(fresh: Running) -> None:
    """Killed, the agent takes its base backup along; what that left is in nobody's way, and is never put in use."""
    planned = fresh.api.ask("reclone", "n3", upstream="n1")
    with confirming(fresh, planned) as told:
        wait_until(lambda: bool(copies(fresh, "n3")) and any(fresh.home("n3").glob("data-*.partial")))
        with stopped(copies(fresh, "n3")[0]):
            fresh.stage.kill("n3")
            wait_until(lambda: copies(fresh, "n3") == [])
    assert told[0].result == "unknown"
    left = list(fresh.home("n3").glob("data-*.partial"))
    assert len(left) == 1
    fresh.stage.start_agent("n3")
    fresh.stage.wait_for("n3")
    assert fresh.api.outcome(planned.request).result == "not executed"
    fresh.api.do("reclone", "n3", upstream="n1")
    assert instance_of(fresh, "n3").folder == "data-0002"
    assert list(fresh.home("n3").glob("data-*.partial")) == left


def test_a_promotion_slower_than_the_wait_is_unknown(fresh: Running) -> None:
    """While its startup process is held, nobody says "not executed"; once it goes on, the promotion has happened."""
    fresh.api.do("demote", "n1", for_="n2")
    planned = fresh.api.ask("promote", "n2")
    with stopped(child_of(fresh, "n2", "startup")), confirming(fresh, planned) as told:
        wait_until(lambda: crossed(fresh, "n2"))
        wait_until(lambda: bool(told))
        assert told[0].result == "unknown"
        assert fresh.api.outcome(planned.request).result == "unknown"
    wait_until(lambda: instance_of(fresh, "n2").recovery is False)
    assert fresh.api.outcome(planned.request).result == "executed"


def _delayed(running: Running, planned: Planned) -> tuple[str, str]:
    """Confirm a renewal whose row is held up, and whose agent dies; return what is told, and what is established."""
    with connect(running, "n1") as locking:
        locking.execute("begin")
        locking.execute("lock table aerodb.terms in exclusive mode")  # It can be read, and not written.
        with confirming(running, planned) as told:
            wait_until(lambda: crossed(running, "n1"))
            pids = locking.execute(
                "select pid from pg_stat_activity where application_name = 'aerodb agent' and wait_event_type = 'Lock'"
            ).fetchall()
            for (pid,) in pids:
                os.kill(pid, signal.SIGSTOP)
            running.stage.kill("n1")
        running.stage.start_agent("n1", leave_down=True)
        running.stage.wait_for("n1")
        established = running.api.outcome(planned.request).result
        locking.execute("commit")
        for (pid,) in pids:
            os.kill(pid, signal.SIGCONT)
    return told[0].result, established


def test_a_row_that_is_written_late(fresh: Running) -> None:
    """A renewal whose INSERT waits in a session of an agent that died is unknown until that session has ended."""
    fresh.api.do("fence", "n3", for_="n1")
    planned = fresh.api.ask("renew", "n1")
    told, established = _delayed(fresh, planned)
    assert told == "unknown"

    def settled() -> bool:
        return fresh.api.outcome(planned.request).result != "unknown"

    wait_until(settled)
    position = instance_of(fresh, "n1").position
    assert position is not None
    written = (position.term or 0) >= 2
    assert fresh.api.outcome(planned.request).result == ("executed" if written else "not executed")
    assert established in {"unknown", fresh.api.outcome(planned.request).result}


def test_a_node_that_never_becomes_ready_is_stopped(fresh: Running) -> None:
    """A start whose PostgreSQL never accepts connections is unknown, and nothing but a stop is needed to go on."""
    fresh.api.do("stop", "n3")
    label = fresh.home("n3") / "data" / "backup_label"
    append_to(
        label,
        "START WAL LOCATION: 0/FF000028 (file 0000000100000000000000FF)\nCHECKPOINT LOCATION: 0/FF000060\n"
        "BACKUP METHOD: streamed\nBACKUP FROM: standby\nSTART TIME: 2026-01-01 00:00:00 UTC\nLABEL: left over\n"
        "START TIMELINE: 1\n",
    )
    owner = (fresh.home("n3") / "data" / "PG_VERSION").stat()
    os.chown(label, owner.st_uid, owner.st_gid)
    planned = fresh.api.ask("start", "n3")
    done = fresh.api.confirm(planned)
    assert done.result in {"unknown", "not executed"}, done
    if instance_of(fresh, "n3").state is State.UNREACHABLE:
        assert done.result == "unknown"
        fresh.api.do("stop", "n3")
    assert fresh.api.outcome(planned.request).result == done.result  # Only its agent saw whether it was ever ready.
    assert facts_of(fresh, "n3").unfinished is None


def test_an_agent_survives_a_postgresql_that_does_not_start(fresh: Running) -> None:
    """It listens before it starts anything: what is broken can then be seen, and mended by a request."""
    fresh.stage.kill("n3")
    os.kill(fresh.postmaster("n3"), signal.SIGQUIT)
    pid_file = fresh.home("n3") / "data" / "postmaster.pid"
    wait_until(lambda: not pid_file.exists())
    append_to(fresh.home("n3") / "conf" / "postgresql.conf", "no_such_setting = on\n")
    fresh.stage.start_agent("n3")
    fresh.stage.wait_for("n3")
    assert instance_of(fresh, "n3").state is not State.RUNNING
    assert fresh.stage.process("n3").poll() is None


def test_what_was_sent_and_has_no_signed_answer_is_unknown(fresh: Running) -> None:
    """A refusal under nobody's signature, whatever it says of itself, is logged as unknown until it is asked for."""
    planned = fresh.api.ask("stop", "n3")
    for name in ("n1", "n2", "n3"):
        fresh.stage.kill(name)
    configuration = fresh.layout.node("n3") / "cluster.json"
    text = configuration.read_bytes()
    configuration.write_bytes(text.replace(b'"quorum":1', b'"quorum":0'))
    for name in ("n1", "n2", "n3"):
        fresh.stage.start_agent(name)
        fresh.stage.wait_for(name)
    done = fresh.api.confirm(planned)
    assert (done.result, done.code) == ("unknown", "kernel.plan-foreign")
    assert fresh.api.outcome(planned.request).result == "not executed"
    with pytest.raises(AeroError) as error:
        fresh.impostor.run("n3", order_of(fresh.api, planned.request, fresh.impostor.seen("n3")))
    assert error.value.code in {"kernel.request-duplicate", "kernel.plan-foreign"}


def test_an_id_that_is_a_path(fresh: Running) -> None:
    """A request that a hostile control plane had signed under such an id writes nothing, anywhere, and runs never."""
    hostile = Hostile(fresh)
    try:
        request = replace(hostile.request("stop", "n3"), id="../../../../x")
        plan, snapshot = hostile.plan(replace(request, id=hostile.request("stop", "n3").id))
        order = hostile.order(replace(plan, request=request).sealed(), snapshot)
        before = {path.name for path in fresh.layout.root.rglob("*") if "x" in path.name}
        for _ in range(2):
            with pytest.raises(Refused) as error:
                fresh.impostor.run("n3", order)
            assert error.value.code == "input.malformed"
        assert {path.name for path in fresh.layout.root.rglob("*") if "x" in path.name} == before
    finally:
        hostile.close()
    assert instance_of(fresh, "n3").state is State.RUNNING


WAYS: list[Callable[[Running], Planned]] = [lambda running: running.api.ask("follow", "n3", upstream="n1")]


@pytest.mark.parametrize("ask", WAYS)
def test_what_is_there_already_was_not_done_by_whoever_died(fresh: Running, ask: Callable[[Running], Planned]) -> None:
    """Cut off before its first step, a `follow` onto the upstream that the node has is not executed."""
    from tests.faults.dying import dying_agent

    planned = ask(fresh)
    with dying_agent(fresh, "n3", 1):
        assert fresh.api.confirm(planned).result == "unknown"
    assert fresh.api.outcome(planned.request).result == "not executed"


def test_an_agent_that_answers_nothing_is_not_waited_for(fresh: Running) -> None:
    """A frozen agent's order is unknown as soon as it answers nothing any more; thawed, it says what became of it."""
    planned = fresh.api.ask("stop", "n3")
    postmaster = fresh.postmaster("n3")
    with confirming(fresh, planned) as told, stopped(postmaster):
        wait_until(lambda: crossed(fresh, "n3"))
        with stopped(fresh.stage.process("n3").pid):
            wait_until(lambda: bool(told))
    assert (told[0].result, told[0].code) == ("unknown", "transport.interrupted")

    def settled() -> bool:
        try:
            return fresh.api.outcome(planned.request).result == "executed"
        except AeroError:
            return False  # It is still at it.

    wait_until(settled)


def test_what_is_unknown_for_good_keeps_no_node_down(fresh: Running) -> None:
    """A renewal cut off with its PostgreSQL is unknown until that runs again; so the start waits for no outcome."""
    from tests.faults.dying import dying_agent

    fresh.api.do("fence", "n3", for_="n1")
    planned = fresh.api.ask("renew", "n1")
    with dying_agent(fresh, "n1", 2):
        assert fresh.api.confirm(planned).result == "unknown"
        kill_postgres(fresh.layout, "n1")
    assert instance_of(fresh, "n1").state is State.CRASHED
    assert fresh.api.outcome(planned.request).result == "unknown"
    fresh.api.do("start", "n1")
    assert fresh.api.outcome(planned.request).result == "not executed"
    fresh.api.do("renew", "n1")


def test_what_happened_in_a_folder_that_was_replaced_is_not_denied(fresh: Running) -> None:
    """A renewal's row is written, everyone has it, and its node is recloned before it is asked: that is unknown."""
    from tests.faults.dying import dying_agent

    fresh.api.do("fence", "n3", for_="n1")
    planned = fresh.api.ask("renew", "n1")
    with dying_agent(fresh, "n1", 3):
        assert fresh.api.confirm(planned).result == "unknown"
        wait_until(lambda: ("n1", 2) in run(fresh, "n2", "select node, term from aerodb.terms"))
        kill_postgres(fresh.layout, "n1")
    fresh.api.do("fence", "n3", for_="n2")
    fresh.api.do("fence", "n2", for_="n2")
    fresh.api.do("promote", "n2")
    fresh.api.do("reclone", "n1", upstream="n2")
    done = fresh.api.outcome(planned.request)
    assert done.result == "unknown"
    assert facts_of(fresh, "n1").unfinished is None
    fresh.api.do("follow", "n1", upstream="n2")


def test_a_server_that_ran_and_died_was_started(fresh: Running) -> None:
    """Its agent dies after the start, and its PostgreSQL then: nobody says that it was not started."""
    from tests.faults.dying import dying_agent

    fresh.api.do("stop", "n3")
    planned = fresh.api.ask("start", "n3")
    with dying_agent(fresh, "n3", 3):
        assert fresh.api.confirm(planned).result == "unknown"
        kill_postgres(fresh.layout, "n3")
    assert fresh.api.outcome(planned.request).result == "unknown"
    assert facts_of(fresh, "n3").unfinished is None
    fresh.api.do("start", "n3")


def test_a_follow_that_was_not_executed_is_carried_out_by_no_start(fresh: Running) -> None:
    """Cut off before its settings, a `follow` leaves nothing that a later start would make true."""
    from tests.faults.dying import dying_agent

    planned = fresh.api.ask("follow", "n3", upstream="n2")
    with dying_agent(fresh, "n3", 2):
        assert fresh.api.confirm(planned).result == "unknown"
    assert fresh.api.outcome(planned.request).result == "not executed"
    fresh.api.do("stop", "n3")
    fresh.api.do("start", "n3")
    found = facts_of(fresh, "n3")
    assert found.standing.upstream == "n1"
    assert instance_of(fresh, "n3").attached == "n1"
