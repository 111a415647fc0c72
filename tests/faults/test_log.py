"""The audit log's files: taken away, replaced, rewritten, altered by a byte, or without room on their disk."""

import fcntl
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from aerodb.audit.record import Record
from aerodb.audit.store import Log, verify_folder
from aerodb.errors import AeroError, VerificationFailed
from aerodb.protocol.api import Done, Planned
from aerodb.protocol.facts import State
from tests.faults.behind import instance_of
from tests.faults.conftest import Running
from tests.faults.hostile import Hostile, log_key
from tests.faults.people import new_id
from tests.faults.waiting import wait_until

# Files that are not what they were ------------------------------------------------------------------------------------


def _delete(folder: Path) -> None:
    (folder / "log.db").unlink()


def _delete_wal(folder: Path) -> None:
    (folder / "log.db-wal").unlink()


def _replace(folder: Path) -> None:
    """Put an equal file in its place."""
    shutil.copy2(folder / "log.db", folder / "copy")
    (folder / "copy").replace(folder / "log.db")


def _rewrite(folder: Path) -> None:
    """Change the reason in a record, as another program with the right to write would."""
    with sqlite3.connect(folder / "log.db") as connection:
        connection.execute("update record set body = cast(replace(cast(body as text), 'a test', 'a lie!') as blob)")
    connection.close()


@pytest.mark.parametrize("change", [_delete, _delete_wal, _replace, _rewrite])
def test_files_changed_under_a_running_server(fresh: Running, change: Callable[[Path], None]) -> None:
    """Noticed before the next dispatch: the confirmation is refused, nothing is sent, and looking goes on."""
    planned = fresh.api.ask("stop", "n3")
    change(fresh.layout.control / "log")
    for attempt in (lambda: fresh.api.confirm(planned), lambda: fresh.api.ask("stop", "n2")):
        with pytest.raises(AeroError) as error:
            attempt()
        assert error.value.executed == "not executed"
        assert error.value.code in {"control.log-replaced", "control.log-verification-failed"}
    status = fresh.api.status()
    assert (status.log_writable, len(status.snapshot.reports)) == (False, 3)
    assert fresh.impostor.facts("n3").entries == 0
    assert instance_of(fresh, "n3").state is State.RUNNING


def _forge_log(running: Running, size: int) -> None:
    """Put a log of `size` other records in the place of the real one, signed with the stolen key."""
    folder = running.layout.control / "log"
    shutil.rmtree(folder)
    with Log.create(folder, running.cluster.origin, log_key(running)) as forged:
        for _ in range(size):
            forged.append(_record())


def _record() -> Record:
    return Record(event="refused", at="2026-01-01T00:00:00.000Z", clock="none", request=new_id(), operator="operator",
                  action="stop", target="n3", arguments={}, reason="never happened")  # fmt: skip


@pytest.mark.parametrize(("size", "code"), [(2, "control.log-behind"), (12, "control.log-forked")])
def test_a_log_rewritten_while_the_server_was_down(fresh: Running, size: int, code: str) -> None:
    """The stolen key signs what it likes: the courier plans nothing by it, and a node that saw the real log refuses."""
    fresh.api.do("stop", "n3")
    fresh.api.do("start", "n3")
    assert fresh.impostor.seen("n3") == 5
    fresh.stage.kill("control")
    _forge_log(fresh, size)
    fresh.stage.start_control()
    fresh.stage.wait_for("control")
    with pytest.raises(AeroError) as error:
        fresh.api.ask("stop", "n3")
    assert (error.value.code, error.value.executed) == (code, "not executed")
    assert "n3" in error.value.message
    hostile = Hostile(fresh)
    for _ in range(5 - size):
        hostile.log.append(_record())
    outcome = hostile.send(*hostile.plan(hostile.request("stop", "n3")))
    assert (outcome.result, outcome.code) == ("not executed", "kernel.log-rewritten")
    assert instance_of(fresh, "n3").state is State.RUNNING
    hostile.close()


# One byte -------------------------------------------------------------------------------------------------------------


