"""`aerodb up` on a cluster of which a part is sick: what starts, starts; what does not is said; Ctrl-C stops all."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aerodb.kernel.postgres.installation import find_installation
from aerodb.local.demo import kill_postgres
from aerodb.local.layout import Layout
from aerodb.local.size import Size
from aerodb.protocol.facts import State
from tests.faults.behind import facts_of, instance_of, run
from tests.faults.conftest import Running, _folder_above
from tests.faults.waiting import wait_until


class Up:
    """`aerodb up`, in the foreground of nobody."""

    def __init__(self, running: Running, words: tuple[str, ...]) -> None:
        """Start it on the cluster's folder."""
        command = [sys.executable, "-m", "aerodb", "up", "--folder", str(running.layout.root), *words]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        self.greeting = ""
        for line in self.process.stdout:
            self.greeting += line
            if line.startswith("Ctrl-C"):
                break

    def interrupt(self) -> int:
        """Type Ctrl-C; return its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(120)


@contextmanager
def up(running: Running, *words: str) -> Iterator[Up]:
    """Run `aerodb up`, with more words, on a cluster that was stopped."""
    one = Up(running, words)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.interrupt()
        if one.process.stdout is not None:
            one.process.stdout.close()


def _lives(running: Running, node: str) -> bool:
    """Tell whether a node's postmaster lives."""
    try:
        os.kill(running.postmaster(node), 0)
    except (OSError, ValueError, IndexError):
        return False
    return True


@pytest.fixture
def foreigner() -> Iterator[int]:
    """Return the id of a living process of PostgreSQL's account, which is no PostgreSQL."""
    account = find_installation().account
    uid = account.uid if account else None
    process = subprocess.Popen(["sleep", "600"], cwd="/", user=uid)
    yield process.pid
    process.kill()
    process.wait()


def test_a_sick_standby_takes_no_healthy_node_down(fresh: Running, foreigner: int) -> None:
    """A stale postmaster.pid names a living process: that node stays down and is named, the others serve."""
    fresh.stage.stop()
    stale = fresh.home("n3") / "data" / "postmaster.pid"
    stale.write_text(f"{foreigner}\n/elsewhere\n1\n5432\n", encoding="utf-8")
    account = find_installation().account
    if account is not None:
        os.chown(stale, *account.owner)
    with up(fresh) as one:
        assert "NOT UP, while the rest goes on" in one.greeting
        assert "n3" in one.greeting.partition("NOT UP")[2].partition("Connect:")[0]
        assert instance_of(fresh, "n1").state is State.RUNNING
        run(fresh, "n1", "create table served (n int)")
        assert one.process.poll() is None
        assert one.interrupt() == 0
    stale.unlink()
    assert not any(_lives(fresh, node) for node in ("n1", "n2"))


def test_a_primary_that_was_deposed_is_left_down(fresh: Running) -> None:
    """n2 was elected while n1 was dead: n2 comes up as the primary it is, n1 stays down, and the request is printed."""
    kill_postgres(fresh.layout, "n1")
    fresh.stage.kill("n1")
    fresh.api.do("fence", "n2", for_="n2")
    fresh.api.do("fence", "n3", for_="n2")
    fresh.api.do("follow", "n3", upstream="n2")
    fresh.api.do("promote", "n2")
    fresh.stage.stop()
    with up(fresh) as one:
        assert "n1 was left down" in one.greeting
        assert "aerodb follow n1 --upstream n2" in one.greeting
        assert "from n2 to n1" in one.greeting
        assert instance_of(fresh, "n1").state is State.CRASHED
        assert facts_of(fresh, "n1").standing.role == "primary"
        run(fresh, "n2", "create table served (n int)")
        assert one.interrupt() == 0


@pytest.mark.parametrize("ended", [True, False])
def test_ctrl_c_stops_what_a_dead_agent_left_behind(fresh: Running, *, ended: bool) -> None:
    """An agent was killed, or is just dying, and its PostgreSQL goes on: Ctrl-C ends that too, cleanly."""
    fresh.stage.stop()
    with up(fresh) as one:
        assert "NOT UP" not in one.greeting
        children = Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text(encoding="ascii")
        pids = [int(each) for each in children.split()]
        agent = next(pid for pid in pids if _command(pid).endswith("nodes/n2"))
        os.kill(agent, signal.SIGKILL)
        if ended:
            wait_until(lambda: _has_ended(agent))
            assert one.process.stdout is not None
            assert "THE AGENT OF n2 was killed by SIGKILL" in one.process.stdout.readline()
        assert _lives(fresh, "n2")
        assert one.interrupt() == 0
    assert [node for node in ("n1", "n2", "n3") if _lives(fresh, node)] == []