def _offsets(size: int) -> Iterator[int]:
    """Yield offsets in every region of a file: its head, its end, and some in each 4096 bytes."""
    yield from range(0, min(size, 110), 3)
    yield from (size - 1, size // 2)
    for page in range(0, size, 4096):
        yield from (each for each in (page, page + 9, page + 1234, page + 4095) if each < size)


@contextmanager
def _flipped(path: Path, offset: int) -> Iterator[None]:
    """Hold a file with one bit of one byte changed."""
    with path.open("r+b") as file:
        for _ in range(2):
            file.seek(offset)
            byte = file.read(1)[0] ^ 0x10
            file.seek(offset)
            file.write(bytes([byte]))
            file.flush()
            if _ == 0:
                yield


def _verify(running: Running) -> subprocess.CompletedProcess[str]:
    """Run `aerodb audit verify` on the log's folder."""
    folder = str(running.layout.control / "log")
    environment = {**os.environ, "AERODB_PROFILE": str(running.layout.profile("auditor"))}
    command = [sys.executable, "-m", "aerodb", "audit", "verify", folder]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_flipping_any_byte_is_found(fresh: Running) -> None:
    """After a clean stop, whichever byte of whichever file is changed, verification fails; changed back, it passes."""
    fresh.api.do("stop", "n3")
    fresh.stage.process("control").send_signal(signal.SIGTERM)
    fresh.stage.process("control").wait(30)
    folder, key = fresh.layout.control / "log", fresh.cluster.log_key
    files = sorted(path for path in folder.iterdir() if path.stat().st_size)
    assert [path.name for path in files] == ["log.db", "reserve", "seal.json"]
    assert verify_folder(folder, key).size == 3
    for path in files:
        for offset in _offsets(path.stat().st_size):
            with _flipped(path, offset), pytest.raises(VerificationFailed):
                verify_folder(folder, key)
        with _flipped(path, path.stat().st_size // 2):
            found = _verify(fresh)
            assert found.returncode != 0, found.stdout
            assert "VERIFIED" not in found.stdout
    found = _verify(fresh)
    assert (found.returncode, "VERIFIED: 3 records" in found.stdout) == (0, True), found


# No room --------------------------------------------------------------------------------------------------------------


def _confirm_meanwhile(running: Running, planned: Planned, meanwhile: Callable[[], None]) -> Done:
    """Confirm, and do something between the confirmation's record and the order's arrival; return the outcome."""
    agent, done = running.stage.process("n3"), list[Done]()
    agent.send_signal(signal.SIGSTOP)
    try:
        asking = threading.Thread(target=lambda: done.append(running.api.confirm(planned)))
        asking.start()
        wait_until(lambda: running.api.events(planned.request) == ["requested", "confirmed"])
        meanwhile()
    finally:
        agent.send_signal(signal.SIGCONT)
    asking.join(60)
    return done[0]


def _limit_files(running: Running, size_bytes: int) -> None:
    """Let the control plane's process write no file beyond this size (or as far as it could at first)."""
    pid = running.stage.process("control").pid
    most = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes or most, most))


def _nothing_is_dispatched(running: Running, planned: Planned, state: str = "planned") -> None:
    """Show that the plan cannot be confirmed, that its node hears nothing of it, and that looking goes on.

    Where it was only while its confirmation was written that nothing could be, the plan awaits nothing any more.
    """
    entries = running.impostor.facts("n3").entries
    with pytest.raises(AeroError) as error:
        running.api.confirm(planned)
    assert (error.value.code, error.value.executed) == ("control.log-unavailable", "not executed")
    assert len(running.api.status().snapshot.reports) == 3
    assert running.api.decision(planned.request).line.state == state
    assert running.impostor.facts("n3").entries == entries


def test_no_more_can_be_written(fresh: Running) -> None:
    """Every write of the log fails: reads go on, nothing is dispatched, and with room again all works."""
    planned = fresh.api.ask("stop", "n3")
    _limit_files(fresh, 4096)
    with pytest.raises(AeroError) as error:
        fresh.api.ask("stop", "n2")
    assert (error.value.code, error.value.executed) == ("control.log-unavailable", "not executed")
    _nothing_is_dispatched(fresh, planned, state="lapsed")
    _limit_files(fresh, 0)
    fresh.api.do("stop", "n3")