def test_what_ctrl_c_could_not_stop_is_named(fresh: Running) -> None:
    """A PostgreSQL that does not answer the shutdown outlives its agent: it is named, and the exit code is not 0."""
    fresh.stage.stop()
    with up(fresh) as one:
        held = fresh.postmaster("n3")
        os.kill(held, signal.SIGSTOP)
        try:
            assert one.interrupt() == 1
            assert one.process.stdout is not None
            assert "PostgreSQL on n3 STILL RUNS" in one.process.stdout.read()
            assert [node for node in ("n1", "n2", "n3") if _lives(fresh, node)] == ["n3"]
        finally:
            os.kill(held, signal.SIGCONT)


def _command(pid: int) -> str:
    """Return the last words of a process's command; empty where it has ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
    except OSError:
        return ""
    return " ".join(word for word in words if word and not word.startswith("--"))


def _has_ended(pid: int) -> bool:
    """Tell whether a process has ended, collected or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_what_something_else_answers_for_is_not_counted_as_its_own(fresh: Running) -> None:
    """Another process listens where n2's agent would: that is named, the others serve, and Ctrl-C ends one's own."""
    fresh.stage.stop_with_postgres()
    host, _, port = fresh.cluster.member("n2").agent.rpartition(":")
    with socket.create_server((host, int(port))) as other, up(fresh) as one:
        said = one.greeting.partition("NOT UP")[2].partition("Connect:")[0]
        assert f"the agent of n2 was not started: something else listens on {host}:{port}" in said
        assert instance_of(fresh, "n1").state is State.RUNNING
        run(fresh, "n1", "create table served (n int)")
        assert one.interrupt() == 0
        assert other.fileno() >= 0
        assert not any(_lives(fresh, node) for node in ("n1", "n3"))


def test_an_agent_of_before_is_not_counted_either(fresh: Running) -> None:
    """A second `up` on the same folder begins nothing and ends nothing: all that answers is the first one's."""
    before = {node: fresh.postmaster(node) for node in fresh.cluster.data_nodes}
    with up(fresh) as one:
        assert one.greeting.count("was not started: something else listens") == 4
        assert "Nothing was begun here." in one.greeting
        assert " up in " not in one.greeting
        assert "STILL RUNS" not in one.greeting
        assert one.process.wait(60) == 1
    assert {node: fresh.postmaster(node) for node in fresh.cluster.data_nodes} == before
    assert all(_lives(fresh, node) for node in before)
    assert fresh.api.status().consistent


def test_who_interrupts_the_making_of_a_cluster_starts_nothing(ports_from: int) -> None:
    """It is made to the end, so that its folder is whole; it is said that it was not started, and how it is."""
    first = Size(nodes=2).at_free_ports(ports_from + 300).ports_from
    root = Path(tempfile.mkdtemp(prefix="aerodb-stopped-", dir=_folder_above())) / "cluster"
    words = ["up", "--folder", str(root), "--nodes", "2", "--ports-from", str(first)]
    try:
        root.parent.chmod(0o711)
        process = subprocess.Popen([sys.executable, "-m", "aerodb", *words], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process.stdout:
            assert process.stdout.readline().startswith("Making ")
            process.send_signal(signal.SIGINT)
            said = process.stdout.read()
        assert process.wait(60) == 0
        assert "the cluster is made, and was not started" in said
        assert " up in " not in said
        assert "NOT UP" not in said
        assert Layout(root=root).configuration.exists()
    finally:
        shutil.rmtree(root.parent)


def test_a_cluster_with_a_witness_is_made_and_told_what_for(ports_from: int) -> None:
    """As typed: its size, its ports; each step is said; it holds an election with the witness's pledge."""
    first = Size(nodes=2, witness=True).at_free_ports(ports_from + 300).ports_from
    root = Path(tempfile.mkdtemp(prefix="aerodb-size-", dir=_folder_above())) / "cluster"
    words = ["--nodes", "2", "--witness", "--quorum", "1", "--ports-from", str(first)]
    try:
        root.parent.chmod(0o711)
        command = [sys.executable, "-m", "aerodb", "init", "--folder", str(root), *words]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert [line for line in said.splitlines() if line.startswith("Making ")] == [
            "Making keys and certificates", "Making PostgreSQL on n1", "Making copies of it to n2",
        ]  # fmt: skip
        running = Running(Layout(root=root))
        with up(running, *words) as one:
            assert "NOT UP" not in one.greeting
            running.api.do("demote", "n1", for_="n2")
            running.api.do("fence", "w1", for_="n2")
            running.api.do("promote", "n2")
            assert one.interrupt() == 0
        command = [sys.executable, "-m", "aerodb", "up", "--folder", str(root), "--nodes", "3"]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (refused.returncode, "input.size-refused" in refused.stderr) == (2, True)
    finally:
        shutil.rmtree(root.parent)