def test_no_more_can_be_written_while_an_action_runs(fresh: Running) -> None:
    """The operator is told the outcome all the same, and that it could not be recorded; later it is established."""
    planned = fresh.api.ask("stop", "n3")
    done = _confirm_meanwhile(fresh, planned, lambda: _limit_files(fresh, 4096))
    assert (done.result, done.sequence) == ("executed", None)
    assert "could not be recorded" in done.message
    _limit_files(fresh, 0)
    assert fresh.api.events(planned.request) == ["requested", "confirmed"]
    assert fresh.api.outcome(planned.request).result == "executed"
    assert fresh.api.events(planned.request) == ["requested", "confirmed", "established"]


class SmallDisk:
    """A small file system of its own under the log."""

    def __init__(self, running: Running) -> None:
        """Mount it, with the log in it, while the control plane is down."""
        self.running, self.folder = running, running.layout.control / "log"
        running.stage.kill("control")
        aside = self.folder.with_name("log.aside")
        self.folder.rename(aside)
        self.folder.mkdir(mode=0o700)
        command = ["mount", "-t", "tmpfs", "-o", "size=6m,mode=700", "aerodb-test", str(self.folder)]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
        for path in aside.iterdir():
            shutil.copy2(path, self.folder)
        running.stage.start_control()
        running.stage.wait_for("control")

    def fill(self) -> None:
        """Leave no room at all."""
        with (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (1 << 16, 4096, 1):
                try:
                    while True:
                        file.write(b"\1" * size)
                except OSError:
                    continue

    def clear(self) -> None:
        """Make room again."""
        (self.folder / "filler").unlink()

    def close(self) -> None:
        """Take it away."""
        self.running.stage.kill("control")
        subprocess.run(["umount", str(self.folder)], check=True)


@pytest.fixture
def small_disk(fresh: Running) -> Iterator[SmallDisk]:
    """Return a small disk under the log of a cluster."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system; the other tests here need none")
    disk = SmallDisk(fresh)
    yield disk
    disk.close()


def test_a_full_disk(fresh: Running, small_disk: SmallDisk) -> None:
    """Reads go on, nothing is dispatched, and it works again once there is room."""
    planned = fresh.api.ask("stop", "n3")
    small_disk.fill()
    assert any(_full_up(fresh) for _ in range(400))  # The database's own files have room within until then.
    _nothing_is_dispatched(fresh, planned, state="lapsed")
    small_disk.clear()
    fresh.api.do("stop", "n3")


def _full_up(running: Running) -> bool:
    """Ask for what there is not, which is recorded as refused; tell whether it could not be recorded any more."""
    with pytest.raises(AeroError) as error:
        running.api.ask("fly", "n1")
    assert error.value.executed == "not executed"
    return error.value.code == "control.log-unavailable"


def test_a_disk_that_fills_up_while_an_action_runs(fresh: Running, small_disk: SmallDisk) -> None:
    """The outcome is recorded, from the room that was held for it; the next action waits until there is room again."""
    planned, other = fresh.api.ask("stop", "n3"), fresh.api.ask("fence", "n3", for_="n2")

    def fill() -> None:
        small_disk.fill()
        assert any(_full_up(fresh) for _ in range(400))

    done = _confirm_meanwhile(fresh, planned, fill)
    assert (done.result, done.sequence is not None) == ("executed", True), done
    assert fresh.api.events(planned.request) == ["requested", "confirmed", "outcome"]
    assert not fresh.api.status().log_writable
    small_disk.fill()
    _nothing_is_dispatched(fresh, other)
    small_disk.clear()
    fresh.api.do("start", "n3")
    assert fresh.api.status().log_writable


def test_the_folder_belongs_to_one_server(fresh: Running) -> None:
    """A second control plane on the same log does not start."""
    descriptor = os.open(fresh.layout.control / "log", os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    records = fresh.api.client.get("/v1/audit/records")
    assert msgspec.json.decode(records) == {"records": []}
